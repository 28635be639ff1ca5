"""What the benches of load and store engine share: clock, instructions, image list, counts, the bursts seen."""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge
from transfer_cases import BASE, bits, config, random_state


class TransferBench:
    """An engine with memories of its own; a subclass serves its memory port.

    Attributes:
        state: the memories as the engine leaves them; `golden` starts equal.
        done, waited, moved: cycles of done_o and wait_o, words at the memory port.
        errors: codes shown on error_o, one per cycle.
        bursts: (address, beats) per port as addresses are taken.
    """

    def __init__(self, dut, seed: int, grant_share: float = 1.0):
        self.dut = dut
        self.config = config(int(dut.G.value), int(dut.AxiBits.value))
        self.state = random_state(self.config, seed)
        self.golden = random_state(self.config, seed)
        self.rng = np.random.default_rng(seed)
        self.grant_share = grant_share
        self.done = self.waited = self.moved = 0
        self.errors: list[int] = []
        self.bursts: tuple[list[tuple[int, int]], ...] = ([], [])
        self.channel = "ar" if hasattr(dut, "m0_axi_araddr") else "aw"

    async def start(self):
        """Reset the engine and start the clock."""
        dut = self.dut
        Clock(dut.clk_i, 10, "ns").start()
        dut.rst_ni.value, dut.stop_i.value, dut.start_valid_i.value, dut.grant_allowed_i.value = 0, 0, 0, 1
        dut.instr_i.value, dut.il_rdata_i.value, dut.base_i.value = 0, 0, BASE
        dut.image_count_i.value = self.state.image_count
        await ClockCycles(dut.clk_i, 3)
        dut.rst_ni.value = 1
        cocotb.start_soon(self._monitor())

    async def _monitor(self):
        dut = self.dut
        while True:
            await ReadOnly()
            self.sample()
            self.done += int(dut.done_o.value)
            self.waited += int(dut.wait_o.value)
            if int(dut.error_o.value):
                self.errors.append(int(dut.error_o.value))
            for port, seen in enumerate(self.bursts):
                pins = (getattr(dut, f"m{port}_axi_{self.channel}{name}") for name in ("valid", "ready", "addr", "len"))
                valid, ready, addr, length = (pin.value for pin in pins)
                if valid and ready:
                    seen.append((int(addr), int(length) + 1))
            listed = int(dut.il_addr_o.value) if dut.il_ren_o.value else None
            await RisingEdge(dut.clk_i)
            dut.il_rdata_i.value = int(self.state.mem["IL"][listed]) & 0xFFFFFFFF if listed is not None else 0xDEADBEEF
            dut.image_count_i.value = self.state.image_count
            dut.grant_allowed_i.value = int(self.rng.random() < self.grant_share)
            self.drive()

    def sample(self):
        """Look at the memory port at the end of a cycle."""

    def drive(self):
        """Answer at the memory port after the clock edge."""

    async def issue(self, instruction):
        """Hand over one instruction."""
        dut = self.dut
        dut.instr_i.value, dut.start_valid_i.value = bits(instruction), 1
        taken = False
        while not taken:
            await ReadOnly()
            taken = bool(dut.start_ready_o.value)
            await RisingEdge(dut.clk_i)
        dut.start_valid_i.value = 0

    async def until_idle(self):
        """Wait for idle_o."""
        idle = False
        while not idle:
            await RisingEdge(self.dut.clk_i)
            await ReadOnly()
            idle = bool(self.dut.idle_o.value)
        await RisingEdge(self.dut.clk_i)

    def check_bursts(self, wanted: list[tuple[int, int]]):
        """Compare the bursts of each port with those of the specification."""
        for port, seen in enumerate(self.bursts):
            assert seen == [(address, beats) for address, beats in wanted if address // 128 % 2 == port]
