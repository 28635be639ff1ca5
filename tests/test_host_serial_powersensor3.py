"""PowerSensor3: packets, groups, time stamps of ten bits, configuration."""

from __future__ import annotations

import copy
import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serial_meter import ScriptedPort, begun, fed, lost

from host.play_meter import PowerSensor3Meter
from host.sensor import SensorError
from host.serial_powersensor3 import GROUP_BYTES, SENSORS, encode_groups


def groups(first: int, count: int, marker=()) -> bytes:
    number = np.arange(first, first + count)
    levels = (500 + 10 * np.arange(SENSORS) + number[:, None]) % 1024
    return encode_groups(number * 50, levels, np.isin(number, marker))


@functools.cache
def _begun(stream: bytes, limits: tuple):
    device = PowerSensor3Meter(20_000)

    def answer(data: bytes) -> bytes:
        reply = device.heard(data)
        return reply + stream if data == b"S" else reply

    return begun("powersensor3", ScriptedPort(answer), **dict(limits))


def meter(stream: bytes | None = None, **limits):
    return copy.deepcopy(_begun(stream or groups(0, 40), tuple(limits.items())))


def test_configuration_gives_channels_and_values():
    protocol = meter()
    assert [(c.name, c.unit) for c in protocol.channels] == [
        ("12V/current", "A"), ("12V/voltage", "V"), ("12V/power", "W"),
        ("3V3/current", "A"), ("3V3/voltage", "V"), ("3V3/power", "W"), ("input/marker", "1")]  # fmt: skip
    (_, values, device_s, sequence), losses = fed(protocol, groups(0, 30, marker=[7]))
    level = 500 + 10 * np.arange(4) + np.arange(30)[:, None]
    amperes, volts = (3.3 * level[:, 0] / 1023 - 1.65) / 0.12, 3.3 * level[:, 1] / 1023 / 0.15
    assert losses == [] and np.allclose(values[:, :3], np.column_stack([amperes, volts, amperes * volts]), rtol=1e-4)
    assert values[:, 6].tolist() == [float(i == 7) for i in range(30)]
    assert np.allclose(np.diff(device_s), 50e-6) and sequence.tolist() == list(range(30))
    assert protocol.channels[2].averaging_s == pytest.approx(50e-6) and protocol.channels[2].specification.gain is None
    assert protocol.channels[0].specification.full_scale == pytest.approx(1.65 / 0.12, rel=1e-3)
    assert protocol.describe()["firmware"] == "F401-1.5.0"


def test_older_firmware_that_sends_only_the_sensors_in_use():
    def thinned(data: bytes) -> bytes:
        return np.frombuffer(data, np.uint8).reshape(-1, SENSORS + 1, 2)[:, :5].tobytes()

    protocol = meter(thinned(groups(0, 80)))
    (_, values, _, _), losses = fed(protocol, thinned(groups(80, 30)))
    assert len(values) == 30 and losses == []


@pytest.mark.fault(5)
def test_a_lost_byte_costs_one_group_and_makes_no_value():
    whole = groups(0, 20)
    (_, expected, _, _), _ = fed(meter(), whole)
    for lost_byte in range(3 * GROUP_BYTES, 4 * GROUP_BYTES):
        protocol = meter()
        (_, values, device_s, sequence), losses = fed(protocol, whole[:lost_byte] + whole[lost_byte + 1 :])
        assert sequence.tolist() == [0, 1, 2, *range(4, 20)], lost_byte
        assert np.array_equal(values, expected[sequence]), "no value is made of halves of two"
        assert lost(losses, "garbage") == GROUP_BYTES - 1 and lost(losses, "dropped") == 1


@pytest.mark.fault(5)
def test_bytes_put_in_between_are_skipped():
    noise = bytes([0xFF, 0x80, 0x12, 0xFF, 0x3F])
    (_, values, _, sequence), losses = fed(meter(), groups(0, 10) + noise + groups(10, 10))
    assert sequence.tolist() == list(range(20)) and lost(losses, "garbage") == len(noise)


@pytest.mark.fault(4)
def test_another_meter_is_refused_and_another_stream_given_up(monkeypatch):
    with pytest.raises(SensorError, match="does not answer as a PowerSensor3|cannot be used"):
        begun("powersensor3", ScriptedPort(lambda data: b"12.0,0.1\r\n" * 60))
    protocol = meter()
    with pytest.raises(SensorError, match="another protocol or another baud rate"):
        for _ in range(40):
            fed(protocol, b"12.0,0.1\r\n" * 200)


@pytest.mark.fault(21)
def test_holes_are_told_from_the_time_stamps():
    protocol = meter()
    fed(protocol, groups(0, 10), t_s=10.0)
    (_, _, device_s, sequence), losses = fed(protocol, groups(17, 10), t_s=10.0 + 17 * 50e-6)
    assert lost(losses, "dropped") == 7 and sequence[0] == 17, "exact below a turn of the stamps"
    assert device_s[0] == pytest.approx(17 * 50e-6)


@pytest.mark.fault(21)
@pytest.mark.parametrize("dropped", [13_000, 26 * 512, 26 * 512 + 41])
def test_a_long_hole_is_measured_when_the_meter_has_caught_up(dropped):
    """Where the stamps have made whole turns, or all but 2 us, they show no hole: lateness does."""
    protocol, losses, numbers, device_s = meter(), [], [], []
    # Read until 0.5 s, then not for 1 s; 7,000 groups are buffered, the others dropped; then read four times as fast.
    resumed_s, kept = 10.0 + 1.5, 17_000
    after = kept + dropped
    batches = [(first, 1000, 10.0 + (first + 1000) * 50e-6) for first in range(0, 10_000, 1000)]
    batches += [(10_000 + 1000 * k, 1000, resumed_s + 0.0125 * k) for k in range(7)]
    batches += [
        (after + 1000 * k, 1000, max(resumed_s + 0.0875 + 0.0125 * k, 10.0 + (after + 1000 * (k + 1)) * 50e-6)) for k in range(20)
    ]
    for first, count, t_s in batches:
        rows, lost_ones = protocol.feed([(groups(first, count), t_s)])
        losses += lost_ones
        numbers += rows.sequence.tolist()
        device_s += rows.device_t_s.tolist()
    assert lost(losses, "dropped") == pytest.approx(dropped, abs=45), "within two turns of the stamps"
    assert len(numbers) == 37_000 and (np.diff(device_s) > 0).all(), "rows that waited have come"
    assert device_s[-1] == pytest.approx(50e-6 * (after + 19_999), abs=3e-3), "later stamps are right again"
    assert any("about" in loss.detail for loss in losses)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**6), max_size=12), st.integers(0, 10**6))
def test_rows_do_not_depend_on_where_the_bytes_were_cut(cuts, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(groups(0, 60))
    for _ in range(rng.integers(0, 4)):
        place = int(rng.integers(GROUP_BYTES, len(data)))
        if rng.random() < 0.5:
            del data[place]
        else:
            data[place:place] = rng.integers(0, 256, 3, np.uint8).tobytes()
    whole, whole_losses = fed(meter(), bytes(data))
    cut, cut_losses = fed(meter(), bytes(data), cuts)
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(whole, cut, strict=True))
    assert lost(whole_losses, "garbage") == lost(cut_losses, "garbage")
    assert lost(whole_losses, "dropped") == lost(cut_losses, "dropped")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=6))
def test_any_bytes_raise_nothing(pieces):
    protocol, count = meter(), 0
    for piece in pieces:
        found, _ = protocol.feed([(piece, 1.0)])
        count += len(found)
    assert count * GROUP_BYTES <= sum(map(len, pieces))
