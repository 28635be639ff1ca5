"""First tensors and first exponents of a training step.

Weights are rounded from the module's floats. Exponents start where every product passes with a coefficient of one, which
saturates, and follow the maxima of repeated iterations on one calibration batch until nothing changes; the maxima are
taken before saturation, so each round settles at least the next tensor of the chain. Where nothing but rounding is left of a
gradient, as behind a batch norm over two values, each round finds less of it, or two rounds take turns: what is then kept is
large enough for the last two, and training brings it down.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from torch import nn

from algo.arithmetic import INT8_MAX, WIDE_MAX, exponent_needed, pow2, saturate
from algo.coefficient_programs import PARAMETER_FRACTION, RUNNING_MEAN_FRACTION, RUNNING_VARIANCE_FRACTION
from algo.delayed_scaling import levels_of
from algo.emulator import Emulator
from algo.graph import ExportError
from algo.scaling import State, master_below, settle
from algo.step import Record, Step

_ROUNDS = 60
_ZERO_STEP, _LOWEST, _LOWEST_LOSS = 4, -60, -36
"""Of tensors of zeros; a gradient of the loss that is not zero shows above -36, and one of 16 bits has no exponent below -38."""

_BATCH_NORM_START = -8
_LOSS_START = -12
_SIGN_START = -16
_PARAMETER_MAX = (1 << 30) - 1


def weight_exponent(weights: np.ndarray) -> int:
    """Return the smallest e with max |weights| <= 127 * 2^e; -7 where all are zero."""
    largest = Fraction(float(np.abs(weights).max()))
    if not largest:
        return -7
    exponent = 0
    while largest <= INT8_MAX * pow2(exponent - 1):
        exponent -= 1
    while largest > INT8_MAX * pow2(exponent):
        exponent += 1
    return exponent


def first_tensors(step: Step, modules: dict[str, nn.Module]) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Return weights, masters, momenta and channel tables, and the exponents of weights and masters.

    Running statistics are left at zero: `set_running_statistics` fills them in when exponents are known.

    Args:
        modules: path to module, of every convolution, linear layer and batch norm.

    Raises:
        ExportError: a parameter is no floating-point numbers, or not finite.
    """
    tensors: dict[str, np.ndarray] = {}
    exponents: dict[str, int] = {}
    for name, weight in step.weights.items():
        values = _finite(name, modules[name.removesuffix(".weight")].weight).reshape(weight.shape)
        exponent, below = weight_exponent(values), master_below(step, name)
        scaled = np.floor(np.ldexp(values, below - exponent) + 0.5).astype(np.int64)
        tensors[f"{name}.master"] = saturate(scaled, WIDE_MAX).astype(np.int32)
        tensors[name] = saturate((scaled + (1 << below - 1)) >> below, INT8_MAX).astype(np.int8)
        tensors[f"{name}.momentum"] = np.zeros(weight.shape, np.int32)
        exponents |= {name: exponent, f"{name}.next": exponent, f"{name}.master": exponent - below}
    for name, table in step.tables.items():
        module = modules[name.removesuffix(".channels")]
        tensors[name] = np.zeros((table.channels, len(table.entries)), np.int64)
        parameters = {"GAMMA": module.weight, "BETA": module.bias} if "GAMMA" in table.entries else {"BIAS": module.bias}
        for entry, parameter in parameters.items():
            values = np.ldexp(_finite(f"{entry.lower()} of {name}", parameter), PARAMETER_FRACTION)
            tensors[name][:, table.entries.index(entry)] = saturate(np.floor(values + 0.5), _PARAMETER_MAX).astype(np.int64)
    return tensors, exponents


