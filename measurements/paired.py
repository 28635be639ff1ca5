"""Means over seeds, and differences between two settings that were run with the same seeds: 95 % intervals by Student's t."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from measurements.budget import student_t

LEVEL = 0.95


@dataclass(frozen=True)
class Mean:
    """A mean of n values with the half-width of its 95 % interval; None from a single value."""

    value: float
    half_width: float | None
    n: int

    @property
    def verdict(self) -> str:
        """Of a difference: "gain shown", "loss shown", or "no gain shown" where the interval includes zero or is unknown."""
        if self.half_width is None or abs(self.value) <= self.half_width:
            return "no gain shown"
        return "gain shown" if self.value > 0 else "loss shown"

    def to_json(self) -> dict:
        """Return plain data."""
        return {"mean": self.value, "half_width95": self.half_width, "n": self.n}


def mean(values: Sequence[float], step: float = 0.0) -> Mean:
    """Return the mean of independent values of one distribution.

    Args:
        step: in which the values come. They are known no better: equal ones scatter by what lies inside a step.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("a mean of no values: at least one is needed")
    n, middle = len(values), math.fsum(values) / len(values)
    if n == 1:
        return Mean(middle, None, 1)
    deviation = math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (n - 1))
    deviation = max(deviation, step / math.sqrt(12))
    return Mean(middle, student_t(0.5 + LEVEL / 2, n - 1) * deviation / math.sqrt(n), n)


def paired(ours: Sequence[float], others: Sequence[float], step: float = 0.0) -> Mean:
    """Return the mean of the differences ours - others, one pair per seed. Raises ValueError where they do not pair up."""
    return mean([one - other for one, other in zip(ours, others, strict=True)], step)
