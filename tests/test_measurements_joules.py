"""Joules of a window: net and gross, verdicts, labels, rails, calibration, alignment, JSON."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import trace_cases as made

from host.meter_limits import MeterLimits
from host.sensor import Channel, Specification
from host.trace import Window
from measurements.calibration import Calibration
from measurements.joules import joules
from measurements.quantities import LabelError
from measurements.series import NoEnergy


def sensed(channels, watts_of, limits=None, spacing_s=0.01, **more):
    """Return a trace of several channels; watts_of gives the columns for stamps."""
    t_s = np.arange(-0.5, 70.5, spacing_s)
    return made.trace(made.record(channels, t_s, watts_of(t_s), **more))


def noisy(t_s, watts, seed, noise_w=0.01):
    return watts + noise_w * np.random.default_rng(seed).standard_normal(len(t_s))


def test_net_is_gross_less_idle_and_a_drift_is_met_halfway():
    t_s = np.arange(-0.5, 70.5, 0.01)
    watts = np.where(t_s < 20, 1.60, np.where(t_s < 50, 2.12, 1.64))
    trace = made.trace(made.record(made.power(limits=Specification(0.0)), t_s, watts))
    found = joules(trace, made.of(trace), idle=made.idle(trace))
    assert found.idle.total_w == pytest.approx(1.62, abs=1e-6)
    assert found.net.value == pytest.approx(0.5 * 30, abs=0.01)
    drift = {term.name: term.u_j for term in found.budget_net.terms}["idle drift"]
    assert drift == pytest.approx(0.02 * 30 / math.sqrt(3), rel=1e-3)


def test_idle_is_interpolated_to_the_middle_of_the_window():
    spans = {"idle before": (0.0, 10.0), "run": (10.0, 40.0), "idle after": (60.0, 70.0)}
    t_s = np.arange(-0.5, 70.5, 0.01)
    trace = made.trace(made.record(made.power(), t_s, 1.0 + 0.001 * t_s), spans=spans)
    found = joules(trace, made.of(trace), idle=made.idle(trace))
    assert found.idle.total_w == pytest.approx(1.0 + 0.001 * 25, abs=1e-6)
    assert found.net.value == pytest.approx(0.0, abs=1e-3)


def test_net_that_its_own_u_swallows_is_not_resolved_and_has_an_upper_bound():
    quiet = made.measured(seed=4, limits=Specification(0.001), run_w=1.6001, noise_w=0.02)
    found = joules(quiet, made.of(quiet), idle=made.idle(quiet))
    assert found.gross.verdict == "resolved"
    assert found.net.verdict == "not resolved"
    assert found.upper_bound_j() == pytest.approx(found.net.value + found.net.u95)
    assert found.upper_bound_j() >= 0
    assert found.upper_bound_j(net=False) is None


@pytest.mark.fault(31)
def test_negative_power_keeps_its_sign_and_is_warned_of():
    flipped = made.measured(idle_w=-1.6, run_w=-2.1)
    found = joules(flipped, made.of(flipped), idle=made.idle(flipped))
    assert found.gross.value == pytest.approx(-63.0, abs=0.1)
    assert found.net.value == pytest.approx(-15.0, abs=0.1)
    assert any("negative mean power" in warning for warning in found.warnings)
    assert any("idle power is negative" in warning for warning in found.warnings)
    below = made.measured(idle_w=1.6, run_w=1.5)
    assert joules(below, made.of(below), idle=made.idle(below)).net.value == pytest.approx(-3.0, abs=0.1)


def test_the_label_is_the_sensors_and_nothing_else():
    for label in ("measured", "emulated"):
        trace = made.with_sensor(made.measured(), label=label)
        assert joules(trace, made.of(trace)).label == label
    trace = made.with_sensor(made.measured(), label="estimated")
    with pytest.raises(LabelError, match="'estimated'"):
        joules(trace, made.of(trace))


@pytest.mark.fault(27)
def test_a_total_is_never_added_to_its_parts():
    channels = [made.power("12V"), made.power("INT", part_of="12V"), made.power("DDR", part_of="12V"), made.power("FAN")]
    trace = sensed(channels, lambda t_s: np.stack([0 * t_s + w for w in (10.0, 4.0, 2.0, 1.0)], axis=1))
    window = made.of(trace)
    found = joules(trace, window)
    assert found.rails == ("12V", "FAN")
    assert found.gross.value == pytest.approx(330.0)
    assert "12V" in found.gross.scope and "INT" not in found.gross.scope
    assert joules(trace, window, rails=["INT", "DDR"]).gross.value == pytest.approx(180.0)
    with pytest.raises(NoEnergy, match="'DDR' is part of '12V'"):
        joules(trace, window, rails=["DDR", "12V"])
    with pytest.raises(NoEnergy, match="each once"):
        joules(trace, window, rails=["DDR", "DDR"])
    with pytest.raises(NoEnergy, match="there are 12V, INT, DDR, FAN"):
        joules(trace, window, rails=["VCC"])


def test_rails_that_linux_only_names_are_added_up_with_a_warning():
    t_s = np.arange(-0.5, 70.5, 0.01)
    watts = np.stack([made.step_load(t_s), made.step_load(t_s) / 2], axis=1)
    cases = [("", "hwmon:ina3221", True), ("VDD_IN", "hwmon:ina3221?total=VDD_IN", False), ("", "serial:x", False)]
    for part_of, url, warned in cases:
        rails = made.power("VDD_IN"), made.power("VDD_SOC", part_of=part_of)
        trace = made.trace(made.record(rails, t_s, watts, url=url))
        found = joules(trace, made.of(trace))
        assert any("rails VDD_IN, VDD_SOC are added up" in note for note in found.warnings) == warned
        assert found.gross.value == pytest.approx(63 * (1 if part_of else 1.5), rel=1e-3)


def test_parts_of_parts_and_rails_whose_total_is_not_there():
    channels = [made.power("A", part_of="B"), made.power("C", part_of="A"), made.power("D", part_of="B")]
    trace = sensed(channels, lambda t_s: np.stack([0 * t_s + 1.0] * 3, axis=1))
    assert joules(trace, made.of(trace)).rails == ("A", "D")


@pytest.mark.fault(28)
def test_a_rail_that_is_off_is_left_out_and_watts_are_checked_against_volts_times_amperes():
    def channels(rail):
        return [Channel(f"{rail}/{unit}", unit, rail, rail, "point", Specification(0.001)) for unit in "WVA"]

    values = [3.5, 0.851, 4.375, 0.03125, 0.156, 10.187]
    trace = sensed(channels("INT") + channels("FMC"), lambda t_s: np.tile(values, (len(t_s), 1)))
    found = joules(trace, made.of(trace))
    assert found.rails == ("INT",)
    assert found.gross.value == pytest.approx(105.0)
    assert any("differ by 6%" in warning and "INT/W is used" in warning for warning in found.warnings)
    with pytest.raises(NoEnergy, match="switched off"):
        joules(trace, made.of(trace), rails=["FMC"])


def test_rails_add_with_what_they_share():
    """Gains of two rails are two errors, the clock of one sensor is one; so are the edges."""
    limits = Specification(0.003, time_base=0.004)
    channels = [Channel(rail, "J", rail, rail, "accumulated", limits) for rail in "AB"]
    trace = sensed(channels, lambda t_s: np.stack([2.0 * t_s + 10, 2.0 * t_s + 10], axis=1))
    terms = {term.name: term.u_j for term in joules(trace, made.of(trace)).budget_gross.terms}
    assert terms["gain"] == pytest.approx(0.003 * 60 * math.sqrt(2) / math.sqrt(3))
    assert terms["time base"] == pytest.approx(0.004 * 120 / math.sqrt(3))
    step = sensed([made.power("A"), made.power("B")], lambda t_s: np.stack([made.step_load(t_s)] * 2, axis=1))
    one = {term.name: term.u_j for term in joules(step, made.of(step), rails=["A"]).budget_gross.terms}
    both = {term.name: term.u_j for term in joules(step, made.of(step)).budget_gross.terms}
    assert both["edges"] == pytest.approx(2 * one["edges"])


@pytest.mark.parametrize("slow_first", [True, False])
def test_rails_that_are_renewed_at_different_rates_share_one_stretch_of_idle(slow_first):
    """Offsets cancel in net and gains weigh by net energy on every rail, whichever comes first."""
    limits = Specification(0.01, offset=0.05)
    channels = [made.power("slow", limits=limits, refresh_s=0.4), made.power("fast", limits=limits)]

    def watts(t_s):
        held_w = np.random.default_rng(1).normal(0.0, 0.01, 200)[np.floor(t_s / 0.4).astype(int) + 2]
        return [made.step_load(t_s) + held_w, noisy(t_s, made.step_load(t_s), 2)]

    order = slice(None) if slow_first else slice(None, None, -1)
    trace = sensed(channels[order], lambda t_s: np.stack(watts(t_s)[order], axis=1))
    found = joules(trace, made.of(trace), idle=made.idle(trace))
    terms = {term.name: term.u_j for term in found.budget_net.terms}
    assert [each.series.refresh.refresh_s for each in found.parts][order] == [pytest.approx(0.4), pytest.approx(0.01)]
    assert terms["offset"] == pytest.approx(0.0, abs=1e-9)
    assert terms["gain"] == pytest.approx(0.01 * 15 * math.sqrt(2) / math.sqrt(3), rel=0.02)


def test_noise_of_rails_adds_in_squares_where_it_is_their_own_and_linearly_where_it_is_the_same():
    own = sensed([made.power("A"), made.power("B")], lambda t_s: np.stack([noisy(t_s, 2, 1), noisy(t_s, 2, 2)], axis=1))
    same = sensed([made.power("A"), made.power("B")], lambda t_s: np.stack([noisy(t_s, 2, 1), noisy(t_s, 2, 1)], axis=1))

    def noise(trace, rails):
        return {term.name: term.u_j for term in joules(trace, made.of(trace), rails=rails).budget_gross.terms}["noise"]

    assert noise(own, ["A", "B"]) == pytest.approx(math.hypot(noise(own, ["A"]), noise(own, ["B"])), rel=0.02)
    assert noise(same, ["A", "B"]) == pytest.approx(2 * noise(same, ["A"]), rel=1e-6)
    assert noise(own, ["A"]) == pytest.approx(0.01 * 0.01 * math.sqrt(3000), rel=0.05)


def test_volts_and_amperes_have_gains_of_their_own_and_offsets_by_the_other_one():
    volts = Channel("v", "V", "r", "r", "point", Specification(0.001, offset=0.01))
    amperes = Channel("a", "A", "r", "r", "point", Specification(0.002, offset=0.003, shunt=0.005))
    trace = sensed((volts, amperes), lambda t_s: np.stack([0 * t_s + 5.0, made.step_load(t_s, 0.2, 0.5)], axis=1))
    found = joules(trace, made.of(trace), idle=made.idle(trace))
    gross = {term.name: term.u_j for term in found.budget_gross.terms}
    net = {term.name: term.u_j for term in found.budget_net.terms}
    assert gross["gain"] == pytest.approx(75 * math.hypot(0.001, 0.002) / math.sqrt(3), rel=1e-3)
    assert gross["shunt"] == pytest.approx(75 * 0.005 / math.sqrt(3), rel=1e-3)
    assert gross["offset"] == pytest.approx(math.hypot(0.01 * 15, 0.003 * 150) / math.sqrt(3), rel=1e-3)
    # In net the offset of the amperes cancels, as volts are the same; that of the volts acts on the amperes that are more.
    assert net["offset"] == pytest.approx(0.01 * 0.3 * 30 / math.sqrt(3), rel=1e-2)


@pytest.mark.parametrize("watts_too", [True, False])
def test_a_running_total_has_the_offset_of_its_power_once_and_net_does_not(watts_too):
    limits = MeterLimits(rail="r", gain_limit=0.0, offset_limit=0.05)
    channels = [limits.channel("energy", "J", Specification(0.0), "accumulated")]
    channels += [limits.channel("power", "W", Specification(0.0))] if watts_too else []
    trace = sensed(channels, lambda t_s: np.stack([2.0 * t_s + 10, 0 * t_s + 2.0][: len(channels)], axis=1))
    found = joules(trace, made.of(trace), idle=made.idle(trace))
    gross, net = ({term.name: term.u_j for term in budget.terms} for budget in (found.budget_gross, found.budget_net))
    assert gross["offset"] == pytest.approx(0.05 * 30 / math.sqrt(3))
    assert net["offset"] == pytest.approx(0.0, abs=1e-9)


def test_no_stated_gain_means_no_uncertainty():
    trace = made.measured(limits=Specification(None))
    found = joules(trace, made.of(trace), idle=made.idle(trace))
    assert found.gross.u95 is None
    assert found.gross.verdict.startswith("invalid: Type B unknown: nobody states a gain error for board/power")
    assert found.net.verdict.startswith("invalid: Type B unknown")
    assert found.gross.value == pytest.approx(63.0, abs=0.1)


def calibration(**changes):
    base = dict(sensor={"model": "test", "url": "serial:test"}, channel="board/power", scope="board, all of it", gain=1.02,
                offset_w=0.01, u_gain=0.0004, u_offset_w=0.001, covariance=0.0, dof=8.0, date="2026-01-31T12:00:00+00:00",
                source="load", low_w=0.0, high_w=5.0)  # fmt: skip
    return Calibration(**{**base, **changes})


def test_a_calibration_corrects_and_takes_the_place_of_gain_shunt_and_offset():
    trace = made.measured(limits=Specification(None, shunt=0.01, offset=0.005), noise_w=0.001)
    found = joules(trace, made.of(trace), idle=made.idle(trace), calibrations=[calibration()])
    assert found.gross.value == pytest.approx(1.02 * 63 + 0.3, abs=0.01)
    assert found.net.value == pytest.approx(1.02 * 15, abs=0.01)
    gross = {term.name: term.u_j for term in found.budget_gross.terms}
    net = {term.name: term.u_j for term in found.budget_net.terms}
    assert gross["calibration"] == pytest.approx(calibration().u_energy_j(63.0, 30.0), rel=1e-3)
    assert net["calibration"] == pytest.approx(0.0004 * 15, rel=1e-2)
    assert "shunt" not in gross and "offset" not in gross
    bound = calibration(covariance=-0.0004 * 0.001 * 0.9)
    gross = {t.name: t.u_j for t in joules(trace, made.of(trace), calibrations=[bound]).budget_gross.terms}
    assert gross["calibration"] == pytest.approx(bound.u_energy_j(63.0, 30.0), rel=1e-3)


class Shifted:
    """An alignment: the meter is 0.8 s ahead and 0.4 % fast."""

    residual_s = 0.001

    def host_stamps(self, readings):
        return (readings.device_t_s - 0.8) / 1.004


def test_with_an_alignment_the_meters_own_stamps_count_and_the_residual_is_in_the_budget():
    host_s = np.arange(-0.5, 70.5, 0.01)
    late = host_s + 0.1 + 0.05 * np.random.default_rng(0).random(len(host_s))
    record = made.record(made.power(limits=Specification(0.0)), late, made.step_load(host_s), device_t_s=1.004 * host_s + 0.8)
    trace = made.trace(record)
    window, idle = made.of(trace), made.idle(trace)
    found = joules(trace, window, idle=idle, alignment=Shifted())
    assert found.net.value == pytest.approx(15.0, abs=0.006)
    assert found.residual_s == 0.001
    terms = {term.name: term.u_j for term in found.budget_net.terms}
    assert terms["alignment"] == pytest.approx(math.sqrt(2) * 0.5 * 0.001 / math.sqrt(3), rel=1e-6)
    with pytest.raises(NoEnergy, match="no clock of its own"):
        joules(made.measured(), window, alignment=Shifted())


@pytest.mark.fault(34)
def test_nothing_is_made_of_nothing():
    trace = made.measured()
    window = made.of(trace)
    with pytest.raises(NoEnergy, match="sensor number 3"):
        joules(trace, window, sensor=3)
    with pytest.raises(NoEnergy, match="virtual clock"):
        joules(trace, replace(window, clock="virtual"))
    with pytest.raises(NoEnergy, match="gave no samples"):
        joules(made.trace(made.record(made.power(), np.zeros(0), np.zeros((0, 1)))), window)
    with pytest.raises(NoEnergy, match="no rail in watts"):
        joules(sensed(Channel("t", "Cel", "r", "r", "point", Specification(0.0)), lambda t_s: t_s), window)
    with pytest.raises(NoEnergy, match="0 executed iterations"):
        joules(trace, replace(window, iterations=0)).per_iteration(net=False)
    with pytest.raises(NoEnergy, match="no net energy"):
        joules(trace, window).per_iteration()
    assert joules(trace, window).per_iteration(net=False).value == pytest.approx(0.63, abs=0.001)


@pytest.mark.fault(36)
def test_background_work_shows_in_the_load_average_and_in_idle():
    whole = made.measured()
    loads = [[0.0, [3.1, 1, 1]], [30.0, [3.2, 1, 1]]]
    busy = replace(whole, provenance={"machine": {"cpus": 4}, "observations": {"load_average": loads}})
    assert any("busy before the run" in warning for warning in joules(busy, made.of(busy)).warnings)
    loads[0][1][0], loads[1][1][0] = 0.1, 5.9
    assert any("more was at work" in warning for warning in joules(busy, made.of(busy)).warnings)
    loads[1][1][0] = 1.3
    assert not joules(busy, made.of(busy)).warnings
    t_s = np.arange(-0.5, 70.5, 0.01)
    watts = noisy(t_s, np.where(t_s < 20, 1.6, np.where(t_s < 50, 2.1, 1.75)), 1)
    trace = made.trace(made.record(made.power(limits=Specification(0.001)), t_s, watts))
    found = joules(trace, made.of(trace), idle=made.idle(trace))
    assert any(warning.startswith("idle changed by +0.1") for warning in found.warnings)
    assert found.net.u95 > 2 * 0.07 * 30 / math.sqrt(3)


@pytest.mark.fault(40)
def test_idle_is_taken_with_the_sampler_on():
    """What sampling costs is in idle as in the run; idle without samples is no idle."""
    whole = made.measured()
    polled = made.with_sensor(whole, readings=replace(whole.sensors[0].readings, values=whole.sensors[0].readings.values + 0.3))
    plain, costly = (joules(t, made.of(t), idle=made.idle(t)) for t in (whole, polled))
    assert costly.net.value == pytest.approx(plain.net.value, rel=1e-9)
    off = made.of(whole), (Window("idle before", 0, "idle", "host", -90.0, -60.0),)
    found = joules(whole, off[0], idle=off[1])
    assert found.net is None
    assert any("no net energy: rail 'board' has no samples" in warning for warning in found.warnings)


def test_one_sided_idle_is_said_and_costs():
    whole = made.measured()
    before, after = made.idle(whole)
    both, one = (joules(whole, made.of(whole), idle=idle) for idle in ((before, after), (before,)))
    assert one.net.u95 > both.net.u95
    assert any("one side" in warning for warning in one.warnings)
    with_overlap = joules(whole, made.of(whole), idle=(replace(before, end_s=30.0),))
    assert with_overlap.net is None and "some overlap it" in with_overlap.warnings[0]


def test_correlated_noise_counts_for_more_and_white_noise_does_not():
    rng = np.random.default_rng(9)
    t_s = np.arange(-0.5, 70.5, 0.01)
    white = rng.standard_normal(len(t_s))
    red = white.copy()
    for i in range(1, len(red)):
        red[i] = 0.9 * red[i - 1] + math.sqrt(1 - 0.81) * white[i]
    noise = []
    for part in (white, red):
        trace = made.trace(made.record(made.power(limits=Specification(0.0)), t_s, made.step_load(t_s) + 0.02 * part))
        found = joules(trace, made.of(trace), idle=made.idle(trace))
        noise.append({term.name: term.u_j for term in found.budget_gross.terms}["noise"])
    assert noise[0] == pytest.approx(0.02 * 0.01 * math.sqrt(3000), rel=0.06)
    assert noise[1] / noise[0] == pytest.approx(math.sqrt(1.9 / 0.1), rel=0.25)


def test_to_json_is_json_and_says_what_a_reader_must_know():
    trace = made.measured(limits=Specification(0.001, shunt=0.005, quantum=0.001, source="sheet"))
    found = json.loads(json.dumps(joules(trace, made.of(trace), idle=made.idle(trace)).to_json(), allow_nan=False))
    assert set(found["gross"]) == {"value", "u95", "verdict", "scope"}
    assert found["label"] == "measured"
    assert found["per_iteration"]["net"]["value"] == pytest.approx(found["net"]["value"] / 100)
    assert {term["name"] for term in found["budget"]["net"]["terms"]} >= {"shunt", "gain", "noise", "edges", "idle drift"}
    assert found["budget"]["net"]["u95_j"] == found["net"]["u95"]
    assert found["coverage"]["board"]["refresh_s"] == pytest.approx(0.01)
    assert found["rails"]["board"]["channels"][0]["specification"]["source"] == "sheet"
    assert found["idle"]["power_w"] == [pytest.approx(1.6, abs=0.01)] * 2
