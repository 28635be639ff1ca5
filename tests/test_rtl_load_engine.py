"""hw/rtl/load_engine.sv must equal hw/golden_memory.py, whatever the memory's timing, and keep the AXI3 rules."""

import cocotb
import numpy as np
import pytest
from axi_benches import attach_read, steady_reads
from cocotb.triggers import ClockCycles
from transfer_bench import TransferBench
from transfer_cases import BASE, bursts, random_transfer

from hw import isa
from hw.golden_memory import execute_load

SETS = {"G4": {"G": 4, "AxiBits": 32}, "G16": {"G": 16, "AxiBits": 64}}
NAMES = [m.name for m in isa.MEMORIES if m.load and m.name != "IL"]


@pytest.mark.parametrize("parameters", SETS.values(), ids=SETS)
def test_load_engine(run_rtl, parameters):
    run_rtl("load_engine_bench", "test_rtl_load_engine", parameters)


class Bench(TransferBench):
    """The load engine; what it writes goes into the memories of `state`."""

    def sample(self):
        dut = self.dut
        if dut.mem_written_o.value:
            self._write(int(dut.mem_wsel_o.value), int(dut.mem_waddr_o.value), int(dut.mem_wdata_o.value))

    def _write(self, number: int, address: int, data: int):
        memory = isa.MEMORIES[number]
        size = self.config.word_bytes(memory)
        word = np.frombuffer((data & (1 << 8 * size) - 1).to_bytes(size, "little"), np.uint8 if memory.wide else np.uint64)
        self.state.mem[memory.name][address] = word if memory.wide else word[0]
        self.moved += 1

    async def run_and_compare(self, instructions):
        """Run instructions back to back; memories, counters and bursts must be the golden model's."""
        wanted = []
        for instruction in instructions:
            wanted += bursts(self.golden, instruction)
            execute_load(self.golden, instruction)
        for instruction in instructions:
            await self.issue(instruction)
        await self.until_idle()
        assert self.errors == []
        assert self.done == len(instructions)
        for name in self.golden.mem:
            np.testing.assert_array_equal(self.state.mem[name], self.golden.mem[name], err_msg=name)
        self.check_bursts(wanted)
        assert sum(beats for _, beats in wanted) * self.config.beat_bytes == self.golden.counters["ddr_read_bytes"]


@cocotb.test(timeout_time=150, timeout_unit="us")
@cocotb.parametrize(stall=[0.0, 0.5], grant_share=[1.0, 0.4])
async def random_loads(dut, stall, grant_share):
    bench = Bench(dut, seed=int(10 * stall + 100 * grant_share), grant_share=grant_share)
    attach_read(dut, bench.state.ddr, BASE, seed=5, share=stall)
    await bench.start()
    await bench.run_and_compare([random_transfer(bench.rng, bench.config, "load", NAMES) for _ in range(40)])


@cocotb.test(timeout_time=150, timeout_unit="us")
async def overlapping_loads_keep_their_order(dut):
    """The later of two loads wins where they overlap, however late the earlier one's port answers."""
    bench = Bench(dut, seed=8)
    attach_read(dut, bench.state.ddr, BASE, seed=5, share=0.7)
    await bench.start()
    rng, word = bench.rng, bench.config.g
    always = {"mem": isa.MEMORY_NUMBER["U"], "n_img": 1, "n_grp": 1}
    numbers = [(int(base), int(addr) * word, int(run)) for base, addr, run in rng.integers([0, 0, 1], [20, 200, 20], (30, 3))]
    loads = [isa.Instruction("load", {**always, "base": base, "addr": addr, "run": run}) for base, addr, run in numbers]
    await bench.run_and_compare(loads)


@cocotb.test(timeout_time=150, timeout_unit="us")
async def a_loaded_list_is_used_by_the_next_load(dut):
    bench = Bench(dut, seed=9, grant_share=0.3)
    attach_read(dut, bench.state.ddr, BASE)
    bench.state.ddr[:64].view(np.uint64)[:] = [3, 7, 2, 9, 4, 1, 0, 8]
    bench.golden.ddr[:] = bench.state.ddr
    await bench.start()
    to_list = isa.Instruction("load", {"mem": isa.MEMORY_NUMBER["IL"], "n_img": 1, "n_grp": 1, "run": 8})
    listed = {"mem": isa.MEMORY_NUMBER["V"], "n_img": 5, "n_grp": 1, "run": 3, "img_stride": 1024, "use_list": 1, "clip": 1}
    await bench.run_and_compare([to_list, isa.Instruction("load", listed), isa.Instruction("load", {**listed, "slot": 2})])


