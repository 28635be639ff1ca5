"""The arithmetic that every executor shares: rounding, saturation, noise, exponents. No torch.

Every function takes int64 numpy arrays or torch tensors (only operators and `.clip` are used), works
elementwise, and is exact. The rounding rule of the project: nearest, ties towards plus infinity, which is
"add half, shift right"; stochastic rounding adds 16 bits of noise in place of the half.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache

ARITHMETIC_VERSION = 5
"""To be raised by every change, wherever it is, that makes the same run give other bits: of rounding, exponents, noise, the order
of an update, what a method draws. Checkpoints of another version are refused. hw.isa.VERSION is apart from it: instructions may
change, and the bits stay."""

INT8_MAX = 127
WIDE_MAX = (1 << 23) - 1
SPLIT_MIN, SPLIT_MAX = -32640, 32639
"""What two signed bytes hold, the high one in -127 to 127: 256 * -127 - 128 and 256 * 127 + 127."""
LOW_BITS, GUARD_BITS = 8, 4
"""Bits of a low byte; bits below it that sums on their way to 16 bits have, in results of 24 bits."""

MASK32 = 0xFFFFFFFF
COEFFICIENT_MAX = (1 << 17) - 1
SHIFT_MAX = 47
BN_SHIFT = 12

DITHER_BITS = 6
DITHER_IMAGE, DITHER_ROW, DITHER_COLUMN = 9, 5, 7
"""Steps of the dither's index from one image, row and column to the next: odd, so that each direction alone sees every value."""


class OutOfRange(ValueError):
    """A run-time number of the training step does not fit its format; the message says which and what it means."""


def saturate(x, limit: int):
    """Return x clipped to [-limit, limit]: 127 for int8 tensors, 2^23 - 1 for master weights and momentum."""
    return x.clip(-limit, limit)


def split16(y):
    """Return (high, low), the bytes of y saturated to 16 bits, which is 256 * high + low.

    Both are signed, high in +-127 and low in -128 to 127, so that the array multiplies each as it does any int8 tensor.
    """
    y = y.clip(SPLIT_MIN, SPLIT_MAX)
    high = y + 128 >> 8
    return high, y - (high << 8)


def to_operand(x, shift: int):
    """Return an operand of the vector unit: x >> shift, saturated to 25 bits, two's complement."""
    return (x >> shift).clip(-(1 << 24), (1 << 24) - 1)


def coarse(q, shift: int, added):
    """Return what the array takes of an operand whose last bits are dropped: the multiple of 2^shift that is not above q + added.

    It saturates at +-(128 - 2^shift), multiples in int8. With shift 0 it is q.

    Args:
        q: int8 values.
        added: half of 2^shift to round to nearest, ties up, or `dither`.
    """
    limit = 128 - (1 << shift)
    return (q + added >> shift << shift).clip(-limit, limit) if shift else q


def nearest(q, shift: int):
    """Return `coarse` of q rounded to nearest: the array's operand a."""
    return coarse(q, shift, 1 << shift >> 1)


def dither(image, y, x, shift: int):
    """Return 0 to 2^shift - 1 for every pixel of an output gradient: what stands in for random bits below those that are kept.

    Sums over pixels see all values about equally often, so that rounding by them has no bias, which rounding to nearest has
    where most gradients are small: all of them would become zero. Zero stays zero.

    Args:
        image, y, x: number in the mini-batch, or in a part's list; row; column: arrays or tensors that broadcast.
        shift: up to DITHER_BITS.
    """
    return DITHER_IMAGE * image + DITHER_ROW * y + DITHER_COLUMN * x & (1 << min(shift, DITHER_BITS)) - 1


def mix32(x):
    """Return a 32-bit hash of 32-bit x made of shifts, additions and exclusive ors.

    The steps are those of Thomas Wang's 32-bit integer hash (2007); its one product, by 2057, is two additions.
    """
    x = ((x ^ MASK32) + (x << 15)) & MASK32
    x = x ^ (x >> 12)
    x = (x + (x << 2)) & MASK32
    x = x ^ (x >> 4)
    x = (x + (x << 3) + (x << 11)) & MASK32
    return x ^ (x >> 16)


def noise16(key: int, position, channel):
    """Return the 16 noise bits of an element.

    Args:
        key: 32 bits from `noise_key`.
        position: image number in the mini-batch * pixels per image + pixel number, row-major.
        channel: logical channel number, below 65536.
    """
    return mix32(mix32((position ^ key) & MASK32) ^ ((channel << 16) | channel)) >> 16


