"""`joulegrad trace export`: a run's raw samples as tables for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from joulegrad.command import JsonOption, command

trace_app = typer.Typer(no_args_is_help=True, help="Export a run's raw samples.")


@trace_app.command("export")
def export(
    run: Annotated[Path, typer.Argument(help="Run folder, or a trace file.", show_default=False)],
    csv: Annotated[Path | None, typer.Option(
        "--csv", help="Table to make; further sensors, marks and gaps go into files beside it.")] = None,
    parquet: Annotated[Path | None, typer.Option(
        "--parquet", help="File to make; marks, gaps and provenance are its metadata.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the samples of a run to CSV or Parquet.

    Every row has its stamp, clock and label, every column its unit. Stamps are as they were taken: nothing is resampled, and
    what was not measured is empty. No file is overwritten.

    Example: joulegrad trace export runs/digits-sim-20260101-120000 --csv power.csv
    """
    with command(as_json) as screen:
        from host.trace_export import export as export_trace
        from host.trace_file import trace_path
        from joulegrad.settings import SettingError

        if csv is None and parquet is None:
            raise SettingError("nothing to export to: name a file with --csv or --parquet")
        path = trace_path(run)
        made = export_trace(path, csv, parquet)
        if made.damaged_blocks:
            screen.say(f"{made.damaged_blocks} blocks of {path} are damaged: their samples are missing from the export")
        files = [str(file) for file in made.files]
        if not as_json:
            for file in files:
                screen.out.print(file, markup=False)
        screen.result({"schema": 1, "trace": str(path), "labels": list(made.labels), "rows": made.rows,
                       "damaged_blocks": made.damaged_blocks, "files": files})  # fmt: skip
