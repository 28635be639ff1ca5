"""Cocotb tests of the array engine with accumulators and memories (tests/rtl/array_bench.sv) against the golden model."""

from __future__ import annotations

import os

import cocotb
import numpy as np
from array_cases import MODES, fill, random_instruction, small_config
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge

from hw import golden_array, isa
from hw.state import CoreState
from hw.tiling_weights import LONGEST_PAIR

PASS_OVERHEAD = 3
INSTRUCTION_OVERHEAD = 30
INSTRUCTIONS = int(os.environ.get("ARRAY_INSTRUCTIONS", "40"))


class Bench:
    """The device under test next to a golden state with the same contents."""

    def __init__(self, dut, seed: int):
        self.dut, self.rng = dut, np.random.default_rng(seed)
        self.state = CoreState(small_config(), np.zeros(0, np.uint8))
        self.g = self.state.config.g

    async def start(self) -> None:
        """Reset, and fill the memories."""
        for name in ("rst_ni", "start_valid_i", "fill_i", "vec_ren_i", "vec_clear_i", "vec_addr_i", "instr_i", "image_count_i"):
            getattr(self.dut, name).value = 0
        cocotb.start_soon(Clock(self.dut.clk_i, 10, "ns").start())
        for _ in range(3):
            await RisingEdge(self.dut.clk_i)
        self.dut.rst_ni.value = 1
        await self.fill()

    async def fill(self) -> None:
        """Fill A, W, BL and accumulators with random values."""
        fill(self.state, self.rng)
        await self.write_memories()
        self.state.acc[:] = 0
        await self.accumulators(clear=True)

    async def write_memories(self) -> None:
        """Write what the golden A, W and BL hold into the device's."""
        self.dut.fill_i.value = 1
        for number, name in enumerate(("A", "W", "BL")):
            self.dut.fill_memory_i.value = number
            for address, word in enumerate(self.state.mem[name]):
                self.dut.fill_addr_i.value = address
                self.dut.fill_data_i.value = int.from_bytes(word.tobytes(), "little")
                await RisingEdge(self.dut.clk_i)
        self.dut.fill_i.value = 0

    async def accumulators(self, clear: bool = False) -> np.ndarray:
        """Read every row through the vector unit's port, one per cycle."""
        rows = []
        self.dut.vec_ren_i.value = 1
        self.dut.vec_clear_i.value = int(clear)
        for address in range(len(self.state.acc) + 1):
            self.dut.vec_addr_i.value = address
            await RisingEdge(self.dut.clk_i)
            if address and not clear:
                rows.append(int(self.dut.vec_rdata_o.value).to_bytes(4 * self.g, "little"))
        self.dut.vec_ren_i.value = 0
        self.dut.vec_clear_i.value = 0
        return np.frombuffer(b"".join(rows), np.int32).reshape(-1, self.g)

    async def run(self, instruction: isa.Instruction, wait: bool = True) -> dict[str, int]:
        """Start an instruction when the engine is ready, wait until it is done, return its counts."""
        fields = {**instruction.fields, "opcode": isa.ENGINES.index("array") + 1}
        self.dut.instr_i.value = isa.pack(isa.FIELDS["array"], fields)
        self.dut.image_count_i.value = self.state.image_count
        self.dut.start_valid_i.value = 1
        while True:
            await ReadOnly()
            ready = bool(self.dut.start_ready_o.value)
            await RisingEdge(self.dut.clk_i)
            if ready:
                break
        self.dut.start_valid_i.value = 0
        self.dut.instr_i.value = int(self.rng.integers(1 << 60))  # only valid during the handshake
        self.dut.image_count_i.value = int(self.rng.integers(1 << 16))
        while True:
            await ReadOnly()
            done = bool(self.dut.done_o.value)
            assert not self.dut.conflict_o.value
            await RisingEdge(self.dut.clk_i)
            if done:
                break
        await ReadOnly()
        slots = self.dut.slots_o.value.to_unsigned()
        counted = {name: slots >> 32 * i & 0xFFFFFFFF for i, name in enumerate(golden_array.SLOT_COUNTERS)}
        for name, port in (("macs_int8", "macs_o"), ("macs_int4", "macs_pair_o"), ("weight_blocks", "blocks_o"),
                           ("drained_rows", "drained_o"), ("spad_reads", "spad_reads_o"), ("acc_reads", "acc_rows_o"),
                           ("acc_writes", "acc_rows_o")):
            counted[name] = int(getattr(self.dut, port).value)
        counted["cycles"] = int(self.dut.cycles_o.value)
        await RisingEdge(self.dut.clk_i)
        return counted


