"""From a torch module to a training step: the graph, the first tensors and the first exponents.

    step = build_step(module, input_shape=(1, 8, 8), batch=32)                  the graph alone
    exported = export(module, images, labels, exponent, batch=32, sgd=Sgd())    with tensors and calibrated exponents
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np
from torch import nn

from algo.calibrate import calibrate, first_tensors, set_running_statistics
from algo.data import EXPONENTS
from algo.fuse import fold_input, fuse
from algo.gated_blocks import cut
from algo.gates import Gating
from algo.gradients import lower_backward
from algo.graph import ExportError, read_layers
from algo.lower import Lowering, lower_forward, trained
from algo.scaling import State
from algo.sgd import Sgd
from algo.step import Step
from algo.update_rule import UpdateRule


@dataclass(frozen=True)
class Exported:
    """A training step that is ready to run.

    Attributes:
        step: what is computed.
        tensors: weights W (int8), W.master and W.momentum (int32), channel tables (int64).
        state: exponents, seed and hyper-parameters of the first iteration.
    """

    step: Step
    tensors: dict[str, np.ndarray]
    state: State


def export(
    module: nn.Module, images: np.ndarray, labels: np.ndarray, exponent: int, batch: int, sgd: Sgd, seed: int = 0,
    update: UpdateRule | str = "gradient", gated: Gating | None = None,
) -> Exported:
    """Return the training step of a network with its tensors and calibrated exponents.

    Args:
        module: see `build_step`; its parameters and running statistics are where training starts.
        images: calibration images, int8 (n, c, h, w), n from 1; the first `batch` are used.
        labels: (n,) classes.
        exponent: of the images, from -16 to 16: value = q * 2^exponent.
        batch: images in a full mini-batch.
        sgd: hyper-parameters.
        seed: of the noise.
        update: what weight updates take of the gradients; "sign" is signSGD of all convolutions.
        gated: what to make for a policy that lets samples skip residual blocks; None where there is no such policy.

    Raises:
        ExportError: something in the network, its parameters or the images is not supported.
        UpdateRuleError: there is no such update rule.
    """
    if not isinstance(images, np.ndarray) or images.dtype != np.int8 or images.ndim != 4:
        found = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else f"a {type(images).__name__}"
        raise ExportError(f"images are {found}; a numpy array of int8 (n, c, h, w) is needed")
    if len(images) != len(labels) or not len(images):
        raise ExportError(f"there are {len(images)} images and {len(labels)} labels; as many of both are needed, at least one")
    if not isinstance(exponent, Integral) or exponent not in EXPONENTS:
        needed = f"an integer from {EXPONENTS[0]} to {EXPONENTS[-1]} is needed, value = q * 2^exponent"
        raise ExportError(f"the exponent of the images is {exponent!r}; {needed}")
    step = build_step(module, images.shape[1:], batch, update, gated)
    modules = dict(module.named_modules())
    tensors, exponents = first_tensors(step, modules)
    state = State(seed, 0, {step.input: int(exponent), **exponents}, sgd)
    state = calibrate(step, tensors, state, images[:batch], labels[:batch])
    set_running_statistics(step, modules, tensors, state.exponents)
    return Exported(step, tensors, state)


def build_step(
    module: nn.Module, input_shape: tuple[int, int, int], batch: int, update: UpdateRule | str = "gradient",
    gated: Gating | None = None,
) -> Step:
    """Return the training step of a network; see `lower`."""
    return lower(module, input_shape, batch, update, gated).finish()


def lower(
    module: nn.Module, input_shape: tuple[int, int, int], batch: int, update: UpdateRule | str = "gradient",
    gated: Gating | None = None,
) -> Lowering:
    """Return the training step of a network with the ops it was made from.

    Args:
        module: from images (n, *input_shape) to logits (n, classes); its loss is the mean cross-entropy.
        input_shape: (c, h, w).
        batch: images in a full mini-batch, at least 1.
        update, gated: as for `export`.

    Raises:
        ExportError: something in the network is not supported.
        UpdateRuleError: there is no such update rule.
    """
    if not isinstance(batch, Integral) or batch < 1 or len(input_shape) != 3 or min(input_shape) < 1:
        raise ExportError(f"batch is {batch} and input shape {tuple(input_shape)}; a number from 1 and (c, h, w) are needed")
    batch = int(batch)
    input_name, ops, logits = fuse(read_layers(module, tuple(input_shape), batch))
    fold, ops = fold_input(input_name, ops)
    parts = cut(input_name, ops, gated) if gated else None
    ops = parts.ops if parts else ops
    lowering = Lowering(batch, input_name, tuple(input_shape), ops, logits, fold, UpdateRule.of(update), parts)
    lower_forward(lowering)
    if not lowering.weights:
        raise ExportError(f"{type(module).__name__} has no convolution or linear layer; there is nothing to train")
    if not any(trained(op) for op in ops if op.layer.kind in ("conv", "bn")):
        raise ExportError(f"{type(module).__name__} holds all of its parameters; at least one layer must be trained")
    lower_backward(lowering)
    return lowering
