"""Makes the place of signatures in a trace exact: least squares on the values next to the pattern's edges.

Model of a value: the pattern averaged over what the meter averages (or over the distance of two values where it takes points),
times a power step, on a base of straight lines. The step's place follows from the model's slope there (Gauss-Newton); the
window starts as wide as half a chip and narrows. Stretches of large residuals count less (Huber): load steps of others do little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from measurements.signature_search import AlignmentError, Signature, spacing_of

BLOCKS = 4
"""Parts of a signature whose places are also found separately: their scatter is the uncertainty."""

BASE_CHIPS = 12
"""Distance of the knots of the base."""

HUBER = 2.0
ROUNDS = 4
SETTLED_S = 1e-6
"""A correction that is far below what noise leaves open."""


@dataclass(frozen=True)
class Fit:
    """Clock as fitted: host = x + shift_s + stretch * (x - middle_s).

    Attributes:
        blocks_s: float64 (signatures, BLOCKS), what is left at the blocks.
        at_s: float64, the same shape: where they are, on the axis x.
        step_w, noise_w: power step of each signature; robust standard deviation of the values around the model.
        noise_s: standard uncertainty of a signature's place by the noise alone, the larger of them.
        grid_s: standard uncertainty because values are points on a grid and say only between which two an edge lies.
    """

    shift_s: float
    stretch: float
    middle_s: float
    blocks_s: np.ndarray
    at_s: np.ndarray
    step_w: tuple[float, ...]
    noise_w: tuple[float, ...]
    noise_s: float
    grid_s: float

    def host(self, x_s):
        """Return host time."""
        return x_s + self.shift_s + self.stretch * (x_s - self.middle_s)

    def u_s(self, x_s) -> np.ndarray:
        """Return the standard uncertainty of host time at `x_s`: scatter of the blocks about the line, noise, grid."""
        at, left = self.at_s.reshape(-1), self.blocks_s.reshape(-1)
        spread = np.sqrt(left @ left / (left.size - 2))
        from_middle = at - at.mean()
        scatter = spread * np.sqrt(1 / left.size + (np.asarray(x_s) - at.mean()) ** 2 / (from_middle @ from_middle))
        # Few parts may lie close together by chance, but not closer than the noise of the values allows.
        return np.hypot(np.maximum(scatter, self.noise_s), self.grid_s)


def fit(
    x_s: np.ndarray, power_w: np.ndarray, signatures: Sequence[Signature], starts_s: Sequence[float], averaging_s: float,
    fixed_rate: bool = False,
) -> Fit:
    """Return the clock that puts all signatures' edges where the trace has them.

    Args:
        x_s, power_w: float64 (n,), as in signature_search.search.
        starts_s: begin of each signature on the axis x, good to a fraction of a chip.
        averaging_s: each value is the mean over so much time before its stamp; 0 for points.
        fixed_rate: the axis is the host's own clock, only the shift is looked for.
    """
    starts = np.array(starts_s)
    middles = np.array([start + signature.duration_s / 2 for start, signature in zip(starts_s, signatures, strict=True)])
    shift, stretch, middle = _line(starts, np.array([signature.start_s for signature in signatures]) - starts, fixed_rate)
    # From here on the line is about the mean of the signatures' middles.
    shift, middle = shift + stretch * (middles.mean() - middle), float(middles.mean())
    spacing = spacing_of(x_s)
    results: list[_Local] = []
    for divisor in (2, 8, np.inf):
        for _ in range(ROUNDS):
            results = []
            for signature, at in zip(signatures, middles, strict=True):
                near = np.abs(x_s - at) <= signature.duration_s / 2 * 1.02 + 2 * signature.chip_s + averaging_s
                host = x_s[near] + shift + stretch * (x_s[near] - middle) - signature.start_s - averaging_s / 2
                width = max(signature.chip_s / divisor, spacing, averaging_s)
                results.append(_local(host, power_w[near], signature, width, spacing))
            corrections = np.array([result.shift_s for result in results])
            limit = [signature.chip_s / 2 for signature in signatures]
            more, turn, _ = _line(middles - middle, np.clip(corrections, np.negative(limit), limit), fixed_rate)
            shift, stretch = shift + more, stretch + turn
            if np.max(np.abs(corrections)) < SETTLED_S:
                break
    blocks = np.array([result.blocks_s for result in results])
    inner = np.array([[signature.duration_s * ((b + 0.5) / BLOCKS - 0.5) for b in range(BLOCKS)] for signature in signatures])
    host_s = x_s + shift + stretch * (x_s - middle)
    grid_s = max(_grid_s(host_s, signature, spacing, averaging_s) for signature in signatures)
    steps_w, noise_w = tuple(r.step_w for r in results), tuple(r.noise_w for r in results)
    return Fit(shift, stretch, middle, blocks, middles[:, None] + inner, steps_w, noise_w,
               max(r.u_s for r in results), grid_s)


def _grid_s(host_s: np.ndarray, signature: Signature, spacing_s: float, averaging_s: float) -> float:
    """Return what the grid of point values leaves open of a signature's place, as a standard uncertainty.

    Edges at all phases between two values share it out; edges that are locked to the values are all wrong alike.
    """
    open_s = max(0.0, spacing_s - averaging_s)
    edges = signature.start_s + signature.on_s.reshape(-1)
    following = np.minimum(np.searchsorted(host_s, edges), len(host_s) - 1)
    locked = abs(np.mean(np.exp(2j * np.pi * (host_s[following] - edges) / spacing_s)))
    return open_s / np.sqrt(12) * max(1 / np.sqrt(len(edges)), float(locked))


def _line(at: np.ndarray, values: np.ndarray, flat: bool) -> tuple[float, float, float]:
    """Return value at the middle, slope and middle of the line through points (of slope 0 where `flat`)."""
    middle = float(at.mean())
    away = at - middle
    slope = 0.0 if flat else float(away @ values / (away @ away))
    return float(values.mean()), slope, middle


@dataclass(frozen=True)
class _Local:
    shift_s: float
    blocks_s: np.ndarray
    step_w: float
    noise_w: float
    u_s: float


def _local(t_s: np.ndarray, power_w: np.ndarray, signature: Signature, width_s: float, spacing_s: float) -> _Local:
    """Return by how much host time is to be moved on at one signature, in whole and block by block.

    Args:
        t_s: host time relative to the pattern's start, of the middle of what each value averages.
        width_s: of the averaging window of the model.
        spacing_s: between two values.
    """
    power_w = power_w - power_w.mean()
    model = (signature.on_time_s(t_s + width_s / 2) - signature.on_time_s(t_s - width_s / 2)) / width_s
    slope = (_pattern(signature, t_s + width_s / 2) - _pattern(signature, t_s - width_s / 2)) / width_s
    base = _base(t_s, BASE_CHIPS * signature.chip_s)
    columns = np.concatenate([model[:, None], slope[:, None] * width_s, base], 1)
    weight = np.ones(len(t_s))
    for _ in range(3):
        solution = _solved(columns, power_w, weight)
        left = power_w - columns @ solution
        weight = _weight(left, max(1, round(signature.chip_s / 4 / spacing_s)))
    noise = 1.4826 * float(np.median(np.abs(left)))
    step = float(solution[0])
    if not step > 0:
        raise AlignmentError(f"the {signature.name!r} does not hold: its power step comes out as {step:.3g} W, noise is "
                             f"{noise:.3g} W per value, a step above {noise:.3g} W is needed")
    shift = float(solution[1]) * width_s / step
    parts = np.minimum((t_s / signature.duration_s * BLOCKS).clip(0), BLOCKS - 1).astype(np.int64)
    apart = (slope * width_s)[:, None] * (parts[:, None] == np.arange(BLOCKS))
    split = np.concatenate([model[:, None], apart, base], 1)
    solution = _solved(split, power_w, weight)
    blocks = solution[1 : 1 + BLOCKS] * width_s / step
    u_s = noise * math.sqrt(np.linalg.pinv(columns.T @ (columns * (weight**2)[:, None]))[1, 1]) * width_s / step
    return _Local(shift, blocks, step, noise, u_s)


def _solved(columns: np.ndarray, power_w: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the least-squares solution by the normal equations: many rows, few columns of similar size."""
    weighted = columns * (weight**2)[:, None]
    return np.linalg.lstsq(weighted.T @ columns, weighted.T @ power_w, rcond=None)[0]


