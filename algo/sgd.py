"""SGD with momentum and weight decay: hyper-parameters as exact fractions, so that no bit depends on a float. No torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from algo.fraction_text import read_fraction
from algo.functions import ONE, cos_half_turn

SCHEDULES = ("linear", "constant", "milestones", "cosine")


@dataclass(frozen=True)
class Sgd:
    """Settings of torch.optim.SGD with a learning rate that rises linearly and then follows a schedule.

    Iterations are drawn ones: one whose mini-batch is dropped moves the schedule on.

    Attributes:
        lr: highest learning rate, above 0 and at most 16.
        momentum: 0 to below 1.
        weight_decay: 0 to 1; acts on every parameter.
        warmup: iterations of the rise.
        steps: iterations of the whole run; a schedule that falls to zero is there then. 0 where linear is to stay constant.
        schedule: after the rise, "linear" falls to zero, "constant" stays, "milestones" is multiplied by `factor` at each
            of them, "cosine" falls to zero as half a wave.
        milestones: iterations, rising, of "milestones".
        factor: above 0, at most 1.
    """

    lr: Fraction = Fraction(1, 10)
    momentum: Fraction = Fraction(9, 10)
    weight_decay: Fraction = Fraction(0)
    warmup: int = 0
    steps: int = 0
    schedule: str = "linear"
    milestones: tuple[int, ...] = ()
    factor: Fraction = Fraction(1, 10)

    def __post_init__(self):
        for name in ("lr", "momentum", "weight_decay", "factor"):
            object.__setattr__(self, name, _fraction(name, getattr(self, name)))
        object.__setattr__(self, "milestones", tuple(self.milestones))
        if not 0 < self.lr <= 16:
            raise ValueError(f"lr is {_said(self.lr)}; it must be above 0 and at most 16")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {_said(self.momentum)}; it must be from 0 to below 1")
        if not 0 <= self.weight_decay <= 1:
            raise ValueError(f"weight_decay is {_said(self.weight_decay)}; it must be from 0 to 1")
        if self.warmup < 0 or self.steps < 0 or 0 < self.steps <= self.warmup:
            raise ValueError(f"warmup {self.warmup} must not be negative, and steps {self.steps} must be 0 or larger than it")
        _check_schedule(self)

    def rate(self, iteration: int) -> Fraction:
        """Return the learning rate of a drawn iteration, counted from 0; of a falling schedule 0 from `steps` on.

        It is asked for many times in an iteration, so the last one is remembered.
        """
        known = self.__dict__.get("_known")
        if known is None or known[0] != iteration:
            known = iteration, self._rate(iteration)
            object.__setattr__(self, "_known", known)
        return known[1]

    def _rate(self, iteration: int) -> Fraction:
        if iteration < self.warmup:
            return self.lr * Fraction(iteration + 1, self.warmup + 1)
        if self.schedule == "milestones":
            return self.lr * self.factor ** sum(iteration >= milestone for milestone in self.milestones)
        if self.schedule == "constant" or not self.steps:
            return self.lr
        if iteration >= self.steps:
            return Fraction(0)
        if self.schedule == "cosine":
            wave = cos_half_turn(iteration - self.warmup, self.steps - self.warmup)
            return self.lr * Fraction(ONE + wave, 2 * ONE)
        return self.lr * Fraction(self.steps - iteration, self.steps - self.warmup)

    def stopped(self) -> Sgd:
        """Return the same optimiser with a learning rate of 0 from iteration 1 on."""
        return replace(self, schedule="linear", milestones=(), warmup=0, steps=1)

    def to_json(self) -> dict:
        """Return plain data; `from_json` is the inverse. What only another schedule than linear has is left out of linear."""
        data = {
            "lr": str(self.lr), "momentum": str(self.momentum), "weight_decay": str(self.weight_decay),
            "warmup": self.warmup, "steps": self.steps,
        }  # fmt: skip
        if self.schedule != "linear":
            data["schedule"] = self.schedule
        if self.schedule == "milestones":
            data |= {"milestones": list(self.milestones), "factor": str(self.factor)}
        return data

    @staticmethod
    def from_json(data: dict) -> Sgd:
        """Rebuild settings. Raises ValueError or TypeError where the data is not such."""
        return Sgd(**data)


def _said(value: Fraction) -> str:
    return str(float(value)) if abs(value) < 1 << 1000 else "beyond what a float holds"


def _check_schedule(sgd: Sgd) -> None:
    if sgd.schedule not in SCHEDULES:
        raise ValueError(f"schedule {sgd.schedule!r} is none of {', '.join(SCHEDULES)}")
    if bool(sgd.milestones) != (sgd.schedule == "milestones"):
        needs = "needs at least one milestone" if sgd.schedule == "milestones" else "has no milestones"
        raise ValueError(f"schedule {sgd.schedule} with milestones {list(sgd.milestones)}: it {needs}")
    if sgd.schedule == "cosine" and not sgd.steps:
        raise ValueError("schedule cosine with steps 0: it needs the number of iterations over which it falls")
    if not all(isinstance(at, int) and at >= 0 for at in sgd.milestones) or list(sgd.milestones) != sorted(sgd.milestones):
        raise ValueError(f"milestones are {list(sgd.milestones)}; whole numbers from 0 that do not fall are needed")
    if not 0 < sgd.factor <= 1:
        raise ValueError(f"factor is {sgd.factor}; it must be above 0 and at most 1")


def _fraction(name: str, value: Fraction | int | float | str) -> Fraction:
    """A float means its shortest decimal: 0.1 is one tenth, not the nearest binary number."""
    try:
        return read_fraction(value)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{name} is {value!r}; it must be a number or a fraction such as 1/10") from None
