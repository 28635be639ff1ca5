"""A Zynq board that PYNQ drives: "pynq", "pynq:<file.bit or folder/>", or over a network "pynq:<host>?bitstream=<file.bit>".

On the board itself: PYNQ 3.x on Zynq-7000, 4.0 on UltraScale+, as root. Over a network: PYNQ 3.1 or later on both sides. Without
a bitstream named, the one in build/<board>-<configuration>/ is loaded, as `joulegrad bitstream` left it there.
Options: bitstream=, hang_s= (without a completed instruction for so long, a segment hangs).

Ctrl-C, SIGTERM and errors stop the core before its memory is given back. A core that does not stop has its bitstream loaded
again; if it goes on even then, its memory is kept until the process ends. A process that is killed outright (SIGKILL, or Linux
out of memory) stops nothing: the core goes on to the end of the segment under way and writes to memory that Linux may have given
to somebody else by then. No other segment follows, and the next process stops the core, by loading its bitstream and a soft
reset, before it allocates anything. Over a network the server on the board holds the memory, so it goes to nobody.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np

from host import pynq_bitstream, pynq_interrupt
from host.board import Board, BoardError, BoardTimeout, Identity, flat_bytes
from host.core_driver import CoreDriver
from host.pynq_device import asked, claimed, find_device, terminable
from host.pynq_memory import LocalMemory, RemoteMemory, allocate
from host.readings import HOST_CLOCK
from host.segment_watch import finish, halt
from hw.config import Config

DDR_BYTES = 1 << 26
HANG_S = 10.0
REGISTER_BYTES = 0x1000
NO_ANSWER = (0, 0xFFFFFFFF)
KEPT: list[LocalMemory | RemoteMemory] = []
"""Memory of cores that did not come to rest: referred to, so that it is not freed while they may write to it."""

log = logging.getLogger(__name__)


class Driver(Board):
    """Board "pynq".

    Args:
        where: bitstream or host, then options as in a URL.
        config: configuration that the board shall have.
        ddr_bytes: contiguous memory to allocate.
        bitstream: a .bit file, or a folder with a manifest.
        hang_s: without a completed instruction for so long, a segment hangs.
    """

    scheme = "pynq"
    clock = HOST_CLOCK

    def __init__(
        self, where: str, config: Config, ddr_bytes: int = DDR_BYTES, bitstream: str | Path = "", hang_s: float | None = None
    ):
        place, _, query = where.partition("?")
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
        named = [str(name) for name in (bitstream, options.pop("bitstream", "")) if name]
        if place.endswith(".bit") or "/" in place:
            named, place = [*named, place], ""
        if len(set(named)) > 1:
            raise ValueError(f"{len(named)} bitstreams are named, {' and '.join(named)}: name one")
        self._bitstream, self._host = named[0] if named else "", place
        self._hang_s = _seconds(options.pop("hang_s", HANG_S if hang_s is None else hang_s))
        if options:
            raise ValueError(f"unknown options {', '.join(options)}: there are bitstream and hang_s")
        self.config = config
        self.clk_hz = config.clk_hz
        self.ddr_bytes = ddr_bytes
        self._driver: CoreDriver | None = None
        self._started: tuple[int, int] | None = None
        self._held = contextlib.ExitStack()
        self._facts: dict = {}

    def open(self) -> None:
        """Claim the board, load the bitstream, check what it is, allocate memory. Raises BoardError."""
        with contextlib.ExitStack() as held:
            held.enter_context(terminable())  # left last, so that SIGTERM cannot end the process before the core has stopped
            held.enter_context(claimed(self._host))
            with asked("PYNQ cannot load the bitstream"):
                pynq, device, machine = find_device(self._host)
                found = pynq_bitstream.find(self._bitstream, self.config, machine)
                overlay = pynq_bitstream.load(pynq, device, found)
                self.clk_hz = pynq_bitstream.settle_clock(pynq, found)
            with asked("the core's registers cannot be reached"):
                self._registers = pynq.MMIO(found.manifest["control"]["base"], REGISTER_BYTES, device=device)
                self._words = self._registers.array if isinstance(self._registers.array, np.ndarray) else None
                self._check_core(found)
            with asked("no physically contiguous memory"):
                self._memory = allocate(pynq, device, self.ddr_bytes, found.manifest["memory"])
            self._driver = CoreDriver(self._read_register, self._write_register, self._memory.address, self._read_block)
            held.callback(self._give_back, functools.partial(pynq_bitstream.load, pynq, device, found))
            self._waits = pynq_interrupt.find(pynq, overlay, device)
            held.callback(self._waits.close)
            self._facts = {
                "machine": machine, "remote": self._host or None, "pynq": pynq.__version__, "bitstream": str(found.path),
                "bitstream_sha256": found.digest, "bitstream_board": found.manifest["board"],
                "bitstream_commit": found.manifest["commit"], "clk_hz": self.clk_hz, "memory_address": self._memory.address,
                "memory_bytes": self.ddr_bytes, "coherence": self._memory.coherence, "waits": self._waits.said,
            }  # fmt: skip
            self._held = held.pop_all()

    def close(self) -> None:
        """Stop what runs, give memory and board back."""
        held, self._held = self._held, contextlib.ExitStack()
        with asked("PYNQ cannot give the board back"):
            held.close()

    def identity(self) -> Identity:
        """Return what the core's registers say."""
        with asked("the identity cannot be read"):
            return self._opened().identity()

    def facts(self) -> dict:
        """Return what was found when the board was opened: machine, bitstream, clock, memory, how the driver waits."""
        return self._facts

    @property
    def register_accesses(self) -> int:
        """Control registers read and written one by one since `open`."""
        return self._driver.accesses if self._driver else 0

    def write(self, address: int, data) -> None:
        """Write to the core's memory."""
        values = flat_bytes(data)
        self._opened()
        self.check_range(address, values.size)
        with asked("memory cannot be written"):
            self._memory.write(address, values)

    def read(self, address: int, nbytes: int) -> np.ndarray:
        """Return a copy of the core's memory."""
        self._opened()
        self.check_range(address, nbytes)
        with asked("memory cannot be read"):
            return self._memory.read(address, nbytes)

    def start(self, segment_address: int, count: int) -> None:
        """Start a segment."""
        driver = self._opened()
        if self._started is not None:
            raise BoardError("a segment is under way already: wait for it first")
        with asked("the segment cannot be started"):
            self._memory.segment_starts()
            self._started = segment_address, count
            driver.start(segment_address, count)
            self._waits.begin()

    def wait(self, timeout_s: float | None = None) -> dict[str, int]:
        """Return the segment's counters; on an error or timeout the core is reset before it is raised."""
        driver = self._opened()
        if self._started is None:
            raise BoardError("no segment is under way: start one first")
        with asked("the core cannot be watched"):
            try:
                finish(driver, self._started, timeout_s, self._hang_s, self._waits.pause)
            except BoardTimeout:
                self._halt()
                raise
            try:
                return driver.outcome()
            finally:
                self._ended()

    def stop(self) -> None:
        """Abandon the segment and reset the core."""
        self._opened()
        with asked("the core cannot be stopped"):
            self._halt()

    def _check_core(self, found: pynq_bitstream.Bitstream) -> None:
        driver = CoreDriver(self._read_register, self._write_register, 0)
        identity = driver.read("ID")
        if identity in NO_ANSWER:
            raise BoardError(
                f"nothing answers at {found.manifest['control']['base']:#x}, where the bitstream {found.path} has the core's "
                f"registers: the identity register reads {identity:#010x}"
            )
        config_hash = driver.identity().config_hash
        if config_hash != self.config.config_hash:
            raise BoardError(
                f"the core in {found.path} is of configuration {config_hash:#010x}, its manifest says {self.config.name} "
                f"({self.config.config_hash:#010x}): make the bitstream again"
            )
        halt(driver, "on the board")

    def _halt(self) -> None:
        halt(self._driver, "on the board")
        self._ended()

    def _ended(self) -> None:
        self._started = None
        self._memory.segment_ended()

    def _give_back(self, load: Callable[[], object]) -> None:
        """Stop the core and free its memory. Of a core that may go on, nobody else gets the memory while this process lives."""
        memory = self._memory
        KEPT.append(memory)
        try:
            with asked("the core cannot be stopped"):
                try:
                    self._halt()
                except BoardTimeout:
                    load()
                    self._halt()
                    log.warning("the core did not end its segment when it was told to, so its bitstream was loaded again")
        except BoardError as error:
            if self._host and not isinstance(error, BoardTimeout):
                return  # out of reach: the server on the board has the memory, and gives it to nobody
            raise BoardError(
                f"{error}; its {self.ddr_bytes} bytes from {memory.address:#x}, to which it may still write, are kept "
                "from others until this process ends"
            ) from error
        finally:
            self._driver = self._started = None
        KEPT.remove(memory)
        memory.close()

    # On the board itself MMIO's array is a numpy view of the registers: an entry of it takes a tenth of the time of MMIO.read or
    # MMIO.write, which check types and ranges. Over a network it is none.

    def _read_register(self, address: int) -> int:
        return int(self._registers.read(address) if self._words is None else self._words[address >> 2])

    def _write_register(self, address: int, value: int) -> None:
        if self._words is None:
            self._registers.write(address, int(value) & 0xFFFFFFFF)
        else:
            self._words[address >> 2] = value & 0xFFFFFFFF

    def _read_block(self, address: int, count: int) -> list[int]:
        if self._words is None:
            return [self._read_register(address + 4 * i) for i in range(count)]
        # Word by word: a copy of a slice may use wider loads, which the bus to the registers has not.
        return self._words[address >> 2 : (address >> 2) + count].tolist()

    def _opened(self) -> CoreDriver:
        if self._driver is None:
            raise BoardError("the PYNQ board is not open: use it in a with block")
        return self._driver


def _seconds(value) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = float("nan")
    if not 0.01 <= seconds <= 3600:
        raise ValueError(f"hang_s={value}: it is a number from 0.01 to 3600")
    return seconds
