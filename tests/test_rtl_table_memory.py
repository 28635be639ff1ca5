"""hw/rtl/table_memory.sv and scratchpad.sv against an array with the stated priorities, cycle by cycle."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge

DEPTH = 32
CYCLES = 1500
REQUESTERS = ("vector", "coefficient", "dma")


def test_table_memory(run_rtl):
    run_rtl("table_memory", "test_rtl_table_memory", {"Depth": DEPTH})


def test_scratchpad(run_rtl):
    run_rtl("scratchpad", "test_rtl_table_memory", {"Depth": DEPTH, "Width": 64})


class Port:
    """One requester of one direction: holds its request and address until the grant."""

    def __init__(self, dut, name: str, way: str, share: float, source: random.Random, granted: bool = True):
        enable = f"{name}_{way}req_i" if granted else f"{name}_{way}en_i"
        self.request, self.address = getattr(dut, enable), getattr(dut, f"{name}_{way}addr_i")
        self.grant = getattr(dut, f"{name}_{way}gnt_o") if granted else None
        self.data = getattr(dut, f"{name}_wdata_i") if way == "w" else None
        self.share, self.source = share, source
        self.pending = False
        self.request.value = self.address.value = 0
        if self.data is not None:
            self.data.value = 0

    def drive(self, taken: bool) -> None:
        """Set the request of the next cycle."""
        if self.pending and not taken:
            return
        self.pending = self.source.random() < self.share
        self.request.value = int(self.pending)
        self.address.value = self.source.randrange(DEPTH)
        if self.data is not None:
            self.data.value = self.source.getrandbits(64)


async def follow(dut, readers: list[Port], writers: list[Port]) -> list[int]:
    """Drive random requests, check grants and data against an array, and return the grants of each port."""
    Clock(dut.clk_i, 10, "ns").start()
    memory: dict[int, int] = {}
    expected = None
    grants = [0] * (len(readers) + len(writers))
    for _ in range(CYCLES):
        await ReadOnly()
        if expected is not None:
            assert int(dut.rdata_o.value) == expected
        taken = []
        for ports in (readers, writers):
            first = next((port for port in ports if port.request.value), None)
            for port in ports:
                if port.grant is not None:
                    assert bool(port.grant.value) == (port is first)
                taken.append(port is first)
        grants = [total + now for total, now in zip(grants, taken, strict=True)]
        reader = next((port for port in readers if port.request.value), None)
        expected = memory.get(int(reader.address.value)) if reader else expected
        writer = next((port for port in writers if port.request.value), None)
        if writer:
            memory[int(writer.address.value)] = int(writer.data.value)
        await RisingEdge(dut.clk_i)
        for port, was in zip([*readers, *writers], taken, strict=True):
            port.drive(was)
    return grants


@cocotb.test()
@cocotb.parametrize(share=[0.2, 0.6])
async def as_an_array(dut, share):
    source = random.Random(int(share * 10))
    if hasattr(dut, "vector_rreq_i"):
        readers, writers = ([Port(dut, name, way, share, source) for name in REQUESTERS] for way in "rw")
    else:
        readers, writers = (
            [Port(dut, "engine", way, share, source, granted=False), Port(dut, "dma", way, share, source)] for way in "rw"
        )
    grants = await follow(dut, readers, writers)
    assert min(grants) > 20
