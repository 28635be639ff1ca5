"""Dependency tokens against a brute-force check: engines of random speed, every conflict looked at."""

from __future__ import annotations

import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw import isa
from hw.compile_kernel import compile_kernel
from hw.config import load_config
from hw.dependencies import predecessors
from hw.footprint import footprint
from hw.tokens import SEMAPHORE_MAX, TokenPlan

ENGINES = len(isa.ENGINES)
SPACES = ("A", "W", "acc", "ddr")


def overlap(one, other):
    """Whether two lists of regions have a word in common."""
    return any(a[0] == b[0] and a[1] < b[2] and b[1] < a[2] for a in one for b in other)


def simulate(program, masks, rng, limit):
    """Return (start, end) of every instruction; engines run in order at random speeds.

    Args:
        program: engine of each instruction; masks: its (wait, signal).

    Raises:
        AssertionError: a semaphore passes `limit`, or nothing can go on.
    """
    queues = [[i for i, e in enumerate(program) if e == engine] for engine in range(ENGINES)]
    tokens = [[0] * ENGINES for _ in range(ENGINES)]
    running, times, now = {}, {}, 0
    speeds = [rng.choice((1, 3, 30)) for _ in range(ENGINES)]
    while any(queues) or running:
        for engine in rng.sample(range(ENGINES), ENGINES):
            if engine in running or not queues[engine]:
                continue
            i = queues[engine][0]
            waits = [s for s in range(ENGINES) if masks[i][0] >> s & 1]
            if all(tokens[s][engine] for s in waits):
                for s in waits:
                    tokens[s][engine] -= 1
                queues[engine].pop(0)
                running[engine] = (i, now, now + rng.randint(1, 8) * speeds[engine])
        assert running, "deadlock"
        engine = min(running, key=lambda e: running[e][2])
        i, start, now = running.pop(engine)
        times[i] = (start, now)
        for d in range(ENGINES):
            if masks[i][1] >> d & 1:
                tokens[engine][d] += 1
                assert tokens[engine][d] <= limit
    assert not any(map(any, tokens)), "tokens are left over"
    return times


def check(program, regions, masks, seed, limit=SEMAPHORE_MAX):
    """Assert that conflicting instructions of different engines never overlap or change order."""
    rng = random.Random(seed)
    conflicts = [
        (i, j) for i, j in combinations(range(len(program)), 2)
        if program[i] != program[j]
        and (overlap(regions[i][1], regions[j][0] + regions[j][1]) or overlap(regions[i][0], regions[j][1]))
    ]
    for _ in range(4):
        times = simulate(program, masks, rng, limit)
        for i, j in conflicts:
            assert times[i][1] <= times[j][0], f"instruction {j} starts before {i} is done"
    return len(conflicts)


def plan(program, regions, limit=SEMAPHORE_MAX):
    """Return (masks, tokens taken) of a program."""
    tokens, before = TokenPlan(limit), predecessors(regions)
    taken = sum(len(tokens.add(number, engine, before[number])) for number, engine in enumerate(program))
    return tokens.masks(), taken


def draw_program(rng, count, words):
    """Return engines and (reads, writes) of random instructions."""
    def regions():
        found = []
        for _ in range(rng.randint(0, 2)):
            start = rng.randrange(words)
            found.append((rng.choice(SPACES), start, rng.randint(start + 1, words)))
        return found
    return [rng.randrange(ENGINES) for _ in range(count)], [(regions(), regions()) for _ in range(count)]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 60), st.sampled_from((4, 20, 200)))
def test_random_programs_keep_their_order(seed, count, words):
    rng = random.Random(seed)
    program, regions = draw_program(rng, count, words)
    masks, _ = plan(program, regions)
    check(program, regions, masks, seed)


@pytest.mark.parametrize("limit", (4, 9))
def test_semaphores_stay_below_their_limit(limit):
    """Loads that only the array reads, which nothing keeps from running ahead: first all, then in turn; and random programs."""
    loads, reads = ([([], [("A", i, i + 1)]) for i in range(60)], [([("A", i, i + 1)], []) for i in range(60)])
    in_turn = [r for pair in zip(loads, reads, strict=True) for r in pair]
    for program, regions in (([0] * 60 + [1] * 60, loads + reads), ([0, 1] * 60, in_turn)):
        masks, _ = plan(program, regions, limit)
        check(program, regions, masks, limit, limit)
    for seed in range(20):
        program, regions = draw_program(random.Random(seed), 80, 12)
        masks, _ = plan(program, regions, limit)
        check(program, regions, masks, seed, limit)


def test_few_tokens():
    """A second reader of the same load, and what a third engine has already waited for, take no token."""
    program = [0, 1, 1, 2, 4, 2]
    regions = [
        ([], [("A", 0, 4)]), ([("A", 0, 4)], [("acc", 0, 8)]), ([("A", 0, 4)], [("acc", 0, 8)]),
        ([("acc", 0, 8), ("A", 0, 1)], [("O", 0, 4)]), ([("O", 0, 4), ("acc", 0, 1)], []), ([("A", 0, 4)], []),
    ]
    masks, taken = plan(program, regions)
    assert taken == 3
    assert masks[1][0] == 1 and masks[2][0] == 0 and masks[3][0] == 2 and masks[5][0] == 0


@pytest.mark.parametrize("kind", ("forward", "grad_input", "grad_weight"))
def test_compiled_kernel_keeps_the_order_of_its_conflicts(kind):
    config = load_config("tiny")
    kernel = compile_kernel(kind, 3, 9, 6, 12, 9, 3, 2, 1, config)
    instructions = kernel.program.instructions("kernel")
    program = [isa.ENGINES.index(i.op) for i in instructions]
    regions = [footprint(i, config) for i in instructions]
    assert check(program, regions, [(i["wait"], i["signal"]) for i in instructions], 1) > len(program)


def test_twenty_thousand_instructions_are_planned_quickly():
    """Work per instruction does not grow with the program: a ring of tiles through all engines."""
    program, regions = [], []
    for i in range(4000):
        a, tile = i % 16 * 64, i % 2 * 128
        program += [0, 1, 2, 3, 4]
        regions += [
            ([("ddr", i * 64, i * 64 + 64)], [("A", a, a + 64)]),
            ([("A", a, a + 64)], [("acc", tile, tile + 128)]),
            ([("acc", tile, tile + 128), ("C", 0, 4)], [("acc", tile, tile + 128), ("O", tile, tile + 64)]),
            ([("C", 8, 16)], [("C", 8, 16)]),
            ([("O", tile, tile + 64)], [("ddr", 1 << 20 | i * 64, (1 << 20 | i * 64) + 64)]),
        ]
    masks, taken = plan(program, regions)
    assert len(masks) == 20_000
    assert taken < 6 * 4000


def test_limit_is_checked():
    with pytest.raises(ValueError, match="below 4"):
        TokenPlan(3)
