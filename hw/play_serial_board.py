"""A simulated board behind a pseudo-terminal, to be driven as one on a serial port: `python -m hw.play_serial_board ecp5`.

Prints one JSON line with the port, works until its standard input is closed, and prints a second line with what went over
the line. With --noise a share of the bytes is damaged in both directions. POSIX only.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import sys
import tty

from hw.config import ConfigError, load_config
from hw.noisy_line import NoisyLine
from hw.simulated_board import LineSettings, SimulatedBoard
from hw.verilator import ToolError

IDLE_S = 0.005
SLICE_CYCLES, SLICE_MS = 20_000, 5.0
IDLE_CYCLES = 1_000
"""The clock runs on a little where nothing is to do: whatever the board does by itself is seen."""

BAUD = 115_200
"""A line speed whose time-outs fit the simulation on a loaded machine; the pseudo-terminal takes any."""


class Player:
    """Moves bytes between a pseudo-terminal and a board until standard input is closed."""

    def __init__(self, board: SimulatedBoard, inward: NoisyLine, outward: NoisyLine):
        self.board, self.inward, self.outward = board, inward, outward
        self._master, self._slave = os.openpty()  # the open slave keeps the port in being between two users
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)

    def play(self) -> None:
        """Return when standard input is closed."""
        unsent = b""
        while True:
            busy = self.board.busy or bool(unsent)
            ready, _, _ = select.select([self._master, sys.stdin], [], [], 0 if busy else IDLE_S)
            if sys.stdin in ready and not os.read(sys.stdin.fileno(), 4096):
                return
            if self._master in ready:
                self.board.send(self.inward.carry(os.read(self._master, 1 << 16)))
            self.board.run(SLICE_CYCLES if self.board.busy else IDLE_CYCLES, SLICE_MS)
            unsent += self.outward.carry(self.board.receive())
            if unsent:
                try:
                    unsent = unsent[os.write(self._master, unsent) :]
                except BlockingIOError:
                    select.select([], [self._master], [], IDLE_S)

    def record(self) -> dict:
        """Return what went over the line."""
        lines = {"to_board": self.inward, "from_board": self.outward}
        return {
            "cycles": self.board.cycles,
            "broken": self.board.broken,
            **{name: {"bytes": line.carried, "changed": line.changed, "lost": line.lost} for name, line in lines.items()},
        }


def main(arguments: list[str]) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m hw.play_serial_board", description=__doc__.splitlines()[0])
    parser.add_argument("config", help="configuration, by name or path")
    parser.add_argument("--memory", type=int, default=LineSettings.memory_bytes, help="bytes of on-chip memory")
    parser.add_argument("--clocks-per-bit", type=int, default=LineSettings.clocks_per_bit, help="of the line")
    parser.add_argument("--host-clocks-per-bit", type=int, default=0, help="of the host's end, for a wrong line speed")
    parser.add_argument("--noise", type=float, default=0.0, help="share of the bytes that are damaged")
    parser.add_argument("--seed", type=int, default=1, help="of the noise")
    options = parser.parse_args(arguments)
    try:
        settings = LineSettings(options.memory, options.clocks_per_bit, options.host_clocks_per_bit)
        inward, outward = NoisyLine(options.noise, options.seed), NoisyLine(options.noise, options.seed + 1)
        player = Player(SimulatedBoard(load_config(options.config), settings), inward, outward)
    except (ValueError, ConfigError, ToolError) as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps({"port": player.port, "baud": BAUD}), flush=True)
    player.play()
    print(json.dumps(player.record()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
