"""Energy of one rail in a window, as a weighted sum of its values, so that every error of the values has its share in it.

Points: the trapezoid on the real stamps, with the power interpolated at the window's edges. Averages: each new value times
its span, which lies before its arrival; of the spans at the edges the part inside. Running totals: end minus start, both
interpolated. Where two stamps are equal the stretch between them has no length and no weight.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from measurements.noise import Scatter, scatter
from measurements.series import NoEnergy, Series

EDGE_POINT = 1 / math.sqrt(12)
"""Standard uncertainty of one edge of a point sampler in units of power step times spacing: the step anywhere in it."""


def edge_mean(new: float) -> float:
    """Return the same for spans, of which a share `new` is not in the one before, and for totals (1).

    A step at the mark costs both edges with the same sign: where nothing overlaps x (1 - x) of it, 1/6 on the mean with a
    variance of 1/180, and ever closer to 1/8 the more does. Each edge has half of the sum's square.
    """
    mean, variance = 1 / 8 + new**2 / 24, new**4 / 180
    return math.sqrt(((2 * mean) ** 2 + 2 * variance) / 2)


@dataclass(frozen=True)
class Edge:
    """One edge of a window.

    Attributes:
        step_w: change of power across it, from outside to inside, with its sign.
        swing_w: range of the power around it; at least |step_w|.
        spacing_s: distance of the values around it.
        missing_s: part of the window for which there is no value because the series begins after it or ends before it.
        power_w: on the inside.
    """

    step_w: float
    swing_w: float
    spacing_s: float
    missing_s: float
    power_w: float


@dataclass(frozen=True)
class WindowEnergy:
    """Energy of a rail in [start_s, end_s].

    Attributes:
        series: it was taken from.
        first: index of the first value used.
        weights: (m,) of `series.values[first:first + m]`, whose weighted sum is energy_j: seconds; of a total pure numbers.
        start, end: the edges.
        scatter: of the values inside.
    """

    series: Series
    start_s: float
    end_s: float
    energy_j: float
    first: int
    weights: np.ndarray
    start: Edge
    end: Edge
    scatter: Scatter

    @property
    def time_s(self) -> float:
        """Length of the window."""
        return self.end_s - self.start_s

    @property
    def power_w(self) -> float:
        """Mean power."""
        return self.energy_j / self.time_s

    @functools.cached_property
    def square(self) -> float:
        """Sum of the squared weights: times the variance of one value's own noise, the variance of the energy."""
        return float(np.sum(self.weights**2))

    @property
    def used(self) -> np.ndarray:
        """Values that have a weight, (m,)."""
        return self.series.values[self.first : self.first + len(self.weights)]

    @property
    def inside_w(self) -> np.ndarray:
        """Power of the values that have no part outside, (m - 2,) watts; of a running total the mean power between its values."""
        return (self.used if self.series.kind != "accumulated" else self._slopes())[1:-1]

    def _slopes(self) -> np.ndarray:
        t_s = self.series.t_s[self.first : self.first + len(self.weights)]
        steps_s = np.diff(t_s)
        return np.diff(self.used)[steps_s > 0] / steps_s[steps_s > 0]


def window_energy(series: Series, start_s: float, end_s: float, reach_s: float = 0.0) -> WindowEnergy:
    """Return the energy of a series in a window.

    Args:
        series: of one rail.
        start_s, end_s: edges of the window on the clock of the series.
        reach_s: by which the stamps may be off, so that the load's step may lie so far from the edge.

    Raises:
        NoEnergy: the window has no length, or lies where the series has nothing.
    """
    if not end_s > start_s:
        raise NoEnergy(f"the window from {start_s:.6f} s to {end_s:.6f} s has no length")
    if end_s <= series.t_s[0] or start_s >= series.t_s[-1]:
        raise NoEnergy(f"rail {series.rail!r} has no samples in the window from {start_s:.3f} s to {end_s:.3f} s: they go from "
                       f"{series.t_s[0]:.3f} s to {series.t_s[-1]:.3f} s")  # fmt: skip
    weigh = {"point": _trapezoid, "average": _spans, "accumulated": _difference}[series.kind]
    first, weights = weigh(series, start_s, end_s)
    values = series.values[first : first + len(weights)]
    energy_j = float(np.sum(weights * values))
    start, end = _edge(series, start_s, reach_s, True), _edge(series, end_s, reach_s, False)
    stamps = series.t_s[first : first + len(weights)]
    away_s = reach_s + (series.span_s if series.kind == "average" else 0.0)
    inside = (stamps >= start_s + away_s) & (stamps <= end_s - reach_s)
    unseen = 1.0 if series.kind == "point" else 1 - series.observed
    found = scatter(values[inside] if series.kind != "accumulated" else np.zeros(0), unseen)
    return WindowEnergy(series, start_s, end_s, energy_j, first, weights, start, end, found)


def _around(t_s: np.ndarray, start_s: float, end_s: float) -> tuple[int, int]:
    """Return the last index at or before the start and the first one at or after the end, as far as there are such."""
    low = max(int(np.searchsorted(t_s, start_s, "right")) - 1, 0)
    high = min(int(np.searchsorted(t_s, end_s, "left")), len(t_s) - 1)
    return low, high


