"""The weight update as a node: grad_weight, or a predictor of its signs, and the passes behind it. No torch."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from algo.arithmetic import INT8_MAX
from algo.delayed_scaling import SPREAD_DECAY
from algo.fuse import Op
from algo.gradient_bytes import LOW, scaled
from algo.lower import Lowering, operand_shift, product, scaled_by, weight_name
from algo.scaling import MOMENTUM_LIMIT
from algo.step import Product, Term, Update, low_name

_HALF = Fraction(1, 2)
"""What makes a sum that fits the 25 bits of an operand fit the 24 of a wide result."""


def lower_update(lowering: Lowering, op: Op, g: str) -> Update:
    """Return the weight update of a convolution whose output has the gradient `g`; add its records, levels and maxima.

    Weight decay shares a pass, and so a shift, with momentum: beside the gradient's sums, whose coefficient may be 2^16
    times larger, it would round to nothing.

    A sign is 1 = 2^-e exactly at the momentum's exponent e, which a coefficient of at most 2^16 keeps from falling below
    -16; weight decay, far smaller than a sign, is then a coefficient of the order of 1 and has to be spread.
    """
    weight, signs = weight_name(op), lowering.signs(op)
    master, momentum, next_ = f"{weight}.master", f"{weight}.momentum", f"{weight}.next"
    summed, shift = _summed(lowering, op, g, signs)
    level = f"{weight}.predicted" if signs and lowering.rule.predicts and lowering.rule.beta else ""
    if level:
        lowering.levels[level] = (lowering.exponent(op.x), lowering.exponent(g))
    taken = Term("one", ()) if signs else Term(scaled_by(shift), (op.x, g))
    # The first record of a result is the one that calibration starts its exponent from.
    lowering.record(f"{weight}.m", momentum, a=taken, b=Term("one", (momentum,)))
    decay = Term(SPREAD_DECAY if signs else "weight_decay", (master,))
    lowering.record(f"{weight}.t", momentum, a=Term("momentum", (f"{momentum}.previous",)), b=decay)
    lowering.record(f"{weight}.w", master, a=Term("one", (master,)), b=Term("neg_lr", (momentum,)))
    lowering.record(f"{weight}.w8", next_, a=Term("one", (master,)))
    lowering.maxima += [momentum, next_]
    lowering.limits[momentum] = MOMENTUM_LIMIT
    lowering.followers |= {weight: next_, f"{momentum}.previous": momentum}
    further = _sign_records(lowering, weight, summed, level) if signs else _low_record(lowering, weight, summed, taken)
    return Update(
        f"{weight}.update", weight, summed, f"{weight}.t", f"{weight}.m", f"{weight}.w", f"{weight}.w8", maximum=momentum,
        su=shift, maximum_w8=next_, level=level, **further,
    )


def _low_record(lowering: Lowering, weight: str, summed: Product, taken: Term) -> dict[str, str]:
    """Add the record that adds what low bytes sum up to, where there are some; return the update's field."""
    if not summed.low:
        return {}
    momentum = f"{weight}.momentum"
    record = lowering.record(f"{weight}.m.low", momentum, a=scaled(taken, LOW), b=Term("one", (momentum,)))
    return {"record_low": record}


def _sign_records(lowering: Lowering, weight: str, summed: Product, level: str) -> dict[str, str]:
    """Add the records that signs are made by; return the update's fields."""
    unit, limits = Term("one", (f"{weight}.momentum",)), {}
    if level:
        limits = {"level": level, "share": str(lowering.rule.beta)}
    if not summed.low:
        return {"record_s": lowering.record(f"{weight}.s", f"{weight}.momentum", a=unit, **limits)}
    high = lowering.record(f"{weight}.s", f"{weight}.momentum", a=scaled(unit, _HALF))
    low = lowering.record(f"{weight}.s.low", f"{weight}.momentum", a=scaled(unit, LOW * _HALF), b=unit, **limits)
    return {"record_s": high, "record_low": low}


def _summed(lowering: Lowering, op: Op, g: str, signs: bool) -> tuple[Product, int]:
    """The product that an update takes, and the right shift by which its sums fit 25 bits: 0 where only their signs count."""
    terms = lowering.batch * op.layer.shape[1] * op.layer.shape[2]
    summed, low = product(op.layer, "grad_weight", op.x, g), low_name(g) if lowering.two_bytes else ""
    if not signs:
        return replace(summed, low=low), operand_shift(terms, INT8_MAX * lowering.largest_gradient)
    if not lowering.rule.predicts:
        return replace(summed, low=low), 0
    rule, signed = lowering.rule, not _never_negative(lowering, op.x)
    a_drop, b_drop = max(0, 7 + signed - rule.x_bits), max(0, 8 - rule.g_bits)
    if low and rule.g_bits > 8:
        summed = replace(summed, low=low, low_drop=16 - rule.g_bits)
    a_max, b_max = min(INT8_MAX, 128 - (1 << a_drop)), min(lowering.largest_gradient, 128 - (b_drop and 1 << b_drop))
    return replace(summed, a_drop=a_drop, b_drop=b_drop), operand_shift(terms, a_max * b_max)


def _never_negative(lowering: Lowering, name: str) -> bool:
    """Whether a tensor comes out of a ReLU, with nothing but pools behind it."""
    made = next((op for op in lowering.ops if op.out == name), None)
    if made is None:
        return False
    return made.relu or (made.layer.kind in ("maxpool", "avgpool") and _never_negative(lowering, made.x))
