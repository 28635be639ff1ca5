"""What a weight update takes of the weight gradient: itself, its sign, or the sign that a predictor is sure of. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from algo.fraction_text import read_fraction

KINDS = ("gradient", "sign", "psg_abstain")
GRADIENT_BITS = (8, 16)
_FEWEST_BITS, _MOST_BITS = 2, 8


class UpdateRuleError(ValueError):
    """An update rule cannot be; the message says what was asked and what can be."""


@dataclass(frozen=True)
class UpdateRule:
    """Which weights are updated by what.

    Attributes:
        kind: "gradient"; "sign": signSGD, the sign of the gradient in the gradient's place, momentum and weight decay acting on
            it as torch.optim.SGD has them; "psg_abstain": the sign of the predictor's product where it is at least beta times
            the largest of the iteration before, 0 elsewhere: never the full product, unlike predictive sign gradients.
        linear: whether fully connected layers take the sign too; batch norms and biases never do.
        x_bits, g_bits: bits of activations and of output gradients that the predictor takes.
        beta: 0 for no threshold: every predicted sign is taken.
        gradient_bits: of output gradients, all through the backward pass; 16 are two int8 tensors.
    """

    kind: str = "gradient"
    linear: bool = False
    x_bits: int = 4
    g_bits: int = 4
    beta: Fraction = Fraction(1, 20)
    gradient_bits: int = 8

    def __post_init__(self):
        if self.kind not in KINDS:
            raise UpdateRuleError(f"update rule {self.kind!r}: it is one of {', '.join(KINDS)}")
        if not isinstance(self.gradient_bits, int) or self.gradient_bits not in GRADIENT_BITS:
            possible = "output gradients have 8 or 16 bits, a whole number"
            raise UpdateRuleError(f"gradient_bits {self.gradient_bits!r} of an update rule: {possible}")
        for name, most in (("x_bits", _MOST_BITS), ("g_bits", self.gradient_bits)):
            bits = getattr(self, name)
            if isinstance(bits, bool) or not isinstance(bits, int) or not _FEWEST_BITS <= bits <= most:
                possible = f"from {_FEWEST_BITS} to {most}"
                raise UpdateRuleError(f"{name} {bits!r} of an update rule: it is a whole number {possible}")
        try:
            object.__setattr__(self, "beta", read_fraction(self.beta))
        except (ValueError, ZeroDivisionError):
            raise UpdateRuleError(f"beta {self.beta!r} of an update rule: it is a number or a fraction such as 1/20") from None
        if not 0 <= self.beta < 1:
            raise UpdateRuleError(f"beta {self.beta} of an update rule: it is from 0 to below 1")

    @staticmethod
    def of(rule: UpdateRule | str) -> UpdateRule:
        """Return the rule, or the one of that kind. Raises UpdateRuleError where there is none."""
        return rule if isinstance(rule, UpdateRule) else UpdateRule(rule)

    def signs(self, linear: bool) -> bool:
        """Return whether a layer's weights are updated by signs."""
        return self.kind != "gradient" and (self.linear or not linear)

    @property
    def predicts(self) -> bool:
        """Whether signs are a predictor's."""
        return self.kind == "psg_abstain"
