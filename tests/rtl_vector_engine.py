"""cocotb bench of hw/rtl/vector_engine.sv: memories in Python, every instruction against the golden model."""

from __future__ import annotations

import os
from collections import deque

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from vector_cases import COUNTED, random_fields, random_state, set_image_count, write_tables

from hw import isa
from hw.golden_vector import execute_vector

GRANT_SHARE = float(os.environ.get("GRANT_SHARE", "1"))
READ_PORTS = ("u", "v", "mi")
WRITE_PORTS = ("o", "u", "v", "mo")


class Bench:
    """The engine's surroundings: memories of `state`, and what the engine was seen to do."""

    def __init__(self, dut, state, rng):
        self.dut, self.state, self.rng = dut, state, rng
        self.g = state.config.g
        self.counts = dict.fromkeys(COUNTED, 0)
        self.read = dict.fromkeys((*READ_PORTS, "acc", "c"))  # what the last cycle's reads asked for
        self.cycle = 0
        self.done = False

    async def reset(self):
        self.dut.rst_ni.value = 0
        self.dut.start_valid_i.value = 0
        self.dut.c_rgnt_i.value = 0
        self.dut.c_wgnt_i.value = 0
        for _ in range(2):
            await FallingEdge(self.dut.clk_i)
        self.dut.rst_ni.value = 1

    def _garbage(self, bits: int) -> int:
        return int.from_bytes(self.rng.bytes(bits // 8), "little")

    async def step(self):
        """One cycle: give the data of the last cycle's reads, take this cycle's accesses, grant at random."""
        await FallingEdge(self.dut.clk_i)
        dut, mem = self.dut, self.state.mem
        self.cycle += 1
        for port in READ_PORTS:
            if self.read[port] is not None:
                getattr(dut, f"{port}_rdata_i").value = self.read[port]
                self.read[port] = None
            elif self.cycle % 4 == 0:
                getattr(dut, f"{port}_rdata_i").value = self._garbage(self.g * 8)
            if int(getattr(dut, f"{port}_ren_o").value):
                memory = mem[port.upper()]
                word = memory[int(getattr(dut, f"{port}_addr_o").value) % len(memory)]
                self.read[port] = int.from_bytes(word.tobytes(), "little")
                self.counts["spad_reads"] += 1
        self._accumulator()
        self._table()
        for port in WRITE_PORTS:
            if int(getattr(dut, f"{port}_wen_o").value):
                memory = mem[port.upper()]
                data = int(getattr(dut, f"{port}_wdata_o").value).to_bytes(self.g, "little")
                memory[int(getattr(dut, f"{port}_waddr_o").value) % len(memory)] = np.frombuffer(data, np.uint8)
                self.counts["spad_writes"] += 1
        if int(dut.ev_vector_o.value):
            self.counts["vectors"] += 1
            self.counts["vectors_wide"] += int(dut.ev_wide_o.value)
        self.done = bool(int(dut.done_o.value))

    def _accumulator(self):
        dut, acc = self.dut, self.state.acc
        dut.acc_rdata_i.value = self.cycle if self.read["acc"] is None else self.read["acc"]
        self.read["acc"] = None
        if int(dut.acc_ren_o.value):
            row = int(dut.acc_addr_o.value) % len(acc)
            self.read["acc"] = int.from_bytes(acc[row].astype("<i4").tobytes(), "little")
            self.counts["acc_reads"] += 1
            if int(dut.acc_clear_o.value):
                acc[row] = 0
                self.counts["acc_writes"] += 1

    def _table(self):
        dut, table = self.dut, self.state.mem["C"]
        dut.c_rdata_i.value = self._garbage(64) if self.read["c"] is None else self.read["c"]
        self.read["c"] = None
        read = int(dut.c_rreq_o.value) and self.rng.random() < GRANT_SHARE
        write = int(dut.c_wreq_o.value) and self.rng.random() < GRANT_SHARE
        dut.c_rgnt_i.value, dut.c_wgnt_i.value = int(bool(read)), int(bool(write))
        if read:
            self.read["c"] = int(table[int(dut.c_raddr_o.value) % len(table)])
            self.counts["table_reads"] += 1
        if write:
            table[int(dut.c_waddr_o.value) % len(table)] = np.uint64(int(dut.c_wdata_o.value))
            self.counts["table_writes"] += 1


def overhead_bound(fields: dict[str, int], g: int) -> int:
    """Return the cycles from start to done beyond those of the vectors, with every grant given at once."""
    cycles = 16 + 2 * fields["stochastic"] + 3 * fields["dst_wide"]
    cycles += (2 * g - 2) * fields["per_channel"]
    cycles += (2 * g + 6) * fields["sums"]
    return cycles + (g // 4 + 7) * fields["max"]


def start(dut, fields: dict[str, int], state) -> None:
    data = isa.encode(isa.Instruction("vector", fields))
    dut.instr_i.value = int.from_bytes(data, "little")
    dut.image_count_i.value = state.image_count
    dut.start_valid_i.value = 1


async def run_one(bench: Bench, golden, fields: dict[str, int], label: str) -> None:
    """Run an instruction on the engine and on the golden state, and compare everything."""
    dut = bench.dut
    execute_vector(golden, isa.Instruction("vector", fields))
    start(dut, fields, bench.state)
    while not int(dut.start_ready_o.value):
        await bench.step()
    began = bench.cycle
    await bench.step()
    dut.start_valid_i.value = 0
    while not bench.done:
        assert bench.cycle - began < 4000, f"{label}: not done after 4000 cycles, {fields}"
        await bench.step()
    compare(bench, golden, f"{label}: {fields}")
    if GRANT_SHARE == 1:
        vectors = golden.images(isa.Instruction("vector", fields)) * fields["img_px"]
        issue = vectors * (4 if fields["u_src"] == 2 or fields["v_src"] == 2 or fields["dst_wide"] else 1)
        spent = bench.cycle - began
        assert spent <= issue + overhead_bound(fields, bench.g), f"{label}: {spent} cycles for {issue} issues, {fields}"


def compare(bench: Bench, golden, label: str) -> None:
    for name, memory in golden.mem.items():
        np.testing.assert_array_equal(bench.state.mem[name], memory, err_msg=f"{name} {label}")
    np.testing.assert_array_equal(bench.state.acc, golden.acc, err_msg=f"acc {label}")
    expected = {name: golden.counters[name] for name in COUNTED}
    assert bench.counts == expected, f"{bench.counts} but golden {expected}, {label}"


async def prepare(dut, seed: int):
    """Return a reset bench and a golden state with equal memories."""
    rng = np.random.default_rng(seed)
    state, golden = random_state(rng), random_state(np.random.default_rng(0))
    copy_memories(state, golden)
    bench = Bench(dut, state, rng)
    Clock(dut.clk_i, 10, "ns").start()
    await bench.reset()
    return bench, golden, rng


def copy_memories(source, target) -> None:
    for name, memory in source.mem.items():
        target.mem[name][...] = memory
    target.acc[...] = source.acc


def vary(bench: Bench, golden, rng, fields: dict[str, int]) -> None:
    """Write fresh tables, image count and, now and then, fresh memories into both states."""
    if rng.random() < 0.1:
        copy_memories(random_state(rng), bench.state)
    write_tables(rng, bench.state, fields)
    if rng.random() < 0.5:
        bench.state.mem["C"][fields["c_max"]] = np.uint64(int(rng.integers(0, 1 << 31)) >> int(rng.integers(0, 31)))
    set_image_count(rng, bench.state, fields)
    copy_memories(bench.state, golden)


@cocotb.test()
async def random_instructions(dut):
    bench, golden, rng = await prepare(dut, 1)
    for number in range(1000):
        fields = random_fields(rng)
        vary(bench, golden, rng, fields)
        await run_one(bench, golden, fields, f"instruction {number}")


@cocotb.test()
async def back_to_back(dut):
    """The next instruction waits at the port while one runs, and reads what that one wrote."""
    bench, golden, rng = await prepare(dut, 2)
    queue = deque()
    for _ in range(40):
        fields = {**random_fields(rng, 12), "clip": 0}
        write_tables(rng, bench.state, fields)
        queue.append(fields)
    copy_memories(bench.state, golden)
    finished = []
    order = list(queue)
    start(dut, queue[0], bench.state)
    while len(finished) < len(order):
        taken = queue and int(dut.start_ready_o.value)
        await bench.step()
        if taken:
            queue.popleft()
            dut.start_valid_i.value = 0
            if queue:
                start(dut, queue[0], bench.state)
        if bench.done:
            finished.append(bench.cycle)
            execute_vector(golden, isa.Instruction("vector", order[len(finished) - 1]))
            for name, memory in golden.mem.items():
                np.testing.assert_array_equal(bench.state.mem[name], memory, err_msg=f"{name} after {order[len(finished) - 1]}")
    for _ in range(20):
        await bench.step()
        assert not bench.done and int(dut.idle_o.value)
    compare(bench, golden, "back to back")


@cocotb.test()
async def saturation_corners(dut):
    """Sums at, one below and one above every clamp, in every post, narrow and wide."""
    bench, golden, rng = await prepare(dut, 3)
    limits = [0, 1, 126, 127, 128, (1 << 23) - 1, 1 << 23, (1 << 31) - 1, 1 << 31, 1 << 33, 1 << 34, (1 << 47) - 1]
    for limit in limits:
        for sign in (1, -1):
            for shift in (0, 1, 2, 3, 7, 13):
                fields = {**random_fields(rng, 8), "max": 1, "sums": 0, "clip": 0, "per_channel": 1}
                write_tables(rng, bench.state, fields)
                table = bench.state.mem["C"].view(np.int64)
                table[fields["c_max"]] = 0
                table[fields["c_rec"] + 2] = shift << 32 | 0x1234
                for lane in range(bench.g):
                    at = fields["c_coef"] + lane * fields["c_stride"]
                    total = ((2 * sign * limit + int(rng.integers(-1, 2))) << shift >> 1) + int(rng.integers(-1, 2))
                    table[at : at + 2] = 0, min(max(total, -(1 << 47)), (1 << 47) - 1)
                copy_memories(bench.state, golden)
                await run_one(bench, golden, fields, f"limit {sign * limit} shift {shift}")


@cocotb.test()
async def bytes_of_16_bits(dut):
    """Both bytes, with their sums, where the low one turns over, at the limits of 16 bits and beyond, behind every post."""
    bench, golden, rng = await prepare(dut, 5)
    turns = [0, 1, 127, 128, 129, 255, 256, 383, 384, 32511, 32512, 32513, 32638, 32639, 32640, 32641, 32767, 32768, 65535]
    ends = [(1 << 23) - 1, 1 << 24, (1 << 31) - 1, 1 << 31, 1 << 34, 1 << 46]
    values = [sign * magnitude for magnitude in turns + ends for sign in (1, -1)]
    for byte in (1, 2):
        for post, sign_of in ((0, 0), (1, 0), (2, 0), (3, 0), (0, 1)):
            for first in range(0, len(values), bench.g):
                chosen = {"byte": byte, "post": post, "sign_of": sign_of, "dst_wide": 0, "dst": 1, "sums": 1, "per_channel": 1}
                fields = {**random_fields(rng, 8), **chosen, "mask_in": 0, "clip": 0}
                write_tables(rng, bench.state, fields)
                table = bench.state.mem["C"].view(np.int64)
                table[fields["c_rec"] + 2 : fields["c_rec"] + 4] = 0x1234, int(rng.integers(0, 3))
                for lane, value in enumerate(np.resize(values[first : first + bench.g], bench.g)):
                    at = fields["c_coef"] + lane * fields["c_stride"]
                    table[at : at + 2] = 0, value
                copy_memories(bench.state, golden)
                await run_one(bench, golden, fields, f"byte {byte} post {post}")


@cocotb.test()
async def reset_while_running(dut):
    """A reset in the middle of an instruction leaves an engine that runs the next one right."""
    bench, golden, rng = await prepare(dut, 4)
    for cycles in (3, 9, 17, 26, 33, 41):
        fields = {**random_fields(rng), "dst": 1, "dst_wide": cycles & 1, "clip": 0}
        narrow = 1 - fields["dst_wide"]
        fields.update(dict.fromkeys(("mask_in", "mask_out", "max"), 1), sums=narrow, byte=fields["byte"] * narrow)
        vary(bench, golden, rng, fields)
        start(dut, fields, bench.state)
        for _ in range(cycles):
            await bench.step()
            dut.start_valid_i.value = 0
        await bench.reset()
        await bench.step()
        fields = random_fields(rng)
        vary(bench, golden, rng, fields)
        bench.counts = {name: golden.counters[name] for name in COUNTED}
        await run_one(bench, golden, fields, f"after a reset at {cycles}")
