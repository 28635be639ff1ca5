"""hw/rtl/table_memory.sv and scratchpad.sv against an array with the stated priorities, cycle by cycle."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge

DEPTH = 32
CYCLES = 1500
CLAIM_SHARE = 0.3
TURN_CYCLES, REST_CYCLES = 150, 50
REQUESTERS = ("vector", "coefficient", "dma")


def test_table_memory(run_rtl):
    run_rtl("table_memory", "test_rtl_table_memory", {"Depth": DEPTH})


def test_scratchpad(run_rtl):
    run_rtl("scratchpad", "test_rtl_table_memory", {"Depth": DEPTH, "Width": 64})


class Port:
    """One requester of one direction: holds its request and address until the grant, and may claim the port without asking."""

    def __init__(self, dut, name: str, way: str, share: float, source: random.Random, granted: bool = True):
        enable = f"{name}_{way}req_i" if granted else f"{name}_{way}en_i"
        self.request, self.address = getattr(dut, enable), getattr(dut, f"{name}_{way}addr_i")
        self.grant = getattr(dut, f"{name}_{way}gnt_o") if granted else None
        self.claim = getattr(dut, f"{name}_{way}claim_i", self.request)
        self.claim.value = 0
        self.data = getattr(dut, f"{name}_wdata_i") if way == "w" else None
        self.always = name != "vector"  # granted whether it asks or not
        self.share, self.source = share, source
        self.pending = False
        self.request.value = self.address.value = 0
        if self.data is not None:
            self.data.value = 0

    def drive(self, taken: bool, half: int | None) -> None:
        """Set the request of the next cycle, of a word in one half of the memory; None: ask for nothing more."""
        if self.pending and not taken:
            return
        self.pending = half is not None and self.source.random() < self.share
        self.request.value = int(self.pending)
        if self.claim is not self.request:
            self.claim.value = int(self.pending or self.source.random() < CLAIM_SHARE)
        self.address.value = self.source.randrange(DEPTH // 2) + (half or 0) * DEPTH // 2
        if self.data is not None:
            self.data.value = self.source.getrandbits(64)


def first_of(ports: list[Port]) -> Port | None:
    """Return the port that is served: the first that claims, if it requests."""
    first = next((port for port in ports if port.claim.value), None)
    return first if first and first.request.value else None


async def follow(dut, readers: list[Port], writers: list[Port]) -> list[int]:
    """Drive random requests, check grants and data against an array, and return the grants of each port."""
    Clock(dut.clk_i, 10, "ns").start()
    memory: dict[int, int] = {}
    expected = None
    grants = [0] * (len(readers) + len(writers))
    written = 0  # half of the memory that is written, while the other is read
    for cycle in range(CYCLES):
        await ReadOnly()
        if expected is not None:
            assert int(dut.rdata_o.value) == expected
        taken = []
        for ports in (readers, writers):
            first = first_of(ports)
            for number, port in enumerate(ports):
                if port.grant is not None:
                    free = not any(earlier.claim.value for earlier in ports[:number])
                    assert bool(port.grant.value) == (free if port.always else port is first)
                taken.append(port is first)
        grants = [total + now for total, now in zip(grants, taken, strict=True)]
        reader, writer = first_of(readers), first_of(writers)
        expected = memory.get(int(reader.address.value)) if reader else expected
        if writer:
            memory[int(writer.address.value)] = int(writer.data.value)
        await RisingEdge(dut.clk_i)
        resting = cycle % TURN_CYCLES > TURN_CYCLES - REST_CYCLES
        if cycle % TURN_CYCLES == 0:
            written = 1 - written
        for port, was in zip([*readers, *writers], taken, strict=True):
            port.drive(was, None if resting else written if port in writers else 1 - written)
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
