"""Signal activity of the simulated core at work, as a SAIF file for Vivado's report of power.

    python -m hw.signal_activity z7020 --out core.saif
    joulegrad bitstream z7020 --board pynq-z2 --activity core.saif

What is recorded is one convolution on random operands: forward, gradient of the input, gradient of the weights, from the
first to the last cycle of each. It is RTL activity: the tool matches names of registers and guesses what lies between.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
from pathlib import Path

from hw import simulate
from hw.compile import CLEAR
from hw.compile_kernel import SEGMENT, Kernel, compile_kernel
from hw.config import Config, ConfigError, load_config
from hw.simulated_core import DDR_BASE, SimulatedCore, register_address
from hw.verilator import ToolError

PRODUCTS = ("forward", "grad_input", "grad_weight")
MODEL = simulate.Model(
    around=simulate.HW / "sim_saif", prefix="saif-", flags=("--trace-saif",), made_from=tuple(sorted(simulate.SIM.glob("*.*"))),
)  # fmt: skip
BUSY, DONE = 1, 2
CLEAR_INTERRUPT = 4
MOST_CYCLES = 2_000_000


class ActivityError(RuntimeError):
    """The record could not be made; the message says why."""


def record(config: Config, path: Path, side: int = 8) -> dict[str, int]:
    """Run the three products of a 3 x 3 convolution with two groups of channels, record them, and return cycles by product.

    Args:
        config: the core.
        path: SAIF file to write.
        side: height and width of the images.

    Raises:
        verilator.ToolError: a tool is missing or the build fails.
        ActivityError: the file cannot be written, or the core ends with an error.
    """
    try:
        path.write_bytes(b"")
    except OSError as error:
        raise ActivityError(f"the SAIF file {path} cannot be written: {error.strerror or error}") from None
    library_path = simulate.build(config, model=MODEL)
    library = ctypes.CDLL(str(library_path))
    library.core_record_open.argtypes = (ctypes.c_char_p, ctypes.c_uint64)
    channels = 2 * config.g
    kernels = {kind: compile_kernel(kind, 1, channels, channels, side, side, 3, 1, 1, config) for kind in PRODUCTS}
    core = SimulatedCore(config, library=library_path)
    try:
        _prepare(core, kernels["forward"])
        if not library.core_record_open(str(path).encode(), round(0.5e12 / config.clk_hz)):
            raise ActivityError(f"the SAIF file {path} cannot be written")
        cycles = {}
        for kind, kernel in kernels.items():
            if kind != "forward":
                _prepare(core, kernel)
            cycles[kind] = _run(core, kernel, SEGMENT)
        library.core_record_close()
    finally:
        core.close()
    return cycles


def _prepare(core: SimulatedCore, kernel: Kernel) -> None:
    image = kernel.program.image()
    core.ddr[: image.size] = image
    core.write_register(register_address("BASE_LO"), DDR_BASE)
    core.write_register(register_address("IRQ_ENABLE"), 1)  # the simulation runs until the interrupt, not beyond
    _run(core, kernel, CLEAR)


def _run(core: SimulatedCore, kernel: Kernel, segment: str) -> int:
    """Run a segment and return its cycles."""
    entry, begun = kernel.program.segments[segment], core.cycles
    for name, value in (("SEG_ADDR", entry.address), ("SEG_COUNT", entry.count), ("CTRL", 1)):
        core.write_register(register_address(name), value)
    while (status := core.read_register(register_address("STATUS"))) & BUSY:
        core.run(256)
        if core.cycles - begun > MOST_CYCLES:
            raise ActivityError(f"segment {segment} did not end within {MOST_CYCLES} cycles")
    core.write_register(register_address("CTRL"), CLEAR_INTERRUPT)
    if status != DONE:
        raise ActivityError(f"segment {segment} ended with status {status:#x}")
    return core.cycles - begun


def main(arguments: list[str]) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m hw.signal_activity", description=__doc__.splitlines()[0])
    parser.add_argument("config", help="configuration, by name or path")
    parser.add_argument("--out", type=Path, required=True, help="SAIF file to write")
    options = parser.parse_args(arguments)
    try:
        cycles = record(load_config(options.config), options.out)
    except (ActivityError, ConfigError, ToolError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{options.out}: {', '.join(f'{kind} {number} cycles' for kind, number in cycles.items())}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
