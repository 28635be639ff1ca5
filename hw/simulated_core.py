"""The verilated core as a Python object: registers, clock, DDR and a look at the on-chip memories."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hw import isa, simulate
from hw.config import Config
from hw.verilator import ToolError

SLICE_MS = 20.0
NO_ADDRESS = (1 << 64) - 1
DDR_BASE = 0x1000_0000


@dataclass(frozen=True)
class MemorySettings:
    """The simulated DDR.

    Attributes:
        ddr_bytes: size.
        bytes_per_cycle: bandwidth shared by reads and writes of both ports.
        latency_cycles: from a read address to its first beat, and from the last write beat to its response.
        stall_probability: of each AXI handshake in each cycle; 0 for none.
        seed: of the random stalls.
    """

    ddr_bytes: int = 1 << 26
    bytes_per_cycle: float = 16.0
    latency_cycles: int = 40
    stall_probability: float = 0.0
    seed: int = 1

    def __post_init__(self):
        if not 4096 <= self.ddr_bytes <= 0xC000_0000:
            raise ValueError(f"a simulated DDR of {self.ddr_bytes} bytes: 4096 bytes to 3 GiB can be had")
        if not 0.01 <= self.bytes_per_cycle <= 1024:
            raise ValueError(f"a DDR bandwidth of {self.bytes_per_cycle} bytes per cycle: 0.01 to 1024 can be simulated")
        if not 0 <= self.stall_probability <= 0.95:
            raise ValueError(f"a stall probability of {self.stall_probability}: 0 to 0.95 can be simulated")
        if not 0 <= self.latency_cycles <= 100_000:
            raise ValueError(f"a DDR latency of {self.latency_cycles} cycles: 0 to 100000 can be simulated")


class SimulationError(RuntimeError):
    """The simulated core does not answer, or breaks the bus protocol; the message says which and where."""


class Simulation:
    """A verilated model, which is gone once it is closed: in its library, a null pointer would end the process."""

    _opened: int | None = None

    @property
    def _handle(self) -> int:
        if not self._opened:
            raise SimulationError("the simulation was closed: nothing can be asked of it any more, make another")
        return self._opened


def _load(path: Path) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise ToolError(f"the simulated core {path} cannot be loaded: {error}; delete its folder to build it again") from None
    u64, u32, pointer = ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p
    signatures = {
        "core_open": (pointer, (pointer, u64, u64, u32, ctypes.c_double, u32, ctypes.c_double, u64)),
        "core_close": (None, (pointer,)),
        "core_reset": (None, (pointer,)),
        "core_run": (u64, (pointer, u64, ctypes.c_double)),
        "core_interrupt": (ctypes.c_int, (pointer,)),
        "core_cycles": (u64, (pointer,)),
        "core_write_register": (ctypes.c_int, (pointer, u32, u32)),
        "core_read_register": (ctypes.c_int, (pointer, u32, ctypes.POINTER(u32))),
        "core_set_errors": (None, (pointer, u64, u64)),
        "core_violation": (ctypes.c_char_p, (pointer,)),
        "core_public_count": (u64, (pointer,)),
        "core_public_array": (ctypes.c_char_p, (pointer, u64, ctypes.POINTER(pointer), ctypes.POINTER(u64), ctypes.POINTER(u64))),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class SimulatedCore(Simulation):
    """One verilated core with its DDR. Not to be used from two threads at once, but for `ddr`.

    Attributes:
        config: sizes.
        ddr: uint8 (ddr_bytes,), shared with the simulation; byte 0 is at bus address DDR_BASE.
        arrays: everything the RTL marks public, by hierarchical name: uint8 (words, word bytes), shared.
    """

    def __init__(self, config: Config, settings: MemorySettings | None = None, library: Path | None = None):
        """Build the library where needed and power the core up. Raises verilator.ToolError."""
        settings = settings or MemorySettings()
        self.config = config
        self.settings = settings
        self.ddr = np.zeros(settings.ddr_bytes, np.uint8)
        self._library = _load(library or simulate.build(config))
        self._opened = self._library.core_open(
            self.ddr.ctypes.data, DDR_BASE, settings.ddr_bytes, config.beat_bytes, settings.bytes_per_cycle,
            settings.latency_cycles, settings.stall_probability, settings.seed,
        )  # fmt: skip
        self.arrays = self._public_arrays()

    def close(self) -> None:
        """Free the simulation; the arrays must not be used afterwards."""
        if self._opened:
            self.arrays = {}
            self._library.core_close(self._opened)
            self._opened = None

    def reset(self) -> None:
        """Pull the core's reset and empty the memory model; memories keep what they hold."""
        self._library.core_reset(self._handle)

    @property
    def cycles(self) -> int:
        """Clock cycles since power-up, register accesses included."""
        return self._library.core_cycles(self._handle)

    def run(self, cycles: int, milliseconds: float = SLICE_MS) -> bool:
        """Run until the interrupt, at most `cycles` and about `milliseconds` of work; return whether it was raised.

        Raises:
            SimulationError: the core broke the AXI3 protocol.
        """
        self._library.core_run(self._handle, cycles, milliseconds)
        violation = self._library.core_violation(self._handle)
        if violation:
            raise SimulationError(f"the core breaks the AXI3 protocol: {violation.decode()}")
        return bool(self._library.core_interrupt(self._handle))

    def write_register(self, address: int, value: int) -> None:
        """Write a control register. Raises SimulationError when the core does not answer."""
        if not self._library.core_write_register(self._handle, address, value & 0xFFFFFFFF):
            raise SimulationError(f"the core does not answer a write to register {address:#x}")

    def read_register(self, address: int) -> int:
        """Return a control register. Raises SimulationError when the core does not answer."""
        value = ctypes.c_uint32()
        if not self._library.core_read_register(self._handle, address, ctypes.byref(value)):
            raise SimulationError(f"the core does not answer a read of register {address:#x}")
        return value.value

    def inject_errors(self, read_offset: int | None = None, write_offset: int | None = None) -> None:
        """Answer bursts that touch these DDR offsets with SLVERR from now on; None for no such offset."""
        at = [NO_ADDRESS if offset is None else DDR_BASE + offset for offset in (read_offset, write_offset)]
        self._library.core_set_errors(self._handle, *at)

    def _public_arrays(self) -> dict[str, np.ndarray]:
        arrays = {}
        for i in range(self._library.core_public_count(self._handle)):
            data, size, word = ctypes.c_void_p(), ctypes.c_uint64(), ctypes.c_uint64()
            name = self._library.core_public_array(self._handle, i, ctypes.byref(data), ctypes.byref(size), ctypes.byref(word))
            raw = np.ctypeslib.as_array((ctypes.c_uint8 * size.value).from_address(data.value))
            arrays[name.decode()] = raw.reshape(-1, word.value)
        return arrays


def register_address(name: str) -> int:
    """Return the byte address of a control register."""
    return isa.REGISTERS[name][0]
