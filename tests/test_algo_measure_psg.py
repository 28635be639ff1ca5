"""The measurement of predictive sign gradients: operands as autograd has them, predictors against sums written out."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from algo.measure_psg import TAPS, measure, most_significant, operands, quantised, table
from algo.psg import PREDICTORS, threshold


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, 1, 1, bias=False), nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 6, 3, 2, 1), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(6, 4),
    )  # fmt: skip


def drawn():
    return torch.randn(4, 3, 6, 6), torch.tensor([0, 1, 2, 3])


def test_operands_make_the_gradient_that_autograd_makes_and_leave_the_network_as_it_was():
    module, (images, labels) = network(), drawn()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    found = list(operands(module, images, labels))
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    nn.functional.cross_entropy(module(images), labels).backward()
    assert [name for name, *_ in found] == ["0", "3"]
    for _, layer, x, g in found:
        made = torch.nn.grad.conv2d_weight(x, layer.weight.shape, g, layer.stride, layer.padding)
        torch.testing.assert_close(made, layer.weight.grad)


def test_records_are_the_counts_of_sums_written_out():
    module, (images, labels) = network(), drawn()
    records = measure(module, images, labels, seed=3)
    _, layer, x, g = list(operands(module, images, labels))[1]
    x, g = quantised(x, 8).numpy(), quantised(g, 16).numpy()
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    full, p = np.zeros((2, 6, 5, 3, 3), np.int64)
    for k, c, ky, kx in np.ndindex(full.shape):
        window = padded[:, c, ky : ky + 6 : 2, kx : kx + 6 : 2]
        full[k, c, ky, kx] = (window * g[:, k]).sum()
        p[k, c, ky, kx] = (((window + 4) >> 3).clip(0, 15) * ((g[:, k] + 32) >> 6).clip(-511, 511)).sum()
    decided = np.abs(p) >= threshold(int(np.abs(p).max()), Fraction(1, 20))
    wrong = np.sign(p) != np.sign(full)
    (record,) = [
        r for r in records if (r["layer"], r["predictor"], r["msb"], r["beta"]) == ("3", "4/10 of 8/16", "unsigned", "1/20")
    ]
    assert (record["entries"], record["decided"]) == (270, decided.sum())
    assert (record["wrong"], record["wrong_alone"]) == ((wrong & decided).sum(), wrong.sum())
    assert record["blocks"]["1 x 4"] == (6 * 2 * 9, sum(decided[:, a:b].all(1).sum() for a, b in ((0, 4), (4, 5))))
    assert record["blocks"][TAPS] == (30, decided.all((2, 3)).sum())
    assert record["full_wrong"] < 10


def test_dithered_gradients_keep_their_mean_where_rounding_loses_it():
    x, g = torch.full((8, 1, 16, 16), 50), torch.full((8, 4, 16, 16), 3)
    kinds = most_significant(x, g, PREDICTORS[2], torch.Generator().manual_seed(0))
    assert kinds["unsigned"][1].abs().max() == 0
    assert kinds["dithered"][1].double().mean() * 16 == 3
    assert kinds["stochastic"][1].double().mean() * 16 == pytest.approx(3, rel=0.1)


def test_the_table_has_a_line_for_every_predictor_kind_and_beta():
    records = measure(network(), *drawn(), seed=3)
    lines = table(records).splitlines()
    assert len(lines) == 2 + len({(r["predictor"], r["msb"], r["beta"]) for r in records})
    assert len({line.count("|") for line in lines}) == 1
