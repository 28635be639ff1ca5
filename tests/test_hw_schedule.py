"""The order of issue keeps every conflict's order, and fills the time in which an engine would wait."""

from __future__ import annotations

import random
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st
from test_hw_tokens import draw_program, overlap

from hw import isa
from hw.dependencies import BLOCK, predecessors
from hw.schedule import list_schedule


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 60), st.sampled_from((4, 20, 200)))
def test_conflicts_keep_their_order(seed, count, words):
    rng = random.Random(seed)
    engines, regions = draw_program(rng, count, words)
    order = list_schedule(engines, [(rng.randint(1, 50), rng.randint(0, 9)) for _ in engines], predecessors(regions))
    assert sorted(order) == list(range(count))
    at = {number: position for position, number in enumerate(order)}
    for i, j in combinations(range(count), 2):
        if overlap(regions[i][1], regions[j][0] + regions[j][1]) or overlap(regions[i][0], regions[j][1]):
            assert at[i] < at[j]


def test_an_engine_does_not_wait_for_what_comes_later():
    """Engine 1's second instruction needs a slow load; its third does not and goes first."""
    before = [set(), set(), {1}, set()]
    order = list_schedule([0, 0, 1, 1], [(5, 0), (100, 0), (10, 0), (10, 0)], before)
    assert order.index(3) < order.index(2)


def test_the_longest_way_goes_first():
    """Of two loads the one is taken first whose result a long computation waits for."""
    assert list_schedule([0, 0, 2], [(10, 0), (10, 0), (500, 0)], [set(), set(), {1}])[0] == 1


def test_loads_and_stores_share_the_memory():
    """A store beside a load is done when the memory has moved both; the array instruction behind it is not counted on before."""
    load, array, vector, store = (isa.ENGINES.index(name) for name in ("load", "array", "vector", "store"))
    engines, durations = [load, store, array, vector, vector], [(100, 0), (100, 0), (10, 0), (150, 0), (10, 0)]
    order = list_schedule(engines, durations, [set(), set(), {1}, set(), set()])
    assert order.index(4) < order.index(2)


def test_predecessors_of_reads_and_writes():
    a, b = ("A", 0, 4), ("A", 2, 6)
    found = predecessors([([], [a]), ([a], []), ([a], []), ([], [b]), ([("A", 5, 6)], []), ([("A", 0, 1)], [])])
    assert [set(one) for one in found] == [set(), {0}, {0}, {0, 1, 2}, {3}, {0}]


def test_predecessors_of_regions_in_several_blocks():
    """Regions as many times as large have the same conflicts."""
    _, regions = draw_program(random.Random(4), 60, 20)
    larger = [tuple([(space, start * 50_000, end * 50_000) for space, start, end in side] for side in one) for one in regions]
    assert max(end - start for one in larger for side in one for _, start, end in side) > 3 * BLOCK
    assert list(map(set, predecessors(larger))) == list(map(set, predecessors(regions)))
