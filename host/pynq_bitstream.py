"""Which bitstream is loaded on a Zynq board: found by its manifest, checked against configuration and board, loaded by PYNQ."""

from __future__ import annotations

import glob
import hashlib
import logging
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from host.board import BoardError
from hw.bitstream import MANIFEST, read_manifest
from hw.config import Config
from hw.design import BOARDS, load_board
from hw.verilator import BUILD

CLOCK_TOLERANCE = 1e-3
"""Clocks that differ by less are the same one: references are named to four or five digits."""

CLOCK_SHARES = tuple(percent / 100 for percent in range(100, 49, -3))
"""Of the clock that a bitstream is made for, what is asked for in turn where the board has another PLL."""

REFERENCE = {"zynq-7000": ("PCW_CRYSTAL_PERIPHERAL_FREQMHZ", 50.0), "zynq-ultrascale": ("PSU__PSS_REF_CLK__FREQMHZ", 33.333)}
"""Family to the property that holds the frequency of the processing system's reference, in MHz, and what PYNQ takes it to be, on
every board: on a ZedBoard, whose reference is slower, the clocks that it reads are half as fast again as they are."""

ZYNQ = tuple(REFERENCE)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bitstream:
    """A bitstream with what its manifest says.

    Attributes:
        path: of the file.
        manifest: as hw/bitstream.py writes it.
    """

    path: Path
    manifest: dict

    @property
    def has_description(self) -> bool:
        """Whether there is a .hwh beside it; without one PYNQ knows neither clock nor interrupt."""
        return self.path.with_suffix(".hwh").name in self.manifest["files"]

    @property
    def clk_hz(self) -> float:
        """The clock that timing was met for: what the processing system was to give, or what was asked for."""
        period_s = self.manifest["facts"].get("clock_period_s")
        return 1 / period_s if period_s else float(self.manifest["clk_hz"])

    @property
    def digest(self) -> str:
        """The hash of the file."""
        return self.manifest["files"][self.path.name]


def find(where: str, config: Config, machine: str) -> Bitstream:
    """Return the bitstream to load.

    Args:
        where: a .bit file or a folder with a manifest; "" for the one of build/<board>-<configuration>/.
        config: that it must be of.
        machine: what the board calls itself, "" where it does not say.

    Raises:
        BoardError: there is none, it is damaged, or it is for another configuration or part.
    """
    if where:
        path = Path(where)
        found = _read(path.parent if path.suffix == ".bit" else path, path.name if path.suffix == ".bit" else "")
    else:
        found = _default(config, machine)
    _check(found, config, machine)
    return found


def same_board(name: str, machine: str) -> bool:
    """Return whether a board of hw/boards is the one that a machine calls itself."""
    return _plain(name) in _plain(machine)


def _default(config: Config, machine: str) -> Bitstream:
    pattern = f"*-{glob.escape(config.name)}/{MANIFEST}"
    folders = {path.parent.resolve() for build in (Path("build"), BUILD) for path in build.glob(pattern)}
    zynq = [found for found in (_read(folder) for folder in sorted(folders)) if _family(found) in ZYNQ]
    fitting = [found for found in zynq if same_board(found.manifest["board"], machine)] or zynq
    if len(fitting) == 1:
        return fitting[0]
    build = f"joulegrad bitstream {config.name} --board <board>"
    if not fitting:
        raise BoardError(
            f"no bitstream of configuration {config.name}: there is no build/<board>-{config.name}/{MANIFEST} for a Zynq board "
            f"here; make one with {build}, or name one with pynq:<file.bit>"
        )
    names = ", ".join(str(found.path) for found in fitting)
    raise BoardError(f"{len(fitting)} bitstreams of configuration {config.name} ({names}): name one with pynq:<file.bit>")


def _read(folder: Path, name: str = "") -> Bitstream:
    """Return the bitstream of a folder, by its manifest; `name` of the file where it is known. Raises BoardError."""
    path = folder / MANIFEST
    try:
        manifest = read_manifest(path)
        files = manifest["files"]
        name = name or next((file for file in files if file.endswith(".bit")), "")
        if not name or name not in files:
            raise BoardError(f"{path} describes no bitstream {name}: it has {', '.join(files) or 'no files'}".replace("  ", " "))
        return Bitstream(folder / name, manifest)
    except OSError as error:
        raise BoardError(
            f"the bitstream in {folder} cannot be used without its {MANIFEST}, which joulegrad bitstream writes beside it: "
            f"{error.strerror or error}"
        ) from None
    except ValueError as error:
        raise BoardError(f"{path} is no manifest of a bitstream: {error}") from None


