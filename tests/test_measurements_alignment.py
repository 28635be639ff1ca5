"""A meter's clock recovered from signatures, arrivals and edges; what cannot be recovered is refused, never guessed."""

from dataclasses import replace

import numpy as np
import pytest

from host.readings import HOST_CLOCK, Readings
from host.sensor import Channel, Specification
from host.signature import AFTER, BEFORE, Pattern
from host.trace import Gap, Mark, SensorRecord, Trace
from measurements.alignment import Alignment, AlignmentError, align, align_edges
from measurements.benchmark_alignment import Scene, make, outcome, row_error_s
from measurements.lower_envelope import lower_envelope
from measurements.pin_edges import PIN

SHORT = Scene(run_s=8.0)


@pytest.mark.fault(15)
@pytest.mark.parametrize("scene", [
    pytest.param(Scene(), id="points"),
    pytest.param(Scene(averaging_s=1e-3), id="means"),
    pytest.param(Scene(link_s=0.8), id="late"),
    pytest.param(Scene(stamps="sequence"), id="count"),
    pytest.param(Scene(fast=-0.005), id="slow"),
    pytest.param(Scene(fast=0.005, ahead_s=5000.0), id="long on"),
])  # fmt: skip
def test_a_1_khz_meter_is_brought_to_a_millisecond(scene):
    for seed in range(4):
        trace, host_s = make(scene, seed)
        found = align(trace)
        error_s = row_error_s(scene, trace, host_s, found)
        assert error_s < 0.5e-3
        assert error_s < 2 * found.residual_s < 1e-3
        if found.basis == "device":
            assert found.meter_ppm == pytest.approx(scene.fast * 1e6, abs=20)
            assert abs(found.meter_ppm - scene.fast * 1e6) < 5 * found.u_rate * 1e6


def test_offset_and_rate_are_found_from_power_alone():
    """0.8 s and 0.4 % away from the start of the search, without a look at the arrivals."""
    done = [outcome(Scene(), seed, power_alone=True) for seed in range(4)]
    assert all(o.error_s < 0.5e-3 for o in done)


def test_the_rate_is_searched_where_a_long_signature_would_run_out_of_step():
    """0.4 % of 10 s are two chips: without the rate the far end of the signature meets the wrong ones."""
    done = outcome(Scene(pattern=Pattern(9, 0.0203), run_s=4.0), 0, power_alone=True)
    assert done.error_s < 0.5e-3


def test_load_steps_of_others_that_dwarf_the_signature_do_little():
    done = [outcome(replace(SHORT, others_w=0.7), seed) for seed in range(8)]
    found = [o.error_s for o in done if o.error_s is not None]  # a seed with such steps all over the signature is refused
    assert len(found) >= 5 and max(found) < 0.5e-3


def test_the_residual_bounds_the_error():
    done = [outcome(SHORT, seed) for seed in range(20)]
    assert np.mean([o.error_s <= o.residual_s for o in done]) >= 0.85
    assert np.median([o.residual_s for o in done]) < 0.2e-3


@pytest.mark.parametrize("scene,limit_s", [
    pytest.param(Scene(refresh_s=0.01, averaging_s=0.01), 0.5e-3, id="10 ms"),
    pytest.param(Scene(refresh_s=0.0352, averaging_s=0.0352), 1.5e-3, id="35 ms"),
])  # fmt: skip
def test_slower_meters_reach_less_and_say_so(scene, limit_s):
    done = [outcome(scene, seed) for seed in range(8)]
    assert max(o.error_s for o in done) < limit_s
    assert all(o.error_s < 2 * o.residual_s for o in done)


def test_edges_locked_to_the_values_are_in_the_residual():
    """All edges on one phase of a 1 kHz grid: half a millisecond stays open, and the scatter alone would not show it."""
    scene = Scene(fast=0.0, pattern=Pattern(7, 0.020), run_s=7.46)
    for seed in range(5):
        done = outcome(scene, seed)
        assert done.error_s <= done.residual_s
        assert done.residual_s > 0.4e-3


