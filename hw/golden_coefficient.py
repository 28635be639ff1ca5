"""Golden model of the coefficient unit: scalar programs over the channels of a table, in exact 64-bit integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from algo import scalar_ops
from hw import isa
from hw.state import CoreError, CoreState, check_instruction


@dataclass
class _TableView:
    """The C memory as a run of channels sees it; implements scalar_ops.ScalarMemory."""

    table: np.ndarray
    channel_base: np.ndarray
    scalar_base: int

    def load_channel(self, imm: int) -> np.ndarray:
        return self.table[self._inside(self.channel_base + imm)]

    def store_channel(self, imm: int, value: np.ndarray) -> None:
        self.table[self._inside(self.channel_base + imm)] = value

    def load_scalar(self, imm: int) -> int:
        return int(self.table[self._inside(np.array([self.scalar_base + imm]))][0])

    def _inside(self, words: np.ndarray) -> np.ndarray:
        if words.min() < 0 or words.max() >= self.table.size:
            message = f"coefficient unit at words {words.min()} to {words.max()} of C, which has {self.table.size}"
            raise CoreError("bad_address", message)
        return words


def execute_coefficient(state: CoreState, instruction: isa.Instruction) -> None:
    """Run the scalar program for every channel.

    Raises:
        CoreError: malformed (also a scalar operation that does not exist), bad_address (a word outside P or C).
    """
    check_instruction("coefficient", instruction)
    _check_program(state, instruction)
    count = instruction["ch_count"]
    words = state.mem["P"][instruction["pc"] : instruction["pc"] + instruction["length"]]
    program = [int(word) & 0xFFFFFFFF for word in words]
    table = state.mem["C"].view(np.int64)
    bases = instruction["ch_base"] + instruction["ch_stride"] * np.arange(count)
    try:
        operations = [scalar_ops.decode(word) for word in program]
        chunks = [bases] if _independent(operations, bases, instruction["sc_base"]) else bases[:, None]
        for chunk in chunks:
            scalar_ops.run(program, len(chunk), _TableView(table, chunk, instruction["sc_base"]))
    except scalar_ops.ScalarError as error:
        raise CoreError("malformed", str(error)) from None
    state.counters["scalar_ops"] += count * len(program)
    state.counters["table_reads"] += count * sum(op in ("ldc", "lds") for op, *_ in operations)
    state.counters["table_writes"] += count * sum(op == "stc" for op, *_ in operations)


def _check_program(state: CoreState, instruction: isa.Instruction) -> None:
    last = instruction["pc"] + instruction["length"]
    if last > state.config.program_words:
        message = f"scalar program of words {instruction['pc']} to {last - 1} of P, which has {state.config.program_words}"
        raise CoreError("bad_address", message)


def _independent(operations: list[tuple[str, int, int, int, int]], bases: np.ndarray, scalar_base: int) -> bool:
    """Return whether no channel stores a word that another channel accesses, so that channels may run together."""
    stores = sorted({imm for op, *_, imm in operations if op == "stc"})
    accesses = sorted({imm for op, *_, imm in operations if op in ("ldc", "stc")})
    scalars = {scalar_base + imm for op, *_, imm in operations if op == "lds"}
    if not stores or len(bases) == 1:
        return True
    channels = np.arange(len(bases))
    writer = dict(zip((bases[:, None] + stores).ravel().tolist(), np.repeat(channels, len(stores)).tolist(), strict=True))
    if writer.keys() & scalars or len(writer) < len(bases) * len(stores):
        return False
    reached = zip((bases[:, None] + accesses).ravel().tolist(), np.repeat(channels, len(accesses)).tolist(), strict=True)
    return all(writer.get(word, channel) == channel for word, channel in reached)
