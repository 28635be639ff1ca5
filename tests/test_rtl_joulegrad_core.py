"""The whole core against the golden interpreter, through registers and two memories' ports: a tile, errors, soft reset."""

import dataclasses
import random

import cocotb
import numpy as np
from axi_benches import STRIPE_BYTES, StripedRegion, pauses
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiReadBus, AxiSlaveRead, AxiSlaveWrite, AxiWriteBus
from core_programs import (
    CODE,
    DDR_BYTES,
    OPERAND,
    PROGRAM,
    RESULT,
    clear_accumulators,
    ddr_of,
    endless,
    engines,
    golden_after,
    instruction,
    one_tile,
    transfer,
)

from algo import scalar_ops
from hw import isa
from hw.config import load_config

BASE = 0x3AC5_0000
LIST_WORDS = 256
CONFIG = dataclasses.replace(load_config("tiny"), list_words=LIST_WORDS)
"""Another length than the modules' own default: the core must hand its sizes on."""
REG = {name: address for name, (address, _) in isa.REGISTERS.items()}
BUSY, DONE, ERROR = 1, 2, 4
EXACT = [name for name in isa.COUNTER_NAMES if name not in isa.TIMING_COUNTERS]


def test_joulegrad_core(run_rtl):
    run_rtl("core_bench", "test_rtl_joulegrad_core", {"ListWords": LIST_WORDS})


class CodeAndData(StripedRegion):
    """Instructions are read on port 0 wherever they lie; everything else is striped over the ports."""

    def _touch(self, address: int, length: int) -> int:
        if address - self.first_address < OPERAND:
            assert self.port == 0 and length <= isa.INSTRUCTION_BYTES
            self.port = address // STRIPE_BYTES % 2
            try:
                return super()._touch(address, length)
            finally:
                self.port = 0
        return super()._touch(address, length)


class Board:
    """The core with a memory behind both ports, driven through its registers."""

    def __init__(self, dut, ddr: np.ndarray, share: float = 0.0):
        self.dut, self.ddr, self.share = dut, ddr, share
        self.regions = [CodeAndData(ddr, port, BASE) for port in range(2)]

    async def begin(self) -> "Board":
        """Reset the core and set BASE."""
        dut = self.dut
        Clock(dut.clk_i, 10, "ns").start()
        dut.rst_ni.value = 0
        for port, region in enumerate(self.regions):
            prefix, bus = f"m{port}_axi", {"target": region, "reset_active_level": False}
            reader = AxiSlaveRead(AxiReadBus.from_prefix(dut, prefix), dut.clk_i, dut.rst_ni, **bus)
            writer = AxiSlaveWrite(AxiWriteBus.from_prefix(dut, prefix), dut.clk_i, dut.rst_ni, **bus)
            channels = (reader.ar_channel, reader.r_channel, writer.aw_channel, writer.w_channel, writer.b_channel)
            for number, channel in enumerate(channels):
                if self.share:
                    channel.set_pause_generator(pauses(10 * port + number, self.share))
            reader.log.setLevel("CRITICAL")
            writer.log.setLevel("CRITICAL")
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk_i, dut.rst_ni, reset_active_level=False)
        for half in (self.master.read_if, self.master.write_if):
            half.log.setLevel("ERROR")
        await ClockCycles(dut.clk_i, 4)
        dut.rst_ni.value = 1
        await ClockCycles(dut.clk_i, 2)
        assert await self.read("CONFIG_HASH") == 0xC0FFEE42
        await self.write("BASE_LO", BASE)
        return self

    async def read(self, name: str, offset: int = 0) -> int:
        return int.from_bytes((await self.master.read(REG[name] + offset, 4)).data, "little")

    async def write(self, name: str, value: int):
        await self.master.write(REG[name], value.to_bytes(4, "little"))

    async def start(self, count: int, address: int = CODE):
        await self.write("SEG_ADDR", address)
        await self.write("SEG_COUNT", count)
        await self.write("CTRL", 1)

    async def finish(self, limit: int = 400) -> int:
        for _ in range(limit):
            status = await self.read("STATUS")
            if not status & BUSY:
                return status
            await ClockCycles(self.dut.clk_i, 50)
        raise AssertionError(f"still busy after {50 * limit} cycles")

    async def run(self, count: int) -> int:
        await self.start(count)
        return await self.finish()

    async def counters(self) -> dict[str, int]:
        values = {}
        for i, name in enumerate(isa.COUNTER_NAMES):
            values[name] = await self.read("COUNTERS", 8 * i) | await self.read("COUNTERS", 8 * i + 4) << 32
        return values


