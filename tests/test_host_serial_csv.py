"""Plain comma-separated lines: units, sequence and time where there are any, and what is no row."""

from __future__ import annotations

import math

import numpy as np
import pytest
import trace_cases
from hypothesis import given, settings
from hypothesis import strategies as st
from serial_meter import ScriptedPort, begun, fed, lost

from host.sensor import SensorError
from measurements.joules import joules

COLUMNS = "seq:#,time:us,bus:V,current:mA,-"


def line(number: int, time_us: int | None = None) -> bytes:
    return b"%d,%d,12.%03d,%d.5,x\r\n" % (
        number,
        (1000 * number if time_us is None else time_us) % 2**32,
        number % 1000,
        number % 700,
    )


def meter(columns: str = COLUMNS, first: bytes = b"x\n" + line(1), gain_limit: float | None = None, **options):
    options = {"columns": columns, **options} if columns else options
    return begun("csv", ScriptedPort(first=first), options, gain_limit=gain_limit)


def test_units_and_columns():
    protocol = meter()
    (_, values, device_s, sequence), losses = fed(protocol, b"half\n" + b"".join(line(i) for i in range(5, 9)))
    assert [(c.name, c.unit) for c in protocol.channels] == [("input/voltage", "V"), ("input/current", "A"), ("input/power", "W")]
    assert losses == [] and sequence.tolist() == [5, 6, 7, 8] and np.allclose(device_s, [5e-3, 6e-3, 7e-3, 8e-3])
    assert np.allclose(values[0], [12.005, 5.5e-3, 12.005 * 5.5e-3])
    assert protocol.channels[2].specification.gain is None, "nobody states the accuracy of a line of text"


def test_a_header_line_names_the_columns():
    protocol = meter("", b"boot\ntime_ms,bus_V,power_mW\n5,12.0,250\n")
    (_, values, device_s, sequence), losses = fed(protocol, b"\n7,12.5,300\ntime_ms,bus_V,power_mW\n8,12.5,301\n")
    assert values.tolist() == [[12.5, 0.3], [12.5, 0.301]] and device_s.tolist() == [0.007, 0.008] and losses == []
    assert sequence.tolist() == [-1, -1]
    assert "cannot be counted" in protocol.describe()["drops"]


def test_the_step_of_a_column_is_its_last_digits():
    rows = b"x\n1,11.97,250,0.0125\n2,12,251.5,1.25e-2\n3,12.0,nan,1\n"
    protocol = meter("seq:#,bus:V,current:mA,total:Wh", rows)
    steps = {channel.unit: channel.specification.quantum for channel in protocol.channels}
    assert steps == pytest.approx({"V": 0.01, "A": 1e-4, "J": 0.36, "W": 0.01 * 0.25})
    assert all("steps as the digits show them" in channel.specification.source for channel in protocol.channels)


@pytest.mark.parametrize("row", [b"nan", b"0e999999", b"0e-99999999999999999999"])
def test_digits_that_show_no_step_are_no_error(row):
    assert meter("power:W", b"x\n" + row + b"\n").channels[0].specification.quantum == 0.0


def test_a_step_in_the_watts_is_in_the_budget_of_the_joules():
    """A load that rests between two steps: the meter is off by up to half of one all the time."""
    watts = meter("power:W", b"x\n2.0\n2.1\n", gain_limit=0.0).channels[0]
    t_s = np.arange(-0.5, 70.5, 0.01)
    whole = trace_cases.trace(trace_cases.record(watts, t_s, np.round(trace_cases.step_load(t_s, run_w=2.13), 1)))
    terms = {term.name: term.u_j for term in joules(whole, trace_cases.of(whole)).budget_gross.terms}
    assert terms["quantisation"] == pytest.approx(30 * 0.1 / math.sqrt(12), rel=0.01)


@pytest.mark.parametrize(
    ("columns", "what"),
    [("bus:X", "has no unit"), ("a:us,b:ms,c:V", "two clocks"), ("seq:#", "no quantity"), ("time:us,p:W", "too often")],
)
def test_bad_columns_are_refused(columns, what):
    with pytest.raises((ValueError, SensorError), match=what):
        meter(columns, time_bits="16" if what == "too often" else "32")


@pytest.mark.fault(3)
def test_the_rest_of_a_line_and_its_beginning_are_not_parsed():
    sent = b"".join(line(i) for i in range(100, 110))
    for cut in range(1, len(line(100))):
        (_, values, _, sequence), _ = fed(meter(), sent[cut : len(sent) - cut])
        assert sequence.tolist() == list(range(101, 109)), "what follows half a line looks like a whole one"


@pytest.mark.fault(4)
def test_garbage_is_counted_and_given_up():
    protocol = meter()
    (_, _, _, sequence), losses = fed(protocol, b"\n" + line(3) + b"\xff\xfe12,13\n1,2,nonsense,4,5\n1,2,3\n" + line(4))
    assert sequence.tolist() == [3, 4] and lost(losses, "garbage") == 8 + 17 + 6
    with pytest.raises(SensorError, match="another protocol or another baud rate"):
        fed(protocol, b"12.0 V\n" * 20_000)


@pytest.mark.fault(7)
@pytest.mark.fault(6)
@pytest.mark.parametrize("text", [b"nan", b"inf", b"4294967295"])
def test_no_number_and_sentinels_are_missing_not_values(text):
    protocol = meter("bus:V,current:A", b"x\n12,1\n")
    (_, values, _, _), losses = fed(protocol, b"\n12.0,1\n12.0," + text + b"\n12.0,2\n")
    assert np.isnan(values[1, 1]) and np.isnan(values[1, 2]) and np.isfinite(values[[0, 2]]).all()
    assert lost(losses, "rejected") == 1


@pytest.mark.fault(11)
@pytest.mark.fault(21)
def test_time_wraps_and_holes_are_counted():
    start = 2**32 - 5000
    sent = b"\n" + b"".join(line(i, start + 1000 * i) for i in range(20) if i not in (7, 8))
    (_, _, device_s, sequence), losses = fed(meter(), sent, cuts=(50, 120))
    assert lost(losses, "dropped") == 2
    assert np.allclose(np.diff(device_s), 1e-3 * np.diff(sequence))


def test_seconds_with_decimals_are_a_clock():
    protocol = meter("t:s,power:W", b"x\n1.5,2\n")
    (_, _, device_s, _), _ = fed(protocol, b"\n1.500001,2\n2.25,3\n")
    assert device_s.tolist() == pytest.approx([1.500001, 2.25])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**6), max_size=12), st.integers(0, 10**6))
def test_rows_do_not_depend_on_where_the_bytes_were_cut(cuts, seed):
    rng = np.random.default_rng(seed)
    parts = [b"rest\n"]
    for number in range(1, 40):
        parts += [line(number), rng.choice([b"", b"boot!\n", b"# remark\n", b"\xff,\n", b"\r\n"])]
    whole, whole_losses = fed(meter(), b"".join(parts))
    cut, cut_losses = fed(meter(), b"".join(parts), cuts)
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(whole, cut, strict=True))
    assert lost(whole_losses, "garbage") == lost(cut_losses, "garbage")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=80) | st.text("0123456789.,-e+nainf\n\r#", max_size=60).map(str.encode), max_size=6))
def test_any_bytes_raise_nothing_but_a_sensor_error(pieces):
    protocol, count = meter(), 0
    for piece in pieces:
        found, losses = protocol.feed([(piece, 1.0)])
        count += len(found)
    assert count <= b"".join(pieces).count(b"\n")