@cache
def name_hash(tensor: str) -> int:
    """Return the 32-bit hash of a tensor's name."""
    value = MASK32
    for byte in tensor.encode():
        value = mix32(value ^ byte)
    return value


def noise_key(seed: int, step: int, tensor: str) -> int:
    """Return the 32-bit key of a tensor's noise in one iteration."""
    return noise_keys(seed, step, name_hash(tensor))


def noise_keys(seed: int, step: int, names):
    """Return the keys of many tensors at once: names holds their `name_hash`, an int or an int64 array."""
    return mix32(mix32(mix32(seed & MASK32) ^ (step & MASK32)) ^ names)


def affine(u, v, a, b, d, shift: int, noise=None):
    """Return round(((a * u + b * v + d) * 2^16 >> shift) / 2^16): one pass of the vector unit.

    Args:
        u, v: operands of at most 25 bits (`to_operand`).
        a, b: 18-bit coefficients, scalars or per channel; d: 48-bit offset.
        shift: 0 to 47.
        noise: 16-bit noise per element for stochastic rounding; None rounds to nearest, ties up.

    The sum stays below 2^47 in magnitude, so the product by 2^16 is exact in 64 bits.
    """
    scaled = ((a * u + b * v + d) << 16) >> shift
    return (scaled + (0x8000 if noise is None else noise)) >> 16


def above_zero(u, v, a, b, d):
    """Return whether a * u + b * v + d, before any rounding, is above 0: whether a ReLU of `affine` lets a gradient pass.

    What rounds to zero from above still passes it, as in torch. A mask of the rounded results would stop the gradients of all
    values below half a step, a few in a hundred in every layer, so that the first layers of a deep network learn too slowly.
    Sums wrap at 48 bits, as those of `affine` do.
    """
    return (a * u + b * v + d) << 16 > 0


def exponent_needed(maximum: int, exponent: int, limit: int = INT8_MAX) -> int:
    """Return the smallest e with maximum * 2^exponent <= limit * 2^e; `exponent` itself for maximum 0."""
    if maximum == 0:
        return exponent
    up = maximum.bit_length() - limit.bit_length()
    return exponent + up + (maximum > limit << up if up >= 0 else maximum << -up > limit)


def next_exponent(exponent: int, maximum: int, limit: int = INT8_MAX) -> int:
    """Return the exponent of a tensor for the next iteration (delayed scaling).

    It jumps up at once to what the maximum of this iteration needs and comes down by one.
    """
    needed = exponent_needed(maximum, exponent, limit)
    return max(needed, exponent - 1) if needed < exponent else needed


def coefficients(a: Fraction, b: Fraction) -> tuple[int, int, int]:
    """Return integers (A, B, shift) with A / 2^shift and B / 2^shift nearest to a and b.

    The shift is the largest up to 47 for which both magnitudes fit 17 bits.

    Raises:
        OutOfRange: a or b is larger than 2^17 - 1.
    """
    return coefficients_of_ratios(a.as_integer_ratio(), b.as_integer_ratio())


def coefficients_of_ratios(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int, int]:
    """Return `coefficients` of numbers given as numerator and denominator above 0, which may have common factors.

    It takes a third of the time that Fraction takes; the processor works such out in every iteration.
    """
    top, bottom = (abs(a[0]), a[1]) if abs(a[0]) * b[1] >= abs(b[0]) * a[1] else (abs(b[0]), b[1])
    # At any shift above `fits` the scaled magnitude is at least 2^18.
    fits = 18 - top.bit_length() + bottom.bit_length() if top else SHIFT_MAX
    shift = max(0, min(SHIFT_MAX, fits))
    while shift and _nearest(top, bottom, shift) > COEFFICIENT_MAX:
        shift -= 1
    if _nearest(top, bottom, shift) > COEFFICIENT_MAX:
        found = f"a coefficient of about 2^{_floor_log2(Fraction(top, bottom))}"
        raise OutOfRange(f"{found} does not fit 17 bits: its tensor's exponent is too small")
    return _nearest(*a, shift), _nearest(*b, shift), shift


def _floor_log2(x: Fraction) -> int:
    estimate = x.numerator.bit_length() - x.denominator.bit_length()
    return estimate if pow2(estimate) <= x else estimate - 1


def _nearest(numerator: int, denominator: int, shift: int) -> int:
    return ((numerator << shift + 1) + denominator) // (2 * denominator)


def pow2(exponent: int) -> Fraction:
    """Return 2^exponent exactly."""
    return Fraction(1 << exponent) if exponent >= 0 else Fraction(1, 1 << -exponent)
