"""The board on a serial port: the verilated one behind a pseudo-terminal, with and without noise, and all that goes wrong."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import time

import numpy as np
import pytest
from board_segments import copies, fail_in_every_way, hanging, start
from serial_meter import Terminal

from host import packet_link
from host.benchmark_serial_board import played
from host.board import BoardError, BoardTimeout, open_board
from host.kernel import run_kernel
from host.packet_link import Link
from hw import golden_serial, isa, serial_packets
from hw.compile_kernel import compile_kernel
from hw.config import load_config
from hw.noisy_line import NoisyLine
from hw.simulated_board import LineSettings

TINY = load_config("tiny")
PROGRAM = 0x1000
MEMORY_BYTES = LineSettings.memory_bytes


def opened(url, config=TINY):
    return open_board(url, config)


@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_a_product_is_the_same_as_on_the_simulated_board(noise):
    kernel = compile_kernel("grad_weight", 2, 8, 8, 8, 8, 3, 1, 1, TINY)
    with played("tiny", noise) as (url, _, record):
        with opened(url) as board:
            assert board.identity().config_hash == TINY.config_hash
            assert (board.ddr_bytes, board.clk_hz) == (MEMORY_BYTES, TINY.clk_hz)
            data = np.random.default_rng(3).integers(0, 256, 60_001, dtype=np.uint8)
            board.write(3, data)
            np.testing.assert_array_equal(board.read(3, data.size), data)
            serial = run_kernel(board, kernel)
            assert board.link.repeated > 0 or not noise  # a busy machine may answer late, too
        line = record()
    with open_board("sim", TINY, ddr_bytes=MEMORY_BYTES) as board:
        simulated = run_kernel(board, kernel)
    assert serial.exact and simulated.exact and serial.counter_difference is None
    exact = [name for name in isa.COUNTER_NAMES if name not in isa.TIMING_COUNTERS]
    assert {name: serial.counters[name] for name in exact} == {name: simulated.counters[name] for name in exact}
    assert line["broken"] == 0
    for way in ("to_board", "from_board"):
        assert (line[way]["changed"] + line[way]["lost"] > 0) == (noise > 0)


def test_errors_hangs_and_stops_end_in_a_sentence_and_the_next_segment_runs():
    with played("tiny") as (url, _, _):
        with contextlib.ExitStack() as stack:
            board = stack.enter_context(opened(url + "&hang_s=0.3"))
            fail_in_every_way(board, PROGRAM)
            board._port.close()  # as a process that is killed leaves it
            board = stack.enter_context(opened(url))
            start(board, PROGRAM, copies(2))
            assert board.wait(30)["instructions"] == 4
            with pytest.raises(BoardError, match="do not lie in the board's"):
                board.write(MEMORY_BYTES - 4, bytes(8))
            with pytest.raises(BoardError, match="has no memory there"):
                board.link.read(MEMORY_BYTES, 4)
        with pytest.raises(BoardError, match="not open"):
            board.read(0, 4)


def test_a_cable_pulled_in_the_run_is_one_sentence():
    with played("tiny") as (url, process, _):
        with opened(url) as board:
            start(board, PROGRAM, hanging())
            process.send_signal(signal.SIGKILL)
            with pytest.raises(BoardError, match="is gone|does not answer any more") as caught:
                board.wait(60)
            assert "meter" not in str(caught.value)


def test_a_board_that_stops_answering_is_one_sentence_and_holds_nobody_up(monkeypatch):
    bridge = golden_serial.SerialBridge(bytearray(4096), _Core())
    dead = []
    with Terminal(lambda data: b"" if dead else bridge.answer(data)) as terminal:
        with opened(f"serial:{terminal.port}") as board:
            dead.append(True)
            monkeypatch.setattr(packet_link, "LONGEST_PAUSE_S", 0.05)
            board.link._answer_s = 0.02
            with pytest.raises(BoardTimeout, match="does not answer any more: is it still powered"):
                board.read(0, 4)
            monkeypatch.setattr(board.link, "write", None)  # leaving does not try it again
            monkeypatch.setattr(board.link, "read", None)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda data: b"", "does not answer at 3000000 baud: is it powered"),
        (lambda data: b"\xf0\x00\x80" * 5, "bytes came, but no packet; is it another line speed"),
        (lambda data: data, "bytes came, but no packet|does not answer"),
    ],
)
def test_a_wrong_baud_rate_or_device_is_one_sentence(answer, says):
    with Terminal(answer) as terminal:
        with pytest.raises(BoardError, match=says):
            opened(f"serial:{terminal.port}?answer_s=0.05").open()


@pytest.mark.parametrize("host_clocks_per_bit", [3, 20])
def test_a_wrong_baud_rate_at_the_pins_is_one_sentence(host_clocks_per_bit):
    """The host's bits are longer than the board's: half as long again, and ten times."""
    with played("tiny", host_clocks_per_bit=host_clocks_per_bit) as (url, _, _):
        with pytest.raises(BoardError, match="does not answer at 115200 baud: .* line speed"):
            opened(url + "&answer_s=0.1").open()


def test_another_core_behind_the_bridge_is_refused():
    bridge = golden_serial.SerialBridge(bytearray(4096), _Core(0x12345678))
    with Terminal(bridge.answer) as terminal:
        with pytest.raises(BoardError, match="this is no joulegrad core"):
            opened(f"serial:{terminal.port}").open()


def test_what_the_url_may_say(tmp_path):
    for url, says in {
        "serial:": "name a port",
        "serial:/dev/ttyX?baud=fast": "baud=fast: it is a number",
        "serial:/dev/ttyX?bau=9600": "unknown options bau: there are baud, answer_s and hang_s",
    }.items():
        with pytest.raises(BoardError, match=says):
            opened(url)
    with pytest.raises(BoardError, match="there is no port"):
        opened(f"serial:{tmp_path}/ttyUSB0").open()
    board = opened("serial:/dev/ttyX")
    with pytest.raises(BoardError, match="use it in a with block"):
        board.identity()
    board.close()


class _Core:
    """Registers of a core that rests."""

    def __init__(self, identity=isa.IDENTITY):
        self.values = {0: identity, 4: isa.VERSION, 8: TINY.config_hash}

    def __call__(self, address):
        return self.values.get(address, 0)


class Pipe:
    """A port whose other end is a golden bridge behind a noisy line."""

    path = "/dev/ttyNoise"

    def __init__(self, bridge, noise, seed):
        self.bridge, self.inward, self.outward = bridge, NoisyLine(noise, seed), NoisyLine(noise, seed + 1)
        self.arrived = b""

    def write(self, data):
        self.arrived += self.outward.carry(self.bridge.answer(self.inward.carry(data)))

    def receive(self, timeout_s):
        data, self.arrived = self.arrived, b""
        if not data:
            time.sleep(timeout_s)
        return data


@pytest.mark.parametrize("noise", [0.0, 1e-4, 3e-4])
def test_what_is_written_and_started_is_right_under_any_noise(noise):
    """Registers written in order, each once, and memory in between."""
    seen = []
    memory = bytearray(1 << 15)
    bridge = golden_serial.SerialBridge(memory, lambda address: 0, lambda address, value: seen.append(value))
    link = Link(Pipe(bridge, noise, seed=4), 3_000_000, answer_s=0.002)
    assert link.describe().memory_bytes == 1 << 15
    source = np.random.default_rng(1)
    for i in range(200):
        link.write(serial_packets.REGISTERS, i.to_bytes(4, "little"))
        data = source.integers(0, 256, int(source.integers(1, 6000)), dtype=np.uint8).tobytes()
        at = int(source.integers(0, len(memory) - len(data)))
        link.write(at, data)
        assert link.read(at, len(data)) == data == bytes(memory[at : at + len(data)])
    assert seen == list(range(200))
    assert (link.repeated > 0) == (noise > 0)


class Echo(Pipe):
    """A port on which an answer to someone before us, with the same number, comes first."""

    def write(self, data):
        request = serial_packets.request_of(serial_packets.Deframer().feed(data)[0])
        stale = serial_packets.Reply(request.kind, request.sequence, request.address + 4, 4, b"old!", serial_packets.OKAY)
        self.arrived += serial_packets.reply_bytes(stale)
        super().write(data)


def test_an_answer_to_someone_else_is_not_taken():
    link = Link(Echo(golden_serial.SerialBridge(bytearray(b"mine")), 0.0, 1), 3_000_000, answer_s=0.5)
    assert link.read(0, 4) == b"mine"


def test_a_program_for_another_configuration_is_refused():
    config = dataclasses.replace(TINY, name="other", a_words=2048)
    bridge = golden_serial.SerialBridge(bytearray(4096), _Core())
    with Terminal(bridge.answer) as terminal, opened(f"serial:{terminal.port}", config) as board:
        kernel = compile_kernel("forward", 1, 4, 4, 4, 4, 1, 1, 0, config)
        with pytest.raises(BoardError, match="compiled for configuration other"):
            run_kernel(board, kernel)


def test_the_port_is_free_again_after_a_failed_open():
    with Terminal(lambda data: b"") as terminal:
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(BoardError):
            opened(f"serial:{terminal.port}?answer_s=0.02").open()
        assert len(os.listdir("/proc/self/fd")) == before
