"""Rings of scratchpad words, and channel tables that share memory C."""

from __future__ import annotations

import random

import pytest

from algo.step import ChannelTable, Compute, Pass
from hw import isa
from hw.compile_table import TableLayout, Tables
from hw.config import load_config
from hw.emit import Segment
from hw.memory_map import MemoryMap
from hw.scratchpad import CompileError, Ring

TINY = load_config("tiny")


def test_words_are_handed_out_in_a_circle():
    ring = Ring("A", 100)
    bases = []
    for _ in range(4):
        buffer = ring.allocate(40)
        bases.append(buffer.base)
        buffer.pinned = False
    assert bases == [0, 40, 0, 40]


def test_pinned_words_are_never_given_away():
    rng, ring, pinned = random.Random(2), Ring("A", 100), []
    for i in range(400):
        if len(pinned) > 3 or rng.random() < 0.3 and pinned:
            pinned.pop(rng.randrange(len(pinned))).pinned = False
        try:
            buffer = ring.allocate(rng.randint(1, 30), ("x", i))
        except CompileError:
            continue
        assert 0 <= buffer.base and buffer.base + buffer.words <= 100
        for other in pinned:
            assert buffer.base >= other.base + other.words or other.base >= buffer.base + buffer.words
        pinned.append(buffer)


def test_what_is_still_there_is_found():
    ring = Ring("A", 100)
    first = ring.allocate(60, ("x", 1))
    first.pinned = False
    assert ring.find(("x", 1)) is first and first.pinned
    ring.forget("y")
    assert ring.find(("x", 1)) is first
    ring.forget("x")
    assert ring.find(("x", 1)) is None
    first.pinned = False
    second = ring.allocate(60, ("x", 2))
    assert second.base == 0 and ring.find(("x", 1)) is None


def test_a_full_memory_says_so():
    ring = Ring("W", 64)
    ring.allocate(40)
    with pytest.raises(CompileError, match="memory W of 64 words cannot hold 30 more beside 40 in use"):
        ring.allocate(30)


def transfers(segment):
    return [(i.op, i["addr"]) for i in segment.instructions if i["mem"] == isa.MEMORY_NUMBER["C"]]


def test_tables_that_do_not_fit_together_are_stored_back_and_loaded_again():
    memory = MemoryMap(TINY.g)
    tables = {name: ChannelTable(name, 40, tuple("abcdefghij")) for name in ("one", "two", "three")}
    for name in tables:
        memory.add(name, "table", (40, 10), 10)
    segment = Segment(TINY, memory, 1)
    held = Tables(segment, TableLayout({}, {}, {}, 1), tables, stored=frozenset(tables))
    one, two, three = (memory[name].offset for name in tables)
    assert held.base("one") == 0 and held.base("two") == 400
    held.changed("one")
    held.finish_node({"one"}, set(tables))
    held.base("three")
    held.finish_node({"one"}, set(tables))
    assert held.base("one") == 400
    held.finish_node({"one"}, {"one", "three"})
    held.finish_node(set(), set())
    assert transfers(segment) == [("load", one), ("load", two), ("store", one), ("load", three), ("load", one)]


def test_a_table_that_does_not_fit_is_held_in_stretches():
    """Words 0 to 1023, 100 channels of 20 words: alone whole groups of 51 channels or less, beside another of 17 or less."""
    memory, tables = MemoryMap(TINY.g), {name: ChannelTable(name, 100, tuple("abcdefghijklmnopqrst")) for name in ("one", "two")}
    for name in tables:
        memory.add(name, "table", (100, 20), 20)
    segment = Segment(TINY, memory, 1)
    held = Tables(segment, TableLayout({"r": 0}, {}, {}, 4), tables, stored=frozenset(tables))
    memory.add("host_table", "words", (4,))
    alone = Compute("alone", (100, 1, 1), (Pass("x", "", "x", "r", table="one"),))
    held.load_host((alone,))
    assert held.stretches("one") == [(0, 48), (1, 48), (2, 4)] and held.stretches("two") == [(0, 100)]
    both = Compute("both", (100, 1, 1), (Pass("x", "", "x", "r", table="one", sums="square", sums_table="two"),))
    held = Tables(segment, TableLayout({"r": 0}, {}, {}, 4), tables, stored=frozenset(tables))
    segment.instructions.clear()
    held.load_host((alone, both))
    one, two = memory["one"].offset, memory["two"].offset
    assert held.stretches("one")[:2] == held.stretches("two")[:2] == [(0, 16), (1, 16)]
    assert held.stretches("one")[-1] == (6, 4)
    assert held.entry("one", "c", 3) == (4 + 12 * 20 + 2, 20)
    assert held.entry("two", "a", 3) == (324 + 12 * 20, 20)
    held.changed("two", 3)
    assert held.entry("one", "c", 4) == (644 + 2, 20)
    assert held.entry("two", "a", 4)[0] == 4
    assert held.entry("one", "a", 24)[0] == 324
    held.finish_node({"one"}, set(tables))
    held.finish_node(set(), set())
    assert transfers(segment) == [
        ("load", memory["host_table"].offset), ("load", one), ("load", two), ("load", one + 16 * 160),
        ("load", two + 16 * 160), ("store", two), ("load", one + 96 * 160),
    ]  # fmt: skip
