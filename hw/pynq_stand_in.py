"""A stand-in for the package `pynq`, at pynq's own interface, in front of a simulated Zynq: what host/board_pynq.py is tried on.

    with installed("3.1") as zynq:
        import pynq

Versions, where they differ for a driver: in 3.0 flush and invalidate take the range of a slice; in 3.1 and 4.0 they take the
whole buffer, also when a slice is asked, and pyxrt's buffer object takes ranges. "3.1 remote" and "4.0 remote": a board behind a
network. There a buffer is a copy on this side, and flush sends what it is called on to the start of the board's buffer.
"""

from __future__ import annotations

import contextlib
import enum
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hw import flow
from hw.design import Design
from hw.flow import Report, Tool
from hw.simulated_core import DDR_BASE
from hw.simulated_zynq import Block, SimulatedZynq, ZynqSettings

VERSIONS = {"3.0": "armv7l", "3.1": "armv7l", "4.0": "aarch64", "3.1 remote": "armv7l", "4.0 remote": "aarch64"}
HOST = "board.example"
"""Where the remote versions' board answers."""
RAW_IRQ = {"armv7l": 61, "aarch64": 121}


class Direction(enum.Enum):
    """pyxrt.xclBOSyncDirection."""

    XCL_BO_SYNC_BO_TO_DEVICE = 0
    XCL_BO_SYNC_BO_FROM_DEVICE = 1


class RpcError(Exception):
    """grpc.RpcError."""


class BufferObject:
    """pyxrt.bo: contiguous memory."""

    def __init__(self, zynq: SimulatedZynq, block: Block):
        self.zynq, self.block = zynq, block

    def sync(self, direction: Direction, size: int | None = None, offset: int = 0) -> None:
        """Clean or invalidate a range, all of it by default."""
        if not isinstance(direction, Direction):
            raise TypeError(f"sync(): incompatible function arguments: {direction!r}")
        size = self.block.size - offset if size is None else size
        if offset + size > self.block.size:
            raise RuntimeError("sync: out of range")
        start = self.block.offset + offset
        work = self.zynq.clean if direction is Direction.XCL_BO_SYNC_BO_TO_DEVICE else self.zynq.invalidate
        work(start, start + size)


class PynqBuffer(np.ndarray):
    """pynq.buffer.PynqBuffer: the processor's cached view of contiguous memory."""

    device = None  # numpy 2 has an attribute of this name that cannot be set

    def __new__(cls, *args, device=None, device_address=0, bo=None, coherent=False, **kwargs):
        self = super().__new__(cls, *args, **kwargs)
        self.device, self.device_address, self.bo, self.coherent, self.offset = device, device_address, bo, coherent, 0
        return self

    def __array_finalize__(self, obj):
        if isinstance(obj, PynqBuffer) and obj.device_address is not None:
            moved = self.virtual_address - obj.virtual_address
            self.device, self.bo, self.coherent = obj.device, obj.bo, obj.coherent
            self.device_address, self.offset = obj.device_address + moved, obj.offset + moved
        else:
            self.device_address = self.coherent = None

    def __setitem__(self, key, value):
        written = self[key]
        cache = self.device.zynq.cache
        with cache.lock:
            super().__setitem__(key, value)
            start = written.device_address - DDR_BASE
            cache.written(start, start + written.nbytes)

    @property
    def physical_address(self):
        return self.device_address

    @property
    def virtual_address(self):
        return self.__array_interface__["data"][0]

    def flush(self):
        if not self.coherent:
            self.device.flush(self.bo, self.offset, self.virtual_address, self.nbytes)

    def invalidate(self):
        if not self.coherent:
            self.device.invalidate(self.bo, self.offset, self.virtual_address, self.nbytes)

    def freebuffer(self):
        self.device.zynq.free(self.device.blocks.pop(self.device_address))


