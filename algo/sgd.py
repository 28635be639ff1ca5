"""SGD with momentum and weight decay: hyper-parameters as exact fractions, so that no bit depends on a float. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Sgd:
    """Settings of torch.optim.SGD with a learning rate that rises linearly, then falls linearly to zero.

    Attributes:
        lr: highest learning rate, above 0 and at most 16.
        momentum: 0 to below 1.
        weight_decay: 0 to 1; acts on every parameter.
        warmup: iterations of the rise.
        steps: iterations of rise and fall together; 0 keeps the learning rate constant after the rise.
    """

    lr: Fraction = Fraction(1, 10)
    momentum: Fraction = Fraction(9, 10)
    weight_decay: Fraction = Fraction(0)
    warmup: int = 0
    steps: int = 0

    def __post_init__(self):
        for name in ("lr", "momentum", "weight_decay"):
            object.__setattr__(self, name, _fraction(name, getattr(self, name)))
        if not 0 < self.lr <= 16:
            raise ValueError(f"lr is {float(self.lr)}; it must be above 0 and at most 16")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {float(self.momentum)}; it must be from 0 to below 1")
        if not 0 <= self.weight_decay <= 1:
            raise ValueError(f"weight_decay is {float(self.weight_decay)}; it must be from 0 to 1")
        if self.warmup < 0 or self.steps < 0 or 0 < self.steps <= self.warmup:
            raise ValueError(f"warmup {self.warmup} must not be negative, and steps {self.steps} must be 0 or larger than it")

    def rate(self, iteration: int) -> Fraction:
        """Return the learning rate of an iteration, counted from 0; 0 from `steps` on."""
        if iteration < self.warmup:
            return self.lr * Fraction(iteration + 1, self.warmup + 1)
        if not self.steps:
            return self.lr
        return self.lr * max(Fraction(self.steps - iteration, self.steps - self.warmup), Fraction(0))

    def to_json(self) -> dict:
        """Return plain data; `from_json` is the inverse."""
        return {
            "lr": str(self.lr), "momentum": str(self.momentum), "weight_decay": str(self.weight_decay),
            "warmup": self.warmup, "steps": self.steps,
        }

    @staticmethod
    def from_json(data: dict) -> Sgd:
        """Rebuild settings. Raises ValueError or TypeError where the data is not such."""
        return Sgd(**data)


def _fraction(name: str, value: Fraction | int | float | str) -> Fraction:
    """A float means its shortest decimal: 0.1 is one tenth, not the nearest binary number."""
    try:
        return Fraction(str(value))
    except ValueError:
        raise ValueError(f"{name} is {value!r}; it must be a number or a fraction such as 1/10") from None
