"""Every board's configuration through a tool that needs no board: `python -m hw.reports [BOARD ...]`.

By default Yosys' report of resources, memories and long paths for each configuration and part; with `--tool nextpnr
--least-mhz 50 ulx3s-85f` it is placed and routed. What is unchanged is not done again. One line each; ends with 1 after a fault.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hw import verilator
from hw.bitstream import build
from hw.config import ConfigError, load_config
from hw.design import Board, Design, DesignError, boards, describe, load_board
from hw.flow import FlowError, flow_of

COMMIT = "not recorded"
"""Of manifests that are made here; `joulegrad bitstream` records it."""
SMALLEST = "tiny"


def designs(names: list[str], tool: str) -> list[Design]:
    """Return what is to be reported: each configuration once for each part, and the smallest where no board is named.

    Args:
        names: boards; none for all that the tool builds for.
        tool: of hw/flow_<tool>.py.

    Raises:
        DesignError: no such board, or the tool does not build for it.
        hw.config.ConfigError: a board's configuration is not there.
    """
    chosen = [load_board(name) for name in names or boards()]
    there = [board for board in chosen if names or tool in board.tools]
    found = [describe(load_config(board.config), board, tool) for board in there]
    if not names and tool == "yosys":
        found.insert(0, describe(load_config(SMALLEST), _for_smallest(there), tool))
    once = {(design.config.name, _chip(design.board)): design for design in reversed(found)}
    return list(once.values())[::-1]


def _chip(board: Board) -> str:
    """Return a part without its package and speed: the same logic comes out."""
    return board.part[:7]


def _for_smallest(boards: list[Board]) -> Board:
    return next((board for board in boards if board.family == "zynq-7000"), boards[0])


def line(manifest: dict) -> str:
    """Return a manifest as one line: what, resources, clock or levels of logic."""
    what = f"{manifest['configuration']['name']} on {manifest['board']} with {manifest['tool']}"
    taken = ", ".join(f"{number:,g} {kind}" for kind, number in manifest["resources"].items() if number)
    facts = manifest["facts"]
    clock = f"at most {manifest['max_clk_hz'] / 1e6:.2f} MHz" if manifest["max_clk_hz"] else ""
    paths = f"longest path {facts['paths'][0]['levels']:g} levels" if facts.get("paths") else ""
    return f"{what}: {taken}; {clock or paths}"


def too_slow(manifest: dict, least_hz: float) -> str:
    """Return a sentence where the clock that timing allows is below what was asked for, else ""."""
    most_hz = manifest["max_clk_hz"]
    if not least_hz or (most_hz is not None and most_hz >= least_hz):
        return ""
    most = "no clock" if most_hz is None else f"{most_hz / 1e6:.2f} MHz"
    return f"{manifest['configuration']['name']} on {manifest['board']} reaches {most}, at least {least_hz / 1e6:g} MHz is needed"


def main(arguments: list[str]) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m hw.reports", description=__doc__.splitlines()[0])
    parser.add_argument("board", nargs="*", help="boards; by default all that the tool builds for")
    parser.add_argument("--tool", default="yosys", help="yosys or nextpnr; vivado and openxc7 where they are")
    parser.add_argument("--least-mhz", type=float, default=0.0, help="clock that timing has to allow")
    parser.add_argument("--out", type=Path, default=verilator.BUILD, help="folder of all builds")
    options = parser.parse_args(arguments)
    try:
        wanted = designs(options.board, options.tool)
    except (DesignError, ConfigError, verilator.ToolError) as error:
        print(error, file=sys.stderr)
        return 2
    failed = 0
    for design in wanted:
        try:
            manifest = build(design, flow_of(design.tool), COMMIT, options.out)
            print(line(manifest), flush=True)
            wrong = too_slow(manifest, 1e6 * options.least_mhz)
        except (FlowError, verilator.ToolError) as error:
            wrong = str(error)
        if wrong:
            print(wrong, file=sys.stderr, flush=True)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
