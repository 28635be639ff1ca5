"""Predictive sign gradients: the synthetic check, most significant bits, thresholds, blocks, four products in one multiplier."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from algo import products
from algo.arithmetic import coarse, dither, nearest
from algo.psg import BETAS, PREDICTORS, Decisions, decide, msb, threshold, whole_blocks

SAMPLES, INPUTS, OUTPUTS = 2048, 128, 256


def layer(seed):
    """One linear layer: inputs of a ReLU behind Gaussians, heavy-tailed (Student's t, 3 degrees) output gradients, float64."""
    rng = np.random.default_rng(seed)
    return np.maximum(rng.normal(size=(SAMPLES, INPUTS)), 0), rng.standard_t(3, (SAMPLES, OUTPUTS))


def integers(values, limit):
    """Round to nearest at the scale that just holds the largest value."""
    return np.floor(values / np.abs(values).max() * limit + 0.5).astype(np.int64)


def predicted(x_bits, g_bits, signed=False, seeds=range(5)):
    """Return the shares of weights served and of wrong signs among them, at both betas, and of wrong signs without threshold."""
    served, wrong, alone = np.zeros(2), np.zeros(2), 0.0
    for seed in seeds:
        x, g = layer(seed)
        p = msb(integers(x, 127), x_bits, 8, signed).T @ msb(integers(g, 32639), g_bits, 16)
        counts = [decide(p, x.T @ g, beta)[1] for beta in BETAS]
        served += [one.decided / one.entries / len(seeds) for one in counts]
        wrong += [one.wrong / one.decided / len(seeds) for one in counts]
        alone += counts[0].wrong_alone / counts[0].entries / len(seeds)
    return served, wrong, alone


def test_the_synthetic_check_of_4_and_10_bits_at_a_beta_of_5_percent():
    """At least 60 % of the weights served, at most 0.1 % of these with a wrong sign; four bits of inputs without a sign."""
    (served, more), (wrong, _), alone = predicted(4, 10)
    assert served >= 0.6 and wrong <= 0.001
    assert more < served < 0.9
    assert 0.01 < alone < 0.06


def test_a_sign_bit_that_is_never_needed_and_fewer_bits_make_the_predictor_visible():
    wrong = [predicted(*bits, signed, seeds=[0, 1])[1][0] for *bits, signed in ((4, 10, True), (3, 8, False), (2, 6, False))]
    assert wrong[0] > 0.002 and 0.002 < wrong[1] < wrong[2]


def test_four_4_bit_products_in_one_25_x_18_multiplier():
    """(a1 2^16 + a0)(b1 2^8 + b0): every 4-bit a, signed or not, and signed b; each byte is corrected by the one below."""
    for low_a, high_a in ((-8, 7), (0, 15)):
        a, b = np.arange(low_a, high_a + 1), np.arange(-8, 8)
        a1, a0, b1, b0 = (axis.astype(np.int64) for axis in np.meshgrid(a, a, b, b, indexing="ij"))
        left, right = (a1 << 16) + a0, (b1 << 8) + b0
        assert np.abs(left).max() < 1 << 24 and np.abs(right).max() < 1 << 17
        product = left * right
        for wanted in (a0 * b0, a0 * b1, a1 * b0, a1 * b1):
            byte = (product & 255) - ((product & 128) << 1)
            np.testing.assert_array_equal(byte, wanted)
            product = (product >> 8) + (product >> 7 & 1)


def test_most_significant_bits_are_the_nearest_and_symmetric():
    q = np.arange(-127, 128)
    top = msb(q, 4, 8)
    assert top.min() == -7 and top.max() == 7
    inside = np.abs(q) <= 7 * 16 + 7
    assert np.abs(16 * top - q)[inside].max() == 8
    np.testing.assert_array_equal(msb(q, 8, 8), q)
    positive = msb(q[q >= 0], 4, 8, signed=False)
    assert positive.max() == 15 and np.abs(8 * positive - q[q >= 0])[: 15 * 8 + 4].max() == 4


@pytest.mark.parametrize("shift", range(1, 7))
def test_a_dither_sees_every_value_equally_often_in_every_direction(shift):
    n, y, x = np.ogrid[:64, :64, :64]
    pattern = dither(n, y, x, shift)
    for axis in range(3):
        lines = np.sort(np.moveaxis(pattern, axis, -1)[..., : 1 << shift])
        np.testing.assert_array_equal(lines, np.broadcast_to(np.arange(1 << shift), lines.shape))
    q = np.arange(-100, 100)
    inside = q[np.abs(q) <= 128 - 2 * (1 << shift)]
    line = dither(np.arange(1 << shift), 3, 5, shift)
    np.testing.assert_array_equal(coarse(inside[:, None], shift, line).sum(1), inside << shift)


@pytest.mark.parametrize("shift", range(8))
def test_operands_without_their_low_bits_are_the_most_significant_ones_where_they_were(shift):
    """Of all int8 values and all that may be added: multiples of 2^shift in int8, as msb has them."""
    q, limit = np.arange(-127, 128), 128 - (1 << shift)
    for added in range(1 << shift):
        found = coarse(q, shift, added)
        assert not (found & (1 << shift) - 1).any() and np.abs(found).max() <= min(limit, 127) and not found[q == 0].any()
        unclamped = (np.abs(found) < limit) | (shift == 0)
        assert (np.abs(found - q)[unclamped] < 1 << shift).all()
        inside = torch.tensor(q, dtype=torch.int8)
        if shift:
            for one in (added, torch.full_like(inside, added)):
                np.testing.assert_array_equal(products.coarse(inside, shift, one).numpy(), found)
    if shift < 7:
        np.testing.assert_array_equal(nearest(q, shift), msb(q, 8 - shift, 8) << shift)
        behind_relu = q[q >= 0]
        np.testing.assert_array_equal(nearest(behind_relu, shift), msb(behind_relu, 7 - shift, 8, signed=False) << shift)


@pytest.mark.parametrize(("maximum", "beta", "expected"), [(100, "1/20", 5), (101, "1/20", 6), (0, "1/20", 1), (3, "1/10", 1)])
def test_a_threshold_is_the_smallest_integer_that_is_not_below(maximum, beta, expected):
    assert threshold(maximum, Fraction(beta)) == expected


def test_decisions_are_counted():
    p, full = np.array([100, -5, 4, -40, 0]), np.array([7, 3, -1, -2, 1])
    decided, counts = decide(p, full, Fraction(1, 20))
    np.testing.assert_array_equal(decided, [True, True, False, True, False])
    assert counts == Decisions(entries=5, decided=3, wrong=1, wrong_alone=3)


def test_blocks_are_whole_where_all_their_entries_are_decided():
    decided = np.ones((5, 6, 1, 2), bool)
    decided[4, 5, 0, 0] = decided[0, 0, 0, 1] = False
    assert whole_blocks(decided, 4, 4) == (2 * 2 * 2, 6)
    assert whole_blocks(decided, 1, 6) == (5 * 2, 8)
    assert whole_blocks(decided, 5, 1) == (6 * 2, 10)
    assert whole_blocks(decided, 1, 1, taps=True) == (30, 28)


def test_the_predictors_are_the_papers_and_two_of_int8_gradients():
    assert [predictor.name for predictor in PREDICTORS] == ["4/10 of 8/16", "4/8 of 8/8", "4/4 of 8/8"]
