"""Folding the first convolution's taps into channels: where it is done, what it makes of images, and that no number changes."""

from __future__ import annotations

import numpy as np
import pytest
from algo_networks import Pooled, PreActivation, build
from torch import nn

from algo import export as exporting
from algo.data import random_images
from algo.emulator import Emulator
from algo.export import build_step, export
from algo.input_fold import fold_images
from algo.models import ResNet, digits_network, resnet8
from algo.sgd import Sgd
from algo.step import InputFold, Update


@pytest.mark.parametrize("fold", [
    InputFold((1, 8, 8), (3, 3), 1, (1, 1)), InputFold((3, 7, 9), (5, 3), 2, (2, 0)), InputFold((2, 5, 6), (2, 4), 3, (0, 3)),
    InputFold((4, 6, 5), (6, 5), 1, (0, 0)),
])
def test_every_folded_pixel_is_its_tap(fold):
    c, h, w = fold.image_shape
    images = np.random.default_rng(1).integers(-127, 128, (2, c, h, w)).astype(np.int8)
    found = fold_images(images, fold)
    assert found.dtype == np.int8 and found.shape == (2, *fold.shape)
    for n, ch, ky, kx, y, x in np.ndindex(2, c, *fold.kernel, *fold.shape[1:]):
        iy, ix = y * fold.stride + ky - fold.pad[0], x * fold.stride + kx - fold.pad[1]
        expected = images[n, ch, iy, ix] if 0 <= iy < h and 0 <= ix < w else 0
        assert found[n, (ch * fold.kernel[0] + ky) * fold.kernel[1] + kx, y, x] == expected


def test_without_a_fold_images_stay_as_they_are():
    images = np.zeros((1, 1, 2, 2), np.int8)
    assert fold_images(images, None) is images


class Shortcut(nn.Module):
    """The images are read by the first convolution and again by an addition."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, 1, 1)
        self.rest = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))

    def forward(self, x):
        return self.rest(self.conv(x) + x)


def behind(first: nn.Module, channels: int) -> nn.Module:
    return nn.Sequential(first, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 4))


@pytest.mark.parametrize(("module", "shape", "fold"), [
    (digits_network(0), (1, 8, 8), InputFold((1, 8, 8), (3, 3), 1, (1, 1))),
    (resnet8(0), (3, 32, 32), InputFold((3, 32, 32), (3, 3), 1, (1, 1))),
    (build(Pooled), (3, 11, 11), InputFold((3, 11, 11), (5, 5), 1, (2, 2))),
    (nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), (1, 8, 8), InputFold((1, 8, 8), (8, 8), 1, (0, 0))),
    (behind(nn.Conv2d(4, 6, (1, 3), 2), 6), (4, 8, 8), InputFold((4, 8, 8), (1, 3), 2, (0, 0))),
    (behind(nn.Conv2d(5, 6, 3), 6), (5, 8, 8), None),
    (behind(nn.Conv2d(4, 6, 12), 6), (4, 16, 16), None),
    (behind(nn.Conv2d(1, 6, 1), 6), (1, 8, 8), None),
    (behind(nn.MaxPool2d(2), 1), (1, 8, 8), None),
    (build(PreActivation), (3, 6, 6), None),
    (Shortcut(), (3, 6, 6), None),
])
def test_where_images_are_folded(module, shape, fold):
    step = build_step(module, shape, 4)
    assert step.fold == fold and step.image_shape == shape
    assert step.tensors[step.input].shape == (fold.shape if fold else shape)
    assert sum(weight.folded for weight in step.weights.values()) == bool(fold)


def test_the_first_product_is_1x1_and_its_weights_keep_their_shape():
    step = build_step(resnet8(0), (3, 32, 32), 8)
    (update,) = [n for n in step.segments["backward"] if isinstance(n, Update) and n.weight == "conv.weight"]
    forward = next(n for n in step.segments["forward"] if getattr(n, "product", None))
    for product in (forward.product, update.product):
        assert (product.kernel, product.stride, product.pad) == ((1, 1), 1, (0, 0))
        assert (product.in_shape, product.out_shape) == ((27, 32, 32), (16, 32, 32))
    assert step.weights["conv.weight"].shape == (16, 3, 3, 3)
    assert step.weights["conv.weight"].stored_shape == (16, 27, 1, 1)


@pytest.mark.parametrize(("make", "shape"), [
    (lambda: ResNet(1, (5, 7), 10), (1, 8, 8)), (lambda: build(Pooled), (3, 11, 11)),
    (lambda: behind(nn.Conv2d(2, 6, (3, 4), 2, (0, 2), bias=False), 6), (2, 9, 8)),
], ids=["3x3", "5x5 with bias", "3x4 stride 2"])
def test_training_is_the_same_without_the_fold(make, shape, monkeypatch):
    """Weights, masters, momenta, tables, losses, exponents and logits, from the same module, also on partial batches."""
    data, module, runs = random_images(2, shape, 24, 6, 4), make(), []
    for folded in (True, False):
        if not folded:
            monkeypatch.setattr(exporting, "fold_input", lambda name, ops: (None, ops))
        exported = export(module, data.train[:8], data.train_labels[:8], data.exponent, 8, Sgd(weight_decay="1/100"), seed=5)
        assert bool(exported.step.fold) == folded
        emulator = Emulator(exported.step, exported.tensors, exported.state)
        batches = [(data.train[at : at + n], data.train_labels[at : at + n]) for at, n in ((0, 8), (8, 5), (16, 8))]
        losses = [emulator.train_step(*batch).loss for batch in batches]
        runs.append((losses, emulator.state, emulator.predict(data.test), emulator.tensors(), exported.tensors))
    (losses, state, logits, tensors, first), (other_losses, other_state, other_logits, others, other_first) = runs
    assert losses == other_losses and state == other_state
    np.testing.assert_array_equal(logits, other_logits)
    assert tensors.keys() == others.keys()
    for name in tensors:
        np.testing.assert_array_equal(first[name], other_first[name], err_msg=name)
        np.testing.assert_array_equal(tensors[name], others[name], err_msg=name)
    changed = [name for name in tensors if (tensors[name] != first[name]).any()]
    assert any(name.endswith(".momentum") for name in changed) and len(changed) > 3
