"""`joulegrad bench sweep`: workloads that tell the parts of the board apart, recorded for `joulegrad compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from joulegrad.command import BoardOption, ConfigOption, JsonOption, SeedOption, command
from joulegrad.settings import SweepSettings


def bench_sweep(
    board: BoardOption = "sim",
    config: ConfigOption = "z7020",
    repeats: Annotated[int, typer.Option("--repeats", help="Runs of each workload, with other operands each.")] = 3,
    seed: SeedOption = 0,
    out: Annotated[Path | None, typer.Option("--out", help="Folder to make; by default a new one in runs/.")] = None,
    family: Annotated[list[str] | None, typer.Option(
        "--family", help="Only this family of workloads: forward, grad_input, grad_weight, predictor, memory, vector, "
        "training or idle. "
        "May be given several times.")] = None,
    sensor: Annotated[list[str] | None, typer.Option(
        "--sensor", help="URL of a power sensor; by default the board's own.")] = None,
    windows: Annotated[int, typer.Option("--windows", help="Windows of 10 s, at least, that a run's energy is taken from.")] = 3,
    jobs: Annotated[int, typer.Option("--jobs", help="Workloads simulated at once.")] = 2,
    energy_table: Annotated[Path | None, typer.Option(
        "--energy-table", help="Table for the simulated joules, such as compare --out writes.")] = None,
    shuffle_toggles: Annotated[bool, typer.Option(
        "--shuffle-toggles", help="A control: every run draws power for the signal activity of another one. A model fitted to "
        "such runs must be wrong.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run workloads of all kinds under a power sensor.

    33 workloads in 8 families, with random, quiet, sparse and small data.

    Array-bound by product (forward, grad_input, grad_weight, predictor), memory-bound, bound by the vector unit, whole training
    steps, and idle. Leaves one folder that holds a run folder for each repeat of each workload.

    Example: joulegrad bench sweep --out sweep && joulegrad compare sweep
    """
    with command(as_json) as screen:
        from joulegrad.compare_tables import show_sweep
        from joulegrad.sweep import run_sweep

        settings = SweepSettings(
            board, config, repeats, seed, out, tuple(family or ()), tuple(sensor or ()), windows, jobs, energy_table,
            shuffle_toggles,
        )  # fmt: skip
        result = run_sweep(settings, screen)
        if not as_json:
            show_sweep(result, screen)
        screen.result(result)
