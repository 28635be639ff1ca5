"""Resources of the core by Yosys, with no vendor tool: what it takes, where its memories went, how long its paths are.

What must not be in it is an error: more cells than the board's limits, a latch, a net with two drivers, a loop, a memory or a
large register that belongs into RAM, a multiplier without registers on both sides, a path too long for the clock.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

from hw import flow, yosys
from hw.design import FAMILIES, Design
from hw.flow import FlowError, Report, Tool
from hw.logic_paths import LogicPath, Multiplier, Netlist

SYNTHESIS = {
    "xc7": f"{yosys.XC7_NETS}\nsynth_xilinx -family xc7 -flatten -noiopad",
    "xcup": "synth_xilinx -family xcup -flatten -noiopad -uram",
    "ecp5": "synth_ecp5",
}
STATISTICS = {"xc7": "-tech xilinx", "xcup": "-tech xilinx", "ecp5": ""}
LEVEL_S = {"xc7": 10e-9 / 9, "xcup": 0.6e-9}
"""A LUT with the net behind it, assumed, on an XC7Z020-1 with room for the clock and for what placement adds: a path may have as
many levels as go into the clock's period. On ECP5 nextpnr tells."""
PATHS = 12
"""Longest paths that a report lists."""
NAMED = 3
"""Of these that are too long, how many a message names."""
BEFORE_MULTIPLIER = 1.0
"""Levels that may stand between a register and a multiplier that does not register its operand itself."""
LARGE_BITS = 1024
"""A register beyond this, and beyond two words of the accumulators, is suspected to be a memory that got lost."""
REGISTER_ARRAYS = {
    r"u_vector\.u_maximum\.(pair|four|group)_q": "stages of the tree that finds a maximum: all entries move each cycle",
    r"u_vector\.u_table\.old_q": "two table entries of a lane group: all bits are read each cycle",
    r"u_vector\.u_noise\.lane_q": "state of the lanes' noise: all lanes move each cycle",
}
"""Arrays of the RTL that are registers and meant to be, by name, and why."""
LARGE_REGISTERS = {
    r"u_array\.u_mac_array\.(pe|shadow|working|partial)_q": "one word in each cell of the array, all in use each cycle",
}
"""Registers that are large and meant to be, by name, and why."""
SAID = ("check.txt", "yosys.log", "analysis.json")
WHERE = {"LUTRAM": "LUT RAM", "DPR16X4": "LUT RAM", "BLOCKRAM": "block RAM", "DP16KD": "block RAM", "PDPW16KD": "block RAM",
         "URAM": "UltraRAM"}  # fmt: skip
"""Part of what Yosys calls a kind of memory to what it is."""
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
        """Write resources.ys: synthesis, checks, statistics, the mapped netlist."""
        family = FAMILIES[design.board.family]
        commands = [
            yosys.read(design, flow.copy_sources(design, folder)),
            f"{SYNTHESIS[family]} -top {design.top}",
            "tee -q -o check.txt check",
            f"tee -q -o statistics.json stat -json {STATISTICS[family]}".rstrip(),
            "write_json netlist.json",
        ]
        return [flow.write_script(folder / "resources.ys", "\n".join([*commands, ""]))]

    def run(self, design: Design, folder: Path, tools: list[Tool]) -> None:
        """Run the script and look into the netlist, which is not kept. Raises FlowError."""
        for name in ("statistics.json", "netlist.json", *SAID):
            (folder / name).unlink(missing_ok=True)
        yosys.run(tools[0], folder, "resources.ys", "yosys.log")
        netlist = folder / "netlist.json"
        try:
            module = json.loads(netlist.read_text(encoding="utf-8"))["modules"][design.top]
        except (OSError, ValueError, KeyError) as error:
            raise FlowError(f"Yosys left no netlist of {design.top} in {folder}: {error}") from None
        flow.write_script(folder / "analysis.json", json.dumps(analysis(module)))
        netlist.unlink()

    def report(self, design: Design, folder: Path) -> Report:
        """Count cells, list memories and long paths, and name what must not be. Raises FlowError."""
        try:
            statistics = json.loads((folder / "statistics.json").read_text(encoding="utf-8"))
            said = {name: (folder / name).read_text(encoding="utf-8") for name in SAID}
        except (OSError, ValueError) as error:
            raise FlowError(f"Yosys left no report in {folder}: {error}") from None
        found = json.loads(said["analysis.json"])
        resources = count(statistics["design"])
        kept = {
            name: {"where": where, "cells": found["memory_cells"].get(name, {})}
            for name, where in memories(said["yosys.log"], design.top).items()
        }
        paths = [LogicPath(**path) for path in found["paths"]]
        multipliers = [Multiplier(**one) for one in found["multipliers"]]
        facts = {
            "limits": limits(design), "memories": kept, "registers": found["registers"], "paths": found["paths"],
            "most_levels": most_levels(design), "yosys_delay_s": yosys_delay_s(said["yosys.log"]),
            "multipliers": {"all": len(multipliers), "bare": len(bare(multipliers))},
            "yosys": statistics.get("creator", "Yosys"),
        }  # fmt: skip
        faults = [
            *check_faults(said["check.txt"]),
            *([f"{resources['latches']:g} latches are in {design.top}; there must be none"] if resources["latches"] else []),
            *limit_faults(design, resources),
            *array_faults(design, kept, found["registers"]),
            *speed_faults(design, paths, multipliers),
        ]
        return Report(resources, None, None, {}, facts, tuple(faults))


