"""Methods on the emulator: a dropped mini-batch changes no bit but moves schedule and noise on; a course can be resumed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from algo import scaling
from algo.averaging import averaged_names
from algo.emulator import Emulator
from algo.policies.method import Method
from algo.recipe import load_recipe
from algo.scaling import State
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


AVERAGED = {"swa": {"start": "1/4", "every": 2, "settle": 3}}


def test_the_average_is_exact_is_put_in_place_and_stays(monkeypatch):
    run, kept = trainer("swa", AVERAGED), []
    true = run.course.average.add
    monkeypatch.setattr(run.course.average, "add", lambda values: (kept.append(values), true(values)))
    masters, entries = averaged_names(EXPORTED.step)
    for done in run.train(DRAW):
        if done.decision.settles:
            now = run.emulator.parameters()
            for name, value in now.items():
                expected = np.floor(np.mean([one[name] for one in kept], axis=0) + 0.5)
                np.testing.assert_array_equal(value, expected, err_msg=name)
        last = done.decision
    assert len(kept) == 5 and last.settles and len(masters) > 2 and len(entries) > 2
    exponents = run.state.exponents
    for weight in EXPORTED.step.weights:
        real = np.ldexp(now[f"{weight}.master"].astype(float), exponents[f"{weight}.master"])
        stored = np.ldexp(run.emulator.value(weight).astype(float), exponents[weight])
        assert np.abs(real - stored).max() <= 2.0 ** (exponents[weight] - 1), "int8 weights are those of the average"


def test_settling_moves_the_running_statistics_and_no_parameter():
    run, seen = trainer("swa", AVERAGED), []
    for done in run.train(DRAW):
        if done.decision.settles:
            seen.append((run.emulator.parameters(), run.tensors()))
    assert len(seen) == 3
    (first, before), *_, (last, after) = seen
    assert same(first, last) and not same(before, after)


def largest(run: Trainer, role: str) -> int:
    """The largest magnitude that a product has read."""
    step = EXPORTED.step
    nodes = [node for name in ("forward", "backward") for node in step.segments[name] if getattr(node, "product", None)]
    products = [node.product for node in nodes if node.product.kind in ("forward", "grad_input", "grad_weight")]
    read = {name for one in products for name in (one.a, one.b) if name in step.tensors and name != step.input}
    names = [name for name in read if step.tensors[name].role == role]
    assert len(names) > 4
    return max(int(np.abs(run.emulator.value(name).astype(int)).max()) for name in names)


@pytest.mark.parametrize("bits", [(8, 8), (4, 6), (3, 5)])
def test_operands_take_the_bits_of_the_schedule_and_no_more(bits):
    run = trainer("static", {"static": {"forward": bits[0], "backward": bits[1]}})
    found = [(largest(run, "activation"), largest(run, "gradient")) for _ in run.train(DRAW)]
    signed = (1 << bits[0] - 1) - 1
    limits = min((1 << bits[0]) - 1, 127), (1 << bits[1] - 1) - 1  # all activations that products read are of ReLUs
    weights = max(int(np.abs(run.emulator.value(name).astype(int)).max()) for name in EXPORTED.step.weights)
    assert signed / 2 <= weights <= signed + 1
    for which in (0, 1):
        used = sorted(one[which] for one in found)
        assert limits[which] / 2 <= used[len(used) // 2] <= 2 * limits[which] + 1, "most maxima fill the bits, within one"


def test_cyclic_precision_trains_and_comes_back_from_json():
    run = trainer("cpt", {"cpt": {"lowest": 3, "periods": 2}})
    bits = []
    for done in run.train(DRAW):
        bits.append(run.state.bits)
        assert State.from_json(run.state.to_json()) == run.state and done.decision.bits == run.state.bits
    assert [forward for forward, _ in bits] == [3, 3, 4, 5, 6, 6, 7, 8] * 2
    assert "bits" not in EXPORTED.state.to_json()
