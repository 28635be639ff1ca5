"""hw/rtl/coefficient_engine.sv must equal hw/golden_coefficient.py, with and without blocked table ports."""

import itertools

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge
from test_hw_golden_coefficient import random_program

from algo import coefficient_programs, scalar_ops
from hw import isa
from hw.config import load_config
from hw.golden_coefficient import execute_coefficient
from hw.state import CoreError, CoreState

CORNERS = [
    0, 1, -1, 2, -2, 3, 127, 255,
    2**17, -(2**17), 2**31 - 1, -(2**31), 2**32, 2**46 + 12345, 2**62, 2**63 - 1, 1 - 2**63, -(2**63),
]


def test_coefficient_engine(run_rtl):
    run_rtl("coefficient_engine_bench", "test_rtl_coefficient_engine")


class Bench:
    """The engine with memories C and P; a share of the cycles has no grant, and data last one cycle only."""

    def __init__(self, dut, seed: int, grant_share: float = 1.0):
        self.dut, self.grant_share = dut, grant_share
        self.rng = np.random.default_rng(seed)
        self.state = CoreState(load_config("tiny"), np.zeros(64, np.uint8))
        values = self.rng.integers(-(2**62), 2**62, 1024) >> self.rng.integers(0, 60, 1024)
        self.state.mem["C"][:] = values.view(np.uint64)
        self.done = self.ops = self.reads = self.writes = 0
        self.errors: list[int] = []

    async def start(self):
        dut = self.dut
        Clock(dut.clk_i, 10, "ns").start()
        dut.rst_ni.value, dut.start_valid_i.value, dut.instr_i.value = 0, 0, 0
        dut.p_rdata_i.value, dut.c_rdata_i.value, dut.read_allowed_i.value, dut.write_allowed_i.value = 0, 0, 1, 1
        await ClockCycles(dut.clk_i, 3)
        dut.rst_ni.value = 1
        cocotb.start_soon(self._monitor())

    async def _monitor(self):
        dut, table, program = self.dut, self.state.mem["C"], self.state.mem["P"]
        word = 0xFFFFFFFF  # P keeps what was read last
        while True:
            await ReadOnly()
            read = int(dut.c_raddr_o.value) if dut.read_o.value else None
            fetched = int(dut.p_addr_o.value) if dut.p_ren_o.value else None
            data = int(table[read]) if read is not None else int(self.rng.integers(1 << 62))
            if fetched is not None:
                word = int(program[fetched]) & 0xFFFFFFFF if fetched < 1024 else 0xFFFFFFFF
            if dut.written_o.value:
                table[int(dut.c_waddr_o.value)] = int(dut.c_wdata_o.value)
                self.writes += 1
            self.reads += read is not None
            self.done += int(dut.done_o.value)
            self.ops += int(dut.ev_scalar_o.value)
            if int(dut.error_o.value):
                self.errors.append(int(dut.error_o.value))
            await RisingEdge(dut.clk_i)
            dut.c_rdata_i.value, dut.p_rdata_i.value = data, word
            dut.read_allowed_i.value = int(self.rng.random() < self.grant_share)
            dut.write_allowed_i.value = int(self.rng.random() < self.grant_share)

    async def issue(self, instruction) -> int:
        """Run one instruction to its end; return the cycles between start and idle."""
        dut = self.dut
        opcode = isa.ENGINES.index("coefficient") + 1
        dut.instr_i.value = isa.pack(isa.FIELDS["coefficient"], {**instruction.fields, "opcode": opcode})
        dut.start_valid_i.value = 1
        await RisingEdge(dut.clk_i)
        dut.start_valid_i.value = 0
        for cycle in itertools.count():
            await ReadOnly()
            idle = bool(dut.idle_o.value)
            await RisingEdge(dut.clk_i)
            if idle:
                return cycle

    async def compare(self, program: list[int], **fields) -> int:
        """Run a program here and on the golden model; return the cycles."""
        pc = int(self.rng.integers(0, 1024 - len(program)))
        self.state.mem["P"][pc : pc + len(program)] = np.array(program, np.uint64) | np.uint64(0x5A << 32)
        golden = CoreState(self.state.config, self.state.ddr)
        for name in ("C", "P"):
            golden.mem[name][:] = self.state.mem[name]
        instruction = isa.Instruction("coefficient", {"pc": pc, "length": len(program), **fields})
        execute_coefficient(golden, instruction)
        self.done = self.ops = self.reads = self.writes = 0
        cycles = await self.issue(instruction)
        assert self.errors == [] and self.done == 1
        np.testing.assert_array_equal(self.state.mem["C"], golden.mem["C"])
        counted = (golden.counters["scalar_ops"], golden.counters["table_reads"], golden.counters["table_writes"])
        assert (self.ops, self.reads, self.writes) == counted
        return cycles


