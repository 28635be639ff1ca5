"""Random draws of the policies, from the hash that keys all noise: by seed, drawn iteration and what the draw is for."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from algo.arithmetic import MASK32, mix32, name_hash, noise_key, noise_keys

DRAW_BITS = 32


def draw(seed: int, iteration: int, name: str) -> int:
    """Return 32 random bits."""
    return noise_key(seed, iteration, name)


def draws(seed: int, iteration: int, name: str, count: int) -> np.ndarray:
    """Return 32 random bits for each of the images of a mini-batch, int64 (count,)."""
    return draws_of_all(seed, iteration, (name,), count)[0]


def draws_of_all(seed: int, iteration: int, names: tuple[str, ...], count: int) -> np.ndarray:
    """Return the `draws` for many names, int64 (names, count)."""
    return draws_ahead(seed, np.array([iteration]), np.array([name_hash(name) for name in names]), count)[0]


def draws_ahead(seed: int, iterations: np.ndarray, hashes: np.ndarray, count: int) -> np.ndarray:
    """Return the `draws` of several iterations for many names, int64 (iterations, names, count).

    Args:
        hashes: `name_hash` of the names.
    """
    keys = noise_keys(seed, iterations[:, None], hashes)
    numbers = np.arange(count, dtype=np.int64)
    return mix32(mix32((numbers ^ keys[:, :, None]) & MASK32) ^ (numbers << 16 | numbers))


def below(probability: Fraction) -> int:
    """Return the number that a draw is below with that probability: what `happens` compares with, rounded up to a whole one."""
    return -(-(probability.numerator << DRAW_BITS) // probability.denominator)


def happens(bits: int | np.ndarray, probability: Fraction) -> bool | np.ndarray:
    """Whether a draw falls below a probability whose denominator is at most 2^30."""
    return bits * probability.denominator < probability.numerator << DRAW_BITS
