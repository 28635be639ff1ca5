"""Puts a segment's instructions in the order in which they would start.

The compiler writes instructions tile by tile: loads, array, vector, stores. A core that fetched them in that order
could reach the next tile's loads only once its queues have swallowed this tile. This pass runs the list on a model
of the engines (in order within an engine, tokens between them, rough durations) and sorts by start. An instruction
starts after those whose tokens it takes are done, so the result is a legal order one by one, and within an
engine the order is unchanged.
"""

from __future__ import annotations

from hw import isa
from hw.config import Config
from hw.footprint import footprint
from hw.tokens import TokenPlan

MEMORY_BYTES_PER_CYCLE = 16
TRANSFER_LATENCY = 60
ARRAY_LATENCY = 40
SCALAR_CYCLES = 4


def schedule(instructions: list[isa.Instruction], config: Config) -> list[isa.Instruction]:
    """Return the instructions with wait and signal masks, ordered by estimated start."""
    plan = TokenPlan()
    free = [0] * len(isa.ENGINES)
    done: list[list[int]] = [[] for _ in isa.ENGINES]
    starts = []
    for position, instruction in enumerate(instructions):
        engine = isa.ENGINES.index(instruction.op)
        taken = plan.add(engine, *footprint(instruction, config))
        start = max([free[engine], *(done[e][at] for e, at in taken)])
        free[engine] = start + duration(instruction, config)
        done[engine].append(free[engine])
        starts.append((start, position))
    for instruction, (wait, signal) in zip(instructions, plan.masks(), strict=True):
        instruction.fields.update(wait=wait, signal=signal)
    return [instructions[position] for _, position in sorted(starts)]


def duration(f: isa.Instruction, config: Config) -> int:
    """Return the rough cycles of an instruction on an idle core, at least 1."""
    if f.op in ("load", "store"):
        size = f["n_img"] * f["n_grp"] * f["run"] * config.word_bytes(isa.MEMORIES[f["mem"]])
        return TRANSFER_LATENCY + size // min(MEMORY_BYTES_PER_CYCLE, config.axi_bits // 4)
    if f.op == "array":
        passes = f["n_kb"] * f["n_red"] * f["n_ky"] * f["n_kx"]
        return ARRAY_LATENCY + passes * max(f["n_img"] * f["n_y"] * f["n_x"], config.g)
    if f.op == "vector":
        wide = f["u_src"] == 2 or f["v_src"] == 2 or f["dst_wide"]
        tables = 4 * config.g if f["sums"] else 0
        return 20 + 2 * config.g + tables + f["n_img"] * f["img_px"] * (4 if wide else 1)
    return 1 + f["ch_count"] * f["length"] * SCALAR_CYCLES
