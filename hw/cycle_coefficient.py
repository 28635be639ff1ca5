"""Cycles of the coefficient unit, operation by operation: hw/rtl/coefficient_engine.sv.

Only division and square root, whose time depends on their operands, count with a typical one.
"""

from __future__ import annotations

from functools import lru_cache
from math import inf
from typing import NamedTuple

from algo import scalar_ops
from hw.cycle_issue import Work
from hw.cycle_memory import PAST
from hw.cycle_vector import READ, WRITE, C, VectorUnit

SCALAR_CYCLES = {"min": 2, "max": 2, "sat": 2, "mul": 2, "shi": 2, "shr": 2, "div": 22, "sqrt": 27}
"""Cycles of a scalar operation where they are not 1; of division and root as most batch norms have them: quotients of 17 to 32
bits, radicands of 33 to 48. Both take 7 less or more per 16 bits."""


class ScalarOp(NamedTuple):
    """A scalar instruction: its cycles, and whether it loads or stores a word of C."""

    cycles: int
    load: bool
    store: bool


class CoefficientWork(NamedTuple):
    """A scalar program over some channels."""

    channels: int
    ops: tuple[ScalarOp, ...]


@lru_cache(maxsize=1024)
def scalar_program(words: tuple[int, ...]) -> tuple[ScalarOp, ...]:
    """Return what the coefficient unit does for a channel; `words` are those of P."""
    names = [scalar_ops.decode(word & 0xFFFFFFFF)[0] for word in words]
    return tuple(ScalarOp(SCALAR_CYCLES.get(name, 1), name in ("ldc", "lds"), name == "stc") for name in names)


class CoefficientUnit:
    """The coefficient unit, operation by operation: its words of C wait for the vector unit.

    Args:
        vector: the vector unit.

    Attributes:
        next_at: cycle of its next step.
        done_at: cycle in which the instruction under way is done.
    """

    def __init__(self, vector: VectorUnit):
        self._vector = vector
        self._used = [PAST, PAST]
        self._end()
        self.next_at: float = inf
        self.done_at: float = inf
        self.ready_at = 0.0

    def _end(self) -> None:
        """Forget the instruction that was under way."""
        self._work: Work | None = None
        self._channel = self._op = 0
        self._storing = False

    def rebase(self, t: int) -> None:
        """Count cycles from t on."""
        self.next_at, self.done_at = max(self.next_at - t, PAST), max(self.done_at - t, PAST)
        self.ready_at = max(self.ready_at - t, PAST)
        self._used = [max(at - t, PAST) for at in self._used]

    def start(self, t: int, work: Work) -> None:
        """Take an instruction in cycle t."""
        self._work = work
        self.next_at, self.ready_at = t + 2, inf

    def uses(self, way: int, t: int) -> bool:
        """Return whether it keeps others from reading (writing) C in cycle t, that of its last step or before."""
        return self._used[way] == t

    def step(self, t: int) -> None:
        """Do what happens in cycle t, which is `next_at`."""
        self.next_at = t + 1
        if self._storing:
            self._used[WRITE] = t
            self._storing = self._vector.uses(WRITE, C, t)
            return
        part: CoefficientWork = self._work.part
        if self._channel == part.channels:
            self.done_at, self.ready_at, self.next_at = t, t + 1, inf
            self._end()
            return
        op = part.ops[self._op]
        if op.load:
            self._used[READ] = t
            if self._vector.uses(READ, C, t):
                return
        self._storing = op.store
        self.next_at = t + op.cycles
        self._op += 1
        if self._op == len(part.ops):
            self._op, self._channel = 0, self._channel + 1
