"""The core's DDR region on a board that PYNQ drives: one physically contiguous buffer, kept coherent by hand.

The HP ports do not look into the processor's caches. On the board itself, every write is flushed before `write` returns, so no
line is dirty at any other time: nothing that is flushed or evicted later, while the core runs, can overwrite what it wrote. A
read invalidates first, for lines may have been fetched, also on speculation, before the core wrote them. A line that is written
in part is invalidated first too, so that the rest of it is what memory holds and not what the processor remembers. What is left
is a line that the core writes while the processor writes another part of it: regions start at multiples of 128 bytes
(hw/memory_map.py), no line is longer, and no region is written by both during a segment.

Over a network, PYNQ moves whole buffers only: its buffer is a copy on this side, and flushing a part of it writes to the start of
the board's. So writes are gathered and handed over whole before the next segment starts, into a copy that was fetched since the
last one ended; a flush during a segment would take back what the core has written.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import numpy as np

from host.board import BoardError
from host.pynq_device import error_text
from hw.memory_map import ALIGNMENT

LINE_BYTES = 64
"""The longest cache line (Cortex-A53); a multiple of the others (32 on a Cortex-A9)."""


def allocate(pynq, device, nbytes: int, memory: dict) -> LocalMemory | RemoteMemory:
    """Return memory within the reach of the core's masters, which is `memory` of the manifest. Raises BoardError."""
    remote = device.has_capability("REMOTE")
    try:
        region = (RemoteMemory if remote else LocalMemory)(pynq, device, nbytes)
    except Exception as error:  # XRT, gRPC and the server on the board each have their own for it
        free = "" if remote else _free_contiguous()
        raise BoardError(
            f"{nbytes} bytes of physically contiguous memory are not to be had ({error_text(error)}{free}): end what else holds "
            "some, such as notebooks, or give Linux a larger pool with cma= on its command line"
        ) from None
    if region.address % ALIGNMENT or not memory["base"] <= region.address <= memory["base"] + memory["bytes"] - nbytes:
        region.close()
        raise BoardError(
            f"the contiguous memory lies at {region.address:#x}, which is not within the {memory['bytes']:#x} bytes from "
            f"{memory['base']:#x} that the core reaches, at a multiple of {ALIGNMENT}: allocate it from the lower memory"
        )
    return region


def _free_contiguous() -> str:
    with contextlib.suppress(OSError):
        found = dict(re.findall(r"^(CmaTotal|CmaFree):\s*(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE))
        if len(found) == 2:
            return f"; {found['CmaFree']} kB of the pool's {found['CmaTotal']} kB are free"
    return ""


class LocalMemory:
    """The region, on the board itself.

    Args:
        pynq: the package.
        device: to allocate on.
        nbytes: size.

    Attributes:
        address: physical, of the first byte.
        coherence: how it is kept coherent, for people.
    """

    def __init__(self, pynq, device, nbytes: int):
        self._buffer = pynq.allocate((nbytes,), dtype="u1", target=device)
        self._nbytes = nbytes
        self.address = int(self._buffer.physical_address)
        self._bo = self._to_device = self._from_device = None
        if self._buffer.coherent:
            self.coherence = "coherent"
        elif hasattr(self._buffer.bo, "sync"):
            # PYNQ 3.1 and 4.0 hand XRT the whole buffer whatever slice is flushed, which goes through all its lines.
            from pyxrt import xclBOSyncDirection

            self._bo = self._buffer.bo
            self._to_device = xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE
            self._from_device = xclBOSyncDirection.XCL_BO_SYNC_BO_FROM_DEVICE
            self.coherence = "flushed and invalidated by range, through XRT"
        else:
            self.coherence = "flushed and invalidated by range, through PYNQ"

    def write(self, address: int, values: np.ndarray) -> None:
        """Write bytes, uint8 (n,), through to memory."""
        end = address + values.size
        for edge in {address, end}:
            if edge % LINE_BYTES:
                self._invalidate(edge, edge)
        self._buffer[address:end] = values
        self._flush(address, end)

    def read(self, address: int, nbytes: int) -> np.ndarray:
        """Return uint8 (nbytes,) as memory holds them."""
        self._invalidate(address, address + nbytes)
        return np.array(self._buffer[address : address + nbytes])

    def segment_starts(self) -> None:
        """Nothing is left to be done."""

    def segment_ended(self) -> None:
        """Nothing is left to be done."""

    def close(self) -> None:
        """Give the memory back."""
        buffer, self._buffer, self._bo = self._buffer, None, None
        buffer.freebuffer()

    def _flush(self, start: int, end: int) -> None:
        start, end = self._lines(start, end)
        if self._bo is not None:
            self._bo.sync(self._to_device, end - start, start)
        else:
            self._buffer[start:end].flush()

    def _invalidate(self, start: int, end: int) -> None:
        start, end = self._lines(start, end)
        if self._bo is not None:
            self._bo.sync(self._from_device, end - start, start)
        else:
            self._buffer[start:end].invalidate()

    def _lines(self, start: int, end: int) -> tuple[int, int]:
        """Return the range of whole lines; an empty range inside a line is that line."""
        return start // LINE_BYTES * LINE_BYTES, min(-(-end // LINE_BYTES) * LINE_BYTES, self._nbytes)


class RemoteMemory:
    """The region, on a board that PYNQ drives over a network: the same methods."""

    coherence = "copied whole over the network before and after segments"

    def __init__(self, pynq, device, nbytes: int):
        self._buffer = pynq.allocate((nbytes,), dtype="u1", target=device)
        self.address = int(self._buffer.physical_address)
        self._buffer[:] = 0
        self._waiting: list[tuple[int, np.ndarray]] = []
        self._current = True
        self._runs = False

    def write(self, address: int, values: np.ndarray) -> None:
        """Write bytes, uint8 (n,); the board has them when the next segment starts."""
        self._waiting.append((address, values.copy()))

    def read(self, address: int, nbytes: int) -> np.ndarray:
        """Return uint8 (nbytes,) as the board holds them, with what was written since."""
        self._fetch()
        return np.array(self._buffer[address : address + nbytes])

    def segment_starts(self) -> None:
        """Hand over what was written, before the core is started."""
        if self._waiting:
            self._fetch()
            self._buffer.flush()
            self._waiting.clear()
        self._current, self._runs = False, True

    def segment_ended(self) -> None:
        """Note that the board's memory stays as it is."""
        self._runs = False

    def close(self) -> None:
        """Give the memory back; a board that is out of reach keeps it until its server is started again."""
        buffer, self._buffer = self._buffer, None
        with contextlib.suppress(Exception):  # gRPC's classes are not known here
            buffer.freebuffer()

    def _fetch(self) -> None:
        if not self._current:
            self._buffer.invalidate()
            self._current = not self._runs
        for address, values in self._waiting:
            self._buffer[address : address + values.size] = values
