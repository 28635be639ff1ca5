"""Cycles of the vector unit, from an instruction's fields alone: hw/rtl/vector_engine.sv, vector_sequencer.sv, vector_table.sv.

It waits for nobody, so all follows from the start: when it is done, and when it uses which memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from hw import isa
from hw.cycle_memory import PAST

READ, WRITE = 0, 1
U, V, C = (isa.MEMORY_NUMBER[name] for name in "UVC")

LATENCY = 10
"""Cycles from the last operand word of a vector to its result."""

SUM_LATENCY = 3
"""Cycles from a result until sums and maximum hold it."""


@dataclass(frozen=True)
class _Use:
    """A memory is used in the cycles from `first` to `last`, every one or every `step`th."""

    first: int
    last: int
    step: int = 1

    def rebased(self, t: int) -> _Use:
        """Return the same, its last cycle being no earlier than t, with cycles counted from t on."""
        first = self.first - t
        return _Use(first if first >= 0 else first % self.step, self.last - t, self.step)

    def __contains__(self, t: int) -> bool:
        return self.first <= t <= self.last and not (t - self.first) % self.step


class VectorWork(NamedTuple):
    """A vector instruction: vectors, the cycles that finding their place in the noise takes, and its fields."""

    vectors: int
    position: int
    per_channel: int
    u_src: int
    v_src: int
    dst: int
    dst_wide: int
    sums: int
    sums_first: int
    max: int


class VectorUnit:
    """The vector unit: when it is free, and in which cycles it uses the memories it shares.

    Attributes:
        ready_at: cycle from which it takes an instruction.
        done_at: cycle in which the one under way is done.
    """

    def __init__(self, g: int):
        self._g = g
        self.ready_at = 0.0
        self.done_at: float = inf
        self._uses: dict[tuple[int, int], list[_Use]] = {}

    def uses(self, way: int, memory: int, t: int) -> bool:
        """Return whether it keeps others from reading (writing) a memory in cycle t."""
        return any(t in use for use in self._uses.get((way, memory), ()))

    def rebase(self, t: int) -> None:
        """Count cycles from t on."""
        self.ready_at, self.done_at = max(self.ready_at - t, PAST), max(self.done_at - t, PAST)
        self._uses = {key: [use.rebased(t) for use in uses if use.last >= t] for key, uses in self._uses.items()}
        self._uses = {key: uses for key, uses in self._uses.items() if uses}

    def start(self, t: int, f: VectorWork) -> None:
        """Take an instruction in cycle t."""
        words = 2 * self._g + 2 if f.per_channel else isa.RECORD_WORDS
        run = t + 1 + max(words, f.position)
        self._uses = {(READ, C): [_Use(t + 1, t + words)], (WRITE, C): []}
        last = self._pass(f, run, f.vectors)
        if f.sums or f.max:
            flush = last + LATENCY + SUM_LATENCY + 1 if f.vectors else run + 1
            self.done_at = self.ready_at = self._flush(f, flush) + 2
        else:
            self.done_at = self.ready_at = last + LATENCY + (4 if f.dst_wide else 1) if f.vectors else run + 1

    def _pass(self, f: VectorWork, run: int, vectors: int) -> int:
        """Note the words of U and V that vectors use from cycle `run` on, and return the cycle of the last operand word."""
        every = 4 if f.u_src == 2 or f.v_src == 2 or f.dst_wide else 1
        first, last = run + every - 1, run + every * vectors - 1
        for memory, source in ((U, f.u_src), (V, f.v_src)):
            if source in (1, 2):
                self._uses[READ, memory] = [_Use(first, last, every) if source == 1 else _Use(run, last)]
        if f.dst in (2, 3):
            written = _Use(first + LATENCY, last + LATENCY + 3) if f.dst_wide else _Use(first + LATENCY, last + LATENCY, every)
            self._uses[WRITE, {2: U, 3: V}[f.dst]] = [written]
        return last

    def _flush(self, f: VectorWork, t: int) -> int:
        """Note when sums and maximum claim C, from cycle t on, and return the cycle of the last word."""
        reads, writes, lanes = self._uses[READ, C], self._uses[WRITE, C], 2 * self._g
        last = t - 1
        if f.sums:
            behind = 0 if f.sums_first else 2
            last = t + behind + lanes - 1
            if behind:
                reads.append(_Use(t, last))
        if f.max:
            reads.append(_Use(last + 1, last + 2 + max(self._g // 4, 2)))
            last = reads[-1].last
        writes.append(_Use(t, last))
        return last
