"""The simulated board: the RTL, verilated, cycle by cycle, with a DDR model."""

from __future__ import annotations

import numpy as np

from host.background import BackgroundCall
from host.board import Board, BoardError, BoardTimeout, Identity, flat_bytes
from host.core_driver import CoreDriver
from host.readings import VIRTUAL_CLOCK
from hw.config import Config
from hw.core_memories import read_state, write_state
from hw.simulated_core import DDR_BASE, MemorySettings, SimulatedCore, SimulationError
from hw.state import CoreState
from hw.verilator import ToolError

HANG_CYCLES = 4_000_000
"""Far more than the longest instruction: without one completed in so many cycles the core hangs."""


class Driver(Board):
    """Board "sim".

    Args:
        where: empty.
        config: configuration to build.
        hang_cycles: cycles without a completed instruction after which a segment counts as hanging.
        settings: of the memory model, see MemorySettings.
    """

    scheme = "sim"
    clock = VIRTUAL_CLOCK

    def __init__(self, where: str, config: Config, hang_cycles: int = HANG_CYCLES, **settings):
        if where:
            raise ValueError(f"the simulated board has no place {where!r}: its name is just 'sim'")
        self.config = config
        self.clk_hz = config.clk_hz
        self.settings = MemorySettings(**settings)
        self.ddr_bytes = self.settings.ddr_bytes
        self.core: SimulatedCore | None = None
        self._hang_cycles = hang_cycles
        self._call = BackgroundCall()

    def open(self) -> None:
        """Build the simulation where needed and power it up. Raises BoardError when a tool is missing."""
        try:
            self.core = SimulatedCore(self.config, self.settings)
        except ToolError as error:
            raise BoardError(str(error)) from None
        self._driver = CoreDriver(self.core.read_register, self.core.write_register, DDR_BASE)

    def close(self) -> None:
        """Stop what runs and free the simulation."""
        if self.core is not None:
            self._call.stop()
            self.core.close()
            self.core = None

    def identity(self) -> Identity:
        """Return what the core's registers say."""
        self._idle("the identity be read")
        return self._driver.identity()

    @property
    def register_accesses(self) -> int:
        """Control registers read and written one by one since `open`."""
        return self._driver.accesses

    def write(self, address: int, data) -> None:
        """Write to the DDR that the simulation shares."""
        values = flat_bytes(data)
        self.check_range(address, values.size)
        self._opened().ddr[address : address + values.size] = values

    def read(self, address: int, nbytes: int) -> np.ndarray:
        """Return a copy of DDR."""
        self.check_range(address, nbytes)
        return self._opened().ddr[address : address + nbytes].copy()

    def start(self, segment_address: int, count: int) -> None:
        """Start a segment in a thread of its own; the interpreter lock is free while the simulation works."""
        self._idle("a segment start")
        self._call.start(lambda stop: self._run(segment_address, count, stop))

    def wait(self, timeout_s: float | None = None) -> dict[str, int]:
        """Return the segment's counters; on an error or timeout the core is reset before it is raised."""
        try:
            return self._call.wait(timeout_s)
        except BoardError:
            self.stop()
            raise

    def stop(self) -> None:
        """End the simulation of the segment and reset the core."""
        self._call.stop()
        if self.core is not None:
            self.core.reset()
            self._driver.forget()

    def activity(self) -> dict[str, int]:
        """Return the RTL's 64-bit activity counters as they stand: those of u_activity by name, `<node>_toggles` of a bus."""
        counters = {}
        for name, array in self._opened().arrays.items():
            scope, _, signal = name.rpartition(".")
            instance = scope.rpartition(".")[2]
            if not instance.endswith("activity") or array.nbytes > 8:
                continue
            node = instance.removeprefix("u_").removesuffix("activity")
            counters[node + signal.removesuffix("_q")] = int.from_bytes(array.tobytes(), "little")
        return counters

    def snapshot(self) -> CoreState:
        """Return a copy of all on-chip memories and DDR, between segments."""
        self._idle("the memories be read")
        return read_state(self._opened())

    def restore(self, state: CoreState) -> None:
        """Set all on-chip memories and DDR, between segments."""
        self._idle("the memories be set")
        self._opened().reset()
        self._driver.forget()
        write_state(self._opened(), state)

    def _run(self, segment_address: int, count: int, stop) -> dict[str, int]:
        core = self._opened()
        try:
            self._driver.start(segment_address, count)
            seen, seen_at = -1, core.cycles
            while not core.run(self._hang_cycles):
                if stop.is_set():
                    raise BoardError("the segment was stopped")
                if core.cycles - seen_at >= self._hang_cycles:
                    progress = self._driver.progress()
                    if progress == seen:
                        raise BoardTimeout(
                            f"the core completed {progress} of {count} instructions of the segment at {segment_address:#x} "
                            f"and then none in {self._hang_cycles} cycles: it hangs"
                        )
                    seen, seen_at = progress, core.cycles
            return self._driver.outcome()
        except SimulationError as error:
            raise BoardError(str(error)) from None

    def _opened(self) -> SimulatedCore:
        if self.core is None:
            raise BoardError("the simulated board is not open: use it in a with block")
        return self.core

    def _idle(self, what: str) -> None:
        self._opened()
        if self._call.running:
            raise BoardError(f"a segment is under way on the simulated board: wait for it, then can {what}")
