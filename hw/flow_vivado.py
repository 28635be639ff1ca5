"""Zynq bitstreams with Vivado: the processing system in a block design, .bit and .hwh under one name for pynq.Overlay."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from hw import flow
from hw.design import Design
from hw.flow import FlowError, Report, Tool
from hw.vivado_script import NAME, script
from hw.vivado_wrapper import MODULE, wrapper

ACTIVITY = "activity.saif"
RESOURCES = {
    "lut": r"(?:Slice|CLB) LUTs\*?", "lut_rams": "LUT as Memory", "flip_flops": r"(?:Slice|CLB) Registers",
    "bram36": "Block RAM Tile", "uram": "URAM", "dsp": "DSPs",
}  # fmt: skip
"""Resource to the name of its row in report_utilization, whose wording differs by family and version."""
NOT_EVERYWHERE = ("uram",)
"""Resources that not every part has."""


class Flow(flow.Flow):
    """Vivado in batch mode, any version from 2020.1."""

    get = "install Vivado, 2020.1 or later, and source its settings64.sh; --tool yosys reports resources without it"

    def __init__(self, activity: Path | None = None):
        """Take a SAIF file of signal activity of the simulated core, for report_power.

        Raises:
            FlowError: there is no such file.
        """
        if activity is not None and not activity.is_file():
            raise FlowError(f"the SAIF file {activity} is not there")
        self.activity = activity

    def find(self) -> list[Tool]:
        """Return Vivado. Raises FlowError."""
        return [self.program("vivado", "-version")]

    def write(self, design: Design, folder: Path) -> list[Path]:
        """Write build.tcl, the wrapper of the core, and copies of all it reads."""
        sources = flow.copy_sources(design, folder)
        (folder / ACTIVITY).unlink(missing_ok=True)
        if self.activity is not None:
            shutil.copyfile(self.activity, folder / ACTIVITY)
        return [
            flow.write_script(folder / "build.tcl", script(design, sources, ACTIVITY if self.activity else None)),
            flow.write_script(folder / f"{MODULE}.v", wrapper(design)),
        ]

    def run(self, design: Design, folder: Path, tools: list[Tool]) -> None:
        """Run the script. Raises FlowError."""
        for name in ("result.txt", f"{NAME}.bit", f"{NAME}.hwh"):
            (folder / name).unlink(missing_ok=True)
        command = [tools[0].path, "-mode", "batch", "-nojournal", "-log", "vivado.log", "-source", "build.tcl"]
        flow.call(command, folder, "console.log")

    def report(self, design: Design, folder: Path) -> Report:
        """Read utilisation, timing and power. Raises FlowError."""
        result = dict(line.split(None, 1) for line in _read(folder / "result.txt").splitlines() if " " in line)
        try:
            setup, hold, period = (float(result[name]) for name in ("setup_slack_ns", "hold_slack_ns", "period_ns"))
        except (KeyError, ValueError):
            raise FlowError(f"{folder / 'result.txt'} does not hold slacks and period: {result}") from None
        faults = () if hold >= 0 else (f"hold times are not met: the worst slack is {hold:.3f} ns",)
        if clock := _clock_fault(design, period):
            faults += (clock,)
        power = _power(_read(folder / "power.rpt"))
        if self.activity and not power["nets_matched"]:
            faults += (f"the SAIF file {self.activity} matches no net, so the report of power is not of it: see unmatched.rpt",)
        facts = {
            "hold_slack_s": hold * 1e-9, "clock_period_s": period * 1e-9, "power": power,
            "power_activity": "SAIF of the simulated core" if self.activity else "none: the tool's default toggle rates",
        }  # fmt: skip
        files = {f"{NAME}.{suffix}": folder / f"{NAME}.{suffix}" for suffix in ("bit", "hwh")}
        resources = _resources(_read(folder / "utilisation.rpt"))
        return Report(resources, setup * 1e-9, 1e9 / (period - setup), files, facts, faults)


def _clock_fault(design: Design, period_ns: float) -> str | None:
    # The processing system divides a PLL by whole numbers: slower than asked for is what it gave, faster is never right.
    if period_ns < design.period_ns * 0.999:
        return f"the processing system gives a clock of {1e3 / period_ns:.3f} MHz, {design.clk_hz / 1e6:g} MHz was asked for"
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        raise FlowError(f"Vivado left no {path}: see console.log beside it") from None


def _resources(text: str) -> dict[str, float]:
    found = {}
    for name, pattern in RESOURCES.items():
        row = re.search(rf"^\|\s*{pattern}\s*\|\s*([\d.]+)\s*\|", text, re.MULTILINE)
        if row is None and name in NOT_EVERYWHERE:
            continue
        if row is None:
            raise FlowError(f"Vivado's report_utilization has no row for {name} ({pattern})")
        found[name] = float(row.group(1))
    return found


def _power(text: str) -> dict:
    """Return watts by what report_power calls them, its confidence, and how many nets a SAIF file gave the activity of.

    All of it is the tool's estimate.
    """
    rows = {"total_w": r"Total On-Chip Power \(W\)", "dynamic_w": r"Dynamic \(W\)", "static_w": r"Device Static \(W\)"}
    found = {}
    for name, pattern in rows.items():
        row = re.search(rf"^\|\s*{pattern}\s*\|\s*([\d.]+)", text, re.MULTILINE)
        if row is None:
            raise FlowError(f"Vivado's report_power has no row for {name} ({pattern})")
        found[name] = float(row.group(1))
    confidence = re.search(r"^\|\s*Confidence Level\s*\|\s*(\w+)", text, re.MULTILINE)
    matched = re.search(r"^\|\s*Design Nets Matched\s*\|[^|]*\(\s*(\d+)\s*/\s*(\d+)\s*\)", text, re.MULTILINE)
    return {
        **found, "confidence": confidence.group(1) if confidence else None, "label": "estimated by Vivado",
        "nets_matched": int(matched.group(1)) if matched else 0, "nets": int(matched.group(2)) if matched else None,
    }  # fmt: skip
