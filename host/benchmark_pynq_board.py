"""Digits through the PYNQ driver, on a stand-in for pynq in front of the verilated core: equal to `--board sim`?

`python -m host.benchmark_pynq_board z7020`: trains the same iterations on the simulated board and through host/board_pynq.py with
pynq as versions 3.0, 3.1 and 4.0 have it, locally and over a network, behind caches that hold stale lines and evict dirty ones at
random; compares every weight, statistic, exponent and exact counter. Then the caches lose flushes, and invalidations, as if the
driver had left them out: that must be noticed. Prints one JSON object; ends with 1 where anything is not as it must be. Nothing
of it says that silicon does the same.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from host.benchmark_serial_board import differing, trained
from host.board import Board, BoardError, open_board
from hw import bitstream
from hw.config import Config, load_config
from hw.design import describe, load_board
from hw.pynq_stand_in import HOST, VERSIONS, StandInFlow, installed

BOARDS = {"armv7l": ("pynq-z2", "Pynq-Z2", 32), "aarch64": ("zcu104", "ZCU104", 64)}
"""Architecture to a board, what it calls itself, and the bytes of a cache line."""

HANG_S = 5.0


def through_pynq(
    config: Config, version: str, folder: Path, run: Callable[[Board], dict], ddr_bytes: int, **settings
) -> tuple[dict, dict]:
    """Return what `run` returns on a board of the stand-in, and what was seen there.

    Args:
        version: of hw.pynq_stand_in.VERSIONS.
        folder: for the bitstream.
        settings: of ZynqSettings.
    """
    name, machine, line_bytes = BOARDS[VERSIONS[version]]
    bitstream.build(describe(config, load_board(name), "yosys"), StandInFlow(), "unknown", folder)
    path = folder / f"{name}-{config.name}" / "joulegrad.bit"
    memory = {"memory_bytes": 2 * ddr_bytes, "pool_bytes": ddr_bytes, "line_bytes": line_bytes}
    with installed(version, name=machine, **memory, **settings) as zynq:
        began_s = time.monotonic()
        url = f"pynq:{HOST}" if version.endswith("remote") else "pynq"
        with open_board(url, config, ddr_bytes=ddr_bytes, bitstream=path, hang_s=HANG_S) as board:
            result = run(board)
            facts = board.facts()
        seconds = round(time.monotonic() - began_s, 1)
    seen = {"seconds": seconds, "interrupts": zynq.interrupts, "moved_bytes": zynq.moved_bytes}
    return result, {**seen, "coherence": facts["coherence"], "waits": facts["waits"]}


def fault(config: Config, folder: Path, run: Callable[[Board], dict], wanted: dict, ddr_bytes: int, **lost) -> str:
    """Return how training went wrong where the cache loses what the driver asks for; "" where it did not."""
    try:
        got, _ = through_pynq(config, "3.1", folder, run, ddr_bytes, **lost)
    except BoardError as error:
        return str(error)
    return f"{len(differing(got, wanted))} results differ" if differing(got, wanted) else ""


def main(arguments: list[str]) -> int:
    """Run the command line and return the exit code."""
    from algo.train import export_digits
    from hw.compile import compile_step

    parser = argparse.ArgumentParser(prog="python -m host.benchmark_pynq_board", description=__doc__.splitlines()[0])
    parser.add_argument("config", help="configuration, by name or path")
    parser.add_argument("--steps", type=int, default=10, help="iterations")
    parser.add_argument("--batch", type=int, default=8, help="images of an iteration")
    parser.add_argument("--version", choices=VERSIONS, action="append", help="of pynq, again for more; all by default")
    options = parser.parse_args(arguments)
    config = load_config(options.config)
    exported, data = export_digits(seed=0, steps=options.steps, batch=options.batch)
    program = compile_step(exported.step, config, exported.tensors)
    ddr_bytes = 1 << program.ddr_bytes.bit_length()
    batches = [
        (data.train[i : i + options.batch], data.train_labels[i : i + options.batch])
        for i in range(0, options.steps * options.batch, options.batch)
    ]

    def run(board: Board) -> dict:
        return trained(board, program, exported.state, batches)

    with open_board("sim", config, ddr_bytes=ddr_bytes) as board:
        wanted = run(board)
    report = {"config": config.name, "steps": options.steps, "batch": options.batch, "program_bytes": program.ddr_bytes}
    with tempfile.TemporaryDirectory() as folder:
        for version in options.version or VERSIONS:
            got, seen = through_pynq(config, version, Path(folder), run, ddr_bytes)
            report[version] = {"differs": differing(got, wanted), **seen}
        for lost in ("lose_cleaning", "lose_invalidation"):
            report[lost] = fault(config, Path(folder), run, wanted, ddr_bytes, **{lost: True})
    equal = all(not report[version]["differs"] for version in options.version or VERSIONS)
    noticed = all(report[lost] for lost in ("lose_cleaning", "lose_invalidation"))
    print(json.dumps({**report, "equal": equal, "faults_noticed": noticed}, indent=1))
    return 0 if equal and noticed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
