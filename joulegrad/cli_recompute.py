"""`joulegrad recompute`: a run's joules again, from its raw trace and its iterations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from joulegrad.command import JsonOption, command


def recompute(
    run: Annotated[Path, typer.Argument(help="Run folder, as 'joulegrad bench' leaves it.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Give a run's joules again, from its raw trace.

    Trace and iterations are worked out anew and compared with what the run reported. Fails where they differ by more than a
    billionth, where the trace is damaged, and where there is none.

    Example: joulegrad recompute runs/digits-sim-20260101-120000
    """
    with command(as_json) as screen:
        from host.run_folder import read_record
        from joulegrad.tables import show_energy
        from measurements.recompute import RecomputeError, differences
        from measurements.recompute import recompute as again

        found = again(run)
        reported = read_record(run).get("result")
        if reported is None:
            screen.say(f"run {run} has not finished: it reported no joules that these could be compared with")
        elif different := differences(found, reported):
            raise RecomputeError(f"run {run}: {different[0]} ({len(different)} numbers differ)")
        else:
            screen.say("equal to what the run reported, within 1e-9")
        if not as_json:
            show_energy(found, screen)
        screen.result(found | {"run_dir": str(run), "reported": None if reported is None else "equal"})
