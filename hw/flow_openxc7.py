"""Zynq-7000 bitstreams without a vendor tool: Yosys, nextpnr-xilinx, fasm2frames, xc7frames2bit, as openXC7 packs them.

The processing system is instantiated directly and its clock and DDR are as the board's boot loader has set them. No .hwh.
nextpnr-xilinx has no signed-off timing of the part: its clock is an estimate.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from hw import flow, yosys
from hw.design import Design
from hw.flow import FlowError, Report, Tool

NAME = "joulegrad"
CHIPS, DATABASE = "CHIPDB", "PRJXRAY_DB_DIR"
"""Environment variables of openXC7: folder of <part without speed>.bin, and folder of zynq7/<part>/part.yaml."""


class Flow(flow.Flow):
    """The openXC7 chain; Yosys may be pip's."""

    get = f"install openXC7 (its toolchain installer or container) and set {CHIPS} and {DATABASE} as it says"

    def find(self) -> list[Tool]:
        """Return the four programs; the two folders of data have to be there, too. Raises FlowError."""
        tools = [
            yosys.find(), self.program("nextpnr-xilinx", "--version"), self.program("fasm2frames"), self.program("xc7frames2bit"),
        ]  # fmt: skip
        for variable in (CHIPS, DATABASE):
            folder = os.environ.get(variable, "")
            if not Path(folder or "missing").is_dir():
                what = f"is {folder!r}, which is no folder" if folder else "is not set"
                raise FlowError(f"openXC7 needs the environment variable {variable}, and it {what}: {self.get}")
        return tools

    def write(self, design: Design, folder: Path) -> list[Path]:
        """Write synth.ys, the constraints, and commands.sh, which says what is called."""
        # nextpnr-xilinx places one kind of LUT memory only, so small queues become flip-flops.
        synthesis = [
            yosys.XILINX_CELLS,
            yosys.read(design, flow.copy_sources(design, folder)),
            yosys.XC7_NETS,
            f"synth_xilinx -family xc7 -flatten -nolutram -noiopad -top {design.top}",
            "tee -q -o check.txt check",
            f"write_json {NAME}.json",
            "",
        ]
        shell = [
            f"# {design.name} with openXC7; ${CHIPS} and ${DATABASE} are its folders of data.",
            "set -eu", "yosys -m slang -s synth.ys", *(" ".join(command) for command in _commands(design, _shell)), "",
        ]  # fmt: skip
        constraints = f"# {design.name}: no pin of the programmable logic is used; the clock is the processing system's.\n"
        return [
            flow.write_script(folder / "synth.ys", "\n".join(synthesis)),
            flow.write_script(folder / f"{NAME}.xdc", constraints),
            flow.write_script(folder / "commands.sh", "\n".join(shell)),
        ]

    def run(self, design: Design, folder: Path, tools: list[Tool]) -> None:
        """Run the chain. Raises FlowError, before any work where the part's data are missing."""
        part = design.board.part
        for variable, name in {CHIPS: f"{part.rpartition('-')[0]}.bin", DATABASE: f"zynq7/{part}/part.yaml"}.items():
            path = Path(os.environ[variable], name)
            if not path.is_file():
                raise FlowError(f"openXC7 has no data of the part {part}: {path} is not there, where {variable} says")
        for suffix in ("json", "fasm", "frames", "bit"):
            (folder / f"{NAME}.{suffix}").unlink(missing_ok=True)
        yosys.run(tools[0], folder, "synth.ys", "yosys.log")
        paths = {tool.name: tool.path for tool in tools}
        for command in _commands(design, lambda variable: os.environ[variable]):
            flow.call([paths[command[0]], *command[1:]], folder, f"{command[0]}.log")

    def report(self, design: Design, folder: Path) -> Report:
        """Read nextpnr's clock and utilisation. Raises FlowError."""
        path = folder / "nextpnr-xilinx.log"
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        clocks = re.findall(r"Max frequency for clock[^:]*: ([\d.]+) MHz", text)
        if not clocks:
            raise FlowError(f"nextpnr-xilinx names no maximum clock: see {path}")
        max_clk_hz = float(clocks[-1]) * 1e6
        bitstream = folder / f"{NAME}.bit"
        if not bitstream.is_file() or not bitstream.stat().st_size:
            raise FlowError(f"xc7frames2bit left no bitstream: see {folder / 'xc7frames2bit.log'}")
        slack_s = 1 / design.clk_hz - 1 / max_clk_hz
        facts = {"timing": "an estimate of nextpnr-xilinx, not signed off", "clock": "set by the board's boot loader"}
        return Report(_resources(text), slack_s, max_clk_hz, {bitstream.name: bitstream}, facts)


def _shell(variable: str) -> str:
    return f"${variable}"


def _commands(design: Design, value) -> list[list[str]]:
    """Return the calls behind Yosys; `value` gives the content of an environment variable."""
    part = design.board.part
    die = part.rpartition("-")[0]
    database = f"{value(DATABASE)}/zynq7"
    return [
        [
            "nextpnr-xilinx", "--chipdb", f"{value(CHIPS)}/{die}.bin", "--xdc", f"{NAME}.xdc", "--json", f"{NAME}.json",
            "--fasm", f"{NAME}.fasm", "--freq", f"{design.clk_hz / 1e6:g}", "--timing-allow-fail", "--seed", "1",
        ],
        ["fasm2frames", "--part", part, "--db-root", database, f"{NAME}.fasm", f"{NAME}.frames"],
        [
            "xc7frames2bit", "--part_file", f"{database}/{part}/part.yaml", "--part_name", part,
            "--frm_file", f"{NAME}.frames", "--output_file", f"{NAME}.bit",
        ],
    ]  # fmt: skip


def _resources(text: str) -> dict[str, float]:
    """Return the rows of nextpnr's table of utilisation that are not empty."""
    rows = re.findall(r"^Info:\s+(\w+):\s*(\d+)/\s*\d+\s+\d+%", text, re.MULTILINE)
    return {name: float(number) for name, number in rows if int(number)}
