"""Which instructions must be done before which: every read after write, write after read and write after write."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable

from hw.footprint import Region

BLOCK = 1 << 16
"""Words, or bytes of DDR, of a space that are looked after together: few enough intervals to find and cut one quickly."""


class _Block:
    """The last writer and the later readers of every word of a block, as a map of disjoint intervals."""

    def __init__(self):
        self.starts = [-1]
        self.states: list[tuple[int, set[int]]] = [(-1, set())]

    def _cut(self, at: int, least: int) -> int:
        """Return the number, at least `least`, of the interval that starts at a word; one that goes on there is cut for it."""
        i = bisect_left(self.starts, at, least)
        if i == len(self.starts) or self.starts[i] != at:
            writer, readers = self.states[i - 1]
            self.starts.insert(i, at)
            self.states.insert(i, (writer, set(readers)))
        return i

    def read(self, start: int, end: int, number: int, found: set[int]) -> None:
        first = self._cut(start, 0)
        for writer, readers in self.states[first : self._cut(end, first)]:
            found.add(writer)
            readers.add(number)

    def write(self, start: int, end: int, number: int, found: set[int]) -> None:
        first = self._cut(start, 0)
        last = self._cut(end, first)
        for writer, readers in self.states[first:last]:
            found.add(writer)
            found |= readers
        self.starts[first:last] = [start]
        self.states[first:last] = [(number, set())]


def predecessors(footprints: Iterable[tuple[list[Region], list[Region]]]) -> list[tuple[int, ...]]:
    """Return for every instruction the earlier ones it conflicts with, but for those behind a later write of the same words.

    Any order that keeps these conflicts has the same ones.

    Args:
        footprints: (reads, writes) of the instructions in program order.
    """
    blocks: defaultdict[tuple[str, int], _Block] = defaultdict(_Block)
    result = []
    for number, (reads, writes) in enumerate(footprints):
        found: set[int] = set()
        for region in reads:
            if region not in writes:
                for block, start, end in _pieces(region):
                    blocks[block].read(start, end, number, found)
        for region in writes:
            for block, start, end in _pieces(region):
                blocks[block].write(start, end, number, found)
        found.discard(-1)
        found.discard(number)
        result.append(tuple(found))
    return result


def _pieces(region: Region) -> list[tuple[tuple[str, int], int, int]]:
    """Return (block, start, end) of a region's pieces."""
    space, start, end = region
    if start // BLOCK == (end - 1) // BLOCK:
        return [((space, start // BLOCK), start, end)]
    cuts = [start, *range((start // BLOCK + 1) * BLOCK, end, BLOCK), end]
    return [((space, low // BLOCK), low, high) for low, high in zip(cuts, cuts[1:], strict=False)]
