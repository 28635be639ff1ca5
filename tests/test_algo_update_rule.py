"""Updates by signs: which weights, exact signs, weight decay that does not round away, and errors."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from algo_networks import Pooled, build

from algo import scaling
from algo.arithmetic import coarse, dither, nearest
from algo.data import random_images
from algo.emulator import Emulator
from algo.export import build_step, export, lower
from algo.float_check import check
from algo.scaling import State
from algo.sgd import Sgd
from algo.step import Step, Update
from algo.train import export_digits, train
from algo.update_rule import UpdateRule, UpdateRuleError

SHAPE = (3, 11, 11)


def _updates(step):
    return {node.weight: node for node in step.segments["backward"] if isinstance(node, Update)}


def _exported(sgd, update="sign", count=8):
    data = random_images(1, SHAPE, count, 0, 4)
    return export(build(Pooled), data.train, data.train_labels, data.exponent, count, sgd, seed=2, update=update), data


def test_convolutions_take_signs_and_the_classifier_where_it_is_asked_for():
    taken = {
        rule: {weight for weight, node in _updates(build_step(build(Pooled), SHAPE, 4, rule)).items() if node.record_s}
        for rule in (UpdateRule(), UpdateRule("sign"), UpdateRule("sign", linear=True))
    }
    assert list(taken.values()) == [set(), {"conv1.weight", "conv2.weight"}, {"conv1.weight", "conv2.weight", "linear.weight"}]


def test_every_sign_is_that_of_the_whole_sum_and_exact_in_the_momentum():
    exported, data = _exported(Sgd())
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    emulator.train_step(data.train, data.train_labels)
    plain = Emulator(*(lambda e: (e.step, e.tensors, e.state))(_exported(Sgd(), "gradient")[0]))
    plain.train_step(data.train, data.train_labels)
    for weight in ("conv1.weight", "conv2.weight"):
        momentum, exponent = emulator.value(f"{weight}.momentum"), exported.state.exponents[f"{weight}.momentum"]
        assert -16 <= exponent <= 0
        assert set(np.unique(momentum)) == {-(1 << -exponent), 1 << -exponent}
        large = np.abs(plain.value(f"{weight}.momentum")) > 8
        assert large.mean() > 0.9
        np.testing.assert_array_equal(np.sign(momentum)[large], np.sign(plain.value(f"{weight}.momentum"))[large])


def test_a_momentum_of_signs_begins_where_the_smallest_weights_can_take_it():
    """A sign of exponent 0 beside masters of 2^-24 would need a coefficient of more than 17 bits."""
    module = build(Pooled)
    with torch.no_grad():
        module.conv2.weight.mul_(1e-3)
    data = random_images(1, SHAPE, 4, 0, 4)
    exported = export(module, data.train, data.train_labels, data.exponent, 4, Sgd(lr="1/10"), update="sign")
    assert exported.state.exponents["conv2.weight.master"] < -26
    assert exported.state.exponents["conv2.weight.momentum"] == -16


def test_every_layer_is_as_float64_autograd_has_it():
    exported, data = _exported(Sgd(), UpdateRule("sign", linear=True))
    lowering = lower(build(Pooled), SHAPE, 8, UpdateRule("sign", linear=True))
    found = check(lowering, exported, data.train, data.train_labels)
    assert min(found.values()) >= 0.99
    assert [found[f"{name} weight gradient"] for name in ("conv1", "conv2", "linear")] == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("decay", ["1/10000", "1/2000", "3/100"])
def test_a_spread_weight_decay_is_exact_in_the_mean(decay):
    exported, _ = _exported(Sgd(lr="3/100", weight_decay=decay))
    for weight in ("conv1.weight", "conv2.weight"):
        exponents = exported.state.exponents | {f"{weight}.momentum.previous": exported.state.exponents[f"{weight}.momentum"]}
        exact = Fraction(decay) * Fraction(2) ** (exponents[f"{weight}.master"] - exponents[f"{weight}.momentum"])
        state = replace(exported.state, exponents=exponents)
        total, iterations = Fraction(0), 500
        for i in range(iterations):
            word, shift = scaling.record_numbers(exported.step.records[f"{weight}.t"], replace(state, iteration=i))
            kept, decayed = scaling.unpack_coefficients(word)
            total += Fraction(decayed, 1 << shift)
            assert Fraction(kept, 1 << shift) == pytest.approx(0.9, rel=1e-4)
        assert abs(total - iterations * exact) <= Fraction(1, 1 << shift)


def test_weights_without_gradient_decay_as_in_floats():
    """Without signs that dither it, a momentum of 65 units stops up to 5 of them short, where a tenth of it rounds to 0."""
    exported, data = _exported(Sgd(lr="3/100", weight_decay="1/1000"))
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    weight, iterations = "conv2.weight", 150
    exponent = exported.state.exponents[f"{weight}.master"]
    first = np.ldexp(exported.tensors[f"{weight}.master"].astype(float), exponent)
    w, m = first.copy(), np.zeros_like(first)
    for _ in range(iterations):
        emulator.forward(data.train)
        emulator.loss(data.train_labels)
        emulator.values[emulator.step.logits_grad].zero_()
        emulator.backward()
        emulator.advance()
        m = 0.9 * m + w / 1000
        w -= 0.03 * m
    lost = first - np.ldexp(emulator.value(f"{weight}.master").astype(float), exponent)
    assert np.linalg.norm(first - w) > 0.03 * np.linalg.norm(first)
    assert np.linalg.norm(lost - (first - w)) < 5 / 65 * np.linalg.norm(first - w)


@pytest.mark.parametrize("rule", ["sign", "psg_abstain"])
def test_digits_are_learned_by_signs_and_no_master_saturates(rule):
    exported, data = export_digits(seed=0, steps=60, update=rule)
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    train(emulator, data, 60)
    assert emulator.evaluate(data.test, data.test_labels) >= 0.9
    for weight, node in _updates(exported.step).items():
        saturated = np.abs(emulator.value(f"{weight}.master")) == (1 << 23) - 1
        assert saturated.mean() < (0.02 if node.record_s else 1e-9), weight


def test_a_step_from_before_signs_is_read_and_one_with_signs_survives_its_json():
    step = build_step(build(Pooled), SHAPE, 4, "sign")
    assert Step.from_json(json.loads(json.dumps(step.to_json()))) == step
    plain = build_step(build(Pooled), SHAPE, 4)
    old = plain.to_json()
    for nodes in old["segments"].values():
        for node in nodes:
            node.pop("record_s", None)
    assert Step.from_json(json.loads(json.dumps(old))) == plain


def _predicted(emulator, node):
    """The predictor's product, from the definition: int64 (k, c, kh, kw)."""
    product = node.product
    x, g = (emulator.value(name).astype(np.int64) for name in (product.a, product.b))
    x = nearest(x, product.a_drop)
    image, _, row, column = np.ogrid[: g.shape[0], : g.shape[1], : g.shape[2], : g.shape[3]]
    g = coarse(g, product.b_drop, dither(image, row, column, product.b_drop))
    x, g = (torch.tensor(one.astype(np.float64)) for one in (x, g))
    shape = emulator.step.weights[node.weight].stored_shape
    product = torch.nn.grad.conv2d_weight(x, shape, g, node.product.stride, node.product.pad)
    return product.round().long().numpy().reshape(emulator.step.weights[node.weight].shape)


