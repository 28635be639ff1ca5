"""A board on a serial port: "serial:/dev/ttyUSB0?baud=3000000" or "serial:<USB serial number>".

Options: baud= (3000000), answer_s= (what an answer may take besides the line's time), hang_s= (without a completed instruction
for so long, a segment hangs). The line's packets are hw/serial_packets.py.
"""

from __future__ import annotations

import contextlib
from urllib.parse import parse_qsl

import numpy as np

from host.board import Board, BoardError, BoardTimeout, Identity, flat_bytes
from host.core_driver import CoreDriver
from host.packet_link import Link
from host.port import Port
from host.readings import HOST_CLOCK
from host.segment_watch import Poll, finish, halt
from host.sensor import SensorError
from hw.config import Config
from hw.serial_packets import REGISTERS

BAUD = 3_000_000
ANSWER_S = 0.25
HANG_S = 10.0
"""Longer than the longest instruction, also on a simulated board."""

FIRST_POLL_S, LONGEST_POLL_S = 0.001, 0.02
MEMORY_BASE = 0


class Driver(Board):
    """Board "serial:<port>".

    Args:
        where: path or USB serial number of the port, then options as in a URL.
        config: configuration that the board should have.
        ddr_bytes: what is wanted; the board's memory is as large as it is.
    """

    scheme = "serial"
    clock = HOST_CLOCK

    def __init__(self, where: str, config: Config, ddr_bytes: int = 0):
        self._where, _, query = where.partition("?")
        if not self._where:
            raise ValueError("name a port: serial:/dev/ttyUSB0, or a USB serial number")
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
        self._baud = int(_number(options.pop("baud", str(BAUD)), "baud", 300, 12_000_000))
        self._answer_s = _number(options.pop("answer_s", str(ANSWER_S)), "answer_s", 0.01, 60.0)
        self._hang_s = _number(options.pop("hang_s", str(HANG_S)), "hang_s", 0.1, 3600.0)
        if options:
            raise ValueError(f"unknown options {', '.join(options)}: there are baud, answer_s and hang_s")
        self.config = config
        self.clk_hz = config.clk_hz
        self.ddr_bytes = ddr_bytes
        self.link: Link | None = None
        self._port: Port | None = None
        self._driver: CoreDriver | None = None
        self._started: tuple[int, int] | None = None

    def open(self) -> None:
        """Claim the port and learn what is behind it. Raises BoardError, also when it is no joulegrad core."""
        try:
            port = Port(self._where, self._baud, what="board")
        except SensorError as error:
            raise BoardError(str(error)) from None
        try:
            port.hurry()
            port.discard()
            self.link = Link(port, self._baud, self._answer_s)
            found = self.link.describe()
            self._driver = CoreDriver(self._read_register, self._write_register, MEMORY_BASE, self._read_block)
            self._driver.identity()
            self._halt(self._driver)  # whatever someone before us has left running
        except SensorError as error:
            port.close()
            raise BoardError(str(error)) from None
        except BaseException:
            port.close()
            raise
        self.ddr_bytes, self.clk_hz = found.memory_bytes, found.clk_hz
        self._port = port

    def close(self) -> None:
        """Stop what runs and free the port."""
        if self._port is None:
            return
        self._give_up()
        self._port.close()
        self._port = None

    def identity(self) -> Identity:
        """Return what the core's registers say."""
        return self._opened().identity()

    @property
    def register_accesses(self) -> int:
        """Control registers read and written one by one since `open`."""
        return self._driver.accesses if self._driver else 0

    def write(self, address: int, data) -> None:
        """Write to the board's memory."""
        values = flat_bytes(data).tobytes()
        self._opened()
        self.check_range(address, len(values))
        self.link.write(MEMORY_BASE + address, values)

    def read(self, address: int, nbytes: int) -> np.ndarray:
        """Return a copy of the board's memory."""
        self._opened()
        self.check_range(address, nbytes)
        return np.frombuffer(bytearray(self.link.read(MEMORY_BASE + address, nbytes)), np.uint8)

    def start(self, segment_address: int, count: int) -> None:
        """Start a segment."""
        driver = self._opened()
        if self._started is not None:
            raise BoardError("a segment is under way already: wait for it first")
        driver.start(segment_address, count)
        self._started = segment_address, count

    def wait(self, timeout_s: float | None = None) -> dict[str, int]:
        """Return the segment's counters; on an error or timeout the core is reset before it is raised."""
        driver = self._opened()
        if self._started is None:
            raise BoardError("no segment is under way: start one first")
        try:
            finish(driver, self._started, timeout_s, self._hang_s, Poll(FIRST_POLL_S, LONGEST_POLL_S).pause)
            counters = driver.outcome()
        except BoardTimeout:
            self._give_up()
            raise
        finally:
            self._started = None
        return counters

    def stop(self) -> None:
        """Abandon the segment and reset the core."""
        driver = self._opened()
        self._started = None
        self._halt(driver)

    def _halt(self, driver: CoreDriver) -> None:
        halt(driver, f"behind {self._where}")

    def _give_up(self) -> None:
        """Stop the core where it still answers."""
        if self.link.alive:
            with contextlib.suppress(BoardError):
                self.stop()

    def _read_register(self, address: int) -> int:
        return self._read_block(address, 1)[0]

    def _read_block(self, address: int, count: int) -> list[int]:
        return np.frombuffer(self.link.read(REGISTERS + address, 4 * count), "<u4").tolist()

    def _write_register(self, address: int, value: int) -> None:
        self.link.write(REGISTERS + address, (value & 0xFFFFFFFF).to_bytes(4, "little"))

    def _opened(self) -> CoreDriver:
        if self._port is None:
            raise BoardError("the board on the serial port is not open: use it in a with block")
        return self._driver


def _number(text: str, name: str, least: float, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise ValueError(f"{name}={text}: it is a number from {least:g} to {most:g}")
    return value