@pytest.mark.parametrize("without,said", [((AFTER,), "'signature after'"), ((BEFORE, AFTER), "'signature before'")])
def test_a_signature_that_was_not_played_is_missed_with_step_noise_and_what_is_needed(without, said):
    for seed in range(5):
        trace, _ = make(SHORT, seed, without)
        with pytest.raises(AlignmentError, match=rf"no {said} was found.* power step of .* W, but noise .* W are needed"):
            align(trace)


def test_a_step_that_drowns_is_refused_not_guessed():
    done = [outcome(replace(SHORT, step_w=0.004), seed) for seed in range(10)]
    assert all(o.error_s is None and "W are needed" in o.refusal for o in done)


def again(trace, scene, delay_s, names=(BEFORE, AFTER)):
    """Return the trace with signatures played once more, `delay_s` later."""
    record = trace.sensors[0]
    values = record.readings.values.copy()
    for name, start_s in zip((BEFORE, AFTER), scene.starts_s(), strict=True):
        t_s = (record.readings.device_t_s - scene.ahead_s) / (1 + scene.fast) - start_s - delay_s
        if name in names:
            values[:, 0] += scene.step_w * np.any([(t_s >= a) & (t_s < b) for a, b in scene.played().on_s], 0)
    return replace(trace, sensors=(replace(record, readings=replace(record.readings, values=values)),))


def test_signatures_seen_twice_are_ambiguous():
    trace, host_s = make(SHORT, 1)
    with pytest.raises(AlignmentError, match=r"'signature before' fits two places, 0.9\d* s apart, nearly as well"):
        align(again(trace, SHORT, 0.9))
    once = again(trace, SHORT, 0.9, (BEFORE,))  # no clock within reach has the second one where it belongs
    assert row_error_s(SHORT, once, host_s, align(once)) < 0.5e-3


def test_marks_that_are_not_there_or_not_whole_are_named():
    trace, _ = make(SHORT, 2)
    before = tuple(mark for mark in trace.marks if mark.name == BEFORE)
    with pytest.raises(AlignmentError, match="has no 'signature after': offset and rate"):
        align(replace(trace, marks=before))
    aborted = tuple(replace(m, note={**m.note, "aborted": True}) if m.edge == "end" else m for m in trace.marks)
    with pytest.raises(AlignmentError, match="no 'signature before' and no 'signature after'"):
        align(replace(trace, marks=aborted))
    empty = tuple(replace(mark, note={}) for mark in trace.marks)
    with pytest.raises(AlignmentError, match="does not say when the array worked"):
        align(replace(trace, marks=empty))
    virtual = tuple(replace(mark, clock="virtual") for mark in trace.marks)
    with pytest.raises(AlignmentError, match="stamped by the virtual clock, sensor 'serial:benchmark' by the host clock"):
        align(replace(trace, marks=virtual))


def test_a_meter_that_started_anew_between_the_signatures_is_refused():
    trace, _ = make(SHORT, 3)
    gap = Gap(0, SHORT.starts_s()[0] + 5, "counter reset", 0)
    with pytest.raises(AlignmentError, match="began anew at .* between the signatures"):
        align(replace(trace, gaps=(gap,)))
    align(replace(trace, gaps=(replace(gap, t_s=SHORT.starts_s()[0] - 1),)))
    align(replace(trace, gaps=(replace(gap, sensor=1),)))


def test_a_meter_that_is_too_slow_for_the_chips_is_told_what_it_needs():
    trace, _ = make(Scene(refresh_s=0.05, pattern=Pattern(7, 0.0203), run_s=5.0), 0)
    with pytest.raises(AlignmentError, match=r"a value every 0.049\d s, .* chips of at least 0.09"):
        align(trace)


def test_a_match_before_which_values_arrived_is_wrong():
    trace, _ = make(SHORT, 4)
    record = trace.sensors[0]
    early = replace(record, readings=replace(record.readings, t_s=record.readings.t_s - 0.3))
    with pytest.raises(AlignmentError, match="would have arrived 0.2.* s before it was taken"):
        align(replace(trace, sensors=(early,)))


