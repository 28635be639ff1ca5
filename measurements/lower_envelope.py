"""The line under a meter's arrivals: a value may come late, never early, so the earliest arrivals tell the time.

Offset and rate of the line that lies under all (device time, arrival) points and closest to them in the sum: an edge of the
lower convex hull, the one across the mean device time (a linear program's solution). It is late by the shortest delay.
H. Moon, P. Skelly, D. Towsley, "Estimation and Removal of Clock Skew from Network Delay Measurements", INFOCOM 1999.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 2000
"""Only the earliest arrival of each of so many stretches can be on the hull, or next to it by less than their noise."""


@dataclass(frozen=True)
class Envelope:
    """host = offset_s + rate * device under all arrivals; typical delay above it in `median_delay_s`."""

    offset_s: float
    rate: float
    median_delay_s: float


def lower_envelope(device_t_s: np.ndarray, arrival_t_s: np.ndarray) -> Envelope:
    """Return the line under the arrivals.

    Args:
        device_t_s, arrival_t_s: float64 (n,), at least two different device times.

    Raises:
        ValueError: fewer.
    """
    order = np.argsort(device_t_s, kind="stable")
    device, arrival = device_t_s[order], arrival_t_s[order]
    if len(device) < 2 or device[0] == device[-1]:
        raise ValueError(f"a line under {len(device)} arrivals: two of different device time are needed")
    mean = float(device.mean())
    # Hulls are found in what differs from a line through the ends, where rounding does not matter.
    slope = (arrival[-1] - arrival[0]) / (device[-1] - device[0])
    x, y = device - device[0], arrival - arrival[0] - slope * (device - device[0])
    kept = _earliest(x, y)
    hull = _lower_hull(x[kept], y[kept])
    right = int(np.clip(np.searchsorted(hull[:, 0], mean - device[0]), 1, len(hull) - 1))
    (x0, y0), (x1, y1) = hull[right - 1], hull[right]
    more = (y1 - y0) / (x1 - x0)
    rate = slope + more
    offset = arrival[0] + y0 - more * x0 - slope * device[0] - more * device[0]
    delay = y - (y0 + more * (x - x0))
    return Envelope(float(offset), float(rate), float(np.median(delay)))


def _earliest(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the indices of the lowest y in each of BINS stretches of x, and of both ends."""
    bins = np.minimum((x / x[-1] * BINS).astype(np.int64), BINS - 1)
    order = np.lexsort((y, bins))
    first = np.concatenate([[True], bins[order][1:] != bins[order][:-1]])
    return np.unique(np.concatenate([order[first], [0, len(x) - 1]]))


def _lower_hull(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the lower convex hull (m, 2) of points sorted by x, from left to right (Andrew's monotone chain)."""
    hull: list[tuple[float, float]] = []
    for point in zip(x.tolist(), y.tolist(), strict=True):
        while hull and hull[-1][0] == point[0] and hull[-1][1] >= point[1]:
            hull.pop()
        if hull and hull[-1][0] == point[0]:
            continue
        while len(hull) > 1 and _turn(hull[-2], hull[-1], point) <= 0:
            hull.pop()
        hull.append(point)
    return np.array(hull)


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
