"""Stochastic depth: residual blocks are skipped at random, image by image; the baseline of selective layer update.

Evaluation runs every block.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from algo.policies.decision import GATED, Decision, MethodError, Policy, Running, Setting, fraction, gated
from algo.policies.draws import draws, happens
from algo.policies.gates import Gates

RULES = ("linear", "constant")

_DRAW_CALLS = 10
"""numpy calls in whose time a block's draws are made."""


@dataclass(frozen=True)
class StochasticDepth(Policy):
    """Settings.

    Attributes:
        survival: probability that an image runs the deepest block, above 0.
        rule: "constant" for every block; "linear" falls from 1 before the first gated block to it at the last.
        blocks: which are skipped at times, of algo.policies.decision.GATED.
    """

    survival: Fraction = Fraction(1, 2)
    rule: str = "linear"
    blocks: str = GATED[0]
    name = "sd"
    excludes = ("slu",)

    def __post_init__(self):
        self.take(survival=fraction("sd survival", self.survival, 0, 1))
        if not self.survival:
            raise MethodError("sd survival is 0: the deepest block would never run; it is above 0, up to 1")
        if self.rule not in RULES:
            raise MethodError(f"sd rule is {self.rule!r}; there are {', '.join(RULES)}")
        gated("sd blocks", self.blocks)

    def to_json(self) -> dict:
        """Return the settings as a recipe writes them; that all blocks are skipped at times is not said."""
        return {name: value for name, value in super().to_json().items() if (name, value) != ("blocks", GATED[0])}

    def begin(self, setting: Setting) -> Running:
        """Return the draws of a course."""
        if not setting.blocks:
            raise MethodError("method sd skips residual blocks, and this network has none that may be skipped")
        return Skipping(self.survivals(len(setting.blocks)), setting)

    def survivals(self, blocks: int) -> tuple[Fraction, ...]:
        """Return every block's probability to run."""
        if self.rule == "constant":
            return (self.survival,) * blocks
        return tuple(1 - (1 - self.survival) * Fraction(number + 1, blocks) for number in range(blocks))


class Skipping(Running):
    """Draws for every gated block."""

    def __init__(self, survivals: tuple[Fraction, ...], setting: Setting):
        self._survivals, self._setting = survivals, setting

    def gates(self, decision: Decision) -> Gates:
        """Return the gates of an iteration."""
        return _Drawn(self._survivals, self._setting, decision.iteration)

    def evaluation_gates(self) -> Gates:
        """Return gates that let everything run."""
        return Gates()


class _Drawn(Gates):
    def __init__(self, survivals: tuple[Fraction, ...], setting: Setting, iteration: int):
        super().__init__()
        self._survivals, self._setting, self._iteration = survivals, setting, iteration

    def processor_work(self) -> tuple[int, int, int, int]:
        """Return the numpy calls of the draws."""
        return _DRAW_CALLS * len(self.runs), 0, 0, 0

    def _decide(self, block: int, images: int, pooled: np.ndarray | None, pixels: int, exponent: int) -> np.ndarray:
        bits = draws(self._setting.seed, self._iteration, f"sd.{self._setting.blocks[block][0]}", images)
        return happens(bits, self._survivals[block])
