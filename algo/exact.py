"""exp, log and cos of rational numbers in long integers: what the function table is made from, free of floats. No torch.

Every result is value * 2^WORKING_BITS with an error of a few units in its last place, so that it rounds correctly to 24 bits.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache

WORKING_BITS = 192

_ONE = 1 << WORKING_BITS
_HALVINGS = 16
_UNDERFLOW = 256


def rounded(value: int, bits: int) -> int:
    """Return value / 2^WORKING_BITS to `bits` fraction bits, nearest, ties up."""
    return (value + (1 << WORKING_BITS - bits - 1)) >> (WORKING_BITS - bits)


def exp_minus(x: Fraction) -> int:
    """Return exp(-x), x at least 0: the series at x / 2^halvings, squared as often."""
    if x > _UNDERFLOW:
        return 0
    halvings = _HALVINGS + int(x).bit_length()
    step = _fixed(x / (1 << halvings))
    total = term = _ONE
    for n in range(1, 40):
        term = -term * step // (n * _ONE)
        total += term
    for _ in range(halvings):
        total = total * total >> WORKING_BITS
    return total


def log(x: Fraction) -> int:
    """Return the natural logarithm of x, 1 to 2: 2 artanh((x - 1) / (x + 1))."""
    return 2 * _odd_series(Fraction(x - 1) / (x + 1), 1)


def cos_half_turn(x: Fraction) -> int:
    """Return cos(pi x), x from 0 to 1/2: the series."""
    angle = _fixed(x) * pi() >> WORKING_BITS
    square = angle * angle >> WORKING_BITS
    total = term = _ONE
    for n in range(1, 40):
        term = -(term * square >> WORKING_BITS) // (2 * n * (2 * n - 1))
        total += term
    return total


@cache
def pi() -> int:
    """Return pi by Machin's formula."""
    return 4 * (4 * _odd_series(Fraction(1, 5), -1) - _odd_series(Fraction(1, 239), -1))


def _odd_series(x: Fraction, sign: int) -> int:
    """Sum of sign^n x^(2n+1) / (2n+1): artanh for sign 1, arctan for -1."""
    power = _fixed(x)
    square, total = power * power >> WORKING_BITS, 0
    for n in range(WORKING_BITS):
        total += sign**n * power // (2 * n + 1)
        power = power * square >> WORKING_BITS
    return total


def _fixed(x: Fraction) -> int:
    return x.numerator * _ONE // x.denominator
