"""Every layer kind against float64 autograd: cosine of results and gradients."""

from __future__ import annotations

import pytest
import torch
from algo_networks import Pooled, PreActivation, build

from algo.data import load_digits, random_images
from algo.export import export, lower
from algo.float_check import check, cosine
from algo.models import digits_network, resnet8
from algo.sgd import Sgd

REQUIRED = 0.99
"""The project's bound for int8 operands and nearest rounding."""


def _cosines(module, data, batch):
    exported = export(module, data.train[:batch], data.train_labels[:batch], data.exponent, batch, Sgd())
    lowering = lower(module, data.train.shape[1:], batch)
    return check(lowering, exported, data.train[:batch], data.train_labels[:batch])


@pytest.mark.parametrize("kind", [Pooled, PreActivation])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_layer_kind(kind, seed):
    data = random_images(seed, (3, 10, 9) if kind is PreActivation else (3, 11, 11), 12, 0, 4)
    found = _cosines(build(kind, seed), data, 12)
    assert len(found) > 20
    assert min(found.values()) >= REQUIRED, sorted(found.items(), key=lambda item: item[1])[:5]


def test_digits_network():
    found = _cosines(digits_network(0), load_digits(0), 32)
    assert len(found) == 55
    assert min(found.values()) >= REQUIRED


def test_resnet8():
    found = _cosines(resnet8(0), random_images(0, (3, 32, 32), 8, 0), 8)
    assert min(found.values()) >= REQUIRED


def test_cosine_of_zeros():
    zero, one = torch.zeros(3), torch.ones(3)
    assert (cosine(zero, zero), cosine(zero, one), cosine(one, one)) == (1.0, 0.0, pytest.approx(1.0))
