"""Dependency tokens: wait and signal masks that order every pair of conflicting instructions.

An engine runs its own instructions in order, so only conflicts between engines need tokens. Every instruction
carries a clock: per engine the last instruction that is certainly done before it starts. A conflict whose source
the clock already covers, directly or through a third engine, needs no token. Tokens of an ordered pair of engines
are taken in the order in which they are given: sources and takers of a pair both rise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hw import isa

ENGINE_COUNT = len(isa.ENGINES)
SEMAPHORE_MAX = 1023


@dataclass
class _Pair:
    """Tokens from one engine to another: ordinals of the instructions that give and take them, both rising."""

    sources: list[int] = field(default_factory=list)
    takers: list[int] = field(default_factory=list)


class TokenPlan:
    """Collects instructions in program order and decides who waits for whom.

    Args:
        limit: largest count a semaphore may reach; smaller values are for tests.
    """

    def __init__(self, limit: int = SEMAPHORE_MAX):
        if limit < 4:
            raise ValueError(f"a semaphore limit of {limit} is below 4")
        self._limit = limit
        self._clocks: list[list[tuple[int, ...]]] = [[] for _ in range(ENGINE_COUNT)]
        self._pairs = {(s, d): _Pair() for s in range(ENGINE_COUNT) for d in range(ENGINE_COUNT) if s != d}
        self._places: dict[int, tuple[int, int]] = {}

    def add(self, number: int, engine: int, conflicts: Iterable[int]) -> list[tuple[int, int]]:
        """Append an instruction and return the (engine, ordinal) pairs whose tokens it takes.

        Args:
            number: by which later instructions name it.
            conflicts: numbers of those before it that must be done.
        """
        ordinal = len(self._clocks[engine])
        self._places[number] = engine, ordinal
        needs = [-1] * ENGINE_COUNT
        for other in conflicts:
            source, at = self._places[other]
            if at > needs[source]:
                needs[source] = at
        clock = list(self._clocks[engine][-1]) if ordinal else [-1] * ENGINE_COUNT
        clock[engine] = ordinal - 1
        taken = self._take(engine, ordinal, needs, clock)
        self._clocks[engine].append(tuple(clock))
        return taken

    def _take(self, engine: int, ordinal: int, needs: list[int], clock: list[int]) -> list[tuple[int, int]]:
        for source in range(ENGINE_COUNT):
            if source != engine and self._outstanding(engine, source, clock, self._limit // 2):
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
            if self._outstanding(source, engine, self._clocks[source][at], self._limit * 7 // 8 - 1):
                at = len(self._clocks[source]) - 1
            pair.sources.append(at)
            pair.takers.append(ordinal)
            taken.append((source, at))
        for source, at in taken:
            clock[:] = map(max, clock, self._clocks[source][at])
            clock[source] = max(clock[source], at)
        return taken

    def _outstanding(self, source: int, taker: int, clock: Sequence[int], count: int) -> bool:
        """Whether an instruction with this clock cannot know all but `count` tokens source -> taker to be taken."""
        takers = self._pairs[source, taker].takers
        return len(takers) > count and takers[-count - 1] > clock[taker]

    def masks(self) -> list[tuple[int, int]]:
        """Return (wait, signal) for every instruction in the order in which they were added."""
        waits = [[0] * len(clocks) for clocks in self._clocks]
        signals = [[0] * len(clocks) for clocks in self._clocks]
        for (source, taker), pair in self._pairs.items():
            for at in pair.sources:
                signals[source][at] |= 1 << taker
            for at in pair.takers:
                waits[taker][at] |= 1 << source
        return [(waits[e][i], signals[e][i]) for e, i in self._places.values()]
