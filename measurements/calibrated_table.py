"""Calibrated energy tables: a comparison written as a table that `bench` uses.

A calibrated table holds for one board, configuration, processor model and scope, for rates of events that were among the
runs it was fitted to, and is as good as the truth it was fitted to: "emulated" or "measured" is part of its name. Energies
from it are still "simulated".
"""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from pathlib import Path

from host.run_folder import write_atomically
from hw import isa
from measurements.comparison import SAID, Comparison, unit_scale
from measurements.energy_model import LABEL, PROCESSOR_S, Calibration, EnergyTableError
from measurements.error_figures import RESOLVED_BY

SOURCE = "fitted"


def calibrated_table(comparison: Comparison, on: date) -> dict:
    """Return the JSON data of the table that a comparison's fit makes; energy_model.load_table reads it.

    Args:
        on: the date that it says.
    """
    first = comparison.observations[0]
    calibration = Calibration(
        truth=first.truth, board=first.board, config=first.config.name, config_hash=f"{first.config.config_hash:08x}",
        clk_hz=first.config.clk_hz, scope=first.gross.scope, idle=first.idle, processor_time=dict(first.processor),
        date=on.isoformat(), workloads=len(comparison.workloads), runs=len(comparison.observations),
        net_u95=_relative_u95(comparison, "net"), gross_u95=_relative_u95(comparison, "gross"),
        most_per_s=_most_per_s(comparison), high_j=_high_j(comparison),
    )  # fmt: skip
    events, activity, processor_w = {}, {}, 0.0
    for column, joules in zip(comparison.columns, comparison.fit.coefficients, strict=True):
        value = float(joules) * unit_scale(column)
        if column.counts == (PROCESSOR_S,):
            processor_w = value
            continue
        for count in column.counts:
            if count in isa.COUNTER_NAMES:
                term = {"what": column.unit, "base_pj": value, "factors": [], "source": SOURCE}
                events[count] = {"counter": count, "share": column.share, "per": column.per, "terms": [term]}
            else:
                activity[count] = {"pj": value, "share": column.share, "per": column.per, "source": SOURCE}
    fitted = f"fitted to {calibration.runs} {first.truth} runs of {calibration.workloads} workloads on {on.isoformat()}"
    return {
        "name": f"calibrated-{first.board}-{first.config.name}-{first.truth}-{comparison.model}-{on.isoformat()}",
        "label": LABEL,
        "validity": (
            f"Non-negative least squares, {fitted}; board {first.board}, configuration {first.config.name}, scope: "
            f"{first.gross.scope}. U of a predicted net energy: {100 * calibration.net_u95:.2g} %. {SAID[first.truth]}"
        ),
        "sources": {SOURCE: fitted},
        "factors": {},
        "events": events,
        "activity": activity,
        "powers": {
            "board_idle_w": {"value": comparison.static_w, "share": "idle", "source": SOURCE, "how": "mean of the idle windows"},
            "processor_busy_w": {"value": processor_w, "share": "processor", "source": SOURCE, "how": "its coefficient"},
        },
        "free_counters": {name: "no feature of the fitted model" for name in isa.COUNTER_NAMES if name not in events},
        "calibration": dataclasses.asdict(calibration),
    }


def write_table(data: dict, path: Path | str) -> None:
    """Write a table's file. Raises EnergyTableError where it cannot be written."""
    try:
        write_atomically(Path(path), json.dumps(data, indent=1) + "\n")
    except OSError as error:
        raise EnergyTableError(f"the energy table {path} cannot be written: {error.strerror or error}") from None


def _relative_u95(comparison: Comparison, kind: str) -> float:
    found = comparison.relative_u95(kind)
    if found is None:
        raise EnergyTableError(f"no run's {kind} energy exceeds {RESOLVED_BY} U: a table fitted to them would be worth nothing")
    return found


def _most_per_s(comparison: Comparison) -> dict[str, float]:
    """Return the largest rate of every count that a coefficient pays for."""
    most: dict[str, float] = {}
    for column in comparison.columns:
        for name in column.counts:
            most[name] = float(max(one.counts[name] / one.time_s for one in comparison.observations))
    return most


def _high_j(comparison: Comparison) -> dict[str, float]:
    """Return joules per count at the upper end of every interval; a coefficient that is not determined has none."""
    config = comparison.observations[0].config
    return {
        name: float(comparison.fit.high[i]) * column.paid(1, config)
        for i, column in enumerate(comparison.columns) if comparison.fit.determined[i] for name in column.counts
    }
