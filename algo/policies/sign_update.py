"""Weight updates by the sign of the gradient: signSGD, and PSG, which predicts most signs from the most significant bits.

The arithmetic is the training step's; these mark its rule and hold what the rule needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from algo.policies.decision import FULL_BITS, Decision, MethodError, Policy, Running, Setting, fraction, narrowed, whole


@dataclass(frozen=True)
class SignSgd(Policy):
    """The update takes sign(g_w) in place of g_w, for convolution weights."""

    name = "signsgd"
    excludes = ("psg",)

    def begin(self, setting: Setting) -> Running:
        """Return the policy of a course."""
        return _Marked("signsgd")


@dataclass(frozen=True)
class Psg(Policy):
    """sign(g_msb) where |g_msb| >= beta * max|g_msb|, else sign(g_w).

    Attributes:
        beta: share of the largest predicted gradient from which its sign is trusted.
        x_bits, g_bits: most significant bits that the predictor takes of activations and output gradients.
        gradient_bits: of the full output gradients.
    """

    beta: Fraction = Fraction(1, 20)
    x_bits: int = 4
    g_bits: int = 10
    gradient_bits: int = 16
    name = "psg"
    excludes = ("signsgd",)

    def __post_init__(self):
        self.take(beta=fraction("psg beta", self.beta, 0, 1))
        whole("psg x_bits", self.x_bits, 2, FULL_BITS)
        if self.gradient_bits not in (8, 16):
            raise MethodError(f"psg gradient_bits is {self.gradient_bits!r}; gradients have 8 or 16 bits")
        whole("psg g_bits", self.g_bits, 2, self.gradient_bits)

    def begin(self, setting: Setting) -> Running:
        """Return the policy of a course."""
        return _Marked("psg")


class _Marked(Running):
    def __init__(self, update: str):
        self._update = update

    def decide(self, decision: Decision) -> Decision:
        return narrowed(decision, update=self._update)
