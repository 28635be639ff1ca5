"""Gradients of 16 bits in two int8 tensors: how near they are to float64, what a predictor takes of them, what has none."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from algo_networks import Pooled, PreActivation, build

from algo.arithmetic import coarse, dither, nearest, split16
from algo.data import random_images
from algo.emulator import Emulator
from algo.export import build_step, export, lower
from algo.float_check import check
from algo.loss import cross_entropy
from algo.models import resnet8
from algo.models_cifar import mobilenet_v2
from algo.sgd import Sgd
from algo.step import Product, Step, Update, low_name
from algo.train import export_digits, train
from algo.update_rule import UpdateRule

TWO_BYTES = UpdateRule(gradient_bits=16)
PAPERS = UpdateRule("psg_abstain", g_bits=10, gradient_bits=16)
NETWORKS = {
    "pools, biases": (lambda: build(Pooled), (3, 11, 11), 12),
    "pre-activation": (lambda: build(PreActivation), (3, 10, 9), 12),
    "ResNet-8": (lambda: resnet8(0), (3, 32, 32), 4),
    "depthwise": (lambda: mobilenet_v2(0), (3, 32, 32), 4),
}


def exported_of(network, rule=TWO_BYTES, **sgd):
    make, shape, batch = NETWORKS[network]
    data = random_images(1, shape, batch, 0, 4)
    return export(make(), data.train, data.train_labels, data.exponent, batch, Sgd(**sgd), update=rule), data


def distances(network, rule):
    """1 - cosine of every gradient of a network with float64 autograd of the same operands."""
    make, shape, batch = NETWORKS[network]
    exported, data = exported_of(network, rule)
    found = check(lower(make(), shape, batch, rule), exported, data.train, data.train_labels)
    return {name: 1 - cosine for name, cosine in found.items() if "gradient" in name or name.endswith("loss_grad")}


@pytest.mark.parametrize(("network", "times"), [
    ("pools, biases", 1000), ("pre-activation", 1000), ("ResNet-8", 1000), ("depthwise", 50),
])  # fmt: skip
def test_gradients_are_nearer_to_float64_by_8_bits(network, times):
    """Errors 2^-8, so 1 - cosine 2^-16 of int8's. Less is asked, since batch norms' coefficients have as many bits as ever,
    and masks of numbers near zero, which MobileNetV2 of four images has many of, differ from float64's in both."""
    ours, int8 = distances(network, TWO_BYTES), distances(network, UpdateRule())
    assert ours.keys() == int8.keys() and len(ours) > 10
    assert sum(ours.values()) < sum(int8.values()) / times


def test_both_bytes_carry_the_gradient_and_low_ones_use_all_of_theirs():
    exported, data = exported_of("ResNet-8")
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    emulator.train_step(data.train, data.train_labels)
    gradients = [name for name in exported.step.tensors if low_name(name) in exported.step.tensors]
    assert len(gradients) == 20
    low = np.concatenate([emulator.value(low_name(name)).ravel() for name in gradients])
    assert low.min() == -128 and low.max() == 127
    assert {exported.step.limits[name] for name in gradients} == {32639}
    for name in gradients:
        largest = np.abs(256 * emulator.value(name).astype(int) + emulator.value(low_name(name))).max()
        assert largest <= 32640


def test_the_gradient_of_the_logits_has_16_bits():
    rng = np.random.default_rng(0)
    logits, labels = rng.integers(-127, 128, (8, 10)), rng.integers(0, 10, 8)
    leaf = torch.tensor(logits * 2.0**-4, requires_grad=True)
    torch.nn.functional.cross_entropy(leaf, torch.tensor(labels)).backward()
    found = cross_entropy(logits, labels, -4, -9, None, 16)
    high, low = found.bytes
    assert found.gradient.dtype == np.int16 and high.dtype == low.dtype == np.int8
    np.testing.assert_array_equal(256 * high.astype(int) + low, found.gradient)
    np.testing.assert_allclose(found.gradient * 2.0**-17, leaf.grad.numpy(), rtol=0, atol=0.5001 * 2.0**-17)
    assert cross_entropy(logits, labels, -4, -9, None).bytes[0].dtype == np.int8


def test_a_gradient_of_the_logits_that_does_not_fit_saturates_and_its_maximum_says_so():
    logits, labels = np.array([[127, -127]]), np.array([1])
    found = cross_entropy(logits, labels, -3, -7, None, 16)
    assert found.maximum == 1 << 15 and found.gradient.tolist() == [[32639, -32640]]
    assert [byte.tolist() for byte in found.bytes] == [[[127, -127]], [[127, -128]]]


