"""Digits on the board with a serial line, verilated with its UART pins, behind a pseudo-terminal: equal to `--board sim`?

`python -m host.benchmark_serial_board ecp5`: trains the same iterations on the simulated board and through pyserial, then again
with a share of the bytes changed or lost in both directions, and compares every weight, statistic, exponent and exact counter.
Prints one JSON object; ends with 1 where anything differs. The board has more memory than fits an ECP5.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from host.board import Board, open_board
from host.runtime import Runtime
from hw import isa
from hw.config import load_config
from hw.program import Program
from hw.simulated_board import LineSettings

NOISE = 1e-4


def trained(board: Board, program: Program, state, batches: list) -> dict:
    """Train on an opened board and return all that must be equal: tensors, exponents, exact counters of each iteration."""
    runtime = Runtime(board, program, state)
    counters = [
        {name: count for name, count in iteration.total_counters().items() if name not in isa.TIMING_COUNTERS}
        for iteration in runtime.train(batches)
    ]
    return {"tensors": runtime.tensors(), "state": runtime.state, "counters": counters}


def differing(got: dict, wanted: dict) -> list[str]:
    """Return the names of what differs between two results of `trained`."""
    names = [name for name, tensor in wanted["tensors"].items() if not np.array_equal(got["tensors"][name], tensor)]
    return names + [name for name in ("state", "counters") if got[name] != wanted[name]]


@contextmanager
def played(config: str, noise: float = 0.0, clocks_per_bit: int = LineSettings.clocks_per_bit, host_clocks_per_bit: int = 0):
    """Run hw.play_serial_board; yields the board's URL, its process, and a function that ends it and returns its record."""
    settings = {"noise": noise, "clocks-per-bit": clocks_per_bit, "host-clocks-per-bit": host_clocks_per_bit}
    options = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    board = subprocess.Popen(
        [sys.executable, "-m", "hw.play_serial_board", config, *options],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1],
    )  # fmt: skip

    def record() -> dict:
        board.stdin.close()
        return json.loads(board.stdout.readline())

    try:
        line = json.loads(board.stdout.readline())
        yield f"serial:{line['port']}?baud={line['baud']}", board, record
    finally:
        board.stdin.close()
        board.wait(60)
        board.stdout.close()


def over_the_line(config_name: str, noise: float, clocks_per_bit: int, run: Callable[[Board], dict]) -> tuple[dict, dict]:
    """Return what `run` returns on a board behind a line, and what went over the line."""
    with played(config_name, noise, clocks_per_bit) as (url, _, record):
        began_s = time.monotonic()
        with open_board(url, load_config(config_name)) as board:
            result = run(board)
            sent = {"seconds": round(time.monotonic() - began_s, 1), "repeated": board.link.repeated}
        return result, {**sent, **record()}


def main(arguments: list[str]) -> int:
    """Run the command line and return the exit code."""
    from algo.train import export_digits
    from hw.compile import compile_step

    parser = argparse.ArgumentParser(prog="python -m host.benchmark_serial_board", description=__doc__.splitlines()[0])
    parser.add_argument("config", help="configuration, by name or path")
    parser.add_argument("--steps", type=int, default=10, help="iterations")
    parser.add_argument("--batch", type=int, default=8, help="images of an iteration")
    parser.add_argument("--noise", type=float, default=NOISE, help="share of the bytes that the noisy run damages")
    parser.add_argument("--clocks-per-bit", type=int, default=LineSettings.clocks_per_bit, help="of the line")
    options = parser.parse_args(arguments)
    config = load_config(options.config)
    exported, data = export_digits(seed=0, steps=options.steps, batch=options.batch)
    program = compile_step(exported.step, config, exported.tensors)
    batches = [
        (data.train[i : i + options.batch], data.train_labels[i : i + options.batch])
        for i in range(0, options.steps * options.batch, options.batch)
    ]

    def run(board: Board) -> dict:
        return trained(board, program, exported.state, batches)

    with open_board("sim", config, ddr_bytes=LineSettings.memory_bytes) as board:
        wanted = run(board)
    report = {"config": config.name, "steps": options.steps, "batch": options.batch, "program_bytes": program.ddr_bytes}
    equal = True
    for name, noise in (("clean", 0.0), ("noisy", options.noise)):
        got, line = over_the_line(options.config, noise, options.clocks_per_bit, run)
        report[name] = {"noise": noise, "differs": differing(got, wanted), **line}
        equal = equal and not report[name]["differs"]
    print(json.dumps({**report, "equal": equal}, indent=1))
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
