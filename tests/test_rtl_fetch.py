"""hw/rtl/fetch.sv must hand out what hw/isa.py decode accepts, in order, and refuse the rest, whatever the memory's timing."""

import random

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge
from instruction_cases import malformed_words, random_instruction, serve_reads

from hw import isa

START = 0x1000_0040


@pytest.mark.parametrize("axi_bits", [32, 64])
def test_fetch(run_rtl, axi_bits):
    run_rtl("fetch", "test_rtl_fetch", {"AxiBits": axi_bits})


def test_fetch_of_a_core_without_paired_taps(run_rtl):
    run_rtl("fetch", "bench_fetch_pairs", {"PassTaps": 1})


def clock(dut) -> None:
    """Start the clock, once in a test."""
    Clock(dut.clk_i, 10, "ns").start()


class Bench:
    """The fetch unit, its memory, and queues that are ready in some of the cycles."""

    def __init__(self, dut, words: list[bytes], share: float, seed: int = 0, poisoned=(), start: int = START):
        self.dut, self.words, self.share, self.seed, self.start = dut, words, share, seed, start
        self.memory = {START + 64 * i: word for i, word in enumerate(words)}
        self.poisoned = {START + 64 * i for i in poisoned}
        self.handed: list[tuple[int, int]] = []
        self.errors: list[tuple[int, int]] = []
        self.blocked = False

    async def run(self, stop_at_error: bool = True, limit: int = 20000) -> None:
        """Fetch all words, or until an error; then wait until no burst is under way."""
        dut, source = self.dut, random.Random(self.seed)
        dut.rst_ni.value = dut.start_i.value = dut.stop_i.value = dut.instr_ready_i.value = 0
        serving = cocotb.start_soon(serve_reads(dut, self.memory, len(dut.rdata_i) // 8, self.seed, self.share, self.poisoned))
        await ClockCycles(dut.clk_i, 2)
        dut.rst_ni.value = dut.start_i.value = 1
        dut.address_i.value, dut.count_i.value = self.start, len(self.words)
        await RisingEdge(dut.clk_i)
        dut.start_i.value = 0
        for _ in range(limit):
            await ReadOnly()
            took = int(dut.instr_valid_o.value) & int(dut.instr_ready_i.value)
            if took:
                self.handed.append((took, int(dut.instr_o.value)))
            if dut.error_o.value and not dut.stop_i.value:
                self.errors.append((int(dut.error_o.value), int(dut.index_o.value)))
            finished = (dut.done_o.value or self.errors) and dut.idle_o.value and not dut.start_i.value
            await RisingEdge(dut.clk_i)
            dut.stop_i.value = int(bool(self.errors))
            dut.instr_ready_i.value = 0 if self.blocked else source.getrandbits(5) if self.share else 31
            if finished:
                serving.cancel()
                return
        raise AssertionError(f"not finished after {limit} cycles")


@cocotb.test()
@cocotb.parametrize(share=[0.0, 0.5])
async def in_order(dut, share):
    clock(dut)
    source = random.Random(11)
    instructions = [random_instruction(source, op) for op in isa.ENGINES] + [random_instruction(source) for _ in range(40)]
    bench = Bench(dut, [isa.encode(i) for i in instructions], share)
    await bench.run()
    assert bench.errors == []
    want = [(1 << isa.ENGINES.index(i.op), int.from_bytes(isa.encode(i), "little")) for i in instructions]
    assert bench.handed == want
    assert int(dut.index_o.value) == len(instructions) - 1


@cocotb.test()
async def runs_ahead(dut):
    """Four instructions are asked for, and no more, while the first waits for its queue."""
    source = random.Random(5)
    bench = Bench(dut, [isa.encode(random_instruction(source)) for _ in range(8)], 0.0)
    bench.blocked = True
    clock(dut)
    cocotb.start_soon(bench.run())
    await ClockCycles(dut.clk_i, 200)
    assert int(dut.araddr_o.value) == START + 64 * 5 and not dut.arvalid_o.value


@cocotb.test()
async def refuses_malformed(dut):
    clock(dut)
    source = random.Random(3)
    for number, word in enumerate(malformed_words(source)):
        with pytest.raises(isa.MalformedInstruction):
            isa.decode(word)
        good = [isa.encode(random_instruction(source)) for _ in range(number % 3)]
        bench = Bench(dut, [*good, word, isa.encode(random_instruction(source))], 0.2 * (number % 2), seed=number)
        await bench.run()
        assert bench.errors == [(isa.ERRORS.index("malformed"), len(good))], f"word {number}: {word.hex()}"
        assert len(bench.handed) == len(good)


@cocotb.test()
async def error_response(dut):
    clock(dut)
    source = random.Random(4)
    bench = Bench(dut, [isa.encode(random_instruction(source)) for _ in range(6)], 0.3, poisoned=[2])
    await bench.run()
    assert {code for code, _ in bench.errors} == {isa.ERRORS.index("read_error")}
    assert len(bench.handed) <= 2


@cocotb.test()
async def misaligned_segment(dut):
    clock(dut)
    bench = Bench(dut, [isa.encode(random_instruction(random.Random(1)))], 0.0, start=START + 8)
    await bench.run()
    assert {code for code, _ in bench.errors} == {isa.ERRORS.index("bad_address")}
    assert bench.handed == []
