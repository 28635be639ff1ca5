"""Cycles of the coefficient unit, operation by operation: hw/rtl/coefficient_engine.sv.

Only division and square root, whose time depends on their operands, count with a typical one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from algo import scalar_ops
from hw import isa
from hw.cycle_vector import READ, WRITE, C, VectorUnit

SCALAR_CYCLES = {"min": 2, "max": 2, "sat": 2, "mul": 2, "shi": 2, "shr": 2, "div": 22, "sqrt": 27}
"""Cycles of a scalar operation where they are not 1; of division and root as most batch norms have them: quotients of 17 to 32
bits, radicands of 33 to 48. Both take 7 less or more per 16 bits."""


@dataclass(frozen=True)
class ScalarOp:
    """A scalar instruction: its cycles, and whether it loads or stores a word of C."""

    cycles: int
    load: bool
    store: bool


def scalar_program(f: isa.Instruction, words: np.ndarray) -> list[ScalarOp]:
    """Return what the coefficient unit does for a channel; `words` are those of P."""
    ops = []
    for word in words[f["pc"] : f["pc"] + f["length"]]:
        name, *_ = scalar_ops.decode(int(word) & 0xFFFFFFFF)
        ops.append(ScalarOp(SCALAR_CYCLES.get(name, 1), name in ("ldc", "lds"), name == "stc"))
    return ops


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
        self._ops: Sequence[ScalarOp] = ()
        self._used = [-1, -1]
        self.next_at: float = inf
        self.done_at: float = inf
        self.ready_at = 0.0

    def start(self, t: int, f: isa.Instruction, ops: Sequence[ScalarOp]) -> None:
        """Take an instruction in cycle t."""
        self._f, self._ops, self._channel, self._op = f, ops, 0, 0
        self._storing = False
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
        if self._channel == self._f["ch_count"]:
            self.done_at, self.ready_at, self.next_at = t, t + 1, inf
            return
        op = self._ops[self._op]
        if op.load:
            self._used[READ] = t
            if self._vector.uses(READ, C, t):
                return
        self._storing = op.store
        self.next_at = t + op.cycles
        self._op += 1
        if self._op == len(self._ops):
            self._op, self._channel = 0, self._channel + 1
