"""`joulegrad report`: pictures and tables of runs as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from joulegrad.command import JsonOption, command


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run folders of bench, measure or sweep; a folder that holds runs stands for all of them.", show_default=False
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Page to write; by default report.html in the run folder, for several runs in the current folder."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write one self-contained HTML page on runs.

    It shows power with phases, joules by phase and layer, energy against accuracy, simulated against measured energy, what the
    uncertainty is made of, and where everything comes from.

    The page needs no network. It replaces a page that this command wrote, and no other file. Needs plotly.

    Example: joulegrad report runs/digits-sim-20260101-120000
    """
    with command(as_json) as screen:
        from joulegrad.report import run_report

        result = run_report(runs, out, screen)
        if not as_json:
            screen.out.print(f"page {result['page']} ({result['bytes'] / 1e6:.1f} MB)", markup=False)
            for text in result["missing"]:
                screen.out.print(f"  missing: {text}", markup=False)
        screen.result(result)
