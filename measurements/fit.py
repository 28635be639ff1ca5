"""Coefficients of an energy model from runs whose energy is known: non-negative least squares on net energy.

    E_net = sum over features of amount * coefficient,   coefficient >= 0;      P_idle = static

A run weighs 1 / (u^2 + (tau P)^2): u is the standard uncertainty of its energy, P the energy that the model predicts (not
the one found, which would favour runs that came out low), tau the relative scatter of what the model misses, chosen so that
the weighted squares come to their degrees of freedom (Paule and Mandel, 1982). Without tau, runs with a small u would decide
alone. Intervals come from a bootstrap that draws whole workloads, all repeats together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TAU_MOST = 2.0
TAU_STEPS = 40
WEIGHINGS = 4
"""Rounds in which weights follow predictions; they hardly change after the second."""

BOOTSTRAPS = 400
COVERAGE = 0.95


class FitError(ValueError):
    """The runs do not determine what is asked for; the message says what is missing."""


@dataclass(frozen=True)
class Fit:
    """Coefficients of one model.

    Attributes:
        coefficients: float64 (p,), joules per amount, 0 where the bound holds or the column is not determined.
        determined: bool (p,), whether the column has an amount in any run.
        low, high: float64 (p,), interval of 95 %, NaN where not determined or not asked for.
        condition: condition number of the weighted columns, each scaled to length 1; inf where two depend on each other.
        tau: relative scatter that the uncertainties of the energies do not explain.
    """

    coefficients: np.ndarray
    determined: np.ndarray
    low: np.ndarray
    high: np.ndarray
    condition: float
    tau: float

    def predict(self, amounts: np.ndarray) -> np.ndarray:
        """Return net joules (n,) of runs with these amounts (n, p)."""
        return amounts @ self.coefficients


def fit(amounts: np.ndarray, energy_j: np.ndarray, u_j: np.ndarray, workloads: list[str] | None = None, seed: int = 0) -> Fit:
    """Return the coefficients that the runs determine.

    Args:
        amounts: (n, p), how often each coefficient is paid.
        energy_j: (n,), net energy; negative ones are kept as they are.
        u_j: (n,), standard uncertainties, all positive.
        workloads: (n,), name of each run's workload, for intervals; None leaves them out.
        seed: of the bootstrap.

    Raises:
        FitError: nothing is determined, or an uncertainty is not positive.
    """
    amounts, energy_j, u_j = (np.asarray(part, np.float64) for part in (amounts, energy_j, u_j))
    if not np.all(u_j > 0) or not np.all(np.isfinite(u_j)):
        raise FitError("every energy needs a positive, finite uncertainty, since runs are weighed by it")
    determined = np.any(amounts != 0, axis=0)
    if not determined.any():
        raise FitError("no run has an amount of any feature: there is nothing to fit")
    tau = _tau(amounts, energy_j, u_j)
    coefficients, weights = _weighed(amounts, energy_j, u_j, tau)
    low = high = np.full(len(determined), np.nan)
    if workloads is not None:
        low, high = _intervals(amounts, energy_j, weights, workloads, seed)
        low, high = np.where(determined, low, np.nan), np.where(determined, high, np.nan)
    return Fit(coefficients, determined, low, high, _condition(amounts[:, determined], weights), tau)


def left_out(amounts: np.ndarray, energy_j: np.ndarray, u_j: np.ndarray, workloads: list[str]) -> np.ndarray:
    """Return net joules (n,) of every run, predicted from the runs of all other workloads.

    Raises:
        FitError: there is one workload only, or the others determine nothing.
    """
    names = np.asarray(workloads)
    if len(set(workloads)) < 2:
        raise FitError(f"leaving a workload out needs at least 2 of them, the runs are all of {workloads[0]!r}")
    predicted = np.empty(len(energy_j))
    for name in dict.fromkeys(workloads):
        out = names == name
        predicted[out] = fit(amounts[~out], energy_j[~out], u_j[~out]).predict(amounts[out])
    return predicted


def _weighed(amounts: np.ndarray, energy_j: np.ndarray, u_j: np.ndarray, tau: float) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients (p,) and the square roots (n,) of the runs' weights, which go by the predictions."""
    predicted = energy_j
    for _ in range(WEIGHINGS if tau else 1):
        weights = 1 / np.hypot(u_j, tau * predicted)
        coefficients = _solve(amounts, energy_j, weights)
        predicted = amounts @ coefficients
    return coefficients, weights


def _solve(amounts: np.ndarray, energy_j: np.ndarray, weights: np.ndarray) -> np.ndarray:
    from scipy.optimize import nnls

    weighted = amounts * weights[:, None]
    scale = np.linalg.norm(weighted, axis=0)
    scale[scale == 0] = 1
    return nnls(weighted / scale, energy_j * weights)[0] / scale


def _tau(amounts: np.ndarray, energy_j: np.ndarray, u_j: np.ndarray) -> float:
    """Return the scatter at which the weighted squares come to the degrees of freedom; 0 where u alone explains them."""

    def excess(tau: float) -> float:
        coefficients, weights = _weighed(amounts, energy_j, u_j, tau)
        freedom = max(1, len(energy_j) - np.count_nonzero(coefficients))
        return float(np.sum(((amounts @ coefficients - energy_j) * weights) ** 2)) / freedom - 1

    low, high = 0.0, TAU_MOST
    if excess(low) <= 0:
        return 0.0
    if excess(high) > 0:
        return high
    for _ in range(TAU_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
        if high - low < 1e-4 * high:
            break
    return high


def _condition(amounts: np.ndarray, weights: np.ndarray) -> float:
    weighted = amounts * weights[:, None]
    weighted = weighted / np.linalg.norm(weighted, axis=0)
    values = np.linalg.svd(weighted, compute_uv=False)
    if len(weighted) < weighted.shape[1] or values[-1] <= values[0] * np.finfo(float).eps * max(weighted.shape):
        return float("inf")
    return float(values[0] / values[-1])


def _intervals(amounts, energy_j, weights, workloads: list[str], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentiles of the coefficients over draws of whole workloads, with replacement."""
    names = np.asarray(workloads)
    groups = [np.flatnonzero(names == name) for name in dict.fromkeys(workloads)]
    rng = np.random.default_rng(seed)
    drawn = np.empty((BOOTSTRAPS, amounts.shape[1]))
    for i in range(BOOTSTRAPS):
        rows = np.concatenate([groups[j] for j in rng.integers(0, len(groups), len(groups))])
        drawn[i] = _solve(amounts[rows], energy_j[rows], weights[rows])
    tail = 100 * (1 - COVERAGE) / 2
    return np.percentile(drawn, tail, axis=0), np.percentile(drawn, 100 - tail, axis=0)
