"""What a method decides for one drawn iteration, and what its policies have in common."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from fractions import Fraction

from algo.fraction_text import read_fraction

UPDATES = ("sgd", "signsgd", "psg", "psg_abstain")
FULL_BITS = 8
LOSS_BITS = 24
"""A loss is a whole number of 2^-24 nats, also where it is held as a float."""


class MethodError(ValueError):
    """A method, its settings or their combination cannot be; the message says what was asked and what would be right."""


@dataclass(frozen=True)
class Decision:
    """What happens in one drawn iteration.

    Attributes:
        iteration: number among the drawn ones, from 0.
        execute: False where the mini-batch is dropped: it is not loaded, and nothing below matters.
        forward_bits: of activations and weights.
        backward_bits: of gradients.
        update: rule of the weight update, of UPDATES.
        average: whether the weights after this iteration enter the average.
        replace: whether the average takes the weights' place before this iteration, and the learning rate is 0 from here on.
        settles: whether the learning rate is 0: only batch norm's running statistics learn.
    """

    iteration: int
    execute: bool = True
    forward_bits: int = FULL_BITS
    backward_bits: int = FULL_BITS
    update: str = "sgd"
    average: bool = False
    replace: bool = False
    settles: bool = False

    @property
    def bits(self) -> tuple[int, int]:
        """Forward and backward bits."""
        return self.forward_bits, self.backward_bits


@dataclass(frozen=True)
class Setting:
    """What a course of training knows from its start.

    Attributes:
        seed: of every draw.
        iterations: drawn ones of the whole run.
        epoch: drawn iterations that show every image once.
        blocks: (name, channels of the input) of the gated residual blocks, in order of depth.
    """

    seed: int
    iterations: int
    epoch: int
    blocks: tuple[tuple[str, int], ...] = ()


class Running:
    """A policy in a course of training. What it does not override leaves decisions as they are and holds no state."""

    def executes(self, iteration: int) -> bool:
        """Whether a drawn iteration is executed: a function of seed and number alone, so that it may be asked ahead."""
        return True

    def decide(self, decision: Decision) -> Decision:
        """Return the decision with this policy's part in it; asked just before the iteration, in order."""
        return decision

    def executed(self, decision: Decision, loss: int) -> None:
        """Take note of an executed iteration and its loss in units of 2^-LOSS_BITS nats."""

    def state(self) -> dict:
        """Return what a checkpoint must hold: JSON values and int64 arrays."""
        return {}

    def restore(self, state: dict) -> None:
        """Go on from what `state` returned."""


class Policy:
    """Settings of one policy; subclasses are frozen dataclasses whose fields are the settings of a recipe.

    Attributes:
        name: as methods and recipes call it.
        excludes: names of policies that decide the same thing.
    """

    name = ""
    excludes: tuple[str, ...] = ()

    def begin(self, setting: Setting) -> Running:
        """Return the policy at the start of a course. Raises MethodError where it does not fit the course."""
        return Running()

    def unreached(self, setting: Setting) -> str | None:
        """Return a sentence on what of the policy a course is too short for; None where it has all of it."""
        return None

    def to_json(self) -> dict:
        """Return the settings as a recipe writes them."""
        return {one.name: plain(getattr(self, one.name)) for one in fields(self)}

    def take(self, **values: object) -> None:
        """Set fields of the frozen dataclass, from `__post_init__`."""
        for name, value in values.items():
            object.__setattr__(self, name, value)


GATED = ("all", "identity")
"""Which residual blocks a method may skip: all that can be, or only those beside an identity shortcut, which leave out the most
of what stands between two decisions. A block beside a projection saves only what stands beside that."""


def gated(asked: str, value: object) -> str:
    """Return a setting as one of GATED."""
    if value not in GATED:
        raise MethodError(f"{asked} is {value!r}; there are {', '.join(GATED)}")
    return value


def narrowed(decision: Decision, **changes: object) -> Decision:
    """Return a decision with some of its parts decided."""
    return replace(decision, **changes)


def plain(value: object) -> object:
    """Return a setting as JSON holds it."""
    if isinstance(value, Fraction):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def fraction(asked: str, value: object, low: Fraction | int, high: Fraction | int) -> Fraction:
    """Return a setting as a fraction from low to high; a float means its shortest decimal.

    Args:
        asked: policy and setting in words, for the message.
    """
    try:
        found = read_fraction(value)
    except (ValueError, ZeroDivisionError):
        raise MethodError(f"{asked} is {value!r}; a fraction such as \"1/2\" is needed") from None
    if not low <= found <= high or found.denominator > 1 << 30:
        raise MethodError(f"{asked} is {value}; it is {low} to {high}")
    return found


def whole(asked: str, value: object, low: int, high: int | None = None, also: str = "") -> int:
    """Return a setting as a whole number from low to high; the error ends with `also`, what else would be right."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
        bounds = f"from {low}" if high is None else f"{low} to {high}"
        raise MethodError(f"{asked} is {value!r}; a whole number {bounds} is needed{also}")
    return value