class LocalDevice:
    """pynq.pl_server.embedded_device.EmbeddedDevice."""

    def __init__(self, zynq: SimulatedZynq, version: str):
        self.zynq, self.arch, self.name, self.tag = zynq, VERSIONS[version], "edge", "embedded_xrt0"
        self.blocks: dict[int, Block] = {}
        self._ranges = version == "3.0"

    def has_capability(self, capability):
        return capability == "MEMORY_MAPPED"

    def mmap(self, address, length):
        return RegisterArray.of(self.zynq, address, length)

    def allocate(self, shape, dtype, **kwargs):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        try:
            block = self.zynq.allocate(size)
        except MemoryError as error:
            raise RuntimeError("Allocate failed: 4294967295" if self._ranges else f"BO allocation failed: {error}") from None
        self.blocks[block.address] = block
        bo = len(self.blocks) if self._ranges else BufferObject(self.zynq, block)
        memory = self.zynq.cache.seen[block.offset : block.offset + size]
        return PynqBuffer(shape, dtype, buffer=memory, device=self, device_address=block.address, bo=bo)

    def flush(self, bo, offset, address, size):
        self._sync(bo, offset, size, Direction.XCL_BO_SYNC_BO_TO_DEVICE)

    def invalidate(self, bo, offset, address, size):
        self._sync(bo, offset, size, Direction.XCL_BO_SYNC_BO_FROM_DEVICE)

    def _sync(self, bo, offset, size, direction):
        if self._ranges:
            BufferObject(self.zynq, list(self.blocks.values())[bo - 1]).sync(direction, size, offset)
        else:
            bo.sync(direction)


class RemoteDevice:
    """pynq.pl_server.remote_device.RemoteDevice; the class attributes are the board that answers."""

    zynq: SimulatedZynq
    firmware: dict[str, str]
    answering = True
    arch = "armv7l"

    def __init__(self, index=0, ip_addr=None, port=7967, tag="remote{}"):
        if ip_addr != HOST or not self.answering:
            raise RuntimeError("Failed to connect to remote device")
        self.ip_addr, self.name, self.tag = ip_addr, self.zynq.settings.name, tag.format(index)

    def has_capability(self, capability):
        return capability == "REMOTE"

    def mmap(self, address, length):
        return RegisterArray.of(self.zynq, address, length)

    def allocate(self, shape, dtype, **kwargs):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        try:
            block = self.zynq.allocate(size)
        except MemoryError:
            block = None  # the board's server keeps it to itself
        return RemoteBuffer(shape, dtype, self, block)


class RemoteBuffer(np.ndarray):
    """pynq.pl_server.remote_device.RemoteBuffer."""

    device = None

    def __new__(cls, shape, dtype, device, block):
        self = super().__new__(cls, shape, dtype)
        self.device, self.block, self.coherent = device, block, False
        return self

    def __array_finalize__(self, obj):
        if isinstance(obj, RemoteBuffer):
            self.device, self.block, self.coherent = obj.device, obj.block, obj.coherent

    def _board(self) -> Block:
        if not RemoteDevice.answering:
            raise RpcError("failed to connect to all addresses")
        if self.block is None:
            raise RpcError("Buffer not found.")
        return self.block

    def flush(self):
        block, zynq, data = self._board(), self.device.zynq, np.frombuffer(self.tobytes(), np.uint8)
        with zynq.cache.lock:
            zynq.cache.seen[block.offset : block.offset + data.size] = data
            zynq.cache.written(block.offset, block.offset + data.size)
        zynq.clean(block.offset, block.offset + block.size)
        zynq.moved_bytes += data.size

    def invalidate(self):
        block, zynq = self._board(), self.device.zynq
        zynq.invalidate(block.offset, block.offset + block.size)
        data = zynq.cache.seen[block.offset : block.offset + block.size]
        self[:] = data.view(self.dtype).reshape(self.shape)
        zynq.moved_bytes += data.size

    @property
    def physical_address(self):
        return self._board().address

    def freebuffer(self):
        self.device.zynq.free(self._board())


