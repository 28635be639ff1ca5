"""Which instructions must be done before which: every read after write, write after read and write after write."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from hw.footprint import Region


class _Space:
    """The last writer and the later readers of every word of one space, as a map of disjoint intervals."""

    def __init__(self):
        self.starts = [0]
        self.states: list[tuple[int, set[int]]] = [(-1, set())]

    def _cut(self, at: int) -> int:
        i = bisect_right(self.starts, at) - 1
        if self.starts[i] == at:
            return i
        writer, readers = self.states[i]
        self.starts.insert(i + 1, at)
        self.states.insert(i + 1, (writer, set(readers)))
        return i + 1

    def read(self, start: int, end: int, number: int, found: set[int]) -> None:
        first, last = self._cut(start), self._cut(end)
        for writer, readers in self.states[first:last]:
            found.add(writer)
            readers.add(number)

    def write(self, start: int, end: int, number: int, found: set[int]) -> None:
        first, last = self._cut(start), self._cut(end)
        for writer, readers in self.states[first:last]:
            found.add(writer)
            found |= readers
        self.starts[first:last] = [start]
        self.states[first:last] = [(number, set())]


def predecessors(footprints: Iterable[tuple[list[Region], list[Region]]]) -> list[set[int]]:
    """Return for every instruction the earlier ones it conflicts with; those that others imply may be left out.

    Args:
        footprints: (reads, writes) of the instructions in program order.
    """
    spaces: dict[str, _Space] = {}
    result = []
    for number, (reads, writes) in enumerate(footprints):
        found: set[int] = set()
        for space, start, end in reads:
            spaces.setdefault(space, _Space()).read(start, end, number, found)
        for space, start, end in writes:
            spaces.setdefault(space, _Space()).write(start, end, number, found)
        found -= {-1, number}
        result.append(found)
    return result
