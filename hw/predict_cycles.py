"""How many cycles a segment will take: a model of the core, cycle by cycle, without data.

Fetch, queues, tokens, both transfer engines, the coefficient unit and the simulated board's memory are stepped as hw/rtl and
hw/sim have them; stretches in which nothing moves are skipped. What an array or vector instruction takes follows from its
fields alone. Not known are the times of division and square root, which count with typical ones, and whose turn it is at the
memory when the segment starts. Else the prediction is the RTL's number of cycles, for every program without errors and a memory
without random stalls; a training iteration of digits with 32 images (271,000 cycles) takes a second or two.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np

from hw import isa
from hw.config import Config
from hw.cycle_array import array_cycles
from hw.cycle_coefficient import CoefficientUnit, scalar_program
from hw.cycle_issue import Fetch, Queues
from hw.cycle_memory import Ddr, Memory
from hw.cycle_ports import LoadEngine, StoreEngine
from hw.cycle_vector import READ, WRITE, C, VectorUnit
from hw.predict import follow_small_loads
from hw.program import Program

LOAD, ARRAY, VECTOR, COEFFICIENT, STORE = range(len(isa.ENGINES))


def predict_cycles(
    program: Program, segment: str, images: int, config: Config, memory: Memory | None = None,
    first_image: int | Sequence[int] = 0,
) -> int:
    """Return the cycles of a segment.

    Args:
        images: images in the mini-batch.
        memory: of the board; by default as the simulated board has it.
        first_image: number of the mini-batch's first image in the input region, the others following it; or the image list.

    Raises:
        ValueError: the segment never ends, as one of its instructions waits for a token that none gives.
    """
    instructions, ddr = program.instructions(segment), program.image()
    small = {"P": np.zeros(config.program_words, np.uint64), "BL": np.zeros(config.block_words, np.uint64)}
    work = []
    for f in instructions:
        n = min(max(images - f["slot"], 0), f["n_img"]) if f["clip"] else f["n_img"]
        if f.op == "load":
            follow_small_loads(f, ddr, small)
        if f.op == "array":
            work.append(array_cycles(f, n, config.g, small["BL"]))
        else:
            work.append(scalar_program(f, small["P"]) if f.op == "coefficient" else n)
    return _Core(instructions, work, config, memory or Memory(), first_image).run()


class _Core:
    """All of the core and its memory.

    Args:
        instructions: of the segment.
        work: of each instruction: cycles of array, scalar operations of coefficient, images of the others.
        config, memory: settings.
        first_image: in the image list.
    """

    def __init__(
        self, instructions: Sequence[isa.Instruction], work: Sequence, config: Config, memory: Memory,
        first_image: int | Sequence[int],
    ):
        self._instructions, self._work = instructions, work
        self._ddr = Ddr(memory, config.axi_bits // 8)
        self._fetch = Fetch(len(instructions), config, self._ddr)
        self._queues = Queues(instructions)
        self._vector = VectorUnit(config.g)
        self._coefficient = CoefficientUnit(self._vector)
        self._load = LoadEngine(config, self._ddr, first_image, lambda memory, t: self._taken(WRITE, memory, t))
        self._store = StoreEngine(config, self._ddr, first_image, lambda memory, t: self._taken(READ, memory, t))
        self._array_ready, self._array_done = 0.0, inf

    def run(self) -> int:
        """Return the cycles until the segment is done."""
        t = 0
        while not (self._fetch.done and self._queues.empty):
            t = t + 1 if self._cycle(t) else self._next_event(t)
            if t == inf:
                raise ValueError("the segment never ends: one instruction waits for a missing token")
        return t + 1

    def _taken(self, way: int, memory: int, t: int) -> bool:
        """Return whether the vector or coefficient unit reads (writes) a memory in cycle t."""
        return self._vector.uses(way, memory, t) or memory == C and self._coefficient.uses(way, t)

    def _cycle(self, t: int) -> bool:
        """Do cycle t and return whether anything moved."""
        room, handed = self._queues.room(self._fetch.handed), self._fetch.handed
        if self._coefficient.next_at == t:
            self._coefficient.step(t)
        done = self._done(t)
        moved = self._start(t) if self._queues.startable else False
        load_moved, address_taken = self._load.step(t, self._fetch.asks)
        moved |= self._store.step(t) | load_moved | self._fetch.step(t, address_taken, room)
        if self._fetch.handed > handed:
            self._queues.push(handed)
        for engine in done:
            self._queues.done(engine)
            if engine == LOAD:
                self._load.transfers.retire(t)
            elif engine == STORE:
                self._store.transfers.retire(t)
        return self._ddr.clock(t) or moved or bool(done)

    def _done(self, t: int) -> list[int]:
        """Return the engines that end an instruction in cycle t."""
        done = []
        if self._array_done == t:
            done.append(ARRAY)
        if self._vector.done_at == t:
            done.append(VECTOR)
        if self._coefficient.done_at == t:
            done.append(COEFFICIENT)
        if self._load.transfers.done(t):
            done.append(LOAD)
        if self._store.transfers.done(t):
            done.append(STORE)
        return done

    def _free(self, engine: int, t: int) -> bool:
        """Return whether an engine takes an instruction in cycle t."""
        if engine == LOAD:
            return self._load.transfers.ready(t)
        if engine == STORE:
            return self._store.transfers.ready(t)
        ready_at = {ARRAY: self._array_ready, VECTOR: self._vector.ready_at, COEFFICIENT: self._coefficient.ready_at}
        return ready_at[engine] <= t

    def _start(self, t: int) -> bool:
        """Start what can start in cycle t; return whether anything did."""
        free = [engine for engine in self._queues.startable if self._free(engine, t)]
        for engine in free:
            number = self._queues.start(engine)
            self._begin(engine, t, self._instructions[number], self._work[number])
        return bool(free)

    def _begin(self, engine: int, t: int, f: isa.Instruction, work) -> None:
        if engine == LOAD:
            self._load.transfers.start(t, f, work)
        elif engine == ARRAY:
            self._array_done, self._array_ready = t + work, t + work + 1
        elif engine == VECTOR:
            self._vector.start(t, f, work)
        elif engine == COEFFICIENT:
            self._coefficient.start(t, f, work)
        else:
            self._store.transfers.start(t, f, work)

    def _next_event(self, t: int) -> float:
        """Return the first cycle behind t in which something may happen while nothing moves."""
        times = (
            self._array_done, self._array_ready, self._vector.done_at, self._vector.ready_at, self._coefficient.next_at,
            self._coefficient.ready_at, self._load.transfers.next_event(t), self._store.transfers.next_event(t),
            self._ddr.next_event(t),
        )  # fmt: skip
        return min((at for at in times if at > t), default=inf)
