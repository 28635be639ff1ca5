"""hw/board_rtl/axi3_to_lite.sv between cocotbext-axi's AXI master and its AXI4-Lite memory, with and without pauses."""

import random

import cocotb
from axi_benches import pauses
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiBurstType, AxiBus, AxiLiteBus, AxiLiteSlave, AxiMaster, AxiResp, MemoryRegion

SIZE = 1024


def test_axi3_to_lite(run_rtl):
    run_rtl("axi3_to_lite_bench", "test_rtl_axi3_to_lite")


class Registers(MemoryRegion):
    """A memory of registers with one address that answers an error, and a list of what was asked."""

    def __init__(self):
        super().__init__(SIZE)
        self.log, self.poisoned = [], None

    async def _read(self, address, length, **kwargs):
        self.log.append(("read", address, length))
        if address == self.poisoned:
            raise ValueError("poisoned")
        return await super()._read(address, length, **kwargs)

    async def _write(self, address, data, **kwargs):
        self.log.append(("write", address, len(data)))
        if address == self.poisoned:
            raise ValueError("poisoned")
        await super()._write(address, data, **kwargs)


async def begin(dut, share: float):
    Clock(dut.clk_i, 10, "ns").start()
    dut.rst_ni.value = 0
    registers = Registers()
    master = AxiMaster(
        AxiBus.from_prefix(dut, "s_axi"), dut.clk_i, dut.rst_ni, reset_active_level=False, max_burst_len=16,
    )  # fmt: skip
    slave = AxiLiteSlave(AxiLiteBus.from_prefix(dut, "m_axi"), dut.clk_i, dut.rst_ni, target=registers, reset_active_level=False)
    channels = []
    for half in (master.read_if, slave.read_if):
        channels += [half.ar_channel, half.r_channel]
        half.log.setLevel("CRITICAL")
    for half in (master.write_if, slave.write_if):
        channels += [half.aw_channel, half.w_channel, half.b_channel]
        half.log.setLevel("CRITICAL")
    for number, channel in enumerate(channels):
        if share:
            channel.set_pause_generator(pauses(number, share))
    await ClockCycles(dut.clk_i, 4)
    dut.rst_ni.value = 1
    await ClockCycles(dut.clk_i, 2)
    return master, registers


@cocotb.test()
@cocotb.parametrize(share=[0.0, 0.5])
async def memory(dut, share):
    """Bytes, words and bursts of 2 to 16 beats, reads beside writes, leave and find what a plain array holds."""
    master, registers = await begin(dut, share)
    source = random.Random(3)
    image = bytearray(source.randbytes(SIZE))
    registers.mem[:] = image
    for _ in range(60):
        length = source.choice((1, 2, 4, 8, 20, 64))
        at = source.randrange(0, SIZE - length) & (~3 if length >= 4 else ~0)
        data = source.randbytes(length)
        ids = {"awid": source.randrange(4096)}
        elsewhere = 4 * source.randrange(SIZE // 4)
        asked = master.init_read(elsewhere, 4, arid=source.randrange(4096))
        before = bytes(image[elsewhere : elsewhere + 4])
        answer = await master.write(at, data, **ids)
        assert answer.resp == AxiResp.OKAY
        image[at : at + length] = data
        await asked.wait()
        assert bytes(asked.data.data) in (before, bytes(image[elsewhere : elsewhere + 4]))
        assert bytes((await master.read(at, length)).data) == data
    assert bytes(registers.mem[:]) == bytes(image)


@cocotb.test()
async def bursts_become_single_accesses(dut):
    """INCR walks, FIXED stays, narrow beats step by their size, WRAP is refused without an access."""
    master, registers = await begin(dut, 0.0)
    await master.write(0x40, bytes(range(16)))
    assert registers.log == [("write", 0x40 + 4 * k, 4) for k in range(4)]
    registers.log.clear()
    await master.read(0x80, 64)
    assert registers.log == [("read", 0x80 + 4 * k, 4) for k in range(16)]
    registers.log.clear()
    await master.read(0x100, 12, burst=AxiBurstType.FIXED)
    assert {address for _, address, _ in registers.log} == {0x100}
    registers.log.clear()
    await master.write(0x200, b"abcd", size=0)
    assert registers.log == [("write", 0x200 + k, 1) for k in range(4)]
    assert bytes(registers.mem[0x200:0x204]) == b"abcd"
    registers.log.clear()
    assert (await master.read(0x10, 16, burst=AxiBurstType.WRAP)).resp == AxiResp.SLVERR
    assert (await master.write(0x10, b"x" * 16, burst=AxiBurstType.WRAP)).resp == AxiResp.SLVERR
    assert registers.log == []
    assert (await master.write(0x10, b"good")).resp == AxiResp.OKAY


@cocotb.test()
@cocotb.parametrize(beat=[0, 2, 3])
async def an_error_of_one_beat_is_the_bursts(dut, beat):
    master, registers = await begin(dut, 0.2)
    registers.poisoned = 0x20 + 4 * beat
    assert (await master.write(0x20, bytes(16))).resp == AxiResp.SLVERR
    assert (await master.read(0x20, 16)).resp == AxiResp.SLVERR
    registers.poisoned = None
    assert (await master.write(0x20, bytes(16))).resp == AxiResp.OKAY
    assert (await master.read(0x20, 16)).resp == AxiResp.OKAY
