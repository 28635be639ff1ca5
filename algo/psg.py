"""Predictive sign gradients: the sign of a weight gradient from the most significant bits of its operands. No torch.

    p = msb(x)^T msb(g),   tau = beta * max |p|,   p decides where |p| >= tau, else the paper takes the sign of x^T g

The most significant bits are the rounded ones: an operand of `from_bits` bits over 2^(from_bits - bits), nearest with ties
up, saturated symmetrically. Cut off instead, every small negative gradient would become -1 and every positive one 0: a bias
that the activations, which are positive behind a ReLU, sum up. Activations that are never negative have no sign to keep: their
bits begin one lower. Four bits of a gradient are rounded by a dither (algo.arithmetic.dither): to nearest, nearly all of them
would be zero. What each of the three is worth: measurements/reports/psg.md. The definitions here are what that was measured with,
for gradients of 16 bits, too; the array leaves the same bits of int8 where they are (algo.arithmetic.coarse).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np


@dataclass(frozen=True)
class Predictor:
    """Widths of a predictor and of what it predicts.

    Attributes:
        x_bits, g_bits: most significant bits of activations and of output gradients that the predictor takes.
        g_full: bits of the output gradients in the full product; activations have 8 there.
    """

    x_bits: int
    g_bits: int
    g_full: int

    @property
    def name(self) -> str:
        """Such as "4/10 of 8/16"."""
        return f"{self.x_bits}/{self.g_bits} of 8/{self.g_full}"


PREDICTORS = (Predictor(4, 10, 16), Predictor(4, 8, 8), Predictor(4, 4, 8))
"""The paper's, and the two of int8 gradients."""

BETAS = (Fraction(1, 20), Fraction(1, 10))


def msb(q, bits: int, from_bits: int, signed: bool = True):
    """Return the most significant bits of integers, rounded: what the predictor's product takes.

    Args:
        q: int64 numpy array or torch tensor of `from_bits` bits, sign included.
        bits: 2 to from_bits.
        signed: False where no q is negative.

    Returns:
        Integers from -(2^(bits-1) - 1) to 2^(bits-1) - 1, one standing for 2^(from_bits - bits) of q; not signed: from 0 to
        2^bits - 1, one standing for half as much.
    """
    if signed:
        shift, limit = from_bits - bits, (1 << bits - 1) - 1
        return ((q + (1 << shift >> 1)) >> shift).clip(-limit, limit)
    shift = max(from_bits - 1 - bits, 0)
    return ((q + (1 << shift >> 1)) >> shift).clip(0, (1 << bits) - 1)


def threshold(maximum: int, beta: Fraction) -> int:
    """Return the smallest integer that is not below beta * maximum; at least 1, since zero has no sign to predict."""
    return max(1, -(-beta.numerator * maximum // beta.denominator))


@dataclass(frozen=True)
class Decisions:
    """What a predictor does to one weight tensor.

    Attributes:
        entries: weights.
        decided: of these, with |p| >= tau.
        wrong: decided ones whose sign differs from the full product's.
        wrong_alone: entries whose predicted sign differs from the full product's, without a threshold.
    """

    entries: int
    decided: int
    wrong: int
    wrong_alone: int


def decide(p: np.ndarray, full: np.ndarray, beta: Fraction) -> tuple[np.ndarray, Decisions]:
    """Return which entries a predictor decides, bool of the shape of p, and how well.

    Args:
        p: predictor's product, integers.
        full: full product, of the same shape; only its signs count.
    """
    decided = np.abs(p) >= threshold(int(np.abs(p).max()), beta)
    differs = np.sign(p) != np.sign(full)
    counts = Decisions(p.size, int(decided.sum()), int((decided & differs).sum()), int(differs.sum()))
    return decided, counts


def whole_blocks(decided: np.ndarray, k: int, c: int, taps: bool = False) -> tuple[int, int]:
    """Return how many blocks there are and how many of them are wholly decided.

    Args:
        decided: bool (k, c, kh, kw).
        k, c: output and input channels of a block; channels past the last count as decided.
        taps: whether a block spans all taps; else one.
    """
    channels = decided.shape[:2]
    padding = [(0, -n % size) for n, size in zip(channels, (k, c), strict=True)]
    flat = np.pad(decided.reshape(*channels, -1), [*padding, (0, 0)], constant_values=True)
    blocks = flat.reshape(flat.shape[0] // k, k, flat.shape[1] // c, c, -1).all(axis=(1, 3))
    if taps:
        blocks = blocks.all(axis=-1)
    return blocks.size, int(blocks.sum())
