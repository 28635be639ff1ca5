"""Scatter of a series: what a sum of its values is uncertain by because of noise and because of what lies between samples.

Differences of neighbours tell noise from a load that merely changes. With d(k) = mean (v[i+k] - v[i])^2, noise that is new in
every sample has a variance n = -mean of (v[i+1] - v[i]) (v[i+2] - v[i+1]), and the steps that fall between samples leave
(2 d(1) - d(2) / 2 - 3 n) / 12 in each sample's weight (Matheron's transitive variance of systematic sampling). Noise that is
correlated shows in a constant load only, i.e. in idle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

BLOCKS = 16
BLOCKS_TELL = 1.9
"""Block means that scatter by more than this over what the neighbours explain (the 97.5 % point of 15 degrees of freedom)."""


@dataclass(frozen=True)
class Scatter:
    """Scatter of n values of power.

    Attributes:
        n: values.
        white_w2: variance of noise that is new in every value.
        steps_w2: variance, per value, of what changes between two values do to the sum; 0 of averages that see it all.
        sd_w: plain standard deviation.
        rough_w2: mean square of half the difference of the values' two neighbours, the slope that a late stamp is paid with.
        unseen: share of the time that no value has seen: 1 of points, 0 of averages that follow one another without a pause.
    """

    n: int
    white_w2: float
    steps_w2: float
    sd_w: float
    rough_w2: float
    unseen: float

    @property
    def variance_w2(self) -> float:
        """Per value, as if values were independent."""
        return self.white_w2 + self.steps_w2

    def unseen_w2(self, noise_w2: float) -> float:
        """Return the variance, per value, of a load that changes where no value sees it; `noise_w2` of the scatter is noise."""
        return self.unseen * max(0.0, self.variance_w2 - noise_w2)

    @property
    def dof(self) -> float:
        """Degrees of freedom of the variance: differences of neighbours overlap."""
        return max(1.0, self.n / 2)


def scatter(values: np.ndarray, unseen: float) -> Scatter:
    """Return the scatter of a series (n,) in watts, of whose time a share `unseen` lies in no value."""
    n = len(values)
    if n < 4:
        sd_w = float(values.std(ddof=1)) if n > 1 else 0.0
        return Scatter(n, sd_w**2, 0.0, sd_w, sd_w**2 / 2, unseen)
    step_w = np.diff(values)
    two_w = step_w[1:] + step_w[:-1]
    all_w2 = float(values.var())
    # A load that alternates from sample to sample looks like more than there is.
    white_w2 = min(max(0.0, -float(np.mean(step_w[1:] * step_w[:-1]))), all_w2)
    mixed_w2 = 2 * float(np.mean(step_w**2)) - float(np.mean(two_w**2)) / 2
    # A step costs an average the square of its unseen share, of which `unseen_w2` has one; two averages share a step that
    # lies inside one of them, which takes (1 - unseen) / 2 of it from the differences.
    share = 2 * unseen / (1 + unseen)
    steps_w2 = min(share * max(0.0, mixed_w2 - 3 * white_w2) / 12, all_w2 - white_w2)
    return Scatter(n, white_w2, steps_w2, math.sqrt(all_w2), float(np.mean(two_w**2)) / 4, unseen)


@dataclass(frozen=True)
class LongRun:
    """Noise of the mean of a constant load.

    Attributes:
        variance_w2: per value; the mean of n values has variance_w2 / n.
        white_w2: the part that neighbours do not share.
        dof: of `variance_w2`.
    """

    variance_w2: float
    white_w2: float
    dof: float

    @property
    def stretch(self) -> float:
        """How many times more the mean scatters than if all values were independent."""
        return max(1.0, self.variance_w2 / self.white_w2) if self.white_w2 > 0 else 1.0


def long_run(values: np.ndarray) -> LongRun:
    """Return the noise of a constant load (n,) that may drift linearly, its values perhaps correlated.

    Neighbouring values with correlation r leave n (1 - r) / (1 + r) independent ones; where the means of blocks scatter by
    clearly more than that explains, they are believed instead.
    """
    n = len(values)
    if n < 4:
        variance_w2 = float(values.var(ddof=1)) if n > 1 else 0.0
        return LongRun(variance_w2, variance_w2, max(1.0, n - 1))
    at = np.arange(n) - (n - 1) / 2
    rest_w = values - values.mean() - at * float(np.sum(at * values)) / float(np.sum(at * at))
    square_w2 = float(np.sum(rest_w**2))
    variance_w2 = square_w2 / (n - 2)
    if variance_w2 <= 1e-20 * max(1.0, float(np.max(np.abs(values)))) ** 2:
        return LongRun(0.0, 0.0, n - 2)
    r = float(np.sum(rest_w[1:] * rest_w[:-1])) / square_w2 + 1 / n
    r = min(max(r, 0.0), 0.99) if r > 2 / math.sqrt(n) else 0.0
    explained_w2 = variance_w2 * (1 + r) / (1 - r)
    # r is estimated too, and doubles the variance of what is made from it.
    dof = max(1.0, (n - 2) * (1 - r) / (1 + r) / (2 if r else 1))
    length = n // BLOCKS
    if length >= 4:
        means_w = rest_w[: length * BLOCKS].reshape(BLOCKS, length).mean(axis=1)
        blocks_w2 = float(means_w.var(ddof=1)) * length
        if blocks_w2 > BLOCKS_TELL * explained_w2:
            return LongRun(blocks_w2, variance_w2, BLOCKS - 2)
    return LongRun(explained_w2, variance_w2, dof)


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return how far two rails' scatter is the same (0 to 1), from the steps of their values at the same times."""
    if len(first) < 4:
        return 1.0
    one, other = np.diff(first), np.diff(second)
    both = math.sqrt(float(one @ one) * float(other @ other))
    return min(1.0, max(0.0, float(one @ other) / both)) if both > 0 else 0.0
