"""hw/rtl/control.sv and counters.sv: registers over cocotbext-axi, the life of a segment, exact counters."""

import itertools
import random

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from hw import isa

G, AXI_BITS = 4, 32
REG = {name: address for name, (address, _) in isa.REGISTERS.items()}
SCALE = {"macs_int8": G * G, "macs_int4": 2 * G * G, "ddr_read_bytes": AXI_BITS // 8, "ddr_write_bytes": AXI_BITS // 8}
BUSY, DONE, ERROR = 1, 2, 4


@pytest.mark.parametrize("parameters", [{"G": G, "AxiBits": AXI_BITS}], ids=["G4"])
def test_control(run_rtl, parameters):
    run_rtl("control_bench", "test_rtl_control", parameters)


class Bench:
    """The registers seen by a processor, with the core's side in the test's hands."""

    def __init__(self, dut):
        self.dut = dut
        self.sums = [0] * len(isa.COUNTER_NAMES)
        self.seen = {name: 0 for name in ("start_o", "clear_o", "stop_o")}

    async def begin(self, pause: float = 0.0):
        dut = self.dut
        Clock(dut.clk_i, 10, "ns").start()
        dut.rst_ni.value = dut.finished_i.value = dut.error_i.value = dut.error_engine_i.value = dut.index_i.value = 0
        dut.increment_i.value, dut.drained_i.value = 0, 1
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk_i, dut.rst_ni, reset_active_level=False)
        self.master.read_if.log.setLevel("ERROR")
        self.master.write_if.log.setLevel("ERROR")
        if pause:
            source = random.Random(1)
            channels = (self.master.read_if.ar_channel, self.master.read_if.r_channel, self.master.write_if.aw_channel,
                        self.master.write_if.w_channel, self.master.write_if.b_channel)  # fmt: skip
            for channel in channels:
                channel.set_pause_generator(iter(lambda: source.random() < pause, None))
        await ClockCycles(dut.clk_i, 3)
        dut.rst_ni.value = 1
        await ClockCycles(dut.clk_i, 2)
        cocotb.start_soon(self._watch())
        return self

    async def _watch(self):
        while True:
            await ReadOnly()
            for name in self.seen:
                self.seen[name] += int(getattr(self.dut, name).value)
            if self.dut.run_o.value:
                word = int(self.dut.increment_i.value)
                for i in range(len(self.sums)):
                    self.sums[i] += word >> 3 * i & 7
            await RisingEdge(self.dut.clk_i)

    async def read(self, address: int) -> int:
        answer = await self.master.read(address, 4)
        assert answer.resp == AxiResp.OKAY
        return int.from_bytes(answer.data, "little")

    async def write(self, address: int, value: int):
        answer = await self.master.write(address, value.to_bytes(4, "little"))
        assert answer.resp == AxiResp.OKAY

    async def counters(self) -> dict[str, int]:
        values = {}
        for i, name in enumerate(isa.COUNTER_NAMES):
            at = REG["COUNTERS"] + 8 * i
            values[name] = await self.read(at) | await self.read(at + 4) << 32
        return values

    async def until_idle(self) -> int:
        for _ in range(100):
            status = await self.read(REG["STATUS"])
            if not status & BUSY:
                return status
        raise AssertionError("busy for ever")


@cocotb.test()
@cocotb.parametrize(pause=[0.0, 0.4])
async def registers(dut, pause):
    bench = await Bench(dut).begin(pause)
    assert await bench.read(REG["ID"]) == isa.IDENTITY
    assert await bench.read(REG["VERSION"]) == isa.VERSION
    assert await bench.read(REG["CONFIG_HASH"]) == 0xC0FFEE42
    writable = {"SEG_ADDR": 0x12345640, "SEG_COUNT": 77, "BASE_LO": 0x10000000, "BASE_HI": 0xA5, "IRQ_ENABLE": 1}
    for name, value in writable.items():
        await bench.write(REG[name], value)
    for name in ("ID", "VERSION", "CONFIG_HASH", "STATUS", "ERROR_INDEX", "COUNTERS"):
        await bench.write(REG[name], 0xFFFFFFFF)
    for address in (0x2C, 0x3FC):
        await bench.write(address, 0xFFFFFFFF)
    for name, value in writable.items():
        assert await bench.read(REG[name]) == value
    assert await bench.read(REG["ID"]) == isa.IDENTITY
    assert await bench.read(REG["STATUS"]) == 0
    assert await bench.read(0x2C) == await bench.read(0x3FC) == 0
    assert int(dut.seg_address_o.value) == 0x22345640 and int(dut.seg_count_o.value) == 77
    await bench.master.write(REG["SEG_COUNT"] + 1, b"\x02")
    assert await bench.read(REG["SEG_COUNT"]) == 77 + 0x200
    assert bench.seen["start_o"] == bench.seen["clear_o"] == 0


