"""How often a channel's value is really renewed, found by looking, and which rows are renewals and which only repeat one.

A steady value that changes seldom is not a slow sensor: a slow sensor changes at regular times, so the times between changes
are compared with one another before they are believed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FEWEST_CHANGES = 8
FEWEST_VALUES = 20
FEWEST_QUANTA = 3
REPEATS_BELOW = 0.75
"""Rows that come closer than this share of the refresh are repeats of one value."""
SLACK = 0.05
"""Of a refresh, by which a repeated value must outlast it to count as renewed: the refresh itself is only known so well."""


@dataclass(frozen=True)
class Refresh:
    """What a look at a series says of its renewals.

    Attributes:
        spacing_s: median distance of the rows.
        refresh_s: time between two renewals, never below `spacing_s`: faster ones cannot be seen.
        found: True where changes of the value showed it, False where it is the stated refresh or the distance of the rows.
        renewed: bool (n,), rows with the first arrival of a value; the others are duplicates.
    """

    spacing_s: float
    refresh_s: float
    found: bool
    renewed: np.ndarray


def look(t_s: np.ndarray, values: np.ndarray, stated_s: float | None = None, quantum: float | None = None) -> Refresh:
    """Return the refresh of a series.

    Args:
        t_s: (n,) sorted stamps.
        values: (n,) or (n, c), without NaN; a row is new where any of its values is.
        stated_s: refresh by the data sheet, None where none is stated.
        quantum: step of a running total, None where the values are none.
    """
    steps = np.diff(t_s)
    steps_s = steps[steps > 0]
    if not len(steps_s):
        return Refresh(0.0, stated_s or 0.0, False, np.ones(len(t_s), bool))
    spacing_s = float(np.median(steps_s))
    values = values.reshape(len(t_s), -1)
    changed = np.concatenate([[True], (values[1:] != values[:-1]).any(axis=1)])
    refresh_s, found = _from_changes(np.diff(t_s[changed][1:]), spacing_s)
    if found and refresh_s > spacing_s and not (stated_s or 0.0) > spacing_s:
        found = _tells(values[changed], quantum)
    if not found:
        refresh_s = max(stated_s or spacing_s, spacing_s)
    if spacing_s >= REPEATS_BELOW * refresh_s:
        return Refresh(spacing_s, refresh_s, found, np.ones(len(t_s), bool))
    # A value that stays the same is renewed all the same: such a run of rows keeps one row per refresh.
    began_s = t_s[np.maximum.accumulate(np.where(changed, np.arange(len(t_s)), 0))]
    turn = np.maximum(np.floor((t_s - began_s) / refresh_s - SLACK), 0)
    renewed = changed | np.concatenate([[True], turn[1:] != turn[:-1]])
    return Refresh(spacing_s, refresh_s, found, renewed)


def _from_changes(between_s: np.ndarray, spacing_s: float) -> tuple[float, bool]:
    """Return the refresh that regular changes show, and whether they are regular."""
    between_s = between_s[between_s > 0]
    if len(between_s) < FEWEST_CHANGES:
        return 0.0, False
    low_s = float(np.quantile(between_s, 0.1))
    refresh_s = float(between_s[between_s <= 1.5 * low_s + 0.01 * spacing_s].mean())
    if refresh_s <= 1.25 * spacing_s:
        return spacing_s, True
    too_early = np.mean(between_s < refresh_s - 1.05 * spacing_s)
    turns = np.maximum(np.rint(between_s / refresh_s), 1)
    regular = np.mean(np.abs(between_s - turns * refresh_s) <= spacing_s + 0.1 * refresh_s)
    return refresh_s, bool(regular >= 0.9 and too_early <= 0.005)


def _tells(values: np.ndarray, quantum: float | None) -> bool:
    """Return whether regular changes of values (n, c) show a slow sensor, although none is stated to be slow.

    A load that goes on and off between two levels, or creeps from step to step, also changes regularly. A slow sensor's values
    jump, and are many. Energy never stands still: a total that does, and then goes on by several steps, was not renewed.
    """
    if quantum is not None:
        return float(np.median(np.abs(np.diff(values[:, 0])))) >= FEWEST_QUANTA * quantum
    if len(np.unique(values, axis=0)) < FEWEST_VALUES:
        return False
    for steps in np.abs(np.diff(values, axis=0)).T:
        steps = steps[steps > 0]
        if len(steps) and np.mean(steps > 1.5 * steps.min()) >= 0.3:
            return True
    return False
