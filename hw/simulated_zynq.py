"""A Zynq as its processor meets it, without silicon: memory behind a cache, the programmable logic with the verilated core
behind registers, an interrupt controller, and a UIO device to wait on. `pynq_stand_in` shows it as the package pynq does.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import tty
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hw import isa
from hw.cache_model import CacheModel
from hw.config import load_config
from hw.simulated_core import DDR_BASE, MemorySettings, SimulatedCore

PAGE = 4096
SLICE_CYCLES, SLICE_MS = 20_000, 1.0
TAKEN_PLL_HZ = 1500e6
"""What Vivado takes the I/O PLL of UltraScale+ to be."""
START, SOFT_RESET = 1, 2
RESET_CYCLES = 500
PENDING, ENABLE, ACKNOWLEDGE, SET_ENABLE, CLEAR_ENABLE, MASTER = 0x04, 0x08, 0x0C, 0x10, 0x14, 0x1C
"""Registers of the interrupt controller, AMD PG099."""


@dataclass(frozen=True)
class ZynqSettings:
    """What a simulated Zynq is like.

    Attributes:
        name: of the board, as its device tree says it.
        line_bytes: of the cache.
        seed: of its evictions.
        evicted: lines that are evicted at a time, see CacheModel.
        memory_bytes: of DDR; byte 0 is at DDR_BASE.
        pool_bytes: of them, what contiguous buffers may take.
        has_interrupt: whether the system has a UIO device for the interrupt.
        reference_mhz: the processing system's reference, 0 for what pynq takes it to be.
        clk_hz: of the programmable logic; 0 for what the bitstream asks for.
        pll_hz: what its clock is divided from, as the boot image set it; 0 for what was taken where the bitstream was made.
        answer: what every register reads; None for what the core says.
        lose_cleaning, lose_invalidation: the cache does not do it, as if the driver had forgotten to ask.
    """

    name: str = "Pynq-Z2"
    line_bytes: int = 32
    seed: int = 1
    evicted: int = 1
    memory_bytes: int = 1 << 23
    pool_bytes: int = 1 << 22
    has_interrupt: bool = True
    reference_mhz: float = 0.0
    clk_hz: float = 0.0
    pll_hz: float = 0.0
    answer: int | None = None
    lose_cleaning: bool = False
    lose_invalidation: bool = False


@dataclass(frozen=True)
class Block:
    """Contiguous memory that was handed out: byte offset in DDR, and bytes."""

    offset: int
    size: int

    @property
    def address(self) -> int:
        """Return its physical address."""
        return DDR_BASE + self.offset


class BusError(RuntimeError):
    """An access that would hang the real processor."""


class SimulatedZynq:
    """One of them, powered up, its programmable logic empty.

    Attributes:
        clk_hz: of PL clock 0.
        core: in the programmable logic, None while that is empty.
        cache: over DDR; there once a bitstream is loaded.
        interrupts: how often the UIO device reported one.
        moved_bytes: between a remote host and this board's buffers.
    """

    def __init__(self, settings: ZynqSettings):
        self.settings = settings
        self.clk_hz = 50e6
        self.core: SimulatedCore | None = None
        self.interrupts = self.moved_bytes = 0
        self._blocks: list[Block] = []
        self._lock = threading.RLock()
        self._wanted, self._ended = threading.Event(), threading.Event()
        self._waiting = 0
        self._raised = False
        self._enabled, self._master, self._uio_enabled = 0, 0, False
        self._board_end, self._user_end = os.openpty()
        tty.setraw(self._user_end)
        self.uio_path = os.ttyname(self._user_end)
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._run, self._listen)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Free the simulation."""
        self._ended.set()
        self._wanted.set()
        for thread in self._threads:
            thread.join()
        if self.core is not None:
            self.core.close()
        os.close(self._board_end)
        os.close(self._user_end)

    def load(self, config: str, control: int, interrupts: int, clk_hz: float | None) -> None:
        """Load a bitstream: the core of a configuration with its registers and interrupt controller at these addresses.

        Args:
            clk_hz: what it asks of PL clock 0; None where it leaves that as it is.
        """
        with self._access():
            self._wanted.clear()
            self._raised = False
            if self.core is not None:
                self.core.close()
            self.core = SimulatedCore(load_config(config), MemorySettings(ddr_bytes=self.settings.memory_bytes))
            self.core.ddr[:] = np.random.default_rng(self.settings.seed).integers(0, 256, self.core.ddr.size, np.uint8)
            self.cache = CacheModel(self.core.ddr, self.settings.line_bytes, self.settings.seed, self.settings.evicted)
            self._control, self._controller = control, interrupts
            self._enabled = self._master = 0
            if clk_hz:
                self.set_clock(clk_hz, TAKEN_PLL_HZ)

    def set_clock(self, clk_hz: float, taken_hz: float = 0.0) -> None:
        """Set the divider of PL clock 0: for a frequency that is wanted, from the PLL that there is, or is taken to be there."""
        pll_hz = self.settings.pll_hz
        divided = pll_hz / max(1, round((taken_hz or pll_hz) / clk_hz)) if pll_hz else clk_hz
        self.clk_hz = self.settings.clk_hz or divided

    def allocate(self, size: int) -> Block:
        """Return contiguous memory. Raises MemoryError where the pool has no hole of this size."""
        at = PAGE
        for block in sorted(self._blocks, key=lambda block: block.offset):
            if block.offset - at >= size:
                break
            at = -(-(block.offset + block.size) // PAGE) * PAGE
        if at + size > PAGE + self.settings.pool_bytes:
            raise MemoryError(f"no {size} bytes left")
        self._blocks.append(Block(at, size))
        return self._blocks[-1]

    def free(self, block: Block) -> None:
        """Take memory back."""
        if block in self._blocks:
            self._blocks.remove(block)

    def clean(self, start: int, stop: int) -> None:
        """Write dirty lines of the cache back to memory; byte offsets in DDR."""
        if not self.settings.lose_cleaning:
            self.cache.clean(start, stop)

    def invalidate(self, start: int, stop: int) -> None:
        """Forget lines of the cache."""
        if not self.settings.lose_invalidation:
            self.cache.invalidate(start, stop)

    def read(self, address: int) -> int:
        """Read a register of the programmable logic. Raises BusError where none is."""
        with self._access():
            at = self._register(address)
            self.cache.disturb()
            if at is None:
                return self._read_controller(address - self._controller)
            return self.core.read_register(at) if self.settings.answer is None else self.settings.answer

    def write(self, address: int, value: int) -> None:
        """Write a register of the programmable logic. Raises BusError where none is."""
        with self._access():
            at = self._register(address)
            self.cache.disturb()
            if at is None:
                self._write_controller(address - self._controller, value)
            else:
                self.core.write_register(at, value)
                if at == isa.REGISTERS["CTRL"][0] and value & SOFT_RESET:
                    self.core.run(RESET_CYCLES)
                elif at == isa.REGISTERS["CTRL"][0] and value & START:
                    self._wanted.set()
            self._raised = self.core.run(1)
            self._notify()

    def busy(self) -> bool:
        """Whether the core works on a segment."""
        with self._access():
            return bool(self.core.read_register(isa.REGISTERS["STATUS"][0]) & 1)

    def _register(self, address: int) -> int | None:
        """Return the address of a register within the core, or None for one of the interrupt controller."""
        if self.core is None:
            raise BusError(f"an access to {address:#x} before a bitstream is loaded hangs the processor")
        if self._control <= address < self._control + 0x1_0000:
            return address - self._control
        if self._controller <= address < self._controller + 0x1_0000:
            return None
        raise BusError(f"an access to {address:#x}, where nothing answers, hangs the processor")

    def _read_controller(self, at: int) -> int:
        return {PENDING: int(self._raised) & self._enabled, ENABLE: self._enabled, MASTER: self._master}.get(at, 0)

    def _write_controller(self, at: int, value: int) -> None:
        if at == ENABLE:
            self._enabled = value
        elif at == SET_ENABLE:
            self._enabled |= value
        elif at == CLEAR_ENABLE:
            self._enabled &= ~value
        elif at == MASTER:
            self._master = value
        elif at != ACKNOWLEDGE:
            raise BusError(f"a write to register {at:#x} of the interrupt controller")

    def _notify(self) -> None:
        """Report the interrupt to who has enabled the UIO device and the controller."""
        if self._raised and self._enabled & 1 and self._master == 3 and self._uio_enabled and self.settings.has_interrupt:
            self._uio_enabled = False
            self.interrupts += 1
            os.write(self._board_end, self.interrupts.to_bytes(4, "little"))

    def _listen(self) -> None:
        """Take the words that enable the UIO device."""
        while not self._ended.is_set():
            if select.select([self._board_end], [], [], 0.05)[0]:
                os.read(self._board_end, 4096)
                with self._access():
                    self._uio_enabled = True
                    self._notify()

    def _run(self) -> None:
        """Run the clock while a segment is under way."""
        while self._wanted.wait() and not self._ended.is_set():
            with self._lock:
                if self._wanted.is_set() and not self._ended.is_set():
                    if self.core.run(SLICE_CYCLES, SLICE_MS):
                        self._wanted.clear()
                        self._raised = True
                        self._notify()
                    self.cache.disturb()
            while self._waiting and not self._ended.wait(0.0001):
                pass

    @contextlib.contextmanager
    def _access(self) -> Iterator[None]:
        """Hold the lock before the clock's thread takes it again."""
        self._waiting += 1
        try:
            self._lock.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._lock.release()
