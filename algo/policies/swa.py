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
        every: drawn iterations between averaged weights; 0 for an epoch, as published, or a tenth of the rest where that is
            less: some ten weights make an average, each of which is read and added.
        settle: the run's last drawn iterations, in which the average is in place and the learning rate 0, so that batch
            norm's running statistics follow it; they cost what iterations cost. 0 for a twentieth of the run, at most 50.
    """

    start: Fraction = Fraction(3, 4)
    every: int = 0
    settle: int = 0
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
        settle = self.settle or max(1, min(50, setting.iterations // 20))
        if settle >= rest:
            asked = f"swa averages the last {rest} iterations and settles for {settle}"
            raise MethodError(f"{asked}: settle for fewer, or start earlier")
        return Averaging(first, self.every or max(1, min(setting.epoch, rest // 10)), setting.iterations - settle)


class Averaging(Running):
    """Sums of what is averaged.

    Attributes:
        first: iteration from which on weights are averaged.
        settles_from: first iteration with the average in place.
        count: how often weights have been added.
    """

    def __init__(self, first: int, every: int, settles_from: int):
        self.first, self._every, self.settles_from = first, every, settles_from
        self.count, self._mark, self._replaced = 0, -1, False
        self._sums: dict[str, np.ndarray] = {}

    def decide(self, decision: Decision) -> Decision:
        """Average at the first executed iteration at or past each mark, so that drops lose none; replace once.

        The weights may be added later than decided, but before the average is asked for.
        """
        if decision.iteration >= self.settles_from and self._mark >= 0:
            first, self._replaced = not self._replaced, True
            return narrowed(decision, replace=first, settles=True)
        mark = (decision.iteration - self.first) // self._every
        if decision.iteration < self.first or mark <= self._mark:
            return decision
        self._mark = mark
        return narrowed(decision, average=True)

    def add(self, values: dict[str, np.ndarray]) -> None:
        """Add weights: whole numbers whose exponents stay, such as masters and batch norm's gamma and beta."""
        for name, value in values.items():
            if name in self._sums:
                self._sums[name] += value
            else:
                self._sums[name] = value.astype(np.int64)
        self.count += 1

    def mean(self) -> dict[str, np.ndarray]:
        """Return the mean of what was added, int64, to nearest, ties up; nothing where nothing was added."""
        return {name: (2 * total + self.count) // (2 * self.count) for name, total in self._sums.items()}

    def state(self) -> dict:
        """Return sums, count and the last mark."""
        sums = {name: one.copy() for name, one in self._sums.items()}
        return {"count": self.count, "mark": self._mark, "replaced": self._replaced, "sums": sums}

    def restore(self, state: dict) -> None:
        """Go on from a checkpoint."""
        self.count, self._mark, self._replaced = state["count"], state["mark"], state["replaced"]
        self._sums = {name: np.array(one, np.int64) for name, one in state["sums"].items()}