def cycle_bound(instruction: isa.Instruction, g: int, images: int, passes: int, counted: dict[str, int]) -> int:
    """Return the cycles an instruction may take: its slots, a few per pass, waits for weights, hazards and skipped passes."""
    slots = images * instruction["n_y"] * instruction["n_x"]
    nest = instruction["n_kb"] * instruction["n_red"] * instruction["n_ky"] * instruction["n_kx"]
    gap = PASS_OVERHEAD
    if instruction["pair"]:
        slots += images * instruction["n_x" if instruction["down"] else "n_y"]
        gap += 2 * g
    elif instruction["os"]:
        gap += g
    elif not instruction["hold_weights"] and slots < g + 1:
        gap += g + 1 - slots
    repeated = 2 * slots if slots <= 2 or instruction["n_x"] * instruction["n_y"] <= 2 or instruction["c_step_img"] <= 1 else 0
    waits = counted["weight_blocks"] * (g + PASS_OVERHEAD) if instruction["hold_weights"] else 0
    skipped = nest - passes + 3 * (nest // 64 + 1) if instruction["use_blocks"] else 0
    return passes * (slots + repeated + gap) + waits + skipped + INSTRUCTION_OVERHEAD


async def check(bench: Bench, instruction: isa.Instruction) -> None:
    """Run one instruction on both and compare counts and cycles; accumulators are compared by the caller."""
    state = bench.state
    images = state.images(instruction)
    want = golden_array.counts(instruction, images, bench.g, state.mem["BL"])
    golden_array.execute_array(state, instruction)
    counted = await bench.run(instruction)
    cycles = counted.pop("cycles")
    assert counted == {**dict.fromkeys(counted, 0), **want}, f"{instruction}: counted {counted}, golden {want}"
    passes = int(golden_array.executed_passes(instruction, state.mem["BL"]).sum())
    bound = cycle_bound(instruction, bench.g, images, passes, counted)
    assert cycles <= bound, f"{instruction}: {cycles} cycles, at most {bound} expected ({passes} passes, {images} images)"


async def run_mode(dut, mode: str) -> None:
    bench = Bench(dut, seed=MODES.index(mode) + 1)
    await bench.start()
    for number in range(INSTRUCTIONS):
        bench.state.mem["IL"][0] = number % 5
        instruction = random_instruction(bench.rng, mode, bench.state.config)
        await check(bench, instruction)
        if number % 4 == 0:
            got = await bench.accumulators()
            differ = np.argwhere(got != bench.state.acc)
            assert not len(differ), f"{mode}, instruction {number} {instruction}: {len(differ)} differ, first {differ[0]}"
    np.testing.assert_array_equal(await bench.accumulators(), bench.state.acc)


@cocotb.test()
@cocotb.parametrize(mode=MODES)
async def random_instructions(dut, mode):
    await run_mode(dut, mode)


@cocotb.test()
async def modes_in_turn(dut):
    """Instructions of all modes back to back: nothing of one is left in the next."""
    bench = Bench(dut, seed=99)
    await bench.start()
    for number in range(INSTRUCTIONS):
        await check(bench, random_instruction(bench.rng, MODES[int(bench.rng.integers(len(MODES)))], bench.state.config))
        if number % 8 == 7:
            np.testing.assert_array_equal(await bench.accumulators(), bench.state.acc)


@cocotb.test()
async def full_passes_have_no_gap(dut):
    """With more slots than weight words the array issues one slot per cycle; output-stationary adds the drain."""
    bench = Bench(dut, seed=7)
    await bench.start()
    layer = {"n_kb": 2, "n_red": 2, "n_ky": 3, "n_kx": 3, "n_img": 2, "n_y": 5, "n_x": 5, "stride": 1, "oy": -1, "ox": -1,
             "h": 5, "w": 5, "a_step_red": 25, "a_step_img": 50, "b_step_kb": 80, "b_step_red": 40, "b_step_tap": 4,
             "c_step_img": 25, "c_step_kb": 50}
    for extra in ({}, {"scatter": 1, "transpose": 1}, {"n_img": 1, "n_y": 1, "n_x": 5}):
        instruction = isa.Instruction("array", {**layer, **extra})
        golden_array.execute_array(bench.state, instruction)
        counted = await bench.run(instruction)
        dut._log.info("weight-stationary %s: %d slots, %d cycles", extra, counted["slots_forward"], counted["cycles"])
        assert counted["cycles"] <= counted["slots_forward"] + bench.g + 20
    os = {"n_kb": 1, "os": 1, "b_step_tap": 0, "b_step_img": 25, "c_step_red": 36, "c_step_tap": 4}
    instruction = isa.Instruction("array", {**layer, **os})
    golden_array.execute_array(bench.state, instruction)
    counted = await bench.run(instruction)
    dut._log.info("output-stationary: %d slots, %d cycles", counted["slots_forward"], counted["cycles"])
    assert counted["cycles"] <= counted["slots_forward"] + 18 * bench.g + 20
    np.testing.assert_array_equal(await bench.accumulators(), bench.state.acc)


@cocotb.test()
async def the_longest_pass_of_two_taps_is_exact(dut):
    """Of as many of the largest operands as half of an element holds both sums come out whole; of one more image they wrap."""
    bench = Bench(dut, seed=8)
    await bench.start()
    few = {"os": 1, "pair": 1, "a_drop": 3, "b_drop": 4, "n_kb": 1, "n_red": 1, "n_ky": 1, "n_kx": 1, "n_y": 13, "n_x": 4,
           "stride": 1, "h": 13, "w": 5, "b_base": 100, "c_step_pair": bench.g}
    for images, sign in ((12, -1), (12, 1), (13, -1)):
        assert few["n_y"] * few["n_x"] * 12 == LONGEST_PAIR
        bench.state.mem["A"][:], bench.state.mem["W"][:] = 127, np.uint8(np.int8(127 * sign).view(np.uint8))
        await bench.write_memories()
        before = bench.state.acc.copy()
        instruction = isa.Instruction("array", {**few, "n_img": images})
        await check(bench, instruction)
        got = await bench.accumulators()
        np.testing.assert_array_equal(got, bench.state.acc)
        exact = got[:8].astype(np.int64) - before[:8] == sign * 120 * 112 * 52 * images
        assert exact.all() if images == 12 else not exact.any()
