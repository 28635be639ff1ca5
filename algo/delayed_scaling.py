"""The state of a training run outside the tensors, and how it moves from one iteration to the next. No torch.

Delayed scaling: the maximum that the core collected in an iteration gives a tensor's exponent in the next one. Four floors
keep it in the range of the arithmetic: coefficients fit 17 bits, the learning rate keeps its leading bits, the gradient of
the loss, which vanishes where all images are told apart, stays within what `algo.loss` computes, and the offsets of a batch norm,
whose output may be all zeros until its beta moves, fit 48 bits.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import NamedTuple

from algo.arithmetic import INT8_MAX, next_exponent
from algo.coefficient_programs import LOWEST_NORMALISED
from algo.fraction_text import read_fraction
from algo.loss import lowest_exponent
from algo.sgd import Sgd
from algo.step import Compute, Step, Update

RATE_BITS = 10
"""The learning rate reaches the weight update with at least this many significant bits."""

SPREAD_DECAY = "spread_weight_decay"
"""Factor of a algo.step.Term: the weight decay, rounded so that the mean over iterations is exact."""

MOST_EXPONENT = 1 << 12
"""Magnitude of an exponent in a file: coefficients are worked out exactly, of a huge one with as many bits."""

FULL_BITS = (8, 8)

_NOTHING, _NO_FLOOR = "", -(1 << 62)
"""A name with exponent 0 in place of a term that is not there; and a logarithm so low that no exponent is raised by it."""

_COEFFICIENT_BITS = 16
"""Coefficients are kept at most 2^16 in magnitude by raising the exponent of the result."""


@dataclass(frozen=True)
class State:
    """What an iteration depends on besides tensors.

    Attributes:
        seed: of noise.
        iteration: number of the drawn iteration to come, from 0; keys its noise and its learning rate.
        exponents: name to exponent.
        sgd: hyper-parameters.
        levels: entry of algo.step.Step.levels to the largest magnitude when it was collected last, and its exponent.
        bits: of activations and weights, and of gradients: exponents are such that the maxima fit them. Weights follow one
            iteration late, as they are written in the iteration before. What a ReLU made has no sign bit, below 8 bits. Values
            that grow within an iteration may pass their bits, up to int8's 127. Images, and what no product reads (the input of
            a batch norm, the gradient of its output), keep 8 bits.
    """

    seed: int
    iteration: int
    exponents: dict[str, int]
    sgd: Sgd
    levels: dict[str, tuple[int, int]] = field(default_factory=dict)
    bits: tuple[int, int] = FULL_BITS

    def to_json(self) -> dict:
        """Return plain data; `from_json` is the inverse."""
        data = {
            "seed": self.seed, "iteration": self.iteration, "exponents": dict(self.exponents), "sgd": self.sgd.to_json(),
        }
        if self.levels:
            data["levels"] = {name: list(level) for name, level in self.levels.items()}
        return data | ({"bits": list(self.bits)} if self.bits != FULL_BITS else {})

    @staticmethod
    def from_json(data: dict) -> State:
        """Rebuild a state. Raises KeyError, TypeError or ValueError where the data is not one."""
        exponents = {str(name): int(value) for name, value in data["exponents"].items()}
        for name, exponent in exponents.items():
            if abs(exponent) > MOST_EXPONENT:
                raise ValueError(f"{name} has exponent {exponent}; no tensor needs one beyond +-{MOST_EXPONENT}")
        levels = {str(name): (int(maximum), int(unit)) for name, (maximum, unit) in data.get("levels", {}).items()}
        forward, backward = data.get("bits", FULL_BITS)
        sgd = Sgd.from_json(data["sgd"])
        return State(int(data["seed"]), int(data["iteration"]), exponents, sgd, levels, (int(forward), int(backward)))


def levels_of(step: Step, state: State, maxima: dict[str, int]) -> dict[str, tuple[int, int]]:
    """Return the levels after an iteration; one that saw nothing but zeros, or did not run, stays."""
    seen = {name: int(maxima[name]) for name in step.levels if maxima[name]}
    return state.levels | {
        name: (largest, sum(state.exponents[unit] for unit in step.levels[name])) for name, largest in seen.items()
    }


RATE_EXPONENTS = 10
"""Exponents in whose time the learning rate of another iteration is found, and whether floors follow from it."""


def settling(before: State, after: State) -> int:
    """Return in how many exponents' time `DelayedScaling.at` goes from one state to the other, for the model of the processor's
    time: where floors are gone through, a third of what `advance` takes, all of it where bits change."""
    if after is before:
        return 0
    if after.exponents is before.exponents:
        return RATE_EXPONENTS
    return RATE_EXPONENTS + (len(after.exponents) if after.bits != before.bits else len(after.exponents) // 3)


def factor_value(factor: str, state: State) -> Fraction:
    """Return what the factor of a algo.step.Term stands for in the iteration to come."""
    if factor == "one":
        return Fraction(1)
    if factor == "lr":
        return state.sgd.rate(state.iteration)
    if factor == "neg_lr":
        return -state.sgd.rate(state.iteration)
    if factor == "momentum":
        return state.sgd.momentum
    if factor in ("weight_decay", SPREAD_DECAY):
        return state.sgd.weight_decay
    return read_fraction(factor)


def is_rate(factor: str) -> bool:
    """Whether a factor may differ between iterations of a run."""
    return factor in ("lr", "neg_lr")


class DelayedScaling:
    """Delayed scaling of a step, with what its floors need of the factors kept between calls.

    Args:
        step: the training step.

    Attributes:
        names: exponents that maxima drive.
    """

    def __init__(self, step: Step):
        self._step = step
        self.names = (*step.maxima, step.logits_grad)
        self._floors = _floors(step, frozenset(self.names))
        self._logarithms = [_NO_FLOOR] * (1 + max((floor.logarithm for floor in self._floors), default=0))
        self._factors = sorted({(floor.factor, floor.logarithm) for floor in self._floors}, key=lambda of: of[1])
        self._scheduled = _scheduled(step)
        self._limits = {name: step.limits.get(name, INT8_MAX) for name in self.names}
        self._sgd: Sgd | None = None
        self._rate: Fraction | None = None

    def advance(self, state: State, maxima: dict[str, int], kept: frozenset[str] = frozenset()) -> State:
        """Return the state after an executed iteration.

        Args:
            maxima: for every name in `names` and in the step's levels, max |result| before saturation.
            kept: exponents of blocks that no sample ran; they stay.
        """
        now, following, limits = state.exponents, dict(state.exponents), self._limits
        if state.bits != FULL_BITS:
            scheduled = {name: (1 << one.magnitude(state.bits)) - 1 for name, one in self._scheduled.items()}
            limits = {name: scheduled.get(name, limit) for name, limit in limits.items()}
        for name, limit in limits.items():
            if name not in kept:
                following[name] = next_exponent(now[name], int(maxima[name]), limit)
        for name, leader in self._step.followers.items():
            if name not in kept:
                following[name] = now[leader]
        levels = levels_of(self._step, state, maxima)
        return self.settle(replace(state, iteration=state.iteration + 1, exponents=following, levels=levels))

    def at(self, state: State, iteration: int, bits: tuple[int, int] | None = None) -> State:
        """Return the state for a drawn iteration: those before it were dropped, which changes the learning rate alone. Exponents
        are settled again where a floor asks for more because of it, or where bits change.

        Args:
            bits: of this iteration, as `State.bits`; None to leave them.

        Raises:
            ValueError: the iteration has passed.
        """
        bits = state.bits if bits is None else bits
        if (iteration, bits) == (state.iteration, state.bits):
            return state
        if iteration < state.iteration:
            raise ValueError(f"iteration {iteration} is asked for, but {state.iteration} is the one to come")
        exponents, moved = state.exponents, replace(state, iteration=iteration, bits=bits)
        self._follow_rate(state)
        if not self._follow_rate(moved) and bits == state.bits:
            return moved
        if bits != state.bits:
            exponents = dict(exponents)
            for name, scheduled in self._scheduled.items():
                exponents[name] += scheduled.magnitude(state.bits) - scheduled.magnitude(bits)
        return self.settle(replace(moved, exponents=exponents))

    def settle(self, state: State) -> State:
        """Return the state with exponents raised where a coefficient would not fit or would lose the learning rate."""
        exponents = state.exponents | {_NOTHING: 0}
        self._follow_rate(state)
        logarithms = self._logarithms
        for floor in self._floors:
            needed = floor.constant + logarithms[floor.logarithm] + exponents[floor.first] + exponents[floor.second]
            if needed > exponents[floor.name]:
                exponents[floor.name] = needed
        del exponents[_NOTHING]
        return replace(state, exponents=exponents)

    def _follow_rate(self, state: State) -> bool:
        """Bring the logarithms of the factors up to date; return whether one has changed."""
        rate = state.sgd.rate(state.iteration)
        unchanged = state.sgd is self._sgd
        if unchanged and rate == self._rate:
            return False
        self._sgd, self._rate = state.sgd, rate
        before, both = self._logarithms.copy(), (_logarithm(rate, False), _logarithm(rate, True))
        for factor, at in self._factors:
            if is_rate(factor):
                self._logarithms[at] = both[at % 2]
            elif not unchanged:
                self._logarithms[at] = _logarithm(factor_value(factor, state), at % 2)
        return self._logarithms != before


@dataclass(frozen=True)
class _Scheduled:
    """Which of a precision schedule's bits act on an exponent (0 forward, 1 backward), and whether its tensor has signs."""

    which: int
    signed: bool = True

    def magnitude(self, bits: tuple[int, int]) -> int:
        """Return the bits of the largest magnitude."""
        return min(bits[self.which] - self.signed, 7)


