"""Lint the core, and what stands around it on boards, with Verilator, every warning on: `python -m hw.lint [CONFIG ...]`."""

from __future__ import annotations

import argparse
import subprocess
import sys

from hw import simulate, verilator
from hw.config import CONFIGS, Config, ConfigError, load_config
from hw.design import declared_parameters, reachable

TIMEOUT_S = 600
WIDEST_BITS = 32 * 32 * 32
"""Of a register that is cleared at once: the accumulators of the largest array."""
TOPS = (simulate.TOP, "joulegrad_zynq", "serial_board_top")
"""Modules without cells of a part, with all that is below them."""


def lint(config: Config, top: str = simulate.TOP) -> str:
    """Return what Verilator says of a module and all below it in a configuration; empty when it says nothing.

    Raises:
        verilator.ToolError: Verilator or an RTL file is missing.
    """
    tool = verilator.find()
    sources = simulate.rtl_files() if top == simulate.TOP else reachable(top)
    declared = declared_parameters(sources[-1])
    command = [
        str(tool.executable), "--lint-only", "-Wall", "--assert", "--quiet", "--top-module", top,
        "--replication-limit", str(WIDEST_BITS),
        *(f"-G{name}={value}" for name, value in simulate.parameters(config).items() if name in declared),
        *map(str, [verilator.LINT, verilator.write_package(), *sources]),
    ]  # fmt: skip
    done = subprocess.run(command, env=tool.environment(), capture_output=True, text=True, timeout=TIMEOUT_S)
    text = (done.stdout + done.stderr).strip()
    return text or (f"verilator ended with {done.returncode}" if done.returncode else "")


def main(arguments: list[str]) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m hw.lint", description=__doc__.partition(":")[0])
    parser.add_argument("config", nargs="*", help="configuration, by name or path; all where none is given")
    failed = 0
    for name in parser.parse_args(arguments).config or sorted(path.stem for path in CONFIGS.glob("*.json")):
        try:
            config = load_config(name)
            text = "\n".join(filter(None, (lint(config, top) for top in TOPS)))
        except (verilator.ToolError, ConfigError) as error:
            print(error, file=sys.stderr)
            return 2
        print(f"{name}: {'clean' if not text else 'has warnings'}", file=sys.stderr)
        if text:
            print(text)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