def _weight(left_w: np.ndarray, values: int) -> np.ndarray:
    """Return the root of Huber's weights of residuals, judged by their mean over some neighbouring values.

    A load step of others lasts for several values and is weighted down; the one value at an edge is not, it tells the place.
    """
    total = np.concatenate([[0.0], np.cumsum(left_w)])
    at = np.arange(len(left_w))
    low, high = np.maximum(at - values // 2, 0), np.minimum(at + (values + 1) // 2, len(left_w))
    mean = np.abs((total[high] - total[low]) / (high - low))
    limit = HUBER * 1.4826 * float(np.median(mean))
    return np.sqrt(np.minimum(1.0, limit / np.maximum(mean, 1e-300))) if limit > 0 else np.ones(len(left_w))


def _pattern(signature: Signature, t_s: np.ndarray) -> np.ndarray:
    """Return 1 where the array works at `t_s` (relative to the pattern's start), else 0."""
    return (np.searchsorted(signature.on_s.reshape(-1), t_s, side="right") % 2).astype(np.float64)


def _base(t_s: np.ndarray, distance_s: float) -> np.ndarray:
    """Return the columns of a base of straight lines between knots, (n, knots)."""
    knots = np.linspace(t_s.min(), t_s.max(), max(2, round((t_s.max() - t_s.min()) / distance_s) + 1))
    return np.stack([np.interp(t_s, knots, row) for row in np.eye(len(knots))], 1)
