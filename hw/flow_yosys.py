"""Resources of the core by Yosys, with no vendor tool: what it takes, where its memories went, what must not be in it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from hw import flow, yosys
from hw.design import FAMILIES, Design
from hw.flow import FlowError, Report, Tool

SYNTHESIS = {
    "xc7": "synth_xilinx -family xc7 -flatten -noiopad",
    "xcup": "synth_xilinx -family xcup -flatten -noiopad",
    "ecp5": "synth_ecp5",
}
STATISTICS = {"xc7": "-tech xilinx", "xcup": "-tech xilinx", "ecp5": ""}
SEQUENTIAL = (
    "t:FD* t:DSP48* t:RAMB* t:RAM32* t:RAM64* t:RAM128* t:RAM256* t:URAM* "
    "t:TRELLIS_FF t:DP16KD t:MULT18X18D t:TRELLIS_DPR16X4"
)
"""Cells that a path begins and ends at; a memory of LUTs or a multiplier without registers counts as one, too."""
CARRIES = "t:CARRY* t:CCU2C"
SAID = ("check.txt", "path.txt", "levels.txt", "yosys.log")
RAM = ".mem_q"
"""End of the name of every array in the modules that are memories; other arrays of the RTL are registers and meant to be."""
CELLS = {
    "dsp": ("DSP48", "MULT18X18D"),
    "lut_cells": ("LUT",),
    "lut_rams": ("RAM32", "RAM64", "RAM128", "RAM256", "TRELLIS_DPR16X4"),
    "flip_flops": ("FD", "TRELLIS_FF"),
    "carries": ("CARRY", "CCU2C"),
    "ebr": ("DP16KD",),
    "uram": ("URAM",),
    "latches": ("LD", "$_DLATCH"),
}
"""Kind of resource to the beginnings of the cells' names."""


class Flow(flow.Flow):
    """Yosys alone; no placement, so no clock."""

    get = yosys.GET
    makes_bitstream = False

    def find(self) -> list[Tool]:
        """Return Yosys. Raises FlowError."""
        return [yosys.find()]

    def write(self, design: Design, folder: Path) -> list[Path]:
        """Write resources.ys: synthesis, checks, statistics, and the longest path with all registers taken out."""
        family = FAMILIES[design.board.family]
        commands = [
            yosys.read(design, flow.copy_sources(design, folder)),
            f"{SYNTHESIS[family]} -top {design.top}",
            "tee -q -o check.txt check",
            f"tee -q -o statistics.json stat -json {STATISTICS[family]}".rstrip(),
            f"delete {SEQUENTIAL}",
            "tee -q -o path.txt ltp",
            f"delete {CARRIES}",
            "tee -q -o levels.txt ltp",
        ]
        return [flow.write_script(folder / "resources.ys", "\n".join([*commands, ""]))]

    def run(self, design: Design, folder: Path, tools: list[Tool]) -> None:
        """Run the script. Raises FlowError."""
        for name in ("statistics.json", "check.txt", "path.txt", "levels.txt"):
            (folder / name).unlink(missing_ok=True)
        yosys.run(tools[0], folder, "resources.ys", "yosys.log")

    def report(self, design: Design, folder: Path) -> Report:
        """Count cells, list memories, and name what must not be. Raises FlowError."""
        try:
            statistics = json.loads((folder / "statistics.json").read_text(encoding="utf-8"))
            said = {name: (folder / name).read_text(encoding="utf-8") for name in SAID}
        except (OSError, ValueError) as error:
            raise FlowError(f"Yosys left no report in {folder}: {error}") from None
        resources = count(statistics["design"])
        kept = memories(said["yosys.log"])
        levels = longest_path(said["levels.txt"])["cells"]
        path = {**longest_path(said["path.txt"]), "luts_between_carries": levels}
        facts = {"memories": kept, "longest_path": path, "yosys": statistics.get("creator", "Yosys")}
        faults = [*check_faults(said["check.txt"])]
        if resources["latches"]:
            faults.append(f"{resources['latches']:g} latches are in {design.top}; there must be none")
        lost = [name for name, where in kept.items() if where == "flip-flops" and name.endswith(RAM)]
        if lost:
            faults.append(f"memories that fell into flip-flops: {', '.join(lost)}")
        for kind, most in design.board.capacity.items():
            taken = resources.get("estimated_lcs" if kind == "lut" else kind, 0)
            if taken > most:
                faults.append(f"{design.config.name} takes {taken:g} {kind}, {design.board.part} has {most}")
        return Report(resources, None, None, {}, facts, tuple(faults))


def count(design: dict) -> dict[str, float]:
    """Return resources from the `design` of a statistics file; RAMB18 count half."""
    cells = design["num_cells_by_type"]

    def sum_of(prefixes: tuple[str, ...]) -> int:
        return sum(number for cell, number in cells.items() if cell.startswith(prefixes))

    resources: dict[str, float] = {kind: sum_of(prefixes) for kind, prefixes in CELLS.items()}
    resources["bram36"] = sum_of(("RAMB36",)) + sum_of(("RAMB18",)) / 2
    if "estimated_num_lc" in design:
        resources["estimated_lcs"] = int(design["estimated_num_lc"])
    return resources


def memories(log: str) -> dict[str, str]:
    """Return where each memory of the RTL went: the tool's name of a block, "flip-flops", or "logic" for constants."""
    found = dict(re.findall(r"^mapping memory (\S+) via (?:\$__)?(\S+?)_?$", log, re.MULTILINE))
    for name in re.findall(r"^using FF mapping for memory (\S+?)$", log, re.MULTILINE):
        found[name] = "logic" if "$proc_rom" in name else "flip-flops"
    return found


def longest_path(text: str) -> dict:
    """Return the cells on the longest path between registers, and how many of them are carries."""
    length = re.search(r"\(length=(\d+)\)", text)
    carries = len(re.findall(r"\(via [^)]*carry", text, re.IGNORECASE))
    cells = int(length.group(1)) if length else 0
    return {"cells": cells, "carries": carries, "luts": cells - carries}


def check_faults(text: str) -> list[str]:
    """Return what Yosys' check says of several drivers of a net and of combinational loops."""
    kinds = "multiple conflicting drivers for|found logic loop in"
    return sorted(set(re.findall(rf"^Warning: ((?:{kinds}) .*?):?$", text, re.MULTILINE)))