def test_a_meter_without_stamps_or_count_gets_its_typical_delay():
    scene = Scene(stamps="arrival", link_s=0.05, run_s=8.0)
    trace, host_s = make(scene, 5)
    found = align(trace)
    assert found.basis == "arrival" and found.rate == 1.0 and found.meter_ppm == 0.0
    delay_s = trace.sensors[0].readings.t_s - host_s
    assert 0.050 < -found.offset_s < np.mean(delay_s)
    assert -found.offset_s == pytest.approx(float(np.median(delay_s)), abs=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_a_slow_meter_stamped_by_the_host_is_found_on_the_host_clock(seed):
    """As the simulated board's sensor: no clock of its own, a grid of two places per chip."""
    scene = Scene(refresh_s=0.0352, averaging_s=0.0352, fast=0.0, ahead_s=0.0, white_w=0.005)
    trace, host_s = make(scene, seed)
    record = trace.sensors[0]
    stamped = replace(record, readings=replace(record.readings, t_s=host_s, device_t_s=np.full(len(host_s), np.nan)))
    found = align(replace(trace, sensors=(stamped,)))
    assert found.basis == "arrival" and abs(found.offset_s) <= found.residual_s < 2e-3


def test_volts_and_amperes_do_where_there_are_no_watts():
    trace, host_s = make(SHORT, 6)
    record = trace.sensors[0]
    power = record.readings.values[:, 0]
    channels = tuple(Channel(unit, unit, "5V", "board", "point", Specification(0.001)) for unit in ("V", "A", "Cel"))
    values = np.stack([np.full(len(power), 5.0), power / 5.0, np.full(len(power), 30.0)], 1)
    both = replace(record, channels=channels, readings=replace(record.readings, values=values))
    found = align(replace(trace, sensors=(both,)))
    assert row_error_s(SHORT, trace, host_s, found) < 0.5e-3
    with pytest.raises(AlignmentError, match="neither watts nor volts and amperes"):
        align(replace(trace, sensors=(replace(both, channels=(channels[0], replace(channels[0], name="v2"), channels[2])),)))


def test_parts_of_a_rail_are_not_added_to_it():
    trace, host_s = make(SHORT, 7)
    record = trace.sensors[0]
    part = replace(record.channels[0], name="part", rail="1V0", part_of="5V")
    noise = np.random.default_rng(0).normal(0, 1.0, (len(record.readings), 1))
    two = replace(record, channels=(*record.channels, part),
                  readings=replace(record.readings, values=np.concatenate([record.readings.values, noise], 1)))  # fmt: skip
    assert row_error_s(SHORT, trace, host_s, align(replace(trace, sensors=(two,)))) < 0.5e-3


def test_lost_rows_and_nan_do_no_harm():
    trace, host_s = make(SHORT, 8)
    record = trace.sensors[0]
    values = record.readings.values.copy()
    values[::17] = np.nan
    order = np.arange(len(values)).reshape(-1, 1).ravel()
    order[100:102] = order[[101, 100]]
    readings = replace(record.readings, values=values[order], device_t_s=record.readings.device_t_s[order])
    broken = replace(trace, sensors=(replace(record, readings=readings),))
    assert row_error_s(SHORT, broken, host_s[order], align(broken)) < 0.5e-3


def test_json_gives_the_same_alignment_back():
    trace, _ = make(SHORT, 9)
    found = align(trace)
    again = Alignment.from_json(found.to_json())
    assert again.to_host(12.5) == found.to_host(12.5) and again.residual_s == found.residual_s
    assert found.to_json()["meter_ppm"] == pytest.approx(4000, abs=20)
    np.testing.assert_array_equal(again.host_stamps(trace.sensors[0].readings), found.host_stamps(trace.sensors[0].readings))


def test_the_line_under_the_arrivals_is_late_by_the_shortest_delay_only():
    rng = np.random.default_rng(3)
    device = 100.0 + np.arange(20_000) * 1e-3
    arrival = 7.0 + device / 1.004 + 0.002 + rng.exponential(0.01, len(device))
    found = lower_envelope(device, arrival)
    line = found.offset_s + found.rate * device
    assert (arrival - line >= -1e-9).all()
    np.testing.assert_allclose(line, 7.0 + device / 1.004 + 0.002, atol=2e-4)
    assert found.median_delay_s == pytest.approx(0.01 * np.log(2), rel=0.1)
    with pytest.raises(ValueError, match="two of different device time"):
        lower_envelope(np.ones(5), np.ones(5))


def test_the_line_under_the_arrivals_needs_no_order_and_takes_packets():
    rng = np.random.default_rng(4)
    device = np.arange(5_000) * 2e-3
    arrival = np.ceil((1.0 + device) / 0.016) * 0.016
    order = rng.permutation(len(device))
    found = lower_envelope(device[order], arrival[order])
    assert (arrival - found.offset_s - found.rate * device >= -1e-9).all()
    assert found.rate == pytest.approx(1.0, abs=2e-4)


def wired(spacing_s=1e-3, fast=0.004, lost=(), bit=True):
    """Return a trace of a meter that watches a wire, and the true map from its clock."""
    device = 3.0 + np.arange(40_000) * spacing_s
    host = (device - 0.8) / (1 + fast)
    windows = [(at + 0.1237 * i, at + 0.1237 * i + 0.05) for at in (10.0, 35.0) for i in range(10)]
    level = np.zeros(len(host))
    for i, (a, b) in enumerate(windows):
        if i not in lost:
            level += (host >= a) & (host < b) if bit else host >= a
    pin = Channel("5V/pins", "1", "5V", "mark pin", "point", Specification(0.0))
    watts = Channel("5V/power", "W", "5V", "board", "point", Specification(0.001))
    readings = Readings.of(host + 0.003, np.stack([np.ones(len(host)), level], 1), device_t_s=device)
    edges = [(i, edge, at) for i, ends in enumerate(windows) for edge, at in zip(("begin", "end"), ends, strict=True)]
    marks = [Mark(at, HOST_CLOCK, edge, PIN, number=i) for i, edge, at in edges]
    record = SensorRecord("serial:wired", HOST_CLOCK, "measured", (watts, pin), {}, None, readings)
    return Trace("finished", {}, (record,), tuple(marks), ()), lambda d: (d - 0.8) / (1 + fast)


@pytest.mark.parametrize("bit", [True, False], ids=["level", "counted rises"])
def test_edges_on_a_wire_are_used_where_both_saw_them(bit):
    trace, truth = wired(bit=bit)
    found = align(trace)
    assert found.method == "edges" and found.basis == "device"
    at = np.linspace(10.0, 36.0, 50)
    worst = np.max(np.abs(found.to_host(at) - truth(at)))
    assert worst < 0.3e-3 and worst <= found.residual_s < 1e-3


def test_edges_that_do_not_pair_are_refused():
    trace, _ = wired(lost=(3,))
    with pytest.raises(AlignmentError, match=r"saw 38 edges on its wire \(19 up\), the host made 40 \(20 up\)"):
        align(trace)
    with pytest.raises(AlignmentError, match="2 edges by the meter and 2 by the host: three pairs"):
        align_edges([0.0, 1.0], [0.0, 1.0])
    with pytest.raises(AlignmentError, match="the same time by the meter"):
        align_edges([1.0, 1.0, 1.0], [0.0, 1.0, 2.0])


def test_impossible_alignments_cannot_be_made():
    with pytest.raises(ValueError, match="basis 'clock'"):
        Alignment(0.0, 1.0, 0.0, "clock", "signatures")
    with pytest.raises(ValueError, match="rate -1.0"):
        Alignment(0.0, -1.0, 0.0, "device", "signatures")
