"""Fixed-point functions against the mathematics, in numpy and torch; the table file against its generator."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from algo import exact, function_table, functions

RNG = np.random.default_rng(0)
ARGUMENTS = np.concatenate([RNG.integers(-20 << 16, 20 << 16, 50_000), np.arange(-300, 300), [-(1 << 40), 1 << 40]])
POSITIVE = np.concatenate([RNG.integers(1, 1 << 62, 50_000), np.arange(1, 5000), 1 << np.arange(62)])
CASES = {
    "sigmoid": (ARGUMENTS, lambda x: np.where(x < 0, np.exp(np.minimum(x, 0)), 1) / (1 + np.exp(-np.abs(x))), 3.0e-6),
    "tanh": (ARGUMENTS, np.tanh, 6.0e-6),
    "exp_minus": (np.abs(ARGUMENTS), lambda x: np.exp(-x), 3e-7),
    "log": (POSITIVE, np.log, 2e-7),
}


def test_the_table_file_is_what_the_command_writes():
    assert function_table.PATH.read_text() == function_table.text()


def test_table_values_are_correctly_rounded():
    def off(name, real):
        return max(abs(value - 2**24 * real(i)) for i, value in enumerate(function_table.load()[name]))

    assert off("exp_fraction", lambda i: math.exp(-i / 1024)) < 0.5001
    assert off("exp_whole", lambda i: math.exp(-i)) < 0.5001
    assert off("log", lambda i: math.log1p(i / 1024)) < 0.5001
    assert off("sigmoid", lambda i: 1 / (1 + math.exp(-i / 64))) < 0.5001
    assert off("cos", lambda i: math.cos(math.pi * i / 3072)) < 0.5001


@pytest.mark.parametrize("name", CASES)
def test_values_are_within_the_stated_errors_and_equal_in_numpy_torch_and_python(name):
    x, real, error = CASES[name]
    function = getattr(functions, name)
    found = function(x, 16)
    assert found.dtype == np.int64
    assert np.abs(found / functions.ONE - real(x / 65536)).max() <= error
    np.testing.assert_array_equal(function(torch.tensor(x), 16).numpy(), found)
    assert [function(int(one), 16) for one in x[::4999]] == found[::4999].tolist()


@pytest.mark.parametrize("fraction", [0, 3, 24, 30])
def test_any_number_of_fraction_bits(fraction):
    x = np.array([0, 1, 2, 5]) << fraction
    assert np.abs(functions.sigmoid(x, fraction) / functions.ONE - 1 / (1 + np.exp(-np.array([0, 1, 2, 5.0])))).max() < 3e-6
    assert np.abs(functions.log(x[1:], fraction) / functions.ONE - np.log([1, 2, 5])).max() < 2e-7


def test_values_at_knots_are_the_tables():
    table = function_table.load()
    assert functions.sigmoid(np.arange(1025) << 10, 16).tolist() == list(table["sigmoid"])
    assert functions.exp_minus(np.arange(1024) << 6, 16).tolist() == list(table["exp_fraction"])[:-1]
    assert functions.log((1024 + np.arange(1025)) << 6, 16).tolist() == list(table["log"])


@pytest.mark.parametrize("fraction", [0, 24, 30])
def test_log_of_sums_is_log(fraction):
    sums = np.concatenate([RNG.integers(1, 1 << 53, 50_000), POSITIVE[POSITIVE < 1 << 53], (1 << np.arange(1, 54)) - 1])
    np.testing.assert_array_equal(functions.log_of_sums(sums, fraction), functions.log(sums, fraction))


def test_more_fraction_bits_than_fit_are_refused():
    with pytest.raises(ValueError, match="31 fraction bits"):
        functions.sigmoid(np.array([1]), 31)


def test_cos_of_a_half_turn():
    for denominator in (1, 7, 1000, 1536):
        for numerator in range(-3 * denominator, 3 * denominator, max(denominator // 50, 1)):
            real = math.cos(math.pi * numerator / denominator)
            assert abs(functions.cos_half_turn(numerator, denominator) / functions.ONE - real) < 3e-7
    for numerator, twice in ((0, 2), (1, 1), (2, -1), (3, -2)):
        assert 2 * functions.cos_half_turn(numerator, 3) == twice * functions.ONE, "multiples of 60 degrees are exact"
    assert functions.cos_half_turn(5, 10) == 0


def test_series_agree_with_floats():
    one = 1 << exact.WORKING_BITS
    for x in (Fraction(0), Fraction(1, 3), Fraction(17), Fraction(254), Fraction(1, 1 << 70)):
        assert exact.exp_minus(x) / one == pytest.approx(math.exp(-x), rel=1e-14)
    assert exact.exp_minus(Fraction(1000)) == 0
    assert exact.pi() / one == math.pi
