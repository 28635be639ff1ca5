"""What a simulated energy is worth: nothing is known for a table that was fitted to no board, U and a range for a fitted one."""

from __future__ import annotations

from collections.abc import Mapping

from hw.config import Config
from measurements.energy_model import Calibration, EnergyTable, EnergyTableError, Shares
from measurements.quantities import Quantity, invalid, judged

BEYOND = 1.1
"""Rates up to so many times the largest one that a table was fitted to count as seen."""

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

    Args:
        joules: of the run, from energy_model.energy_shares.
        counts: counters and activity of the run.
    """
    found = table.calibration
    if found is None:
        scope, why = SCOPE.format(table=table.name), NOT_FITTED.format(table=table.name)
        return invalid(joules.total, why, scope), invalid(joules.net, why, scope)
    scope = f"{found.scope}: counters times energy table {table.name}, fitted to {found.truth} runs"
    why = why_beyond(found, {**counts, "processor_s": processor_s}, time_s)
    if why:
        return invalid(joules.total, why, scope), invalid(joules.net, why, scope)
    return (
        judged(joules.total, found.gross_u95 * abs(joules.total), scope),
        judged(joules.net, found.net_u95 * abs(joules.net), scope),
    )


def why_beyond(calibration: Calibration, counts: Mapping[str, float], time_s: float) -> str:
    """Return which rate is beyond what the table was fitted to, or "" where all are within."""
    for name, most in calibration.most_per_s.items():
        rate = counts.get(name, 0) / time_s
        if rate > BEYOND * most:
            return (
                f"the run has {rate:.4g} {name} per second, but the largest rate that the energy table was fitted to is "
                f"{most:.4g}: it would extrapolate"
            )
    return ""
