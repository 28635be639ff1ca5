"""What only the simulated board has: a clock, a memory model that can go wrong, a core that can hang."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from board_segments import copies, hanging, start
from waiting import until

from host import board_sim
from host.board import BoardError, BoardTimeout, SegmentError, open_board
from host.core_driver import DONE
from host.run_folder import read_record
from hw import isa
from hw.config import load_config

ROOT = Path(__file__).parents[1]
CONFIG = load_config("tiny")
DDR_BYTES = 1 << 18
PROGRAM = 0x10000


def run(board, code):
    start(board, PROGRAM, code)
    return board.wait(60)


def opened(**options):
    return open_board("sim", CONFIG, ddr_bytes=DDR_BYTES, **options)


def cycles(**options):
    with opened(**options) as board:
        return run(board, copies(8))["cycles"]


def test_cycles_follow_the_memory_and_repeat_with_the_seed():
    plain = cycles()
    assert cycles() == plain
    assert cycles(latency_cycles=140) >= plain + 8 * 2 * 100
    assert cycles(bytes_per_cycle=1) >= 8 * 2 * 64 * CONFIG.g
    stalled = [cycles(stall_probability=0.3, seed=seed) for seed in (1, 1, 2)]
    assert stalled[0] == stalled[1] != stalled[2] and min(stalled) > plain


@pytest.mark.parametrize("where, code, engine", [
    (dict(read_offset=0x84), "read_error", "load"),
    (dict(write_offset=0x4084), "write_error", "store"),
    (dict(read_offset=PROGRAM + 192), "read_error", "fetch"),
])  # fmt: skip
@pytest.mark.parametrize("stall", [0.0, 0.3])
def test_an_error_response_is_reported_and_the_next_segment_runs(where, code, engine, stall):
    with opened(stall_probability=stall) as board:
        board.core.inject_errors(**where)
        with pytest.raises(SegmentError) as caught:
            run(board, copies(20))
        assert (caught.value.code, caught.value.engine) == (code, engine)
        assert caught.value.index < 40
        board.core.inject_errors()
        board.write(0, np.arange(256, dtype=np.uint8))
        assert run(board, copies(2))["instructions"] == 4
        np.testing.assert_array_equal(board.read(0x4000, 256), np.arange(256, dtype=np.uint8))


def test_a_core_that_hangs_is_stopped_and_the_next_segment_runs():
    with opened(hang_cycles=20_000) as board:
        with pytest.raises(BoardTimeout, match="completed 0 of 2 instructions .* it hangs"):
            run(board, hanging())
        assert run(board, copies(1))["instructions"] == 2


def test_slow_is_not_hanging():
    with opened(hang_cycles=3000, latency_cycles=500) as board:
        counters = run(board, copies(20))
        assert counters["instructions"] == 40 and counters["cycles"] > 6000


def test_a_long_segment_stops_at_once_and_leaves_the_processor_free():
    with opened(latency_cycles=20_000) as board:
        start(board, PROGRAM, copies(1500))
        began = board.core.cycles
        until(lambda: board.core.cycles > began, "the segment's first cycles")
        board.stop()
        assert board.core.cycles - began < 1500 * 2 * 20_000 / 4
        assert run(board, copies(1))["instructions"] == 2


def test_a_timeout_is_one_sentence_and_stops_the_board():
    with opened(latency_cycles=20_000) as board:
        start(board, PROGRAM, copies(1500))
        with pytest.raises(BoardTimeout, match="not done after 0.1 s"):
            board.wait(0.1)
        assert run(board, copies(1))["instructions"] == 2


def test_a_closed_board_says_so():
    board = opened()
    with pytest.raises(BoardError, match="use it in a with block"):
        board.read(0, 4)
    with board:
        pass
    with pytest.raises(BoardError, match="use it in a with block"):
        board.start(0, 1)


INTERRUPTED = """
import sys, time
from host.board import open_board
from host.run_folder import RunFolder
sys.path.insert(0, "tests")
from test_host_board_sim import CONFIG, DDR_BYTES, PROGRAM, copies
with RunFolder(sys.argv[1], {}) as run, open_board("sim", CONFIG, ddr_bytes=DDR_BYTES, latency_cycles=20_000) as board:
    board.write(PROGRAM, copies(1500))
    board.start(PROGRAM, 3000)
    run.append({"loss": 1.0})
    print("runs", flush=True)
    board.wait()
"""


def test_ctrl_c_ends_the_process_and_marks_the_run(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path / "run")], cwd=ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert process.stdout.readline() == "runs\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT and "KeyboardInterrupt" in errors
    record = read_record(tmp_path / "run")
    assert (record["status"], record["iterations"]) == ("aborted", 1)


class SlowCore:
    """A core that works in slices of 100 cycles and completes an instruction every `each` of them, `count` in all."""

    def __init__(self, each, count):
        self.each, self.count, self.cycles = each, count, 0

    def run(self, cycles):
        self.cycles += min(cycles, 100)
        return self.cycles >= self.each * self.count

    def write_register(self, address, value):
        pass

    def read_register(self, address):
        if address == isa.REGISTERS["STATUS"][0]:
            return DONE
        return 0 if address % 8 else self.cycles // self.each

    def close(self):
        pass

    reset = close


@pytest.mark.parametrize(("each", "hangs"), [(900, False), (2100, True)])
def test_a_core_hangs_when_no_instruction_is_completed_in_as_many_cycles(monkeypatch, each, hangs):
    monkeypatch.setattr(board_sim, "SimulatedCore", lambda config, settings: SlowCore(each, 12))
    with open_board("sim", CONFIG, hang_cycles=1000) as board:
        board.start(0, 12)
        if hangs:
            with pytest.raises(BoardTimeout, match="completed 0 of 12 instructions"):
                board.wait(60)
        else:
            assert board.wait(60)["instructions"] == 12
