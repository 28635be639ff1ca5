"""Weights replaced by their average: what is averaged, and what tensors and exponents follow from the mean. No torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from algo.arithmetic import INT8_MAX, exponent_needed, saturate
from algo.scaling import State
from algo.step import Step

ENTRIES = ("GAMMA", "BETA", "BIAS")
"""Parameters in channel tables; their fraction bits never change."""


def averaged_names(step: Step) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the master weights, and the parameters in tables as (table, entry): all have exponents that stay in a run."""
    entries = [(table.name, entry) for table in step.tables.values() for entry in table.entries if entry in ENTRIES]
    return [f"{weight}.master" for weight in step.weights], entries


def replaced(step: Step, state: State, mean: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], State]:
    """Return the tensors that take the weights' place, and the state with a learning rate of 0 from here on.

    Args:
        mean: of every name of `averaged_names`, a table's entry as `table.entry`.

    Returns:
        int8 weights, int32 masters, int64 entries; the weights' exponents are the smallest that hold them.
    """
    exponents, tensors = dict(state.exponents), dict(mean)
    for weight in step.weights:
        master = tensors[f"{weight}.master"] = mean[f"{weight}.master"].astype(np.int32)
        unit = exponents[f"{weight}.master"]
        largest = max(int(master.max()), -int(master.min()))
        needed = exponent_needed(largest, unit) if largest else exponents[weight]
        tensors[weight] = _at(master, unit - needed)
        exponents[weight] = needed
        if f"{weight}.next" in exponents:
            exponents[f"{weight}.next"] = needed
    return tensors, replace(state, exponents=exponents, sgd=state.sgd.stopped())


def _at(master: np.ndarray, left: int) -> np.ndarray:
    wide = master.astype(np.int64) << left if left >= 0 else (master + (1 << -left - 1)) >> -left
    return saturate(wide, INT8_MAX).astype(np.int8)
