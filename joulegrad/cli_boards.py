"""`joulegrad boards`: what is attached, what was built for it, what can watch it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from joulegrad.command import JsonOption, command
from joulegrad.settings import SettingError

CONFIG = "z7020"


def boards(
    url: Annotated[
        str | None, typer.Argument(help="Open this board only and say what it is, e.g. serial:/dev/ttyUSB0.", show_default=False)
    ] = None,
    config: Annotated[
        str, typer.Option("--config", help="Configuration of the bitstream to load, where the board has none yet.")
    ] = CONFIG,
    probe: Annotated[
        bool, typer.Option("--probe", help="Open every serial port and ask what is behind it; without it none is opened.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of all builds; by default build in the checkout.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List boards, bitstreams, and what can watch them.

    What is attached and usable, why what is missing is missing, what was built here, and which sensors can watch a board.
    Listing opens no port. A board that is named, or asked with --probe, says its configuration, clock and memory.

    Example: joulegrad boards serial:/dev/ttyUSB0
    """
    with command(as_json) as screen:
        if url is None and config != CONFIG:
            raise SettingError(f"--config {config} without a board: it is for the one that is named; name it, or leave it out")
        if url is not None and (probe or out is not None):
            found = f"{'--probe' if probe else f'--out {out}'} with board {url}"
            raise SettingError(f"{found}: it is for the list of all; leave it out, or name no board")
        from hw.verilator import BUILD
        from joulegrad import boards as here
        from joulegrad.bitstreams import list_bitstreams
        from joulegrad.board_tables import show_attached, show_boards

        if url is not None:
            result = {"schema": 1, "attached": [here.named(url, config)]}
            if not as_json:
                show_attached(result["attached"], screen)
            screen.result(result)
            return
        result = {
            "schema": 1,
            "boards": here.list_boards(),
            "machine": here.this_machine(),
            "attached": here.attached(probe),
            "bitstreams": list_bitstreams(out or BUILD),
            "known": here.known_boards(),
            "meters": here.meters(),
        }
        if not as_json:
            show_boards(result, screen)
        screen.result(result)
