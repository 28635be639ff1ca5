"""What the table memory C and the program memory P hold during a segment: run-time numbers, channel tables, programs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from algo import scaling
from algo.scaling import State
from algo.step import ChannelTable, Coefficient, Compute, GateSum, Node, Step, Update
from hw import isa
from hw.emit import Segment
from hw.footprint import SCALAR_REACH
from hw.scratchpad import Buffer, CompileError

HOST_TABLE = "host_table"
"""DDR region of records, scalars and maxima, which the processor writes before an iteration."""

IMAGE_LIST = "image_list"
"""DDR region of the image count and the image numbers."""

LINE_WORDS = 8
"""Words of the longest cache line of a board's processor."""

HULL_GAP = 16
"""Words of the host table between two that a gated step's segment uses and that are rather loaded than left out."""


def image_list(segment: str) -> str:
    """Return the DDR region of a segment's image list: parts of a gated step have one each, the first one `IMAGE_LIST`."""
    _, _, number = segment.partition(".")
    return f"{IMAGE_LIST}.{number}" if number not in ("", "0") else IMAGE_LIST


def program_region(name: str) -> str:
    """Return the DDR region of a scalar program."""
    return f"program.{name}"


@dataclass(frozen=True)
class TableLayout:
    """Word offsets in the host table: of each record (isa.RECORD_WORDS words), block of scalars, maximum (one word)."""

    records: dict[str, int]
    scalars: dict[str, int]
    maxima: dict[str, int]
    words: int


def node_records(node: Node) -> list[str]:
    """Return the records that a node's passes use."""
    if isinstance(node, GateSum):
        return [node.plus, node.minus]
    if isinstance(node, Compute):
        return [p.record for p in node.passes]
    if isinstance(node, Update):
        records = (node.record_t, node.record_s, node.record_low, node.record_m, node.record_w, node.record_w8)
        return [name for name in records if name]
    return []


def node_maxima(node: Node) -> list[str]:
    """Return the maxima that a node raises."""
    if isinstance(node, Compute):
        return [p.maximum for p in node.passes if p.maximum]
    return [name for name in (node.maximum, node.maximum_w8, node.level) if name] if isinstance(node, Update) else []


def node_tables(node: Node) -> tuple[set[str], set[str]]:
    """Return the channel tables that a node uses, and those of them that it writes."""
    if isinstance(node, Compute):
        written = {p.sums_table for p in node.passes if p.sums}
        return written | {p.table for p in node.passes if p.table}, written
    return ({node.table}, {node.table}) if isinstance(node, Coefficient) else (set(), set())


