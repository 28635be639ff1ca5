"""hw/rtl/store_engine.sv must equal hw/golden_memory.py, whatever the memory's timing, and keep the AXI3 rules."""

from collections.abc import Sequence

import cocotb
import numpy as np
import pytest
from axi_benches import attach_write
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge
from transfer_bench import TransferBench
from transfer_cases import BASE, bursts, random_transfer

from hw import isa
from hw.golden_memory import execute_store

SETS = {"G4": {"G": 4, "AxiBits": 32}, "G16": {"G": 16, "AxiBits": 64}}
NAMES = [m.name for m in isa.MEMORIES if m.store]


@pytest.mark.parametrize("parameters", SETS.values(), ids=SETS)
def test_store_engine(run_rtl, parameters):
    run_rtl("store_engine_bench", "test_rtl_store_engine", parameters)


class Bench(TransferBench):
    """The store engine; it reads the memories of `state`. Data are there only in the cycle after a grant."""

    asked: tuple[int, int] | None = None

    def sample(self):
        dut = self.dut
        self.asked = (int(dut.mem_rsel_o.value), int(dut.mem_raddr_o.value)) if dut.mem_read_o.value else None

    def drive(self):
        data = int(self.rng.integers(1 << 62))
        if self.asked:
            memory = isa.MEMORIES[self.asked[0]]
            data = int.from_bytes(self.state.mem[memory.name][self.asked[1]].tobytes(), "little")
            self.moved += 1
        self.dut.mem_rdata_i.value = data

    async def run_and_compare(self, instructions):
        """Run instructions back to back; DDR, counters and bursts must be the golden model's."""
        wanted = []
        for instruction in instructions:
            wanted += bursts(self.golden, instruction)
            execute_store(self.golden, instruction)
        for instruction in instructions:
            await self.issue(instruction)
        await self.until_idle()
        assert self.errors == []
        assert self.done == len(instructions)
        np.testing.assert_array_equal(self.state.ddr, self.golden.ddr)
        self.check_bursts(wanted)
        assert sum(beats for _, beats in wanted) * self.config.beat_bytes == self.golden.counters["ddr_write_bytes"]
        assert self.moved == self.golden.counters["spad_reads"] + self.golden.counters["table_reads"]


@cocotb.test(timeout_time=300, timeout_unit="us")
@cocotb.parametrize(stall=[0.0, 0.5], grant_share=[1.0, 0.4])
async def random_stores(dut, stall, grant_share):
    bench = Bench(dut, seed=int(10 * stall + 100 * grant_share), grant_share=grant_share)
    attach_write(dut, bench.state.ddr, BASE, seed=5, share=stall)
    await bench.start()
    await bench.run_and_compare([random_transfer(bench.rng, bench.config, "store", NAMES) for _ in range(30)])


@cocotb.test(timeout_time=150, timeout_unit="us")
@cocotb.parametrize(port=[0, 1])
async def done_comes_after_the_last_response(dut, port):
    """Responses of one port are held back: the instruction is not done before they are in."""
    bench = Bench(dut, seed=1)
    regions = attach_write(dut, bench.state.ddr, BASE)
    held = [True]

    def hold():
        while True:
            yield held[0]

    regions[port].slave.b_channel.set_pause_generator(hold())
    await bench.start()
    count = 512 // bench.config.g
    whole = {"n_img": 1, "n_grp": 1, "run": count, "mem": isa.MEMORY_NUMBER["U"]}
    await bench.issue(isa.Instruction("store", whole))
    await bench.issue(isa.Instruction("store", {**whole, "addr": 1024, "base": 5, "run": 1}))
    await ClockCycles(dut.clk_i, 600)
    assert bench.done == 0 and not dut.idle_o.value
    held[0] = False
    await bench.until_idle()
    assert bench.done == 2


@cocotb.test(timeout_time=150, timeout_unit="us")
@cocotb.parametrize(fields=[{"addr": 2}, {"base": 250, "run": 7}, {"use_list": 1, "slot": 511}, {"n_img": 2, "img_stride": 1}])
async def bad_address(dut, fields):
    bench = Bench(dut, seed=3)
    attach_write(dut, bench.state.ddr, BASE)
    await bench.start()
    await bench.issue(isa.Instruction("store", {"mem": isa.MEMORY_NUMBER["U"], "n_img": 1, "n_grp": 1, "run": 1, **fields}))
    await bench.until_idle()
    assert bench.errors == [isa.ERRORS.index("bad_address")]
    assert bench.done == 0 and not dut.start_ready_o.value


