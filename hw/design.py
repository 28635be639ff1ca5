"""One neutral description of what is to be built for a board; every tool's scripts are written from it.

A board is hw/boards/<board>.json: part, tools with their top modules, memory and register addresses, capacity, pins, settings of
the processing system, and where each of these facts is from.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from hw import simulate, verilator
from hw.config import Config

BOARDS = Path(__file__).parent / "boards"
BOARD_FILES = Path(__file__).parent / "board_files.f"
PRIMITIVES = Path(__file__).parent / "primitives"
"""Declarations of cells of parts whose parameters would be lost where Yosys reads them from its own library."""
FAMILIES = {"zynq-7000": "xc7", "zynq-ultrascale": "xcup", "ecp5": "ecp5"}
"""Family of a board's part to what Yosys calls it."""
PORT_BITS = 64
"""Width of the HP ports of a processing system, as its reset leaves them."""


class DesignError(ValueError):
    """A board is unknown, or a configuration cannot be built for it; the message says what would be right."""


@dataclass(frozen=True)
class Board:
    """Facts of one board.

    Attributes:
        name: the file's name without suffix.
        title: name and maker, for people.
        family: one of FAMILIES.
        part: the part with package and speed grade, as the vendor's tool calls it.
        tools: tool to top module; the first makes the bitstream where none is asked for.
        memory: base address and bytes of the DDR that the core's 32-bit addresses reach; bytes 0 where memory is on the chip.
        control: base address, bytes, and address of the interrupt controller, of the processor's window.
        capacity: what the part has: lut, flip_flops, bram36, uram, ebr, dsp.
        config: name of the configuration that is made for this board.
        limits: of these, what the core may take, with room for what stands around it; a kind that is left out has none.
        pins: signal to pin, its electrical standard and pull.
        ps: property of the processing system to value: crystal, processor clock, DDR.
        sources: fact to where it is from.
        parameters: what the board's top takes beside the core's sizes.
        oscillator_hz: the clock at a pin that a PLL makes the core's clock from; 0 where the processing system gives it.
        clk_hz_limit: the highest clock that is asked for on this board; 0 for none.
    """

    name: str
    title: str
    family: str
    part: str
    tools: dict[str, str]
    memory: dict
    control: dict
    capacity: dict[str, int]
    config: str
    pins: dict[str, dict]
    ps: dict[str, str]
    sources: dict[str, str]
    limits: dict[str, int] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    oscillator_hz: int = 0
    clk_hz_limit: int = 0

    @property
    def has_processor(self) -> bool:
        """Whether memory and clock come from a processing system."""
        return self.family.startswith("zynq")


@dataclass(frozen=True)
class Design:
    """What a tool is to build.

    Attributes:
        board: where it runs.
        config: sizes of the core.
        tool: who builds it.
        top: top module of the RTL.
        sources: RTL files, package first, leaves before those that use them; only what the top reaches.
        parameters: parameter of the top to its SystemVerilog constant.
        clk_hz: clock of the core on this board.
    """

    board: Board
    config: Config
    tool: str
    top: str
    sources: tuple[Path, ...]
    parameters: dict[str, str]
    clk_hz: int

    @property
    def name(self) -> str:
        """Return <board>-<configuration>, the name of the output folder."""
        return f"{self.board.name}-{self.config.name}"

    @property
    def period_ns(self) -> float:
        """Return the clock's period."""
        return 1e9 / self.clk_hz

    @cached_property
    def digest(self) -> str:
        """Return a hash of everything that is described, file contents included."""
        board = {key: value for key, value in vars(self.board).items() if key not in ("title", "sources", "config")}
        facts = [board, vars(self.config), self.tool, self.top, self.parameters, self.clk_hz]
        state = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        for path in self.sources:
            state.update(f"\0{path.name}\0".encode() + path.read_bytes())
        return state.hexdigest()


def boards() -> list[str]:
    """Return the names of the known boards."""
    return sorted(path.stem for path in BOARDS.glob("*.json"))


