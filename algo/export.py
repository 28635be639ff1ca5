"""From a torch module to a training step: the graph, the first tensors and the first exponents.

    step = build_step(module, input_shape=(1, 8, 8), batch=32)                  the graph alone
    exported = export(module, images, labels, exponent, batch=32, sgd=Sgd())    with tensors and calibrated exponents
"""

from __future__ import annotations

from torch import nn

from algo.fuse import fuse
from algo.gradients import lower_backward
from algo.graph import ExportError, read_layers
from algo.lower import Lowering, lower_forward
from algo.step import Step


def build_step(module: nn.Module, input_shape: tuple[int, int, int], batch: int) -> Step:
    """Return the training step of a network.

    Args:
        module: from images (n, *input_shape) to logits (n, classes); its loss is the mean cross-entropy.
        input_shape: (c, h, w).
        batch: images in a full mini-batch, at least 1.

    Raises:
        ExportError: something in the network is not supported.
    """
    if batch < 1 or len(input_shape) != 3 or min(input_shape) < 1:
        raise ExportError(f"batch is {batch} and input shape {tuple(input_shape)}; a positive number and (c, h, w) are needed")
    input_name, ops, logits = fuse(read_layers(module, tuple(input_shape), batch))
    lowering = Lowering(batch, input_name, tuple(input_shape), ops, logits)
    lower_forward(lowering)
    if not lowering.weights:
        raise ExportError(f"{type(module).__name__} has no convolution or linear layer; there is nothing to train")
    return lowering.finish(lower_backward(lowering))