def words(program: list[isa.Instruction]) -> list[bytes]:
    return [isa.encode(one) for one in program]


@cocotb.test()
@cocotb.parametrize(share=[0.0, 0.4])
async def tile(dut, share):
    """DDR and every exact counter equal the golden interpreter's, also when the segment is run again."""
    program = one_tile(CONFIG)
    ddr = ddr_of(words(program))
    golden = golden_after(CONFIG, ddr, len(program))
    assert np.unique(golden.ddr[RESULT : RESULT + 512]).size > 50
    board = await Board(dut, ddr.copy(), share).begin()
    for _ in range(2):
        board.ddr[:] = ddr
        assert await board.run(len(program)) == DONE
        np.testing.assert_array_equal(board.ddr, golden.ddr)
        got = await board.counters()
        assert {name: got[name] for name in EXACT} == {name: golden.counters[name] for name in EXACT}
        slots = got["slots_forward"] + got["stall_array_gap"] + got["stall_array_load"] + got["stall_array_vector"]
        assert slots + got["stall_array_other"] + got["stall_array_empty"] == got["cycles"]
    assert {region.port for region in board.regions if region.accesses} == {0, 1}


@cocotb.test()
async def empty_segment(dut):
    board = await Board(dut, ddr_of([])).begin()
    assert await board.run(0) == DONE
    assert (await board.counters())["instructions"] == 0


@cocotb.test()
async def malformed(dut):
    """The instructions before it are started, those after it are not, and the next segment runs as ever."""
    program = words([transfer("load", "W", OPERAND, 8), transfer("store", "C", RESULT, 4)])
    bad = bytearray(program[0])
    bad[63] = 0x80
    ddr = ddr_of([program[0], bytes(bad), program[1]])
    board = await Board(dut, ddr.copy()).begin()
    assert await board.run(3) == ERROR | isa.ERRORS.index("malformed") << 4 | 5 << 8
    assert await board.read("ERROR_INDEX") == 1
    np.testing.assert_array_equal(board.ddr, ddr)
    good = one_tile(CONFIG)
    board.ddr[:] = ddr_of(words(good))
    golden = golden_after(CONFIG, board.ddr, len(good))
    assert await board.run(len(good)) == DONE
    np.testing.assert_array_equal(board.ddr, golden.ddr)


@cocotb.test()
@cocotb.parametrize(
    (("what", "engine"), [("read_error", "load"), ("write_error", "store"), ("read_error", "fetch"), ("bad_address", "load")])
)
async def error(dut, what, engine):
    """An error response or a wrong address ends the segment with its code and engine; a reset core runs again."""
    good = one_tile(CONFIG)
    program = words(good)
    if what == "bad_address":
        program[3] = isa.encode(transfer("load", "W", OPERAND + 2, 8))
    ddr = ddr_of(program)
    board = await Board(dut, ddr.copy(), 0.2).begin()
    at = BASE + {"load": OPERAND + 300, "store": RESULT + 140, "fetch": CODE + 64 * 5}[engine]
    if what != "bad_address":
        for region in board.regions:
            region.poisoned = {at}
    number = isa.ENGINES.index(engine) if engine in isa.ENGINES else 5
    assert await board.run(len(program)) == ERROR | isa.ERRORS.index(what) << 4 | number << 8
    await ClockCycles(dut.clk_i, 100)
    for region in board.regions:
        region.poisoned = set()
    await board.write("CTRL", 2)
    assert await board.read("STATUS") == 0
    board.ddr[:] = ddr_of(words(good))
    golden = golden_after(CONFIG, board.ddr, len(good))
    assert await board.run(len(good)) == DONE
    np.testing.assert_array_equal(board.ddr, golden.ddr)


