"""`joulegrad measure -- COMMAND`: the joules of any command, by any sensors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from joulegrad import errors
from joulegrad.command import JsonOption, command


def measure(
    work: Annotated[list[str], typer.Argument(metavar="COMMAND...", help="What to run, behind '--'.", show_default=False)],
    sensor: Annotated[list[str], typer.Option(
        "--sensor", help="Sensor by its URL; may be given several times, the first one's number stands for the run. "
        "'joulegrad sensors' lists what is here.", show_default=False)],
    idle: Annotated[float, typer.Option(
        "--idle", min=0.0, help="Seconds of rest measured before and after; 0: gross only.")] = 10.0,
    iterations: Annotated[int, typer.Option("--iterations", min=0, help="Iterations that the command executes.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder to make; by default a new one in runs/.")] = None,
    calibration: Annotated[list[Path] | None, typer.Option(
        "--calibration", help="File of 'joulegrad sensors calibrate', beside those in your own folder.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a command under power sensors; give its joules.

    Gross, and above the idle power before and after it, with uncertainty and verdict. The command's own output goes to standard
    error where --json is given. It fails where the command fails; the raw trace is kept in the run folder in any case.

    Example: joulegrad measure --sensor rapl --iterations 500 -- python train.py
    """
    with command(as_json) as screen:
        from joulegrad.measure_command import run_measured
        from joulegrad.measure_table import show_measured

        result = run_measured(work, sensor, idle, iterations, out, calibration or [], screen)
        if not as_json:
            show_measured(result, screen)
        screen.result(result)
        if result["exit_code"]:
            screen.fail(f"the command ended with exit code {result['exit_code']}: its energy is that of a failed run")
            raise errors.Exit(errors.FAILED)
