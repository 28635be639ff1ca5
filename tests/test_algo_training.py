"""Several iterations against torch.nn.BatchNorm2d and torch.optim.SGD, which get the emulator's own operands as floats."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from algo_networks import Pooled, PreActivation, build
from torch import nn

from algo import scaling
from algo.coefficient_programs import PARAMETER_FRACTION, RUNNING_MEAN_FRACTION, RUNNING_VARIANCE_FRACTION
from algo.data import random_images
from algo.emulator import Emulator
from algo.export import export, lower
from algo.lower import has_bias, table_name, weight_name
from algo.sgd import Sgd
from algo.update_rule import UpdateRule

BATCHES = (12, 12, 5, 12, 1, 12)
"""Images of the iterations: full and partial mini-batches."""


class _Beside:
    """An emulator and, in float64, torch's batch norms and one torch.optim.SGD over all parameters of the same network.

    With an update rule of signs, that optimiser is given the signs of those gradients.
    """

    def __init__(self, kind, sgd: Sgd, update: UpdateRule | str = "gradient"):
        self.data = random_images(3, (3, 10, 9) if kind is PreActivation else (3, 11, 11), sum(BATCHES), 0, 4)
        module = build(kind, 0)
        first = self.data.train[:12], self.data.train_labels[:12]
        exported = export(module, *first, self.data.exponent, 12, sgd, update=update)
        self.lowering = lower(module, self.data.train.shape[1:], 12, update)
        self.emulator = Emulator(exported.step, exported.tensors, exported.state)
        self.parameters = {name: torch.tensor(value) for name, value in self.present().items()}
        self.optimiser = torch.optim.SGD(
            self.parameters.values(), float(sgd.lr), float(sgd.momentum), weight_decay=float(sgd.weight_decay)
        )
        self.norms = {}
        for op in self.ops("bn"):
            norm = self.norms[op.out] = nn.BatchNorm2d(op.layer.shape[0], op.layer.module.eps, op.layer.module.momentum).double()
            mean, variance = self.running(op)
            norm.running_mean, norm.running_var = torch.tensor(mean), torch.tensor(variance)

    def ops(self, kind):
        return [op for op in self.lowering.ops if op.layer.kind == kind]

    def real(self, name, exponents):
        return torch.tensor(np.ldexp(self.emulator.value(name).astype(np.float64), exponents[name]))

    def entry(self, op, entry, fraction):
        column = self.lowering.tables[table_name(op)].entries.index(entry)
        return np.ldexp(self.emulator.tables[table_name(op)][:, column].astype(np.float64), -fraction)

    def running(self, op):
        exponent = self.emulator.state.exponents[f"{table_name(op)}.running"]
        return (
            self.entry(op, "RMEAN", RUNNING_MEAN_FRACTION - exponent),
            self.entry(op, "RVAR", RUNNING_VARIANCE_FRACTION - 2 * exponent),
        )

    def present(self):
        """All parameters as floats: master weights, gammas, betas, biases."""
        found = {}
        for op in self.ops("conv"):
            master = f"{weight_name(op)}.master"
            found[weight_name(op)] = self.real(master, self.emulator.state.exponents).numpy()
            if has_bias(op):
                found[f"{op.out} BIAS"] = self.entry(op, "BIAS", PARAMETER_FRACTION)
        for op in self.ops("bn"):
            found |= {f"{op.out} {name}": self.entry(op, name, PARAMETER_FRACTION) for name in ("GAMMA", "BETA")}
        return found

    def iterate(self, images, labels):
        exponents = self.emulator.state.exponents
        self.emulator.train_step(images, labels)
        for op in self.ops("conv"):
            g, x = self.real(self.lowering.gradients[op.out], exponents), self.real(op.x, exponents)
            kept = self.lowering.weights[weight_name(op)]
            gradient = torch.nn.grad.conv2d_weight(x, kept.stored_shape, g, op.layer.stride, op.layer.pad)
            taken = gradient.sign() if self.lowering.signs(op) else gradient
            self.parameters[weight_name(op)].grad = taken.reshape(kept.shape)
            if has_bias(op):
                self.parameters[f"{op.out} BIAS"].grad = g.sum((0, 2, 3))
        for op in self.ops("bn"):
            g, x = self.real(self.lowering.gradients[op.out], exponents), self.real(op.x, exponents)
            self.norms[op.out](x)
            mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, correction=0)
            normalised = (x - mean) / (variance + op.layer.module.eps).sqrt()
            self.parameters[f"{op.out} GAMMA"].grad = (g * normalised).sum((0, 2, 3))
            self.parameters[f"{op.out} BETA"].grad = g.sum((0, 2, 3))
        self.optimiser.step()


@pytest.mark.parametrize("kind", [Pooled, PreActivation])
@pytest.mark.parametrize(("momentum", "decay"), [("9/10", "0"), ("1/2", "1/1000"), ("0", "1/20")])
def test_iterations_follow_torch(kind, momentum, decay):
    _follow_torch(_Beside(kind, Sgd(lr=Fraction(1, 50), momentum=momentum, weight_decay=decay)))


@pytest.mark.parametrize("kind", [Pooled, PreActivation])
@pytest.mark.parametrize(("momentum", "decay", "linear"), [("9/10", "0", False), ("1/2", "1/1000", True), ("0", "1/20", False)])
def test_sign_updates_follow_torch(kind, momentum, decay, linear):
    """Batch norms and biases by their gradients, convolutions by signs, linear layers as asked."""
    beside = _Beside(kind, Sgd(lr=Fraction(1, 200), momentum=momentum, weight_decay=decay), UpdateRule("sign", linear))
    by_signs = {op.layer.name for op in beside.ops("conv") if beside.lowering.signs(op)}
    assert ("linear" in by_signs or "linear1" in by_signs) == linear and any("conv" in name for name in by_signs)
    _follow_torch(beside)


def _follow_torch(beside):
    """Run all iterations; statistics, and how far each parameter moved, are within 1 % of torch's."""
    before, at = beside.present(), 0
    for images in BATCHES:
        beside.iterate(beside.data.train[at : at + images], beside.data.train_labels[at : at + images])
        at += images
        for op in beside.ops("bn"):
            (mean, variance), norm = beside.running(op), beside.norms[op.out]
            scale = float(norm.running_var.max()) ** 0.5
            np.testing.assert_allclose(mean, norm.running_mean, atol=1e-3 * scale, err_msg=op.out)
            np.testing.assert_allclose(variance, norm.running_var, rtol=2e-3, err_msg=op.out)
    for name, now in beside.present().items():
        moved = beside.parameters[name].numpy() - before[name]
        assert np.linalg.norm(now - before[name] - moved) <= 0.01 * np.linalg.norm(moved), name


