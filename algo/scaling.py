"""The run-time tables of an iteration: the policy that runtime and emulator both call. No torch.

The state of a training run outside the tensors is one exponent per name, the iteration and the seed. From it follow
every record (coefficients, shift, noise key) and every scalar of the coefficient programs; from the maxima that the
core collected follow the exponents of the next iteration (algo.delayed_scaling).

Exponent names are tensor names and, for a weight W: `W` of the int8 weights as they are stored, `W.next` of those that
this iteration writes, `W.master`, `W.momentum`, `W.momentum.previous`. The master's exponent is fixed 13 below the first
one of the int8 weights: these can grow eightfold before 24 bits saturate, and an update resolves 2^-13 of their step.
A weight
that is updated by signs moves by the learning rate however small it is, and outgrows that: its master is 10 below, for
64-fold growth. The momentum's limit is 2^22, one bit below saturation, since its exponent answers one iteration late.

A scalar is specified by a string of words: a kind and its arguments (`_SCALARS`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

from algo.arithmetic import COEFFICIENT_MAX, MASK32, OutOfRange, coefficients_of_ratios, noise_key, pow2
from algo.delayed_scaling import SPREAD_DECAY, DelayedScaling, State, factor_value, is_rate
from algo.fraction_text import read_fraction
from algo.step import Record, Step, Term, Update

MASTER_BELOW, SIGN_MASTER_BELOW = 13, 10
MOMENTUM_LIMIT = 1 << 22

_SHIFT_LIMIT = 62
_DIVERGED = "training has diverged, a lower learning rate may help"
_OUT_OF_SCALE = "nothing has been trained yet, so weights, images or learning rate are too large or too small beside one another"


def master_below(step: Step, weight: str) -> int:
    """Return by how much the exponent of a weight's master is below the first one of its int8 copy."""
    nodes = [node for nodes in step.segments.values() for node in nodes if isinstance(node, Update) and node.weight == weight]
    return SIGN_MASTER_BELOW if any(node.record_s for node in nodes) else MASTER_BELOW


def records(step: Step, state: State) -> dict[str, tuple[int, int, int, int]]:
    """Return every record's four signed 64-bit words: AB, D, shift and key, threshold.

    Raises:
        OutOfRange: a coefficient does not fit, because a fixed exponent is too small.
    """
    return {name: _record(step, record, state) for name, record in step.records.items()}


def scalars(step: Step, state: State, images: int, blocks: Iterable[str] | None = None) -> dict[str, tuple[int, ...]]:
    """Return scalar blocks' signed 64-bit words.

    Args:
        images: images in this mini-batch, at least 1; of a gated block those that run it.
        blocks: names; all by default.

    Raises:
        OutOfRange: a gradient or a coefficient is larger than the coefficient unit can hold.
    """
    return {
        block: tuple(scalar(specification, step, state, images) for specification in step.scalars[block])
        for block in (step.scalars if blocks is None else blocks)
    }


def advance(step: Step, state: State, maxima: dict[str, int], kept: frozenset[str] = frozenset()) -> State:
    """Return the state after an executed iteration.

    Args:
        maxima: for every name in step.maxima and for step.logits_grad, max |result| before saturation.
        kept: exponents that stay, see algo.gates.Route.
    """
    return DelayedScaling(step).advance(state, maxima, kept)


def at(step: Step, state: State, iteration: int, bits: tuple[int, int] | None = None) -> State:
    """Return the state for a drawn iteration and its bits, those before it having been dropped."""
    return DelayedScaling(step).at(state, iteration, bits)


def settle(step: Step, state: State) -> State:
    """Return the state with exponents raised where a coefficient would not fit or would lose the learning rate."""
    return DelayedScaling(step).settle(state)


def _coefficient(term: Term | None, record: Record, state: State) -> tuple[int, int]:
    """The exact factor of an operand, over the unit of the result, as numerator and denominator."""
    if term is None:
        return 0, 1
    exponent = sum([state.exponents[name] for name in term.exponents]) - state.exponents[record.out]
    top, bottom = (1, 1) if term.factor == "one" else factor_value(term.factor, state).as_integer_ratio()
    return (top << exponent, bottom) if exponent >= 0 else (top, bottom << -exponent)


