"""Resources of the core on a Xilinx 7-series part by Yosys: `python -m hw.synthesis z7020`.

LUT in this project is Yosys' estimated number of logic cells (LCs); raw LUT cells are reported beside it. RAMB18 count
half. Prints one JSON object and ends with 1 when a limit is exceeded.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from hw import simulate, verilator
from hw.config import Config, ConfigError, load_config

LIMITS = {"dsp48e1": 200, "estimated_lcs": 40_000, "bram36": 130}
"""What an XC7Z020 (220, 53,200, 140) has for the core, with room for the interconnect."""
NICENESS = 10
TIMEOUT_S = 3 * 3600


class SynthesisError(RuntimeError):
    """Yosys is missing or refuses the sources; the message says what it said."""


@dataclass(frozen=True)
class Resources:
    """What a synthesised module takes; `lut_cells` are LUT1 to LUT6, `lut_rams` distributed memory cells."""

    top: str
    config: str
    dsp48e1: int
    estimated_lcs: int
    lut_cells: int
    lut_rams: int
    flip_flops: int
    carry4: int
    bram36: float
    yosys: str

    def exceeded(self) -> list[str]:
        """Return one sentence per limit of LIMITS that is exceeded."""
        taken = {name: (getattr(self, name), limit) for name, limit in LIMITS.items()}
        who = f"{self.top} in {self.config}"
        return [f"{who} takes {got} {name}, at most {limit} fit" for name, (got, limit) in taken.items() if got > limit]


def parameters_of(module: Path, config: Config) -> dict[str, str]:
    """Return the parameters of a configuration that the module declares."""
    text = module.read_text()
    declared = set(re.findall(r"^\s*parameter\s[^=\n]*?(\w+)\s*=", text, re.MULTILINE))
    declared |= set(re.findall(r"[#(,]\s*parameter\s[^=\n]*?(\w+)\s*=", text))
    return {name: value for name, value in simulate.parameters(config).items() if name in declared}


def synthesise(config: Config, top: str = simulate.TOP) -> Resources:
    """Synthesise a module with a configuration's parameters, in a process of its own at low priority.

    Raises:
        SynthesisError: pyosys is not installed, or Yosys fails.
    """
    with tempfile.TemporaryDirectory() as work:
        statistics = Path(work) / "stat.json"
        job = {"top": top, "script": _script(config, top, statistics)}
        done = subprocess.run(
            [sys.executable, "-m", "hw.synthesis", "--job", json.dumps(job)],
            capture_output=True, text=True, timeout=TIMEOUT_S, cwd=Path(__file__).parents[1],
        )  # fmt: skip
        if done.returncode or not statistics.is_file():
            text = (done.stdout + done.stderr).strip()
            errors = [line for line in text.splitlines() if "rror" in line]
            raise SynthesisError(f"Yosys does not synthesise {top}: {(errors or text.splitlines() or ['no output'])[0]}")
        return _resources(statistics.read_text(), top, config.name)


def _script(config: Config, top: str, statistics: Path) -> list[str]:
    files = simulate.rtl_files()
    module = next((path for path in files if path.stem == top), None)
    if module is None:
        raise SynthesisError(f"{top} is none of the modules in {simulate.FILES}")
    # The slang front end wants the package before those that import it; the list is in dependency order.
    sources = " ".join(map(str, [verilator.write_package(), *files]))
    parameters = " ".join(f"-G {name}={value}" for name, value in parameters_of(module, config).items())
    return [
        f"read_slang -D SYNTHESIS --top {top} {parameters} {sources}",
        f"synth_xilinx -family xc7 -flatten -noiopad -top {top}",
        f"tee -q -o {statistics} stat -json -tech xilinx",
    ]


def _run_job(job: dict) -> None:
    try:
        from pyosys import libyosys
    except ImportError:
        sys.exit("Error: synthesis needs Yosys: pip install pyosys")
    os.nice(NICENESS)
    design = libyosys.Design()
    for command in job["script"]:
        libyosys.run_pass(command, design)


def _resources(text: str, top: str, config: str) -> Resources:
    statistics = json.loads(text)
    design = statistics["design"]
    cells = design["num_cells_by_type"]

    def count(*prefixes: str) -> int:
        return sum(number for cell, number in cells.items() if cell.startswith(prefixes))

    return Resources(
        top=top, config=config, dsp48e1=count("DSP48E1"), estimated_lcs=int(design["estimated_num_lc"]),
        lut_cells=count("LUT"), lut_rams=count("RAM32", "RAM64", "RAM128"), flip_flops=count("FD"), carry4=count("CARRY4"),
        bram36=count("RAMB36") + count("RAMB18") / 2, yosys=statistics.get("creator", "Yosys"),
    )  # fmt: skip


def main(arguments: list[str]) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m hw.synthesis", description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", help="configuration, by name or path")
    parser.add_argument("--top", default=simulate.TOP, help="module to synthesise instead of the whole core")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.job:
        _run_job(json.loads(options.job))
        return 0
    if not options.config:
        parser.error("the name of a configuration is needed, such as z7020")
    try:
        resources = synthesise(load_config(options.config), options.top)
    except (SynthesisError, ConfigError, verilator.ToolError) as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(asdict(resources), indent=1))
    for sentence in resources.exceeded():
        print(sentence, file=sys.stderr)
    return 1 if resources.exceeded() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