def of_predictor(emulator, node):
    """The predictor's product by its definition, high and low: int64 (k, c, kh, kw)."""
    found = []
    for one in node.product.all:
        x, g = (emulator.value(name).astype(np.int64) for name in (one.a, one.b))
        image, _, row, column = np.ogrid[: g.shape[0], : g.shape[1], : g.shape[2], : g.shape[3]]
        g = coarse(g, one.b_drop, dither(image, row, column, one.b_drop))
        x, g = (torch.tensor(each.astype(np.float64)) for each in (nearest(x, one.a_drop), g))
        shape = emulator.step.weights[node.weight].stored_shape
        found.append(torch.nn.grad.conv2d_weight(x, shape, g, one.stride, one.pad).round().long().numpy())
    return found


def test_signs_are_those_of_the_papers_predictor():
    """4 bits of activations, 10 of 16-bit gradients: s = sign(p) where |p| >= tau, of the sums over both bytes."""
    exported, data = exported_of("pools, biases", PAPERS, momentum=0)
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    (node,) = (n for n in exported.step.segments["backward"] if isinstance(n, Update) and n.weight == "conv2.weight")
    assert [(one.a_drop, one.b_drop) for one in node.product.all] == [(3, 0), (3, 6)]
    emulator.forward(data.train)
    emulator.loss(data.train_labels)
    emulator.backward()
    high, low = of_predictor(emulator, node)
    # Halves to 24 bits, rounded with ties up, and the low sums 2^-9 of them: see algo.gradient_updates.
    p = ((high >> node.su) + 1 >> 1) * 512 + (low >> node.su)
    p = p + 256 >> 9
    largest, exponent = exported.state.levels[node.level]
    assert exponent == exported.state.exponents["pool1"] + exported.state.exponents["conv2.grad"]
    expected = np.where(np.abs(p) >= max(largest / 20, 1), np.sign(p), 0)
    momentum = emulator.value("conv2.weight.momentum")
    np.testing.assert_array_equal(momentum, expected << -exported.state.exponents["conv2.weight.momentum"])
    assert 0.05 < (expected == 0).mean() < 0.95 and emulator.maxima[node.level] == np.abs(p).max()


def test_a_predictor_of_fewer_bits_than_a_byte_reads_no_low_bytes():
    products = {}
    for g_bits in (4, 8, 9, 16):
        rule = UpdateRule("psg_abstain", g_bits=g_bits, gradient_bits=16)
        nodes = build_step(build(Pooled), (3, 11, 11), 4, rule).segments["backward"]
        (product,) = (n.product for n in nodes if isinstance(n, Update) and n.weight == "conv2.weight")
        products[g_bits] = [(one.b, one.b_drop) for one in product.all]
    assert products == {
        4: [("conv2.grad", 4)], 8: [("conv2.grad", 0)], 9: [("conv2.grad", 0), ("conv2.grad.low", 7)],
        16: [("conv2.grad", 0), ("conv2.grad.low", 0)],
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "operands"), [
    ("grad_input", [("g", "w"), ("low", "w")]), ("sum_backward", [("g", "w"), ("low", "w")]),
    ("grad_weight", [("g", "w"), ("g", "low")]),
])  # fmt: skip
def test_the_array_multiplies_each_byte_with_the_same_operand(kind, operands):
    product = Product(kind, "g", "w", (3, 3), 1, (1, 1), (4, 5, 5), (4, 5, 5), low="low", low_drop=2 * (kind == "grad_weight"))
    assert [(one.a, one.b) for one in product.all] == operands
    assert [one.b_drop for one in product.all] == [0, product.low_drop] and not any(one.low for one in product.all)


@pytest.mark.parametrize("rule", [TWO_BYTES, PAPERS], ids=["gradient", "4/10"])
def test_digits_are_learned(rule):
    exported, data = export_digits(seed=0, steps=60, update=rule)
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    train(emulator, data, 60)
    assert emulator.evaluate(data.test, data.test_labels) >= 0.9


def test_fewer_bits_forward_leave_gradients_their_16():
    exported, data = exported_of("ResNet-8")
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    emulator.skip_to(1, (4, 8))
    for _ in range(3):
        emulator.train_step(data.train, data.train_labels)
    for name in exported.step.tensors:
        if low_name(name) in exported.step.tensors:
            gradient = 256 * emulator.value(name).astype(int) + emulator.value(low_name(name))
            assert np.abs(gradient).max() > 1 << 12, name
    assert np.abs(emulator.value("blocks.0.bn1")).max() <= 2 * 15, "four bits, without a sign, and growth within an iteration"


def test_a_step_survives_its_json():
    step = build_step(build(Pooled), (3, 11, 11), 4, PAPERS)
    assert Step.from_json(json.loads(json.dumps(step.to_json()))) == step and step.gradient_bits == 16


def test_split16_of_a_tensor_and_of_an_array_agree():
    y = np.arange(-40000, 40000, 7)
    for one, other in zip(split16(y), split16(torch.tensor(y)), strict=True):
        np.testing.assert_array_equal(one, other.numpy())
