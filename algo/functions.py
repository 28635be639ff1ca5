"""exp, log, sigmoid, tanh and cos in fixed point, from one table of integers (function_table.json). No torch.

Arguments are int64 numpy arrays or torch tensors, or Python ints, with a stated number of fraction bits; results have 24
(`BITS`). Between knots the value is interpolated linearly and rounded to nearest, ties up; errors are at most
    sigmoid 3e-6, tanh 6e-6, exp 3e-7, log 2e-7 (relative to 1), cos 3e-7.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from algo.function_table import BITS, COS_STEPS, EXP_STEPS, EXP_WHOLE, LOG_STEPS, SIGMOID_END, SIGMOID_STEPS, load

ONE = 1 << BITS
LARGEST_FRACTION = 30
"""Arguments have at most this many fraction bits, so that interpolation stays inside 64 bits."""


def sigmoid(x, fraction: int):
    """Return 1 / (1 + exp(-x)); constant beyond +-16."""
    negative = x < 0
    value = _along("sigmoid", abs(x), fraction, SIGMOID_STEPS.bit_length() - 1, SIGMOID_END)
    return value + negative * (ONE - 2 * value)


def tanh(x, fraction: int):
    """Return tanh(x) = 2 sigmoid(2 x) - 1."""
    return 2 * sigmoid(2 * x, fraction) - ONE


def exp_minus(x, fraction: int):
    """Return exp(-x), x at least 0; 0 from 18 on."""
    whole = x >> fraction
    part = _along("exp_fraction", x - (whole << fraction), fraction, EXP_STEPS.bit_length() - 1, 1)
    past = whole >= EXP_WHOLE
    scale = _at("exp_whole", whole - past * (whole - EXP_WHOLE))
    return ((part * scale + (ONE >> 1)) >> BITS) * (1 - past * 1)


def log(x, fraction: int):
    """Return the natural logarithm of x, above 0 and below 2^62 as it is stored."""
    place = _place(x)
    shift = LARGEST_FRACTION - place
    mantissa = x << max(shift, 0) >> max(-shift, 0) if isinstance(x, int) else x << shift.clip(0) >> (-shift).clip(0)
    part = _between("log", mantissa - (1 << LARGEST_FRACTION), LARGEST_FRACTION - LOG_STEPS.bit_length() + 1)
    return part + (place - fraction) * load()["log"][-1]


def log_of_sums(x: np.ndarray, fraction: int) -> np.ndarray:
    """Return `log` of int64 numbers from 1 to below 2^53, which floats hold exactly: the same numbers, in about half the time."""
    part, exponent = np.frexp(x)
    mantissa = (part * (2 << LARGEST_FRACTION)).astype(np.int64)
    mantissa -= 1 << LARGEST_FRACTION
    down = LARGEST_FRACTION - LOG_STEPS.bit_length() + 1
    knot = mantissa >> down
    mantissa &= (1 << down) - 1
    mantissa *= _rises("log").take(knot)
    mantissa += 1 << down >> 1
    mantissa >>= down
    mantissa += _array("log").take(knot)
    mantissa += exponent * np.int64(load()["log"][-1])
    mantissa -= (1 + fraction) * load()["log"][-1]
    return mantissa


def cos_half_turn(numerator: int, denominator: int) -> int:
    """Return cos(pi * numerator / denominator) of integers, the denominator above 0; exact at multiples of 60 degrees."""
    turned = numerator % (2 * denominator)
    turned = min(turned, 2 * denominator - turned)
    if 2 * turned > denominator:
        return -cos_half_turn(denominator - turned, denominator)
    knot, rest = divmod(turned * 2 * COS_STEPS, denominator)
    values = load()["cos"]
    rise = values[min(knot + 1, COS_STEPS)] - values[knot]
    return values[knot] + (2 * rise * rest + denominator) // (2 * denominator)


def _place(x):
    """Return the number of the leading bit of x above 0."""
    if isinstance(x, int):
        return x.bit_length() - 1
    if hasattr(x, "new_tensor"):
        place = x.double().frexp().exponent - 1 + 0 * x
    else:
        place = np.frexp(x)[1] - np.int64(1)
    return place - ((x >> place) == 0) * 1  # a number that the float rounds up to the next power of two


def _along(name: str, x, fraction: int, step_bits: int, end: int):
    """Interpolate a table whose knots are 2^-step_bits apart from 0 to `end`, at x of at least 0."""
    if not 0 <= fraction <= LARGEST_FRACTION:
        raise ValueError(f"{fraction} fraction bits; 0 to {LARGEST_FRACTION} are supported")
    if fraction < step_bits:
        x, fraction = x << (step_bits - fraction), step_bits
    down = fraction - step_bits
    beyond = x > (end << fraction)
    x = x - beyond * (x - (end << fraction))
    knot = x >> down
    rest = x - (knot << down)
    low = _at(name, knot)
    high = _at(name, knot + (knot < (end << step_bits)) * 1)
    return low + (((high - low) * rest + ((1 << down) >> 1)) >> down)


def _between(name: str, x, down: int):
    """Interpolate a table whose knots are 2^down apart at x, from 0 to below the last one."""
    knot = x >> down
    low = _at(name, knot)
    return low + (((_at(name, knot + 1) - low) * (x - (knot << down)) + ((1 << down) >> 1)) >> down)


def _at(name: str, index):
    """Entries of a table, of the kind of the index."""
    if isinstance(index, int):
        return load()[name][index]
    if hasattr(index, "new_tensor"):
        return index.new_tensor(load()[name])[index]
    return _array(name)[index]


@cache
def _array(name: str) -> np.ndarray:
    array = np.array(load()[name], np.int64)
    array.flags.writeable = False
    return array


@cache
def _rises(name: str) -> np.ndarray:
    """From each entry of a table to the next."""
    array = np.diff(_array(name))
    array.flags.writeable = False
    return array
