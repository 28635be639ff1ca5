"""Delayed scaling and the run-time tables of an iteration: the policy that runtime and emulator both call. No torch.

The state of a training run outside the tensors is one exponent per name, the iteration and the seed. From it follow
every record (coefficients, shift, noise key) and every scalar of the coefficient programs; from the maxima that the
core collected follow the exponents of the next iteration.

Exponent names are tensor names and, for a weight W: `W` of the int8 weights as they are stored, `W.next` of those that
this iteration writes, `W.master`, `W.momentum`, `W.momentum.previous`. The master's exponent is fixed 13 below the first
one of the int8 weights: these can grow eightfold before 24 bits saturate, and an update resolves 2^-13 of their step.
The momentum's limit is 2^22, one bit below saturation, since its exponent answers one iteration late.

A scalar is specified by a string of words: a kind and its arguments (`_SCALARS`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from algo.arithmetic import COEFFICIENT_MAX, coefficients, next_exponent, noise_key, pow2
from algo.sgd import Sgd
from algo.step import Record, Step, Term

MASTER_BELOW = 13
MOMENTUM_LIMIT = 1 << 22
RATE_BITS = 10
"""The learning rate reaches the weight update with at least this many significant bits."""

_SHIFT_LIMIT = 62
_COEFFICIENT_BITS = 16
"""Coefficients are kept at most 2^16 in magnitude by raising the exponent of the result."""


@dataclass(frozen=True)
class State:
    """What an iteration depends on besides tensors.

    Attributes:
        seed: of noise.
        iteration: training iterations executed so far; keys the noise of the next one.
        exponents: name to exponent.
        sgd: hyper-parameters.
    """

    seed: int
    iteration: int
    exponents: dict[str, int]
    sgd: Sgd

    def to_json(self) -> dict:
        """Return plain data; `from_json` is the inverse."""
        return {
            "seed": self.seed, "iteration": self.iteration, "exponents": dict(self.exponents), "sgd": self.sgd.to_json(),
        }

    @staticmethod
    def from_json(data: dict) -> State:
        """Rebuild a state. Raises KeyError, TypeError or ValueError where the data is not one."""
        exponents = {str(name): int(value) for name, value in data["exponents"].items()}
        return State(int(data["seed"]), int(data["iteration"]), exponents, Sgd.from_json(data["sgd"]))


def records(step: Step, state: State) -> dict[str, tuple[int, int, int, int]]:
    """Return every record's four signed 64-bit words: AB, D, shift and key, threshold.

    Raises:
        ValueError: a coefficient does not fit, because a fixed exponent is too small.
    """
    return {name: _record(record, state) for name, record in step.records.items()}


def scalars(step: Step, state: State, images: int) -> dict[str, tuple[int, ...]]:
    """Return every scalar block's signed 64-bit words.

    Args:
        images: images in this mini-batch, at least 1.
    """
    return {
        block: tuple(_scalar(specification, step, state, images) for specification in specifications)
        for block, specifications in step.scalars.items()
    }


def advance(step: Step, state: State, maxima: dict[str, int]) -> State:
    """Return the state after an executed iteration.

    Args:
        maxima: for every name in step.maxima and for step.logits_grad, max |result| before saturation.
    """
    now = state.exponents
    following = dict(now)
    for name in (*step.maxima, step.logits_grad):
        following[name] = next_exponent(now[name], int(maxima[name]), step.limits.get(name, 127))
    for name, leader in step.followers.items():
        following[name] = now[leader]
    return settle(step, replace(state, iteration=state.iteration + 1, exponents=following))


def settle(step: Step, state: State) -> State:
    """Return the state with exponents raised where a coefficient would not fit or would lose the learning rate."""
    exponents = dict(state.exponents)
    delayed = {*step.maxima, step.logits_grad}
    for record in step.records.values():
        bits = _COEFFICIENT_BITS if record.fixed_shift is None else _COEFFICIENT_BITS - record.fixed_shift
        for term in (record.a, record.b):
            factor = abs(_factor(term, state)) if term else Fraction(0)
            if not factor:
                continue
            if record.out in delayed:
                needed = sum(exponents[name] for name in term.exponents) + _ceil_log2(factor) - bits
                exponents[record.out] = max(exponents[record.out], needed)
            if term.factor == "neg_lr":
                (name,) = term.exponents
                needed = exponents[record.out] + RATE_BITS - _COEFFICIENT_BITS - _floor_log2(factor)
                exponents[name] = max(exponents[name], needed)
    return replace(state, exponents=exponents)


def _factor(term: Term, state: State) -> Fraction:
    named = {
        "one": Fraction(1),
        "lr": state.sgd.rate(state.iteration),
        "neg_lr": -state.sgd.rate(state.iteration),
        "momentum": state.sgd.momentum,
        "weight_decay": state.sgd.weight_decay,
    }
    return named[term.factor] if term.factor in named else Fraction(term.factor)


def _coefficient(term: Term | None, record: Record, state: State) -> Fraction:
    """The exact factor of an operand, over the unit of the result."""
    if term is None:
        return Fraction(0)
    exponent = sum(state.exponents[name] for name in term.exponents) - state.exponents[record.out]
    return _factor(term, state) * pow2(exponent)


def _record(record: Record, state: State) -> tuple[int, int, int, int]:
    a = b = 0
    shift = record.fixed_shift
    if shift is None:
        a, b, shift = coefficients(_coefficient(record.a, record, state), _coefficient(record.b, record, state))
    key = noise_key(state.seed, state.iteration, record.noise) if record.noise else 0
    return _pack(a, b), 0, key | shift << 32, record.threshold


def _pack(a: int, b: int) -> int:
    return (a & 0x3FFFF) | (b & 0x3FFFF) << 32


def unpack_coefficients(word: int) -> tuple[int, int]:
    """Return A and B of an AB word."""
    low, high = word & 0x3FFFF, word >> 32 & 0x3FFFF
    return low - ((low & 0x20000) << 1), high - ((high & 0x20000) << 1)


def _ceil_log2(x: Fraction) -> int:
    return -_floor_log2(1 / x)


def _floor_log2(x: Fraction) -> int:
    estimate = x.numerator.bit_length() - x.denominator.bit_length()
    return estimate if pow2(estimate) <= x else estimate - 1


def _exponent_sum(names: list[str], state: State) -> int:
    """Sum over names such as +conv1 and -bn1.run."""
    return sum(state.exponents[name[1:]] * (1 if name[0] == "+" else -1) for name in names)


def _rounded(x: Fraction) -> int:
    return (2 * x.numerator + x.denominator) // (2 * x.denominator)


def _constant(arguments: list[str], step: Step, state: State, images: int) -> int:
    return int(arguments[0])


def _reciprocal(arguments: list[str], step: Step, state: State, images: int) -> int:
    count = images * int(arguments[0])
    return _rounded(Fraction(1 << 30 + count.bit_length() - 1, count))


def _reciprocal_shift(arguments: list[str], step: Step, state: State, images: int) -> int:
    count = images * int(arguments[0])
    return int(arguments[1]) - (30 + count.bit_length() - 1)


def _unbiased(arguments: list[str], step: Step, state: State, images: int) -> int:
    count = images * int(arguments[0])
    return _rounded(Fraction(arguments[1]) * Fraction(count, max(count - 1, 1)) * (1 << 16))


def _epsilon(arguments: list[str], step: Step, state: State, images: int) -> int:
    scaled = Fraction(arguments[0]) * pow2(30 + _exponent_sum(arguments[1:], state))
    return min(max(_rounded(scaled), 1), 1 << 61)


def _shift(arguments: list[str], step: Step, state: State, images: int) -> int:
    amount = int(arguments[0]) + _exponent_sum(arguments[1:], state)
    return min(max(amount, -_SHIFT_LIMIT), _SHIFT_LIMIT)


def _power(arguments: list[str], step: Step, state: State, images: int) -> int:
    return min(_rounded(pow2(int(arguments[0]) + _exponent_sum(arguments[1:], state))), COEFFICIENT_MAX)


def _bias_shift(arguments: list[str], step: Step, state: State, images: int) -> int:
    name, fraction = arguments
    record = step.records[name]
    shift = _record(record, state)[2] >> 32
    return min(max(shift - int(fraction) - state.exponents[record.out], -_SHIFT_LIMIT), _SHIFT_LIMIT)


def _record_word(arguments: list[str], step: Step, state: State, images: int) -> int:
    return _record(step.records[arguments[0]], state)[0]


def _hyper(arguments: list[str], step: Step, state: State, images: int) -> int:
    return _rounded(_factor(Term(arguments[0], ()), state) * (1 << int(arguments[1])))


_SCALARS = {
    "constant": _constant,  # VALUE
    "reciprocal": _reciprocal,  # PIXELS: 2^k / (images * pixels), k = 30 + floor(log2) of the divisor
    "reciprocal_shift": _reciprocal_shift,  # PIXELS FRACTION: shift that leaves FRACTION bits of a product with it
    "unbiased": _unbiased,  # PIXELS WEIGHT: weight of the biased variance in the running one, 16 fraction bits
    "epsilon": _epsilon,  # EPSILON -x -x: in units of VAR
    "shift": _shift,  # BASE +name -name ...: base plus exponents
    "power": _power,  # BASE +name -name ...: two to it, an 18-bit coefficient
    "bias_shift": _bias_shift,  # RECORD FRACTION: from FRACTION bits to the record's D
    "record": _record_word,  # RECORD: its AB word
    "hyper": _hyper,  # NAME FRACTION: lr, momentum or weight_decay
}


def _scalar(specification: str, step: Step, state: State, images: int) -> int:
    kind, *arguments = specification.split()
    return _SCALARS[kind](arguments, step, state, images)
