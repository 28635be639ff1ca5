"""uart_rx and uart_tx at 3 Mbaud from 50 MHz, a bit of 16.67 clocks: speed tolerance, glitches, broken bytes, bit edges."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from serial_bits import Listener, send_bits

BIT = 50 / 3
STEP = round((1 << 24) / BIT)


def test_uart(run_rtl):
    run_rtl("uart_bench", "test_rtl_uart", {"Step": f"24'd{STEP}"})


class Received:
    """Bytes and errors that uart_rx reports."""

    def __init__(self, dut):
        self.dut, self.data, self.errors = dut, bytearray(), 0

    async def run(self):
        while True:
            await RisingEdge(self.dut.clk_i)
            if int(self.dut.valid_o.value):
                self.data.append(int(self.dut.data_o.value))
            self.errors += int(self.dut.error_o.value)


async def begin(dut) -> Received:
    Clock(dut.clk_i, 16, "ns").start()
    dut.rst_ni.value, dut.rx_i.value, dut.valid_i.value = 0, 1, 0
    await ClockCycles(dut.clk_i, 4)
    dut.rst_ni.value = 1
    await ClockCycles(dut.clk_i, 4)
    received = Received(dut)
    cocotb.start_soon(received.run())
    return received


@cocotb.test()
@cocotb.parametrize(speed=[0.965, 1.0, 1.035])
async def receives(dut, speed):
    """Every byte, back to back, also from a host whose clock is 3.5 % off."""
    received = await begin(dut)
    data = bytes(random.Random(1).sample(range(256), 256))
    await send_bits(dut, data, BIT * speed)
    await ClockCycles(dut.clk_i, 20)
    assert bytes(received.data) == data and received.errors == 0


@cocotb.test()
async def glitches_are_no_start_bits(dut):
    received = await begin(dut)
    for width in (1, 3, 8):
        dut.rx_i.value = 0
        await ClockCycles(dut.clk_i, width)
        dut.rx_i.value = 1
        await ClockCycles(dut.clk_i, 300)
    await send_bits(dut, b"\x5a", BIT)
    await ClockCycles(dut.clk_i, 20)
    assert bytes(received.data) == b"\x5a" and received.errors == 0


@cocotb.test()
async def a_low_stop_bit_is_an_error_and_a_break_is_one(dut):
    received = await begin(dut)
    dut.rx_i.value = 0
    await ClockCycles(dut.clk_i, round(50 * BIT))
    assert (bytes(received.data), received.errors) == (b"", 1)
    dut.rx_i.value = 1
    await ClockCycles(dut.clk_i, round(2 * BIT))
    await send_bits(dut, b"\x81", BIT)
    await ClockCycles(dut.clk_i, 20)
    assert bytes(received.data) == b"\x81" and received.errors == 1


@cocotb.test()
async def sends(dut):
    """Bytes follow one another without a gap, and no bit edge is more than a clock away from where it belongs."""
    await begin(dut)
    listener = Listener(dut, BIT)
    cocotb.start_soon(listener.run())
    data = bytes(random.Random(2).sample(range(256), 100))
    edges, now, taken, last = [], 0, 0, 1
    dut.valid_i.value, dut.data_i.value = 1, data[0]
    while taken < len(data) or now < edges[0] + round(10 * BIT * len(data)) + 40:
        await RisingEdge(dut.clk_i)
        now += 1
        if int(dut.valid_i.value) and int(dut.ready_o.value):
            taken += 1
            dut.valid_i.value = int(taken < len(data))
            dut.data_i.value = data[min(taken, len(data) - 1)]
        if int(dut.tx_o.value) != last:
            last = 1 - last
            edges.append(now)
    assert bytes(listener.data) == data and listener.broken == 0
    for edge in edges:
        bits = (edge - edges[0]) / BIT
        assert abs(bits - round(bits)) * BIT <= 1.01 + len(data) * 10 * 2**-24 * BIT
