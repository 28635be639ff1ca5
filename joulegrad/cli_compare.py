"""`joulegrad compare`: simulated against emulated or measured energy, calibration, error figures."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from joulegrad.command import JsonOption, command


class Model(str, Enum):
    """What an energy model may count."""

    activity = "activity"
    counters = "counters"


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; a folder that holds runs, such as a sweep, stands for all of "
                                                    "them.", show_default=False)],
    model: Annotated[Model | None, typer.Option(
        "--model", help="'counters': what every board counts. 'activity': bits that changed, too, as the simulated board counts "
        "them. By default 'activity' where every run has it.")] = None,
    table: Annotated[Path | None, typer.Option(
        "--energy-table", help="Table to show beside the fitted model; by default the project's, which is not fitted.")] = None,
    out: Annotated[Path | None, typer.Option(
        "--out", help="Write the fitted model as an energy table, for --energy-table of the benches.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the bootstrap and of the shuffled control.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Fit an energy model to runs, and judge it on others.

    Every workload is predicted by a model that has not seen it. Energies that stand for truth are emulated or measured, never
    both in one comparison. Needs scipy.

    Example: joulegrad bench sweep --out sweep && joulegrad compare sweep --out calibrated.json
    """
    with command(as_json) as screen:
        from joulegrad.compare import run_compare
        from joulegrad.compare_tables import show_comparison

        result = run_compare(runs, model.value if model else None, table, out, seed)
        if not as_json:
            show_comparison(result, screen)
        screen.result(result)
