"""Stochastic depth: residual blocks are skipped at random, image by image; the baseline of selective layer update.

Evaluation runs every block.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from algo.arithmetic import name_hash
from algo.policies.decision import GATED, Decision, MethodError, Policy, Running, Setting, fraction, gated
from algo.policies.draws import below, draws_ahead
from algo.policies.gates import Gates

RULES = ("linear", "constant")

AHEAD = 8
"""Drawn iterations whose decisions are made at once: a numpy call costs more than what it computes of so few."""

_AHEAD_CALLS, _DRAWS_OF_ELEMENT = 50, 4
"""numpy calls in whose time they are made, and draws that take as long as an element of the model of the processor's time.
Looking them up takes a numpy call for each block."""


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
        self._seed, self._below = setting.seed, np.array([below(one) for one in survivals])[:, None]
        self._hashes = np.array([name_hash(f"sd.{name}") for name, _ in setting.blocks])
        self._made, self._made_for = np.zeros((0, 0, 0), bool), (-1, 0)

    def gates(self, decision: Decision) -> Gates:
        """Return the gates of an iteration."""
        return _Drawn(self, decision.iteration)

    def runs(self, iteration: int, images: int) -> tuple[np.ndarray, bool]:
        """Return which images run which block, bool (blocks, images), and whether that had to be worked out."""
        first, wanted = iteration - iteration % AHEAD, (iteration // AHEAD, images)
        new = self._made_for != wanted
        if new:
            drawn = draws_ahead(self._seed, np.arange(first, first + AHEAD), self._hashes, images)
            self._made, self._made_for = drawn < self._below, wanted
        return self._made[iteration - first], new

    def evaluation_gates(self) -> Gates:
        """Return gates that let everything run."""
        return Gates()


class _Drawn(Gates):
    def __init__(self, running: Skipping, iteration: int):
        super().__init__()
        self._running, self._iteration = running, iteration
        self._all: np.ndarray | None = None
        self._made = False

    def processor_work(self) -> tuple[int, int, int, int]:
        """Return numpy calls and elements in whose time the draws are made and looked up."""
        drawn = AHEAD * self._all.size * self._made if self.runs else 0
        return _AHEAD_CALLS * self._made + len(self.runs), drawn // _DRAWS_OF_ELEMENT, 0, 0

    def _decide(self, block: int, images: int, pooled: np.ndarray | None, pixels: int, exponent: int) -> np.ndarray:
        if self._all is None:
            self._all, self._made = self._running.runs(self._iteration, images)
        return self._all[block]
