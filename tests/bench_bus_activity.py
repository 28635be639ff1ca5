"""Cocotb test of bus_activity: counted bit changes against Python integers, 40 bits."""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge

WIDTH = 40


@cocotb.test()
async def counts_bit_changes(dut):
    rng = np.random.default_rng(5)
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    for _ in range(2):  # the second reset clears the count and the value before
        dut.rst_ni.value = 0
        dut.valid_i.value = 1
        dut.value_i.value = 0
        await RisingEdge(dut.clk_i)
        await RisingEdge(dut.clk_i)
        dut.rst_ni.value = 1
        before = toggles = 0
        for _ in range(200):
            value, valid = int.from_bytes(rng.bytes(WIDTH // 8), "little"), bool(rng.random() < 0.6)
            dut.value_i.value = value
            dut.valid_i.value = int(valid)
            if valid:
                toggles += (value ^ before).bit_count()
                before = value
            await RisingEdge(dut.clk_i)
        await ReadOnly()
        assert int(dut.toggles_q.value) == toggles
        await RisingEdge(dut.clk_i)
