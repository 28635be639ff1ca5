"""Golden model of the load and store engines: strided transfers between DDR and the on-chip memories."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hw import isa
from hw.state import CoreError, CoreState, check_instruction

IMAGE_MASK = 0xFFFF
"""An image number is the low 16 bits of its word in the image list."""


def execute_load(state: CoreState, instruction: isa.Instruction) -> None:
    """Copy from DDR into a memory, as hw/architecture.md has it.

    Raises:
        CoreError: malformed; bad_address (an address that is no multiple of the word, a list entry or words past
            the end of their memory); read_error (an address that no memory answers to).
    """
    check_instruction("load", instruction)
    memory = isa.MEMORIES[instruction["mem"]]
    target = state.mem[memory.name]
    row_bytes = state.config.word_bytes(memory)
    for first, last, addr in runs(state, instruction, memory):
        size = (last - first) * row_bytes
        data = _slice(state, addr, size, "read_error")
        target[first:last] = data.reshape(-1, row_bytes) if memory.wide else data.view("<u8")
        state.counters["ddr_read_bytes"] += size
        if memory.name == "C":
            state.counters["table_writes"] += last - first
        elif memory.wide:
            state.counters["spad_writes"] += last - first


def execute_store(state: CoreState, instruction: isa.Instruction) -> None:
    """Copy from a memory into DDR, the reverse of `execute_load`.

    Raises:
        CoreError: malformed, bad_address, or write_error (an address that no memory answers to).
    """
    check_instruction("store", instruction)
    memory = isa.MEMORIES[instruction["mem"]]
    source = state.mem[memory.name]
    row_bytes = state.config.word_bytes(memory)
    for first, last, addr in runs(state, instruction, memory):
        size = (last - first) * row_bytes
        words = source[first:last]
        _slice(state, addr, size, "write_error")[:] = (words if memory.wide else words.astype("<u8").view(np.uint8)).reshape(-1)
        state.counters["ddr_write_bytes"] += size
        state.counters["table_reads" if memory.name == "C" else "spad_reads"] += last - first


def runs(state: CoreState, instruction: isa.Instruction, memory: isa.Memory) -> Iterator[tuple[int, int, int]]:
    """Yield (first word, last word + 1, DDR offset in bytes) of every run, in the order of the engines.

    Raises:
        CoreError: bad_address.
    """
    word_bytes = state.config.word_bytes(memory)
    depth = state.config.depth(memory)
    first = instruction["base"]
    for i in range(state.images(instruction)):
        image = _listed(state, instruction["slot"] + 1 + i) if instruction["use_list"] else i
        for j in range(instruction["n_grp"]):
            addr = (instruction["addr"] + image * instruction["img_stride"] + j * instruction["grp_stride"]) & 0xFFFFFFFF
            last = first + instruction["run"]
            if addr % word_bytes:
                message = f"{instruction.op} at DDR offset {addr:#x}, which is no multiple of the {word_bytes} bytes of a word"
                raise CoreError("bad_address", message)
            if last > depth:
                message = f"{instruction.op} of words {first} to {last - 1} of {memory.name}, which has {depth}"
                raise CoreError("bad_address", message)
            yield first, last, addr
            first = last


def _listed(state: CoreState, word: int) -> int:
    if word >= state.config.list_words:
        raise CoreError("bad_address", f"word {word} of the image list, which has {state.config.list_words}")
    return int(state.mem["IL"][word]) & IMAGE_MASK


def _slice(state: CoreState, addr: int, size: int, code: str) -> np.ndarray:
    if addr + size > state.ddr.size:
        raise CoreError(code, f"DDR offsets {addr:#x} to {addr + size - 1:#x}, but the memory ends at {state.ddr.size:#x}")
    return state.ddr[addr : addr + size]
