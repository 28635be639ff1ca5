"""Bits per drawn iteration: the same throughout (static), or in cosine cycles (CPT, cyclic precision training)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from algo.functions import ONE, cos_half_turn
from algo.policies.decision import FULL_BITS, Decision, MethodError, Policy, Running, Setting, narrowed, whole

FEWEST_BITS = 2
_TWO_BYTES = 16


def bits_setting(asked: str, value: object) -> int:
    """Return a setting that is a number of bits."""
    return whole(asked, value, FEWEST_BITS, FULL_BITS)


@dataclass(frozen=True)
class Static(Policy):
    """Attributes: forward, backward: bits of activations and weights, and of gradients, which may also be 16: two bytes of 8."""

    forward: int = FULL_BITS
    backward: int = FULL_BITS
    name = "static"
    excludes = ("cpt", "fractrain")

    def __post_init__(self):
        bits_setting("static forward", self.forward)
        if not isinstance(self.backward, int) or self.backward != _TWO_BYTES:
            whole("static backward", self.backward, FEWEST_BITS, FULL_BITS, f", or {_TWO_BYTES}")

    def begin(self, setting: Setting) -> Running:
        """Return the policy of a course."""
        return _Scheduled(lambda iteration: self.forward, min(self.backward, FULL_BITS))


@dataclass(frozen=True)
class Cpt(Policy):
    """bits(t) = round(lowest + (highest - lowest) / 2 * (1 - cos(pi (t mod P) / P))), P = iterations / periods.

    Attributes:
        lowest, highest: bits of activations and weights.
        backward: bits of gradients.
        periods: cycles of the whole run.
    """

    lowest: int = 3
    highest: int = FULL_BITS
    backward: int = FULL_BITS
    periods: int = 32
    name = "cpt"
    excludes = ("static", "fractrain")

    def __post_init__(self):
        for name in ("lowest", "highest", "backward"):
            bits_setting(f"cpt {name}", getattr(self, name))
        whole("cpt periods", self.periods, 1)
        if self.lowest > self.highest:
            raise MethodError(f"cpt goes from {self.lowest} bits up to {self.highest}; lowest is at most highest")

    def begin(self, setting: Setting) -> Running:
        """Return the policy of a course."""
        if self.periods > setting.iterations:
            raise MethodError(f"cpt has {self.periods} periods in {setting.iterations} iterations; a period takes at least one")
        return _Scheduled(lambda iteration: self.bits(iteration, setting.iterations), self.backward)

    def bits(self, iteration: int, iterations: int) -> int:
        """Return the forward bits of a drawn iteration in a run of `iterations`; nearest, ties up."""
        phase = Fraction(iteration * self.periods, iterations) % 1
        rise = ONE - cos_half_turn(phase.numerator, phase.denominator)
        return self.lowest + ((self.highest - self.lowest) * rise + ONE) // (2 * ONE)


class _Scheduled(Running):
    def __init__(self, forward_bits, backward_bits: int):
        self._forward_bits, self._backward_bits = forward_bits, backward_bits

    def decide(self, decision: Decision) -> Decision:
        return narrowed(decision, forward_bits=self._forward_bits(decision.iteration), backward_bits=self._backward_bits)
