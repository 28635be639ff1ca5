"""All on-chip memories of a simulated core as a CoreState, and back: what comparing executors needs.

Only between segments: a core that runs holds part of its state in registers.
"""

from __future__ import annotations

import numpy as np

from hw import isa
from hw.simulated_core import SimulatedCore, SimulationError
from hw.state import CoreState

ACCUMULATOR_BANKS = 2
SECOND_COPIES = {"IL": "u_mem_il_store"}
"""Memories that the RTL keeps twice, so that two engines read them at once."""

IMAGE_COUNT = "TOP.joulegrad_core.u_memories.image_count_q"
"""Register that follows word 0 of the image list."""

KEPT_BITS = {"P": 32, "IL": 32}
"""Memories whose RAM holds only the low bits of a word: nothing reads the others."""


def read_state(core: SimulatedCore) -> CoreState:
    """Return a copy of the core's memories and DDR; counters are zero."""
    state = CoreState(core.config, core.ddr.copy())
    for memory in isa.MEMORIES:
        raw = _array(core, f"u_mem_{memory.name.lower()}")
        state.mem[memory.name] = raw[:, : core.config.g].copy() if memory.wide else _words(raw)
    rows, g = core.config.acc_rows, core.config.g
    for bank, raw in enumerate(_banks(core)):
        state.acc[bank * rows : (bank + 1) * rows] = np.ascontiguousarray(raw[:, : 4 * g]).view("<i4")
    return state


def write_state(core: SimulatedCore, state: CoreState) -> None:
    """Set the core's memories and DDR. DDR past the end of the state's keeps what it holds."""
    core.ddr[: state.ddr.size] = state.ddr
    for memory in isa.MEMORIES:
        values = state.mem[memory.name]
        values = values if memory.wide else np.ascontiguousarray(values, "<u8").view(np.uint8).reshape(-1, 8)
        for instance in filter(None, (f"u_mem_{memory.name.lower()}", SECOND_COPIES.get(memory.name))):
            raw = _array(core, instance)
            width = min(raw.shape[1], values.shape[1])
            raw[:, :width] = values[:, :width]
    core.arrays[IMAGE_COUNT].reshape(-1)[:2] = np.array([state.image_count], "<u2").view(np.uint8)
    rows, g = core.config.acc_rows, core.config.g
    for bank, raw in enumerate(_banks(core)):
        raw[:, : 4 * g] = np.ascontiguousarray(state.acc[bank * rows : (bank + 1) * rows], "<i4").view(np.uint8)


def differences(one: CoreState, other: CoreState) -> dict[str, np.ndarray]:
    """Return, for every memory that differs, the numbers of the words that do; DDR is compared by the byte.

    Memories are called as in isa.MEMORIES, the accumulators "acc", DDR "ddr".
    """
    found = {}
    for memory in isa.MEMORIES:
        a, b = one.mem[memory.name], other.mem[memory.name]
        if memory.name in KEPT_BITS:
            mask = np.uint64((1 << KEPT_BITS[memory.name]) - 1)
            a, b = a & mask, b & mask
        unequal = (a != b).any(axis=1) if memory.wide else a != b
        if unequal.any():
            found[memory.name] = np.flatnonzero(unequal)
    unequal = (one.acc != other.acc).any(axis=1)
    if unequal.any():
        found["acc"] = np.flatnonzero(unequal)
    size = min(one.ddr.size, other.ddr.size)
    if not np.array_equal(one.ddr[:size], other.ddr[:size]):
        found["ddr"] = np.flatnonzero(one.ddr[:size] != other.ddr[:size])
    return found


def _array(core: SimulatedCore, instance: str) -> np.ndarray:
    found = [array for name, array in core.arrays.items() if f".{instance}." in name]
    if len(found) != 1:
        raise SimulationError(f"the simulated core shows {len(found)} memories {instance}, not one")
    return found[0]


def _banks(core: SimulatedCore) -> list[np.ndarray]:
    rows = core.config.acc_rows
    found = [array for name, array in sorted(core.arrays.items()) if ".u_accumulators." in name and array.shape[0] == rows]
    if len(found) != ACCUMULATOR_BANKS:
        raise SimulationError(f"the simulated core shows {len(found)} accumulator banks, not {ACCUMULATOR_BANKS}")
    return found


def _words(raw: np.ndarray) -> np.ndarray:
    padded = np.zeros((raw.shape[0], 8), np.uint8)
    padded[:, : raw.shape[1]] = raw
    return padded.view("<u8").reshape(-1).astype(np.uint64)
