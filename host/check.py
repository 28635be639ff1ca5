"""Comparison of executors: the first tensor element that differs, and the first instruction that made it so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from host.board import Board, BoardError
from hw import isa
from hw.core_memories import differences
from hw.state import CoreState


class Mismatch(RuntimeError):
    """Two executors disagree; the message names tensor, index and iteration, and the instruction where known."""


class CounterMismatch(Mismatch):
    """The tensors agree, but the core's counters do not show what its instructions say; the message names segment and counter."""


@dataclass(frozen=True)
class Difference:
    """The first element in which two sets of tensors differ.

    Attributes:
        tensor: its name; of several, the first in the order of the expected ones.
        index: of the first such element in row-major order; () where the shapes differ.
        found, expected: the values, or the shapes.
        count: elements of the tensor that differ.
    """

    tensor: str
    index: tuple[int, ...]
    found: object
    expected: object
    count: int

    def __str__(self) -> str:
        if self.index == () and isinstance(self.expected, tuple):
            return f"{self.tensor} has shape {self.found}, expected {self.expected}"
        return f"{self.tensor}{list(self.index)} is {self.found}, expected {self.expected} ({self.count} elements of it differ)"


def first_difference(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> Difference | None:
    """Return the first difference, None when all tensors are equal; a tensor that is missing differs in shape."""
    for name in [*expected, *(name for name in found if name not in expected)]:
        if name not in found or name not in expected:
            shapes = [tuple(side[name].shape) if name in side else "missing" for side in (found, expected)]
            return Difference(name, (), *shapes, 1)
        one, other = np.asarray(found[name]), np.asarray(expected[name])
        if one.shape != other.shape:
            return Difference(name, (), tuple(one.shape), tuple(other.shape), 1)
        unequal = np.flatnonzero(one != other)
        if unequal.size:
            index = tuple(int(i) for i in np.unravel_index(unequal[0], one.shape))
            return Difference(name, index, one[index].item(), other[index].item(), int(unequal.size))
    return None


@dataclass(frozen=True)
class Culprit:
    """The first instruction after which a board's memories differ from the golden board's.

    Attributes:
        index: its number in the segment.
        instruction: the decoded instruction; None where the 64 bytes are malformed.
        where: what differs after it, in words.
    """

    index: int
    instruction: isa.Instruction | None
    where: str

    def __str__(self) -> str:
        if self.instruction is None:
            return f"instruction {self.index} (malformed): {self.where}"
        fields = ", ".join(f"{name}={value}" for name, value in self.instruction.fields.items() if value)
        return f"instruction {self.index} ({self.instruction.op}: {fields}): {self.where}"


def bisect(board: Board, golden: Board, before: CoreState, address: int, count: int) -> Culprit | None:
    """Return the first instruction of a segment after which `board` differs from `golden`, None if none does.

    Every probe restores `before` on both boards and runs a prefix of the segment, which is itself a valid
    segment, so that timing and overlap inside the prefix are as in the run. About 2 log2(count) prefixes run.

    Args:
        board: a board with `snapshot` and `restore`, such as the simulated one.
        golden: the golden board.
        before: state of memories and DDR before the segment.
        address, count: of the segment.
    """
    equal, differing = 0, count
    where = _compare(board, golden, before, address, count)
    if where is None:
        return None
    while differing - equal > 1:
        middle = (equal + differing) // 2
        found = _compare(board, golden, before, address, middle)
        if found is None:
            equal = middle
        else:
            differing, where = middle, found
    start = address + (differing - 1) * isa.INSTRUCTION_BYTES
    data = before.ddr[start : start + isa.INSTRUCTION_BYTES].tobytes()
    try:
        instruction = isa.decode(data)
    except isa.MalformedInstruction:
        instruction = None
    return Culprit(differing - 1, instruction, where)


def _compare(board: Board, golden: Board, before: CoreState, address: int, count: int) -> str | None:
    """Run a prefix on both boards from the same state; return what differs in words, None for nothing."""
    outcomes = []
    for one in (board, golden):
        one.restore(before)
        try:
            one.start(address, count)
            counters = one.wait()
            outcomes.append({k: v for k, v in counters.items() if k not in isa.TIMING_COUNTERS})
        except BoardError as error:
            outcomes.append(error)
    if any(isinstance(outcome, BoardError) for outcome in outcomes):
        codes = [getattr(outcome, "code", "none") for outcome in outcomes]
        both = [outcome if isinstance(outcome, BoardError) else "it runs to its end" for outcome in outcomes]
        return None if codes[0] == codes[1] else f"{both[0]}; on the golden board {both[1]}"
    found = describe(board.snapshot(), golden.snapshot())
    if found is None and outcomes[0] != outcomes[1]:
        name = next(name for name in outcomes[0] if outcomes[0][name] != outcomes[1][name])
        return f"counter {name} is {outcomes[0][name]}, on the golden board {outcomes[1][name]}"
    return found


def describe(found: CoreState, expected: CoreState) -> str | None:
    """Return in words the first difference between two states' memories, None where there is none."""
    unequal = differences(found, expected)
    if not unequal:
        return None
    parts = []
    for name, words in unequal.items():
        one, other = (_memory(state, name)[words[0]] for state in (found, expected))
        one, other = np.asarray(one).tolist(), np.asarray(other).tolist()
        parts.append(f"{name}[{words[0]}] is {one}, expected {other} ({len(words)} differ)")
    return "; ".join(parts)


def _memory(state: CoreState, name: str) -> np.ndarray:
    if name == "ddr":
        return state.ddr
    return state.acc if name == "acc" else state.mem[name]
