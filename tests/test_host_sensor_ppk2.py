"""Nordic PPK2: framing by its counter, calibration, and ppk2-api itself against a kit on a pseudo-terminal."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serial_meter import Terminal, lost
from waiting import PATIENCE_S, until

from host.ppk2_words import Ppk2Words
from host.sensor import SensorError, SensorLost, open_sensor
from host.sensor_ppk2 import found

CONVERTER_V = 1.8 / 163840
MODIFIERS = {"R": {"0": 1031.64, "1": 101.65, "2": 10.15, "3": 0.94, "4": 0.043}, "GS": dict.fromkeys("01234", 0.0),
             "GI": dict.fromkeys("01234", 1.0), "O": dict.fromkeys("01234", 0.0), "S": dict.fromkeys("01234", 0.0),
             "I": dict.fromkeys("01234", 0.0), "UG": dict.fromkeys("01234", 1.0)}  # fmt: skip


def sent(first: int, count: int, level=None, span=4, logic=0x5A) -> bytes:
    number = np.arange(first, first + count)
    level = 500 + number % 900 if level is None else np.full(count, level)
    return (level | span << 14 | (number % 64) << 18 | logic << 24).astype("<u4").tobytes()


def amperes(first: int, count: int) -> np.ndarray:
    return (500 + np.arange(first, first + count) % 900) * 4 * CONVERTER_V / 0.043


def fed(data: bytes, cuts=(), t_s=1.0):
    words, parts, losses = Ppk2Words(MODIFIERS, CONVERTER_V, 3.3), [], []
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for begin, end in zip(edges[:-1], edges[1:], strict=True):
        *part, lost_ones = words.feed(data[begin:end], t_s)
        parts.append(part)
        losses += lost_ones
    return tuple(np.concatenate([part[i] for part in parts]) for i in range(3)), losses


def test_words_become_amperes_by_the_kits_calibration():
    from ppk2_api.ppk2_api import PPK2_API

    (number, current, logic), losses = fed(sent(0, 301))
    assert losses == [] and np.array_equal(number, np.arange(300)) and (logic == 0x5A).all()
    assert np.allclose(current, amperes(0, 300))
    kit = PPK2_API.__new__(PPK2_API)
    kit.ser, kit.modifiers, kit.adc_mult, kit.current_vdd = None, MODIFIERS, CONVERTER_V, 3300
    kit.rolling_avg = kit.rolling_avg4 = kit.prev_range = None
    kit.spike_filter_alpha, kit.spike_filter_alpha5, kit.after_spike = 0.18, 0.06, 0
    theirs = [kit.get_adc_result(4, int(word & 0x3FFF) * 4) for word in np.frombuffer(sent(0, 300), "<u4")]
    assert np.allclose(current, theirs), "as ppk2-api computes it, its filter of range switches left out"


@pytest.mark.fault(5)
def test_a_short_read_is_found_by_the_counter_and_makes_no_phantom():
    whole = sent(0, 200)
    for skip in (1, 2, 3):
        (number, current, _), losses = fed(whole[:200] + whole[200 + skip :])
        assert np.allclose(current, amperes(0, 200)[number]), "no sample is made of halves of two"
        assert len(number) >= 196 and lost(losses, "dropped") == 199 - len(number), "those next to the break go with it"
        assert lost(losses, "garbage") >= 4 - skip


@pytest.mark.fault(5)
def test_entering_in_the_midst_of_a_word_finds_the_framing():
    for skip in (1, 2, 3):
        (number, current, _), losses = fed(sent(10, 100)[skip:])
        assert len(number) == 98 and np.allclose(current, amperes(11, 98)) and lost(losses, "garbage") == 4 - skip


def test_a_single_counter_that_is_off_is_let_pass():
    words = np.frombuffer(sent(0, 100), "<u4").copy()
    words[50] ^= 9 << 18
    (number, current, _), losses = fed(words.tobytes())
    assert losses == [] and np.allclose(current, amperes(0, 99))


@pytest.mark.fault(21)
def test_lost_words_are_counted_and_an_impossible_current_rejected():
    (number, _, _), losses = fed(sent(0, 100) + sent(117, 100))
    assert lost(losses, "dropped") == 19 and number[-1] == 215 and len(number) == 197, "17, and the two next to the hole"
    (_, current, _), losses = fed(sent(0, 20) + sent(20, 20, level=0x3FFF) + sent(40, 21))
    assert np.isnan(current[20:40]).all() and np.isfinite(current[:20]).all() and lost(losses, "rejected") == 20


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 10**6), max_size=10), st.integers(0, 10**6))
def test_samples_do_not_depend_on_where_the_bytes_were_cut(cuts, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(sent(0, 150))
    for _ in range(rng.integers(0, 3)):
        place = int(rng.integers(40, len(data) - 60))
        del data[place : place + int(rng.integers(1, 9))]
    (number, current, _), _ = fed(bytes(data), cuts)
    assert np.isin(np.round(current, 9), np.round(amperes(0, 900), 9)).all(), "every sample is one that was sent"
    assert (np.diff(number) > 0).all() and len(number) >= 100


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=120), max_size=6))
def test_any_bytes_raise_nothing(pieces):
    (number, current, logic), _ = fed(b"".join(pieces), np.cumsum([len(piece) for piece in pieces]).tolist())
    assert len(number) == len(current) == len(logic) <= sum(map(len, pieces)) // 4


class Kit:
    """A PPK2: answers with its calibration, then sends as it is told."""

    METADATA = (
        "Calibrated: 0\n"
        + "".join(f"{key}{i}: {value}\n" for key, table in MODIFIERS.items() for i, value in table.items())
        + "END"
    )

    def __init__(self):
        self.measuring, self.supplies_mv = False, None

    def __call__(self, data: bytes) -> bytes:
        reply = b""
        while data:
            opcode, length = data[0], {0x0D: 3, 0x11: 2, 0x0C: 2}.get(data[0], 1)
            if opcode == 0x0D:
                self.supplies_mv = (data[1] - 3) * 256 + data[2] - 32 + 800
            self.measuring = {0x06: True, 0x07: False}.get(opcode, self.measuring)
            reply += self.METADATA.encode() if opcode == 0x19 else b""
            data = data[length:]
        return reply


def test_rows_are_means_through_ppk2_api():
    kit = Kit()
    with Terminal(kit) as terminal:
        with open_sensor(f"ppk2:{terminal.port}?volts=3.3&volts_limit=0.01&average=50") as sensor:
            until(lambda: kit.measuring and kit.supplies_mv == 3300, "what the kit is told")
            terminal.send(sent(0, 120) + sent(120, 82)[:-3])
            rows = sensor.read(PATIENCE_S)
            assert rows.sequence.tolist() == [0, 1, 2, 3] and np.allclose(rows.device_t_s, [0.0005, 0.001, 0.0015, 0.002])
            expected = amperes(0, 200).reshape(4, 50).mean(1)
            assert np.allclose(rows.values[:, 0], expected) and np.allclose(rows.values[:, 1], 3.3 * expected)
            assert [(c.unit, c.kind, c.averaging_s) for c in sensor.channels[:2]] == [
                ("A", "average", 0.0005),
                ("W", "average", 0.0005),
            ]
            assert sensor.channels[0].specification.full_scale == 1.0 and sensor.channels[1].specification.gain is None
            assert "no FPGA board" in sensor.describe()["limits"]
            with pytest.raises(SensorError, match="in use"):
                open_sensor(f"ppk2:{terminal.port}?volts=3.3").open()
            terminal.unplug()
            with pytest.raises(SensorLost):
                for _ in range(20):
                    sensor.read(0.2)
            assert "unplugged" in {loss.reason for loss in sensor.take_losses()}


def test_what_is_no_kit_is_refused():
    with Terminal() as terminal, pytest.raises(SensorError, match="does not answer with a PPK2's calibration"):
        open_sensor(f"ppk2:{terminal.port}?volts=3.3").open()
    for url, what in (("ppk2:/dev/x", "state volts="), ("ppk2:/dev/x?volts=12", "state volts="), ("ppk2:", "name its port")):
        with pytest.raises(SensorError, match=what):
            open_sensor(url)


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ppk2_api.ppk2_api", None)
    assert "pip install 'joulegrad[meters]'" in found()[0].missing
    with pytest.raises(SensorError, match="joulegrad\\[meters\\]"):
        open_sensor("ppk2:/dev/x?volts=3.3").open()
