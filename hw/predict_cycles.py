"""How many cycles a segment will take: an event model of fetch, engines, tokens and shared memory bandwidth.

No data is looked at but scalar programs. Engines start their instructions in order, when their tokens are there.
An array, vector or coefficient instruction keeps its engine for a number of cycles that follows from its fields.
Loads and fetches are bursts on two read ports (hw.read_ports); a store is a stream that shares the memory's bytes per
cycle with them. The memory is the simulated board's without random stalls. Division and square root, whose time
depends on their operands, count with a typical time, and where wide vector passes and transfers meet at one scratchpad,
the transfers get what is left on average. On z7020 within 1 % of the RTL for products and for digits from 8 images on;
2 % off where the weight updates of few images set the pace, and up to 7 % in programs of a few hundred cycles on tiny.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import inf

import numpy as np

from algo import scalar_ops
from hw import isa
from hw.config import Config
from hw.predict import follow_small_loads
from hw.program import Program
from hw.read_ports import OUTSTANDING, PORTS, STRIPE_BYTES, ReadPorts, bursts_of

QUEUE_DEPTH = 8
UNDER_WAY = 4
"""Loads and stores between start and done."""

FETCHED_AHEAD = 5
"""Instructions that have been asked for when one is handed to its engine."""

LONG_RUN = 8 * STRIPE_BYTES
"""Runs from this length on keep both ports busy, whatever their addresses."""

ARRAY_CYCLES = 13
"""Cycles of an array instruction besides its passes; the first weight block takes G more."""

VECTOR_CYCLES = 16
"""Cycles of a vector instruction besides its elements and tables."""

STORE_TAIL = 11
"""Cycles of a store besides its bytes and the memory's latency."""

LOAD_TAIL = 3
"""Cycles from a load's last byte until it is done."""

AFTER_LIST = 4
"""Cycles from the end of a load of the image list, which no other load overlaps, until the next one is under way."""

COEFFICIENT_CYCLES = 2
"""Cycles of a coefficient instruction besides its channels."""

SCALAR_CYCLES = {"mul": 2, "shi": 2, "shr": 2, "div": 18, "sqrt": 29}
"""Cycles of a scalar operation where they are not 1; of division and root as in the batch norms of digits and ResNet-8."""


@dataclass(frozen=True)
class Memory:
    """DDR as the simulated board models it: shared bytes per cycle, and cycles from a request to its first data."""

    bytes_per_cycle: float = 16.0
    latency: int = 40


@dataclass
class _Engine:
    """An engine's instructions: waiting, under way (`free_at`, `busy` cycles in all, or a stream), and not yet seen as done."""

    queue: deque = field(default_factory=deque)
    free_at: float = 0.0
    busy: float = 1.0
    finishing: deque = field(default_factory=deque)
    stream: isa.Instruction | None = None
    remaining: float = 0.0
    peak: float = 0.0


def predict_cycles(program: Program, segment: str, images: int, config: Config, memory: Memory | None = None) -> int:
    """Return the cycles of a segment for a mini-batch of so many images."""
    instructions, memory = program.instructions(segment), memory or Memory()
    ddr, programs = program.image(), {"P": np.zeros(config.program_words, np.uint64)}
    costs, images_of = [], []
    for f in instructions:
        if f.op == "load":
            follow_small_loads(f, ddr, programs)
        n = min(max(images - f["slot"], 0), f["n_img"]) if f["clip"] else f["n_img"]
        images_of.append(n)
        costs.append(_bytes(f, n, config, memory) if f.op == "store" else _cycles(f, n, config, programs["P"]))
    return _Simulation(instructions, images_of, costs, config, memory).run()


def _bytes(f: isa.Instruction, n: int, config: Config, memory: Memory) -> float:
    """Return the bytes of a store, or those that it could move in its time where short runs do not fill both ports."""
    run = f["run"] * config.word_bytes(isa.MEMORIES[f["mem"]])
    if run >= LONG_RUN:
        return n * f["n_grp"] * run
    round_trip = memory.latency + STORE_TAIL
    return _peak(f, config) * _store_cycles(_runs(f, n, config), config, _peak(f, config), round_trip)


def _runs(f: isa.Instruction, n: int, config: Config) -> Iterator[tuple[int, int]]:
    """Yield (first byte, bytes) of every run of a transfer."""
    size = f["run"] * config.word_bytes(isa.MEMORIES[f["mem"]])
    for i in range(n):
        for j in range(f["n_grp"]):
            yield f["addr"] + i * f["img_stride"] + j * f["grp_stride"], size


