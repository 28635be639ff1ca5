"""The on-chip memory against an array: three masters at once, pauses, strobes, what lies outside, throughput."""

import random

import cocotb
import pytest
from axi_benches import pauses
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Combine
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiMaster, AxiResp

WORDS = 768
"""Not a power of two."""


@pytest.mark.parametrize("bits", [32, 64])
def test_onchip_memory(run_rtl, bits):
    run_rtl("onchip_memory_bench", "test_rtl_onchip_memory", {"AxiBits": bits, "Words": WORDS})


class Bench:
    """The memory, a master on each port, and what the memory must hold."""

    def __init__(self, dut, seed: int, share: float):
        self.dut, self.random, self.share = dut, random.Random(seed), share
        self.size = WORDS * len(dut.s0_axi_wdata) // 8
        self.model = bytearray(self.size)

    async def begin(self) -> "Bench":
        dut = self.dut
        Clock(dut.clk_i, 10, "ns").start()
        dut.rst_ni.value = 0
        ports = [(AxiMaster, AxiBus, "s0_axi", {"max_burst_len": 16}), (AxiMaster, AxiBus, "s1_axi", {"max_burst_len": 16}),
                 (AxiLiteMaster, AxiLiteBus, "lite", {})]  # fmt: skip
        self.masters = []
        for number, (kind, bus, prefix, options) in enumerate(ports):
            master = kind(bus.from_prefix(dut, prefix), dut.clk_i, dut.rst_ni, reset_active_level=False, **options)
            for half in (master.read_if, master.write_if):
                half.log.setLevel("ERROR")
            channels = (master.read_if.ar_channel, master.read_if.r_channel, master.write_if.aw_channel,
                        master.write_if.w_channel, master.write_if.b_channel)  # fmt: skip
            for i, channel in enumerate(channels if self.share else ()):
                channel.set_pause_generator(pauses(10 * number + i, self.share))
            self.masters.append(master)
        await ClockCycles(dut.clk_i, 4)
        dut.rst_ni.value = 1
        await ClockCycles(dut.clk_i, 2)
        await self.masters[0].write(0, bytes(self.size))
        return self

    async def traffic(self, number: int, turns: int):
        """Write and read at random in stripes of 64 bytes that only this master touches; the last read spans them all."""
        source, master = random.Random(self.random.random()), self.masters[number]
        beat = len(self.dut.s0_axi_wdata) // 8 if number < 2 else 1
        for _ in range(turns):
            at = 192 * source.randrange(self.size // 192) + 64 * number
            first = source.randrange(0, 64, beat)
            length = source.randrange(beat, 65 - first, beat)
            if source.random() < 0.5:
                data = source.randbytes(length)
                assert (await master.write(at + first, data)).resp == AxiResp.OKAY
                self.model[at + first : at + first + length] = data
            else:
                got = await master.read(at + first, length)
                assert got.resp == AxiResp.OKAY and got.data == bytes(self.model[at + first : at + first + length])


@cocotb.test()
@cocotb.parametrize(share=[0.0, 0.4])
async def three_masters_at_once(dut, share):
    bench = await Bench(dut, 1, share).begin()
    await Combine(*(cocotb.start_soon(bench.traffic(number, 120)) for number in range(3)))
    for master in bench.masters:
        assert (await master.read(0, bench.size)).data == bytes(bench.model)


@cocotb.test()
async def outside(dut):
    """Nothing beyond the end can be read or written, nor does it come round to the beginning."""
    bench = await Bench(dut, 2, 0.2).begin()
    for master in bench.masters:
        for at in (bench.size, bench.size + 4096, 1 << 30):
            assert (await master.write(at, b"\xff" * 8)).resp == AxiResp.DECERR
            assert (await master.read(at, 8)).resp == AxiResp.DECERR
        assert (await master.read(0, bench.size)).data == bytes(bench.size)


@cocotb.test()
async def a_beat_per_cycle(dut):
    """Both ports together read nearly a beat per cycle, though neither has more than one burst under way."""
    bench = await Bench(dut, 3, 0.0).begin()
    began = get_sim_time("ns")
    await Combine(*(cocotb.start_soon(bench.masters[number].read(0, bench.size)) for number in range(2)))
    cycles = (get_sim_time("ns") - began) / 10
    assert cycles < 1.3 * 2 * WORDS
