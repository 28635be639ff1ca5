"""The golden board: a program interpreted instruction by instruction with the numpy unit models."""

from __future__ import annotations

import copy

import numpy as np

from host.background import BackgroundCall
from host.board import Board, BoardError, BoardTimeout, Identity, SegmentError, flat_bytes
from hw import isa
from hw.config import Config
from hw.golden import TooLong, run_segment
from hw.state import CoreError, CoreState


class Driver(Board):
    """Board "golden". It has no clock: `cycles` and the stalls in its counters are 0.

    Args:
        where: empty.
        config: configuration to interpret programs of.
        ddr_bytes: size of DDR.
    """

    scheme = "golden"

    def __init__(self, where: str, config: Config, ddr_bytes: int = 1 << 26):
        if where:
            raise ValueError(f"the golden board has no place {where!r}: its name is just 'golden'")
        if ddr_bytes < 4096:
            raise ValueError(f"a DDR of {ddr_bytes} bytes: at least 4096 can be had")
        self.config = config
        self.clk_hz = config.clk_hz
        self.ddr_bytes = ddr_bytes
        self.state: CoreState | None = None
        self._call = BackgroundCall()

    def open(self) -> None:
        """Make a core whose memories are zero."""
        self.state = CoreState(self.config, np.zeros(self.ddr_bytes, np.uint8))

    def close(self) -> None:
        """Stop what runs and forget the core."""
        self._call.stop()
        self.state = None

    def identity(self) -> Identity:
        """Return the identity of a core of this configuration."""
        return Identity(isa.VERSION, self.config.config_hash)

    def write(self, address: int, data) -> None:
        """Write to DDR."""
        values = flat_bytes(data)
        self.check_range(address, values.size)
        self._opened().ddr[address : address + values.size] = values

    def read(self, address: int, nbytes: int) -> np.ndarray:
        """Return a copy of DDR."""
        self.check_range(address, nbytes)
        return self._opened().ddr[address : address + nbytes].copy()

    def start(self, segment_address: int, count: int) -> None:
        """Start a segment in a thread of its own."""
        state = self._opened()
        self._call.start(lambda stop: self._run(state, segment_address, count, stop))

    def wait(self, timeout_s: float | None = None) -> dict[str, int]:
        """Return the segment's counters."""
        try:
            return self._call.wait(timeout_s)
        except BoardError:
            self.stop()
            raise

    def stop(self) -> None:
        """End the segment after the instruction under way."""
        self._call.stop()

    def snapshot(self) -> CoreState:
        """Return a copy of all on-chip memories and DDR, between segments."""
        return copy.deepcopy(self._opened())

    def restore(self, state: CoreState) -> None:
        """Set all on-chip memories and DDR, between segments; DDR past the end of `state`'s keeps what it holds."""
        own = self._opened()
        own.ddr[: state.ddr.size] = state.ddr
        own.acc[:] = state.acc
        for name, memory in state.mem.items():
            own.mem[name][:] = memory

    def _run(self, state: CoreState, segment_address: int, count: int, stop) -> dict[str, int]:
        try:
            run_segment(state, segment_address, count, stop.is_set)
        except CoreError as error:
            raise SegmentError(error.code, error.engine, error.index, segment_address, str(error)) from None
        except TooLong as error:
            raise BoardTimeout(f"the segment at {segment_address:#x} was not run to its end: {error}") from None
        if stop.is_set():
            raise BoardError("the segment was stopped")
        return dict(state.counters)

    def _opened(self) -> CoreState:
        if self.state is None:
            raise BoardError("the golden board is not open: use it in a with block")
        return self.state
