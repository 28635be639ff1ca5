"""`joulegrad compare`: runs to a fitted model, its error figures and, if asked for, its energy table."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from measurements.calibrated_table import calibrated_table, write_table
from measurements.comparison import compare
from measurements.energy_model import TABLE, load_table
from measurements.observations import ComparisonError, load_runs


def run_compare(
    paths: list[Path], model: str | None, table: Path | None, out: Path | None, seed: int = 0, on: date | None = None
) -> dict:
    """Return a comparison's JSON data; `energy_table` names the file written.

    Args:
        paths: run folders, or folders that hold some.
        model: of measurements.features.MODELS, None for what the runs allow.
        table: beside the fitted model; None for the project's own.
        out: where the fitted table goes; None for nowhere.
        seed: of the bootstrap and the control.
        on: date that the table says, today by default.

    Raises:
        RunFolderError, ComparisonError, FitError, EnergyTableError: each with one sentence.
    """
    comparison = compare(load_runs(paths), load_table(table or TABLE), model, seed)
    result = comparison.to_json()
    if out is not None:
        if result["control"]:
            raise ComparisonError(f"--out {out}: these runs are a control ({result['control']}), a table of them would be wrong")
        write_table(calibrated_table(comparison, on or date.today()), out)
    return result | {"energy_table": str(out) if out is not None else None}
