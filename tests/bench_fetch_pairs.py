"""Cocotb test of fetch with PassTaps 1: an instruction of paired taps is malformed, every other one is handed out."""

from __future__ import annotations

import random

import cocotb
from instruction_cases import random_instruction
from test_rtl_fetch import Bench, clock

from hw import isa


@cocotb.test()
async def refuses_pairs_alone(dut):
    clock(dut)
    source = random.Random(6)
    pairs = 0
    for number in range(40):
        instruction = random_instruction(source, "array")
        if number % 2:
            instruction.fields |= {"pair": 0, "down": 0, "c_step_pair": 0}
        bench = Bench(dut, [isa.encode(instruction)], 0.0, seed=number)
        await bench.run()
        assert bench.errors == ([(isa.ERRORS.index("malformed"), 0)] if instruction["pair"] else [])
        assert len(bench.handed) == 1 - instruction["pair"]
        pairs += instruction["pair"]
    assert pairs > 5
