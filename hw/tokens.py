"""Dependency tokens: wait and signal masks that order every pair of conflicting instructions.

An engine runs its own instructions in order, so only conflicts between engines need tokens. Every instruction
carries a clock: per engine the last instruction that is certainly done before it starts. A conflict whose source
the clock already covers, directly or through a third engine, needs no token. Tokens of an ordered pair of engines
are taken in the order in which they are given: sources and takers of a pair both rise.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from hw import isa
from hw.footprint import Region

ENGINE_COUNT = len(isa.ENGINES)
SEMAPHORE_MAX = 1023


@dataclass
class _Pair:
    """Tokens from one engine to another: ordinals of the instructions that give and take them, both rising."""

    sources: list[int] = field(default_factory=list)
    takers: list[int] = field(default_factory=list)


class _Accesses:
    """The last writer and the later readers of every word of one space, as a map of disjoint intervals."""

    def __init__(self):
        self.starts = [0]
        self.states: list[tuple[tuple[int, int] | None, dict[int, int]]] = [(None, {})]

    def _cut(self, at: int) -> int:
        i = bisect_right(self.starts, at) - 1
        if self.starts[i] == at:
            return i
        writer, readers = self.states[i]
        self.starts.insert(i + 1, at)
        self.states.insert(i + 1, (writer, dict(readers)))
        return i + 1

    def read(self, start: int, end: int, engine: int, ordinal: int, needs: list[int]) -> None:
        first, last = self._cut(start), self._cut(end)
        for i in range(first, last):
            writer, readers = self.states[i]
            if writer:
                needs[writer[0]] = max(needs[writer[0]], writer[1])
            readers[engine] = ordinal

    def write(self, start: int, end: int, engine: int, ordinal: int, needs: list[int]) -> None:
        first, last = self._cut(start), self._cut(end)
        for i in range(first, last):
            writer, readers = self.states[i]
            if writer:
                needs[writer[0]] = max(needs[writer[0]], writer[1])
            for reader, at in readers.items():
                needs[reader] = max(needs[reader], at)
        self.starts[first:last] = [start]
        self.states[first:last] = [((engine, ordinal), {})]


class TokenPlan:
    """Collects instructions in program order and decides who waits for whom.

    Args:
        limit: largest count a semaphore may reach; smaller values are for tests.
    """

    def __init__(self, limit: int = SEMAPHORE_MAX):
        if limit < 4:
            raise ValueError(f"a semaphore limit of {limit} is below 4")
        self._limit = limit
        self._spaces: dict[str, _Accesses] = {}
        self._clocks: list[list[list[int]]] = [[] for _ in range(ENGINE_COUNT)]
        self._pairs = {(s, d): _Pair() for s in range(ENGINE_COUNT) for d in range(ENGINE_COUNT) if s != d}
        self._order: list[tuple[int, int]] = []

    def add(self, engine: int, reads: list[Region], writes: list[Region]) -> list[tuple[int, int]]:
        """Append an instruction and return the (engine, ordinal) pairs whose tokens it takes."""
        ordinal = len(self._clocks[engine])
        self._order.append((engine, ordinal))
        needs = [-1] * ENGINE_COUNT
        for space, start, end in reads:
            self._spaces.setdefault(space, _Accesses()).read(start, end, engine, ordinal, needs)
        for space, start, end in writes:
            self._spaces.setdefault(space, _Accesses()).write(start, end, engine, ordinal, needs)
        clock = list(self._clocks[engine][-1]) if ordinal else [-1] * ENGINE_COUNT
        clock[engine] = ordinal - 1
        taken = self._take(engine, ordinal, needs, clock)
        self._clocks[engine].append(clock)
        return taken

    def _take(self, engine: int, ordinal: int, needs: list[int], clock: list[int]) -> list[tuple[int, int]]:
        for source in range(ENGINE_COUNT):
            if source != engine and self._unconfirmed(engine, source, clock) > self._limit // 2:
                needs[source] = max(needs[source], len(self._clocks[source]) - 1)
        needed = [(s, needs[s]) for s in range(ENGINE_COUNT) if s != engine and needs[s] > clock[s]]
        # A source whose own clock covers another needed source makes the other token superfluous.
        direct = [
            (s, at) for s, at in needed
            if not any(o != s and self._clocks[o][other][s] >= at for o, other in needed)
        ] or needed
        taken = []
        for source, at in direct:
            pair = self._pairs[source, engine]
            if self._outstanding(source, engine, at) > self._limit * 7 // 8:
                at = len(self._clocks[source]) - 1
            pair.sources.append(at)
            pair.takers.append(ordinal)
            taken.append((source, at))
        for source, at in taken:
            clock[source] = max(clock[source], at)
            for e, done in enumerate(self._clocks[source][at]):
                if e != engine:
                    clock[e] = max(clock[e], done)
        return taken

    def _unconfirmed(self, source: int, taker: int, clock: list[int]) -> int:
        """Tokens source -> taker that an instruction of `source` with this clock cannot know to be taken."""
        pair = self._pairs[source, taker]
        return len(pair.takers) - bisect_right(pair.takers, clock[taker])

    def _outstanding(self, source: int, taker: int, at: int) -> int:
        return self._unconfirmed(source, taker, self._clocks[source][at]) + 1

    def masks(self) -> list[tuple[int, int]]:
        """Return (wait, signal) for every instruction in the order in which they were added."""
        waits = [[0] * len(clocks) for clocks in self._clocks]
        signals = [[0] * len(clocks) for clocks in self._clocks]
        for (source, taker), pair in self._pairs.items():
            for at in pair.sources:
                signals[source][at] |= 1 << taker
            for at in pair.takers:
                waits[taker][at] |= 1 << source
        return [(waits[e][i], signals[e][i]) for e, i in self._order]
