"""Selective layer update (E2-Train, model level): a gate learns, image by image, which residual blocks run.

Training draws: an image runs a block where a fresh random number is below the gate's probability. Evaluation does not: it
runs where the probability is at least 1/2. While gates do not tell images apart yet, that is all blocks for a usage above 1/2
and none below; evaluation "drawn" draws there too, from the seed, with training's usage.

The gate's derivative is taken straight through the decision; an image that did not run a block says nothing about it. What the
gate thinks of a block's input does not flow back into the network.

The loss gains alpha * cost, the cost being the share of the gated blocks' work that is executed. alpha is steered so that
this share, the usage, comes to its target: a term that follows the present usage, and one that adds up. So that one alpha does
for all networks and all stages of training, the task's own derivatives are scaled to a fixed running mean of their magnitude.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from algo.arithmetic import pow2
from algo.policies import slu_cell
from algo.policies.decision import GATED, Decision, MethodError, Policy, Running, Setting, fraction, gated
from algo.policies.draws import DRAW_BITS, draws, draws_of_all
from algo.policies.gates import Gates
from algo.policies.integer_sgd import PARAMETER_BITS, IntegerSgd
from algo.policies.slu_cell import VALUE_BITS, WEIGHT_BITS, Pass

SHARE_BITS = 24
"""Fraction bits of usage and alpha."""

_GRADIENT_BITS = 18
"""The largest gradient of a mini-batch has so many bits; five more may come on the way back."""

_LOWEST = -200
"""Exponent of a gradient of zeros."""

_MEMORY_BITS, _SCALE_MEMORY_BITS = 2, 5
"""The usage that is steered by, and the scale of the task's derivatives, are means over about 2^these executed iterations."""

_TASK = Fraction(1, 8)
"""Sum of magnitudes of the task's derivatives by all gates of a mini-batch, in the running mean."""

_SCALE_BITS, _FACTOR_BITS = 40, 24

EVALUATIONS = ("threshold", "drawn")

_DECIDE_WORK, _LEARN_WORK = (23, 15, 7), (38, 11, 11)
"""numpy calls of a mini-batch and of each of its blocks, and elements of a block's image, that take as long as deciding and as
learning: a least-squares fit to times with 1 to 128 images, 1 to 18 blocks and 16 and 64 channels on a desktop processor, in
units of what a call and an element of the model of the processor's time take there."""


@dataclass(frozen=True)
class Slu(Policy):
    """Settings.

    Attributes:
        usage: target: share of the gated blocks' work that is executed, above 0 and below 1.
        alpha: weight of the cost where usage is one too high; it follows the present difference.
        gain: what alpha gains in an iteration where usage is one too high.
        rate, momentum, decay: of the gates' own SGD; its rate does not fall.
        opening: bias of the probability before the sigmoid at the start, so that blocks run at first.
        evaluation: of EVALUATIONS.
        blocks: which have a gate, of algo.policies.decision.GATED. A gate costs the processor the same for every block: one that
            computes less than that is better left without.
    """

    usage: Fraction = Fraction(3, 5)
    alpha: Fraction = Fraction(2)
    gain: Fraction = Fraction(1, 50)
    rate: Fraction = Fraction(1, 10)
    momentum: Fraction = Fraction(9, 10)
    decay: Fraction = Fraction(0)
    opening: Fraction = Fraction(2)
    evaluation: str = EVALUATIONS[0]
    blocks: str = GATED[0]
    name = "slu"
    excludes = ("sd",)

    def __post_init__(self):
        highest = {"usage": 1, "alpha": 100, "gain": 10, "rate": 16, "momentum": 1, "decay": 1, "opening": 8}
        self.take(**{name: fraction(f"slu {name}", getattr(self, name), 0, high) for name, high in highest.items()})
        if not self.usage:
            raise MethodError("slu usage is 0: no gated block would ever run; it is above 0 and below 1")
        if self.usage == 1:
            raise MethodError("slu usage is 1: every block would always run; leave slu out, or ask for less than 1")
        if self.momentum == 1:
            raise MethodError("slu momentum is 1; it is 0 to below 1")
        if self.evaluation not in EVALUATIONS:
            raise MethodError(f"slu evaluation is {self.evaluation!r}; there are {', '.join(EVALUATIONS)}")
        gated("slu blocks", self.blocks)

    def to_json(self) -> dict:
        """Return the settings as a recipe writes them; evaluation by the threshold, and gates for all blocks, are not said."""
        usual = {"evaluation": EVALUATIONS[0], "blocks": GATED[0]}
        return {name: value for name, value in super().to_json().items() if usual.get(name) != value}

    def begin(self, setting: Setting) -> Running:
        """Return the gates of a network at the start."""
        if not setting.blocks:
            raise MethodError("method slu gates residual blocks, and this network has none that may be skipped")
        return Selecting(self, setting)


