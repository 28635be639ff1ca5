"""A Zynq board that PYNQ drives: "pynq", "pynq:<file.bit or folder/>", or over a network "pynq:<host>?bitstream=<file.bit>".

On the board itself: PYNQ 3.x on Zynq-7000, 4.0 on UltraScale+, as root. Over a network: PYNQ 3.1 or later on both sides. Without
a bitstream named, the one in build/<board>-<configuration>/ is loaded, as `joulegrad bitstream` left it there.
Options: bitstream=, hang_s= (without a completed instruction for so long, a segment hangs).

Ctrl-C, SIGTERM and errors stop the core before its memory is given back. A process that is killed outright (SIGKILL, or Linux out
of memory) stops nothing: the core goes on to the end of the segment under way and writes to memory that Linux may have given to
somebody else by then. No other segment follows, and the next process stops the core, by loading its bitstream and a soft reset,
before it allocates anything. Over a network the server on the board holds the memory, so it goes to nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np

from host import pynq_bitstream, pynq_interrupt
from host.board import Board, BoardError, BoardTimeout, Identity
from host.core_driver import CoreDriver
from host.pynq_memory import LocalMemory, RemoteMemory
from host.rail_map import board_text
from host.readings import HOST_CLOCK
from host.segment_watch import Poll, finish, halt
from hw.config import Config
from hw.memory_map import ALIGNMENT

DDR_BYTES = 1 << 26
HANG_S = 10.0
FIRST_POLL_S, LONGEST_POLL_S = 0.0002, 0.005
REGISTER_BYTES = 0x1000
REMOTE = "PYNQ_REMOTE_DEVICES"
NO_ANSWER = (0, 0xFFFFFFFF)
LOCKS = Path(tempfile.gettempdir())


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
            held.enter_context(_claimed(self._host))
            with _asked("PYNQ cannot load the bitstream"):
                pynq, device, machine = _device(self._host)
                found = pynq_bitstream.find(self._bitstream, self.config, machine)
                overlay = pynq_bitstream.load(pynq, device, found)
                self.clk_hz = pynq_bitstream.clock_hz(pynq, found)
            with _asked("the core's registers cannot be reached"):
                self._registers = pynq.MMIO(found.manifest["control"]["base"], REGISTER_BYTES, device=device)
                self._check_core(found)
            with _asked("no physically contiguous memory"):
                self._memory = held.enter_context(_allocated(pynq, device, self.ddr_bytes, found.manifest["memory"]))
            held.callback(self._forget)
            self._driver = CoreDriver(self._read_register, self._write_register, self._memory.address, self._read_block)
            held.callback(self._abandon)
            self._waits = _waits(pynq, overlay, device)
            held.callback(self._waits.close)
            held.enter_context(_terminable())
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
        with _asked("PYNQ cannot give the board back"):
            held.close()

    def identity(self) -> Identity:
        """Return what the core's registers say."""
        with _asked("the identity cannot be read"):
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
        values = np.frombuffer(data, np.uint8) if not isinstance(data, np.ndarray) else data.reshape(-1).view(np.uint8)
        self._opened()
        self.check_range(address, values.size)
        with _asked("memory cannot be written"):
            self._memory.write(address, values)

    def read(self, address: int, nbytes: int) -> np.ndarray:
        """Return a copy of the core's memory."""
        self._opened()
        self.check_range(address, nbytes)
        with _asked("memory cannot be read"):
            return self._memory.read(address, nbytes)

    def start(self, segment_address: int, count: int) -> None:
        """Start a segment."""
        driver = self._opened()
        if self._started is not None:
            raise BoardError("a segment is under way already: wait for it first")
        with _asked("the segment cannot be started"):
            self._memory.segment_starts()
            self._started = segment_address, count
            driver.start(segment_address, count)
            self._waits.begin()

    def wait(self, timeout_s: float | None = None) -> dict[str, int]:
        """Return the segment's counters; on an error or timeout the core is reset before it is raised."""
        driver = self._opened()
        if self._started is None:
            raise BoardError("no segment is under way: start one first")
        with _asked("the core cannot be watched"):
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
        with _asked("the core cannot be stopped"):
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

    def _abandon(self) -> None:
        """Stop the core before its memory goes to somebody else; a board that is out of reach stays as it is."""
        try:
            with _asked("the core cannot be stopped"):
                self._halt()
        except BoardTimeout:
            raise
        except BoardError:
            self._ended()

    def _forget(self) -> None:
        self._driver = self._started = None

    def _read_register(self, address: int) -> int:
        return int(self._registers.read(address))

    def _write_register(self, address: int, value: int) -> None:
        self._registers.write(address, int(value) & 0xFFFFFFFF)

    def _read_block(self, address: int, count: int) -> list[int]:
        words = self._registers.array
        if isinstance(words, np.ndarray):
            # Word by word: a copy of a slice may use wider loads, which the bus to the registers has not.
            return words[address // 4 : address // 4 + count].tolist()
        return [self._read_register(address + 4 * i) for i in range(count)]

    def _opened(self) -> CoreDriver:
        if self._driver is None:
            raise BoardError("the PYNQ board is not open: use it in a with block")
        return self._driver


class Polling(Poll):
    """Waits without an interrupt. `said` says why there is none."""

    def __init__(self, why: str):
        super().__init__(FIRST_POLL_S, LONGEST_POLL_S)
        self.said = f"polls every {FIRST_POLL_S * 1e3:g} to {LONGEST_POLL_S * 1e3:g} ms: {why}"


def _waits(pynq, overlay, device):
    try:
        return pynq_interrupt.find(pynq, overlay, device)
    except pynq_interrupt.NoInterrupt as error:
        return Polling(str(error))


def _device(host: str) -> tuple:
    """Return the package pynq, the device to drive, and what the board calls itself. Raises BoardError."""
    if host:
        os.environ[REMOTE] = host  # PYNQ looks at it when it is imported
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on a machine that is no board, importing it alone gives several
            import pynq
            import pynq.interrupt
            from pynq.pl_server import Device
    except ImportError as error:
        raise BoardError(
            f"this machine is no PYNQ board, or its PYNQ is not where this Python looks ({error}): run on the board, with "
            "its own Python, or take --board sim"
        ) from None
    if host:
        device = _remote_device(host)
        Device.active_device = device  # what PYNQ uses itself where it takes no device
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            devices = Device.devices
        if not devices:
            raise BoardError(
                "PYNQ finds no board here: on one, run as root in PYNQ's environment (sudo -i); from elsewhere, name the "
                "board's host, pynq:<host>, or take --board sim"
            )
        device = devices[0]
    if hasattr(pynq.Clocks, "set_device"):
        pynq.Clocks.set_device(device)
    remote = device.has_capability("REMOTE")
    return pynq, device, str(device.name) if remote else board_text()


def _remote_device(host: str):
    try:
        from pynq.pl_server.remote_device import RemoteDevice
    except ImportError as error:
        raise BoardError(f"this PYNQ drives no boards over a network ({error}): version 3.1 or later with grpcio does") from None
    try:
        return RemoteDevice(0, host)
    except RuntimeError as error:
        raise BoardError(
            f"no PYNQ.remote server answers at {host}: {error}; is the board on, with a PYNQ.remote image?"
        ) from None


@contextlib.contextmanager
def _allocated(pynq, device, nbytes: int, memory: dict) -> Iterator[LocalMemory | RemoteMemory]:
    """Hold memory within the reach of the core's masters: `memory` of the manifest. Raises BoardError."""
    remote = device.has_capability("REMOTE")
    try:
        region = (RemoteMemory if remote else LocalMemory)(pynq, device, nbytes)
    except Exception as error:  # XRT, gRPC and the server on the board each have their own for it
        free = "" if remote else _free_contiguous()
        raise BoardError(
            f"{nbytes} bytes of physically contiguous memory are not to be had ({_text(error)}{free}): end what else holds some, "
            "such as notebooks, or give Linux a larger pool with cma= on its command line"
        ) from None
    try:
        if region.address % ALIGNMENT or not memory["base"] <= region.address <= memory["base"] + memory["bytes"] - nbytes:
            raise BoardError(
                f"the contiguous memory lies at {region.address:#x}, which is not within the {memory['bytes']:#x} bytes from "
                f"{memory['base']:#x} that the core reaches, at a multiple of {ALIGNMENT}: allocate it from the lower memory"
            )
        yield region
    finally:
        region.close()


def _free_contiguous() -> str:
    with contextlib.suppress(OSError):
        found = dict(re.findall(r"^(CmaTotal|CmaFree):\s*(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE))
        if len(found) == 2:
            return f"; {found['CmaFree']} kB of the pool's {found['CmaTotal']} kB are free"
    return ""


@contextlib.contextmanager
def _claimed(host: str) -> Iterator[None]:
    """Hold the board for this process: the one that this computer is, or as far as this computer's processes go, a remote one."""
    name = re.sub(r"[^A-Za-z0-9.]", "-", host) or "local"
    path = LOCKS / f"joulegrad-pynq-{name}.lock"
    try:
        try:
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:  # Linux refuses to open a file of somebody else in /tmp with O_CREAT, even root
            handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise BoardError(f"the lock {path} that keeps other processes off the board cannot be had: {error.strerror}") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(handle, 32, 0).decode(errors="replace").strip()
            raise BoardError(
                f"the board is in use by another process{f' ({holder})' if holder else ''}: end that one first; two would load "
                "their bitstreams over each other"
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Leave the process in order on SIGTERM, so that the core is stopped, unless somebody does so already."""
    mine = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    def end(number, frame):
        signal.signal(number, signal.SIG_DFL)
        raise SystemExit(128 + number)

    if mine:
        signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        if mine:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def _asked(failed: str) -> Iterator[None]:
    """Make BoardErrors of what PYNQ, XRT and gRPC raise; `failed` is what could not be done."""
    try:
        yield
    except BoardError:
        raise
    except Exception as error:  # there is no common class, and gRPC's is not known here
        raise BoardError(f"{failed}: {_text(error)}") from error


def _text(error: Exception) -> str:
    # gRPC's errors print as several lines of debugging; what the server said is in details().
    details = getattr(error, "details", None)
    said = details() if callable(details) else str(error)
    return " ".join(str(said or "").split())[:300] or type(error).__name__


def _seconds(value) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = float("nan")
    if not 0.01 <= seconds <= 3600:
        raise ValueError(f"hang_s={value}: it is a number from 0.01 to 3600")
    return seconds