def record_numbers(record: Record, state: State) -> tuple[int, int]:
    """Return the AB word and the shift of a record.

    Raises:
        OutOfRange: a coefficient does not fit.
    """
    if record.fixed_shift is not None:
        return 0, record.fixed_shift
    try:
        exact = _coefficient(record.b, record, state)
        a, b, shift = coefficients_of_ratios(_coefficient(record.a, record, state), exact)
    except OutOfRange as error:
        raise OutOfRange(f"{record.name} in iteration {state.iteration}: {error}; {_advice(state)}") from None
    if _is_spread(record):
        b = _spread(Fraction(*exact) * (1 << shift), state.iteration)
    return _pack(a, b), shift


def _advice(state: State) -> str:
    return _DIVERGED if state.iteration else _OUT_OF_SCALE


def _is_spread(record: Record) -> bool:
    return record.b is not None and record.b.factor == SPREAD_DECAY


def _spread(exact: Fraction, iteration: int) -> int:
    """Return an integer whose sum over iterations 0 to i is (i + 1) * exact rounded down."""
    return min((iteration + 1) * exact // 1 - iteration * exact // 1, COEFFICIENT_MAX)


def record_threshold(step: Step, record: Record, state: State) -> int:
    """Return the threshold of a record: fixed, or one below a share of a level; 0 where that level was never collected."""
    if record.level not in state.levels:
        return record.threshold
    largest, exponent = state.levels[record.level]
    left = exponent - sum([state.exponents[name] for name in step.levels[record.level]])
    top, bottom = _share(record.share)
    above = -(-(top * largest << left) // bottom) if left >= 0 else -(-top * largest // (bottom << -left))
    return min(max(above - 1, 0), MASK32)


@cache
def _share(share: str) -> tuple[int, int]:
    return read_fraction(share).as_integer_ratio()


def _record(step: Step, record: Record, state: State) -> tuple[int, int, int, int]:
    word, shift = record_numbers(record, state)
    key = noise_key(state.seed, state.iteration, record.noise) if record.noise else 0
    return word, 0, key | shift << 32, record_threshold(step, record, state)


def _pack(a: int, b: int) -> int:
    return (a & 0x3FFFF) | (b & 0x3FFFF) << 32


def unpack_coefficients(word: int) -> tuple[int, int]:
    """Return A and B of an AB word."""
    low, high = word & 0x3FFFF, word >> 32 & 0x3FFFF
    return low - ((low & 0x20000) << 1), high - ((high & 0x20000) << 1)


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
    return _rounded(read_fraction(arguments[1]) * Fraction(count, max(count - 1, 1)) * (1 << 16))


def _epsilon(arguments: list[str], step: Step, state: State, images: int) -> int:
    scaled = read_fraction(arguments[0]) * pow2(30 + _exponent_sum(arguments[1:], state))
    return min(max(_rounded(scaled), 1), 1 << 61)


def _shift(arguments: list[str], step: Step, state: State, images: int) -> int:
    amount = int(arguments[0]) + _exponent_sum(arguments[1:], state)
    return min(max(amount, -_SHIFT_LIMIT), _SHIFT_LIMIT)


def _gradient_shift(arguments: list[str], step: Step, state: State, images: int) -> int:
    """A shift to the left past the limit would carry bits of a sum out of 64: it is refused, not clamped."""
    limit, amount = int(arguments[0]), int(arguments[1]) + _exponent_sum(arguments[2:], state)
    if amount > limit:
        name, largest = arguments[2][1:], limit - int(arguments[1])
        found = f"the gradient {name} has exponent {state.exponents[name]} in iteration {state.iteration}"
        raise OutOfRange(f"{found}, parameter updates take up to {largest}; {_advice(state)}")
    return max(amount, -_SHIFT_LIMIT)


def _power(arguments: list[str], step: Step, state: State, images: int) -> int:
    return min(_rounded(pow2(int(arguments[0]) + _exponent_sum(arguments[1:], state))), COEFFICIENT_MAX)


def _bias_shift(arguments: list[str], step: Step, state: State, images: int) -> int:
    name, fraction = arguments
    record = step.records[name]
    _, shift = record_numbers(record, state)
    return min(max(shift - int(fraction) - state.exponents[record.out], -_SHIFT_LIMIT), _SHIFT_LIMIT)


def _record_word(arguments: list[str], step: Step, state: State, images: int) -> int:
    return record_numbers(step.records[arguments[0]], state)[0]


def _hyper(arguments: list[str], step: Step, state: State, images: int) -> int:
    return _rounded(factor_value(arguments[0], state) * (1 << int(arguments[1])))


def _from_nothing(kind: str, arguments: list[str], step: Step) -> Inputs:
    return Inputs((kind, *arguments))


def _from_images(kind: str, arguments: list[str], step: Step) -> Inputs:
    return Inputs((kind, *arguments), images=True)


def _from_exponents(kind: str, arguments: list[str], step: Step) -> Inputs:
    return Inputs((kind, arguments[0]), (tuple(arguments[1:]),))


def _from_gradient(kind: str, arguments: list[str], step: Step) -> Inputs:
    return Inputs((kind, *arguments[:2]), (tuple(arguments[2:]),))


def _from_record(kind: str, arguments: list[str], step: Step) -> Inputs:
    inputs = record_inputs(step.records[arguments[0]])
    return replace(inputs, rule=(kind, *inputs.rule))


def _from_record_and_unit(kind: str, arguments: list[str], step: Step) -> Inputs:
    record = step.records[arguments[0]]
    inputs = record_inputs(record)
    rule = kind, arguments[1], *inputs.rule
    return Inputs(rule, (*inputs.sums, (f"+{record.out}",)), inputs.rate)


def _from_rate(kind: str, arguments: list[str], step: Step) -> Inputs:
    return Inputs((kind, *arguments), rate=is_rate(arguments[0]))


_SCALARS = {
    "constant": (_constant, _from_nothing),  # VALUE
    # PIXELS: 2^k / (images * pixels), k = 30 + floor(log2) of the divisor
    "reciprocal": (_reciprocal, _from_images),
    # PIXELS FRACTION: shift that leaves FRACTION bits of a product with it
    "reciprocal_shift": (_reciprocal_shift, _from_images),
    # PIXELS WEIGHT: weight of the biased variance in the running one, 16 fraction bits
    "unbiased": (_unbiased, _from_images),
    "epsilon": (_epsilon, _from_exponents),  # EPSILON -x -x: in units of VAR
    "shift": (_shift, _from_exponents),  # BASE +name -name ...: base plus exponents
    # LIMIT BASE +gradient: base plus exponent, at most LIMIT
    "gradient_shift": (_gradient_shift, _from_gradient),
    "power": (_power, _from_exponents),  # BASE +name -name ...: two to it, an 18-bit coefficient
    "bias_shift": (_bias_shift, _from_record_and_unit),  # RECORD FRACTION: from FRACTION bits to the record's D
    "record": (_record_word, _from_record),  # RECORD: its AB word
    "hyper": (_hyper, _from_rate),  # NAME FRACTION: lr, momentum or weight_decay
}
"""Kind to the function that works a word out, and the one that says from what."""


def scalar(specification: str, step: Step, state: State, images: int) -> int:
    """Return the signed 64-bit word of a specification.

    Raises:
        OutOfRange: see `scalars`.
    """
    kind, *arguments = specification.split()
    return _SCALARS[kind][0](arguments, step, state, images)


@dataclass(frozen=True)
class Inputs:
    """What a record or scalar is worked out from, besides the hyper-parameters: of one rule and equal inputs, equal word.

    Attributes:
        rule: what is worked out, with all constants: of the same rule as another, whatever tensors it is of.
        sums: sums of exponents, each of names with a sign in front.
        rate: the learning rate of the iteration.
        images: the images of the mini-batch.
        iteration: its number.
    """

    rule: tuple
    sums: tuple[tuple[str, ...], ...] = ()
    rate: bool = False
    images: bool = False
    iteration: bool = False


def record_inputs(record: Record) -> Inputs:
    """Return from what `record_numbers` follows."""
    if record.fixed_shift is not None:
        return Inputs(("record", record.fixed_shift))
    terms = [term for term in (record.a, record.b) if term]
    sums = tuple((*(f"+{name}" for name in term.exponents), f"-{record.out}") for term in terms)
    rule = "record", *(term and term.factor for term in (record.a, record.b))
    return Inputs(rule, sums, any(is_rate(term.factor) for term in terms), iteration=_is_spread(record))


def scalar_inputs(specification: str, step: Step) -> Inputs:
    """Return from what `scalar` follows."""
    kind, *arguments = specification.split()
    return _SCALARS[kind][1](kind, arguments, step)