@cocotb.test()
async def segment_ends(dut):
    bench = await Bench(dut).begin()
    await bench.write(REG["IRQ_ENABLE"], 1)
    for number in range(2):
        await bench.write(REG["CTRL"], 1)
        assert await bench.read(REG["STATUS"]) == BUSY
        await bench.write(REG["CTRL"], 1)
        await bench.write(REG["BASE_LO"], 0x5000)
        assert await bench.read(REG["BASE_LO"]) == 0
        assert not dut.irq_o.value
        dut.finished_i.value = 1
        assert await bench.until_idle() == DONE
        dut.finished_i.value = 0
        assert dut.irq_o.value
        await bench.write(REG["CTRL"], 4)
        await RisingEdge(dut.clk_i)
        assert not dut.irq_o.value
        assert bench.seen == {"start_o": number + 1, "clear_o": number + 1, "stop_o": 0}


@cocotb.test()
async def first_error_wins(dut):
    """An error, also of the last instruction, stops the core, waits for bursts under way, and keeps code, engine, instruction."""
    bench = await Bench(dut).begin()
    for code, engine in ((3, 0), (1, 5), (6, 1)):
        await bench.write(REG["CTRL"], 1)
        await ClockCycles(dut.clk_i, 4)
        dut.drained_i.value, dut.error_i.value, dut.error_engine_i.value, dut.index_i.value = 0, code, engine, 40 + code
        dut.finished_i.value = 1
        await RisingEdge(dut.clk_i)
        dut.error_i.value, dut.error_engine_i.value, dut.index_i.value = 4, 4, 99
        await ClockCycles(dut.clk_i, 60)
        assert dut.stop_o.value
        assert await bench.read(REG["STATUS"]) & BUSY
        dut.drained_i.value, dut.error_i.value, dut.finished_i.value = 1, 0, 0
        assert await bench.until_idle() == ERROR | code << 4 | engine << 8
        assert await bench.read(REG["ERROR_INDEX"]) == 40 + code
        assert not dut.stop_o.value and not dut.irq_o.value
    await bench.write(REG["CTRL"], 2)
    assert await bench.read(REG["STATUS"]) == 0


@cocotb.test()
async def soft_reset(dut):
    bench = await Bench(dut).begin()
    await bench.write(REG["IRQ_ENABLE"], 1)
    await bench.write(REG["CTRL"], 1)
    dut.drained_i.value = 0
    await bench.write(REG["CTRL"], 2)
    await ClockCycles(dut.clk_i, 50)
    assert await bench.read(REG["STATUS"]) == BUSY and dut.stop_o.value
    dut.drained_i.value = 1
    assert await bench.until_idle() == 0
    assert not dut.irq_o.value
    await bench.write(REG["CTRL"], 1)
    dut.finished_i.value = 1
    assert await bench.until_idle() == DONE


@cocotb.test()
async def soft_reset_leaves_nothing_behind(dut):
    """Whenever it comes, also while the counters settle: neither done nor error nor interrupt."""
    bench = await Bench(dut).begin()
    await bench.write(REG["IRQ_ENABLE"], 1)
    for code, delay in itertools.product((0, 3), range(50)):
        await bench.write(REG["CTRL"], 1)
        dut.finished_i.value, dut.error_i.value = 1, code
        await ClockCycles(dut.clk_i, 1 + delay)
        await bench.write(REG["CTRL"], 2)
        assert await bench.until_idle() == 0, f"after {delay} cycles"
        assert not dut.irq_o.value
        dut.finished_i.value = dut.error_i.value = 0


@cocotb.test()
@cocotb.parametrize(cycles=[5, 40, 700])
async def counts(dut, cycles):
    """Every counter is the sum of its increments in the segment alone, also the second time."""
    bench = await Bench(dut).begin()
    source = random.Random(cycles)
    for _ in range(2):
        bench.sums = [0] * len(isa.COUNTER_NAMES)
        dut.finished_i.value = 0
        writing = cocotb.start_soon(bench.write(REG["CTRL"], 1))
        for _ in range(cycles):
            increments = [source.choice((0, source.randrange(8), 7)) for _ in isa.COUNTER_NAMES]
            dut.increment_i.value = sum(increment << 3 * i for i, increment in enumerate(increments))
            await RisingEdge(dut.clk_i)
        await writing
        dut.finished_i.value = 1
        assert await bench.until_idle() == DONE
        want = {name: total * SCALE.get(name, 1) for name, total in zip(isa.COUNTER_NAMES, bench.sums, strict=True)}
        assert await bench.counters() == want
        assert cycles < 40 or min(want.values()) > 0