def _trapezoid(series: Series, start_s: float, end_s: float) -> tuple[int, np.ndarray]:
    """Return the first index and the weights of the trapezoid; before the first and after the last value those are held."""
    low, high = _around(series.t_s, start_s, end_s)
    t_s = series.t_s[low : high + 1]
    weights = np.zeros(len(t_s))
    step_s = np.diff(t_s)
    safe_s = np.where(step_s > 0, step_s, 1.0)
    begin = np.clip((start_s - t_s[:-1]) / safe_s, 0, 1)
    stop = np.clip((end_s - t_s[:-1]) / safe_s, 0, 1)
    right = step_s * (stop**2 - begin**2) / 2
    weights[1:] += right
    weights[:-1] += step_s * (stop - begin) - right
    weights[0] += max(0.0, t_s[0] - start_s)
    weights[-1] += max(0.0, end_s - t_s[-1])
    return low, weights


def _bounds(series: Series) -> np.ndarray:
    """Return (n + 1,): the ends of the stretches that averages stand for; a stamp is the end of the span averaged over."""
    centre_s = series.t_s - series.span_s / 2
    half_s = series.refresh.refresh_s / 2
    return np.concatenate([[centre_s[0] - half_s], (centre_s[1:] + centre_s[:-1]) / 2, [centre_s[-1] + half_s]])


def _spans(series: Series, start_s: float, end_s: float) -> tuple[int, np.ndarray]:
    """Return the first index and the seconds of each value's stretch that lie inside."""
    low, high = _around(series.t_s, start_s, end_s + series.span_s + series.refresh.refresh_s)
    bounds_s = _bounds(series)[low : high + 2].copy()
    if low == 0:
        bounds_s[0] = min(bounds_s[0], start_s)
    if high == len(series.t_s) - 1:
        bounds_s[-1] = max(bounds_s[-1], end_s)
    return low, np.diff(np.clip(bounds_s, start_s, end_s))


def _difference(series: Series, start_s: float, end_s: float) -> tuple[int, np.ndarray]:
    """Return the first index and the weights of total at the end minus total at the start."""
    low, high = _around(series.t_s, start_s, end_s)
    t_s = series.t_s[low : high + 1]
    weights = np.zeros(len(t_s))
    for at_s, sign in ((start_s, -1.0), (end_s, 1.0)):
        right = int(np.clip(np.searchsorted(t_s, at_s, "left"), 1, len(t_s) - 1))
        step_s = t_s[right] - t_s[right - 1]
        # Outside the rows the total goes on with the power of its first or last step.
        share = (at_s - t_s[right - 1]) / step_s if step_s > 0 else 1.0
        weights[right - 1] += sign * (1 - share)
        weights[right] += sign * share
    return low, weights


def _edge(series: Series, at_s: float, reach_s: float, at_start: bool) -> Edge:
    """Return what the values around an edge say, and those further away by which the stamps may be off."""
    t_s = series.t_s
    if series.kind == "point":
        power_w = series.values
        middle = int(np.clip(np.searchsorted(t_s, at_s, "right") - 1, 0, len(t_s) - 2))
        low = int(np.searchsorted(t_s, at_s - reach_s, "right")) - 1
        high = int(np.searchsorted(t_s, at_s + reach_s, "left"))
        spacing_s = float(t_s[middle + 1] - t_s[middle])
        ends = t_s[0], t_s[-1]
    else:
        bounds_s, power_w = (_bounds(series), series.values) if series.kind == "average" else (t_s, _powers(series))
        middle = int(np.clip(np.searchsorted(bounds_s, at_s, "right") - 1, 0, len(power_w) - 1))
        # An average that is longer than its stretch has a part of what lies beyond: the whole step shows half a span away.
        reach_s += max(0.0, series.span_s - series.refresh.refresh_s) / 2
        low = int(np.searchsorted(bounds_s, at_s - reach_s, "right")) - 2
        high = int(np.searchsorted(bounds_s, at_s + reach_s, "left"))
        spacing_s = max(float(bounds_s[middle + 1] - bounds_s[middle]), series.span_s)
        ends = bounds_s[0], bounds_s[-1]
    last = len(power_w) - 1
    low, high = int(np.clip(low, 0, last)), int(np.clip(high, 0, last))
    step_w = float(power_w[high] - power_w[low]) if at_start else float(power_w[low] - power_w[high])
    # Between two points the step may lie in either neighbour; a span or a difference of totals has it inside.
    around_w = power_w[max(low - 1, 0) : high + 2] if series.kind == "point" else power_w[low : high + 1]
    missing_s = max(0.0, ends[0] - at_s) if at_start else max(0.0, at_s - ends[1])
    return Edge(step_w, float(np.ptp(around_w)), spacing_s, missing_s, float(power_w[high if at_start else low]))


def _powers(series: Series) -> np.ndarray:
    """Return (n - 1,) mean watts between the values of a running total."""
    steps_s = np.diff(series.t_s)
    return np.where(steps_s > 0, np.diff(series.values) / np.where(steps_s > 0, steps_s, 1.0), 0.0)
