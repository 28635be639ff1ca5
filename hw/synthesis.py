"""Resources of the core on a Xilinx 7-series part by Yosys: `python -m hw.synthesis z7020`.

LUT in this project is Yosys' estimated number of logic cells (LCs); raw LUT cells are reported beside it. RAMB18 count
half. Prints one JSON object and ends with 1 when a limit is exceeded.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from hw import flow, simulate, verilator, yosys
from hw.config import Config, ConfigError, load_config
from hw.design import DesignError, declared_parameters, load_board, reachable
from hw.flow_yosys import count

BOARD = "pynq-z2"
_BOARD_LIMITS = load_board(BOARD).limits
LIMITS = {"dsp48e1": _BOARD_LIMITS["dsp"], "estimated_lcs": _BOARD_LIMITS["lut"], "bram36": _BOARD_LIMITS["bram36"]}
"""What an XC7Z020 has for the core, with room for the interconnect: hw/boards."""


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
    declared = declared_parameters(module)
    return {name: value for name, value in simulate.parameters(config).items() if name in declared}


def synthesise(config: Config, top: str = simulate.TOP) -> Resources:
    """Synthesise a module with a configuration's parameters, in a process of its own at low priority.

    Raises:
        SynthesisError: Yosys is not installed, or fails, or there is no such module.
    """
    try:
        tool = yosys.find()
        with tempfile.TemporaryDirectory() as work:
            folder = Path(work)
            flow.write_script(folder / "synthesis.ys", "\n".join([*_script(config, top), ""]))
            yosys.run(tool, folder, "synthesis.ys", "yosys.log")
            return _resources((folder / "stat.json").read_text(), top, config.name)
    except (DesignError, flow.FlowError, OSError) as error:
        raise SynthesisError(f"Yosys does not synthesise {top}: {error}") from None


def _script(config: Config, top: str) -> list[str]:
    sources = [verilator.write_package(), *reachable(top)]
    parameters = " ".join(f"-G {name}={value}" for name, value in parameters_of(sources[-1], config).items())
    return [
        f"read_slang -D SYNTHESIS --top {top} {parameters} {' '.join(map(str, sources))}",
        yosys.XC7_NETS,
        f"synth_xilinx -family xc7 -flatten -noiopad -top {top}",
        "tee -q -o stat.json stat -json -tech xilinx",
    ]


def _resources(text: str, top: str, config: str) -> Resources:
    statistics = json.loads(text)
    taken = count(statistics["design"])
    return Resources(
        top=top, config=config, dsp48e1=int(taken["dsp"]), estimated_lcs=int(taken["estimated_lcs"]),
        lut_cells=int(taken["lut_cells"]), lut_rams=int(taken["lut_rams"]), flip_flops=int(taken["flip_flops"]),
        carry4=int(taken["carries"]), bram36=taken["bram36"], yosys=statistics.get("creator", "Yosys"),
    )  # fmt: skip


def main(arguments: list[str]) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m hw.synthesis", description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", help="configuration, by name or path")
    parser.add_argument("--top", default=simulate.TOP, help="module to synthesise instead of the whole core")
    options = parser.parse_args(arguments)
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
