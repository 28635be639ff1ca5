"""What every board does alike: DDR, segments, counters, errors. The same cases on the interpreter and on the RTL."""

import os
import signal
import time

import numpy as np
import pytest

from host.board import BoardError, BoardTimeout, SegmentError, open_board, schemes
from host.board_golden import Driver
from hw import isa
from hw.config import load_config
from joulegrad import errors

CONFIG = load_config("tiny")
DDR_BYTES = 1 << 16
PROGRAM = 0x8000


def transfer(op, memory, addr, run, **fields):
    """Return a load or store of `run` words between DDR and word 0 of a memory."""
    values = {"mem": isa.MEMORY_NUMBER[memory], "addr": addr, "n_img": 1, "n_grp": 1, "run": run, **fields}
    return isa.Instruction(op, values)


def put(board, instructions, address=PROGRAM):
    board.write(address, b"".join(isa.encode(i) if isinstance(i, isa.Instruction) else i for i in instructions))
    return len(instructions)


def copy_through_u(words, source=0, target=0x4000):
    """Return a load and a store that waits for it."""
    load, store = isa.ENGINES.index("load"), isa.ENGINES.index("store")
    return [
        transfer("load", "U", source, words, signal=1 << store),
        transfer("store", "U", target, words, wait=1 << load),
    ]


@pytest.mark.parametrize("number, error", [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, errors.Terminated)])
def test_a_board_is_left_before_a_signal_ends_the_program(number, error, monkeypatch):
    closed = []

    def close(board):
        os.kill(os.getpid(), number)
        time.sleep(0.01)
        closed.append(board)

    monkeypatch.setattr(Driver, "close", close)
    # A shell's background job is started with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(error), errors.terminable(), open_board("golden", CONFIG, ddr_bytes=DDR_BYTES) as board:
        pass
    signal.signal(signal.SIGINT, before)
    assert closed == [board]


@pytest.fixture(params=["golden", "sim"])
def board(request):
    with open_board(request.param, CONFIG, ddr_bytes=DDR_BYTES) as opened:
        yield opened


def test_identity_names_the_configuration(board):
    assert board.identity().config_hash == CONFIG.config_hash


def test_a_segment_copies_and_counts(board):
    rng = np.random.default_rng(1)
    words = 200
    data = rng.integers(0, 256, words * CONFIG.g, np.uint8)
    board.write(0, data)
    board.start(PROGRAM, put(board, copy_through_u(words)))
    counters = board.wait(60)
    np.testing.assert_array_equal(board.read(0x4000, data.size), data)
    expected = dict.fromkeys(isa.COUNTER_NAMES, 0) | {
        "instructions": 2, "ddr_read_bytes": data.size + 128, "ddr_write_bytes": data.size,
        "spad_reads": words, "spad_writes": words,
    }  # fmt: skip
    assert {k: v for k, v in counters.items() if k not in isa.TIMING_COUNTERS} == {
        k: v for k, v in expected.items() if k not in isa.TIMING_COUNTERS
    }


def test_what_was_read_stays_as_it_was(board):
    board.write(0x100, bytes(range(64)))
    read = board.read(0x100, 64)
    board.write(0x100, bytes(64))
    assert read.tolist() == list(range(64))


def test_a_second_segment_starts_from_fresh_counters(board):
    count = put(board, copy_through_u(16))
    for _ in range(2):
        board.start(PROGRAM, count)
        counters = board.wait(60)
        assert counters["instructions"] == 2 and counters["ddr_write_bytes"] == 16 * CONFIG.g


def test_a_malformed_instruction_is_reported_and_the_next_segment_runs(board):
    good = copy_through_u(4)
    board.start(PROGRAM, put(board, [*good, b"\xff" * isa.INSTRUCTION_BYTES, *good]))
    with pytest.raises(SegmentError, match="malformed") as caught:
        board.wait(60)
    assert caught.value.engine == "fetch" and caught.value.index == 2
    board.start(PROGRAM, 2)
    assert board.wait(60)["instructions"] == 2


@pytest.mark.parametrize("op, code", [("load", "read_error"), ("store", "write_error")])
def test_an_address_that_nothing_answers_to_stops_the_segment(board, op, code):
    board.start(PROGRAM, put(board, [transfer(op, "U", 0x100_0000, 4)]))
    with pytest.raises(SegmentError) as caught:
        board.wait(60)
    assert (caught.value.code, caught.value.engine) == (code, op)


def test_words_past_the_end_of_a_memory_stop_the_segment(board):
    board.start(PROGRAM, put(board, [transfer("load", "U", 0, 2, base=CONFIG.vector_words - 1)]))
    with pytest.raises(SegmentError) as caught:
        board.wait(60)
    assert (caught.value.code, caught.value.engine) == ("bad_address", "load")


def test_a_snapshot_restores_memories_and_ddr(board):
    rng = np.random.default_rng(2)
    board.write(0, rng.integers(0, 256, 4096, np.uint8))
    loads = [transfer("load", m.name, 64 * i, 8) for i, m in enumerate(isa.MEMORIES) if m.load]
    board.start(PROGRAM, put(board, loads))
    board.wait(60)
    before = board.snapshot()
    assert before.mem["A"][:8].any() and before.mem["C"][:8].any()
    board.write(0, bytes(4096))
    board.start(PROGRAM, len(loads))
    board.wait(60)
    assert not board.snapshot().mem["A"][:8].any()
    board.restore(before)
    after = board.snapshot()
    np.testing.assert_array_equal(after.ddr, before.ddr)
    for name, memory in before.mem.items():
        np.testing.assert_array_equal(after.mem[name], memory, err_msg=name)


def test_misuse_is_refused(board):
    with pytest.raises(BoardError, match="start one first"):
        board.wait()
    with pytest.raises(BoardError, match="do not lie"):
        board.read(DDR_BYTES - 4, 8)
    board.start(PROGRAM, put(board, copy_through_u(64)))
    with pytest.raises(BoardError, match="under way"):
        board.start(PROGRAM, 2)
    board.stop()
    with pytest.raises(BoardError, match="start one first"):
        board.wait()


def test_ddr_can_be_written_while_a_segment_runs(board):
    count = put(board, copy_through_u(64) * 40)
    board.start(PROGRAM, count)
    for i in range(100):
        board.write(0x7000, np.full(64, i, np.uint8))
    assert board.wait(60)["instructions"] == count
    assert (board.read(0x7000, 64) == 99).all()


def test_a_segment_can_be_stopped():
    with open_board("golden", CONFIG, ddr_bytes=1 << 20) as board:
        board.start(PROGRAM, put(board, copy_through_u(64) * 5000))
        board.stop()
        assert board.state.counters["instructions"] < 5000
        board.start(PROGRAM, 2)
        assert board.wait(60)["instructions"] == 2


def test_a_timeout_stops_the_board():
    with open_board("golden", CONFIG, ddr_bytes=1 << 20) as board:
        board.start(PROGRAM, put(board, copy_through_u(64) * 5000))
        with pytest.raises(BoardTimeout, match="not done after"):
            board.wait(0.01)
        board.start(PROGRAM, 2)
        assert board.wait(60)["instructions"] == 2


def test_unknown_boards_and_options_are_refused():
    assert {"golden", "sim"} <= set(schemes())
    with pytest.raises(BoardError, match="no driver for board 'quantum': there are .*golden.*sim"):
        open_board("quantum", CONFIG)
    with pytest.raises(BoardError, match="stall_probability"):
        open_board("golden", CONFIG, stall_probability=0.5)
    with pytest.raises(BoardError, match="0 to 0.95"):
        open_board("sim", CONFIG, stall_probability=2.0)