class Selecting(Running):
    """The gates' parameters and what steers them.

    Attributes:
        settings, setting: of the method, and of the run.
        sgd: parameters "project.<block>", "cell", "out".
        usage: steered share of executed work, a mean over recent iterations, with SHARE_BITS fraction bits.
        alpha: the part that adds up, likewise.
        scale: running mean of the task's derivatives, all magnitudes of a mini-batch together, in units of 2^-_SCALE_BITS.
    """

    def __init__(self, settings: Slu, setting: Setting):
        self.settings, self.setting = settings, setting
        self.sgd = IntegerSgd(_first_parameters(settings, setting), settings.momentum, settings.decay)
        self.usage, self.alpha, self.scale = 1 << SHARE_BITS, 0, 0

    def gates(self, decision: Decision) -> Gates:
        """Return the gates of a training iteration."""
        return Learning(self, decision)

    def evaluation_gates(self) -> Gates:
        """Return gates that decide the same whenever they are asked; a fresh mini-batch begins with the first block."""
        return Drawn(self) if self.settings.evaluation == "drawn" else Selection(self)

    def draws(self, what: str, number: int, images: int) -> np.ndarray:
        """Return what probabilities of mini-batch `number` have to be above: with VALUE_BITS fraction bits, (blocks, images)."""
        names = tuple(f"{what}.{name}" for name, _ in self.setting.blocks)
        return draws_of_all(self.setting.seed, number, names, images) >> (DRAW_BITS - VALUE_BITS)

    def steer(self, executed: int, possible: int) -> None:
        """Take note of the usage of an iteration: blocks executed of those possible, summed over images."""
        now = (executed << SHARE_BITS) // possible
        self.usage += (now - self.usage) >> _MEMORY_BITS
        self.alpha += _times(self.settings.gain, now - self.target)

    def task_factor(self, magnitude: Fraction) -> tuple[int, int]:
        """Take note of a mini-batch's derivatives, and return by what they are multiplied: a factor of about _FACTOR_BITS
        bits, and the exponent of its unit."""
        now = _nearest(magnitude * (1 << _SCALE_BITS))
        self.scale = self.scale + ((now - self.scale) >> _SCALE_MEMORY_BITS) if self.scale else now
        if not self.scale:
            return 0, 0
        factor = _TASK * (1 << _SCALE_BITS) / self.scale
        exponent = factor.numerator.bit_length() - factor.denominator.bit_length() - _FACTOR_BITS
        return _nearest(factor * pow2(-exponent)), exponent

    @property
    def target(self) -> int:
        """The usage that is asked for, with SHARE_BITS fraction bits."""
        return _times(self.settings.usage, 1 << SHARE_BITS)

    def cost_weight(self) -> int:
        """Return the weight of the cost now, with SHARE_BITS fraction bits; negative where blocks are to run more often."""
        return self.alpha + _times(self.settings.alpha, self.usage - self.target)

    def begin(self, images: int) -> Pass:
        """Return the gates for a mini-batch, with the weights of now."""
        projects = self.sgd.weights(WEIGHT_BITS)
        cell, out = projects.pop("cell"), projects.pop("out")
        return Pass(list(projects.values()), cell, out, images)

    def state(self) -> dict:
        """Return parameters, momenta and what steers."""
        return {"sgd": self.sgd.state(), "usage": self.usage, "alpha": self.alpha, "scale": self.scale}

    def restore(self, state: dict) -> None:
        """Go on from a checkpoint."""
        self.sgd.restore(state["sgd"])
        self.usage, self.alpha, self.scale = state["usage"], state["alpha"], state["scale"]


class Selection(Gates):
    """Gates of an evaluation: probabilities of at least 1/2 run.

    Attributes:
        seen: forward pass through the blocks so far.
    """

    needs_pooled = True

    def __init__(self, running: Selecting):
        super().__init__()
        self._running = running
        self.seen: Pass | None = None
        self._below: np.ndarray | None = None

    def processor_work(self) -> tuple[int, int, int, int]:
        """Return numpy calls, and elements, in whose time the gates were run, and none for learning."""
        return *_work(_DECIDE_WORK, *self._size), 0, 0

    @property
    def _size(self) -> tuple[int, int]:
        """Blocks that were asked, and images."""
        return (self.seen.blocks, self.seen.images) if self.seen else (0, 0)

    def _decide(self, block: int, images: int, pooled: np.ndarray | None, pixels: int, exponent: int) -> np.ndarray:
        if block == 0:
            self.seen, self.runs = self._running.begin(images), {}
            self._below = self._draws(images)
        if block != self._size[0]:
            raise MethodError(f"gated block {block} is asked for after {self._size[0]}: blocks are asked in order of depth")
        if pooled is None:
            raise MethodError("slu looks at every gated block's input: export the step with its plane means")
        return self.seen.forward(pooled, pixels, exponent) > self._below[block]

    def _draws(self, images: int) -> np.ndarray:
        """Return what the probabilities have to be above, (blocks, images) or for all images (blocks, 1)."""
        return np.full((len(self._running.setting.blocks), 1), (1 << VALUE_BITS - 1) - 1)


