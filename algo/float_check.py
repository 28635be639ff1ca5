"""Is the integer step right, not only equal everywhere: every layer against float64 autograd.

One iteration runs with nearest rounding. Then every op's result, every gradient and every parameter gradient is computed
again by torch in float64 from the dequantised operands that the integer step used, and compared by its cosine.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from algo.coefficient_programs import PARAMETER_FRACTION, RUNNING_MEAN_FRACTION
from algo.emulator import Emulator
from algo.export import Exported
from algo.fuse import Op
from algo.gradient_bytes import LOW
from algo.lower import Lowering, has_bias, table_name, weight_name
from algo.step import low_name

_MOMENTUM_FRACTION = 24


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return the cosine of the angle between two tensors; 1 where both are zero."""
    norms = float(a.norm() * b.norm())
    if not norms:
        return 1.0 if not float(a.norm() + b.norm()) else 0.0
    return float((a.flatten() @ b.flatten()) / norms)


def check(lowering: Lowering, exported: Exported, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the cosine of every tensor of one iteration with float64 autograd.

    Args:
        lowering: of the same module, from `algo.export.lower`; signs that a predictor makes are compared with true ones.
        exported: tensors with zero momenta; weight decay must be 0.
        images, labels: a mini-batch, int8 (n, c, h, w) and (n,).
    """
    return _Check(lowering, exported, images, labels).run()


class _Check:
    def __init__(self, lowering: Lowering, exported: Exported, images: np.ndarray, labels: np.ndarray):
        self.lowering, self.labels = lowering, torch.as_tensor(labels)
        self.exponents = exported.state.exponents
        self.before = exported.tensors
        self.emulator = Emulator(exported.step, exported.tensors, exported.state, stochastic=False)
        self.emulator.forward(images)
        self.emulator.loss(labels)
        self.emulator.backward()
        self.found: dict[str, float] = {}

    def run(self) -> dict[str, float]:
        lowering = self.lowering
        logits = self._real(lowering.logits).requires_grad_()
        F.cross_entropy(logits.flatten(1), self.labels).backward()
        self._compare(lowering.logits_grad, self._real(lowering.logits_grad), logits.grad)
        arriving = {lowering.logits: self._real(lowering.logits_grad)}
        for op in reversed(lowering.ops):
            self._op(op, arriving)
        return self.found

    def _op(self, op: Op, arriving: dict[str, torch.Tensor]) -> None:
        """Compare an op's result and parameter gradients; add its input gradients to `arriving`."""
        leaves = {name: self._real(name).requires_grad_() for name in set(op.inputs)}
        parameters = self._parameters(op)
        z = _apply(op, leaves, parameters)
        y = z.relu() if op.relu else z
        self._compare(op.out, self._real(op.out), y.detach())
        name = self.lowering.gradients.get(op.out)
        if name is None:
            return
        expected = arriving[op.out]
        if op.relu:
            expected = expected * (z.detach() > 0)
        gradient = self._real(name)
        self._compare(f"{op.out} gradient", gradient, expected)
        z.backward(gradient)
        for tensor, leaf in leaves.items():
            arriving[tensor] = arriving.get(tensor, 0) + leaf.grad
        for key, parameter in parameters.items():
            signs = key == "weight" and self.lowering.signs(op)
            expected = parameter.grad.sign() if signs else parameter.grad
            self._compare(f"{op.out} {key} gradient", self._parameter_gradient(op, key), expected)
        if op.layer.kind == "bn":
            self._running_mean(op, leaves[op.x])

    def _compare(self, name: str, ours: torch.Tensor, reference: torch.Tensor) -> None:
        self.found[name] = cosine(ours.double(), reference.double())

    def _real(self, name: str) -> torch.Tensor:
        value = self.emulator.value(name).astype(np.float64)
        if low_name(name) in self.emulator.step.tensors:
            value += self.emulator.value(low_name(name)) * float(LOW)
        return torch.as_tensor(np.ldexp(value, self.exponents[self.lowering.exponent(name)]))

    def _entry(self, tables: dict[str, np.ndarray], op: Op, entry: str, fraction: int) -> torch.Tensor:
        column = self.lowering.tables[table_name(op)].entries.index(entry)
        return torch.as_tensor(np.ldexp(tables[table_name(op)][:, column].astype(np.float64), -fraction))

    def _parameters(self, op: Op) -> dict[str, torch.Tensor]:
        found = {}
        if op.layer.kind == "conv":
            name = weight_name(op)
            stored = self.before[name].reshape(self.lowering.weights[name].stored_shape)
            found["weight"] = torch.as_tensor(np.ldexp(stored.astype(np.float64), self.exponents[name]))
        entries = {"gamma": "GAMMA", "beta": "BETA"} if op.layer.kind == "bn" else {"bias": "BIAS"} if has_bias(op) else {}
        for key, entry in entries.items():
            found[key] = self._entry(self.before, op, entry, PARAMETER_FRACTION)
        return {key: value.requires_grad_() for key, value in found.items()}

    def _parameter_gradient(self, op: Op, key: str) -> torch.Tensor:
        """The first iteration's momentum is the gradient, or its sign."""
        if key == "weight":
            return self._real(f"{weight_name(op)}.momentum")
        return self._entry(self.emulator.tables, op, f"M_{key.upper()}", _MOMENTUM_FRACTION)

    def _running_mean(self, op: Op, x: torch.Tensor) -> None:
        weight = op.layer.module.momentum
        fraction = RUNNING_MEAN_FRACTION - self.exponents[op.x]
        before = self._entry(self.before, op, "RMEAN", RUNNING_MEAN_FRACTION - self.exponents[f"{table_name(op)}.running"])
        expected = before * (1 - weight) + x.detach().mean((0, 2, 3)) * weight
        self._compare(f"{op.out} running mean", self._entry(self.emulator.tables, op, "RMEAN", fraction), expected)


def _apply(op: Op, leaves: dict[str, torch.Tensor], parameters: dict[str, torch.Tensor]) -> torch.Tensor:
    """The op in float64, before its ReLU."""
    layer, x = op.layer, leaves[op.x]
    if layer.kind == "conv":
        groups = layer.in_shape[0] if layer.depthwise else 1
        y = F.conv2d(x, parameters["weight"], parameters.get("bias"), layer.stride, layer.pad, groups=groups)
    elif layer.kind == "bn":
        y = F.batch_norm(x, None, None, parameters["gamma"], parameters["beta"], training=True, eps=layer.module.eps)
    elif layer.kind == "maxpool":
        y = F.max_pool2d(x, layer.kernel, layer.stride, layer.pad)
    elif layer.kind == "avgpool":
        y = F.avg_pool2d(x, layer.kernel, layer.stride, layer.pad)
    else:
        y = x
    return y + leaves[op.addend] if op.addend else y
