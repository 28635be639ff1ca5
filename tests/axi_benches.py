"""The memory behind a transfer engine under test: cocotbext-axi's models, with pauses, latency or error responses."""

from __future__ import annotations

import random
from collections import deque

from cocotb.triggers import ReadOnly, RisingEdge
from cocotbext.axi import AxiReadBus, AxiSlaveRead, AxiSlaveWrite, AxiWriteBus, MemoryRegion

STRIPE_BYTES = 128


class StripedRegion(MemoryRegion):
    """A memory shared by two masters that notes who touches what, and answers some addresses with an error.

    Attributes:
        accesses: (address, bytes) of every beat as it comes.
        poisoned: addresses whose beats get an error response.
        slave: the model that stands before it.
    """

    def __init__(self, data, port: int, base: int):
        super().__init__(size=1 << 32, mem=data)
        self.port, self.first_address = port, base
        self.accesses: list[tuple[int, int]] = []
        self.poisoned: set[int] = set()
        self.slave = None

    def _touch(self, address: int, length: int) -> int:
        assert address // STRIPE_BYTES % 2 == self.port, f"{address:#x} on port {self.port}"
        self.accesses.append((address, length))
        if any(address <= p < address + length for p in self.poisoned):
            raise ValueError(f"no memory at {address:#x}")
        return address - self.first_address

    async def _read(self, address, length, **kwargs):
        offset = self._touch(address, length)
        return bytes(self.mem[offset : offset + length])

    async def _write(self, address, data, **kwargs):
        offset = self._touch(address, len(data))
        self.mem[offset : offset + len(data)] = memoryview(data)


def pauses(seed: int, share: float):
    """Yield whether to pause in each cycle."""
    source = random.Random(seed)
    while True:
        yield source.random() < share


def attach_read(dut, data, base: int, seed: int = 0, share: float = 0.0) -> list[StripedRegion]:
    """Put a readable memory behind both masters; `share` of the cycles of every channel are paused."""
    regions = []
    for port in range(2):
        region = StripedRegion(data, port, base)
        bus = AxiReadBus.from_prefix(dut, f"m{port}_axi")
        slave = AxiSlaveRead(bus, dut.clk_i, dut.rst_ni, target=region, reset_active_level=False)
        slave.log.setLevel("ERROR")
        region.slave = slave
        if share:
            slave.ar_channel.set_pause_generator(pauses(seed + port, share))
            slave.r_channel.set_pause_generator(pauses(seed + port + 2, share))
        regions.append(region)
    return regions


def attach_write(dut, data, base: int, seed: int = 0, share: float = 0.0) -> list[StripedRegion]:
    """Put a writable memory behind both masters; `share` of the cycles of every channel are paused."""
    regions = []
    for port in range(2):
        region = StripedRegion(data, port, base)
        bus = AxiWriteBus.from_prefix(dut, f"m{port}_axi")
        slave = AxiSlaveWrite(bus, dut.clk_i, dut.rst_ni, target=region, reset_active_level=False)
        slave.log.setLevel("ERROR")
        region.slave = slave
        if share:
            for number, channel in enumerate((slave.aw_channel, slave.w_channel, slave.b_channel)):
                channel.set_pause_generator(pauses(seed + port + 2 * number, share))
        regions.append(region)
    return regions


async def steady_reads(dut, port: int, data: bytes, base: int, latency: int, beat_bytes: int) -> None:
    """Answer reads one beat per cycle, each burst `latency` cycles after its address: for measurements of speed."""
    pin = {name: getattr(dut, f"m{port}_axi_{name}") for name in ("arready", "rvalid", "rdata", "rlast", "rresp", "rid")}
    pin["arready"].value, pin["rvalid"].value, pin["rresp"].value, pin["rid"].value = 1, 0, 0, 0
    arvalid, araddr, arlen, rready = (getattr(dut, f"m{port}_axi_{name}") for name in ("arvalid", "araddr", "arlen", "rready"))
    beats: deque[tuple[int, int, bool]] = deque()
    cycle = 0
    while True:
        await ReadOnly()
        address = (int(araddr.value), int(arlen.value)) if arvalid.value else None
        taken = rready.value and beats and pin["rvalid"].value
        await RisingEdge(dut.clk_i)
        cycle += 1
        if taken:
            beats.popleft()
        if address:
            count = address[1] + 1
            beats.extend((cycle + latency, address[0] + k * beat_bytes - base, k == count - 1) for k in range(count))
        ready = bool(beats) and beats[0][0] <= cycle
        pin["rvalid"].value = int(ready)
        if ready:
            _, offset, last = beats[0]
            pin["rdata"].value = int.from_bytes(data[offset : offset + beat_bytes], "little")
            pin["rlast"].value = int(last)
