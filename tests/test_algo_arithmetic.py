"""Rounding, saturation, noise and exponents against exact fractions; numpy, torch and plain integers agree."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from algo.arithmetic import (
    COEFFICIENT_MAX,
    SHIFT_MAX,
    SPLIT_MAX,
    SPLIT_MIN,
    affine,
    coefficients,
    exponent_needed,
    mix32,
    next_exponent,
    noise16,
    noise_key,
    pow2,
    split16,
    to_operand,
)

operands = st.integers(-(1 << 24), (1 << 24) - 1)
coefficient = st.integers(-(1 << 17), (1 << 17) - 1)


@given(operands, operands, coefficient, coefficient, st.integers(-(1 << 45), 1 << 45), st.integers(0, 47))
def test_affine_rounds_to_nearest_up(u, v, a, b, d, shift):
    exact = Fraction(a * u + b * v + d, 1 << shift)
    sixteenth = (exact * 65536).__floor__()
    expected = ((sixteenth + 32768) // 65536)
    assert affine(u, v, a, b, d, shift) == expected
    assert abs(expected - exact) <= Fraction(1, 2) + Fraction(1, 65536)
    assert int(affine(np.int64(u), np.int64(v), a, b, d, shift)) == expected
    assert int(affine(torch.tensor(u), torch.tensor(v), a, b, d, shift)) == expected


TIES = [(1, 1, 1), (-1, 1, 0), (3, 1, 2), (-3, 1, -1), (6, 2, 2), (1 << 46, 47, 1)]


@pytest.mark.parametrize(("value", "shift", "expected"), TIES)
def test_ties_go_up(value, shift, expected):
    assert affine(0, 0, 0, 0, value, shift) == expected


@given(st.integers(-(1 << 20), 1 << 20), st.integers(1, 20))
def test_stochastic_rounding_is_unbiased_over_all_noise(value, shift):
    noise = np.arange(65536, dtype=np.int64)
    total = int(affine(np.int64(value), 0, 1, 0, 0, shift, noise).sum())
    assert Fraction(total, 65536) == Fraction((value << 16) >> shift, 65536)


@given(st.integers(-(1 << 31), (1 << 31) - 1), st.integers(0, 12))
def test_operand_is_shifted_then_saturated_to_25_bits(x, shift):
    assert int(to_operand(np.int64(x), shift)) == min(max(x // (1 << shift), -(1 << 24)), (1 << 24) - 1)


def test_two_signed_bytes_are_every_value_of_16_bits_and_the_nearest_of_others():
    y = np.arange(-40000, 40001)
    high, low = split16(y)
    np.testing.assert_array_equal(256 * high + low, np.minimum(np.maximum(y, -32640), 32639))
    assert (SPLIT_MIN, SPLIT_MAX) == (-32640, 32639)
    assert (high.min(), high.max(), low.min(), low.max()) == (-127, 127, -128, 127)
    for part, other in zip((high, low), split16(torch.from_numpy(y)), strict=True):
        np.testing.assert_array_equal(part, other)


@pytest.mark.parametrize(("y", "high", "low"), [
    (0, 0, 0), (127, 0, 127), (128, 1, -128), (-128, 0, -128), (-129, -1, 127), (32639, 127, 127), (-32640, -127, -128),
    ((1 << 31) - 1, 127, 127), (-(1 << 31) + 1, -127, -128),
])  # fmt: skip
def test_bytes_of_a_value(y, high, low):
    assert tuple(map(int, split16(np.int64(y)))) == (high, low)


@given(st.integers(0, (1 << 32) - 1), st.integers(0, 1 << 20), st.integers(0, 65535))
def test_noise_is_the_same_in_numpy_torch_and_python(key, position, channel):
    plain = noise16(key, position, channel)
    assert 0 <= plain < 65536
    assert plain == int(noise16(key, np.int64(position), np.int64(channel)))
    assert plain == int(noise16(key, torch.tensor(position), torch.tensor(channel)))


def test_noise_is_uniform_and_independent_between_neighbours():
    noise = noise16(noise_key(1, 2, "x"), np.arange(4096)[:, None], np.arange(16)[None, :]) / 65536 - 0.5
    error = 1 / np.sqrt(12 * noise.size)
    assert abs(noise.mean()) < 5 * error
    for first, second in ((noise[1:], noise[:-1]), (noise[:, 1:], noise[:, :-1])):
        assert abs((first * second).mean()) < 5 / (12 * np.sqrt(first.size))


def test_the_hash_is_a_bijection_on_a_sample_and_keys_differ():
    assert len(np.unique(mix32(np.arange(1 << 18, dtype=np.int64)))) == 1 << 18
    keys = {noise_key(seed, step, name) for seed in range(5) for step in range(5) for name in ("a", "b", "ab", "ba")}
    assert len(keys) == 100


@given(st.fractions(-1000, 1000), st.fractions(-1000, 1000))
def test_coefficients_are_nearest_at_the_largest_shift_that_fits(a, b):
    first, second, shift = coefficients(a, b)
    for integer, exact in ((first, a), (second, b)):
        assert abs(integer) <= COEFFICIENT_MAX
        assert abs(integer - exact * 2**shift) <= Fraction(1, 2)
    largest = max(abs(a), abs(b)) * 2 ** (shift + 1)
    assert shift == SHIFT_MAX or largest + Fraction(1, 2) >= COEFFICIENT_MAX + 1


def test_a_coefficient_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="does not fit 17 bits"):
        coefficients(Fraction(1 << 17), Fraction(0))
    assert coefficients(Fraction(COEFFICIENT_MAX), Fraction(0)) == (COEFFICIENT_MAX, 0, 0)


@given(st.integers(1, 1 << 31), st.integers(-40, 40), st.sampled_from([127, 1 << 22]))
def test_exponents_jump_up_and_come_down_by_one(maximum, exponent, limit):
    needed = exponent_needed(maximum, exponent, limit)
    assert maximum * pow2(exponent) <= limit * pow2(needed)
    assert maximum * pow2(exponent) > limit * pow2(needed - 2)
    following = next_exponent(exponent, maximum, limit)
    assert following == (needed if needed >= exponent else exponent - 1)
    assert next_exponent(exponent, 0, limit) == exponent
