"""Boards on serial lines for tests: the simulated one in a process of its own, and a scripted one that answers at once."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@contextlib.contextmanager
def played_board(config: str = "tiny", memory: int = 1 << 17, noise: float = 0.0, clocks_per_bit: int = 2):
    """Run hw.play_serial_board; yields its URL, its process, and a function that ends it and returns its record."""
    command = [sys.executable, "-m", "hw.play_serial_board", config, "--memory", str(memory)]
    board = subprocess.Popen(
        [*command, "--noise", str(noise), "--clocks-per-bit", str(clocks_per_bit)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip

    def record() -> dict:
        board.stdin.close()
        return json.loads(board.stdout.readline())

    try:
        line = json.loads(board.stdout.readline())
        yield f"serial:{line['port']}?baud={line['baud']}", board, record
    finally:
        board.stdin.close()
        board.wait(20)
        board.stdout.close()
