"""Methods on the emulator: a dropped mini-batch changes no bit but moves schedule and noise on; a course can be resumed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from algo import scaling
from algo.emulator import Emulator
from algo.policies.method import Method
from algo.recipe import load_recipe
from algo.trainer import Trainer

RECIPE = dataclasses.replace(load_recipe("digits"), steps=16, batch=8)
EXPORTED, IMAGES = RECIPE.export(0)
DRAW = RECIPE.batches(IMAGES, 0).draw


def trainer(method: str = "smd", settings: dict | None = None) -> Trainer:
    emulator = Emulator(EXPORTED.step, EXPORTED.tensors, EXPORTED.state)
    return Trainer(emulator, Method.from_settings(method, settings).begin(0, RECIPE.steps))


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_a_dropped_iteration_leaves_every_weight_and_moves_the_schedule():
    run = trainer()
    next(run.train(DRAW))
    before, state = run.tensors(), run.state
    run.skip_to(state.iteration + 5)
    assert same(before, run.tensors())
    now = run.state
    assert now.iteration == state.iteration + 5 and now.sgd.rate(now.iteration) != state.sgd.rate(state.iteration)
    changed = {name for name in state.exponents if now.exponents[name] != state.exponents[name]}
    assert all(name.endswith(".momentum") for name in changed), "only what the learning rate needs may move"


def test_executed_iterations_are_the_drawn_ones_with_their_own_noise_and_rate():
    run = trainer()
    numbers = [done.decision.iteration for done in run.train(DRAW)]
    assert numbers == [i for i in range(RECIPE.steps) if run.course.executes(i)]
    assert 0 < len(numbers) == run.course.executed_count < RECIPE.steps
    # The same mini-batches as consecutive iterations have other noise and other rates: not the same weights.
    plain = Emulator(EXPORTED.step, EXPORTED.tensors, EXPORTED.state)
    for number in numbers:
        plain.train_step(*DRAW(number))
    assert not same(plain.tensors(), run.tensors())
    by_hand = Emulator(EXPORTED.step, EXPORTED.tensors, EXPORTED.state)
    for number in numbers:
        by_hand.state = scaling.settle(by_hand.step, dataclasses.replace(by_hand.state, iteration=number))
        by_hand.train_step(*DRAW(number))
    assert same(by_hand.tensors(), run.tensors())


def test_smd_that_drops_nothing_is_plain_training():
    with_method, plain = trainer("smd", {"smd": {"drop": 0}}), trainer("plain")
    assert len(list(with_method.train(DRAW))) == len(list(plain.train(DRAW))) == RECIPE.steps
    assert same(with_method.tensors(), plain.tensors())


def test_time_does_not_go_back():
    run = trainer("plain")
    next(run.train(DRAW))
    with pytest.raises(ValueError, match="iteration 0 is asked for, but 1 is the one to come"):
        run.skip_to(0)
