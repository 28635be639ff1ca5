"""Depthwise convolutions: the three products against torch, the exported step, every layer against autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from algo_networks import build
from depthwise_networks import SHAPES, Depthwise, Inverted
from torch import nn

from algo import products
from algo.data import random_images
from algo.export import build_step, export, lower
from algo.float_check import check
from algo.graph import ExportError
from algo.sgd import Sgd
from algo.step import Product, Step, Update
from measurements.ledger_macs import product_macs

GEOMETRY = [((3, 3), 1, (1, 1), (9, 7)), ((3, 5), 2, (1, 2), (9, 8)), ((1, 1), 3, (0, 0), (4, 7)), ((4, 2), 2, (0, 1), (6, 5))]


@pytest.mark.parametrize("kernel, stride, pad, size", GEOMETRY)
def test_products_are_those_of_a_grouped_convolution(kernel, stride, pad, size):
    rng = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randint(-127, 128, shape, generator=rng, dtype=torch.int8)

    x, w = draw(4, 5, *size), draw(5, 1, *kernel)
    leaves = [one.double().requires_grad_() for one in (x, w)]
    y = F.conv2d(*leaves, None, stride, pad, groups=5)
    g = draw(*y.shape)
    y.backward(g.double())
    shapes = ((5, *size), tuple(y.shape[1:]), True)
    for kind, a, b, expected in [
        ("forward", x, w, y.detach()), ("grad_input", g, w, leaves[0].grad), ("grad_weight", x, g, leaves[1].grad),
    ]:  # fmt: skip
        found = products.compute(Product(kind, "a", "b", kernel, stride, pad, *shapes), a, b)
        assert found.dtype == torch.int32 and torch.equal(found.double(), expected)


def test_the_largest_sums_are_exact():
    """127 * 127 * taps, and over a mini-batch past float32's 24 bits."""
    x, w = torch.full((64, 2, 32, 32), 127, dtype=torch.int8), torch.full((2, 1, 3, 3), -127, dtype=torch.int8)
    shapes = ((2, 32, 32), (2, 32, 32), True)
    found = products.compute(Product("grad_weight", "x", "g", (3, 3), 1, (1, 1), *shapes), x, x)
    assert int(found[1, 0, 1, 1]) == 64 * 32 * 32 * 127 * 127
    assert int(products.compute(Product("forward", "x", "w", (3, 3), 1, (1, 1), *shapes), x, w)[3, 1, 5, 5]) == -9 * 127 * 127


def test_a_step_knows_its_depthwise_weights_and_survives_json():
    step = build_step(build(Depthwise), SHAPES[Depthwise], 4)
    shapes = {name: weight.shape for name, weight in step.weights.items() if weight.depthwise}
    assert shapes == {
        "first.weight": (3, 1, 3, 3), "biased.weight": (6, 1, 3, 3), "strided.weight": (6, 1, 3, 5), "point.weight": (6, 1, 1, 1),
    }  # fmt: skip
    assert step.fold is None
    updates = [node for node in step.segments["backward"] if isinstance(node, Update)]
    assert {node.weight for node in updates if node.product.depthwise} == set(shapes)
    assert Step.from_json(step.to_json()) == step
    strided = next(node.product for node in updates if node.weight == "strided.weight")
    assert product_macs(strided, 2) == 2 * 6 * 5 * 4 * 15


@pytest.mark.parametrize("kind", [Depthwise, Inverted])
def test_every_layer_is_right(kind):
    data, module = random_images(1, SHAPES[kind], 8, 0, 10), build(kind).double()
    exported = export(module, data.train, data.train_labels, data.exponent, 8, Sgd(lr="1/100", steps=10), seed=0)
    found = check(lower(module, SHAPES[kind], 8), exported, data.train, data.train_labels)
    assert {f"{name} weight gradient" for name in ("biased", "strided")} <= set(found) or kind is Inverted
    worst = sorted(found.items(), key=lambda item: item[1])[:3]
    assert worst[0][1] >= 0.99, worst


@pytest.mark.parametrize("channels, groups", [((6, 6), 2), ((6, 12), 6), ((12, 6), 6)])
def test_other_groups_are_refused(channels, groups):
    module = nn.Sequential(nn.Conv2d(*channels, 3, groups=groups), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    sentence = f"{groups} groups of {channels[0]} and {channels[1]} channels; one group, or one for each"
    with pytest.raises(ExportError, match=sentence):
        build_step(module, (channels[0], 5, 5), 2)
    with pytest.raises(ExportError, match="has dilation .2, 2.; dilation 1"):
        build_step(nn.Sequential(nn.Conv2d(3, 3, 3, dilation=2), nn.AdaptiveAvgPool2d(1), nn.Flatten()), (3, 9, 9), 2)


def test_the_sums_of_a_depthwise_convolution_are_short():
    """300 channels of 31 x 31 taps: a dense convolution's sums would not fit 32 bits, a depthwise one's do."""
    def network(groups):
        return nn.Sequential(nn.Conv2d(300, 300, 31, groups=groups), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    assert build_step(network(300), (300, 31, 31), 2).weights["0.weight"].shape == (300, 1, 31, 31)
    with pytest.raises(ExportError, match="sums 288300 products in forward"):
        build_step(network(1), (300, 31, 31), 2)


def test_first_weights_are_the_modules():
    module = build(Depthwise)
    data = random_images(1, SHAPES[Depthwise], 4, 0, 10)
    exported = export(module, data.train, data.train_labels, data.exponent, 4, Sgd(), seed=0)
    scale = 2.0 ** exported.state.exponents["strided.weight"]
    np.testing.assert_allclose(exported.tensors["strided.weight"] * scale, module.strided.weight.detach(), atol=scale)
