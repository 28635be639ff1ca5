"""The core's control registers, for every board that can read and write them: simulated, Zynq or behind a wire."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from host.board import BoardError, Identity, SegmentError
from hw import isa

START, SOFT_RESET, CLEAR_INTERRUPT = 1, 2, 4
BUSY, DONE, ERROR = 1, 2, 4


class CoreDriver:
    """Identity, start, status and counters of a core.

    What stays from segment to segment (where its DDR is, that it raises its interrupt) is written before the first one. A start
    clears the interrupt of the segment before.

    Args:
        read_register: (byte address) -> 32-bit value.
        write_register: (byte address, 32-bit value).
        base: bus address of the first byte of the core's DDR region.
        read_block: (byte address, n) -> n consecutive 32-bit values, where that is quicker than one by one.

    Attributes:
        accesses: single registers read and written so far; the counters, read as one block, are not among them.
    """

    def __init__(
        self,
        read_register: Callable[[int], int],
        write_register: Callable[[int, int], None],
        base: int,
        read_block: Callable[[int, int], Sequence[int]] | None = None,
    ):
        self._read_register = read_register
        self._write_register = write_register
        self._read_block = read_block or (lambda address, count: [read_register(address + 4 * i) for i in range(count)])
        self._base = base
        self._address = self._status = 0
        self._prepared = False
        self.accesses = 0

    def read(self, name: str) -> int:
        """Return the register called `name` in isa.REGISTERS."""
        self.accesses += 1
        return self._read_register(isa.REGISTERS[name][0])

    def write(self, name: str, value: int) -> None:
        """Write the register called `name` in isa.REGISTERS."""
        self.accesses += 1
        self._write_register(isa.REGISTERS[name][0], value)

    def identity(self) -> Identity:
        """Return version and configuration hash. Raises BoardError when another design, or none, answers."""
        found = self.read("ID")
        if found != isa.IDENTITY:
            raise BoardError(f"the identity register reads {found:#010x}, not {isa.IDENTITY:#010x}: this is no joulegrad core")
        version = self.read("VERSION")
        if version != isa.VERSION:
            raise BoardError(f"the core has interface version {version}, this software drives version {isa.VERSION}")
        return Identity(version, self.read("CONFIG_HASH"))

    def start(self, segment_address: int, count: int) -> None:
        """Start `count` instructions at a byte offset from the core's base, interrupt enabled."""
        self._address, self._status = segment_address, 0
        if not self._prepared:
            self.write("CTRL", CLEAR_INTERRUPT)
            self.write("BASE_LO", self._base & 0xFFFFFFFF)
            self.write("BASE_HI", self._base >> 32)
            self.write("IRQ_ENABLE", 1)
            self._prepared = True
        self.write("SEG_ADDR", segment_address)
        self.write("SEG_COUNT", count)
        self.write("CTRL", START)

    def forget(self) -> None:
        """Take note that the core lost what its registers held."""
        self._prepared = False

    def finished(self) -> bool:
        """Return whether the segment is done or has stopped with an error."""
        self._status = self.read("STATUS")
        return bool(self._status & (DONE | ERROR))

    def outcome(self) -> dict[str, int]:
        """Return the counters of the segment that is done.

        Raises:
            SegmentError: the core stopped with an error; it is soft-reset.
            BoardError: the segment is not done.
        """
        if not self._status & (DONE | ERROR) and not self.finished():
            raise BoardError(f"the segment at {self._address:#x} is not done: the status register reads {self._status:#x}")
        status = self._status
        if status & ERROR:
            index = self.read("ERROR_INDEX")
            self.soft_reset()
            raise SegmentError(
                _name(isa.ERRORS, status >> 4 & 0xF), _name((*isa.ENGINES, "fetch"), status >> 8 & 0x7), index, self._address
            )
        return self.counters()

    def counters(self) -> dict[str, int]:
        """Return the counters since the last start."""
        words = np.array(self._read_block(isa.REGISTERS["COUNTERS"][0], 2 * len(isa.COUNTER_NAMES)), "<u4")
        return dict(zip(isa.COUNTER_NAMES, words.view("<u8").tolist(), strict=True))

    def progress(self) -> int:
        """Return the instructions completed since the last start, low 32 bits."""
        return self._read_register(isa.REGISTERS["COUNTERS"][0] + 8 * isa.COUNTER_NAMES.index("instructions"))

    def soft_reset(self) -> None:
        """Abandon what runs; bursts under way end."""
        self._prepared = False
        self.write("CTRL", SOFT_RESET)


def _name(names: tuple[str, ...], number: int) -> str:
    return names[number] if number < len(names) else f"unknown ({number})"
