"""Yosys: finding one with the SystemVerilog front end slang, and running a script with it.

A `yosys` on PATH that has slang is taken, else pip's pyosys, which always has it; that one is run in a process of its own:
`python -m hw.yosys script.ys`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from hw import flow
from hw.design import Design
from hw.flow import FlowError, Tool

GET = "pip install 'joulegrad[bitstream]'"
NICENESS = 10
XILINX_CELLS = "read_verilog -lib -specify +/xilinx/cells_sim.v +/xilinx/cells_xtra.v"
"""Has to come first where a top instantiates cells of the part that take no parameters; hw/primitives declares the others."""
XC7_NETS = "scratchpad -set synth_xilinx.abc9.W 800"
"""Picoseconds that the mapper counts for a net of an XC7Z020. With its own 300 the delay through a multiplier is the longest by
far, and paths of LUTs that are shorter are drawn out to it for the sake of a few LUTs."""


def find() -> Tool:
    """Return a Yosys that reads SystemVerilog.

    Raises:
        FlowError: there is none, or the one on PATH does not run and pyosys is not installed.
    """
    path = shutil.which("yosys")
    if path and _has_slang(path):
        done = subprocess.run([path, "-V"], capture_output=True, text=True, timeout=flow.VERSION_TIMEOUT_S)
        return Tool("yosys", path, (done.stdout.strip().splitlines() or ["unknown"])[0])
    if importlib.util.find_spec("pyosys"):
        return Tool("pyosys", sys.executable, f"pyosys {importlib.metadata.version('pyosys')}")
    seen = f"the yosys on PATH ({path}) has no slang front end" if path else "there is none on PATH"
    raise FlowError(f"Yosys with SystemVerilog is needed and {seen}: {GET}")


def run(tool: Tool, folder: Path, script: str, log: str) -> str:
    """Run a script that lies in the folder and return what Yosys says. Raises FlowError."""
    if tool.name == "yosys":
        return flow.call([tool.path, "-s", script], folder, log)
    root = str(Path(__file__).parents[1])
    searched = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return flow.call([tool.path, "-m", "hw.yosys", script], folder, log, {"PYTHONPATH": searched})


def read(design: Design, sources: list[str]) -> str:
    """Return the command that reads a design with its parameters; the sources are as seen from the script's folder."""
    parameters = " ".join(f"-G {name}={value}" for name, value in design.parameters.items())
    return f"read_slang -D SYNTHESIS --top {design.top} {parameters} {' '.join(sources)}"


def _has_slang(path: str) -> bool:
    try:
        command = [path, "-Q", "-p", "help read_slang"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=flow.VERSION_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and "No such command" not in done.stdout + done.stderr


def main(arguments: list[str]) -> int:
    """Run a script with pyosys and return the exit code."""
    from pyosys import libyosys

    os.nice(NICENESS)
    libyosys.run_pass(f"script {arguments[0]}", libyosys.Design())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
