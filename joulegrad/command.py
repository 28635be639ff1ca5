"""What all commands share: their options, and the block that turns errors into one sentence and an exit code."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated

import typer

from joulegrad import errors
from joulegrad.screen import Screen

BoardOption = Annotated[str, typer.Option(
    "--board", help="'sim' simulates the hardware cycle by cycle; 'golden' computes the same numbers without time; 'pynq' and "
    "'serial:<port>' are real ones: 'joulegrad boards' lists what is here.")]
ConfigOption = Annotated[str, typer.Option(
    "--config", help="Configuration of the accelerator: 'z7020' (16 x 16, for PYNQ-Z2), 'tiny' (4 x 4), 'ecp5', ..., or the "
    "path of a .json file.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Same seed, same run, bit for bit.")]
JsonOption = Annotated[bool, typer.Option(
    "--json", help="Write the result as one JSON object to standard output, all else to standard error.")]
RecipeArgument = Annotated[str, typer.Argument(
    help="Recipe: its name, e.g. 'digits' or 'cifar10-resnet20' (a name that is none lists all), or the path of a .json file.")]
MethodOption = Annotated[str | None, typer.Option(
    "--method", help="Training method: plain (the default), smd, slu, sd, signsgd, psg_abstain, static, cpt, fractrain, swa, or "
    "several joined by +, such as smd+swa; e2train is smd+slu+psg_abstain+swa. The recipe has its settings.")]
StallsOption = Annotated[float, typer.Option(
    "--stalls", help="Probability that the simulated memory stalls a handshake in a cycle, 0 to 0.95; slower, same results.")]


@contextlib.contextmanager
def command(as_json: bool) -> Iterator[Screen]:
    """Give a command its screen; known errors and Ctrl-C end it with one sentence and an exit code."""
    screen = Screen(as_json)
    try:
        with errors.reported(screen):
            yield screen
    except errors.Exit as end:
        raise typer.Exit(end.code) from None
