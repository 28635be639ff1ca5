"""The host table keeps words whose inputs did not change, and holds what a fresh computation gives, bit for bit."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from algo_networks import PreActivation, build

from algo import scaling
from algo.export import export
from algo.sgd import Sgd
from algo.step import Coefficient
from host import host_table
from host.host_table import KEYS_AHEAD, HostTable
from hw import isa
from hw.compile_table import LINE_WORDS, node_records, table_layout


@pytest.fixture(scope="module")
def exported():
    rng = np.random.default_rng(0)
    images, labels = rng.integers(-127, 128, (8, 3, 6, 6), np.int8), rng.integers(0, 4, 8)
    return export(build(PreActivation), images, labels, -7, 8, Sgd(lr="1/10", weight_decay="1/1000", warmup=2, steps=40), 3)


def drift(state, rng):
    """Return a state as an iteration may leave it: some exponents moved, the iteration counted."""
    exponents = {name: value + rng.choice((-1, 0, 0, 0, 0, 2)) for name, value in state.exponents.items()}
    return replace(state, iteration=state.iteration + 1, exponents=exponents)


def made(table, state, images):
    """Return the words, and how many were looked for and worked out in both parts."""
    words, first = table.begin(state, images)
    rest = table.finish()
    return words, first["lookups"] + rest["lookups"], first["records"] + rest["records"]


def fresh(step, layout, state, images):
    """Return the words by the definition, all worked out anew."""
    words = np.zeros(layout.words, np.int64)
    for kind, values in (("records", scaling.records(step, state)), ("scalars", scaling.scalars(step, state, images))):
        for name, row in values.items():
            at = getattr(layout, kind)[name]
            words[at : at + len(row)] = row
    return words


def test_words_equal_a_fresh_computation_whatever_changed(exported):
    step, state, rng = exported.step, exported.state, random.Random(4)
    layout = table_layout(step)
    table = HostTable(step, layout)
    every = len(step.records) + len({word for block in step.scalars.values() for word in block})
    worked_out, looked_up, ahead = [], [], []
    for i in range(60):
        images = rng.choice((8, 8, 8, 3))
        words, looked, worked = made(table, state, images)
        assert np.array_equal(words, fresh(step, layout, state, images)), f"iteration {i}"
        worked_out.append(worked)
        looked_up.append(looked)
        ahead.append(table.prepare(state, state.iteration + 1) if i % 2 else 0)
        moved = drift(state, rng) if i % 3 else replace(state, iteration=state.iteration + 1)
        changes = {30: Sgd(lr="1/7", steps=90), 45: Sgd(lr="1/7", momentum="1/2", steps=90), 50: moved.sgd.stopped()}
        sgd = changes.get(i, moved.sgd)
        state = scaling.settle(step, replace(moved, seed=i // 20, sgd=sgd))
    assert looked_up[0] == every and worked_out[0] < every, "several are of one rule and inputs"
    assert 0 < sum(ahead) and max(ahead) < every / 2, "only what the learning rate reaches"
    assert min(looked_up) < every / 4 and sum(worked_out) < 0.6 * sum(looked_up)


def test_what_is_remembered_is_bounded(exported, monkeypatch):
    step, state, rng = exported.step, exported.state, random.Random(5)
    layout = table_layout(step)
    monkeypatch.setattr(host_table, "REMEMBERED", 1)
    table = HostTable(step, layout)
    for _ in range(40):
        assert np.array_equal(table.words(state, 8), fresh(step, layout, state, 8))
        assert len(table._known) <= 2 * len(table._entries)
        state = scaling.settle(step, drift(state, rng))


def test_nothing_is_worked_out_twice(exported):
    step, state = exported.step, replace(exported.state, sgd=Sgd(lr=Fraction(1, 10)))
    table = HostTable(step, table_layout(step))
    for images, expected in ((8, True), (8, False), (5, True), (5, False)):
        assert bool(made(table, state, images)[2]) == expected
    every = len(step.records) + len({word for block in step.scalars.values() for word in block})
    worked_out = made(table, replace(state, iteration=1, sgd=state.sgd.stopped()), 5)[2]
    assert 0 < worked_out < every / 2, "only what the learning rate reaches"


def test_the_first_segment_finds_all_its_words_before_the_others_are_made(exported):
    """What `begin` leaves lies in `rest`, away from the maxima, and nothing that the first segment uses is among it."""
    step, state = exported.step, exported.state
    layout = table_layout(step)
    table = HostTable(step, layout)
    expected = fresh(step, layout, state, 8)
    words = table.begin(state, 8)[0].copy()
    forward = step.segments[step.sequence[0].forward]
    own = [(layout.records[name], isa.RECORD_WORDS) for node in forward for name in node_records(node)]
    own += [(layout.scalars[node.scalars], len(step.scalars[node.scalars])) for node in forward if isinstance(node, Coefficient)]
    assert own
    for at, size in own:
        assert np.array_equal(words[at : at + size], expected[at : at + size])
    different = np.flatnonzero(words != expected)
    start, end = table.rest
    assert len(different) and start <= different.min() and different.max() < end
    assert end <= table.maxima_range[0] and table.maxima_range[0] % LINE_WORDS == 0
    table.finish()
    assert np.array_equal(table.begin(state, 8)[0], expected)


def test_keys_made_ahead_are_those_of_each_iteration(exported):
    step, layout = exported.step, table_layout(exported.step)
    table, calls = HostTable(step, layout), []
    for iteration in (0, 5, KEYS_AHEAD - KEYS_AHEAD // 4 - 1, KEYS_AHEAD, 2 * KEYS_AHEAD):
        state = replace(exported.state, iteration=iteration)
        assert np.array_equal(table.words(state, 8), fresh(step, layout, state, 8))
        calls.append(table.make_keys(state.seed, iteration + KEYS_AHEAD // 2))
    assert any(calls) and not all(calls)


def test_a_refused_state_leaves_no_old_words(exported):
    step, state = exported.step, exported.state
    layout = table_layout(step)
    table = HostTable(step, layout)
    table.words(state, 8)
    with pytest.raises(ValueError, match="does not fit 17 bits"):
        table.words(replace(state, exponents={**state.exponents, "conv1": -60, "conv0": 9}), 8)
    assert np.array_equal(table.words(state, 8), fresh(step, layout, state, 8))


def test_maxima_are_read_from_their_places(exported):
    layout = table_layout(exported.step)
    table = HostTable(exported.step, layout)
    assert table.maxima(np.arange(*table.maxima_range)) == layout.maxima


def test_a_threshold_reaches_its_record(exported):
    name, record = next(iter(exported.step.records.items()))
    step = replace(exported.step, records=exported.step.records | {name: replace(record, threshold=5)})
    layout = table_layout(step)
    assert np.array_equal(HostTable(step, layout).words(exported.state, 8), fresh(step, layout, exported.state, 8))
    assert HostTable(step, layout).words(exported.state, 8)[layout.records[name] + 3] == 5
