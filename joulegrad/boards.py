"""Which boards are there, and why what is missing is missing."""

from __future__ import annotations

KNOWN = {
    "sim": "the RTL, verilated, cycle by cycle, with a DDR model",
    "golden": "the program interpreted by the numpy unit models; no clock, so no cycles and no joules",
    "pynq": "a PYNQ board, run on the board itself",
    "serial": "a board behind a serial line",
}


def list_boards() -> list[dict]:
    """Return {"board", "available", "what", "why"} for every board; `why` says what is missing, "" where nothing is."""
    from host.board import schemes
    from hw.verilator import ToolError, find

    drivers = schemes()
    boards = []
    for name in [*KNOWN, *(scheme for scheme in drivers if scheme not in KNOWN)]:
        why = "" if name in drivers else f"this version has no driver host/board_{name}.py"
        if name == "sim" and not why:
            try:
                find()
            except ToolError as error:
                why = str(error)
        boards.append({"board": name, "available": not why, "what": KNOWN.get(name, ""), "why": why})
    return boards
