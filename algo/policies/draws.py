"""Random draws of the policies, from the hash that keys all noise: by seed, drawn iteration and what the draw is for."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from algo.arithmetic import MASK32, mix32, noise_key

DRAW_BITS = 32


def draw(seed: int, iteration: int, name: str) -> int:
    """Return 32 random bits."""
    return noise_key(seed, iteration, name)


def draws(seed: int, iteration: int, name: str, count: int) -> np.ndarray:
    """Return 32 random bits for each of the images of a mini-batch, int64 (count,)."""
    key = draw(seed, iteration, name)
    numbers = np.arange(count, dtype=np.int64)
    return mix32(mix32((numbers ^ key) & MASK32) ^ (numbers << 16 | numbers))


def happens(bits: int | np.ndarray, probability: Fraction) -> bool | np.ndarray:
    """Whether a draw falls below a probability whose denominator is at most 2^30."""
    return bits * probability.denominator < probability.numerator << DRAW_BITS
