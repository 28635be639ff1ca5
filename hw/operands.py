"""Operand data with a stated statistic: equal counters, other signal activity.

random: uniform from -127 to 127. quiet: uniform, but the same over blocks of 4 x 4 pixels, as smooth images are.
sparse: three of four values are zero, the others uniform, as behind a ReLU. small: uniform from -7 to 7, as gradients often are.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

STATISTICS = ("random", "quiet", "sparse", "small")
LARGEST = 127
SMALL = 7
SPARSE_KEPT = 0.25
QUIET_SIDE = 4

_UNIFORM = sqrt(LARGEST * (LARGEST + 1) / 3)
STD = {"random": _UNIFORM, "quiet": _UNIFORM, "sparse": _UNIFORM * sqrt(SPARSE_KEPT), "small": sqrt(SMALL * (SMALL + 1) / 3)}
"""Standard deviation of each statistic's values."""


def draw(statistic: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return int8 values of a shape whose last two sides are rows and columns.

    Raises:
        ValueError: no such statistic.
    """
    if statistic not in STATISTICS:
        raise ValueError(f"no operands are called {statistic!r}: there are {', '.join(STATISTICS)}")
    if statistic == "small":
        return rng.integers(-SMALL, SMALL + 1, shape, np.int8)
    if statistic == "quiet":
        *outer, h, w = shape
        coarse = rng.integers(-LARGEST, LARGEST + 1, (*outer, -(-h // QUIET_SIDE), -(-w // QUIET_SIDE)), np.int8)
        return np.ascontiguousarray(coarse.repeat(QUIET_SIDE, -2).repeat(QUIET_SIDE, -1)[..., :h, :w])
    values = rng.integers(-LARGEST, LARGEST + 1, shape, np.int8)
    if statistic == "sparse":
        values[rng.random(shape) >= SPARSE_KEPT] = 0
    return values