def test_signs_are_those_that_pass_the_share_of_the_largest_before():
    rule = UpdateRule("psg_abstain", beta="1/8")
    exported, data = _exported(Sgd(momentum=0), rule)
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    node = _updates(exported.step)["conv2.weight"]
    assert (node.level, exported.step.levels[node.level]) == ("conv2.weight.predicted", ("pool1", "conv2.grad"))
    before, abstained = exported.state.levels[node.level], []
    for i in range(4):
        exponents = emulator.state.exponents
        emulator.forward(data.train)
        emulator.loss(np.roll(data.train_labels, i))
        emulator.backward()
        p = _predicted(emulator, node) >> node.su
        unit = exponents["pool1"] + exponents["conv2.grad"]
        tau = max(Fraction(before[0], 8) * Fraction(2) ** (before[1] - unit), Fraction(1))
        expected = np.where(np.abs(p) >= tau, np.sign(p), 0)
        momentum = emulator.value("conv2.weight.momentum")
        np.testing.assert_array_equal(momentum, expected << -exponents["conv2.weight.momentum"])
        abstained.append((expected == 0).mean())
        emulator.advance()
        before = emulator.state.levels[node.level]
        assert before == (np.abs(p).max(), unit)
    assert 0.05 < min(abstained) and max(abstained) < 0.95


