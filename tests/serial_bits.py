"""A serial line bit by bit, for cocotb benches: bytes onto a pin and off it, in clocks per bit."""

from __future__ import annotations

from cocotb.triggers import RisingEdge


async def send_bits(dut, data: bytes, clocks_per_bit: float, stop_bits: int = 1, stop_level: int = 1):
    """Send bytes on rx_i; bits change with clock edges, as near to their times as those come."""
    due, now = 0.0, 0
    for byte in data:
        for bit in (0, *((byte >> i) & 1 for i in range(8)), *[stop_level] * stop_bits):
            dut.rx_i.value = bit
            due += clocks_per_bit
            while now < round(due):
                await RisingEdge(dut.clk_i)
                now += 1
    dut.rx_i.value = 1


class Listener:
    """Collects the bytes that leave on tx_o."""

    def __init__(self, dut, clocks_per_bit: float):
        self.dut, self.clocks_per_bit = dut, clocks_per_bit
        self.data = bytearray()
        self.broken = 0

    async def run(self):
        """Listen for ever: a bit is what the line is in its middle."""
        while True:
            await RisingEdge(self.dut.clk_i)
            if str(self.dut.tx_o.value) != "0":
                continue
            bits, now = [], 0
            for i in range(10):
                while now < int((i + 0.5) * self.clocks_per_bit):
                    await RisingEdge(self.dut.clk_i)
                    now += 1
                bits.append(int(self.dut.tx_o.value))
            if bits[0] == 1 or bits[9] == 0:
                self.broken += 1
            self.data.append(sum(bit << i for i, bit in enumerate(bits[1:9])))
