"""Lint the whole core with Verilator, every warning on: `python -m hw.lint [CONFIG ...]`."""

from __future__ import annotations

import subprocess
import sys

from hw import simulate, verilator
from hw.config import CONFIGS, Config, ConfigError, load_config

TIMEOUT_S = 600


def lint(config: Config) -> str:
    """Return what Verilator says of the core in a configuration; empty when it says nothing.

    Raises:
        verilator.ToolError: Verilator or an RTL file is missing.
    """
    tool = verilator.find()
    command = [
        str(tool.executable), "--lint-only", "-Wall", "--assert", "--quiet", "--top-module", simulate.TOP,
        *(f"-G{name}={value}" for name, value in simulate.parameters(config).items()),
        *map(str, [verilator.LINT, verilator.write_package(), *simulate.rtl_files()]),
    ]  # fmt: skip
    done = subprocess.run(command, env=tool.environment(), capture_output=True, text=True, timeout=TIMEOUT_S)
    text = (done.stdout + done.stderr).strip()
    return text or (f"verilator ended with {done.returncode}" if done.returncode else "")


def main(names: list[str]) -> int:
    """Lint the named configurations, or all, and return the exit code."""
    failed = 0
    for name in names or sorted(path.stem for path in CONFIGS.glob("*.json")):
        try:
            text = lint(load_config(name))
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
