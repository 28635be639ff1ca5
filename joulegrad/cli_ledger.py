"""`joulegrad ledger`: multiply-accumulates, bit-scaled multiply-accumulates and joules of runs, apart from each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from joulegrad.command import JsonOption, command


def ledger(
    runs: Annotated[list[Path], typer.Argument(
        help="Run folders of 'joulegrad bench' or 'joulegrad train --price'.", show_default=False)],
    against: Annotated[Path | None, typer.Option(
        "--against", help="Run folder of the baseline: what every run saves of it, ledger by ledger.")] = None,
    layers: Annotated[bool, typer.Option("--layers", help="Also every layer by itself.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Give MACs, bit-scaled MACs and joules of runs.

    Three ledgers, by product; none is ever turned into another.

    Example: joulegrad ledger runs/digits-smd --against runs/digits-plain
    """
    with command(as_json) as screen:
        from joulegrad.ledger_tables import show_ledgers
        from measurements.ledger_run import ledgers_of

        found = [ledgers_of(run) for run in runs]
        baseline = ledgers_of(against) if against else None
        saved = [one.saved_against(baseline) for one in found] if baseline else None
        if not as_json:
            show_ledgers(found, saved, layers, screen)
        data = [one.to_json() | ({"saved": saved[i]} if saved else {}) for i, one in enumerate(found)]
        screen.result({"schema": 1, "runs": data, "against": str(against) if against else None})