class RegisterArray(np.ndarray):
    """What MMIO's `array` is: words at their addresses, read when they are asked for."""

    @classmethod
    def of(cls, zynq: SimulatedZynq, address: int, length: int) -> RegisterArray:
        """Return the words of a range of addresses."""
        self = super().__new__(cls, (length // 4,), np.uint32)
        self.zynq, self.address = zynq, address
        return self

    def __getitem__(self, key):
        if isinstance(key, slice):
            return np.array([self[i] for i in range(*key.indices(len(self)))], np.uint32)
        return np.uint32(self.zynq.read(self.address + 4 * key))

    def __setitem__(self, key, value):
        self.zynq.write(self.address + 4 * key, int(value))


class Mmio:
    """pynq.MMIO."""

    def __init__(self, base_addr, length=4, device=None, **kwargs):
        if isinstance(device, RemoteDevice):
            self._words = device.mmap(base_addr, length)
            self.array = object()  # of tinynumpy: no numpy array
        else:
            self.array = self._words = device.mmap(base_addr, length)
        self.base_addr, self.length = base_addr, length

    def read(self, offset=0, length=4, word_order="little"):
        _check(offset, self.length)
        return int(self._words[offset >> 2])

    def write(self, offset, data):
        _check(offset, self.length)
        if type(data) is not int:
            raise ValueError("Data type must be int or bytes.")
        self._words[offset >> 2] = np.uint32(data)


def _check(offset: int, length: int) -> None:
    if not RemoteDevice.answering:
        raise RpcError("failed to connect to all addresses")
    if offset % 4:
        raise MemoryError("Unaligned access: offset must be multiple of 4.")
    if not 0 <= offset < length:
        raise IndexError(f"index {offset >> 2} is out of bounds for axis 0 with size {length >> 2}")


class Bitstream:
    """pynq.Bitstream; a bitstream of this stand-in is JSON text, written by StandInFlow."""

    def __init__(self, bitfile_name, dtbo=None, partial=False, device=None):
        if not isinstance(bitfile_name, str):
            raise TypeError("Bitstream name has to be a string.")
        if not Path(bitfile_name).is_file():
            raise OSError(f"Bitstream file {bitfile_name} does not exist.")
        self.bitfile_name, self.device, self.binfile_name = bitfile_name, device, ""

    def download(self, parser=None):
        """Load it; metadata beside it also set the clock. A remote board keeps files, and takes none that it has by name."""
        text = Path(self.bitfile_name).read_text()
        if isinstance(self.device, RemoteDevice):
            name = self.binfile_name or Path(self.bitfile_name).with_suffix(".bin").name
            text = self.device.firmware.setdefault(name, text)
        bits = json.loads(text)
        self.device.zynq.load(bits["config"], bits["control"], bits["interrupts"], parser and parser["clk_hz"])


class Overlay(Bitstream):
    """pynq.Overlay."""

    def __init__(self, bitfile_name, dtbo=None, download=True, ignore_version=False, device=None):
        super().__init__(bitfile_name, dtbo, device=device)
        hwh = Path(bitfile_name).with_suffix(".hwh")
        if not hwh.is_file():
            raise RuntimeError("Unable to find metadata for bitstream")
        parser = json.loads(hwh.read_text())
        self.ip_dict, self.interrupt_pins = parser["ip_dict"], parser["interrupt_pins"]
        self.interrupt_controllers = parser["interrupt_controllers"]
        for entry in self.interrupt_controllers.values():
            entry["raw_irq"] = RAW_IRQ[device.arch]
        self.parser = parser
        if download:
            self.download()

    def download(self, dtbo=None):
        super().download(self.parser)


class ClocksMeta(type):
    """Of pynq.Clocks: properties of the class. Registers hold ratios to a reference that pynq takes to be the same everywhere."""

    zynq: SimulatedZynq
    taken_mhz: float

    @property
    def fclk0_mhz(cls):
        """PL clock 0, read back from multiplier and divisors."""
        return round(cls.zynq.clk_hz / 1e6 / cls._ratio(), 6)

    @fclk0_mhz.setter
    def fclk0_mhz(cls, mhz):
        cls.zynq.set_clock(mhz * 1e6 * cls._ratio())

    def _ratio(cls):
        return (cls.zynq.settings.reference_mhz or cls.taken_mhz) / cls.taken_mhz


class StandInFlow(flow.Flow):
    """Builds bitstreams that the stand-in loads; what hw.bitstream makes of them is as with a real tool.

    Args:
        holds: configuration that they hold; the design's where not given.
        metadata: whether a .hwh is written, as Vivado does.
        clock_period_s: the clock that the processing system is said to give; 0 for the design's.
    """

    def __init__(self, holds: str = "", metadata: bool = True, clock_period_s: float = 0.0):
        super().__init__()
        self._holds, self._metadata, self._period_s = holds, metadata, clock_period_s

    def find(self) -> list[Tool]:
        return [Tool("stand-in", "", "1")]

    def write(self, design: Design, folder: Path) -> list[Path]:
        return [flow.write_script(folder / "script.txt", f"{self._holds} {self._metadata} {self._period_s}\n")]

    def run(self, design: Design, folder: Path, tools: list[Tool]) -> None:
        control = design.board.control
        bits = {"config": self._holds or design.config.name, "control": control["base"], "interrupts": control["interrupts"]}
        (folder / "joulegrad.bit").write_text(json.dumps(bits))
        core = {"phys_addr": control["base"], "addr_range": control["bytes"], "type": "xilinx.com:module_ref:joulegrad_axi:1.0"}
        controller = {**core, "phys_addr": control["interrupts"], "type": "xilinx.com:ip:axi_intc:4.1"}
        pin = {"controller": "axi_intc_0", "index": 0, "fullpath": "joulegrad_0/irq"}
        metadata = {
            "ip_dict": {"joulegrad_0": core, "axi_intc_0": controller}, "interrupt_pins": {"joulegrad_0/irq": pin},
            "interrupt_controllers": {"axi_intc_0": {"parent": "", "index": 0}},
            "clk_hz": 1 / self._period_s if self._period_s else design.clk_hz,
        }  # fmt: skip
        (folder / "joulegrad.hwh").write_text(json.dumps(metadata))

    def report(self, design: Design, folder: Path) -> Report:
        names = ("joulegrad.bit", "joulegrad.hwh") if self._metadata else ("joulegrad.bit",)
        facts = {"clock_period_s": self._period_s} if self._period_s else {}
        return Report({}, 0.0, float(design.clk_hz), {name: folder / name for name in names}, facts)


@contextlib.contextmanager
def installed(version: str = "3.1", **settings) -> Iterator[SimulatedZynq]:
    """Put the stand-in's modules where `import pynq` finds them; yields the board, which is in a state as after power-up.

    Args:
        version: of VERSIONS.
        settings: of ZynqSettings.
    """
    zynq = SimulatedZynq(ZynqSettings(**settings))
    RemoteDevice.zynq, RemoteDevice.answering, RemoteDevice.arch = zynq, True, VERSIONS[version]
    RemoteDevice.firmware = {}
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in ("pynq", "pyxrt")}
    added = modules(zynq, version)
    sys.modules.update(added)
    try:
        yield zynq
    finally:
        for name in added:
            sys.modules.pop(name, None)
        sys.modules.update(before)
        zynq.close()


def modules(zynq: SimulatedZynq, version: str) -> dict[str, types.ModuleType]:
    """Return the modules of a version by name."""
    remote = version.endswith("remote")
    devices = [] if remote else [LocalDevice(zynq, version)]
    active = types.SimpleNamespace(devices=devices, active_device=devices[0] if devices else None)
    clocks = ClocksMeta("Clocks", (), {"set_device": classmethod(lambda cls, device: None)})
    ClocksMeta.zynq, ClocksMeta.taken_mhz = zynq, 50.0 if VERSIONS[version] == "armv7l" else 33.333

    def allocate(shape, dtype="u4", target=None, **kwargs):
        return (target or active.active_device).allocate(shape, dtype, **kwargs)

    def get_uio_irq(irq):
        found = zynq.settings.has_interrupt and irq == RAW_IRQ[VERSIONS[version]]
        return zynq.uio_path if found else None

    contents = {
        "pynq": {
            "__version__": f"{version.partition(' ')[0]}.0 (stand-in)", "Device": active, "Overlay": Overlay,
            "Bitstream": Bitstream, "MMIO": Mmio, "Clocks": clocks, "allocate": allocate, "__path__": [],
        },
        "pynq.interrupt": {"get_uio_irq": get_uio_irq},
        "pynq.pl_server": {"Device": active, "__path__": []},
    }  # fmt: skip
    if version != "3.0":
        contents["pynq.pl_server.remote_device"] = {"RemoteDevice": RemoteDevice}
        contents["pyxrt"] = {"xclBOSyncDirection": Direction}
    made = {}
    for name, content in contents.items():
        made[name] = types.ModuleType(name)
        vars(made[name]).update(content)
    for name in made:
        parent, _, child = name.rpartition(".")
        if parent in made:
            setattr(made[parent], child, made[name])
    return made
