"""What a model must beat: energy as constant power times time, and energy as multiply-accumulates alone.

Each has one number, chosen to do its best on the figure itself: the one with the least mean relative error over the runs it
is fitted to (a weighted median). A model that cannot halve the better of the two has learnt little but how long a run took.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from measurements.observations import Observation

NULL_MODELS: dict[str, Callable[[Observation], float]] = {
    "constant power x time": lambda one: one.time_s,
    "multiply-accumulates only": lambda one: float(one.counters.get("macs_int8", 0) + one.counters.get("macs_int4", 0)),
}


def best_factor(amounts: np.ndarray, energy_j: np.ndarray, counted: np.ndarray) -> float:
    """Return the factor f that minimises the sum of |f a - E| / E over the counted runs with an amount; 0 where there are none.

    Args:
        amounts, energy_j: (n,).
        counted: bool (n,), runs whose relative error counts; their energies are above 0.
    """
    used = counted & (amounts > 0)
    if not used.any():
        return 0.0
    ratios, weights = energy_j[used] / amounts[used], amounts[used] / energy_j[used]
    order = np.argsort(ratios)
    reached = np.cumsum(weights[order])
    return float(ratios[order][np.searchsorted(reached, reached[-1] / 2)])


def null_left_out(amounts: np.ndarray, energy_j: np.ndarray, counted: np.ndarray, workloads: list[str]) -> np.ndarray:
    """Return net joules (n,) of every run by the factor that suits the runs of all other workloads best."""
    names = np.asarray(workloads)
    predicted = np.empty(len(energy_j))
    for name in dict.fromkeys(workloads):
        out = names == name
        predicted[out] = amounts[out] * best_factor(amounts[~out], energy_j[~out], counted[~out])
    return predicted
