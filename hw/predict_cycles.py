"""How many cycles a segment will take: an event model of fetch, engines, tokens and shared memory bandwidth.

No data is looked at but scalar programs. Engines start their instructions in order, when their tokens are there.
An array, vector or coefficient instruction keeps its engine for a number of cycles that follows from its fields;
loads and stores stream bytes at a rate that both share with each other, and are done a latency later. The memory is
the simulated board's without random stalls. Fetched instructions queue up behind the bursts of a load and hold up the
bursts after them. Division and square root, whose time depends on their operands, count with a typical time, and a
transfer does not see the bursts that the one before it has outstanding, which weighs in programs of a few hundred cycles.
Within 1 % of the RTL for products and for training steps of 32 images; weight updates by themselves take longer than this.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf

import numpy as np

from algo import scalar_ops
from hw import isa
from hw.config import Config
from hw.predict import follow_small_loads
from hw.program import Program

QUEUE_DEPTH = 8
UNDER_WAY = 4
"""Loads and stores between start and done."""

FETCHED_AHEAD = 5
"""Instructions that have been asked for when one is handed to its engine."""

PORTS, STRIPE_BYTES, OUTSTANDING = 2, 128, 8
"""Memory ports, the bytes that go to one before the other's turn, and the bursts under way on each."""

LONG_RUN = 8 * STRIPE_BYTES
"""Runs from this length on keep both ports busy, whatever their addresses."""

ARRAY_CYCLES = 13
"""Cycles of an array instruction besides its passes; the first weight block takes G more."""

VECTOR_CYCLES = 16
"""Cycles of a vector instruction besides its elements and tables."""

TRANSFER_TAIL = {"load": 7, "store": 11}
"""Cycles of a transfer besides its bytes and the memory's latency."""

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
    costs = []
    for f in instructions:
        if f.op == "load":
            follow_small_loads(f, ddr, programs)
        n = min(max(images - f["slot"], 0), f["n_img"]) if f["clip"] else f["n_img"]
        costs.append(_bytes(f, n, config, memory) if f.op in ("load", "store") else _cycles(f, n, config, programs["P"]))
    return _Simulation(instructions, costs, config, memory).run()


def _bytes(f: isa.Instruction, n: int, config: Config, memory: Memory) -> float:
    """Return the bytes of a transfer, or those that it could move in its time where short runs do not fill both ports."""
    run = f["run"] * config.word_bytes(isa.MEMORIES[f["mem"]])
    if run >= LONG_RUN:
        return n * f["n_grp"] * run
    starts = (f["addr"] + i * f["img_stride"] + j * f["grp_stride"] for i in range(n) for j in range(f["n_grp"]))
    round_trip = memory.latency + TRANSFER_TAIL[f.op]
    return _peak(f, config) * _transfer_cycles(starts, run, config, _peak(f, config), round_trip)


