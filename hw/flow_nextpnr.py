"""ECP5 bitstreams from pip packages alone: Yosys, nextpnr-ecp5, ecppack."""

from __future__ import annotations

import json
import re
from pathlib import Path

from hw import flow, yosys
from hw.design import Design, DesignError
from hw.flow import FlowError, FlowTimeout, Report, Tool

NAME = "joulegrad"
PACKAGES = {"BG256": "CABGA256", "BG381": "CABGA381", "BG554": "CABGA554", "BG756": "CABGA756"}
"""Package of a part number to what nextpnr calls it."""
NET_PS = 800
"""Picoseconds that the mapper counts for a net; synth_ecp5 has 300 and takes no other. With these the delay through a block RAM
is the longest by far, and paths of LUTs that are shorter are drawn out to it for the sake of a few LUTs."""
SEEDS = (2, 1, 3)
"""Of the placer, tried in turn until the clock is met: it knows little of paths, and clocks of its placements differ by half. The
first is one that `ecp5` routes with."""
SEED_LIMIT_S = 30 * 60
"""For a seed, where 10 minutes are usual: one whose wires are still crossed by then is routed in circles."""
KINDS = {"lut": "TRELLIS_COMB", "flip_flops": "TRELLIS_FF", "ebr": "DP16KD", "dsp": "MULT18X18D", "lut_rams": "TRELLIS_RAMW"}


class Flow(flow.Flow):
    """nextpnr-ecp5 and ecppack, installed or from pip, and Yosys."""

    get = "pip install 'joulegrad[bitstream]'"
    seed = SEEDS[0]

    def find(self) -> list[Tool]:
        """Return the three programs. Raises FlowError."""
        return [yosys.find(), self._either("nextpnr-ecp5", "--version"), self._either("ecppack", "--version")]

    def _either(self, name: str, version: str) -> Tool:
        """Return the installed program, or pip's of the same name behind `yowasp-`."""
        found = self.program(name if flow.which(name) else f"yowasp-{name}", version)
        return Tool(name, found.path, found.version)

    def write(self, design: Design, folder: Path) -> list[Path]:
        """Write synth.ys, the pins, and commands.sh, which says what is called."""
        synthesis = [
            yosys.read(design, flow.copy_sources(design, folder)),
            f"synth_ecp5 -top {design.top} -run :map_luts",
            f"abc9 -W {NET_PS}",
            f"synth_ecp5 -top {design.top} -run map_cells:",
            "tee -q -o check.txt check",
            f"write_json {NAME}.json",
            "",
        ]
        head = [f"# {design.name} with nextpnr-ecp5; other seeds follow where the clock is not met: see the manifest."]
        head += ["set -eu", "yosys -m slang -s synth.ys"]
        shell = [*head, *map(" ".join, _commands(design, SEEDS[0])), ""]
        return [
            flow.write_script(folder / "synth.ys", "\n".join(synthesis)),
            flow.write_script(folder / f"{NAME}.lpf", pins(design)),
            flow.write_script(folder / "commands.sh", "\n".join(shell)),
        ]

    def run(self, design: Design, folder: Path, tools: list[Tool]) -> None:
        """Run the chain. Raises FlowError."""
        for name in (f"{NAME}.json", f"{NAME}.config", f"{NAME}.bit", "report.json"):
            (folder / name).unlink(missing_ok=True)
        yosys.run(tools[0], folder, "synth.ys", "yosys.log")
        paths = {tool.name: tool.path for tool in tools}
        for self.seed in SEEDS:
            try:
                for command in _commands(design, self.seed):
                    flow.call([paths[command[0]], *command[1:]], folder, f"{command[0]}.log", limit_s=SEED_LIMIT_S)
            except FlowTimeout:
                if self.seed == SEEDS[-1]:
                    raise
                continue
            if self.report(design, folder).worst_slack_s >= 0:
                return

    def report(self, design: Design, folder: Path) -> Report:
        """Read nextpnr's report. Raises FlowError."""
        path, bitstream = folder / "report.json", folder / f"{NAME}.bit"
        try:
            text = json.loads(path.read_text(encoding="utf-8"))
            clocks = {name: clock["achieved"] * 1e6 for name, clock in text["fmax"].items()}
            used = {kind: text["utilization"].get(cell, {}).get("used", 0) for kind, cell in KINDS.items()}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FlowError(f"nextpnr-ecp5 left no report that can be read at {path}: {error}") from None
        if not clocks:
            raise FlowError(f"nextpnr-ecp5 found no clock in {design.top}: see {folder / 'nextpnr-ecp5.log'}")
        if not bitstream.is_file() or not bitstream.stat().st_size:
            raise FlowError(f"ecppack left no bitstream: see {folder / 'ecppack.log'}")
        max_clk_hz = min(clocks.values())
        memory = int(design.parameters.get("MemoryWords", 0)) * design.config.axi_bits // 8
        facts = {"clocks_hz": clocks, "memory_bytes": memory, "seed": self.seed}
        return Report(used, 1 / design.clk_hz - 1 / max_clk_hz, max_clk_hz, {bitstream.name: bitstream}, facts)


def pins(design: Design) -> str:
    """Return the constraints: clock, and place, standard and pull of every pin."""
    lines = [f"# {design.name}", f'FREQUENCY PORT "{_clock_pin(design)}" {design.board.oscillator_hz / 1e6:g} MHZ;']
    for signal, pin in design.board.pins.items():
        lines.append(f'LOCATE COMP "{signal}" SITE "{pin["pin"]}";')
        lines.append(f'IOBUF PORT "{signal}" PULLMODE={pin["pull"]} IO_TYPE={pin.get("standard", "LVCMOS33")};')
    return "\n".join([*lines, ""])


def _clock_pin(design: Design) -> str:
    clocks = [signal for signal in design.board.pins if signal.startswith("clk")]
    if len(clocks) != 1:
        raise DesignError(f"board {design.board.name} has {len(clocks)} pins named clk...; only the oscillator's may be")
    return clocks[0]


def _commands(design: Design, seed: int) -> list[list[str]]:
    """Return the calls behind Yosys."""
    part = re.fullmatch(r"LFE5U-(\d+)F-(\d)(BG\d+)[CI]", design.board.part)
    if part is None or part[3] not in PACKAGES:
        raise DesignError(f"part {design.board.part} of board {design.board.name} is no LFE5U-<size>F-<speed><package><grade>")
    return [
        [
            "nextpnr-ecp5", f"--{part[1]}k", "--package", PACKAGES[part[3]], "--speed", part[2], "--json", f"{NAME}.json",
            "--lpf", f"{NAME}.lpf", "--textcfg", f"{NAME}.config", "--report", "report.json",
            "--freq", f"{design.clk_hz / 1e6:g}", "--timing-allow-fail", "--seed", str(seed),
            "--placer", "static", "--router", "router2",
        ],
        ["ecppack", "--compress", f"{NAME}.config", f"{NAME}.bit"],
    ]  # fmt: skip