def _check(found: Bitstream, config: Config, machine: str) -> None:
    manifest, made_for = found.manifest, found.manifest["configuration"]
    if made_for["hash"] != f"{config.config_hash:08x}":
        raise BoardError(
            f"the bitstream {found.path} is of configuration {made_for.get('name', '?')} (0x{made_for['hash']}), asked for is "
            f"{config.name} ({config.config_hash:#010x}): "
            f"make it with joulegrad bitstream {config.name} --board {manifest['board']}"
        )
    description = found.path.with_suffix(".hwh").name
    for name in [found.path.name, *([description] if found.has_description else [])]:
        path = found.path.with_name(name)
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise BoardError(f"{path}, which {MANIFEST} names, cannot be read: {error.strerror or error}") from None
        if digest != manifest["files"][name]:
            raise BoardError(f"{path} is not the file that {MANIFEST} beside it describes: copy the whole folder again")
    here = [board for board in _zynq_boards() if same_board(board.name, machine)]
    if here and all(board.part != manifest["part"] for board in here):
        raise BoardError(
            f"the bitstream {found.path} is for {manifest['board']} ({manifest['part']}), and this board is a {here[0].name} "
            f"({here[0].part}): make it with joulegrad bitstream {config.name} --board {here[0].name}"
        )


def _family(found: Bitstream) -> str:
    return next((board.family for board in _zynq_boards() if board.name == found.manifest["board"]), "")


def _zynq_boards() -> list:
    boards = [load_board(path.stem) for path in sorted(BOARDS.glob("*.json"))]
    return [board for board in boards if board.family in ZYNQ]


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def load(pynq, device, found: Bitstream):
    """Load a bitstream; return pynq's object for it. Raises whatever PYNQ raises, and BoardError."""
    path = str(found.path.resolve())
    if device.has_capability("REMOTE"):
        if not found.has_description:
            raise BoardError(f"{found.path} has no .hwh beside it, and PYNQ loads none over a network without: use Vivado's")
        overlay = pynq.Overlay(path, download=False, device=device)
        # A file of this name that the board has already is not sent again, whatever is in it.
        overlay.binfile_name = f"joulegrad-{found.digest[:16]}.bin"
        overlay.download()
        return overlay
    if found.has_description:
        return pynq.Overlay(path, device=device)
    # No description, no clock: it is set as PYNQ sets it for others, before the logic is loaded.
    _ask_clock(pynq, found, found.clk_hz)
    loaded = pynq.Bitstream(path, device=device)
    loaded.download()
    return loaded


def settle_clock(pynq, found: Bitstream) -> float:
    """Return the clock of the programmable logic in Hz as the board's registers say, never faster than timing was met for.

    Of a description PYNQ takes the clock's dividers as they are. Where the board's boot image runs the PLL before them at another
    frequency than Vivado took it to (a KV260's at 1,000 MHz, not 1,500), the clock is another one: then PYNQ is asked for the
    frequency, of which it gives the nearest that can be had, and for less until that is no faster.

    Raises:
        BoardError: it stays faster.
    """
    clk_hz, most_hz = _read_clock(pynq, found), found.clk_hz * (1 + CLOCK_TOLERANCE)
    if abs(clk_hz / found.clk_hz - 1) > CLOCK_TOLERANCE:
        for share in CLOCK_SHARES:
            _ask_clock(pynq, found, share * found.clk_hz)
            clk_hz = _read_clock(pynq, found)
            if clk_hz <= most_hz:
                break
    if clk_hz > most_hz:
        raise BoardError(
            f"PL clock 0 of the board runs at {clk_hz / 1e6:.6g} MHz, and the bitstream {found.path} is made for "
            f"{found.clk_hz / 1e6:.6g} MHz: nothing else may set that clock; load a bitstream that was made for it"
        )
    if clk_hz < found.clk_hz * (1 - CLOCK_TOLERANCE):
        log.warning(
            "PL clock 0 of this board can be had at %.6g MHz, not at the %.6g MHz that %s is made for: it runs that much slower",
            clk_hz / 1e6, found.clk_hz / 1e6, found.path,
        )  # fmt: skip
    return clk_hz


def _read_clock(pynq, found: Bitstream) -> float:
    return float(pynq.Clocks.fclk0_mhz) * 1e6 * _reference_ratio(found)


def _ask_clock(pynq, found: Bitstream, clk_hz: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PYNQ warns of the nearest clock; it is read back
        pynq.Clocks.fclk0_mhz = clk_hz / 1e6 / _reference_ratio(found)


def _reference_ratio(found: Bitstream) -> float:
    """Return the board's reference over what PYNQ takes it to be."""
    board = next((board for board in _zynq_boards() if board.name == found.manifest["board"]), None)
    if board is None:
        return 1.0
    name, taken_mhz = REFERENCE[board.family]
    return float(board.ps.get(name, taken_mhz)) / taken_mhz
