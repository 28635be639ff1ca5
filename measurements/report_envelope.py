"""A series of any length as a curve of a bounded number of points: lowest, mean and highest value of each stretch of time.

Values come block by block and are not kept, so that a run of days needs no more memory than one of seconds.
"""

from __future__ import annotations

import numpy as np

POINTS = 800
"""Least number of stretches that a long series is divided into; at most twice as many."""


class Numbers:
    """What values over time come to: how many, lowest, mean and highest of them, longest distance of two neighbours."""

    def __init__(self):
        self.values, self.low, self.high, self.longest_s = 0, np.inf, -np.inf, 0.0
        self._sum, self._last_s = 0.0, np.nan

    def add(self, t_s: np.ndarray, values: np.ndarray) -> None:
        """Add values (n,) and their times (n,), finite ones."""
        if not len(t_s):
            return
        joined = np.append(self._last_s, t_s) if self.values else t_s
        self.longest_s = max(self.longest_s, float(np.diff(joined).max(initial=0.0)))
        self.values, self._sum, self._last_s = self.values + len(values), self._sum + float(values.sum()), float(t_s[-1])
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))

    @property
    def mean(self) -> float:
        """Mean of the values, one as good as the other; NaN of none."""
        return self._sum / self.values if self.values else np.nan


class Envelope:
    """Collects values over time.

    Args:
        points: up to so many values are kept as they are; more are put together in `points` to twice as many stretches.
    """

    def __init__(self, points: int = POINTS):
        self.points = points
        self.rows = 0
        self._t_s = np.zeros(0)
        self._values = np.zeros(0)
        self._width_s = 0.0

    def add(self, t_s: np.ndarray, values: np.ndarray) -> None:
        """Add values (n,) and their times (n,); what is not finite is left out."""
        good = np.isfinite(t_s) & np.isfinite(values)
        t_s, values = t_s[good], values[good]
        if not len(t_s):
            return
        self.rows += len(t_s)
        if self._width_s:
            self._put(t_s, values)
            return
        self._t_s, self._values = np.concatenate([self._t_s, t_s]), np.concatenate([self._values, values])
        if len(self._t_s) > self.points and np.ptp(self._t_s) > 0:
            self._divide()

    def curve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return times, lowest, mean and highest values (m,) each, by time."""
        if not self._width_s:
            order = np.argsort(self._t_s, kind="stable")
            values = self._values[order]
            return self._t_s[order], values, values, values
        used = np.flatnonzero(self._count)
        middle_s = self._start_s + (used + 0.5) * self._width_s
        return middle_s, self._low[used], self._sum[used] / self._count[used], self._high[used]

    @property
    def width_s(self) -> float:
        """Length of the stretches; 0 where every value is kept."""
        return self._width_s

    def _divide(self) -> None:
        bins = 2 * self.points
        self._start_s = float(self._t_s.min())
        self._width_s = float(np.ptp(self._t_s)) / self.points
        self._low, self._high = np.full(bins, np.inf), np.full(bins, -np.inf)
        self._sum, self._count = np.zeros(bins), np.zeros(bins)
        self._put(self._t_s, self._values)
        self._t_s = self._values = np.zeros(0)

    def _put(self, t_s: np.ndarray, values: np.ndarray) -> None:
        while (float(t_s.max()) - self._start_s) / self._width_s >= 2 * self.points:
            self._halve()
        index = np.maximum(0, ((t_s - self._start_s) / self._width_s).astype(np.int64))
        np.minimum.at(self._low, index, values)
        np.maximum.at(self._high, index, values)
        np.add.at(self._sum, index, values)
        np.add.at(self._count, index, 1)

    def _halve(self) -> None:
        """Put two neighbouring stretches together each, and leave room for as many new ones."""
        empty = {"_low": np.inf, "_high": -np.inf, "_sum": 0.0, "_count": 0.0}
        join = {"_low": np.minimum, "_high": np.maximum, "_sum": np.add, "_count": np.add}
        for name, nothing in empty.items():
            array = getattr(self, name)
            joined = join[name](array[0::2], array[1::2])
            setattr(self, name, np.concatenate([joined, np.full(self.points, nothing)]))
        self._width_s *= 2
