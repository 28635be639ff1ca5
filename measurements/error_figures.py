"""How far predictions are from the truth: size, bias, spread, ranking, worst case, and all of it against the uncertainty."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

RESOLVED_BY = 5
"""A relative error counts where the truth exceeds so many times its expanded uncertainty; below, it would be the sensor's."""


@dataclass(frozen=True)
class ErrorFigures:
    """Of predictions p for truths y with expanded uncertainty U.

    Attributes:
        runs: all of them; resolved: those with y > RESOLVED_BY U, of which mape, bias and worst are. None where there are none.
        mape: mean |p - y| / y.
        bias: mean (p - y) / y, with its sign.
        worst: largest |p - y| / y.
        r2: 1 - sum (p - y)^2 / sum (y - mean y)^2, all runs. With few workloads it is high by their range alone.
        kendall_tau: agreement in ranking (tau-b), all runs. None where predictions do not differ or, like r2, truths.
        over_u: median |p - y| / U, all runs; below 1 a residual is within the sensor's uncertainty.
        within_u: share of runs with |p - y| <= U.
    """

    runs: int
    resolved: int
    mape: float | None
    bias: float | None
    worst: float | None
    r2: float | None
    kendall_tau: float | None
    over_u: float
    within_u: float

    def to_json(self) -> dict:
        """Return plain data."""
        return dataclasses.asdict(self)


def error_figures(predicted: np.ndarray, truth: np.ndarray, u95: np.ndarray) -> ErrorFigures:
    """Return the figures of (n,) predictions, truths and expanded uncertainties, all in joules; n is at least 1."""
    predicted, truth, u95 = (np.asarray(part, np.float64) for part in (predicted, truth, u95))
    resolved = truth > RESOLVED_BY * u95
    relative = (predicted[resolved] - truth[resolved]) / truth[resolved]
    any_resolved = relative.size > 0
    spread = float(np.sum((truth - truth.mean()) ** 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        over_u = np.abs(predicted - truth) / u95
    return ErrorFigures(
        runs=len(truth),
        resolved=int(resolved.sum()),
        mape=float(np.abs(relative).mean()) if any_resolved else None,
        bias=float(relative.mean()) if any_resolved else None,
        worst=float(np.abs(relative).max()) if any_resolved else None,
        r2=1 - float(np.sum((predicted - truth) ** 2)) / spread if np.ptp(truth) > 0 else None,
        kendall_tau=kendall_tau(predicted, truth),
        over_u=float(np.median(over_u)),
        within_u=float(np.mean(over_u <= 1)),
    )


def kendall_tau(a: np.ndarray, b: np.ndarray) -> float | None:
    """Return Kendall's tau-b of two series (n,): concordant less discordant pairs, ties taken off; None where one is constant."""
    upper = np.triu_indices(len(a), 1)
    first, second = (np.sign(np.subtract.outer(part, part))[upper] for part in (a, b))
    scale = np.sqrt(np.sum(first != 0) * np.sum(second != 0, dtype=float))
    return float(np.sum(first * second) / scale) if scale else None
