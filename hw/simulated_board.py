"""The verilated board with a serial line as a Python object: bytes in, bytes out, clock."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from hw import simulate
from hw.config import Config
from hw.design import reachable
from hw.simulated_core import Simulation
from hw.verilator import ToolError

BOARD_SIM = simulate.HW / "sim_board"
TOP = "serial_board_top"
SLICE_MS = 20.0
MOST_BYTES = 1 << 16


@dataclass(frozen=True)
class LineSettings:
    """The simulated board's memory and line.

    Attributes:
        memory_bytes: on-chip memory in place of DDR, a multiple of 8; by default more than an ECP5 has, so that digits fits.
        clocks_per_bit: of the line; a real board at 3 Mbaud has 20 or so, few make the simulation fast.
        host_clocks_per_bit: of the host's end, where its speed is another one; 0 for the same.
    """

    memory_bytes: int = 1 << 20
    clocks_per_bit: int = 2
    host_clocks_per_bit: int = 0

    def __post_init__(self):
        if not 4096 <= self.memory_bytes <= 1 << 28 or self.memory_bytes % 8:
            raise ValueError(f"an on-chip memory of {self.memory_bytes} bytes: a multiple of 8 from 4096 to 2^28 can be had")
        for clocks in (self.clocks_per_bit, self.host_clocks_per_bit or self.clocks_per_bit):
            if not 2 <= clocks <= 1000:
                raise ValueError(f"{clocks} clocks per bit: 2 to 1000 can be simulated")


def model(config: Config, settings: LineSettings) -> simulate.Model:
    """Return what is verilated: the board top without anything of a vendor."""
    extra = (
        ("MemoryWords", str(settings.memory_bytes // config.beat_bytes)),
        ("ClkHz", f"32'd{config.clk_hz}"),
        ("Baud", f"32'd{config.clk_hz // settings.clocks_per_bit}"),
    )
    return simulate.Model(TOP, tuple(reachable(TOP)), BOARD_SIM, extra, "serial-")


class SimulatedBoard(Simulation):
    """One board, powered up. Not to be used from two threads at once."""

    def __init__(self, config: Config, settings: LineSettings | None = None):
        """Build the library where needed. Raises verilator.ToolError."""
        settings = settings or LineSettings()
        path = simulate.build(config, model=model(config, settings))
        try:
            self._library = _declared(ctypes.CDLL(str(path)))
        except OSError as error:
            raise ToolError(f"the simulated board {path} cannot be loaded: {error}; delete its folder") from None
        self._opened = self._library.board_open(settings.host_clocks_per_bit or settings.clocks_per_bit)
        self._buffer = (ctypes.c_uint8 * MOST_BYTES)()

    def close(self) -> None:
        """Free the simulation."""
        if self._opened:
            self._library.board_close(self._opened)
            self._opened = None

    def send(self, data: bytes) -> None:
        """Hand bytes to the host's end of the line; they go out as the clock runs."""
        self._library.board_send(self._handle, data, len(data))

    def receive(self) -> bytes:
        """Return the bytes that have come out since the last call, at most MOST_BYTES."""
        return bytes(self._buffer[: self._library.board_receive(self._handle, self._buffer, MOST_BYTES)])

    def run(self, cycles: int, milliseconds: float = SLICE_MS) -> int:
        """Run the clock, at most so many cycles and about so many milliseconds of work; return the cycles."""
        return self._library.board_run(self._handle, cycles, milliseconds)

    @property
    def busy(self) -> bool:
        """Whether bits are on the line or a segment runs."""
        return bool(self._library.board_busy(self._handle))

    @property
    def waiting(self) -> int:
        """Bytes that were sent and are not on the line yet."""
        return self._library.board_waiting(self._handle)

    @property
    def cycles(self) -> int:
        """Clock cycles since power-up."""
        return self._library.board_cycles(self._handle)

    @property
    def broken(self) -> int:
        """Bytes of the board whose start or stop bit was wrong."""
        return self._library.board_broken(self._handle)


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    u64, u32, pointer = ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p
    signatures = {
        "board_open": (pointer, (u32,)),
        "board_close": (None, (pointer,)),
        "board_send": (None, (pointer, ctypes.c_char_p, u64)),
        "board_receive": (u64, (pointer, ctypes.POINTER(ctypes.c_uint8), u64)),
        "board_run": (u64, (pointer, u64, ctypes.c_double)),
        "board_busy": (ctypes.c_int, (pointer,)),
        "board_waiting": (u64, (pointer,)),
        "board_cycles": (u64, (pointer,)),
        "board_broken": (u64, (pointer,)),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