def load_board(name: str) -> Board:
    """Return the facts of a board.

    Raises:
        DesignError: there is no such board.
    """
    if name not in boards():
        raise DesignError(f"no board {name!r}: known are {', '.join(boards())}")
    entries = json.loads((BOARDS / f"{name}.json").read_text(encoding="utf-8"))
    for part in ("memory", "control"):
        entries[part] = {key: int(str(value), 0) for key, value in entries[part].items()}
    return Board(name=name, **entries)


def describe(config: Config, board: Board, tool: str | None = None) -> Design:
    """Describe a configuration on a board for a tool, by default the board's first.

    Raises:
        DesignError: the tool does not build for this board, or the configuration does not fit its ports.
        verilator.ToolError: an RTL file is missing.
    """
    tool = tool or next(iter(board.tools))
    if tool not in board.tools:
        raise DesignError(f"{tool} does not build for {board.name}: tools for this board are {', '.join(board.tools)}")
    top = board.tools[tool]
    if board.has_processor and top != simulate.TOP and config.axi_bits != PORT_BITS:
        raise DesignError(
            f"configuration {config.name} has AXI masters of {config.axi_bits} bits, and the HP ports of {board.name} are "
            f"{PORT_BITS} bits wide: take one with axi_bits {PORT_BITS}"
        )
    limit = board.clk_hz_limit or config.clk_hz
    clk_hz = min(config.clk_hz, limit)
    sources = reachable(top)
    wanted = {**simulate.parameters(config), **board.parameters, **_clock_parameters(board, clk_hz)}
    declared = declared_parameters(sources[-1])
    parameters = {name: value for name, value in wanted.items() if name in declared}
    return Design(board, config, tool, top, (verilator.write_package(), *_declarations(sources), *sources), parameters, clk_hz)


def declared_parameters(module: Path) -> set[str]:
    """Return the names of the parameters that a module's file declares, localparams left out."""
    text = re.sub(r"//.*", "", module.read_text())
    return set(re.findall(r"\bparameter\s[^=,;]*?(\w+)\s*=", text))


def reachable(top: str) -> list[Path]:
    """Return the RTL files that a top needs, itself last, in the order of the lists.

    Raises:
        DesignError: no file of the lists holds such a module.
        verilator.ToolError: a listed file is missing.
    """
    files = {path.stem: path for path in [*simulate.rtl_files(), *simulate.rtl_files(BOARD_FILES)]}
    if top not in files:
        raise DesignError(f"{top} is none of the modules in {simulate.FILES.name} and {BOARD_FILES.name}")
    needed, waiting = set(), [top]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += [child for child in _instances(files[name]) if child in files]
    return [path for name, path in files.items() if name in needed]


def _instances(path: Path) -> list[str]:
    """Return the modules that a file instantiates, among other words that look like it."""
    return re.findall(r"^\s*(\w+)\s+(?:#\s*\(|u_\w+\s*\()", re.sub(r"//.*", "", path.read_text()), re.MULTILINE)


def _declarations(sources: list[Path]) -> list[Path]:
    """Return the declarations of the cells of the part that the sources instantiate."""
    used = {name for path in sources for name in _instances(path)}
    return [path for path in sorted(PRIMITIVES.glob("*.sv")) if path.stem in used]


def _clock_parameters(board: Board, clk_hz: int) -> dict[str, str]:
    """Return the PLL's dividers for a board with an oscillator, none for others."""
    if not board.oscillator_hz:
        return {}
    divide, feedback = pll_ratio(board.oscillator_hz, clk_hz)
    # The oscillator within runs at the clock times the output divider, 400 to 800 MHz on ECP5.
    output = max(1, round(600e6 / clk_hz))
    return {"ClkHz": f"32'd{clk_hz}", "PllDivide": str(divide), "PllFeedback": str(feedback), "PllOutput": str(output)}


def pll_ratio(oscillator_hz: int, clk_hz: int) -> tuple[int, int]:
    """Return the smallest input divider, and the feedback divider, that make a clock exactly.

    Raises:
        DesignError: no divider of at most 8 does.
    """
    for divide in range(1, 9):
        if clk_hz * divide % oscillator_hz == 0 and clk_hz * divide // oscillator_hz <= 80:
            return divide, clk_hz * divide // oscillator_hz
    raise DesignError(f"{clk_hz} Hz cannot be made of {oscillator_hz} Hz: take a multiple of {oscillator_hz // 8} Hz")
