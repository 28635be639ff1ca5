"""What a weight update takes of the weight gradient: the gradient itself or its sign. No torch."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = ("gradient", "sign")


class UpdateRuleError(ValueError):
    """An update rule cannot be; the message says what was asked and what can be."""


@dataclass(frozen=True)
class UpdateRule:
    """Which weights are updated by what.

    Attributes:
        kind: "gradient", or "sign": signSGD, the sign of the gradient in the gradient's place; momentum and weight decay act
            on it as torch.optim.SGD has them.
        linear: whether fully connected layers take the sign too; batch norms and biases never do.
    """

    kind: str = "gradient"
    linear: bool = False

    def __post_init__(self):
        if self.kind not in KINDS:
            raise UpdateRuleError(f"update rule {self.kind!r}: it is one of {', '.join(KINDS)}")

    @staticmethod
    def of(rule: UpdateRule | str) -> UpdateRule:
        """Return the rule, or the one of that kind. Raises UpdateRuleError where there is none."""
        return rule if isinstance(rule, UpdateRule) else UpdateRule(rule)

    def signs(self, linear: bool) -> bool:
        """Return whether a layer's weights are updated by signs."""
        return self.kind != "gradient" and (self.linear or not linear)