@cocotb.test(timeout_time=150, timeout_unit="us")
@cocotb.parametrize(
    fields=[
        {"addr": 2}, {"n_grp": 2, "grp_stride": 6}, {"base": 250, "run": 7}, {"base": 65535, "run": 65535},
        {"use_list": 1, "slot": 511},
    ]
)
async def bad_address(dut, fields):
    bench = Bench(dut, seed=3)
    attach_read(dut, bench.state.ddr, BASE)
    await bench.start()
    good = isa.Instruction("load", {"mem": isa.MEMORY_NUMBER["A"], "n_img": 1, "n_grp": 2, "grp_stride": 512, "run": 40})
    await bench.issue(good)
    await bench.issue(isa.Instruction("load", {"mem": isa.MEMORY_NUMBER["U"], "n_img": 1, "n_grp": 1, "run": 1, **fields}))
    await bench.until_idle()
    assert bench.errors == [isa.ERRORS.index("bad_address")]
    assert bench.done <= 1
    assert not dut.start_ready_o.value


@cocotb.test(timeout_time=150, timeout_unit="us")
@cocotb.parametrize(offset=[0, 2044])
async def read_error(dut, offset):
    bench = Bench(dut, seed=4)
    regions = attach_read(dut, bench.state.ddr, BASE, share=0.3)
    for region in regions:
        region.poisoned = {BASE + offset}
    await bench.start()
    word_count = 2048 // bench.config.g
    await bench.issue(isa.Instruction("load", {"mem": isa.MEMORY_NUMBER["A"], "n_img": 1, "n_grp": 1, "run": word_count}))
    await bench.until_idle()
    assert bench.errors == [isa.ERRORS.index("read_error")]
    assert bench.done == 0


@cocotb.test(timeout_time=150, timeout_unit="us")
async def eight_bursts_outstanding(dut):
    """A memory that gives no data for 400 cycles is asked for eight bursts on each port, and no more."""
    bench = Bench(dut, seed=7)
    for port in range(2):
        cocotb.start_soon(steady_reads(dut, port, bench.state.ddr.tobytes(), BASE, 400, bench.config.beat_bytes))
    await bench.start()
    await bench.issue(isa.Instruction("load", {"mem": isa.MEMORY_NUMBER["A"], "n_img": 1, "n_grp": 1, "run": 900}))
    await ClockCycles(dut.clk_i, 300)
    assert [len(seen) for seen in bench.bursts] == [8, 8]
    await bench.until_idle()
    assert bench.done == 1 and bench.moved == 900


@cocotb.test(timeout_time=150, timeout_unit="us")
async def stop_lets_bursts_end(dut):
    bench = Bench(dut, seed=6)
    regions = attach_read(dut, bench.state.ddr, BASE, share=0.5)
    await bench.start()
    await bench.issue(isa.Instruction("load", {"mem": isa.MEMORY_NUMBER["A"], "n_img": 1, "n_grp": 1, "run": 900}))
    await ClockCycles(dut.clk_i, 60)
    dut.stop_i.value = 1
    await bench.until_idle()
    beats = sum(n for _, n in sum((r.accesses for r in regions), []))
    assert 0 < beats < 900 * bench.config.g
    assert bench.moved * bench.config.g == beats
    assert bench.done == 0 and bench.errors == []


@cocotb.test(timeout_time=150, timeout_unit="us")
@cocotb.parametrize(run=[1, 16, 200], count=[4])
async def throughput(dut, run, count):
    """Long runs stream at one word per cycle, or at two beats; runs of 16 words close to that."""
    bench = Bench(dut, seed=2)
    cfg = bench.config
    for port in range(2):
        cocotb.start_soon(steady_reads(dut, port, bench.state.ddr.tobytes(), BASE, 40, cfg.beat_bytes))
    await bench.start()
    images = min(3200 // (run * count * 4), 40)
    stride = -(-run * cfg.g // 256) * 256 + 128  # neighbouring runs begin on different ports
    fields = {"n_img": images, "n_grp": 4, "run": run, "grp_stride": stride, "img_stride": 4 * stride % 8192}
    begin = cocotb.utils.get_sim_time("ns")
    for _ in range(count):
        await bench.issue(isa.Instruction("load", {**fields, "mem": isa.MEMORY_NUMBER["A"]}))
    await bench.until_idle()
    cycles = int(cocotb.utils.get_sim_time("ns") - begin) // 10
    words = count * images * 4 * run
    assert bench.moved == words and bench.done == count
    dut._log.info(f"G {cfg.g}: {words} words in runs of {run} take {cycles} cycles, {words / cycles:.3f} per cycle")
    assert words / (cycles - 60) >= {1: 0.15, 16: 0.8, 200: 0.95}[run], f"{words} words in {cycles} cycles"
