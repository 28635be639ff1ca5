"""`joulegrad export`: one file that holds all that a board needs to train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from joulegrad.command import ConfigOption, JsonOption, MethodOption, RecipeArgument, command


def export(
    recipe: RecipeArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write, PROGRAM.jg.", show_default=False)],
    config: ConfigOption = "z7020",
    seed: Annotated[int | None, typer.Option("--seed", help="Same seed, same bytes; by default the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(
        "--batch-size", help="Images in a mini-batch; by default the recipe's.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Drawn training iterations; by default the recipe's.")] = None,
    method: MethodOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make PROGRAM.jg, all that a board needs to train.

    It holds the program, the images and the settings of a recipe. Making it needs PyTorch; the board does not.

    Example: joulegrad export digits -o digits.jg && joulegrad bench digits.jg --board golden
    """
    with command(as_json) as screen:
        from joulegrad.export_program import run_export
        from joulegrad.settings import ExportSettings

        result = run_export(ExportSettings(recipe, out, config, steps, batch_size, seed, method), screen)
        if not as_json:
            mebibytes = result["bytes"] / (1 << 20)
            screen.out.print(f"{result['program']}: {result['recipe']} for {result['config']}, {mebibytes:.1f} MiB", markup=False)
            screen.out.print(f"  iterations      {result['iterations']} of {result['batch_size']} images, seed {result['seed']}")
            screen.out.print(f"  method          {result['method']}", markup=False)
            screen.out.print(f"  DDR             {result['ddr_bytes']:,} bytes")
            screen.out.print(f"  run it          joulegrad bench {result['program']} --board ...", markup=False)
        screen.result(result)
