"""The networks for 32 x 32 images: published multiply-accumulates, export, and an integer step that is right layer by layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from algo.data import random_images
from algo.emulator import Emulator
from algo.export import build_step, export, lower
from algo.float_check import check
from algo.graph import ExportError, read_layers
from algo.model_sets import make_model
from algo.models_cifar import cifar_resnet, vgg_small
from algo.recipe import load_recipe, recipe_names
from algo.sgd import Sgd
from algo.step import Compute, Update

PUBLISHED_MILLIONS = {38: 83.3, 74: 168.2, 110: 253.1}
"""Forward multiply-accumulates per image that E2-Train's compute figures rest on."""


def forward_macs(module: nn.Module, shape=(3, 32, 32)) -> int:
    """Count by the layers as they are read for export."""
    convolutions = [layer for layer in read_layers(module, shape, 2) if layer.kind == "conv"]
    return sum(layer.module.weight[0].numel() * layer.shape[0] * layer.shape[1] * layer.shape[2] for layer in convolutions)


@pytest.mark.parametrize("depth", [8, 14, 20, 38, 74, 110])
def test_resnets_have_the_published_layers_and_multiply_accumulates(depth):
    module = cifar_resnet(0, depth)
    layers = [name for name, layer in module.named_modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    assert sum("shortcut" not in name for name in layers) == depth
    macs = forward_macs(module)
    if depth in PUBLISHED_MILLIONS:
        assert round(macs / 1e6, 1) == PUBLISHED_MILLIONS[depth]
    step = build_step(module, (3, 32, 32), 2)
    forward = [node.product for node in step.segments["forward"] if isinstance(node, Compute) and node.product]
    assert sum(one.kind == "forward" for one in forward) == depth + 2
    assert sum(isinstance(node, Update) for node in step.segments["backward"]) == depth + 2


@pytest.mark.parametrize("depth", [2, 9, 21])
def test_other_depths_are_refused(depth):
    with pytest.raises(ExportError, match=f"depth {depth} is asked for; depths are 6 n . 2: 8, 14"):
        cifar_resnet(0, depth)


def test_the_small_vgg_has_the_size_of_its_papers():
    module = vgg_small(0)
    assert [tuple(p.shape[:2]) for p in module.parameters() if p.dim() == 4] == [
        (128, 3), (128, 128), (256, 128), (256, 256), (512, 256), (512, 512), (1024, 512),
    ]  # fmt: skip
    assert forward_macs(module) == 615_917_568


def test_weights_start_from_the_seed_with_the_variance_of_he():
    one, same, other = (make_model({"kind": "cifar_resnet", "depth": 14}, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    weights = one["blocks.5.conv2.weight"]
    assert not torch.equal(weights, other["blocks.5.conv2.weight"])
    assert float(weights.var()) == pytest.approx(2 / (64 * 9), rel=0.05)


SMALL = {
    "resnet14": ({"kind": "cifar_resnet", "depth": 14, "width": 4}, 6),
    "vgg": ({"kind": "vgg_small", "width": 8}, 6),
}


@pytest.mark.parametrize("name", SMALL)
def test_a_step_is_right_layer_by_layer(name):
    model, batch = SMALL[name]
    data, module = random_images(3, (3, 32, 32), batch, 0), make_model(model, 0).double()
    exported = export(module, data.train, data.train_labels, data.exponent, batch, Sgd(lr="1/100", steps=10), seed=0)
    found = check(lower(module, (3, 32, 32), batch), exported, data.train, data.train_labels)
    worst = sorted(found.items(), key=lambda item: item[1])[:3]
    assert worst[0][1] >= 0.99, worst


@pytest.mark.parametrize("name", SMALL)
def test_a_step_moves_every_weight(name):
    model, batch = SMALL[name]
    data = random_images(3, (3, 32, 32), batch, 0)
    exported = export(make_model(model, 0), data.train, data.train_labels, data.exponent, batch, Sgd(lr="1/10"), seed=0)
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    assert emulator.train_step(data.train, data.train_labels).loss > 0
    for weight in exported.step.weights:
        assert (emulator.value(f"{weight}.master") != exported.tensors[f"{weight}.master"]).mean() > 0.5


@pytest.mark.parametrize("name", recipe_names())
def test_the_model_of_every_recipe_becomes_a_step(name):
    recipe = load_recipe(name)
    shape = (1, 8, 8) if recipe.data["kind"] == "digits" else (3, 32, 32)
    step = build_step(recipe.make_model(0), shape, recipe.batch)
    assert step.tensors[step.logits].shape[0] == (100 if "cifar100" in name else 10)


@pytest.mark.parametrize("model, sentence", [
    ({"kind": "cifar_resnet"}, "model cifar_resnet is given without depth"),
    ({"kind": "cifar_resnet", "depth": "20"}, "asked for with depth '20'; whole numbers from 1"),
    ({"kind": "vgg_small", "width": 0}, "asked for with width 0"),
    ({"kind": "vgg_small", "seed": 3}, "model vgg_small has no seed; its arguments are classes, width, channels"),
])  # fmt: skip
def test_a_model_that_cannot_be_is_one_sentence(model, sentence):
    with pytest.raises(ExportError, match=sentence):
        make_model(model, 0)
