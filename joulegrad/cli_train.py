"""`joulegrad train`: a recipe trained in PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from joulegrad.command import JsonOption, MethodOption, RecipeArgument, command
from joulegrad.screen import Screen


def train(
    recipe: RecipeArgument,
    method: MethodOption = None,
    device: Annotated[str, typer.Option("--device", help="'cpu' or 'cuda'; both give the same bits.")] = "cpu",
    arithmetic: Annotated[str, typer.Option(
        "--arithmetic", help="'int8' computes what a board computes, bit for bit; 'float32' is plain PyTorch.")] = "int8",
    steps: Annotated[int | None, typer.Option("--steps", help="Drawn iterations; by default the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(
        "--batch-size", help="Images in a mini-batch; by default the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Same seed, same run, bit for bit; by default the recipe's.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder to make; by default a new one in runs/.")] = None,
    resume: Annotated[Path | None, typer.Option(
        "--resume", help="Run folder, or checkpoint.npz, of the same recipe, method and seed to go on from.")] = None,
    checkpoint_every: Annotated[int, typer.Option(
        "--checkpoint-every", help="Executed iterations between two checkpoints.")] = 100,
    evaluate_every: Annotated[int, typer.Option(
        "--evaluate-every", help="Drawn iterations between two tests on the held-out images; 0 for one at the end.")] = 0,
    price: Annotated[str | None, typer.Option(
        "--price", help="Configuration of a core, e.g. 'z7020': what the run would take there, its simulated joules included, "
        "from predicted counters and cycles.")] = None,
    sensor: Annotated[list[str] | None, typer.Option(
        "--sensor", help="Power sensor of this machine by its URL, e.g. 'nvml' or 'rapl': measures what training here costs, "
        "which is the energy of the emulator, not of an accelerator.")] = None,
    idle: Annotated[float, typer.Option("--idle", help="Seconds of rest before and after, for the idle power.")] = 10.0,
    graph: Annotated[bool, typer.Option(
        "--graph", help="Record the step as CUDA graphs and replay them: same bits. Not for blocks that samples skip.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a recipe in PyTorch, as a board computes it.

    The same integers, bit for bit; or float32, to compare with. Leaves a run folder with run.json, iterations.jsonl,
    checkpoint.npz, and weights.npz for a recipe that starts from them.

    Example: joulegrad train cifar10-resnet20 --method smd --device cuda
    """
    with command(as_json) as screen:
        from joulegrad.settings import TrainSettings

        settings = TrainSettings(
            recipe, method, device, arithmetic, steps, batch_size, seed, out, resume, checkpoint_every, evaluate_every,
            price, tuple(sensor or ()), idle, graph,
        )  # fmt: skip
        from joulegrad.train import run_train

        result = run_train(settings, screen)
        if not as_json:
            _show(result, screen)
        screen.result(result)


def _show(result: dict, screen: Screen) -> None:
    """Print what was learned, and where it lies."""
    executed, drawn = result["iterations_executed"], result["iterations_drawn"]
    images = f"{result['test_images']} held-out images{' of ' + result['data'] if result['data'] else ''}"
    print_ = screen.out.print
    print_(f"{result['recipe']} in PyTorch ({result['arithmetic']}, {result['device']}), method {result['method']}", markup=False)
    print_(f"  iterations      {executed} executed of {drawn} drawn, seed {result['seed']}")
    print_(f"  test accuracy   {100 * result['accuracy']:.2f} % of {images}", markup=False)
    done = f"{result['iterations_here']} iterations, {result['images_here']} images"
    print_(f"  time            {result['host_s']:.1f} s here for {done}")
    if "run_energy_j" in result:
        gross_j = result["run_energy_j"]["simulated"]["gross"]["value"]
        print_(f"  on {result['config']:<13}{gross_j:.4g} J gross, simulated, in {result['time_s']:.4g} s", markup=False)
    if "energy_of_the_emulator" in result:
        from joulegrad.measure_table import show_measured

        print_("energy of the emulator: of this machine, not of an accelerator; 'joulegrad report' of its folder draws it")
        show_measured(result["energy_of_the_emulator"], screen)
    print_(f"  run folder      {result['run_dir']}", markup=False)