@cocotb.test(timeout_time=150, timeout_unit="us")
@cocotb.parametrize(offset=[0, 400])
async def write_error(dut, offset):
    bench = Bench(dut, seed=4)
    for region in attach_write(dut, bench.state.ddr, BASE, share=0.3):
        region.poisoned = {BASE + offset}
    await bench.start()
    run = 512 // bench.config.g
    await bench.issue(isa.Instruction("store", {"mem": isa.MEMORY_NUMBER["O"], "n_img": 1, "n_grp": 1, "run": run}))
    await bench.until_idle()
    assert bench.errors == [isa.ERRORS.index("write_error")]
    assert bench.done == 0


@cocotb.test(timeout_time=150, timeout_unit="us")
async def eight_bursts_outstanding(dut):
    """A memory that gives no responses gets eight bursts on a port, and no more; the next one for it waits."""
    bench, held = Bench(dut, seed=7), [True]
    for port in range(2):
        cocotb.start_soon(steady_writes(dut, port, held))
    await bench.start()
    fields = {"mem": isa.MEMORY_NUMBER["U"], "n_img": 1, "n_grp": 1, "run": 200}
    for addr in (0, 0x4000):
        await bench.issue(isa.Instruction("store", {**fields, "addr": addr}))
    await ClockCycles(dut.clk_i, 600)
    assert max(map(len, bench.bursts)) == 8
    held[0] = False
    await bench.until_idle()
    assert bench.done == 2


@cocotb.test(timeout_time=150, timeout_unit="us")
async def stop_lets_bursts_end(dut):
    bench = Bench(dut, seed=6)
    regions = attach_write(dut, bench.state.ddr, BASE, share=0.5)
    await bench.start()
    await bench.issue(isa.Instruction("store", {"mem": isa.MEMORY_NUMBER["U"], "n_img": 1, "n_grp": 1, "run": 250}))
    await ClockCycles(dut.clk_i, 40)
    dut.stop_i.value = 1
    await bench.until_idle()
    announced = sum(beats for _, beats in bench.bursts[0] + bench.bursts[1])
    assert 0 < announced * bench.config.beat_bytes < 250 * bench.config.g
    assert sum(size for region in regions for _, size in region.accesses) == announced * bench.config.beat_bytes
    assert bench.done == 0 and bench.errors == []


@cocotb.test(timeout_time=150, timeout_unit="us")
@cocotb.parametrize(run=[16, 200])
async def throughput(dut, run):
    """The data channels take one word per cycle, or two beats, from a memory that is always ready."""
    bench = Bench(dut, seed=2)
    cfg = bench.config
    answers = [cocotb.start_soon(steady_writes(dut, port)) for port in range(2)]
    await bench.start()
    images, stride = 240 // run, -(-run * cfg.g // 256) * 256 + 128
    fields = {"n_img": images, "n_grp": 1, "run": run, "img_stride": stride, "mem": isa.MEMORY_NUMBER["U"]}
    begin = cocotb.utils.get_sim_time("ns")
    for _ in range(4):
        await bench.issue(isa.Instruction("store", fields))
    await bench.until_idle()
    cycles = int(cocotb.utils.get_sim_time("ns") - begin) // 10
    words = 4 * images * run
    dut._log.info(f"G {cfg.g}: {words} words in runs of {run} take {cycles} cycles, {words / cycles:.3f} per cycle")
    assert bench.moved == words and bench.done == 4 and not any(answer.done() for answer in answers)
    assert words / (cycles - 20) >= {16: 0.8, 200: 0.9}[run], f"{words} words in {cycles} cycles"


async def steady_writes(dut, port: int, held: Sequence[bool] = (False,)):
    """Take everything at once and respond to a burst in the cycle after its last beat, but not while held[0]."""
    driven = ("awready", "wready", "bvalid", "bresp", "bid")
    awready, wready, bvalid, bresp, bid = (getattr(dut, f"m{port}_axi_{name}") for name in driven)
    wvalid, wlast, bready = (getattr(dut, f"m{port}_axi_{n}") for n in ("wvalid", "wlast", "bready"))
    awready.value, wready.value, bvalid.value, bresp.value, bid.value = 1, 1, 0, 0, 0
    owed = 0
    while True:
        await ReadOnly()
        ended, answered = bool(wvalid.value and wlast.value), bool(bvalid.value and bready.value)
        await RisingEdge(dut.clk_i)
        owed += ended - answered
        bvalid.value = int(owed > 0 and not held[0])
