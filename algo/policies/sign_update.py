"""Weight updates by the sign of the gradient: signSGD, and PSG, which predicts most signs from the most significant bits.

The arithmetic is the training step's (algo.update_rule); these mark its rule and hold what the rule needs. PSG as published
computes the full product where the predictor is undecided, which no executor does; `psg_abstain` leaves those weights alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from algo.policies.decision import FULL_BITS, Decision, MethodError, Policy, Running, Setting, fraction, narrowed, whole
from algo.update_rule import GRADIENT_BITS

SIGN_RATE = Fraction(3, 100)


@dataclass(frozen=True)
class SignSgd(Policy):
    """The update takes sign(g_w) in place of g_w, for convolution weights.

    Attributes:
        lr: learning rate in place of the recipe's: a sign is larger than a gradient.
    """

    lr: Fraction = SIGN_RATE
    name = "signsgd"
    excludes = ("psg", "psg_abstain")

    def __post_init__(self):
        self.take(lr=_rate(self))

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
    excludes = ("signsgd", "psg_abstain")

    def __post_init__(self):
        self.take(beta=fraction("psg beta", self.beta, 0, 1))
        _check_bits(self)

    def begin(self, setting: Setting) -> Running:
        """Return the policy of a course."""
        return _Marked("psg")


@dataclass(frozen=True)
class PsgAbstain(Policy):
    """sign(g_msb) where |g_msb| >= beta times the largest of the iteration before, else 0.

    Attributes:
        beta: below 1; 0 takes every predicted sign.
        x_bits, g_bits: most significant bits that the predictor takes of int8 activations and of output gradients.
        lr: learning rate in place of the recipe's.
        gradient_bits: of the output gradients, 8 or 16. The paper's predictor is x_bits 4 and g_bits 10 of 16, for which the
            array, whose operands are int8, takes more passes than for int8 gradients whole.
    """

    beta: Fraction = Fraction(1, 20)
    x_bits: int = 4
    g_bits: int = 4
    lr: Fraction = SIGN_RATE
    gradient_bits: int = 8
    name = "psg_abstain"
    excludes = ("signsgd", "psg")

    def __post_init__(self):
        self.take(beta=fraction("psg_abstain beta", self.beta, 0, 1), lr=_rate(self))
        if self.beta == 1:
            raise MethodError("psg_abstain beta is 1: only the largest gradients would move a weight; it is 0 to below 1")
        _check_bits(self)

    def begin(self, setting: Setting) -> Running:
        """Return the policy of a course."""
        return _Marked("psg_abstain")


def _rate(policy: SignSgd | PsgAbstain) -> Fraction:
    rate = fraction(f"{policy.name} lr", policy.lr, 0, 16)
    if not rate:
        raise MethodError(f"{policy.name} lr is 0: no weight would ever move; it is above 0, up to 16")
    return rate


def _check_bits(policy: Psg | PsgAbstain) -> None:
    name, gradient_bits = policy.name, policy.gradient_bits
    whole(f"{name} x_bits", policy.x_bits, 2, FULL_BITS)
    if not isinstance(gradient_bits, int) or gradient_bits not in GRADIENT_BITS:
        raise MethodError(f"{name} gradient_bits is {gradient_bits!r}; gradients have 8 or 16 bits, a whole number")
    most = max(GRADIENT_BITS)
    also = f", or up to {most} beside gradient_bits {most}" if gradient_bits < most else ""
    whole(f"{name} g_bits", policy.g_bits, 2, gradient_bits, also)


class _Marked(Running):
    def __init__(self, update: str):
        self._update = update

    def decide(self, decision: Decision) -> Decision:
        return narrowed(decision, update=self._update)