@pytest.mark.parametrize("kind", [Pooled, PreActivation])
def test_a_gradient_of_zeros_changes_nothing_and_the_next_one_arrives(kind):
    beside = _Beside(kind, Sgd(lr=Fraction(1, 50)))
    emulator, before = beside.emulator, beside.present()
    images, labels = beside.data.train[:12], beside.data.train_labels[:12]
    emulator.forward(images)
    emulator.loss(labels)
    emulator.values[emulator.step.logits_grad].zero_()
    emulator.maxima[emulator.step.logits_grad] = 0
    emulator.backward()
    for name, now in beside.present().items():
        np.testing.assert_array_equal(now, before[name], err_msg=name)
    gradients = [*beside.lowering.gradients.values(), emulator.step.logits_grad]
    exponents = emulator.state.exponents
    assert all(emulator.maxima[name] == 0 for name in gradients if name in emulator.maxima)
    emulator.advance()
    assert {name: emulator.state.exponents[name] for name in gradients} == {name: exponents[name] for name in gradients}
    beside.iterate(images, labels)
    for name, now in beside.present().items():
        assert (now != before[name]).any(), name


def test_weight_decay_keeps_its_precision_beside_large_gradients():
    beside = _Beside(Pooled, Sgd(lr=Fraction(1, 10), weight_decay=Fraction(1, 2000)))
    for at in (0, 12, 24):
        state = beside.emulator.state
        for name, (word, _, shift_key, _) in scaling.records(beside.emulator.step, state).items():
            weight = name.removesuffix(".t")
            if weight in beside.emulator.step.weights:
                _, decay = scaling.unpack_coefficients(word)
                exponent = state.exponents[f"{weight}.master"] - state.exponents[f"{weight}.momentum"]
                assert decay / 2 ** (shift_key >> 32) == pytest.approx(2.0**exponent / 2000, rel=0.01), (at, name)
        beside.iterate(beside.data.train[at : at + 12], beside.data.train_labels[at : at + 12])
