"""The programmable logic of a Zynq-7000 without a block design, seen from its processing system's ports: registers over AXI3,
a tile in memory behind two HP ports, the interrupt. The core, its register slices and the control bridge are the real ones."""

import dataclasses

import cocotb
import numpy as np
from axi_benches import StripedRegion, pauses
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiBus, AxiMaster, AxiReadBus, AxiSlaveRead, AxiSlaveWrite, AxiWriteBus
from core_programs import OPERAND, ddr_of, golden_after, one_tile

from hw import isa
from hw.config import load_config

CONFIG = dataclasses.replace(load_config("tiny"), g=8, axi_bits=64)
CONTROL, BASE = 0x4000_0000, 0x1000_0000
REG = {name: address for name, (address, _) in isa.REGISTERS.items()}
BUSY, DONE = 1, 2


def test_openxc7_top(run_rtl):
    run_rtl("openxc7_bench", "test_rtl_openxc7_top")


class Memory(StripedRegion):
    """Instructions are read on port 0 wherever they lie; everything else is striped over the ports."""

    def _touch(self, address: int, length: int) -> int:
        if address - self.first_address < OPERAND:
            assert self.port == 0
            return address - self.first_address
        return super()._touch(address, length)


class Processor:
    """The processing system: a general-purpose master and the DDR behind two HP ports."""

    def __init__(self, dut, ddr: np.ndarray, share: float):
        self.dut, self.share = dut, share
        self.ports = {f"hp{number}_axi": Memory(ddr, port, BASE) for port, number in enumerate((0, 2))}

    async def begin(self) -> "Processor":
        dut = self.dut
        Clock(dut.clk_i, 10, "ns").start()
        dut.rst_ni.value = 0
        bus = {"reset_active_level": False}
        for prefix, region in self.ports.items():
            reader = AxiSlaveRead(AxiReadBus.from_prefix(dut, prefix), dut.clk_i, dut.rst_ni, target=region, **bus)
            writer = AxiSlaveWrite(AxiWriteBus.from_prefix(dut, prefix), dut.clk_i, dut.rst_ni, target=region, **bus)
            channels = (reader.ar_channel, reader.r_channel, writer.aw_channel, writer.w_channel, writer.b_channel)
            for number, channel in enumerate(channels):
                if self.share:
                    channel.set_pause_generator(pauses(number, self.share))
            reader.log.setLevel("CRITICAL")
            writer.log.setLevel("CRITICAL")
        self.master = AxiMaster(AxiBus.from_prefix(dut, "gp_axi"), dut.clk_i, dut.rst_ni, max_burst_len=16, **bus)
        for half in (self.master.read_if, self.master.write_if):
            half.log.setLevel("CRITICAL")
        await ClockCycles(dut.clk_i, 8)
        dut.rst_ni.value = 1
        await ClockCycles(dut.clk_i, 8)
        return self

    async def read(self, name: str, words: int = 1) -> np.ndarray:
        answer = await self.master.read(CONTROL + REG[name], 4 * words)
        return np.frombuffer(bytes(answer.data), np.uint32)

    async def write(self, name: str, value: int):
        await self.master.write(CONTROL + REG[name], value.to_bytes(4, "little"))

    async def segment(self, count: int) -> int:
        """Run a segment and return STATUS once the interrupt has come."""
        for name, value in (("IRQ_ENABLE", 1), ("BASE_LO", BASE), ("SEG_ADDR", 0), ("SEG_COUNT", count), ("CTRL", 1)):
            await self.write(name, value)
        for _ in range(400):
            if self.dut.irq_o.value:
                break
            await ClockCycles(self.dut.clk_i, 50)
        assert self.dut.irq_o.value, "no interrupt"
        status = int((await self.read("STATUS"))[0])
        await self.write("CTRL", 4)
        return status


@cocotb.test()
@cocotb.parametrize(share=[0.0, 0.4])
async def tile(dut, share):
    """Memory and counters equal the golden interpreter's, the interrupt ends the segment and is cleared, also a second time."""
    program = one_tile(CONFIG)
    ddr = ddr_of([isa.encode(one) for one in program])
    golden = golden_after(CONFIG, ddr, len(program))
    seen = ddr.copy()
    processor = await Processor(dut, seen, share).begin()
    assert list(await processor.read("ID")) == [isa.IDENTITY]
    assert int((await processor.read("CONFIG_HASH"))[0]) == 0xC0FFEE42
    for _ in range(2):
        seen[:] = ddr
        assert await processor.segment(len(program)) == DONE
        assert not dut.irq_o.value
        np.testing.assert_array_equal(seen, golden.ddr)
        words = await processor.read("COUNTERS", 2 * len(isa.COUNTER_NAMES))
        counters = dict(zip(isa.COUNTER_NAMES, words.view(np.uint64).tolist(), strict=True))
        exact = [name for name in isa.COUNTER_NAMES if name not in isa.TIMING_COUNTERS]
        assert {name: counters[name] for name in exact} == {name: golden.counters[name] for name in exact}
    assert all(region.accesses for region in processor.ports.values())