def set_running_statistics(
    step: Step, modules: dict[str, nn.Module], tensors: dict[str, np.ndarray], exponents: dict[str, int]
) -> None:
    """Fill running mean and variance of the batch-norm tables in, at the calibrated exponents of their inputs."""
    for name, table in step.tables.items():
        if "RMEAN" not in table.entries:
            continue
        module, exponent = modules[name.removesuffix(".channels")], exponents[f"{name}.running"]
        mean = np.ldexp(_finite(f"running mean of {name}", module.running_mean), RUNNING_MEAN_FRACTION - exponent)
        variance = np.ldexp(_finite(f"running variance of {name}", module.running_var), RUNNING_VARIANCE_FRACTION - 2 * exponent)
        for entry, values in (("RMEAN", mean), ("RVAR", variance)):
            tensors[name][:, table.entries.index(entry)] = saturate(np.floor(values + 0.5), _PARAMETER_MAX).astype(np.int64)


def calibrate(step: Step, tensors: dict[str, np.ndarray], state: State, images: np.ndarray, labels: np.ndarray) -> State:
    """Return the state with the exponents that a mini-batch needs; the tensors are not changed.

    Args:
        state: with the exponents of the input, the weights and the masters.
    """
    state = settle(step, replace(state, exponents=_start(step, state.exponents)))
    for _ in range(_ROUNDS):
        emulator = Emulator(step, tensors, state)
        emulator.forward(images)
        emulator.loss(labels)
        emulator.backward()
        levels = levels_of(step, state, emulator.maxima)
        following = settle(step, replace(_following(step, state, emulator.maxima), levels=levels))
        if following == state:
            return state
        previous, state = state, following
    return replace(state, exponents={name: max(value, previous.exponents[name]) for name, value in state.exponents.items()})


def _following(step: Step, state: State, maxima: dict[str, int]) -> State:
    """Exponents that the maxima need, in both directions; a tensor of zeros gets a smaller one."""
    exponents = dict(state.exponents)
    weights = {f"{name}.next" for name in step.weights}
    for name in (*step.maxima, step.logits_grad):
        if name in weights:
            continue
        if maxima[name]:
            needed = exponent_needed(maxima[name], exponents[name], step.limits.get(name, INT8_MAX))
            gradient = name in step.tensors and step.tensors[name].role == "gradient"
            exponents[name] = max(needed, min(exponents[name], _LOWEST)) if gradient else needed
        elif exponents[name] > (_LOWEST_LOSS if name == step.logits_grad else _LOWEST):
            exponents[name] -= _ZERO_STEP
    return replace(state, exponents=_followed(step, exponents))


def _followed(step: Step, exponents: dict[str, int]) -> dict[str, int]:
    return exponents | {name: exponents[leader] for name, leader in step.followers.items()}


def _start(step: Step, given: dict[str, int]) -> dict[str, int]:
    """Exponents to begin with, tensor by tensor in the order of computation."""
    exponents = {name: 0 for name, tensor in step.tensors.items() if tensor.role == "index"} | given
    exponents[step.logits_grad] = _LOSS_START
    for record in step.records.values():
        if record.out not in exponents:
            exponents[record.out] = _first(step, record, exponents)
    return _followed(step, exponents)


def _first(step: Step, record: Record, exponents: dict[str, int]) -> int:
    if record.a is not None and not record.a.exponents:
        return _SIGN_START
    if record.a is not None:
        return sum(exponents[name] for name in record.a.exponents)
    if step.tensors[record.out].role == "activation":
        return _BATCH_NORM_START
    return exponents[step.logits_grad] + _BATCH_NORM_START


def _finite(name: str, parameter: nn.Parameter) -> np.ndarray:
    if parameter.is_meta or not parameter.is_floating_point():
        found = "has no numbers, on the device meta" if parameter.is_meta else f"is {parameter.dtype}"
        raise ExportError(f"{name} {found}; floating-point numbers are needed")
    values = parameter.detach().cpu().double().numpy()
    if not np.isfinite(values).all():
        raise ExportError(f"{name} holds a number that is not finite; parameters must be finite")
    return values