class Drawn(Selection):
    """Gates of an evaluation that draw as training does, the same in every evaluation of the same mini-batches."""

    def __init__(self, running: Selecting):
        super().__init__(running)
        self._mini_batch = -1

    def _draws(self, images: int) -> np.ndarray:
        self._mini_batch += 1
        return self._running.draws("slu.evaluation", self._mini_batch, images)


class Learning(Selection):
    """Gates of a training iteration: drawn, and taught by `learn` where the network learns."""

    needs_gradients = True

    def __init__(self, running: Selecting, decision: Decision):
        super().__init__(running)
        self._iteration, self._settles, self._taught = decision.iteration, decision.settles, False

    def processor_work(self) -> tuple[int, int, int, int]:
        """Return numpy calls, and elements, in whose time the gates were run, and in whose time they were taught."""
        learned = _work(_LEARN_WORK, *self._size) if self._taught else (0, 0)
        return *_work(_DECIDE_WORK, *self._size), *learned

    def _draws(self, images: int) -> np.ndarray:
        return self._running.draws("slu", self._iteration, images)

    def learn(self, gradients: dict[int, np.ndarray], exponents: dict[int, int]) -> None:
        """Update the gates of all blocks, and steer."""
        if self._settles:
            return
        self._taught = True
        running, blocks = self._running, range(len(self._running.setting.blocks))
        given, units = np.array([gradients[block] for block in blocks]), [exponents[block] for block in blocks]
        decided = given.size
        cost = Fraction(running.cost_weight(), decided << SHARE_BITS)
        sizes, lowest = np.abs(given), min(units)
        magnitude = sum(size << unit - lowest for size, unit in zip(sizes.sum(1).tolist(), units, strict=True))
        factor, unit = running.task_factor(magnitude * pow2(lowest))
        tops = [_top(size * factor, own + unit) for size, own in zip(sizes.max(1).tolist(), units, strict=True)]
        common = max(*tops, _top(cost.numerator, 0) - _top(cost.denominator, 0)) - _GRADIENT_BITS
        given *= factor
        total = _at(given, [own + unit - common for own in units])
        total += _nearest(cost * pow2(-common))
        projects, cell, out = self.seen.backward(total)
        names = (f"project.{name}" for name, _ in running.setting.blocks)
        found = dict(zip(names, projects, strict=True)) | {"cell": cell, "out": out}
        running.sgd.step(found, common - VALUE_BITS, running.settings.rate)
        running.steer(int(np.count_nonzero(list(self.runs.values()))), decided)


def gate_macs(blocks: tuple[tuple[str, int], ...], images: int) -> dict[str, int]:
    """Return the multiply-accumulates that all gates together cost the processor in an iteration, by phase."""
    forward = images * sum(slu_cell.forward_macs(channels) for _, channels in blocks)
    return {"forward": forward, "backward": 2 * forward}


def _first_parameters(settings: Slu, setting: Setting) -> dict[str, np.ndarray]:
    """Uniform within 1 / sqrt(inputs), as torch initialises them, but for the opening bias."""
    shapes = {f"project.{name}": (slu_cell.HIDDEN, channels + 1) for name, channels in setting.blocks}
    shapes |= {"cell": slu_cell.CELL_SHAPE, "out": slu_cell.OUT_SHAPE}
    parameters = {}
    for name, shape in shapes.items():
        bits = draws(setting.seed, 0, f"slu.first.{name}", shape[0] * shape[1]).reshape(shape)
        within = math.isqrt((1 << 2 * PARAMETER_BITS) // (slu_cell.HIDDEN if name in ("cell", "out") else shape[1] - 1))
        parameters[name] = (bits - (1 << DRAW_BITS - 1)) * (within >> 10) >> (DRAW_BITS - 11)
    parameters["out"][0, -1] = _times(settings.opening, 1 << PARAMETER_BITS)
    return parameters


def _times(factor: Fraction, value: int) -> int:
    return _nearest(factor * value)


def _nearest(value: Fraction) -> int:
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def _top(value: int, exponent: int) -> int:
    """Return an exponent whose power of two is above |value| * 2^exponent."""
    return abs(value).bit_length() + exponent if value else _LOWEST


def _at(values: np.ndarray, left: list[int]) -> np.ndarray:
    """Return rows of values * 2^left, nearest; where they grow they have room to."""
    right = np.array([min(max(-one, 0), 62) for one in left])[:, None]
    found = values << np.array([min(max(one, 0), 62) for one in left])[:, None]
    found += (1 << right) >> 1
    found >>= right
    return found


def _work(work: tuple[int, int, int], blocks: int, images: int) -> tuple[int, int]:
    """Return numpy calls and elements."""
    return work[0] * (blocks > 0) + work[1] * blocks, work[2] * blocks * images
