"""What makes a window unfit: gaps, missing ends, saturation, stale values, too short."""

from __future__ import annotations

import numpy as np
import pytest
import trace_cases as made

from host.sensor import Specification
from measurements.joules import joules
from measurements.series import NoEnergy


def changed(whole, keep=None, values=None):
    """Return the trace with only some rows, or with other values."""
    readings = whole.sensors[0].readings
    keep = np.ones(len(readings), bool) if keep is None else keep
    watts = readings.values[:, 0] if values is None else values
    return made.with_sensor(whole, readings=made.record(made.power(), readings.t_s[keep], watts[keep]).readings)


@pytest.mark.fault(10)
def test_averages_polled_slower_than_renewed_are_reported():
    rng = np.random.default_rng(2)
    t_s = np.arange(-1, 71, 0.05)
    channel = made.power(kind="average", limits=Specification(0.001), refresh_s=0.0352, averaging_s=0.0352)
    trace = made.trace(made.record(channel, t_s, made.step_load(t_s) + 0.02 * rng.standard_normal(len(t_s)), period_s=0.05))
    found = joules(trace, made.of(trace), idle=made.idle(trace))
    assert found.coverage["board"].observed == pytest.approx(0.0352 / 0.05, rel=0.01)
    assert any("70% of the time" in warning for warning in found.warnings)
    assert found.gross.verdict == "resolved"


def held(rng, renewed_s, poll_s, span_s):
    """Return the error and U of a load that jumps at random, read as averages of `span_s` that are held till the next one."""
    edges_s = 20 + np.concatenate([[0], np.cumsum(rng.exponential(0.3, 300))])
    edges_s = np.concatenate([[-9.0], edges_s[edges_s < 50], [50.0, 79.0]])
    watts = np.concatenate([[1.6], 1.6 + rng.uniform(0.1, 1.5, len(edges_s) - 3), [1.6]])
    total_j = np.concatenate([[0.0], np.cumsum(watts * np.diff(edges_s))])
    ends_s = np.arange(-3 + rng.uniform(0, renewed_s), 72, renewed_s)
    until_j = np.interp([ends_s - span_s, ends_s], edges_s, total_j)
    polled_s = np.arange(-1 + rng.uniform(0, poll_s), 71, poll_s)
    values = (until_j[1] - until_j[0])[np.searchsorted(ends_s, polled_s, "right") - 1] / span_s
    channel = made.power(kind="average", limits=Specification(1e-5), refresh_s=renewed_s, averaging_s=span_s)
    values = values + 1e-4 * rng.standard_normal(len(ends_s))[np.searchsorted(ends_s, polled_s, "right") - 1]
    trace = made.trace(made.record(channel, polled_s, values, period_s=poll_s))
    found = joules(trace, made.of(trace), idle=made.idle(trace)).net
    return found.value - (np.diff(np.interp([20, 50], edges_s, total_j))[0] - 1.6 * 30), found.u95


@pytest.mark.parametrize(
    ("renewed_s", "poll_s", "span_s"), [(0.04, 0.1, 0.04), (0.1, 0.03, 0.025), (0.1, 0.03, 1.0), (0.05, 0.05, 1.0)]
)
def test_u_covers_averages_with_time_between_them_and_averages_that_overlap(renewed_s, poll_s, span_s):
    error_j, u95_j = np.array([held(np.random.default_rng([11, i]), renewed_s, poll_s, span_s) for i in range(60)]).T
    assert np.mean(np.abs(error_j) <= u95_j) >= 0.88
    assert np.median(u95_j) <= 1.8 * np.quantile(np.abs(error_j), 0.95)


def test_gaps_over_a_thousandth_of_the_window_make_it_invalid():
    whole = made.measured(noise_w=0.0)
    t_s = whole.sensors[0].readings.t_s
    for hole_s, verdict in ((0.018, "resolved"), (0.045, "invalid: gaps"), (2.0, "invalid: gaps")):
        holed = changed(whole, keep=np.abs(t_s - 30) >= hole_s / 2)
        found = joules(holed, made.of(holed), idle=made.idle(holed))
        assert found.gross.verdict.startswith(verdict)
        assert found.gross.value == pytest.approx(63.0, abs=0.01)
    assert found.coverage["board"].covered == pytest.approx(1 - 2 / 30, abs=1e-3)
    assert found.coverage["board"].longest_gap_s == pytest.approx(2.0, abs=0.02)
    assert found.coverage["board"].gaps == 1


def test_a_small_gap_widens_u_by_what_may_have_happened_in_it():
    t_s = np.arange(-0.5, 70.5, 0.005)
    watts = np.where((t_s > 20) & (t_s < 50), 1.6 + 0.5 * ((t_s / 0.31) % 1 < 0.4), 1.6)
    keep = np.abs(t_s - 33.0) > 0.0099
    whole = made.trace(made.record(made.power(limits=Specification(0.001)), t_s[keep], watts[keep]))
    found = joules(whole, made.of(whole))
    assert found.gross.verdict == "resolved"
    assert found.coverage["board"].gaps == 1
    missing = {term.name: term.u_j for term in found.budget_gross.terms}["missing samples"]
    assert missing == pytest.approx(0.02 * 0.5 / 2 / np.sqrt(3), rel=0.3)