@cocotb.test(timeout_time=600, timeout_unit="us")
@cocotb.parametrize(grant_share=[1.0, 0.4])
async def random_programs(dut, grant_share):
    bench = Bench(dut, seed=11, grant_share=grant_share)
    await bench.start()
    for stride in (0, 1, 3, 5, 16, 0, 2, 4):
        program = random_program(bench.rng, 50, [-2, 0, 1, 2], [0, 3, -500])
        await bench.compare(program, ch_base=20, ch_count=7, ch_stride=stride, sc_base=520)


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def corners_of_every_operation(dut):
    """Each operation on every pair of the corner values: channel ch works on words 3 ch .. 3 ch + 2."""
    bench = Bench(dut, seed=12)
    await bench.start()
    pairs = np.array(list(itertools.product(CORNERS, CORNERS)), object)
    for op in scalar_ops.ARITHMETIC:
        table = bench.state.mem["C"].view(np.int64)
        table[: 3 * len(pairs)].reshape(-1, 3)[:, :2] = pairs.astype(np.int64)
        imm = {"sat": int(bench.rng.integers(1, 63)), "shi": int(bench.rng.integers(-63, 1))}.get(op, -7)
        program = [scalar_ops.encode("ldc", 1, imm=0), scalar_ops.encode("ldc", 2, imm=1), scalar_ops.encode(op, 3, 1, 2, imm)]
        await bench.compare([*program, scalar_ops.encode("stc", ra=3, imm=2)], ch_count=len(pairs), ch_stride=3)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(op=["shi", "shr", "sat"])
async def every_shift_and_saturation(dut, op):
    bench = Bench(dut, seed=13)
    await bench.start()
    table = bench.state.mem["C"].view(np.int64)
    amounts = range(-68, 69) if op == "shi" else range(-64, 64) if op == "shr" else range(1, 63)
    for first in range(0, len(amounts), 16):
        program = [scalar_ops.encode("ldc", 1)]
        for number, amount in enumerate(amounts[first : first + 16]):
            if op == "shr":
                program.append(scalar_ops.encode("addi", 2, 15, imm=amount))
            program.append(scalar_ops.encode(op, 3, 1, 2, imm=0 if op == "shr" else amount))
            program.append(scalar_ops.encode("stc", ra=3, imm=number + 1))
        table[: 17 * len(CORNERS)].reshape(-1, 17)[:, 0] = CORNERS
        await bench.compare(program, ch_count=len(CORNERS), ch_stride=17)


@cocotb.test(timeout_time=200, timeout_unit="us")
async def batch_norm_forward_cycles(dut):
    """The longest program of a training step, on numbers of the size that it meets."""
    bench = Bench(dut, seed=14)
    await bench.start()
    for name, program in (("random", random_program(bench.rng, 60, [0, 1], [0, 1])), *timed_programs()):
        cycles = await bench.compare(list(program), ch_base=100, ch_count=16, ch_stride=16, sc_base=600)
        dut._log.info(f"{name}: {cycles / 16 / len(program):.2f} cycles per operation, {cycles / 16:.1f} per channel")
        assert cycles / 16 / len(program) < 6


def timed_programs():
    """Yield (name, program) of straight code of one kind."""
    e = scalar_ops.encode
    yield "loads and additions", [e("ldc", 1), e("lds", 2), e("add", 3, 1, 2), e("add", 3, 3, 1), e("stc", ra=3, imm=1)] * 8
    yield "shifts and products", [e("mul", 1, 1, 2), e("shi", 1, 1, imm=-3)] * 20
    yield from ((name, program.words) for name, program in coefficient_programs.PROGRAMS.items())


@cocotb.test(timeout_time=100, timeout_unit="us")
@cocotb.parametrize(
    case=[
        ({"pc": 1023, "length": 2}, 3), ({}, 31), ({}, 15), ({}, scalar_ops.SCALAR_OPS.index("sat")),
        ({}, scalar_ops.SCALAR_OPS.index("sat") | 63 << 17), ({}, scalar_ops.encode("ldc", imm=-1)),
        ({"ch_base": 1000, "ch_stride": 3, "ch_count": 9}, scalar_ops.encode("stc")),
        ({"sc_base": 65535}, scalar_ops.encode("lds", imm=3)), ({"ch_base": 65535}, scalar_ops.encode("ldc", imm=8191)),
    ]
)
async def refused(dut, case):
    """The engine shows the golden model's error, does nothing more and takes nothing more."""
    fields, word = case
    bench = Bench(dut, seed=15)
    bench.state.mem["P"][:] = word
    instruction = isa.Instruction("coefficient", {"length": 1, "ch_count": 1, **fields})
    golden = CoreState(bench.state.config, bench.state.ddr)
    golden.mem["P"][:] = word
    try:
        execute_coefficient(golden, instruction)
        code = "none"
    except CoreError as error:
        code = error.code
    await bench.start()
    await bench.issue(instruction)
    assert bench.errors == [isa.ERRORS.index(code)]
    assert bench.done == 0 and not dut.start_ready_o.value
