"""The golden interpreter: runs a segment instruction by instruction on the numpy unit models.

The program's order is a legal order one by one (hw/architecture.md), and a segment cut after k instructions is
valid, so a mismatch with the hardware is bisected by running prefixes.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from hw import isa
from hw.golden_array import execute_array
from hw.golden_coefficient import execute_coefficient
from hw.golden_memory import execute_load, execute_store
from hw.golden_vector import execute_vector
from hw.state import CoreError, CoreState

SEMAPHORE_MAX = 1023
MOST_WORK = {"array": 1 << 22, "vector": 1 << 18, "coefficient": 1 << 22}
"""Slots, vectors or scalar operations of one instruction at most, since all vectors, or all slots of a tap, are held at once. The
compiler fills a memory once: 2^16 vectors, or 2^20 slots, in the largest configuration that there can be."""

EXECUTE = {
    "load": execute_load, "array": execute_array, "vector": execute_vector,
    "coefficient": execute_coefficient, "store": execute_store,
}


class TooLong(RuntimeError):
    """An instruction goes on for longer than any that is compiled."""


def fetch(state: CoreState, address: int, index: int) -> isa.Instruction:
    """Return instruction `index` of the segment at byte `address` of DDR.

    Raises:
        CoreError: it lies outside DDR, or is malformed.
    """
    start = address + index * isa.INSTRUCTION_BYTES
    data = state.ddr[start : start + isa.INSTRUCTION_BYTES]
    if len(data) < isa.INSTRUCTION_BYTES:
        message = f"instruction {index} at byte {start} lies past the {len(state.ddr)} bytes of DDR"
        raise CoreError("read_error", message, index, "fetch")
    try:
        return isa.decode(data.tobytes())
    except isa.MalformedInstruction as error:
        raise CoreError("malformed", f"instruction {index} at byte {start}: {error}", index, "fetch") from None


class Semaphores:
    """The tokens of every ordered pair of engines, taken and given in program order."""

    def __init__(self):
        count = len(isa.ENGINES)
        self.tokens = [[0] * count for _ in range(count)]

    def take(self, instruction: isa.Instruction) -> None:
        """Take the tokens an instruction waits for. Raises CoreError when one is not there: the order is not legal."""
        own = isa.ENGINES.index(instruction.op)
        for source, name in enumerate(isa.ENGINES):
            if instruction["wait"] >> source & 1:
                if not self.tokens[source][own]:
                    raise CoreError("malformed", f"takes a token from {name}, but none was given before it")
                self.tokens[source][own] -= 1

    def give(self, instruction: isa.Instruction) -> None:
        """Give the tokens of an instruction that is done. Raises CoreError when a semaphore overflows."""
        own = isa.ENGINES.index(instruction.op)
        for taker, name in enumerate(isa.ENGINES):
            if instruction["signal"] >> taker & 1:
                self.tokens[own][taker] += 1
                if self.tokens[own][taker] > SEMAPHORE_MAX:
                    raise CoreError("token_overflow", f"gives {name} more than {SEMAPHORE_MAX} tokens")


def run_segment(state: CoreState, address: int, count: int, stopped: Callable[[], bool] = lambda: False) -> None:
    """Run `count` instructions from byte `address` of DDR; counters start at zero.

    The counters of isa.TIMING_COUNTERS stay zero: an interpreter has no clock.

    Args:
        stopped: asked before every instruction; when true, the rest is not run.

    Raises:
        CoreError: an instruction cannot run; `index` and `engine` say which.
        TooLong: an instruction passes MOST_WORK.
    """
    state.counters = dict.fromkeys(isa.COUNTER_NAMES, 0)
    semaphores = Semaphores()
    for index in range(count):
        if stopped():
            return
        instruction = fetch(state, address, index)
        state.counters["ddr_read_bytes"] += isa.INSTRUCTION_BYTES
        try:
            semaphores.take(instruction)
            _check_work(state, instruction, index)
            EXECUTE[instruction.op](state, instruction)
            semaphores.give(instruction)
        except CoreError as error:
            message = f"instruction {index} ({instruction.op}): {error}"
            raise CoreError(error.code, message, index, instruction.op) from None
        state.counters["instructions"] += 1


def _check_work(state: CoreState, instruction: isa.Instruction, index: int) -> None:
    """Raise TooLong where an instruction has more to do than is interpreted."""
    if instruction.op not in MOST_WORK:
        return
    if instruction.op == "coefficient":
        work = instruction["ch_count"] * instruction["length"]
    elif instruction.op == "vector":
        work = state.images(instruction) * instruction["img_px"]
    else:
        passes = prod(instruction[name] for name in ("n_kb", "n_red", "n_ky", "n_kx"))
        work = passes * max(state.images(instruction) * instruction["n_y"] * instruction["n_x"], 1)
    if work > MOST_WORK[instruction.op]:
        raise TooLong(
            f"instruction {index} ({instruction.op}) has {work} steps; at most {MOST_WORK[instruction.op]} are interpreted, "
            "and none of a compiled program has as many"
        )