def _scheduled(step: Step) -> dict[str, _Scheduled]:
    """Return the exponents that a precision schedule acts on: of what products read, but for the images.

    Operands that have no exponent of their own (a predictor's) follow those that they are made of.
    """
    found, positive, driven = {}, _positive(step), {*step.maxima, step.logits_grad}
    for name in _operands(step):
        if name in step.weights:
            found |= {each: _Scheduled(0) for each in (f"{name}.next",) if each in driven}
        elif name in driven and step.tensors[name].role != "gradient":
            found[name] = _Scheduled(0, name not in positive)
        elif name in driven and step.gradient_bits == FULL_BITS[1]:
            found[name] = _Scheduled(1)
    return found


def _operands(step: Step) -> list[str]:
    """Return the tensors and weights that multiply-accumulates read, each once, a version of a stream as the stream."""
    nodes = [node for part in step.sequence for name in (part.forward, part.backward) for node in step.segments[name]]
    products = [node.product for node in nodes if isinstance(node, (Compute, Update)) and node.product]
    read = [name for one in products if one.kind in ("forward", "grad_input", "grad_weight") for name in (one.a, one.b)]
    return list(dict.fromkeys(step.tensors[name].stream or name if name in step.tensors else name for name in read))


def _positive(step: Step) -> set[str]:
    """Return the tensors, and names of maxima, that hold no negative number: of ReLUs, and of pools behind them."""
    positive: set[str] = set()
    negative: set[str] = set()
    for part in step.sequence:
        for node in step.segments[part.forward]:
            if not isinstance(node, Compute):
                continue
            pools = node.product is not None and node.product.kind in ("sum_forward", "max_forward")
            kept = pools and node.product.a in positive
            for one in node.passes:
                (positive if kept or one.post == "relu" else negative).update({one.out, one.maximum})
    return positive - negative


