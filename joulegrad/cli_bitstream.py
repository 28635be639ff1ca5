"""`joulegrad bitstream`: a bitstream regenerated from sources, or the resources of one, with a manifest of what made it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from joulegrad.command import JsonOption, command
from joulegrad.screen import Screen

SHOWN = 5
"""Longest paths that people see; the manifest has more."""


def bitstream(
    config: Annotated[
        str,
        typer.Argument(
            help="Configuration, e.g. 'z7020', or a path to a .json file; 'joulegrad boards' names each board's.",
            show_default=False,
        ),
    ],
    board: Annotated[
        str, typer.Option("--board", help="Board, e.g. pynq-z2 or ulx3s-85f; an unknown one lists them.", show_default=False)
    ],
    tool: Annotated[
        str | None,
        typer.Option(
            "--tool", help="vivado, openxc7, nextpnr, or yosys for a resource report only; by default the board's first."
        ),
    ] = None,
    activity: Annotated[
        Path | None,
        typer.Option(
            "--activity",
            help="SAIF file of the simulated core's signal activity for Vivado's power report; "
            "'python -m hw.signal_activity' makes one.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of all builds; by default build in the checkout.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a board's bitstream, or report its resources.

    Scripts are written, the tool is run, timing is checked, and everything is recorded in manifest.json. The result is in
    build/<board>-<configuration>/. What has not changed is not built again. Timing not met is an error.

    Example: joulegrad bitstream z7020 --board pynq-z2
    """
    with command(as_json) as screen:
        from host.provenance import commit
        from hw import verilator
        from hw.bitstream import build
        from hw.config import load_config
        from hw.design import describe, load_board
        from hw.flow import flow_of

        found = load_board(board)
        if tool is not None:
            flow_of(tool)
        design = describe(load_config(config), found, tool)
        folder = out or verilator.BUILD
        manifest = build(design, flow_of(design.tool, activity), commit(), folder)
        result = {"schema": 1, "folder": str(folder / design.name), **manifest}
        if not as_json:
            _show(result, screen)
        screen.result(result)


def _show(result: dict, screen: Screen) -> None:
    """Print what was built, its clock and what it takes."""
    out = screen.out
    done = f"in {result['build_s']:.0f} s" if result["built"] else "unchanged, not built again"
    out.print(f"{result['configuration']['name']} on {result['board']} with {result['tool']}: {done}", markup=False)
    for name, version in result["tools"].items():
        out.print(f"  {name:<15} {version}", markup=False)
    if result["worst_slack_s"] is None:
        out.print("  clock           none: this tool places nothing")
    else:
        most = f"at most {result['max_clk_hz'] / 1e6:.2f} MHz"
        out.print(f"  clock           {result['clk_hz'] / 1e6:g} MHz, {most}, worst slack {1e9 * result['worst_slack_s']:.3f} ns")
    limits = result["facts"].get("limits", {})
    for name, number in result["resources"].items():
        most = limits.get("lut" if name == "estimated_lcs" else name)
        out.print(f"  {name:<15} {number:,g}" + (f", at most {most:,}" if most else ""), markup=False)
    if "memories" in result["facts"]:
        _show_structure(result["facts"], screen)
    out.print(f"  folder          {result['folder']}", markup=False)


def _show_structure(facts: dict, screen: Screen) -> None:
    """Print where the memories went, and the longest paths."""
    places: dict[str, list[str]] = {}
    for name, one in facts["memories"].items():
        places.setdefault(one["where"], []).append(name.removesuffix(".mem_q"))
    for where, names in sorted(places.items()):
        screen.out.print(f"  {where:<15} {', '.join(names)}", markup=False)
    most = "" if facts["most_levels"] is None else f" of at most {facts['most_levels']:g}"
    for number, path in enumerate(facts["paths"][:SHOWN]):
        levels = f"{path['levels']:g} levels{most if number == 0 else ''}"
        title = "longest paths" if number == 0 else ""
        screen.out.print(f"  {title:<15} {levels}: {path['start']} to {path['end']}", markup=False)
