"""`joulegrad bench WHAT`: a recipe or a PROGRAM.jg trained on a board; the other benchmarks stand beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from joulegrad.command import BoardOption, JsonOption, MethodOption, StallsOption, command

RUN = "run"


class BenchGroup(TyperGroup):
    """Commands of `joulegrad bench`; whatever is none of them is what `run` shall train."""

    def resolve_command(self, ctx, args: list[str]):
        """Return the command that the arguments name."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = [RUN, *args]
        return super().resolve_command(ctx, args)


bench_app = typer.Typer(
    cls=BenchGroup, no_args_is_help=True,
    help="Train on the accelerator: accuracy, cycles, joules.\n\n'joulegrad bench digits' trains a recipe, 'joulegrad bench "
    "PROGRAM.jg' a file from 'joulegrad export'; the other commands look at the accelerator itself.",
)  # fmt: skip


@bench_app.command(RUN)
def bench_run(
    what: Annotated[str, typer.Argument(
        help="Recipe: its name, e.g. 'digits' (a name that is none lists all), or the path of a .json file; or a PROGRAM.jg, "
        "which needs no PyTorch.", show_default=False)],
    board: BoardOption = "sim",
    config: Annotated[str | None, typer.Option(
        "--config", help="Configuration of the accelerator: 'z7020' (16 x 16, for PYNQ-Z2; the default), 'tiny' (4 x 4), 'ecp5', "
        "..., or the path of a .json file. A PROGRAM.jg has its own.")] = None,
    steps: Annotated[int | None, typer.Option(
        "--steps", help="Training iterations; by default as many as the recipe needs.")] = None,
    batch_size: Annotated[int | None, typer.Option(
        "--batch-size", help="Images in a mini-batch; by default the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(
        "--seed", help="Same seed, same run, bit for bit; by default the recipe's.")] = None,
    method: MethodOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder to make; by default a new one in runs/.")] = None,
    check: Annotated[bool, typer.Option(
        "--check", help="After every iteration compare all weights, momenta and statistics with PyTorch, bit for bit, "
        "and the core's counters with their predictions.")] = False,
    stalls: StallsOption = 0.0,
    sensor: Annotated[list[str] | None, typer.Option(
        "--sensor", help="Power sensor, by its URL, e.g. 'pmbus' or 'sim?refresh_s=0.001&kind=point'; may be given several "
        "times. By default the simulated board's own, 'sim', and none on others.")] = None,
    repeats: Annotated[int, typer.Option(
        "--repeats", help="Least number of windows of repeated iterations that the sensed energy is taken from, from 2; see "
        "--measuring.")] = 5,
    relative_u: Annotated[float, typer.Option(
        "--relative-u", help="Uncertainty over net energy for which a pilot plans length and number of these windows.")] = 0.02,
    idle: Annotated[float, typer.Option(
        "--idle", help="Seconds of rest before, between and after these windows, at least.")] = 10.0,
    measuring: Annotated[float, typer.Option(
        "--measuring", help="Seconds that the windows may take together on a board whose time is real; a run too long "
        "for --repeats windows in this time has fewer, one too long for two is measured once, as it is.")] = 600.0,
    energy_table: Annotated[Path | None, typer.Option(
        "--energy-table", help="Energy table for the simulated joules, e.g. one that 'joulegrad compare' fitted.")] = None,
    resume: Annotated[Path | None, typer.Option(
        "--resume", help="Run folder, or checkpoint.npz, to go on from: of the same program, seed and board.")] = None,
    checkpoint_every: Annotated[int, typer.Option(
        "--checkpoint-every", help="Executed iterations between two checkpoints.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """Train a recipe or a PROGRAM.jg; 'run' may be left out.

    Prints loss, test accuracy, cycles and joules per iteration and leaves a run folder with run.json, trace.sqlite and pictures.
    Joules come with a label: 'simulated' from the core's counters, 'emulated' from a sensor on the simulated board's rails,
    'measured' from a physical sensor.

    Example: joulegrad bench digits --steps 30 --check
    """
    with command(as_json) as screen:
        from joulegrad.settings import BenchSettings, MemoryStalls

        stalled = MemoryStalls(stalls, (seed or 0) + 1)
        settings = BenchSettings(
            what, board, config, steps, batch_size, seed, out, check, stalled, tuple(sensor or ()), repeats, relative_u,
            energy_table, idle, measuring, method, resume, checkpoint_every,
        )  # fmt: skip
        from joulegrad.bench import run_bench
        from joulegrad.tables import show_bench

        result = run_bench(settings, screen)
        if not as_json:
            show_bench(result, screen)
        screen.result(result)
