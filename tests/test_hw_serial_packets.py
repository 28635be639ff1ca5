"""Packets survive the line or are noticed: stuffing, checksums, pieces, resynchronisation; and the golden bridge's answers."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw import serial_packets as packets
from hw.golden_serial import SerialBridge
from hw.noisy_line import NoisyLine
from hw.serial_packets import DESCRIBE, READ, WRITE, Deframer, Reply, Request, framed, reply_bytes, reply_of, request_bytes

REQUEST = Request(WRITE, 0x7D7E, 0x12_7E_7D_00, 5, b"\x7e\x7d\x5e\x5d\x00")


def test_a_request_on_the_line():
    body = bytes([3, 0x7E, 0x7D, 0x00, 0x7D, 0x7E, 0x12, 5, 0]) + REQUEST.payload
    check = zlib.crc32(body).to_bytes(4, "little")
    line = request_bytes(REQUEST)
    assert line[:1] == line[-1:] == b"\x7e" and b"\x7e" not in line[1:-1]
    plain = line[1:-1].replace(b"\x7d\x5e", b"\x7e").replace(b"\x7d\x5d", b"\x7d")
    assert plain == body + check


@given(st.lists(st.binary(max_size=60), max_size=5), st.lists(st.integers(0, 400), max_size=8))
def test_bodies_come_back_however_the_bytes_are_cut(bodies, cuts):
    data = b"".join(map(framed, bodies))
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    deframer = Deframer()
    got = [body for begin, end in zip(edges[:-1], edges[1:], strict=True) for body in deframer.feed(data[begin:end])]
    assert got == [body for body in bodies if len(body) + 4 >= packets.SHORTEST]


def test_noise_costs_the_frames_that_it_hits_and_no_other():
    source = random.Random(1)
    sent = [Reply(READ, i, 4 * i, 40, source.randbytes(40), 0) for i in range(400)]
    line = NoisyLine(0.003, seed=2)
    deframer = Deframer()
    got = [reply_of(body) for body in deframer.feed(line.carry(b"".join(map(reply_bytes, sent))))]
    assert [reply for reply in sent if reply in got] == got
    hit = line.changed + line.lost
    assert 20 < hit < 100 and len(sent) - 2 * hit <= len(got) < len(sent) and 0 < deframer.damaged <= 2 * hit


def test_a_noisy_line_damages_as_often_as_it_says_and_repeats_with_its_seed():
    data = bytes(1_000_000)
    first, again, other = NoisyLine(1e-3, 5), NoisyLine(1e-3, 5), NoisyLine(1e-3, 6)
    assert first.carry(data) == again.carry(data) != other.carry(data)
    assert 850 < first.changed + first.lost < 1150 and abs(first.changed - first.lost) < 150
    assert NoisyLine(0, 1).carry(data) == data
    with pytest.raises(ValueError, match="0 to 0.5"):
        NoisyLine(0.7, 1)


def test_the_golden_bridge():
    memory, registers = bytearray(64), {}
    bridge = SerialBridge(memory, registers.get, registers.__setitem__)
    first = Request(WRITE, 1, packets.REGISTERS + 4, 4, b"\x01\0\0\0")
    assert bridge.reply(first).status == packets.OKAY and registers == {4: 1}
    registers.clear()
    assert bridge.reply(first).status == packets.OKAY and registers == {}
    bridge.reply(Request(DESCRIBE, 2, 0, 16))
    bridge.reply(first)
    assert registers == {4: 1}
    assert bridge.reply(Request(WRITE, 3, 62, 4, b"abcd")).status == packets.BUS_ERROR
    assert bridge.reply(Request(READ, 4, 3, 1022)).status == packets.REFUSED
    assert bridge.answer(request_bytes(Request(READ, 5, 0, 1))[:-3] + b"\x7e") == b""
