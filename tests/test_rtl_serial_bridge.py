"""The serial bridge through its pins against hw/golden_serial.py: every kind of request, noise, repeats, a flood."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiLiteBus, AxiLiteSlave, MemoryRegion
from serial_bits import Listener, send_bits

from hw import serial_packets as packets
from hw.golden_serial import SerialBridge
from hw.serial_packets import DESCRIBE, READ, WRITE, Request, request_bytes

MEMORY_BYTES = 4096
CLK_HZ = 50_000_000
CLOCKS_PER_BIT = 4
BYTE_CLOCKS = 10 * CLOCKS_PER_BIT


def test_serial_bridge(run_rtl):
    run_rtl("serial_bridge_bench", "test_rtl_serial_bridge", {"MemoryBytes": MEMORY_BYTES, "ClkHz": CLK_HZ})


class Board(MemoryRegion):
    """A memory at 0 and registers at 2^31; counts what is written to registers."""

    def __init__(self, memory: bytearray):
        super().__init__(size=1 << 32, mem=memory)
        self.registers: dict[int, int] = {}
        self.written: list[tuple[int, int]] = []

    async def _read(self, address, length, **kwargs):
        if address >= packets.REGISTERS:
            return self.registers.get(address - packets.REGISTERS, 0).to_bytes(length, "little")
        if address + length > MEMORY_BYTES:
            raise ValueError("no memory there")
        return bytes(self.mem[address : address + length])

    async def _write(self, address, data, **kwargs):
        if address >= packets.REGISTERS:
            self.registers[address - packets.REGISTERS] = int.from_bytes(data, "little")
            self.written.append((address - packets.REGISTERS, int.from_bytes(data, "little")))
            return
        if address + len(data) > MEMORY_BYTES:
            raise ValueError("no memory there")
        self.mem[address : address + len(data)] = data


class Bench:
    """The bridge, a board behind it, and the golden bridge with a board of its own."""

    def __init__(self, dut, seed: int):
        self.dut, self.random = dut, random.Random(seed)
        self.listener = Listener(dut, CLOCKS_PER_BIT)
        self.board = Board(bytearray(self.random.randbytes(MEMORY_BYTES)))
        self.golden_memory, self.golden_registers = bytearray(self.board.mem), {}
        self.golden = SerialBridge(
            self.golden_memory, lambda address: self.golden_registers.get(address, 0), self.golden_registers.__setitem__, CLK_HZ
        )

    async def begin(self) -> "Bench":
        Clock(self.dut.clk_i, 10, "ns").start()
        self.dut.rst_ni.value, self.dut.rx_i.value = 0, 1
        slave = AxiLiteSlave(AxiLiteBus.from_prefix(self.dut, "m_axi"), self.dut.clk_i, self.dut.rst_ni,
                             target=self.board, reset_active_level=False)  # fmt: skip
        for half in (slave.read_if, slave.write_if):
            half.log.setLevel("CRITICAL")
        await ClockCycles(self.dut.clk_i, 4)
        self.dut.rst_ni.value = 1
        cocotb.start_soon(self.listener.run())
        await ClockCycles(self.dut.clk_i, 4)
        return self

    async def exchange(self, *requests: Request):
        """Send requests back to back and compare what comes back, and the memory."""
        await self.bytes_exchanged(b"".join(map(request_bytes, requests)))

    async def bytes_exchanged(self, data: bytes):
        wanted = self.golden.answer(data)
        self.listener.data.clear()
        await send_bits(self.dut, data, CLOCKS_PER_BIT)
        for _ in range(len(wanted) + 20):
            if len(self.listener.data) >= len(wanted):
                break
            await ClockCycles(self.dut.clk_i, 3 * BYTE_CLOCKS)
        await ClockCycles(self.dut.clk_i, 3 * BYTE_CLOCKS)
        assert bytes(self.listener.data) == wanted, f"{self.listener.data.hex()} instead of {wanted.hex()} for {data.hex()}"
        assert self.listener.broken == 0
        assert bytes(self.board.mem) == self.golden_memory and self.board.registers == self.golden_registers

    def request(self) -> Request:
        kind = self.random.choice([READ, WRITE])
        length = self.random.choice([1, 2, 3, 4, 5, 8, 17, 64, 131])
        address = self.random.randrange(MEMORY_BYTES - length)
        payload = bytes(self.random.choice([0x7D, 0x7E, 0x00, self.random.randrange(256)]) for _ in range(length))
        return Request(kind, self.random.randrange(1 << 16), address, length, payload if kind == WRITE else b"")


@cocotb.test()
async def memory(dut):
    """Reads and writes of any length at any lane, back to back; the largest."""
    bench = await Bench(dut, 1).begin()
    for _ in range(12):
        await bench.exchange(*(bench.request() for _ in range(3)))
    largest = bench.random.randbytes(packets.LARGEST)
    await bench.exchange(Request(WRITE, 7, 1024, len(largest), largest), Request(READ, 8, 1024, len(largest)))
    await bench.exchange(Request(WRITE, 9, 2051, 1021, largest[:1021]), Request(READ, 10, 2050, 1022))


@cocotb.test()
async def registers_and_description(dut):
    bench = await Bench(dut, 2).begin()
    first = packets.REGISTERS
    await bench.exchange(Request(DESCRIBE, 0, 0, packets.DESCRIPTION_BYTES), Request(DESCRIBE, 1, 2, 9))
    await bench.exchange(
        Request(WRITE, 2, first + 8, 4, b"\x7e\x7d\x01\x80"), Request(READ, 3, first + 8, 4), Request(READ, 4, first, 20)
    )


@cocotb.test()
async def a_write_is_not_done_again(dut):
    """A repeat is answered; after another write, or a describe, the same number is a new write."""
    bench = await Bench(dut, 3).begin()
    start = Request(WRITE, 21, packets.REGISTERS, 4, b"\x01\0\0\0")
    other = Request(WRITE, 22, packets.REGISTERS + 4, 4, b"\x02\0\0\0")
    await bench.exchange(start, start, start)
    assert bench.board.written == [(0, 1)]
    await bench.exchange(other, start, other)
    assert bench.board.written == [(0, 1), (4, 2), (0, 1), (4, 2)]
    await bench.exchange(Request(DESCRIBE, 23, 0, 16), other)
    assert bench.board.written[4:] == [(4, 2)]


@cocotb.test()
async def what_is_refused(dut):
    """Too long, empty, an unknown kind, and what lies behind the memory are answered with a status."""
    bench = await Bench(dut, 4).begin()
    for request in (
        Request(READ, 1, 0, 0), Request(READ, 2, 0, 1025), Request(READ, 3, 3, 1022), Request(READ, 4, 0, 0xFFFF),
        Request(9, 5, 0, 4), Request(0, 6, 0, 4), Request(WRITE, 7, 1, 1024, bytes(1024)), Request(WRITE, 8, 0, 0),
        Request(READ, 9, MEMORY_BYTES - 8, 16), Request(WRITE, 10, MEMORY_BYTES - 4, 8, b"12345678"),
        Request(READ, 11, MEMORY_BYTES - 4, 4),
    ):  # fmt: skip
        await bench.exchange(request)


@cocotb.test()
async def noise(dut):
    """Bytes changed, lost, doubled and made up: whatever stays whole is answered, nothing else, and never by accident."""
    bench = await Bench(dut, 5).begin()
    for _ in range(60):
        data = bytearray(b"".join(request_bytes(bench.request()) for _ in range(2)))
        for _ in range(bench.random.choice([1, 1, 2])):
            at = bench.random.randrange(1, len(data) - 1)
            what = bench.random.randrange(4)
            if what == 0:
                data[at] ^= 1 << bench.random.randrange(8)
            elif what == 1:
                del data[at]
            elif what == 2:
                data.insert(at, data[at])
            else:
                data[at:at] = bench.random.randbytes(bench.random.randrange(1, 6)) + b"\x7d"
        await bench.bytes_exchanged(bytes(data) + b"\x7e")


@cocotb.test()
async def a_broken_byte_spoils_its_frame_only(dut):
    bench = await Bench(dut, 6).begin()
    data = request_bytes(Request(READ, 1, 16, 4))
    await send_bits(dut, data[:5], CLOCKS_PER_BIT)
    await send_bits(dut, data[5:6], CLOCKS_PER_BIT, stop_level=0)
    dut.rx_i.value = 1
    await ClockCycles(dut.clk_i, 2 * BYTE_CLOCKS)
    await send_bits(dut, data[6:], CLOCKS_PER_BIT)
    await ClockCycles(dut.clk_i, 20 * BYTE_CLOCKS)
    assert not bench.listener.data
    await bench.exchange(Request(READ, 2, 16, 4))


@cocotb.test()
async def a_flood_is_dropped_and_leaves_no_trace(dut):
    """More requests than slots, each with an answer longer than itself: those beyond the slots are dropped whole."""
    bench = await Bench(dut, 7).begin()
    flood = [Request(READ, i, 64 * i, 64) for i in range(16)]
    await send_bits(dut, b"".join(map(request_bytes, flood)), CLOCKS_PER_BIT)
    await ClockCycles(dut.clk_i, 100 * 8 * BYTE_CLOCKS)
    bodies = packets.Deframer().feed(bytes(bench.listener.data))
    replies = [packets.reply_of(body) for body in bodies]
    numbers = [reply.sequence for reply in replies]
    assert numbers[: packets.SLOTS] == list(range(packets.SLOTS)) and numbers == sorted(set(numbers))
    assert packets.SLOTS <= len(numbers) < 16
    for reply in replies:
        assert reply.payload == bytes(bench.board.mem[reply.address : reply.address + 64])
    await bench.exchange(bench.request(), bench.request())