class _Floor(NamedTuple):
    """exponents[name] >= constant + logarithm of the factor + exponents[first] + exponents[second].

    `logarithm` is the place of the factor's among `DelayedScaling._logarithms`: even log2 |factor|, odd its negative, rounded up.
    """

    name: str
    first: str
    second: str
    factor: str
    logarithm: int
    constant: int


def _floors(step: Step, delayed: frozenset[str]) -> list[_Floor]:
    """Return the floors in the order of their application: a later one sees what earlier ones have raised."""
    floors, factors = [_Floor(step.logits_grad, _NOTHING, _NOTHING, "one", 0, lowest_exponent(step.gradient_bits))], {"one": 0}
    for record in step.records.values():
        if record.fixed_shift is not None and record.out in delayed and step.tensors[record.out].role == "activation":
            floors.append(_Floor(record.out, _NOTHING, _NOTHING, "one", 0, LOWEST_NORMALISED))
        bits = _COEFFICIENT_BITS if record.fixed_shift is None else _COEFFICIENT_BITS - record.fixed_shift
        for term in filter(None, (record.a, record.b)):
            place = 2 * factors.setdefault(term.factor, len(factors))
            if record.out in delayed:
                first, second = (*term.exponents, _NOTHING, _NOTHING)[: max(2, len(term.exponents))]
                floors.append(_Floor(record.out, first, second, term.factor, place, -bits))
            if term.factor == "neg_lr":
                (name,) = term.exponents
                floors.append(_Floor(name, record.out, _NOTHING, term.factor, place + 1, RATE_BITS - _COEFFICIENT_BITS))
    return floors


def _logarithm(factor: Fraction, negative: bool) -> int:
    """Return log2 |factor| rounded up, or its negative rounded up; of zero what makes no floor."""
    top, bottom = abs(factor.numerator), factor.denominator
    if negative:
        top, bottom = bottom, top
    return _ceil_log2(top, bottom) if top and bottom else _NO_FLOOR


def _ceil_log2(top: int, bottom: int) -> int:
    estimate = top.bit_length() - bottom.bit_length()
    above = top > bottom << estimate if estimate >= 0 else top << -estimate > bottom
    return estimate + above
