"""Values made ready: what is left out and counted, repeated values, counters that wrap or start again, refresh by looking."""

from __future__ import annotations

import math

import numpy as np
import pytest
import trace_cases as made

from host.sensor import Channel, Specification
from measurements.energy_window import window_energy
from measurements.joules import joules
from measurements.refresh import look
from measurements.series import channels_of, rail_series

TOTAL = Channel("e", "J", "board", "board", "accumulated", Specification(0.0), wrap=10.0)


def series(channels, t_s, values, **more):
    record = made.record(channels, t_s, values, **more)
    return rail_series(record, channels_of(record, record.channels[0].rail))


@pytest.mark.fault(6)
def test_nan_and_infinity_are_missing_and_counted_and_never_in_the_sum():
    whole = made.measured(noise_w=0.0)
    readings = whole.sensors[0].readings
    readings.values[2500:6000:500] = np.nan
    readings.values[2600] = np.inf
    found = joules(whole, made.of(whole))
    assert found.gross.value == pytest.approx(63.0, abs=0.01)
    assert found.coverage["board"].missing == 7
    assert found.gross.verdict == "resolved"


@pytest.mark.fault(7)
def test_values_outside_the_plausible_band_are_rejected_and_counted():
    whole = made.measured(noise_w=0.0)
    record = whole.sensors[0]
    record.readings.values[3000] = 4294967.295
    whole = made.with_sensor(whole, channels=(made.power(low=-60.0, high=60.0),))
    found = joules(whole, made.of(whole))
    assert found.gross.value == pytest.approx(63.0, abs=0.01)
    assert found.coverage["board"].rejected == 1


def held(refresh_s, poll_s, levels, seconds=30.0, jitter=0.0):
    """Return stamps and values of a register that is polled faster than it is renewed."""
    rng = np.random.default_rng(7)
    polled_s = np.arange(0, seconds, poll_s) + jitter * rng.random(int(np.ceil(seconds / poll_s - 1e-9)))
    renewed = np.floor(polled_s / refresh_s).astype(int)
    return polled_s, levels(rng, renewed.max() + 1)[renewed]


@pytest.mark.fault(9)
def test_duplicates_are_taken_out_and_the_true_rate_is_reported():
    noisy = lambda rng, n: 1.6 + 0.02 * rng.standard_normal(n)  # noqa: E731
    t_s, values = held(0.0352, 0.005, noisy, jitter=0.001)
    here = series(made.power(kind="average"), t_s, values, period_s=0.005)
    assert here.refresh.refresh_s == pytest.approx(0.0352, rel=0.02)
    assert here.refresh.found
    assert len(here.values) == pytest.approx(30 / 0.0352, rel=0.01)
    assert len(here.bad_s["duplicate"]) == len(t_s) - len(here.values)
    assert window_energy(here, 1.0, 29.0).energy_j == pytest.approx(1.6 * 28, rel=0.005)


def test_a_whole_chip_that_is_cached_for_a_second_is_seen():
    t_s, values = held(1.003, 0.02, lambda rng, n: 3 + np.rint(rng.standard_normal(n) * 10) / 32, seconds=120)
    assert look(t_s, values).refresh_s == pytest.approx(1.003, abs=0.03)


@pytest.mark.parametrize("load", ["steady", "jumping"])
def test_a_total_that_goes_on_by_many_steps_at_a_time_is_renewed_slowly(load):
    rng = np.random.default_rng(6)
    renewed_s = np.arange(-1.0, 61.0, 0.2)
    watts = np.full(len(renewed_s), 60.0) if load == "steady" else 60 + np.cumsum(rng.normal(0, 1, len(renewed_s)))
    counted = np.round(np.cumsum(0.2 * watts), 3)
    t_s = np.arange(0.0, 60.0, 0.05) + 0.013
    values = counted[np.searchsorted(renewed_s, t_s, "right") - 1]
    total = Channel("e", "J", "board", "board", "accumulated", Specification(0.0, quantum=1e-3))
    found = series(total, t_s, values)
    assert found.refresh.refresh_s == pytest.approx(0.2, rel=0.05)
    assert found.lag_s >= 0.05
    # A total that creeps by one step at a time says nothing of how often it is renewed.
    creeping = series(total, t_s, np.floor(t_s / 0.2) * 1e-3)
    assert creeping.refresh.refresh_s == pytest.approx(0.05, rel=0.05)


def test_a_steady_value_is_not_a_slow_sensor():
    rng = np.random.default_rng(1)
    t_s = np.arange(0, 60, 0.02)
    flicker = np.rint((1.6 + 0.004 * rng.standard_normal(len(t_s))) / 0.025) * 0.025
    pulses = np.where(np.floor(t_s / 0.21) % 2 == 0, 1.6, 2.1)
    ramp = np.rint(np.linspace(1, 3, len(t_s)) / 0.025) * 0.025
    for values in (flicker, pulses, ramp, np.full(len(t_s), 1.6)):
        assert look(t_s, values).refresh_s == pytest.approx(0.02, rel=0.01)
        assert look(t_s, values).renewed.all()
    assert look(t_s, np.full(len(t_s), 1.6), 0.1).renewed.sum() == pytest.approx(600, abs=130)


@pytest.mark.fault(11)
def test_counter_wraps_are_undone_and_two_between_reads_are_a_gap():
    t_s = np.arange(0, 40, 0.5)
    true_j = 1.7 * t_s
    here = series(TOTAL, t_s, np.mod(true_j + 3.3, 10.0))
    assert window_energy(here, 5.0, 35.0).energy_j == pytest.approx(1.7 * 30, rel=1e-9)
    assert len(here.lost) == 0
    thinned = np.concatenate([t_s[:20], t_s[40:]])
    here = series(TOTAL, thinned, np.mod(1.7 * thinned + 3.3, 10.0))
    assert here.lost.tolist() == [[9.5, 20.0]]
    assert window_energy(here, 5.0, 35.0).energy_j == pytest.approx(1.7 * 30, rel=0.01)


@pytest.mark.fault(12)
def test_a_counter_reset_is_told_from_a_wrap_and_begins_a_new_segment():
    t_s = np.arange(0, 40, 0.5)
    counted = 0.2 * t_s
    counted[40:] -= counted[40]
    for wrap in (2.0**20, math.inf):
        channel = Channel("e", "J", "board", "board", "accumulated", Specification(0.0), wrap=wrap)
        here = series(channel, t_s, counted)
        assert here.lost.tolist() == [[19.5, 20.0]]
        assert window_energy(here, 5.0, 35.0).energy_j == pytest.approx(6.0, rel=1e-6)
        trace = made.trace(made.record(channel, t_s, counted), spans={"run": (5.0, 35.0)})
        assert joules(trace, made.of(trace)).gross.verdict.startswith("invalid: gaps")
