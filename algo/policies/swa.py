"""Stochastic weight averaging: the exact mean of the master weights of some iterations, in integers."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from algo.policies.decision import Decision, MethodError, Policy, Running, Setting, fraction, narrowed, whole


@dataclass(frozen=True)
class Swa(Policy):
    """Settings.

    Attributes:
        start: share of the drawn iterations after which averaging begins, below 1.
        every: drawn iterations between averaged weights; 0 for an epoch, or a twentieth of the rest where that is less.
        settle: iterations at learning rate 0 after the run, in which batch norm's running statistics take up the averaged
            weights; they are executed, and cost what iterations cost.
    """

    start: Fraction = Fraction(3, 4)
    every: int = 0
    settle: int = 30
    name = "swa"

    def __post_init__(self):
        self.take(start=fraction("swa start", self.start, 0, 1))
        if self.start == 1:
            raise MethodError("swa start is 1: there would be no iteration left to average; it is 0 to below 1")
        whole("swa every", self.every, 0)
        whole("swa settle", self.settle, 0)

    def begin(self, setting: Setting) -> Running:
        """Return an average of nothing."""
        first = -(-self.start.numerator * setting.iterations // self.start.denominator)
        rest = setting.iterations - first
        if rest < 1:
            raise MethodError(f"swa start is {self.start} of {setting.iterations} iterations: none is left to average")
        return Averaging(first, self.every or max(1, min(setting.epoch, rest // 20)), self.settle)


class Averaging(Running):
    """Sums of what is averaged.

    Attributes:
        settle: iterations at learning rate 0 that are to follow the run.
        count: how often weights have been added.
    """

    def __init__(self, first: int, every: int, settle: int):
        self._first, self._every, self.settle = first, every, settle
        self.count, self._mark = 0, -1
        self._sums: dict[str, np.ndarray] = {}

    def decide(self, decision: Decision) -> Decision:
        """Average at the first executed iteration at or past each mark, so that drops lose none."""
        mark = (decision.iteration - self._first) // self._every
        if decision.iteration < self._first or mark <= self._mark:
            return decision
        self._mark = mark
        return narrowed(decision, average=True)

    def add(self, values: dict[str, np.ndarray]) -> None:
        """Add weights: whole numbers whose exponents stay, such as masters and batch norm's gamma and beta."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0) + value.astype(np.int64)
        self.count += 1

    def mean(self) -> dict[str, np.ndarray]:
        """Return the mean of what was added, int64, to nearest, ties up; nothing where nothing was added."""
        return {name: (2 * total + self.count) // (2 * self.count) for name, total in self._sums.items()}

    def state(self) -> dict:
        """Return sums, count and the last mark."""
        return {"count": self.count, "mark": self._mark, "sums": {name: one.copy() for name, one in self._sums.items()}}

    def restore(self, state: dict) -> None:
        """Go on from a checkpoint."""
        self.count, self._mark = state["count"], state["mark"]
        self._sums = {name: np.array(one, np.int64) for name, one in state["sums"].items()}
