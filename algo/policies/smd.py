"""Stochastic mini-batch dropping (E2-Train, data level): a drawn mini-batch is dropped before it is loaded; nothing steps."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from algo.policies.decision import MethodError, Policy, Running, Setting, fraction
from algo.policies.draws import draw, happens


@dataclass(frozen=True)
class Smd(Policy):
    """Attributes: drop: probability that a mini-batch is dropped, 0 to below 1."""

    drop: Fraction = Fraction(1, 2)
    name = "smd"

    def __post_init__(self):
        self.take(drop=fraction("smd drop", self.drop, 0, 1))
        if self.drop == 1:
            raise MethodError("smd drop is 1: no mini-batch would ever be executed; it is 0 to below 1")

    def begin(self, setting: Setting) -> Running:
        """Return the draws of a course."""
        return _Dropping(self.drop, setting.seed)


class _Dropping(Running):
    def __init__(self, drop: Fraction, seed: int):
        self._drop, self._seed = drop, seed

    def executes(self, iteration: int) -> bool:
        return not happens(draw(self._seed, iteration, "smd"), self._drop)
