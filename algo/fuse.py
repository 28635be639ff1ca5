"""Layers as passes: which batch norm, addition and ReLU run in one pass of the vector unit, and where channel sums come from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from algo.graph import Layer
from algo.step import InputFold

_FOLD_IMAGE_CHANNELS, _FOLDED_CHANNELS = 4, 512
"""Most channels of images that are folded, and of folded images, which take that many bytes per pixel in DDR."""


@dataclass(frozen=True)
class Op:
    """One int8 tensor of the forward pass and how it is made.

    Attributes:
        out: the tensor's name, that of the layer that makes it before addition and ReLU.
        layer: what makes it; "relu", "add" and "copy" layers are passes of their own.
        x: the tensor the layer reads.
        addend: a tensor that is added in the same pass, or "".
        relu: whether the pass ends with ReLU.
    """

    out: str
    layer: Layer
    x: str
    addend: str = ""
    relu: bool = False

    @property
    def inputs(self) -> tuple[str, ...]:
        """Tensors read, the addend last."""
        return (self.x, self.addend) if self.addend else (self.x,)


def fuse(layers: list[Layer]) -> tuple[str, list[Op], str]:
    """Return (input tensor, ops in order of execution, logits tensor).

    A ReLU joins the pass of what it reads, an addition that of the later of its two operands where that is a batch norm or a
    convolution, in both cases if nothing else reads the value between.
    """
    readers = {layer.name: sum(other.inputs.count(layer.name) for other in layers) for layer in layers}
    readers[layers[-1].name] += 1
    tensor_of = {layers[0].name: layers[0].name}
    ops: list[Op] = []
    for layer in layers[1:]:
        sources = [tensor_of[name] for name in layer.inputs]
        index = None
        if layer.kind == "relu" and readers[layer.inputs[0]] == 1:
            index = _find(ops, sources[0], lambda op: not op.relu)
            change = {"relu": True}
        elif layer.kind == "add":
            index, change = _addition(ops, layer, sources, readers)
        if index is None:
            addend = sources[1] if layer.kind == "add" else ""
            ops.append(Op(layer.name, layer, sources[0], addend, layer.kind == "relu"))
            tensor_of[layer.name] = layer.name
        else:
            ops[index] = replace(ops[index], **change)
            tensor_of[layer.name] = ops[index].out
    return layers[0].name, ops, tensor_of[layers[-1].name]


def fold_input(input_name: str, ops: list[Op]) -> tuple[InputFold | None, list[Op]]:
    """Return how images are folded, and the ops, the first convolution being 1x1 over the folded channels.

    Images are folded where all that reads them is one convolution (or linear layer) with more than one tap, and they have few
    channels; otherwise the ops come back as they are, with None.
    """
    reading = [index for index, op in enumerate(ops) for name in op.inputs if name == input_name]
    if len(reading) != 1:
        return None, ops
    op = ops[reading[0]]
    layer = op.layer
    (c, _, _), taps = layer.in_shape, layer.kernel[0] * layer.kernel[1]
    dense = layer.kind == "conv" and not layer.depthwise
    if op.x != input_name or not dense or taps == 1 or c > _FOLD_IMAGE_CHANNELS or c * taps > _FOLDED_CHANNELS:
        return None, ops
    fold = InputFold(layer.in_shape, layer.kernel, layer.stride, layer.pad)
    folded = replace(op, layer=replace(layer, in_shape=fold.shape, kernel=(1, 1), stride=1, pad=(0, 0)))
    return fold, [folded if other is op else other for other in ops]


def _find(ops: list[Op], tensor: str, condition) -> int | None:
    for index, op in enumerate(ops):
        if op.out == tensor and condition(op):
            return index
    return None


def _addition(ops: list[Op], layer: Layer, sources: list[str], readers: dict[str, int]) -> tuple[int | None, dict]:
    places = {op.out: index for index, op in enumerate(ops)}
    later, other = sorted((0, 1), key=lambda side: -places.get(sources[side], -1))
    index = _find(ops, sources[later], lambda op: op.layer.kind in ("bn", "conv") and not op.relu and not op.addend)
    if index is None or readers[layer.inputs[later]] != 1 or sources[later] == sources[other]:
        return None, {}
    return index, {"addend": sources[other]}
