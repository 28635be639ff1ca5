"""How many cycles a segment will take: an event model of fetch, engines, tokens and shared memory bandwidth.

No data is looked at but scalar programs. Engines start their instructions in order, when their tokens are there.
An array, vector or coefficient instruction keeps its engine for a number of cycles that follows from its fields;
loads and stores stream bytes at a rate that both share with each other, and are done a latency later. The memory is
the simulated board's without random stalls. Division and square root, whose time depends on their operands, count
with a typical time.
"""

from __future__ import annotations

from collections import deque
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

RUN_CYCLES = 6
"""Cycles that a run takes at least, however short: at most 8 bursts are outstanding on a port."""

ARRAY_CYCLES = 13
"""Cycles of an array instruction before its first pass; the first weight block takes G more."""

TRANSFER_TAIL = 28
"""Cycles from the last byte of a transfer, apart from the memory's latency, until it is done."""

ARRAY_LATENCY = 20
"""Cycles from the last slot until its sum is in the accumulators."""

SCALAR_CYCLES = {"mul": 2, "shi": 2, "shr": 2, "div": 20, "sqrt": 31}
"""Cycles of a scalar operation where they are not 1."""


@dataclass(frozen=True)
class Memory:
    """DDR as the simulated board models it: shared bytes per cycle, and cycles from a request to its first data."""

    bytes_per_cycle: float = 16.0
    latency: int = 40


@dataclass
class _Engine:
    queue: deque = field(default_factory=deque)
    free_at: float = 0.0
    finishing: deque = field(default_factory=deque)
    stream: isa.Instruction | None = None
    remaining: float = 0.0
    peak: float = 0.0


def predict_cycles(program: Program, segment: str, images: int, config: Config, memory: Memory | None = None) -> int:
    """Return the cycles of a segment for a mini-batch of so many images."""
    instructions = program.instructions(segment)
    ddr, programs = program.image(), {"P": np.zeros(config.program_words, np.uint64)}
    costs = []
    for f in instructions:
        if f.op == "load":
            follow_small_loads(f, ddr, programs)
        n = min(max(images - f["slot"], 0), f["n_img"]) if f["clip"] else f["n_img"]
        costs.append(_bytes(f, n, config) if f.op in ("load", "store") else _cycles(f, n, config, programs["P"]))
    return _Simulation(instructions, costs, config, memory or Memory()).run()


def _bytes(f: isa.Instruction, n: int, config: Config) -> float:
    run = f["run"] * config.word_bytes(isa.MEMORIES[f["mem"]])
    return n * f["n_grp"] * max(run, RUN_CYCLES * _peak(f, config))


def _peak(f: isa.Instruction, config: Config) -> float:
    """Bytes per cycle that a load or store moves at most: a word, or a beat on both ports."""
    return min(config.word_bytes(isa.MEMORIES[f["mem"]]), config.axi_bits // 4)


def _cycles(f: isa.Instruction, n: int, config: Config, programs: np.ndarray) -> float:
    if f.op == "array":
        passes = f["n_kb"] * f["n_red"] * f["n_ky"] * f["n_kx"]
        slots = n * f["n_y"] * f["n_x"]
        if f["os"]:
            return ARRAY_CYCLES + passes * (slots + config.g)
        return ARRAY_CYCLES + config.g + passes * max(slots, 1 if f["hold_weights"] else config.g)
    if f.op == "vector":
        wide = f["u_src"] == 2 or f["v_src"] == 2 or f["dst_wide"]
        tables = (2 * config.g - 2) * f["per_channel"] + (2 * config.g + 6 - 2 * f["sums_first"]) * f["sums"]
        return 18 + tables + (config.g // 4 + 5) * f["max"] + n * f["img_px"] * (4 if wide else 1)
    words = programs[f["pc"] : f["pc"] + f["length"]]
    names = [scalar_ops.decode(int(word) & 0xFFFFFFFF)[0] for word in words]
    return 8 + f["ch_count"] * sum(SCALAR_CYCLES.get(name, 1) for name in names)


class _Simulation:
    def __init__(self, instructions: list[isa.Instruction], costs: list[float], config: Config, memory: Memory):
        self.instructions, self.costs, self.config, self.memory = instructions, costs, config, memory
        self.engines = [_Engine() for _ in isa.ENGINES]
        self.tokens = [[0] * len(isa.ENGINES) for _ in isa.ENGINES]
        self.fetched, self.fetch_at = 0, memory.latency + 12.0
        self.fetch_cycles = 512 // config.axi_bits + 2
        self.now = 0.0

    def run(self) -> int:
        while True:
            self._finish()
            self._fetch()
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
            self.fetch_at = self.now + self.fetch_cycles

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
                engine.free_at = self.now + cost
                engine.finishing.append((engine.free_at + (ARRAY_LATENCY if f.op == "array" else 0), f))
        return started

    def _rates(self) -> list[float]:
        """Bytes per cycle of every engine: each streaming one gets its peak, or what is left, evenly."""
        streams = [e for e in self.engines if e.stream is not None]
        left, shares = self.memory.bytes_per_cycle, {}
        for i, engine in enumerate(sorted(streams, key=lambda e: e.peak)):
            shares[id(engine)] = min(engine.peak, left / (len(streams) - i))
            left -= shares[id(engine)]
        return [shares.get(id(e), 0.0) for e in self.engines]

    def _next(self) -> float:
        times = [e.finishing[0][0] for e in self.engines if e.finishing]
        times += [self.now + e.remaining / rate for e, rate in zip(self.engines, self._rates(), strict=True) if rate]
        times += [e.free_at for e in self.engines if e.free_at > self.now]
        if self.fetched < len(self.instructions) and self.fetch_at > self.now:
            times.append(self.fetch_at)
        return min(times, default=inf)

    def _advance(self, following: float) -> None:
        for engine, rate in zip(self.engines, self._rates(), strict=True):
            if engine.stream is not None:
                engine.remaining -= rate * (following - self.now)
                if engine.remaining <= 1e-6:
                    engine.finishing.append((following + self.memory.latency + TRANSFER_TAIL, engine.stream))
                    engine.free_at, engine.stream = following + 2, None
        self.now = max(following, self.now)
