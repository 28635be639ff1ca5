"""The verilated board with a serial line as an object and as a command, and the board tops linted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hw import serial_packets as packets
from hw import simulate, verilator
from hw.config import load_config
from hw.design import reachable
from hw.serial_packets import DESCRIBE, READ, WRITE, Deframer, Request, reply_of, request_bytes
from hw.simulated_board import LineSettings, SimulatedBoard
from hw.simulated_core import SimulationError

ROOT = Path(__file__).parents[1]
TINY = load_config("tiny")


def answers(board, *requests):
    """Return the replies to requests that are sent back to back."""
    deframer, replies = Deframer(), []
    board.send(b"".join(map(request_bytes, requests)))
    while board.busy or len(replies) < len(requests):
        board.run(2000)
        replies += map(reply_of, deframer.feed(board.receive()))
    return replies


def test_a_board_answers_through_its_pins():
    settings = LineSettings()
    board = SimulatedBoard(TINY, settings)
    described, identity, _, memory = answers(
        board, Request(DESCRIBE, 0, 0, 16), Request(READ, 1, packets.REGISTERS + 8, 4),
        Request(WRITE, 2, 3, 6, b"abcdef"), Request(READ, 3, 0, 12),
    )  # fmt: skip
    words = [int.from_bytes(described.payload[i : i + 4], "little") for i in range(0, 16, 4)]
    assert words == [packets.SIGNATURE, settings.memory_bytes, TINY.clk_hz, packets.SLOTS]
    assert int.from_bytes(identity.payload, "little") == TINY.config_hash
    assert memory.payload == bytes(3) + b"abcdef" + bytes(3)
    assert board.broken == 0 and board.waiting == 0 and board.cycles > 50 * 20
    board.close()
    with pytest.raises(SimulationError, match="was closed"):
        board.run(1)


@pytest.mark.parametrize("name", ["tiny", "ecp5"])
def test_the_top_of_ulx3s_is_clean(name):
    """Every warning on; the PLL is tests/rtl/EHXPLLL.sv."""
    tool, config = verilator.find(), load_config(name)
    command = [
        str(tool.executable), "--lint-only", "-Wall", "--assert", "--quiet", "--top-module", "ulx3s_top", "-y",
        str(ROOT / "tests" / "rtl"), *(f"-G{key}={value}" for key, value in simulate.parameters(config).items()),
        *map(str, [verilator.LINT, verilator.write_package(), *reachable("ulx3s_top")]),
    ]  # fmt: skip
    done = subprocess.run(command, env=tool.environment(), capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["huge"], "no configuration 'huge'"),
        (["tiny", "--memory", "100"], "an on-chip memory of 100 bytes"),
        (["tiny", "--clocks-per-bit", "1"], "1 clocks per bit"),
        (["tiny", "--noise", "2"], "0 to 0.5"),
    ],
)
def test_what_cannot_be_played_is_one_sentence(arguments, says):
    command = [sys.executable, "-m", "hw.play_serial_board", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
    assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr
