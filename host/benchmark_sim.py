"""How fast the simulated board is: core cycles per second of one processor core, on a product that keeps the array busy.

`python -m host.benchmark_sim z7020`
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass

from host.board import BoardError, open_board
from host.kernel import run_kernel
from hw.compile_kernel import compile_kernel
from hw.config import Config, ConfigError, load_config


@dataclass(frozen=True)
class Speed:
    """Cycles of the products that ran, and the seconds of processor time they took; building and compiling are left out."""

    cycles: int
    seconds: float

    @property
    def cycles_per_second(self) -> float:
        """Simulated core cycles per second."""
        return self.cycles / self.seconds


def simulator_speed(config: Config, repeats: int = 3) -> Speed:
    """Run forward, grad_input and grad_weight `repeats` times each. Raises BoardError as the board does."""
    side = config.g
    kernels = [
        compile_kernel(kind, 2, 2 * side, 2 * side, 16, 16, 3, 1, 1, config) for kind in ("forward", "grad_input", "grad_weight")
    ]
    cycles, seconds = 0, 0.0
    with open_board("sim", config, ddr_bytes=1 << 22) as board:
        for kernel in kernels * repeats:
            before, started = board.core.cycles, time.process_time()
            run_kernel(board, kernel)
            seconds += time.process_time() - started
            cycles += board.core.cycles - before
    return Speed(cycles, seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m host.benchmark_sim", description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default="z7020", help="configuration, by name or path")
    try:
        speed = simulator_speed(load_config(parser.parse_args().config))
    except (BoardError, ConfigError) as error:
        sys.exit(str(error))
    print(f"{speed.cycles_per_second:,.0f} core cycles per second ({speed.cycles} cycles in {speed.seconds:.1f} s)")
