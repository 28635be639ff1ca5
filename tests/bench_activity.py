"""Cocotb test of activity: counted bit changes against numpy, G = 4."""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge

G = 4
STREAMS = {"row": 13 * G, "col": 8 * G, "product": 16 * G * G}


@cocotb.test()
async def counts_bit_changes(dut):
    rng = np.random.default_rng(4)
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    for _ in range(2):  # the second reset clears counts and the values before
        dut.rst_ni.value = 0
        for name in STREAMS:
            getattr(dut, f"{name}_valid_i").value = 1
            getattr(dut, f"{name}_i").value = 0
        await RisingEdge(dut.clk_i)
        await RisingEdge(dut.clk_i)
        dut.rst_ni.value = 1
        before, toggles = dict.fromkeys(STREAMS, 0), dict.fromkeys(STREAMS, 0)
        for _ in range(200):
            for name, bits in STREAMS.items():
                value, valid = int.from_bytes(rng.bytes(-(-bits // 8)), "little") % (1 << bits), bool(rng.random() < 0.6)
                getattr(dut, f"{name}_i").value = value
                getattr(dut, f"{name}_valid_i").value = int(valid)
                if valid:
                    toggles[name] += (value ^ before[name]).bit_count()
                    before[name] = value
            await RisingEdge(dut.clk_i)
        await ReadOnly()
        assert int(dut.operand_toggles_q.value) == toggles["row"] + toggles["col"]
        assert int(dut.product_toggles_q.value) == toggles["product"]
        await RisingEdge(dut.clk_i)
