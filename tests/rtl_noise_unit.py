"""cocotb bench of hw/rtl/noise_unit.sv: a stream of positions with gaps against algo.arithmetic.noise16."""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from algo.arithmetic import noise16

LATENCY = 4
EDGES = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@cocotb.test()
async def stream_with_gaps(dut):
    rng = np.random.default_rng(11)
    lanes = len(dut.noise_o) // 16
    Clock(dut.clk_i, 10, "ns").start()
    dut.rst_ni.value, dut.valid_i.value, dut.draws_i.value = 0, 0, 1
    await FallingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    checked = 0
    for ch0 in (0, 1, 0xFFFE, int(rng.integers(0, 1 << 16))):
        for key in (*EDGES, int(rng.integers(0, 1 << 32))):
            dut.key_i.value, dut.ch0_i.value = key, ch0
            channels = (ch0 + np.arange(lanes, dtype=np.int64)) & 0xFFFF
            expected = [None] * LATENCY
            for cycle in range(60):
                # What went in LATENCY cycles ago; a gap keeps the word before it.
                if expected[0] is not None:
                    word = int(dut.noise_o.value)
                    got = [word >> 16 * lane & 0xFFFF for lane in range(lanes)]
                    assert got == expected[0], f"key {key:#x} channel {ch0}: {got} but {expected[0]}"
                    checked += 1
                valid = cycle < 60 - LATENCY and rng.random() < 0.7
                position = EDGES[cycle] if cycle < len(EDGES) else int(rng.integers(0, 1 << 32))
                dut.valid_i.value, dut.position_i.value = int(valid), position
                expected = [*expected[1:], noise16(key, position, channels).tolist() if valid else None]
                await FallingEdge(dut.clk_i)
    assert checked > 500
