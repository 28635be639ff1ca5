"""`joulegrad bench methods`: what methods save on the simulated board, counted beside predicted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from joulegrad import errors
from joulegrad.command import ConfigOption, JsonOption, RecipeArgument, command
from joulegrad.screen import Screen, table
from joulegrad.settings import MethodsSettings


def bench_methods(
    recipe: RecipeArgument = "digits",
    method: Annotated[list[str] | None, typer.Option(
        "--method", help="Training method; may be given several times. By default smd, psg_abstain, swa and e2train.")] = None,
    config: ConfigOption = "z7020",
    steps: Annotated[int | None, typer.Option("--steps", help="Drawn iterations; by default the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(
        "--batch-size", help="Images in a mini-batch; by default the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Same seed, same decisions; by default the recipe's.")] = None,
    energy_table: Annotated[Path | None, typer.Option(
        "--energy-table", help="Table for the predicted joules; with U where 'joulegrad compare' fitted it to counters.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder; given again, only what is missing is done.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare what methods save with what was predicted.

    Plain training and every method run on the simulated board, checked bit for bit. Predicted is the same run in PyTorch,
    priced from its decisions and the program's instructions: seconds have to agree within 2 % of what is saved, joules within
    U. Leaves methods.json and two run folders for every method.

    Example: joulegrad bench methods digits --method smd --method e2train --steps 40
    """
    with command(as_json) as screen:
        from joulegrad.methods import run_methods, wrong

        settings = MethodsSettings(recipe, config, tuple(method or ()), steps, batch_size, seed, energy_table, out)
        found = run_methods(settings, screen)
        if not as_json:
            _show(found, screen)
        screen.result(found)
        for sentence in list(wrong(found))[:1]:
            screen.fail(sentence)
            raise errors.Exit(errors.FAILED)


def _show(found: dict, screen: Screen) -> None:
    plain, methods = found["baseline"], found["methods"]
    seconds = [
        (method, f"{one['iterations_executed']} of {one['iterations_drawn']}", part, *_seconds(one["seconds"][part]))
        for method, one in methods.items() for part in one["seconds"]
    ]  # fmt: skip
    joules = [(method, *_joules(one["joules"])) for method, one in methods.items()]
    said = f"seconds saved of {plain['time_s']:.4g} s of plain training"
    for made, rows in (
        (table(said, ["method", "executed", "of"], ["counted", "predicted", "off by %"]), seconds),
        (table("joules saved, gross, +- U (95 %)", ["method"], ["sensed", "predicted", "of it idle", "left %"]), joules),
    ):
        for row in rows:
            made.add_row(*row)
        screen.out.print(made)
    labels = sorted({one["joules"]["sensed"]["label"] for one in methods.values() if one["joules"]["sensed"]})
    screen.out.print(f"sensed joules are {', '.join(labels) or 'not there'}, predicted ones simulated", markup=False)
    screen.out.print(f"runs: {found['run_dir']}", markup=False)


def _seconds(one: dict) -> tuple[str, ...]:
    off = "" if one["difference"] is None else f"{100 * one['difference']:+.2f}"
    return *(f"{round(one[side], 9):.5g}" for side in ("saved_counted", "saved_predicted")), off


def _joules(one: dict) -> tuple[str, ...]:
    whole = one["sensed"] or one["simulated"]
    left = f"{100 * (1 - whole['value'] / whole['baseline']):.2f}"
    return _with_u(one["sensed"]), _with_u(one["predicted"]), f"{one['predicted']['from_idle']:.4g}", left


def _with_u(one: dict | None) -> str:
    if one is None:
        return ""
    return f"{one['value']:.4g} +- {'unknown' if one['u95'] is None else format(one['u95'], '.2g')}"