def table_layout(step: Step) -> TableLayout:
    """Return the host table's layout: numbers that one segment uses lie together."""
    names: dict[str, dict[str, None]] = {"records": {}, "scalars": {}, "maxima": {}}
    for nodes in step.segments.values():
        for node in nodes:
            names["records"].update(dict.fromkeys(node_records(node)))
            names["maxima"].update(dict.fromkeys(node_maxima(node)))
            if isinstance(node, Coefficient):
                names["scalars"][node.scalars] = None
    names["records"].update(dict.fromkeys(step.records))
    names["scalars"].update(dict.fromkeys(step.scalars))
    names["maxima"].update(dict.fromkeys((*step.maxima, *step.levels)))
    at = 0
    offsets: dict[str, dict[str, int]] = {}
    for kind, size in (
        ("records", lambda name: isa.RECORD_WORDS), ("scalars", lambda name: len(step.scalars[name])), ("maxima", lambda name: 1),
    ):
        offsets[kind] = {}
        if kind == "maxima":  # the core may write them while the processor writes what stands before them
            at = -(-at // LINE_WORDS) * LINE_WORDS
        for name in names[kind]:
            offsets[kind][name] = at
            at += size(name)
    for block, words in step.scalars.items():
        if len(words) > SCALAR_REACH:
            raise CompileError(f"scalar block {block} has {len(words)} words; a coefficient instruction reaches {SCALAR_REACH}")
    return TableLayout(offsets["records"], offsets["scalars"], offsets["maxima"], max(at, 1))


def first_words(step: Step, layout: TableLayout, state: State) -> np.ndarray:
    """Return the host table of a run's first iteration, over a whole mini-batch, for the program to bring along.

    Raises:
        OutOfRange: a number of it does not fit.
    """
    words = np.zeros(layout.words, np.int64)
    records, scalars = scaling.records(step, state), scaling.scalars(step, state, step.batch)
    for offsets, found in ((layout.records, records), (layout.scalars, scalars)):
        for name, numbers in found.items():
            words[offsets[name] : offsets[name] + len(numbers)] = numbers
    return words


class Tables:
    """Memory C of one segment: the host table's words at the low end, channel tables above, as they are needed.

    A channel table is loaded before its first use and stored back after its last change when `stored` names it. Tables that
    do not fit beside what a node needs with them are held in stretches of channels, each for itself.
    """

    def __init__(
        self, segment: Segment, host: TableLayout, tables: dict[str, ChannelTable] | None = None,
        scalars: dict[str, tuple[str, ...]] | None = None, stored: frozenset[str] = frozenset(),
    ):
        self._segment = segment
        self._tables = tables or {}
        self._scalars = scalars or {}
        self._host = host
        self._stored = stored
        self._free_from = 0
        self._fixed: list[tuple[int, int, int]] = []
        self._stretch: dict[str, int] = {}
        self._resident: dict[tuple[str, int], Buffer] = {}
        self._dirty: set[tuple[str, int]] = set()
        self._maxima: list[tuple[int, int]] = []

    def load_host(self, nodes: tuple[Node, ...], gap: int | None = None) -> None:
        """Load the records, scalars and maxima that the segment's nodes use.

        Args:
            gap: most words between two of one kind that are loaded with them; None for no limit.
        """
        host = self._host
        blocks = {node.scalars for node in nodes if isinstance(node, Coefficient)}
        # Instructions do not say how many scalars they read: behind the last ones stands what is not written, records.
        self._maxima = self._load_hulls([(host.maxima[m], 1) for node in nodes for m in node_maxima(node)], gap)
        self._load_hulls([(host.scalars[b], len(self._scalars[b])) for b in blocks], gap)
        self._load_hulls([(host.records[r], isa.RECORD_WORDS) for node in nodes for r in node_records(node)], gap)
        for node in nodes:
            self._cut(node_tables(node)[0])

    def _cut(self, together: set[str]) -> None:
        """Choose stretches for tables that one node uses, where they may not find room whole.

        With others in place anywhere, n pieces of up to 1 / (2 n - 1) of the memory always find room: n - 1 of them leave n gaps,
        of which one is as large.
        """
        memory, words = self._segment.memory, self._segment.config.table_words - self._free_from
        g = self._segment.config.g
        for name in together:
            room = words // (2 * len(together) - 1)
            if memory[name].size // 8 > room and (most := room // (memory[name].pitch * g) * g):
                self._stretch[name] = min(most, self._stretch.get(name, most))

    def _load_hulls(self, ranges: list[tuple[int, int]], gap: int | None) -> list[tuple[int, int]]:
        """Load (offset, size) ranges, those together between which there are at most `gap` words; return the ends of each."""
        hulls: list[tuple[int, int]] = []
        for at, size in sorted(set(ranges)):
            low, high = hulls[-1] if hulls else (at, at)
            if hulls and (gap is None or at - high <= gap):
                hulls[-1] = low, max(high, at + size)
            else:
                hulls.append((at, at + size))
        for low, high in hulls:
            self._load_hull(low, high)
        return hulls

    def _load_hull(self, low: int, high: int) -> None:
        base = self._free_from
        words = self._segment.config.table_words
        if base + high - low > words:
            raise CompileError(f"records, scalars and maxima of a segment take more than the {words} words of memory C")
        self._segment.load_words("C", base, self._segment.memory[HOST_TABLE].offset + 8 * low, high - low)
        self._fixed.append((low, high, base))
        self._free_from = base + high - low

    def _word(self, offset: int) -> int:
        for low, high, base in self._fixed:
            if low <= offset < high:
                return base + offset - low
        raise CompileError(f"word {offset} of the host table is used but was not loaded")

    def record(self, name: str) -> int:
        """Return the C address of a record."""
        return self._word(self._host.records[name])

    def scalars(self, name: str) -> int:
        """Return the C address of a block of scalars."""
        return self._word(self._host.scalars[name])

    def maximum(self, name: str) -> int:
        """Return the C address of a maximum."""
        return self._word(self._host.maxima[name])

    def entry(self, table: str, entry: str, group: int) -> tuple[int, int]:
        """Return (C address of an entry in lane 0 of a channel group, words per channel)."""
        pitch = self._segment.memory[table].pitch
        number, first = self._stretch_of(table, group)
        channel = group * self._segment.config.g - first
        return self.base(table, number) + channel * pitch + self._tables[table].entries.index(entry), pitch

    def stretches(self, table: str) -> list[tuple[int, int]]:
        """Return (number, channels) of every stretch of a channel table, in order."""
        channels = self._tables[table].channels
        most = self._stretch.get(table, channels)
        return [(number, min(most, channels - first)) for number, first in enumerate(range(0, channels, most))]

    def first_group(self, table: str, number: int) -> int:
        """Return the first channel group of a stretch."""
        return number * self._stretch.get(table, 0) // self._segment.config.g

    def _stretch_of(self, table: str, group: int) -> tuple[int, int]:
        """Number and first channel of the stretch that a channel group is in."""
        most = self._stretch.get(table)
        number = group * self._segment.config.g // most if most else 0
        return number, number * (most or 0)

    def base(self, table: str, number: int = 0) -> int:
        """Return the C address of a stretch of a channel table, loading it when it is not there."""
        key = (table, number)
        if key not in self._resident:
            for other in self._resident:
                if other[0] == table:  # what was used before it may go
                    self._resident[other].pinned = False
            region = self._segment.memory[table]
            most = self._stretch.get(table)
            first = number * (most or 0) * region.pitch
            words = min((most or 0) * region.pitch or region.size // 8, region.size // 8 - first)
            self._resident[key] = Buffer("C", self._place(table, words), words)
            self._segment.load_words("C", self._resident[key].base, region.offset + 8 * first, words)
        self._resident[key] = self._resident.pop(key)
        self._resident[key].pinned = True
        return self._resident[key].base

    def _place(self, table: str, words: int) -> int:
        while True:
            at = self._free_from
            for buffer in sorted(self._resident.values(), key=lambda b: b.base):
                if buffer.base - at >= words:
                    return at
                at = max(at, buffer.base + buffer.words)
            if self._segment.config.table_words - at >= words:
                return at
            oldest = next((name for name, buffer in self._resident.items() if not buffer.pinned), None)
            if oldest is None:
                left = self._segment.config.table_words - self._free_from
                raise CompileError(f"channel table {table} of {words} words does not fit the {left} words left in memory C")
            self._write_back(oldest)
            del self._resident[oldest]

    def scratch(self, name: str, words: int) -> int:
        """Return the C address of room for `words` words that belong to no channel table."""
        self._resident[name, 0] = Buffer("C", self._place(name, words), words)
        return self._resident[name, 0].base

    def drop(self, name: str) -> None:
        """Give the room of `scratch` back."""
        del self._resident[name, 0]

    def changed(self, table: str, group: int = 0) -> None:
        """Note that the stretch of a channel table with a channel group differs from its copy in DDR."""
        self._dirty.add((table, self._stretch_of(table, group)[0]))

    def _write_back(self, key: tuple[str, int]) -> None:
        if key in self._dirty:
            (table, number), buffer = key, self._resident[key]
            region = self._segment.memory[table]
            first = number * self._stretch.get(table, 0) * region.pitch
            self._segment.store_words("C", buffer.base, region.offset + 8 * first, buffer.words)
            self._dirty.discard(key)

    def finish_node(self, still_written: set[str], still_used: set[str]) -> None:
        """Store back tables that no later node writes; drop those that none uses."""
        for key in list(self._resident):
            self._resident[key].pinned = False
            if key[0] not in still_written and key[0] in self._stored:
                self._write_back(key)
            if key[0] not in still_used:
                del self._resident[key]
                self._dirty.discard(key)

    def store_maxima(self) -> None:
        """Store the segment's maxima to the host table."""
        for low, high in self._maxima:
            self._segment.store_words("C", self._word(low), self._segment.memory[HOST_TABLE].offset + 8 * low, high - low)


def emit_coefficient(segment: Segment, tables: Tables, step: Step, node: Coefficient) -> None:
    """Emit a scalar program over the channels of a table, a group after the other.

    A group's passes so wait for their own sums and coefficients alone.
    """
    ring, key = segment.rings["P"], (program_region(node.program),)
    length = len(step.programs[node.program])
    program = ring.find(key)
    if program is None:
        program = ring.allocate(length, key)
        segment.load_words("P", program.base, segment.memory[program_region(node.program)].offset, length)
    g, pitch = segment.config.g, segment.memory[node.table].pitch
    for number, channels in tables.stretches(node.table):
        base = tables.base(node.table, number)
        for first in range(0, channels, g):
            segment.emit(
                "coefficient", pc=program.base, length=length, ch_base=base + first * pitch, ch_count=min(g, channels - first),
                ch_stride=pitch, sc_base=tables.scalars(node.scalars),
            )
        tables.changed(node.table, tables.first_group(node.table, number))
    segment.release(program)