def _store_cycles(runs: Iterable[tuple[int, int]], config: Config, peak: float, round_trip: int) -> float:
    """Return the cycles from a store's first byte to its last.

    A burst follows its predecessor by a cycle at least, begins when the port is free and, from the ninth on, a round
    trip after the one eight before has ended.

    Args:
        runs: (first byte, bytes) of every run.
        peak: bytes per cycle at which words leave the scratchpad.
        round_trip: cycles from a burst's request to its response.
    """
    beat = config.axi_bits // 8
    free, ends = [0.0] * PORTS, [deque([-inf] * OUTSTANDING, OUTSTANDING) for _ in range(PORTS)]
    asked, words = -1.0, 0.0
    for start, run in runs:
        for port, size in bursts_of(start, run):
            asked = max(asked + 1, ends[port][0] + round_trip)
            words = max(words, asked) + size / peak
            free[port] = max(max(asked, free[port]) + -(-size // beat), words)
            ends[port].append(free[port])
    return max(free)


def _peak(f: isa.Instruction, config: Config) -> float:
    """Bytes per cycle that a load or store moves at most: a word, or a beat on both ports."""
    return min(config.word_bytes(isa.MEMORIES[f["mem"]]), config.axi_bits // 4)


def _cycles(f: isa.Instruction, n: int, config: Config, programs: np.ndarray) -> float:
    """Return the cycles that an instruction keeps its engine; a load keeps none, its bursts do."""
    if f.op == "load":
        return 0.0
    if f.op == "array":
        passes = f["n_kb"] * f["n_red"] * f["n_ky"] * f["n_kx"]
        slots = max(n * f["n_y"] * f["n_x"], 1)
        if f["os"]:
            return ARRAY_CYCLES + passes * (slots + config.g)
        # The next weight block loads behind a pass: a word per cycle, and one to take it over.
        behind = max(slots, 1 if f["hold_weights"] else config.g + 1)
        return ARRAY_CYCLES + config.g + (passes - 1) * behind + slots
    if f.op == "vector":
        wide = f["u_src"] == 2 or f["v_src"] == 2 or f["dst_wide"]
        tables = (2 * config.g - 2) * f["per_channel"] + (2 * config.g + 6 - 2 * f["sums_first"]) * f["sums"]
        return VECTOR_CYCLES + tables + (config.g // 4 + 5) * f["max"] + n * f["img_px"] * (4 if wide else 1)
    words = programs[f["pc"] : f["pc"] + f["length"]]
    names = [scalar_ops.decode(int(word) & 0xFFFFFFFF)[0] for word in words]
    return COEFFICIENT_CYCLES + f["ch_count"] * sum(SCALAR_CYCLES.get(name, 1) for name in names)


def _words_read(f: isa.Instruction, memory: str) -> int:
    """Return the words of U or V that a vector instruction reads for a vector."""
    source = {"U": f["u_src"], "V": f["v_src"]}.get(memory, 0)
    return {1: 1, 2: 4}.get(source, 0)


def _words_written(f: isa.Instruction, memory: str) -> int:
    """Return the words of U or V that a vector instruction writes for a vector."""
    return (4 if f["dst_wide"] else 1) if memory == {2: "U", 3: "V"}.get(f["dst"]) else 0


class _Simulation:
    def __init__(
        self, instructions: list[isa.Instruction], images: list[int], costs: list[float], config: Config, memory: Memory,
    ):
        self.instructions, self.images, self.costs, self.config, self.memory = instructions, images, costs, config, memory
        self.engines = [_Engine() for _ in isa.ENGINES]
        self.load, self.store, self.vector = (self.engines[isa.ENGINES.index(name)] for name in ("load", "store", "vector"))
        self.tokens = [[0] * len(isa.ENGINES) for _ in isa.ENGINES]
        self.reads = ReadPorts(config, memory.latency)
        self.loading: deque[int] = deque()
        self.fetch_beats = 8 * isa.INSTRUCTION_BYTES // config.axi_bits
        self.handed, self.hand_at = 0, 0.0
        self.asks: deque[float] = deque([0.0] * min(FETCHED_AHEAD, len(instructions)))
        self.now = 0.0

    def run(self) -> int:
        while True:
            self._finish()
            self._hand_over()
            while self.asks and self.asks[0] <= self.now:
                self.asks.popleft()
                self.reads.fetch(self.now)
            self.reads.ask(self.now)
            while self._start():
                self.reads.ask(self.now)
            ports, store = self._rates()
            following = self._next(ports, store)
            if following == inf:
                return round(self.now) + 6
            self._advance(following, ports, store)

    def _finish(self) -> None:
        for number, engine in enumerate(self.engines):
            while engine.finishing and engine.finishing[0][0] <= self.now:
                _, f = engine.finishing.popleft()
                for taker in range(len(isa.ENGINES)):
                    self.tokens[number][taker] += f["signal"] >> taker & 1

    def _hand_over(self) -> None:
        while self.handed < self.reads.fetched and self.hand_at <= self.now:
            queue = self.engines[isa.ENGINES.index(self.instructions[self.handed].op)].queue
            if len(queue) >= QUEUE_DEPTH:
                return
            queue.append(self.handed)
            self.handed += 1
            if self.handed + FETCHED_AHEAD <= len(self.instructions):
                self.asks.append(self.now + self.fetch_beats)
            self.hand_at = self.now + self.fetch_beats + 2

    def _start(self) -> bool:
        started = False
        for number, engine in enumerate(self.engines):
            if not engine.queue or not self._free(engine):
                continue
            f = self.instructions[engine.queue[0]]
            waits = [s for s in range(len(isa.ENGINES)) if f["wait"] >> s & 1]
            if not all(self.tokens[s][number] for s in waits):
                continue
            for s in waits:
                self.tokens[s][number] -= 1
            self._begin(engine, engine.queue.popleft(), f)
            started = True
        return started

    def _free(self, engine: _Engine) -> bool:
        """Return whether an engine can take its next instruction; nothing is loaded beside the image list."""
        if engine.free_at > self.now or engine.stream is not None:
            return False
        if engine is self.load:
            alone = any(_is_list(self.instructions[number]) for number in self.loading)
            return not self.reads.asking and not alone and len(self.loading) + len(engine.finishing) < UNDER_WAY
        return len(engine.finishing) < UNDER_WAY

    def _begin(self, engine: _Engine, number: int, f: isa.Instruction) -> None:
        cost = self.costs[number]
        if f.op == "load":
            self.reads.load(number, _runs(f, self.images[number], self.config))
            self.loading.append(number)
            self._loaded()
        elif f.op == "store":
            engine.stream, engine.remaining = f, cost
            engine.peak = min(_peak(f, self.config), self.memory.bytes_per_cycle)
        else:
            engine.free_at, engine.busy = self.now + cost, cost
            engine.finishing.append((engine.free_at, f))

    def _loaded(self) -> None:
        """Let the loads that have all their bursts finish, in order."""
        while self.loading and not self.reads.left[self.loading[0]]:
            f = self.instructions[self.loading.popleft()]
            done = self.now + LOAD_TAIL
            self.load.finishing.append((done, f))
            if _is_list(f):
                self.load.free_at = done + AFTER_LIST

    def _rates(self) -> tuple[list[float], float]:
        """Return bytes per cycle of the read ports and of the store: what they can move, or what the memory has, evenly."""
        number = self.reads.first_load(self.now)
        words = 0.0
        if number is not None:
            f = self.instructions[number]
            words = self._open(f, _peak(f, self.config))
        ports = self.reads.rates(self.now, words)
        store = self._open(self.store.stream, self.store.peak) if self.store.stream is not None else 0.0
        read, limit = sum(ports), self.memory.bytes_per_cycle
        if read + store > limit:
            share = min(read, max(limit / 2, limit - store))
            ports, store = [rate * share / read if read else 0.0 for rate in ports], min(store, limit - share)
        return ports, store

    def _open(self, f: isa.Instruction, peak: float) -> float:
        """Return the bytes per cycle that a transfer can move while the vector unit goes first at its scratchpad."""
        if self.vector.free_at <= self.now:
            return peak
        vector = self.vector.finishing[-1][1]
        name = isa.MEMORIES[f["mem"]].name
        words = _words_written(vector, name) if f.op == "load" else _words_read(vector, name)
        taken = min(words * vector["n_img"] * vector["img_px"] / self.vector.busy, 1.0)
        return min(peak, self.config.g * (1 - taken)) if words else peak

    def _next(self, ports: list[float], store: float) -> float:
        times = [e.finishing[0][0] for e in self.engines if e.finishing]
        times += [e.free_at for e in self.engines if e.free_at > self.now]
        times.append(self.reads.next_event(self.now, ports))
        if store:
            times.append(self.now + self.store.remaining / store)
        if self.handed < self.reads.fetched and self.hand_at > self.now:
            times.append(self.hand_at)
        if self.asks:
            times.append(self.asks[0])
        return min(times)

    def _advance(self, following: float, ports: list[float], store: float) -> None:
        self.reads.advance(following - self.now, ports)
        self.store.remaining -= store * (following - self.now)
        self.now = max(following, self.now)
        if self.store.stream is not None and self.store.remaining <= 1e-6:
            self.store.finishing.append((self.now + self.memory.latency + STORE_TAIL, self.store.stream))
            self.store.stream = None
        self._loaded()


def _is_list(f: isa.Instruction) -> bool:
    return isa.MEMORIES[f["mem"]].name == "IL"
