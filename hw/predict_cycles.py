"""How many cycles a segment will take: a model of the core, cycle by cycle, without data.

Fetch, queues, tokens, both transfer engines, the coefficient unit and the simulated board's memory are stepped as hw/rtl and
hw/sim have them; stretches in which nothing moves are skipped. What an array or vector instruction takes follows from its
fields alone. Not known are the times of division and square root, which count with typical ones, and whose turn it is at the
memory when the segment starts. Else the prediction is the RTL's number of cycles, for every program without errors and a memory
without random stalls. What a stretch of instructions does to a state of the core is worked out once: where layers are alike, or
numbers of images, most of a segment is known from others.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from functools import lru_cache
from math import inf

from hw import isa
from hw.config import Config
from hw.cycle_coefficient import CoefficientUnit
from hw.cycle_issue import Fetch, Queues, Work
from hw.cycle_memory import PAST, Ddr, Memory
from hw.cycle_ports import LoadEngine, StoreEngine
from hw.cycle_vector import READ, WRITE, C, VectorUnit
from hw.cycle_work import works
from hw.program import Program
from hw.shapes import shapes

LOAD, ARRAY, VECTOR, COEFFICIENT, STORE = range(len(isa.ENGINES))

STRETCH = 8
"""Instructions that are handed out in a stretch whose outcome is kept."""

LOOK_AHEAD = 16
"""Instructions behind a stretch that fetch may know to be there: more than it asks for ahead."""

STRETCHES = 50_000
"""Outcomes kept at most, of about 3 KB each."""


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
    return _model(config, memory or Memory()).cycles(works(shapes(program, segment, config), images, first_image))


@lru_cache(maxsize=4)
def _model(config: Config, memory: Memory) -> _Model:
    return _Model(config, memory)


class _Model:
    """Runs segments stretch by stretch: what happened from a state with the same instructions to come is looked up.

    Layers are alike, tiles of a layer more so, and a core that one engine keeps waiting comes to the same state again and again.

    Args:
        config, memory: settings.
    """

    def __init__(self, config: Config, memory: Memory):
        self._config, self._memory = config, memory
        self._known: dict[tuple, tuple[bytes, int]] = {}

    def cycles(self, instructions: Sequence[Work]) -> int:
        """Return the cycles of a segment's instructions."""
        state, total = pickle.dumps(_Core(self._config, self._memory), pickle.HIGHEST_PROTOCOL), 0
        for at in range(0, len(instructions), STRETCH):
            left = min(len(instructions) - at, STRETCH + LOOK_AHEAD)
            key = state, left, *instructions[at : at + STRETCH]
            if key not in self._known:
                if len(self._known) >= STRETCHES:
                    self._known.clear()
                core = pickle.loads(state)
                spent = core.run(instructions[at : at + STRETCH], left)
                self._known[key] = pickle.dumps(core, pickle.HIGHEST_PROTOCOL), spent
            state, spent = self._known[key]
            total += spent
        return total + 1


class _Core:
    """All of the core and its memory.

    Args:
        config, memory: settings.
    """

    def __init__(self, config: Config, memory: Memory):
        beat_bytes = config.axi_bits // 8
        self._ddr = Ddr(memory, beat_bytes)
        self._fetch = Fetch(config, self._ddr)
        self._queues = Queues()
        self._vector = VectorUnit(config.g)
        self._coefficient = CoefficientUnit(self._vector)
        self._load, self._store = LoadEngine(beat_bytes, self._ddr), StoreEngine(beat_bytes, self._ddr)
        self._array_ready, self._array_done = 0.0, inf

    def run(self, instructions: Sequence[Work], left: int) -> int:
        """Run until instructions have been handed out, or, where none are left then, until all are done; return the cycles.

        Args:
            instructions: to be handed out.
            left: their number, and that of those behind them as far as fetch may ask for them meanwhile.
        """
        t, self._fetch.left = 0, left
        while self._fetch.left > left - len(instructions) or not self._fetch.left and not self._queues.empty:
            coming = instructions[left - self._fetch.left] if self._fetch.left else None
            t = t + 1 if self._cycle(t, coming) else self._next_event(t)
            if t == inf:
                raise ValueError("the segment never ends: one instruction waits for a missing token")
        self._rebase(t)
        return t

    def _rebase(self, t: int) -> None:
        """Count cycles from t on, and forget what is long past, so that equal states are equal bytes."""
        for part in (self._ddr, self._vector, self._coefficient, self._load.transfers, self._store):
            part.rebase(t)
        self._array_ready, self._array_done = max(self._array_ready - t, PAST), max(self._array_done - t, PAST)
        self._fetch.left = 0

    def _taken(self, way: int, memory: int, t: int) -> bool:
        """Return whether the vector or coefficient unit reads (writes) a memory in cycle t."""
        return self._vector.uses(way, memory, t) or memory == C and self._coefficient.uses(way, t)

    def _read_taken(self, memory: int, t: int) -> bool:
        return self._taken(READ, memory, t)

    def _write_taken(self, memory: int, t: int) -> bool:
        return self._taken(WRITE, memory, t)

    def _cycle(self, t: int, coming: Work | None) -> bool:
        """Do cycle t and return whether anything moved.

        Args:
            coming: the instruction to be handed out next.
        """
        room, left = self._fetch.hands and self._queues.room(coming), self._fetch.left
        if self._coefficient.next_at == t:
            self._coefficient.step(t)
        done = self._done(t)
        moved = self._start(t) if self._queues.startable else False
        load_moved, address_taken = self._load.step(t, self._fetch.asks, self._write_taken)
        moved |= self._store.step(t, self._read_taken) | load_moved | self._fetch.step(t, address_taken, room)
        if self._fetch.left < left:
            self._queues.push(coming)
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
        if engine == ARRAY:
            return self._array_ready <= t
        if engine == VECTOR:
            return self._vector.ready_at <= t
        if engine == COEFFICIENT:
            return self._coefficient.ready_at <= t
        return self._store.transfers.ready(t)

    def _start(self, t: int) -> bool:
        """Start what can start in cycle t; return whether anything did."""
        free = [engine for engine in self._queues.startable if self._free(engine, t)]
        for engine in free:
            self._begin(t, self._queues.start(engine))
        return bool(free)

    def _begin(self, t: int, work: Work) -> None:
        if work.engine == LOAD:
            self._load.transfers.start(t, work)
        elif work.engine == ARRAY:
            self._array_done, self._array_ready = t + work.part, t + work.part + 1
        elif work.engine == VECTOR:
            self._vector.start(t, work.part)
        elif work.engine == COEFFICIENT:
            self._coefficient.start(t, work)
        else:
            self._store.transfers.start(t, work)

    def _next_event(self, t: int) -> float:
        """Return the first cycle behind t in which something may happen while nothing moves."""
        times = (
            self._array_done, self._array_ready, self._vector.done_at, self._vector.ready_at, self._coefficient.next_at,
            self._coefficient.ready_at, self._load.transfers.next_event(t), self._store.transfers.next_event(t),
            self._ddr.next_event(t),
        )  # fmt: skip
        return min((at for at in times if at > t), default=inf)