def test_a_gap_in_idle_makes_only_net_invalid():
    whole = made.measured()
    t_s = whole.sensors[0].readings.t_s
    holed = changed(whole, keep=np.abs(t_s - 60) >= 1)
    found = joules(holed, made.of(holed), idle=made.idle(holed))
    assert found.gross.verdict == "resolved"
    assert found.net.verdict.startswith("invalid: idle after: gaps")


@pytest.mark.fault(24)
@pytest.mark.parametrize("end", ["first", "last"])
def test_a_sample_before_the_start_and_after_the_end_is_needed(end):
    whole = made.measured()
    t_s = whole.sensors[0].readings.t_s
    keep = (t_s >= 20.02) if end == "first" else (t_s < 49.98)
    clean, cut = joules(whole, made.of(whole)), joules(changed(whole, keep), made.of(whole))
    missing = {term.name: term.u_j for term in cut.budget_gross.terms}["missing samples"]
    assert missing == pytest.approx(0.02 * 2.1 / np.sqrt(3), rel=0.6)
    assert cut.gross.u95 > clean.gross.u95
    assert any(f"{end} sample comes" in warning for warning in cut.warnings)
    far = joules(changed(whole, (t_s >= 25) if end == "first" else (t_s < 45)), made.of(whole))
    assert far.gross.verdict.startswith("invalid: gaps")


@pytest.mark.fault(29)
def test_one_saturated_sample_makes_the_window_invalid():
    whole = made.measured(limits=Specification(0.001, full_scale=2.5))
    assert joules(whole, made.of(whole)).gross.verdict == "resolved"
    whole.sensors[0].readings.values[3000] = 2.5
    verdict = joules(whole, made.of(whole)).gross.verdict
    assert verdict == "invalid: saturation: 1 samples of rail board are at full scale"


@pytest.mark.fault(8)
def test_a_value_that_stands_still_while_the_load_changes_raises_the_alarm():
    whole = made.measured(noise_w=0.02)
    values = whole.sensors[0].readings.values[:, 0].copy()
    values[3000:4000] = values[2999]
    found = joules(changed(whole, values=values), made.of(whole), idle=made.idle(whole))
    assert found.gross.verdict.startswith("invalid: stuck: rail board did not change for 10")
    assert found.coverage["board"].stuck_s == pytest.approx(10.0, abs=0.05)


@pytest.mark.fault(8)
def test_readings_that_are_the_same_in_idle_and_in_the_run_say_nothing_of_net():
    t_s = np.arange(-0.5, 70.5, 0.01)
    for stale_w, verdict in ((0 * t_s + 1.6, "invalid: stuck: no value ever changed"), (made.step_load(t_s), "resolved")):
        trace = made.trace(made.record(made.power(limits=Specification(0.001, quantum=0.1)), t_s, stale_w))
        found = joules(trace, made.of(trace), idle=made.idle(trace))
        assert found.net.verdict.startswith(verdict)
        assert found.gross.verdict == "resolved"


def test_a_steady_load_is_not_stuck():
    rng = np.random.default_rng(5)
    t_s = np.arange(-0.5, 70.5, 0.01)
    for watts in (np.rint(made.step_load(t_s) / 0.025) * 0.025,
                  np.rint((made.step_load(t_s) + 0.003 * np.sin(t_s / 5) + 0.002 * rng.normal(size=len(t_s))) / 0.025) * 0.025,
                  np.where(np.floor(t_s) % 2 == 0, 1.6, 2.1)):  # fmt: skip
        trace = made.trace(made.record(made.power(limits=Specification(0.001, quantum=0.025)), t_s, watts))
        assert joules(trace, made.of(trace)).gross.verdict == "resolved"


@pytest.mark.fault(34)
def test_short_windows_are_refused():
    whole = made.measured()
    short = made.trace(whole.sensors[0], spans={"run": (20.0, 23.0), "blink": (20.0, 20.004)})
    assert joules(short, made.of(short)).gross.verdict.startswith("invalid: window of 3 s is too short: at least 10 s")
    assert joules(short, made.of(short), minimum_s=0.0).gross.verdict == "resolved"
    found = joules(short, made.of(short, "blink"), minimum_s=0.0)
    assert found.gross.verdict.startswith("invalid: window of 0.004 s is shorter than the sensor's refresh of 0.01 s")
    assert found.gross.value > 0
    with pytest.raises(NoEnergy, match="0 executed iterations"):
        joules(short, made.of(short)).per_iteration(net=False)


def test_the_shortest_window_follows_the_refresh_and_the_u_asked_for():
    t_s = np.arange(-3, 73, 1.0)
    slow = made.trace(made.record(made.power(limits=Specification(0.001)), t_s, made.step_load(t_s)))
    assert "at least 40 s" in joules(slow, made.of(slow)).gross.verdict
    assert "at least 200 s" in joules(slow, made.of(slow), requested=0.01).gross.verdict
    assert joules(slow, made.of(slow), requested=0.1).gross.verdict == "resolved"


def test_what_the_meter_dropped_is_counted():
    whole = made.measured()
    lossy = made.trace(whole.sensors[0], gaps=(made.loss(30.0, "dropped", 7), made.loss(5.0, "dropped", 100)))
    assert joules(lossy, made.of(lossy)).coverage["board"].dropped == 7
