"""What a simulated energy is worth: nothing is known for a table that was fitted to no board, U and a range for a fitted one."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hw.config import Config
from measurements.energy_model import PROCESSOR_S, Calibration, EnergyTable, EnergyTableError, Shares
from measurements.quantities import Quantity, invalid, judged

SAME = 1e-6
"""Rates are stored as decimal fractions: a rate so little beyond is the same."""

SCOPE = "whole board, counters times energy table {table}"
NOT_FITTED = "the energy table {table} is not fitted to a measured board, so its uncertainty is unknown"


def check_valid(table: EnergyTable, board: str, config: Config, processor: Mapping[str, float]) -> None:
    """Raise EnergyTableError where a calibrated table was fitted to another board, configuration, clock or processor model."""
    found = table.calibration
    if found is None:
        return
    for what, fitted, here in (
        ("board", found.board, board),
        ("configuration", f"{found.config} ({found.config_hash})", f"{config.name} ({config.config_hash:08x})"),
        ("clock in Hz", found.clk_hz, config.clk_hz),
        ("model of the processor's time", dict(found.processor_time), dict(processor)),
    ):
        if fitted != here:
            raise EnergyTableError(
                f"energy table {table.name} was fitted to {what} {fitted}, but this run has {here}: fit a table to runs of it"
            )


def quantities(
    table: EnergyTable, joules: Shares, time_s: float, counts: Mapping[str, int], processor_s: float,
) -> tuple[Quantity, Quantity]:
    """Return gross and net simulated energy of a run with what the table's calibration says about them.

    Counts beyond the rates that the table was fitted to add to U what they may cost; where that is more than U, the table
    would extrapolate and the verdict is invalid.

    Args:
        joules: of the run, from energy_model.energy_shares.
        counts: counters, activity and processor's bytes of the run.
    """
    found = table.calibration
    if found is None:
        scope, why = SCOPE.format(table=table.name), NOT_FITTED.format(table=table.name)
        return invalid(joules.total, why, scope), invalid(joules.net, why, scope)
    scope = f"{found.scope}: counters times energy table {table.name}, fitted to {found.truth} runs"
    known = {**counts, PROCESSOR_S: processor_s}
    doubts_j = doubts(found, known, time_s)
    doubt_j = math.fsum(doubts_j.values())
    if doubt_j > found.net_u95 * abs(joules.net):
        name = max(doubts_j, key=doubts_j.get)
        why = (
            f"the run has {known[name] / time_s:.4g} {name} per second, but the largest rate that the energy table was fitted "
            f"to is {found.most_per_s[name]:.4g}: it would extrapolate"
        )
        return invalid(joules.total, why, scope), invalid(joules.net, why, scope)
    return tuple(
        judged(value, math.hypot(share * abs(value), doubt_j), scope)
        for value, share in ((joules.total, found.gross_u95), (joules.net, found.net_u95))
    )


def doubts(calibration: Calibration, counts: Mapping[str, float], time_s: float) -> dict[str, float]:
    """Return what counts beyond the rates that a table was fitted to may cost, in joules; inf where no run had any such count."""
    found = {}
    for name, most in calibration.most_per_s.items():
        excess = counts.get(name, 0) - most * time_s * (1 + SAME)
        if excess > 0:
            found[name] = excess * calibration.high_j.get(name, math.inf)
    return found