def test_a_gradient_of_zeros_leaves_the_level_as_it_was():
    exported, data = _exported(Sgd(), "psg_abstain")
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    emulator.forward(data.train)
    emulator.loss(data.train_labels)
    emulator.values[emulator.step.logits_grad].zero_()
    emulator.maxima[emulator.step.logits_grad] = 0
    emulator.backward()
    emulator.advance()
    assert emulator.state.levels == exported.state.levels and min(level for level, _ in emulator.state.levels.values()) > 0
    assert not emulator.value("conv2.weight.momentum").any()


def test_a_predictor_takes_the_bits_it_is_given():
    dropped = {}
    for bits in ((4, 3), (2, 8), (7, 2), (8, 8)):
        step = build_step(build(Pooled), SHAPE, 4, UpdateRule("psg_abstain", x_bits=bits[0], g_bits=bits[1]))
        dropped[bits] = [(node.product.a_drop, node.product.b_drop) for node in _updates(step).values()]
    # In the order of execution backwards: the classifier is not predicted, conv2 reads a pool behind a ReLU, conv1 images.
    assert dropped == {
        (4, 3): [(0, 0), (3, 5), (4, 5)], (2, 8): [(0, 0), (5, 0), (6, 0)], (7, 2): [(0, 0), (0, 6), (1, 6)],
        (8, 8): [(0, 0), (0, 0), (0, 0)],
    }


def test_without_a_threshold_every_predicted_sign_is_taken():
    exported, data = _exported(Sgd(momentum=0), UpdateRule("psg_abstain", beta=0))
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    emulator.train_step(data.train, data.train_labels)
    assert exported.step.levels == {} and exported.state.levels == {}
    taken = np.sign(_predicted(emulator, _updates(exported.step)["conv2.weight"]))
    np.testing.assert_array_equal(np.sign(emulator.value("conv2.weight.momentum")), taken)


def test_levels_are_part_of_a_state_and_a_state_from_before_them_is_read():
    exported, _ = _exported(Sgd(), "psg_abstain")
    assert set(exported.state.levels) == set(exported.step.levels) == {"conv1.weight.predicted", "conv2.weight.predicted"}
    assert State.from_json(json.loads(json.dumps(exported.state.to_json()))) == exported.state
    assert Step.from_json(json.loads(json.dumps(exported.step.to_json()))) == exported.step
    old = replace(exported.state, levels={})
    assert "levels" not in old.to_json() and State.from_json(old.to_json()) == old


@pytest.mark.parametrize(("settings", "said"), [
    ({"kind": "signs"}, "update rule 'signs': it is one of gradient, sign, psg_abstain"),
    ({"x_bits": 1}, "x_bits 1 of an update rule: it is a whole number from 2 to 8"),
    ({"g_bits": 4.0}, "g_bits 4.0 of an update rule: it is a whole number from 2 to 8"),
    ({"g_bits": 10}, "g_bits 10 of an update rule: it is a whole number from 2 to 8"),
    ({"g_bits": 17, "gradient_bits": 16}, "g_bits 17 of an update rule: it is a whole number from 2 to 16"),
    ({"gradient_bits": 12}, "gradient_bits 12 of an update rule: output gradients have 8 or 16 bits, a whole number"),
    ({"gradient_bits": 16.0}, "gradient_bits 16.0 of an update rule: output gradients have 8 or 16 bits, a whole number"),
    ({"beta": "1/0"}, "beta '1/0' of an update rule: it is a number or a fraction such as 1/20"),
    ({"beta": 1}, "beta 1 of an update rule: it is from 0 to below 1"),
])  # fmt: skip
def test_what_a_rule_may_not_say_is_one_sentence(settings, said):
    with pytest.raises(UpdateRuleError) as refused:
        UpdateRule(**settings)
    assert str(refused.value) == said
