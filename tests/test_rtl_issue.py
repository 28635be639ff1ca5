"""Issue and tokens (hw/rtl/issue.sv, tokens.sv in instruction_unit.sv) against counting semaphores, cycle by cycle."""

import random
from collections import deque

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge
from instruction_cases import random_instruction, serve_reads

from hw import isa

START = 0x40
ENGINES = range(len(isa.ENGINES))


@pytest.mark.parametrize("axi_bits", [64])
def test_issue(run_rtl, axi_bits):
    run_rtl("instruction_unit", "test_rtl_issue", {"AxiBits": axi_bits})


def program(source: random.Random, length: int) -> list[isa.Instruction]:
    """Return instructions whose tokens are given earlier in the list than they are taken."""
    tokens = {(s, d): 0 for s in ENGINES for d in ENGINES}
    instructions = []
    for _ in range(length):
        own = source.choice(ENGINES)
        wait = signal = 0
        for other in ENGINES:
            if other != own and tokens[other, own] and source.random() < 0.6:
                tokens[other, own] -= 1
                wait |= 1 << other
            if other != own and source.random() < 0.4:
                tokens[own, other] += 1
                signal |= 1 << other
        instructions.append(random_instruction(source, isa.ENGINES[own], wait, signal))
    return instructions


class Bench:
    """The unit with five engines that take random times, and the semaphores as they have to be."""

    def __init__(self, dut, instructions: list[isa.Instruction], seed: int, longest: int, ready_share: float = 0.7):
        self.dut, self.source, self.longest, self.ready_share = dut, random.Random(seed), longest, ready_share
        self.memory = {START + 64 * i: isa.encode(instruction) for i, instruction in enumerate(instructions)}
        self.left = [deque(i for i in instructions if i.op == op) for op in isa.ENGINES]
        self.under_way: list[deque] = [deque() for _ in ENGINES]
        self.tokens = {(s, d): 0 for s in ENGINES for d in ENGINES}
        self.overflow: list[int] = []
        self.most_under_way = 0

    async def run(self, limit: int) -> None:
        """Run the instructions to the end or to an overflow."""
        dut = self.dut
        Clock(dut.clk_i, 10, "ns").start()
        for pin in (dut.rst_ni, dut.start_i, dut.stop_i, dut.clear_i, dut.start_ready_i, dut.done_i):
            pin.value = 0
        cocotb.start_soon(serve_reads(dut, self.memory, len(dut.rdata_i) // 8, 1, 0.0))
        await ClockCycles(dut.clk_i, 2)
        dut.rst_ni.value = dut.start_i.value = 1
        dut.address_i.value, dut.count_i.value = START, len(self.memory)
        await RisingEdge(dut.clk_i)
        dut.start_i.value = 0
        for _ in range(limit):
            await ReadOnly()
            self.check()
            finished = bool(dut.finished_o.value) or bool(self.overflow)
            await RisingEdge(dut.clk_i)
            dut.start_ready_i.value = sum((self.source.random() < self.ready_share) << e for e in ENGINES)
            dut.done_i.value = sum(self.finish(e) << e for e in ENGINES)
            if finished:
                return
        raise AssertionError(f"not finished after {limit} cycles: left {[len(left) for left in self.left]}")

    def finish(self, engine: int) -> bool:
        """Let the oldest instruction of an engine grow older, and say whether it is done."""
        queue = self.under_way[engine]
        if not queue:
            return False
        queue[0][1] -= 1
        return queue[0][1] < 0

    def check(self) -> None:
        """Follow the starts and ends of this cycle with the semaphores of the cycle before."""
        dut = self.dut
        valid, ready, done = (int(pin.value) for pin in (dut.start_valid_o, dut.start_ready_i, dut.done_i))
        given = []
        for engine in ENGINES:
            if done >> engine & 1:
                signal = self.under_way[engine].popleft()[0]["signal"]
                given += [(engine, d) for d in ENGINES if signal >> d & 1]
        for engine, op in enumerate(isa.ENGINES):
            if not valid >> engine & 1:
                continue
            instruction = self.left[engine][0]
            assert int(getattr(dut, f"{op}_instr_o").value) == isa.pack(isa.FIELDS[op], instruction.fields)
            needed = [(s, engine) for s in ENGINES if instruction["wait"] >> s & 1]
            assert all(self.tokens[pair] > 0 for pair in needed), f"{op} starts without a token of {needed}"
            if ready >> engine & 1:
                self.left[engine].popleft()
                for pair in needed:
                    self.tokens[pair] -= 1
                self.under_way[engine].append([instruction, self.source.randrange(self.longest)])
        self.most_under_way = max(self.most_under_way, *map(len, self.under_way))
        overflow = 0
        for pair in given:
            self.tokens[pair] += 1
            overflow |= (self.tokens[pair] > 1023) << pair[0]
        assert int(dut.overflow_o.value) == overflow
        if overflow:
            self.overflow.append(overflow)


@cocotb.test()
@cocotb.parametrize(longest=[1, 4, 60])
async def follows_semaphores(dut, longest):
    bench = Bench(dut, program(random.Random(longest), 150), seed=longest, longest=longest)
    await bench.run(20000)
    assert not any(bench.left) and not any(bench.under_way)
    assert bench.most_under_way <= 4
    assert not bench.overflow


@cocotb.test()
async def stops(dut):
    """After stop nothing starts, and after clear the unit runs another segment from empty semaphores."""
    source = random.Random(9)
    bench = Bench(dut, program(source, 60), seed=2, longest=5)
    running = cocotb.start_soon(bench.run(20000))
    await ClockCycles(dut.clk_i, 300)
    running.cancel()
    dut.stop_i.value, dut.start_ready_i.value, dut.done_i.value = 1, 31, 0
    for _ in range(60):
        await RisingEdge(dut.clk_i)
        await ReadOnly()
        assert int(dut.start_valid_o.value) == 0
    await RisingEdge(dut.clk_i)
    assert dut.fetch_idle_o.value
    dut.clear_i.value = 1
    await RisingEdge(dut.clk_i)
    dut.clear_i.value = dut.stop_i.value = 0
    blocked = [random_instruction(source, "array", wait=1 << isa.ENGINES.index(other)) for other in ("load", "vector", "store")]
    for instruction in blocked:
        again = Bench(dut, [instruction], seed=1, longest=2)
        bench.memory.clear()
        bench.memory.update(again.memory)
        dut.start_i.value, dut.count_i.value = 1, 1
        await RisingEdge(dut.clk_i)
        dut.start_i.value = 0
        await ClockCycles(dut.clk_i, 100)
        assert int(dut.start_valid_o.value) == 0
        assert int(dut.missing_o.value) == instruction["wait"] << 5
        dut.clear_i.value = 1
        await RisingEdge(dut.clk_i)
        dut.clear_i.value = 0


@cocotb.test()
async def overflows_above_1023(dut):
    """1023 tokens fit; the next one is an error of the engine that gives it."""
    source = random.Random(8)
    give = [random_instruction(source, "coefficient", signal=1 << isa.ENGINES.index("store")) for _ in range(1024)]
    bench = Bench(dut, give, seed=1, longest=1, ready_share=1.0)
    await bench.run(30000)
    assert bench.overflow == [1 << isa.ENGINES.index("coefficient")]
    assert bench.tokens[isa.ENGINES.index("coefficient"), isa.ENGINES.index("store")] == 1024
