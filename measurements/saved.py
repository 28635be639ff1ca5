"""What a method saves of a run: counted on a board beside predicted from recorded decisions, in seconds and in joules.

The two sides share no count. Counted are the board's cycles, the work of the loop that drives it, and what a sensor on its
rails says. Predicted is a run that PyTorch trains with the same seed, priced: its decisions and the instructions give
counters and cycles, and

    joules = seconds * idle power + dynamic ledger

where the ledger is those counters, and the processor's busy time, times an energy table, whose calibration states U.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from measurements.quantities import LABELS

WITHIN = 0.02
"""Largest difference of saved seconds, of what is saved."""

NOTHING = 0.001
"""Of the baseline's seconds: what is saved below it is nothing, and so is a difference."""

SENSED = LABELS[:0:-1]
"""Labels of what a sensor says, the one that counts first."""


def saved(method: Mapping, baseline: Mapping) -> dict:
    """Return what a method saved of a baseline's run, as JSON data.

    Args:
        method, baseline: results of run folders, each {"counted": of a board's run, "predicted": of a priced one}.
    """
    counted, predicted = ([one[side] for one in (method, baseline)] for side in ("counted", "predicted"))
    return {
        "iterations_drawn": method["counted"]["iterations_drawn"],
        "iterations_executed": method["counted"]["iterations_executed"],
        "accuracy": method["counted"]["accuracy"],
        "seconds": {name: _seconds(of, counted, predicted) for name, of in TIMES.items()},
        "joules": _joules(counted, predicted),
    }


def _core_s(result: Mapping) -> float:
    return result["time_s"] - _processor_s(result)


def _processor_s(result: Mapping) -> float:
    """Return by how much the processor makes the run longer than the core's cycles do."""
    return result["shares"]["time_s"]["processor"]


TIMES = {"all": lambda result: result["time_s"], "core": _core_s, "processor": _processor_s}


def _seconds(of, counted: list[Mapping], predicted: list[Mapping]) -> dict:
    here, there = (of(side[1]) - of(side[0]) for side in (counted, predicted))
    nothing_s = NOTHING * counted[1]["time_s"]
    return {
        "baseline": of(counted[1]), "saved_counted": here, "saved_predicted": there,
        "difference": (there - here) / abs(here) if abs(here) > nothing_s else None,
        "match": abs(there - here) <= max(WITHIN * abs(here), nothing_s),
    }  # fmt: skip


def _joules(counted: list[Mapping], predicted: list[Mapping]) -> dict:
    """Return the joules saved: by a sensor, and by seconds times idle power and the dynamic ledger, with U of both."""
    label = next((label for label in SENSED if label in counted[0]["run_energy_j"]), None)
    found = {
        "simulated": {"baseline": _gross(counted[1], "simulated")["value"], **_difference(counted, "simulated")},
        "predicted": _difference(predicted, "simulated") | {"from_idle": _idle(predicted[1]) - _idle(predicted[0])},
    }
    if label is None:
        return found | {"sensed": None, "match": None}
    sensed = {"label": label, "baseline": _gross(counted[1], label)["value"], **_difference(counted, label)}
    both = [one["u95"] for one in (sensed, found["predicted"])]
    off = found["predicted"]["value"] - sensed["value"]
    known = None not in both
    return found | {
        "sensed": sensed, "difference": off, "u95": math.hypot(*both) if known else None,
        "match": abs(off) <= math.hypot(*both) if known else None,
    }  # fmt: skip


def _difference(runs: list[Mapping], label: str) -> dict:
    """Return what the first run saved of the second. U is as if their errors were independent: those that they share, such
    as a sensor's gain or a table's entry, make the difference's U smaller, not larger."""
    one, baseline = (_gross(run, label) for run in runs)
    known = one["u95"] is not None and baseline["u95"] is not None
    return {"value": baseline["value"] - one["value"], "u95": math.hypot(one["u95"], baseline["u95"]) if known else None}


def _gross(result: Mapping, label: str) -> Mapping:
    return result["run_energy_j"][label]["gross"]


def _idle(result: Mapping) -> float:
    return result["shares"]["simulated_j"]["idle"]