def analysis(module: dict) -> dict:
    """Return what the manifest wants to know of a mapped module of Yosys' JSON: paths, multipliers, registers, RAM cells."""
    netlist = Netlist(module)
    return {
        "paths": [asdict(path) for path in netlist.longest(PATHS)],
        "multipliers": [asdict(one) for one in netlist.multipliers()],
        "registers": dict(netlist.registers.most_common(PATHS)),
        "memory_cells": {name: dict(cells) for name, cells in netlist.memory_cells.items()},
    }


def limits(design: Design) -> dict[str, int]:
    """Return the most of each kind of resource that the core may take: the board's limits, else all that the part has."""
    return {**design.board.capacity, **design.board.limits}


def most_levels(design: Design) -> float | None:
    """Return the levels of logic that go into the clock's period, None where another tool tells."""
    level_s = LEVEL_S.get(FAMILIES[design.board.family])
    return None if level_s is None else round(1 / (design.clk_hz * level_s), 2)


def limit_faults(design: Design, resources: dict[str, float]) -> list[str]:
    """Return a sentence for each kind of resource that there is too much of."""
    taken = {**resources, "lut": resources.get("estimated_lcs", resources["lut_cells"])}
    of_part = {kind: f"{design.board.capacity.get(kind, most):,}" for kind, most in limits(design).items()}
    return [
        f"{design.config.name} takes {taken[kind]:,g} {kind}, at most {most:,} of the {of_part[kind]} of {design.board.part} "
        "are the core's"
        for kind, most in limits(design).items()
        if taken.get(kind, 0) > most
    ]


def array_faults(design: Design, kept: dict[str, dict], registers: dict[str, int]) -> list[str]:
    """Return a sentence where memories of the RTL, or registers as large as memories, became flip-flops without a reason."""
    lost = [name for name, one in kept.items() if one["where"] == "flip-flops" and not _meant(name, REGISTER_ARRAYS)]
    most = max(LARGE_BITS, 2 * 32 * design.config.g)
    large = [f"{name} ({bits} bits)" for name, bits in registers.items() if bits > most and not _meant(name, LARGE_REGISTERS)]
    return [
        *([f"memories that fell into flip-flops: {', '.join(lost)}"] if lost else []),
        *([f"registers as large as memories: {', '.join(large)}"] if large else []),
    ]


def speed_faults(design: Design, paths: list[LogicPath], multipliers: list[Multiplier]) -> list[str]:
    """Return sentences about what this clock does not leave time for, judged without placement."""
    most = most_levels(design)
    # Yosys puts neither registers nor adders into a DSP48E2: what stands around it in this netlist is not what Vivado makes.
    wrong = bare(multipliers) if FAMILIES[design.board.family] != "xcup" else []
    if most is None:
        return []
    long = [path.sentence for path in paths if path.levels > most]
    named = "; ".join(long[:NAMED]) + ("; and more" if len(long) > NAMED else "")
    return [
        *([f"paths too long for {design.clk_hz / 1e6:g} MHz, where {most:g} levels fit: {named}"] if long else []),
        *([f"multipliers without registers on both sides: {', '.join(sorted({one.name for one in wrong}))}"] if wrong else []),
    ]


def bare(multipliers: list[Multiplier]) -> list[Multiplier]:
    """Return the multipliers that lack a register behind the product, or have logic before an operand."""
    return [one for one in multipliers if not one.registered or one.before > BEFORE_MULTIPLIER]


def yosys_delay_s(log: str) -> float | None:
    """Return the longest delay that Yosys' own mapper counted, from its delays of cells and what it takes for a net."""
    found = re.findall(r"^ABC: \w: +Del = +(\d+\.\d+)", log, re.MULTILINE)
    return round(float(found[-1]) * 1e-12, 12) if found else None


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


def memories(log: str, top: str = "") -> dict[str, str]:
    """Return where each memory of the RTL went: "block RAM", "LUT RAM", "UltraRAM", "flip-flops", or "logic" for constants."""
    found = {}
    for name, kind in re.findall(r"^mapping memory (\S+) via (?:\$__)?(\S+?)_?$", log, re.MULTILINE):
        found[name] = next((where for part, where in WHERE.items() if part in kind), kind)
    for name in re.findall(r"^using FF mapping for memory (\S+?)$", log, re.MULTILINE):
        found[name] = "logic" if "$auto$" in name else "flip-flops"  # no array of the RTL: a table that Yosys made of constants
    return {name.removeprefix(f"{top}."): where for name, where in sorted(found.items())}


def check_faults(text: str) -> list[str]:
    """Return what Yosys' check says of several drivers of a net, of none, and of combinational loops."""
    kinds = "multiple conflicting drivers for|found logic loop in|Wire .* is used but has no driver"
    return sorted(set(re.findall(rf"^Warning: ((?:{kinds}).*?)[:.]?$", text, re.MULTILINE)))


def _meant(name: str, reasons: dict[str, str]) -> bool:
    return any(re.fullmatch(rf"(\w+\.)*{pattern}(\[\d+\])*", name) for pattern in reasons)
