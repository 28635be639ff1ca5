"""Puts a segment's instructions in the order in which a core should start them.

The compiler writes instructions node by node and tile by tile, in an order that is right one by one. Run like
that, the array would wait at every node for the passes before it. This pass runs the instructions on a model of the
engines with rough durations: a free engine takes, of its instructions whose predecessors are done, the one with the
longest way to the end of the segment behind it; array instructions, of which one can run at a time, count as one way
in the compiler's order. Loads and stores share the memory: each is done when all that began before it is. Sorted by start, the
instructions are again in an order that is right one by one, since none starts before what it conflicts with is done.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from heapq import heappop, heappush
from itertools import chain
from math import inf

import numpy as np

from hw import isa
from hw.config import Config
from hw.dependencies import predecessors
from hw.footprint import footprint
from hw.tokens import TokenPlan

MEMORY_BYTES_PER_CYCLE = 16
TRANSFER_CYCLES = 6
TRANSFER_LATENCY = 60
ARRAY_CYCLES = 24
VECTOR_CYCLES = 16
SCALAR_CYCLES = 2
LOAD, ARRAY, STORE = (isa.ENGINES.index(name) for name in ("load", "array", "store"))


def schedule(instructions: list[isa.Instruction], config: Config) -> list[isa.Instruction]:
    """Return the instructions in the order of issue, with wait and signal masks."""
    before = predecessors(footprint(i, config) for i in instructions)
    engines = [isa.ENGINES.index(i.op) for i in instructions]
    order = list_schedule(engines, [duration(i, config) for i in instructions], before)
    plan = TokenPlan()
    for at in order:
        plan.add(at, engines[at], before[at])
    for at, (wait, signal) in zip(order, plan.masks(), strict=True):
        instructions[at].fields.update(wait=wait, signal=signal)
    return [instructions[at] for at in order]


def list_schedule(engines: list[int], durations: list[tuple[int, int]], before: Sequence[Collection[int]]) -> list[int]:
    """Return the instructions' numbers by start, on engines that take the most urgent of what is ready.

    Args:
        engines: of each instruction.
        durations: in cycles: of the engine, at least 1, and from then until done.
        before: of each instruction, the earlier ones that must be done.
    """
    after = _successors(before)
    urgency = [busy + latency for busy, latency in durations]
    following = 0
    for number in reversed(range(len(before))):
        urgency[number] += max((urgency[other] for other in after(number)), default=0)
        if engines[number] == ARRAY:
            following = urgency[number] = max(urgency[number], durations[number][0] + following)
    missing = [len(found) for found in before]
    ready_at = [0] * len(before)
    count = max(engines, default=0) + 1
    coming: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    ready: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    free, starts = [0] * count, [inf] * count

    def look(engine: int) -> None:
        """Find out when an engine can start what comes next."""
        while coming[engine] and coming[engine][0][0] <= free[engine]:
            number = heappop(coming[engine])[1]
            heappush(ready[engine], (-urgency[number], number))
        starts[engine] = free[engine] if ready[engine] else coming[engine][0][0] if coming[engine] else inf

    for number, found in enumerate(before):
        if not found:
            heappush(coming[engines[number]], (0, number))
    for engine in range(count):
        look(engine)
    order, bus = [], 0
    while len(order) < len(before):
        start = min(starts)
        engine = starts.index(start)
        number = heappop(ready[engine] or coming[engine])[1]
        order.append(number)
        busy, latency = durations[number]
        free[engine] = start + busy
        if engine in (LOAD, STORE):
            free[engine] = bus = max(start, bus) + busy
        done = free[engine] + latency
        touched = {engine}
        for other in after(number):
            ready_at[other] = max(ready_at[other], done)
            missing[other] -= 1
            if not missing[other]:
                heappush(coming[engines[other]], (ready_at[other], other))
                touched.add(engines[other])
        for engine in touched:
            look(engine)
    return order


def _successors(before: Sequence[Collection[int]]) -> Callable[[int], list[int]]:
    """Return what gives the instructions that come behind one of those in `before`."""
    sources = np.fromiter(chain.from_iterable(before), np.int64)
    takers = np.repeat(np.arange(len(before)), [len(found) for found in before])[np.argsort(sources, kind="stable")].tolist()
    ends = np.cumsum(np.bincount(sources, minlength=len(before))).tolist()
    return lambda number: takers[ends[number - 1] if number else 0 : ends[number]]


def duration(instruction: isa.Instruction, config: Config) -> tuple[int, int]:
    """Return the rough cycles that an instruction keeps its engine busy, at least 1, and from then until it is done."""
    op, f = instruction.op, instruction.fields.get
    if op in ("load", "store"):
        size = f("n_img") * f("n_grp") * f("run") * config.word_bytes(isa.MEMORIES[f("mem", 0)])
        return TRANSFER_CYCLES + size // min(MEMORY_BYTES_PER_CYCLE, config.axi_bits // 4), TRANSFER_LATENCY
    if op == "array":
        passes = f("n_kb") * f("n_red") * f("n_ky") * f("n_kx")
        slots = f("n_img") * f("n_y") * f("n_x")
        return ARRAY_CYCLES + passes * (slots + config.g if f("os") else max(slots, config.g)), 0
    if op == "vector":
        wide = f("u_src") == 2 or f("v_src") == 2 or f("dst_wide")
        tables = 2 * config.g * (f("per_channel", 0) + f("sums", 0)) + 8 * f("max", 0)
        return VECTOR_CYCLES + tables + f("n_img") * f("img_px") * (4 if wide else 1), 0
    return 1 + f("ch_count") * f("length") * SCALAR_CYCLES, 0
