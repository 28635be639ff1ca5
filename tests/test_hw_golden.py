"""The interpreter: prefixes, the token discipline, and errors that name their instruction."""

from __future__ import annotations

import numpy as np
import pytest

from host.board import BoardTimeout, open_board
from hw import isa
from hw.compile_kernel import SEGMENT, compile_kernel
from hw.config import load_config
from hw.golden import TooLong, run_segment
from hw.state import CoreError, CoreState

TINY = load_config("tiny")


def state_with(*instructions, size=4096):
    """A core with the instructions at byte 0 of DDR."""
    ddr = np.zeros(size, np.uint8)
    code = b"".join(i if isinstance(i, bytes) else isa.encode(i) for i in instructions)
    ddr[: len(code)] = np.frombuffer(code, np.uint8)
    return CoreState(TINY, ddr)


def load(**fields):
    values = {"mem": isa.MEMORY_NUMBER["A"], "addr": 2048, "n_img": 1, "n_grp": 1, "run": 4, **fields}
    return isa.Instruction("load", values)


def clear(**fields):
    return isa.Instruction("vector", {"u_src": 3, "acc_clear": 1, "n_img": 1, "img_px": 2, **fields})


def test_prefixes_are_segments_and_counters_start_at_zero():
    kernel = compile_kernel("forward", 2, 5, 6, 5, 5, 3, 1, 1, TINY)
    state = CoreState(TINY, kernel.program.image())
    entry = kernel.program.segments[SEGMENT]
    for count in (0, 1, entry.count // 2, entry.count, entry.count):
        run_segment(state, entry.address, count)
        assert state.counters["instructions"] == count
        assert state.counters["ddr_read_bytes"] >= count * isa.INSTRUCTION_BYTES
        assert not any(state.counters[name] for name in isa.TIMING_COUNTERS)
    assert np.array_equal(kernel.program.memory.read(state.ddr, kernel.result), kernel.expected)


def test_a_token_is_given_before_it_is_taken():
    signal, wait = 1 << isa.ENGINES.index("vector"), 1 << isa.ENGINES.index("load")
    run_segment(state_with(load(signal=signal), clear(wait=wait)), 0, 2)
    with pytest.raises(CoreError, match="takes a token from load") as error:
        run_segment(state_with(clear(wait=wait), load(signal=signal)), 0, 2)
    assert (error.value.code, error.value.index, error.value.engine) == ("malformed", 0, "vector")
    with pytest.raises(CoreError, match="takes a token from load"):
        run_segment(state_with(load(signal=signal), clear(wait=wait), clear(wait=wait)), 0, 3)


def test_token_overflow():
    signal = 1 << isa.ENGINES.index("array")
    state = state_with(*[load(signal=signal)] * 1024, size=1 << 17)
    run_segment(state, 0, 1023)
    with pytest.raises(CoreError, match="more than 1023 tokens") as error:
        run_segment(state, 0, 1024)
    assert (error.value.code, error.value.index) == ("token_overflow", 1023)


def test_errors_name_the_instruction():
    with pytest.raises(CoreError, match="instruction 1 at byte 64: opcode 15") as error:
        run_segment(state_with(load(), b"\xff" * 64), 0, 2)
    assert (error.value.code, error.value.index, error.value.engine) == ("malformed", 1, "fetch")
    with pytest.raises(CoreError, match="past the 4096 bytes") as error:
        run_segment(state_with(), 4096, 1)
    assert error.value.code == "read_error"
    with pytest.raises(CoreError, match="instruction 0 .load.") as error:
        run_segment(state_with(load(base=TINY.a_words - 1)), 0, 1)
    assert (error.value.code, error.value.engine) == ("bad_address", "load")


ONE_PIXEL = {"n_img": 1, "n_y": 1, "n_x": 1, "stride": 1, "h": 1, "w": 1, "n_kb": 1, "n_red": 1, "n_ky": 1, "n_kx": 1}


@pytest.mark.parametrize("op, fields", [
    ("vector", {"u_src": 1, "n_img": 4095, "img_px": 65535}),
    ("array", ONE_PIXEL | {"n_img": 4095, "n_y": 1023, "n_x": 1023}),
    ("array", ONE_PIXEL | {"n_kb": 255, "n_red": 255, "n_ky": 31, "n_kx": 31}),
    ("array", ONE_PIXEL | {"clip": 1, "n_kb": 255, "n_red": 255, "n_ky": 9, "n_kx": 9}),
    ("coefficient", {"length": 4095, "ch_count": 4095}),
])  # fmt: skip
def test_an_instruction_that_takes_all_memory_or_all_time_is_refused(op, fields):
    """Well-formed, but of no compiled program; on other boards the core hangs."""
    state = state_with(isa.Instruction(op, fields))
    with pytest.raises(TooLong, match=rf"instruction 0 .{op}. has \d+ steps"):
        run_segment(state, 0, 1)
    with open_board("golden", TINY, ddr_bytes=4096) as board:
        board.write(0, state.ddr)
        board.start(0, 1)
        with pytest.raises(BoardTimeout, match=f"not run to its end: instruction 0 .{op}."):
            board.wait(60)


def test_stopped_ends_between_instructions():
    state, asked = state_with(load(), load(), load()), []

    def stopped():
        asked.append(1)
        return len(asked) > 2

    run_segment(state, 0, 3, stopped)
    assert state.counters["instructions"] == 2
