"""`joulegrad package` and `joulegrad deploy`: this software, a program and a bitstream onto a board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from joulegrad.command import JsonOption, command

PACKAGE = "joulegrad-board.zip"


def package(
    out: Annotated[Path, typer.Option("--out", "-o", help="Archive to write.")] = Path(PACKAGE),
    wheels: Annotated[Path | None, typer.Option(
        "--wheels", help="Folder with the wheels that the archive carries; what is missing there is downloaded.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make the archive that installs joulegrad on a board.

    The board has Python 3.10 or newer and numpy; it needs no network.

    Example: joulegrad package && scp joulegrad-board.zip xilinx@pynq: && ssh xilinx@pynq python3 joulegrad-board.zip
    """
    with command(as_json) as screen:
        from joulegrad.package import WHEELS, make_package

        result = make_package(out, wheels or WHEELS)
        if not as_json:
            screen.out.print(f"{result['package']}: {result['bytes'] / (1 << 20):.1f} MiB", markup=False)
            screen.out.print(f"  carries         {', '.join(result['wheels'])}", markup=False)
            screen.out.print(f"  on the board    python3 {Path(result['package']).name}", markup=False)
        screen.result(result)


def deploy(
    host: Annotated[str, typer.Argument(help="Board, as ssh knows it: pynq, or xilinx@192.168.2.99.", show_default=False)],
    program: Annotated[Path | None, typer.Argument(help="PROGRAM.jg to copy.", show_default=False)] = None,
    bitstream: Annotated[Path | None, typer.Option(
        "--bitstream", help="Folder from 'joulegrad bitstream'; it must be of the program's configuration.")] = None,
    to: Annotated[str, typer.Option("--to", help="Folder on the board, below the user's own.")] = "joulegrad",
    archive: Annotated[Path | None, typer.Option(
        "--package", help="Archive of 'joulegrad package'; by default one is made.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Copy joulegrad, a program and a bitstream to a board.

    They are copied over ssh, and installed.

    Example: joulegrad deploy xilinx@pynq digits.jg --bitstream build/pynq-z2-z7020
    """
    with command(as_json) as screen:
        from joulegrad.deploy import DeploySettings, run_deploy

        result = run_deploy(DeploySettings(host, program, bitstream, to, archive), screen)
        if not as_json:
            screen.out.print(f"installed in {result['folder']} on {result['host']}; run there:", markup=False)
            screen.out.print(f"  {result['run']}", markup=False)
        screen.result(result)