def _transfer_cycles(starts: Iterable[int], run: int, config: Config, peak: float, round_trip: int) -> float:
    """Return the cycles from a transfer's first byte to its last.

    A burst ends at the end of its stripe, which also chooses its port. It follows its predecessor by a cycle at least,
    begins when the port is free and, from the ninth on, a round trip after the one eight before has ended.

    Args:
        starts: address of every run.
        run: bytes of each.
        peak: bytes per cycle at which words enter or leave the scratchpad.
        round_trip: cycles from a burst's request to its first byte.
    """
    beat = config.axi_bits // 8
    free, ends = [0.0] * PORTS, [deque([-inf] * OUTSTANDING, OUTSTANDING) for _ in range(PORTS)]
    asked, words = -1.0, 0.0
    for start in starts:
        at = start
        while at < start + run:
            end = min((at // STRIPE_BYTES + 1) * STRIPE_BYTES, start + run)
            port = at // STRIPE_BYTES % PORTS
            asked = max(asked + 1, ends[port][0] + round_trip)
            words = max(words, asked) + (end - at) / peak
            free[port] = max(max(asked, free[port]) + -(-(end - at) // beat), words)
            ends[port].append(free[port])
            at = end
    return max(free)


def _peak(f: isa.Instruction, config: Config) -> float:
    """Bytes per cycle that a load or store moves at most: a word, or a beat on both ports."""
    return min(config.word_bytes(isa.MEMORIES[f["mem"]]), config.axi_bits // 4)


def _cycles(f: isa.Instruction, n: int, config: Config, programs: np.ndarray) -> float:
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
    def __init__(self, instructions: list[isa.Instruction], costs: list[float], config: Config, memory: Memory):
        self.instructions, self.costs, self.config, self.memory = instructions, costs, config, memory
        self.engines = [_Engine() for _ in isa.ENGINES]
        self.tokens = [[0] * len(isa.ENGINES) for _ in isa.ENGINES]
        self.fetched, self.fetch_at = 0, memory.latency + 4.0 + 512 / config.axi_bits
        self.fetch_beats = 512 // config.axi_bits
        self.fetch_bursts: deque[float] = deque()
        self.turns: deque[float] = deque()
        self.arrivals: deque[float] = deque()
        self.now = 0.0

    def run(self) -> int:
        while True:
            self._finish()
            self._fetch()
            self._ask()
            while self._start():
                pass
            following = self._next()
            if following == inf:
                return round(self.now) + 6
            self._advance(following)

    def _finish(self) -> None:
        for number, engine in enumerate(self.engines):
            while engine.finishing and engine.finishing[0][0] <= self.now:
                _, f = engine.finishing.popleft()
                for taker in range(len(isa.ENGINES)):
                    self.tokens[number][taker] += f["signal"] >> taker & 1

    def _fetch(self) -> None:
        while self.fetched < len(self.instructions) and self.fetch_at <= self.now:
            f = self.instructions[self.fetched]
            queue = self.engines[isa.ENGINES.index(f.op)].queue
            if len(queue) >= QUEUE_DEPTH:
                return
            queue.append(self.fetched)
            self.fetched += 1
            if self.fetched + FETCHED_AHEAD <= len(self.instructions):
                self.fetch_bursts.append(self.now + self.fetch_beats)
            self.fetch_at = self.now + self.fetch_beats + 2
            if self.fetched >= FETCHED_AHEAD and self.fetched < len(self.instructions):
                self.fetch_at = max(self.fetch_at, self.arrivals.popleft())

    def _queued_cycles(self) -> float:
        """Return how long a fetch waits behind the bursts that a load has under way."""
        load = self.engines[isa.ENGINES.index("load")]
        if load.stream is None:
            return 0.0
        asked = load.remaining
        for number in load.queue:
            if self.instructions[number]["wait"]:
                break
            asked += self.costs[number]
        # What was asked for in the last `latency` cycles has left the stream already and is still to come.
        return min(asked, max(PORTS * OUTSTANDING * STRIPE_BYTES - self.memory.latency * load.peak, 0)) / load.peak

    def _ask(self) -> None:
        """Ask for an instruction, which waits behind what a load has asked for and holds up what it asks for after that.

        Stripes take turns, so that neither port runs ahead of the one that fetches.
        """
        while self.fetch_bursts and self.fetch_bursts[0] <= self.now:
            self.fetch_bursts.popleft()
            turn = self.now + self._queued_cycles()
            self.turns.append(turn)
            self.arrivals.append(turn + self.memory.latency + 4 + self.fetch_beats)
        while self.turns and self.turns[0] <= self.now:
            self.turns.popleft()
            load = self.engines[isa.ENGINES.index("load")]
            if load.stream is not None:
                load.remaining += self.fetch_beats * load.peak

    def _start(self) -> bool:
        started = False
        for number, engine in enumerate(self.engines):
            if not engine.queue or engine.free_at > self.now or engine.stream is not None or len(engine.finishing) >= UNDER_WAY:
                continue
            f = self.instructions[engine.queue[0]]
            waits = [s for s in range(len(isa.ENGINES)) if f["wait"] >> s & 1]
            if not all(self.tokens[s][number] for s in waits):
                continue
            for s in waits:
                self.tokens[s][number] -= 1
            cost = self.costs[engine.queue.popleft()]
            started = True
            if f.op in ("load", "store"):
                engine.stream, engine.remaining = f, cost
                engine.peak = min(_peak(f, self.config), self.memory.bytes_per_cycle)
            else:
                engine.free_at, engine.busy = self.now + cost, cost
                engine.finishing.append((engine.free_at, f))
        return started

    def _rates(self) -> list[float]:
        """Bytes per cycle of every engine: each streaming one gets what it can move, or what is left, evenly."""
        peaks = sorted((self._open(e), number) for number, e in enumerate(self.engines) if e.stream is not None)
        left, rates = self.memory.bytes_per_cycle, [0.0] * len(self.engines)
        for i, (peak, number) in enumerate(peaks):
            rates[number] = min(peak, left / (len(peaks) - i))
            left -= rates[number]
        return rates

    def _open(self, engine: _Engine) -> float:
        """Return the bytes per cycle that a transfer can move while the vector unit goes first at its scratchpad."""
        vector = self.engines[isa.ENGINES.index("vector")]
        if vector.free_at <= self.now:
            return engine.peak
        f = vector.finishing[-1][1]
        name = isa.MEMORIES[engine.stream["mem"]].name
        words = _words_written(f, name) if engine.stream.op == "load" else _words_read(f, name)
        taken = min(words * f["n_img"] * f["img_px"] / vector.busy, 1.0)
        return min(engine.peak, self.config.g * (1 - taken)) if words else engine.peak

    def _next(self) -> float:
        times = [e.finishing[0][0] for e in self.engines if e.finishing]
        times += [self.now + e.remaining / rate for e, rate in zip(self.engines, self._rates(), strict=True) if rate]
        times += [e.free_at for e in self.engines if e.free_at > self.now]
        if self.fetched < len(self.instructions) and self.fetch_at > self.now:
            times.append(self.fetch_at)
        times += [events[0] for events in (self.fetch_bursts, self.turns) if events]
        return min(times, default=inf)

    def _advance(self, following: float) -> None:
        for engine, rate in zip(self.engines, self._rates(), strict=True):
            if engine.stream is not None:
                engine.remaining -= rate * (following - self.now)
                if engine.remaining <= 1e-6:
                    done = following + self.memory.latency + TRANSFER_TAIL[engine.stream.op]
                    engine.finishing.append((done, engine.stream))
                    is_list = engine.stream.op == "load" and isa.MEMORIES[engine.stream["mem"]].name == "IL"
                    engine.free_at, engine.stream = done + AFTER_LIST if is_list else following, None
        self.now = max(following, self.now)