@cocotb.test()
async def accumulator_conflict(dut):
    """Array and vector unit in one bank: the program lacks a token."""
    array = next(one for one in one_tile(CONFIG) if one.op == "array")
    array.fields.update(wait=0, signal=0)
    program = [array, clear_accumulators(CONFIG)]
    board = await Board(dut, ddr_of(words(program))).begin()
    assert await board.run(len(program)) == ERROR | isa.ERRORS.index("acc_conflict") << 4 | 1 << 8


@cocotb.test()
@cocotb.parametrize(op=["load", "store"])
async def past_the_image_list(dut, op):
    """A slot behind the end of the list is an error of the engine that reads it."""
    mem = {"load": "A", "store": "O"}[op]
    beyond = transfer(op, mem, RESULT, 1, use_list=1, slot=LIST_WORDS - 1)
    board = await Board(dut, ddr_of(words([beyond]))).begin()
    number = isa.ENGINES.index(op)
    assert await board.run(1) == ERROR | isa.ERRORS.index("bad_address") << 4 | number << 8


@cocotb.test()
@cocotb.parametrize(op=["array", "vector", "coefficient"])
async def error_while_an_engine_works(dut, op):
    """An error, or a soft reset, ends an instruction that would go on for a million cycles; the core is free at once."""
    good = one_tile(CONFIG)
    golden = golden_after(CONFIG, ddr_of(words(good)), len(good))
    begin = [transfer("load", "P", PROGRAM, 1000, signal=engines(op) if op == "coefficient" else 0), endless(op)]
    board = await Board(dut, ddr_of([*words(begin), bytes(64)])).begin()
    board.ddr[PROGRAM : PROGRAM + 8000].view("<u8")[:] = scalar_ops.encode("sqrt", 1, 1)
    await board.start(3)
    assert await board.finish(40) == ERROR | isa.ERRORS.index("malformed") << 4 | 5 << 8
    await board.start(2)
    await ClockCycles(dut.clk_i, 5000)
    assert await board.read("STATUS") == BUSY
    await board.write("CTRL", 2)
    assert await board.finish(4) == 0
    board.ddr[:] = ddr_of(words(good))
    assert await board.run(len(good)) == DONE
    np.testing.assert_array_equal(board.ddr, golden.ddr)


@cocotb.test()
async def token_overflow(dut):
    give = instruction("coefficient", length=1, ch_count=1, signal=engines("store"))
    first = instruction("coefficient", length=1, ch_count=1, signal=engines("store"), wait=engines("load"))
    program = [transfer("load", "P", 0x1C000, 1, signal=engines("coefficient")), first, *[give] * 1023]
    ddr = np.zeros(2 * DDR_BYTES, np.uint8)
    code = np.frombuffer(b"".join(words(program)), np.uint8)
    ddr[: code.size] = code
    board = Board(dut, ddr)
    for region in board.regions:
        region._touch = lambda address, length, region=region: address - BASE
    await board.begin()
    await board.start(len(program))
    assert await board.finish(4000) == ERROR | isa.ERRORS.index("token_overflow") << 4 | isa.ENGINES.index("coefficient") << 8


@cocotb.test()
async def soft_reset(dut):
    """A core that waits for a token that nobody gives, or is in the middle of its bursts, comes back."""
    source = random.Random(6)
    good = one_tile(CONFIG)
    stuck = [*good[:5], instruction("vector", n_img=1, img_px=1, wait=engines("store"))]
    board = await Board(dut, ddr_of(words(stuck)), 0.2).begin()
    await board.start(len(stuck))
    await ClockCycles(dut.clk_i, 3000)
    assert await board.read("STATUS") == BUSY
    await board.write("CTRL", 2)
    assert await board.finish() == 0
    board.ddr[:] = ddr_of(words(good))
    golden = golden_after(CONFIG, board.ddr, len(good))
    for _ in range(6):
        board.ddr[:] = ddr_of(words(good))
        await board.start(len(good))
        await ClockCycles(dut.clk_i, source.randrange(1200))
        await board.write("CTRL", 2)
        assert await board.finish() == 0
    board.ddr[:] = ddr_of(words(good))
    assert await board.run(len(good)) == DONE
    np.testing.assert_array_equal(board.ddr, golden.ddr)
