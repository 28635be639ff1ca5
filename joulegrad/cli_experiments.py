"""`joulegrad experiments`: methods and seeds of one recipe, trained in PyTorch or on boards, and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from joulegrad import errors
from joulegrad.command import JsonOption, command
from joulegrad.screen import Screen


def experiments(
    experiment: Annotated[str, typer.Argument(
        help="Experiment: 'e2train', or the path of a .json file.", show_default=False)],
    recipe: Annotated[str | None, typer.Option("--recipe", help="Recipe in place of the experiment's own.")] = None,
    config: Annotated[str | None, typer.Option("--config", help="Core that prices runs, in place of the experiment's.")] = None,
    seeds: Annotated[int | None, typer.Option("--seeds", help="Seeds, from 0, in place of the experiment's.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Drawn iterations of a run, in place of the recipe's.")] = None,
    run: Annotated[list[str] | None, typer.Option("--run", help="Only this run, and those it needs; may be given often.")] = None,
    board: Annotated[list[str] | None, typer.Option(
        "--board", help="Board that trains in place of PyTorch: 'sim', 'golden', 'pynq', 'serial:<port>'. Given several times, "
        "each board has a worker; all runs of a seed are on one board.")] = None,
    device: Annotated[str, typer.Option("--device", help="'cpu' or 'cuda', for PyTorch.")] = "cpu",
    workers: Annotated[int, typer.Option("--workers", help="Processes on this machine; of several GPUs each has its own.")] = 1,
    scheduler: Annotated[str | None, typer.Option(
        "--scheduler", help="Address of a Dask scheduler, e.g. 'tcp://host:8786'; start a worker for each GPU, or with "
        "--resources 'BOARD=1' for each board. Its workers share the folder --out.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder; given again, only what is missing is done.")] = None,
    sensor: Annotated[list[str] | None, typer.Option(
        "--sensor", help="Power sensor of this machine, e.g. 'nvml': the energy of the emulator, in a table of its own. With "
        "--board, of what watches the board; one for each of several boards, in their order.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Train an experiment's methods and seeds, and compare.

    Runs are priced on a core, and methods compared at equal simulated joules. Leaves report.md, energy-accuracy.png,
    experiment.json and a run folder for each run. When the command is given again with the same --out, only what is missing is
    done; a run that was stopped goes on from its checkpoint in PyTorch, and begins again on a board.

    Examples: joulegrad experiments e2train --out e2train --workers 2; joulegrad experiments e2train --recipe digits-resnet14
    --board sim
    """
    with command(as_json) as screen:
        from joulegrad.settings import ExperimentSettings

        settings = ExperimentSettings(
            experiment, recipe, config, seeds, steps, tuple(run or ()), device, workers, scheduler, out, tuple(sensor or ()),
            tuple(board or ()),
        )  # fmt: skip
        from joulegrad.experiments import run_experiments

        found = run_experiments(settings, screen)
        if not as_json:
            _show(found, screen)
        screen.result(found)
        if found["errors"]:
            screen.fail(f"{len(found['errors'])} runs failed: {found['errors'][0]}")
            raise errors.Exit(errors.FAILED)


def _show(found: dict, screen: Screen) -> None:
    from rich.markdown import Markdown

    from joulegrad.experiment_report import page

    screen.out.print(Markdown(page(found)))
    screen.out.print(f"report: {found['run_dir']}/report.md", markup=False)
