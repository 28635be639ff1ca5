"""Which boards are attached and can be used, what bitstreams there are for them, which sensors can watch them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

KNOWN = {
    "sim": "the RTL, verilated, cycle by cycle, with a DDR model",
    "golden": "the program interpreted by the numpy unit models; no clock of its own",
    "pynq": "a PYNQ board, on the board itself or over a network",
    "serial": "a board behind a serial line",
}
MISSING = "this version has no driver host/board_{}.py"
METERS = ("serial", "joulescope", "ppk2", "visa")
"""Schemes of the sensors that are wired into a board's supply; the others read the machine that they run on."""
NOT_ASKED = "not asked what it is: --probe opens the port, which restarts some devices"
PAGES = Path(__file__).parents[1] / "hw" / "boards"


def list_boards() -> list[dict]:
    """Return {"board", "available", "what", "why"} for every driver; `why` says what is missing, "" where nothing is."""
    from host.board import schemes

    drivers = schemes()
    boards = []
    for name in [*KNOWN, *(scheme for scheme in drivers if scheme not in KNOWN)]:
        why = _MISSING.get(name, lambda: "")() if name in drivers else MISSING.format(name)
        boards.append({"board": name, "available": not why, "what": KNOWN.get(name, ""), "why": why})
    return boards


def _no_simulator() -> str:
    from hw import simulate
    from hw.verilator import ToolError, find

    if not simulate.FILES.is_file():
        return "the RTL is not here: simulate in a checkout"
    try:
        find()
    except ToolError as error:
        return str(error)
    return ""


def _no_pynq() -> str:
    if importlib.util.find_spec("pynq") is None:
        return "PYNQ is not installed here: run on the board, with its own Python; for a board in the network, pip install pynq"
    return ""


def _no_port() -> str:
    return "" if serial_ports() else "no serial port is here: plug the board in"


_MISSING = {"sim": _no_simulator, "pynq": _no_pynq, "serial": _no_port}


def serial_ports() -> list:
    """Return the serial ports of this machine, as pyserial describes them."""
    from serial.tools import list_ports

    return sorted(list_ports.comports(), key=lambda port: port.device)


def this_machine() -> dict:
    """Return what this machine calls itself and which boards of hw/boards that can be: {"calls_itself", "boards"}."""
    from host.pynq_bitstream import same_board
    from host.rail_map import board_text
    from hw import design

    text = board_text()
    return {"calls_itself": text, "boards": [name for name in design.boards() if text and same_board(name, text)]}


def attached(probe: bool = False) -> list[dict]:
    """Return one entry for each serial port, and for this machine where it is a board.

    Args:
        probe: open each port and ask what is behind it.

    Returns:
        Entries {"url", "what", "state", "identity", "note"}: state is "not asked", "here" or "no board"; identity is as
        `identify` returns it, None where nobody asked.
    """
    machine = this_machine()
    found = []
    if machine["boards"]:
        found.append(
            _entry("pynq", f"this machine: {machine['calls_itself']}", "here", "its bitstream is loaded when it is opened")
        )
    for port in serial_ports():
        what = port.description if port.description not in ("", "n/a") else "serial port"
        named = f"{what}, serial number {port.serial_number}" if port.serial_number else what
        found.append(_entry(f"serial:{port.device}", named, "not asked", NOT_ASKED))
    return [_asked(entry) if probe and entry["url"].startswith("serial:") else entry for entry in found]


def identify(url: str, config_name: str = "z7020") -> dict:
    """Open a board, as a run would, and return what it is.

    Args:
        url: as for `joulegrad bench --board`.
        config_name: configuration of the bitstream to load, where the driver loads one.

    Returns:
        {"configuration" (None where no known one has this hash), "config_hash", "version", "clk_hz", "memory_bytes", "facts"}.

    Raises:
        host.board.BoardError: it is not there, does not answer or is something else.
        hw.config.ConfigError: no such configuration.
    """
    from host.board import open_board
    from hw.config import load_config

    with open_board(url, load_config(config_name)) as board:
        identity = board.identity()
        return {
            "configuration": _configurations().get(identity.config_hash),
            "config_hash": f"{identity.config_hash:08x}",
            "version": identity.version,
            "clk_hz": float(board.clk_hz),
            "memory_bytes": int(board.ddr_bytes),
            "facts": board.facts(),
        }


def named(url: str, config_name: str = "z7020") -> dict:
    """Return the entry of `attached` for a board that the user names. Raises as `identify`."""
    return {**_entry(url, KNOWN.get(url.partition(":")[0], ""), "here", ""), "identity": identify(url, config_name)}


def meters() -> list[str]:
    """Return the URLs of the meters here that can be wired into a board's supply; none is opened."""
    from joulegrad.sensors import list_sensors

    return [entry["url"] for entry in list_sensors(0) if entry["available"] and entry["url"].partition(":")[0] in METERS]


def known_boards() -> list[dict]:
    """Return one entry for each board of hw/boards.

    Returns:
        Entries {"board", "title", "part", "configuration", "tools", "page", "own_rails", "why_no_rails"}.
    """
    from hw import design

    return [_known(design.load_board(name)) for name in design.boards()]


def _known(board) -> dict:
    from host.rail_map import rail_map
    from host.sensor import SensorError

    try:
        rails, why = [rail.rail for rail in rail_map(board.name).rails], ""
    except SensorError as error:
        rails, why = [], str(error)
    return {
        "board": board.name, "title": board.title, "part": board.part, "configuration": board.config,
        "tools": list(board.tools), "page": _page(board.name), "own_rails": rails, "why_no_rails": why,
    }  # fmt: skip


def _page(name: str) -> str:
    path = PAGES / f"{name}.md"
    return str(path) if path.is_file() else ""


def _entry(url: str, what: str, state: str, note: str) -> dict:
    return {"url": url, "what": what, "state": state, "identity": None, "note": note}


def _asked(entry: dict) -> dict:
    from host.board import BoardError

    try:
        return {**entry, "state": "here", "identity": identify(entry["url"]), "note": ""}
    except BoardError as error:
        return {**entry, "state": "no board", "note": str(error)}


def _configurations() -> dict[int, str]:
    """Return the hash of each named configuration to its name."""
    from hw.config import CONFIGS, load_config

    names = sorted(path.stem for path in CONFIGS.glob("*.json"))
    return {load_config(name).config_hash: name for name in names}
