"""The line protocol: what rows mean, what is no row, and the sketch that sends them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serial_meter import ScriptedPort, begun, fed, lost

from host.line_format import Column, Header, RowFormat, checksum
from host.sensor import SensorError

ROOT = Path(__file__).parents[1]
COLUMNS = (Column("bus", "V", 1.25e-3, 4, False), Column("shunt", "S", 2.5e-6, 4, True), Column("pins", "1", 1.0, 1, False))
HEADER = Header(COLUMNS, {"chip": "INA226", "serial": "7", "shunt_uohm": "10000", "shunt_ppm": "5000", "cycle_us": "1000"})
FORMAT = RowFormat(COLUMNS)


def rows(first: int, count: int) -> bytes:
    number = np.arange(first, first + count)
    return FORMAT.encode(number, 1000 * number, np.column_stack([np.full(count, 9600), number % 2000 - 1000, number % 16]))


def meter(header: Header = HEADER, first: bytes = b"", **limits):
    return begun("lines", ScriptedPort(lambda data: header.line() + rows(0, 1) if b"?" in data else b"", first), **limits)


def test_checksum_is_the_published_one():
    assert checksum(b"123456789") == 0x29B1


def test_values_units_and_power():
    protocol = meter()
    (t_s, values, device_s, sequence), losses = fed(protocol, b"\n" + rows(990, 20))
    assert losses == []
    assert [(c.name, c.unit, c.kind) for c in protocol.channels] == [
        ("input/voltage", "V", "average"),
        ("input/current", "A", "average"),
        ("input/pins", "1", "point"),
        ("input/power", "W", "average"),
    ]
    number = np.arange(990, 1010)
    amperes = (number - 1000) * 2.5e-6 / 0.01
    assert np.allclose(values, np.column_stack([np.full(20, 12.0), amperes, number % 16, 12.0 * amperes]))
    assert (sequence == number).all() and np.allclose(device_s, 1e-3 * number) and (t_s == 100.0).all()


def test_limits_come_from_chip_and_shunt():
    power = meter().channels[3].specification
    assert power.shunt == 5e-3, "the shunt's tolerance is the header's"
    assert power.gain == pytest.approx(2 * 2.25e-3 + 8.5e-3 / 12) and power.offset == pytest.approx(12.0 * 12.5e-6 / 0.01)
    assert power.full_scale == pytest.approx(0.95 * 8.192 * 12.0) and power.quantum == pytest.approx(2.5e-6 / 0.01 * 12)
    assert "SBOS547" in power.source
    stated = meter(gain_limit=0.01, shunt_limit=1e-3, offset_limit=0.5).channels[3].specification
    assert (stated.gain, stated.shunt, stated.offset) == (0.01, 1e-3, 0.5) and "stated" in stated.source
    unknown = meter(Header(COLUMNS, {**HEADER.fields, "chip": "XYZ1"})).channels[3].specification
    assert unknown.gain is None


def test_a_shunt_stated_by_the_user_goes_before_the_meters():
    columns = (COLUMNS[1], Column("energy", "J", 1e-3, 10, False))
    form = RowFormat(columns)
    header = Header(columns, HEADER.fields)
    protocol = begun("lines", ScriptedPort(lambda data: header.line() if b"?" in data else b""), shunt_ohm=0.02, volts=12.0)
    (_, values, _, _), _ = fed(protocol, b"\n" + form.encode(np.array([1]), np.array([1]), np.array([[100, 4000]])))
    assert values[0].tolist() == pytest.approx([100 * 2.5e-6 / 0.02, 2.0])
    assert protocol.channels[1].wrap == pytest.approx(16**10 * 1e-3 / 2) and protocol.channels[1].kind == "accumulated"
    with pytest.raises(SensorError, match="state shunt_ohm="):
        meter(Header(COLUMNS, {"chip": "INA226"}))


@pytest.mark.fault(3)
def test_half_lines_at_both_ends_are_no_rows():
    whole = rows(5, 10)
    for cut in range(1, len(FORMAT.encode(np.array([5]), np.array([5]), np.zeros((1, 3), int)))):
        (_, values, _, sequence), losses = fed(meter(), whole[cut : len(whole) - cut])
        assert sequence.tolist() == list(range(6, 14)), cut
        assert losses == [], "half a line where the port was opened is nothing to complain of"


@pytest.mark.fault(4)
def test_banner_and_garbage_are_counted_and_skipped():
    noise = b"\xff\xfeets Jan  8 2013,rst:0x1\r\nnan,,\n" + b"\x00" * 50 + b"\n"
    (_, values, _, sequence), losses = fed(meter(), b"\n" + rows(1, 3) + noise + b"# a remark\n\r\n" + rows(4, 3))
    assert sequence.tolist() == [1, 2, 3, 4, 5, 6]
    assert lost(losses, "garbage") == len(noise)


@pytest.mark.fault(4)
def test_another_protocol_is_given_up_with_a_sentence():
    protocol = meter()
    fed(protocol, b"\n" + rows(1, 10))
    noise = bytes(range(128, 256)) * 8 + b"\n"
    with pytest.raises(SensorError, match="another protocol or another baud rate"):
        for _ in range(100):
            fed(protocol, noise)


@pytest.mark.fault(4)
@pytest.mark.parametrize(("data", "what"), [(b"", "nothing comes"), (b"12.0,0.1\n" * 20, "no header of the line protocol")])
def test_a_port_without_a_meter_of_ours_is_refused(data, what, monkeypatch):
    monkeypatch.setattr("host.serial_lines.HEADER_S", 0.1)
    with pytest.raises(SensorError, match=what):
        begun("lines", ScriptedPort(first=data))


def test_a_damaged_digit_is_no_row():
    line = bytearray(rows(3, 1))
    for place in range(len(line) - 1):
        for bit in (1, 4, 128):
            damaged = bytearray(line)
            damaged[place] ^= bit
            (_, values, _, _), losses = fed(meter(), b"\n" + bytes(damaged) + rows(4, 1))
            assert len(values) == 1, (place, bit)


def test_a_header_that_changed_is_another_meter():
    answers = [HEADER.line(), Header(COLUMNS, {**HEADER.fields, "shunt_uohm": "2000"}).line()]
    port = ScriptedPort(lambda data: answers[0] if b"?" in data else b"")
    protocol = begun("lines", port, volts=12.0)
    protocol.begin(port)
    answers[0] = answers[1]
    with pytest.raises(SensorError, match="another meter, or set differently"):
        protocol.begin(port)


@pytest.mark.parametrize("columns", ["bus:V:1:u4,bus:V:1:u4", "bus:Q:1:u4", "bus:V:1:u40", "bus:V:x:u4", ""])
def test_bad_headers_are_refused(columns):
    body = b"#joulegrad 1 chip=INA226 columns=" + columns.encode()
    with pytest.raises(SensorError, match="header cannot be used"):
        begun("lines", ScriptedPort(first=body + b"*%04X\n" % checksum(body)))


@settings(max_examples=200, deadline=None)
@given(st.text("0123456789abVSAWJ1:=,./ue- ", max_size=60), st.integers(0, 3))
def test_any_header_is_read_or_refused(text, extra):
    body = b"#joulegrad 1 " + b"columns=bus:V:1:u4 " * (extra == 1) + b"time_bits=8 " * (extra == 2) + text.encode()
    try:
        found = Header.parsed(body + b"*%04X" % checksum(body))
    except ValueError:
        return
    assert found.columns and RowFormat(found.columns).length <= 1024


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**6), max_size=12), st.integers(0, 10**6))
def test_rows_do_not_depend_on_where_the_bytes_were_cut(cuts, seed):
    rng = np.random.default_rng(seed)
    parts = [b"\n"]
    for first in range(0, 60, 20):
        parts += [rows(first, 20), rng.choice([b"", b"boot!\n", b"# remark\n", b"\xff\xff,\n", b"\n\r\n"])]
    whole, whole_losses = fed(meter(), b"".join(parts))
    cut, cut_losses = fed(meter(), b"".join(parts), cuts)
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(whole, cut, strict=True))
    assert lost(whole_losses, "garbage") == lost(cut_losses, "garbage")
    assert whole[3].tolist() == list(range(60))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=6))
def test_any_bytes_never_raise_and_never_make_a_row(pieces):
    protocol = meter()
    for piece in pieces:
        found, losses = protocol.feed([(piece, 1.0)])
        assert len(found) == 0 and found.values.shape[1] == len(protocol.channels)


# The sketch, compiled for this machine, with a chip that plays a known load.


@pytest.fixture(scope="module")
def sketch(tmp_path_factory):
    program = tmp_path_factory.mktemp("sketch") / "play_chip"
    arduino = ROOT / "tests" / "arduino"
    subprocess.run(
        [
            "g++",
            "-std=c++17",
            "-O1",
            "-Wall",
            "-Wextra",
            "-Werror",
            f"-I{arduino}",
            "-x",
            "c++",
            ROOT / "host" / "firmware" / "power_meter" / "power_meter.ino",
            arduino / "play_chip.cpp",
            "-o",
            program,
        ],
        check=True,
    )

    def run(chip, seconds, start_us=0, edge_us=0, stall_us=0, clock=1.0, busy_us=0):
        asked = (seconds, start_us, edge_us, stall_us, clock, busy_us)
        done = subprocess.run([program, chip, *map(str, asked)], capture_output=True, check=True)
        conversions, config = done.stderr.split()
        return done.stdout, int(conversions), int(config, 16)

    return run


def shunt_volts(number, is_228):
    deep = np.where(number % 5 == 0, 30000 if is_228 else 2000, 0)
    return ((20000 if is_228 else 1000) + number * 7 % 500 - deep) * (312.5e-9 if is_228 else 2.5e-6)


@pytest.mark.parametrize("chip", ["INA226", "INA228"])
def test_the_sketchs_rows_mean_what_the_chip_measured(sketch, chip):
    sent, conversions, config = sketch(chip, 1.0, start_us=2**32 - 300_000, edge_us=20_000)
    protocol = begun("lines", ScriptedPort(first=sent[:2000]))
    (_, values, device_s, sequence), losses = fed(protocol, sent, cuts=(100, 5001, 7777))
    assert losses == [] and np.array_equal(sequence, np.arange(1, len(sequence) + 1))
    assert 0 <= conversions - len(sequence) <= 1, "every conversion was sent once"
    is_228 = chip == "INA228"
    names = [channel.name for channel in protocol.channels]
    current = shunt_volts(sequence, is_228) / 0.01
    assert np.allclose(values[:, names.index("input/voltage")], 12.0)
    assert np.allclose(values[:, names.index("input/current")], current), "negative ones too"
    assert np.allclose(values[:, names.index("input/power")], 12.0 * current)
    cycle_s = 1080e-6 if is_228 else 1176e-6
    assert np.allclose(np.diff(device_s), cycle_s, atol=400e-6) and device_s[-1] - device_s[0] == pytest.approx(
        cycle_s * (len(sequence) - 1), abs=1e-3), "across the wrap of micros()"  # fmt: skip
    edges = np.diff(values[:, names.index("input/pins")]) % 16
    assert 48 <= edges.sum() <= 50, "an edge every 20 ms"
    assert protocol.channels[0].averaging_s == pytest.approx(cycle_s)
    assert config == (0xB920 if is_228 else 0x40DF)


@pytest.mark.fault(11)
def test_the_ina228s_energy_wraps_at_40_bits(sketch):
    sent, _, _ = sketch("INA228", 1.0)
    protocol = begun("lines", ScriptedPort(first=sent[:2000]))
    (_, values, _, sequence), _ = fed(protocol, sent)
    names = [channel.name for channel in protocol.channels]
    channel = protocol.channels[names.index("input/energy")]
    assert channel.unit == "J" and channel.kind == "accumulated" and channel.wrap == pytest.approx(2**40 * 1.6e-3)
    assert channel.specification.time_base == 5e-3, "its oscillator"
    energy = values[:, names.index("input/energy")]
    assert (np.diff(energy) < 0).sum() == 1
    assert np.allclose(np.diff(energy) % channel.wrap, 3 * 1.6e-3, atol=1e-4)


@pytest.mark.fault(21)
def test_rows_that_the_sketch_could_not_send_are_counted(sketch):
    sent, conversions, _ = sketch("INA226", 2.0, stall_us=600_000)
    protocol = begun("lines", ScriptedPort(first=sent[:2000]))
    (_, values, _, sequence), losses = fed(protocol, sent)
    assert lost(losses, "dropped") > 400
    assert lost(losses, "dropped") + len(sequence) == sequence[-1], "none is missing uncounted"
    assert np.allclose(values[:, 1], shunt_volts(sequence, False) / 0.01), "each number is still that of its conversion"


@pytest.mark.parametrize("clock", [0.9, 1.0, 1.1])
@pytest.mark.parametrize("chip", ["INA226", "INA228"])
def test_a_conversion_that_the_sketch_reads_late_is_counted_once(sketch, chip, clock):
    """A controller that is busy for up to 0.8 of a cycle misses none, on a chip whose clock is 10 % off neither."""
    cycle_us = clock * (1080 if chip == "INA228" else 1176)
    for share in (0.5, 0.8):
        sent, conversions, _ = sketch(chip, 4.0, clock=clock, busy_us=share * cycle_us)
        (_, values, _, sequence), losses = fed(begun("lines", ScriptedPort(first=sent[:2000])), sent)
        assert losses == [] and 0 <= conversions - sequence[-1] <= 1
        if share == 0.5:  # later ones are replaced by the next while they are read
            assert np.allclose(values[:, 1], shunt_volts(sequence, chip == "INA228") / 0.01)


@pytest.mark.parametrize("clock", [0.9, 1.0, 1.1])
@pytest.mark.parametrize("chip", ["INA226", "INA228"])
def test_conversions_that_the_sketch_missed_are_counted(sketch, chip, clock):
    """Until it has learned a chip's cycle, about 0.3 s, it may miscount what passed in a pause: up to 0.5 % of all here."""
    sent, conversions, _ = sketch(chip, 4.0, clock=clock, busy_us=2.5 * clock * (1080 if chip == "INA228" else 1176))
    (_, _, _, sequence), losses = fed(begun("lines", ScriptedPort(first=sent[:2000])), sent)
    assert lost(losses, "dropped") == sequence[-1] - len(sequence) > 500
    assert sequence[-1] == pytest.approx(conversions, rel=0.005)


def test_the_page_of_the_protocol_shows_lines_that_hold():
    text = (ROOT / "host" / "firmware" / "README.md").read_text()
    example = re.search(r"```\n(#joulegrad.*?)```", text, re.DOTALL)[1].encode()
    protocol = begun("lines", ScriptedPort(first=example))
    (_, values, _, _), losses = fed(protocol, b"\n" + example)
    assert losses == [] and values[0, :2].tolist() == pytest.approx([12.0, 0.25175])
