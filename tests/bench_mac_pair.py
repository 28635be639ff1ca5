"""Cocotb test of mac_pair: every a1 and a0 with 32 values of b, all operands of few bits (mac_pair_bench.sv).

Products are held while en_i is low.
"""

from __future__ import annotations

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly


@cocotb.test()
async def all_triples(dut):
    dut.rst_ni.value = 0
    dut.en_i.value = 0
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    await ClockCycles(dut.clk_i, 2)
    dut.rst_ni.value = 1
    dut.en_i.value = 1
    await ClockCycles(dut.clk_i, (1 << 16) + (1 << 13) + 1)
    dut.en_i.value = 0
    await ClockCycles(dut.clk_i, 300)
    await ReadOnly()
    assert int(dut.count_o.value) >= (1 << 16) + (1 << 13)
    assert int(dut.wrong_o.value) == 0
