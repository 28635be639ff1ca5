"""A torch module as a list of layers with shapes: the first stage of export, where unsupported things are refused."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from fractions import Fraction

import torch
import torch.fx
import torch.nn.functional as F
from torch import nn

SUPPORTED = (
    "Conv2d (also depthwise), Linear, BatchNorm2d, ReLU, residual addition, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d(1), "
    "Flatten and Identity"
)
MAX_REDUCTION = (2**31 - 1) // (128 * 127)
"""Products of 128 * 127 that an int32 sum holds: a low byte of a gradient goes down to -128."""

_MAX_KERNEL, _MAX_STRIDE, _MAX_TAPS = 31, 15, 128
_WITH_PARAMETERS = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
_OPERANDS = ("input", "other")


class ExportError(ValueError):
    """The module cannot become a training step; the sentence names the layer and what is supported."""


@dataclass(frozen=True)
class Layer:
    """One operation on int8 tensors.

    Attributes:
        name: unique; the module's path, or the fx node's name for a function and a module that was used before.
        kind: "input", "conv", "bn", "relu", "add", "maxpool", "avgpool", and "copy", which
            is made where blocks are gated.
        inputs: names of layers.
        in_shape, shape: (c, h, w) per image, of the first input and of the result.
        kernel: (kh, kw), stride, pad (pad_y, pad_x): of convolutions and pools.
        module: of convolutions, linear layers and batch norm.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    in_shape: tuple[int, int, int]
    shape: tuple[int, int, int]
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    pad: tuple[int, int] = (0, 0)
    module: nn.Module | None = None

    @property
    def depthwise(self) -> bool:
        """Whether it is a convolution of as many groups as channels."""
        return isinstance(self.module, nn.Conv2d) and self.module.groups > 1

    @property
    def summed(self) -> tuple[int, int]:
        """Products in each sum of a convolution's forward and grad_input."""
        taps = self.kernel[0] * self.kernel[1]
        return (taps, taps) if self.depthwise else (self.in_shape[0] * taps, self.shape[0] * taps)


def read_layers(module: nn.Module, input_shape: tuple[int, int, int], batch: int) -> list[Layer]:
    """Return the layers in order of execution; the last one makes the logits.

    Args:
        module: network from (n, *input_shape) to logits (n, classes).
        input_shape: (c, h, w).
        batch: images in a mini-batch, for the check that sums fit int32.

    Raises:
        ExportError: something unsupported.
    """
    try:
        traced = torch.fx.symbolic_trace(module)
    except Exception as error:
        name = type(module).__name__
        raise ExportError(f"{name} cannot be traced by torch.fx ({error}); its forward must not branch on data") from None
    reader = _Reader(dict(traced.named_modules()), input_shape, batch)
    for node in traced.graph.nodes:
        reader.read(node)
    return reader.finish()


class _Reader:
    """Turns fx nodes into layers one by one; `self.value` maps a node to (layer name, whether it is flattened)."""

    def __init__(self, modules: dict[str, nn.Module], input_shape: tuple[int, int, int], batch: int):
        self.modules, self.input_shape, self.batch = modules, input_shape, batch
        self.layers: dict[str, Layer] = {}
        self.value: dict[torch.fx.Node, tuple[str, bool]] = {}
        self.result: tuple[str, bool] | None = None

    def read(self, node: torch.fx.Node) -> None:
        if node.op == "placeholder":
            if self.layers:
                raise ExportError(f"the module has a second input {node.name}; one input tensor is supported")
            self._add(node, Layer(self._name(node), "input", (), self.input_shape, self.input_shape))
        elif node.op == "output":
            if not isinstance(node.args[0], torch.fx.Node):
                raise ExportError("the module returns more than one tensor; one tensor of logits is supported")
            self.result = self.value[node.args[0]]
        elif node.op == "call_module":
            _check_hooks(node.target, self.modules[node.target])
            self._module(node, self.modules[node.target])
        elif node.op in ("call_function", "call_method"):
            self._function(node)
        else:
            raise ExportError(f"{node.name} ({node.op} {node.target}) is not supported; supported are {SUPPORTED}")

    def finish(self) -> list[Layer]:
        """Return what the result is made of; what a forward computes and does not use changes no result and no parameter."""
        name, flat = self.result
        shape = self.layers[name].shape
        if shape[1:] != (1, 1) or not flat:
            found = f"shape (n, {', '.join(map(str, shape))}) and is {'' if flat else 'not '}flattened"
            raise ExportError(f"the module's result {name} has {found}; logits (n, classes) are needed")
        used = {name}
        for layer in reversed(self.layers.values()):
            if layer.name in used:
                used.update(layer.inputs)
        layers = [layer for layer in self.layers.values() if layer.name in used]
        _check_shared(layers)
        return layers

    def _add(self, node: torch.fx.Node, layer: Layer, flat: bool = False) -> None:
        if layer.name in self.layers:
            raise ExportError(f"{layer.name} is used twice; a module's weights may be used once per forward")
        if any(character.isspace() for character in layer.name):
            raise ExportError(f"the layer {layer.name!r} has a blank in its name; names without blanks are supported")
        self.layers[layer.name] = layer
        self.value[node] = (layer.name, flat)

    def _name(self, node: torch.fx.Node) -> str:
        """A name for a layer without parameters: a module's path, where it is not used again; never that of a layer with some."""
        if node.op == "call_module" and str(node.target) not in self.layers:
            return str(node.target)
        name = node.name
        while name in self.layers or isinstance(self.modules.get(name), _WITH_PARAMETERS):
            name += "_"
        return name

    def _source(self, node: torch.fx.Node, place: int = 0) -> tuple[Layer, bool]:
        """Return the layer that makes an operand, given by its place or by torch's name for it, and whether it is flattened."""
        argument = node.args[place] if place < len(node.args) else node.kwargs.get(_OPERANDS[place])
        if not isinstance(argument, torch.fx.Node):
            raise ExportError(f"{node.name} has the operand {argument!r}; operands must be tensors made by the network")
        name, flat = self.value[argument]
        return self.layers[name], flat

    def _module(self, node: torch.fx.Node, module: nn.Module) -> None:
        readers = {
            nn.Conv2d: self._conv, nn.Linear: self._linear, nn.BatchNorm2d: self._batch_norm, nn.MaxPool2d: self._max_pool,
            nn.AvgPool2d: self._average_pool, nn.AdaptiveAvgPool2d: self._global_pool,
        }
        source, flat = self._source(node)
        kind = type(module)
        if kind is nn.ReLU:
            self._relu(node)
        elif kind is nn.Identity:
            self.value[node] = (source.name, flat)
        elif kind is nn.Flatten:
            self._flatten(node, module.start_dim, module.end_dim)
        elif kind in readers:
            if flat != (kind is nn.Linear):
                found = f"{node.target} ({kind.__name__}) follows {'a' if flat else 'no'} Flatten"
                raise ExportError(f"{found}; Flatten goes before the first Linear, and only there")
            readers[kind](node, module, source)
        else:
            raise ExportError(f"{node.target} is a {kind.__name__}; supported are {SUPPORTED}")

    def _function(self, node: torch.fx.Node) -> None:
        target = node.target
        if target in (operator.add, operator.iadd, torch.add, "add", "add_"):
            self._addition(node)
        elif target in (F.relu, torch.relu, "relu", "relu_"):
            self._relu(node)
        elif target in (torch.flatten, "flatten"):
            start, end = (*node.args[1:], *(None, None))[:2]
            start = node.kwargs.get("start_dim", 0 if start is None else start)
            self._flatten(node, start, node.kwargs.get("end_dim", -1 if end is None else end))
        else:
            raise ExportError(f"{node.name} calls {getattr(target, '__name__', target)}; supported are {SUPPORTED}")

    def _relu(self, node: torch.fx.Node) -> None:
        source, flat = self._source(node)
        self._add(node, Layer(self._name(node), "relu", (source.name,), source.shape, source.shape), flat)

    def _flatten(self, node: torch.fx.Node, start: int, end: int) -> None:
        source, _ = self._source(node)
        if start != 1 or end not in (-1, 3):
            raise ExportError(f"{node.name} flattens dimensions {start} to {end}; 1 to -1 is supported")
        self.value[node] = (source.name, True)

    def _addition(self, node: torch.fx.Node) -> None:
        if len(node.args) > 2 or node.kwargs.get("alpha", 1) != 1:
            raise ExportError(f"{node.name} is a scaled addition; the plain sum of two tensors is supported")
        (a, a_flat), (b, b_flat) = (self._source(node, place) for place in range(2))
        if a.shape != b.shape or a_flat != b_flat:
            raise ExportError(f"{node.name} adds shapes {a.shape} and {b.shape}; both must be equal")
        self._add(node, Layer(self._name(node), "add", (a.name, b.name), a.shape, a.shape), a_flat)

    def _conv(self, node: torch.fx.Node, module: nn.Conv2d, source: Layer) -> None:
        name = str(node.target)
        channels = (module.in_channels, module.out_channels)
        if module.groups != 1 and channels != (module.groups, module.groups):
            found = f"{module.groups} groups of {channels[0]} and {channels[1]} channels"
            raise ExportError(f"{name} has {found}; one group, or one for each of as many channels in as out, is supported")
        if module.dilation != (1, 1):
            raise ExportError(f"{name} has dilation {module.dilation}; dilation 1 is supported")
        if module.padding_mode != "zeros" or isinstance(module.padding, str):
            raise ExportError(f"{name} has padding {module.padding!r} of {module.padding_mode}; a number of zeros is supported")
        self._window(node, "conv", source, module.out_channels, module.kernel_size, module.stride, module.padding, module)

    def _linear(self, node: torch.fx.Node, module: nn.Linear, source: Layer) -> None:
        c, h, w = source.shape
        if module.in_features != c * h * w:
            raise ExportError(f"{node.target} takes {module.in_features} features; {c * h * w} arrive")
        self._window(node, "conv", source, module.out_features, (h, w), 1, 0, module, flat=True)

    def _batch_norm(self, node: torch.fx.Node, module: nn.BatchNorm2d, source: Layer) -> None:
        name, pixels = str(node.target), self.batch * source.shape[1] * source.shape[2]
        if not module.affine or not module.track_running_stats or module.momentum is None or not module.eps > 0:
            raise ExportError(f"{name} must have affine parameters, running statistics, a momentum and a positive eps")
        if self.modules[""].training and not module.training:
            found = f"{name} is in eval mode and the network is not"
            raise ExportError(f"{found}; batch norm takes the statistics of the mini-batch here, so call train() on it")
        if module.num_features != source.shape[0]:
            raise ExportError(f"{name} takes {module.num_features} channels; {source.shape[0]} arrive")
        if not 1 < pixels <= MAX_REDUCTION:
            raise ExportError(f"{name} averages {pixels} values of a channel; from 2 to {MAX_REDUCTION} fit int32 sums")
        self._add(node, Layer(name, "bn", (source.name,), source.shape, source.shape, module=module))

    def _max_pool(self, node: torch.fx.Node, module: nn.MaxPool2d, source: Layer) -> None:
        kernel = _pair(module.kernel_size)
        if _pair(module.dilation) != (1, 1) or module.ceil_mode or module.return_indices:
            raise ExportError(f"{node.target} has dilation, ceil_mode or return_indices; a plain MaxPool2d is supported")
        if kernel[0] * kernel[1] > _MAX_TAPS:
            raise ExportError(f"{node.target} has a {kernel[0]} x {kernel[1]} window; up to {_MAX_TAPS} taps are supported")
        self._window(node, "maxpool", source, source.shape[0], kernel, module.stride, module.padding)

    def _average_pool(self, node: torch.fx.Node, module: nn.AvgPool2d, source: Layer) -> None:
        padded = _pair(module.padding) != (0, 0) and not module.count_include_pad
        if module.ceil_mode or padded or module.divisor_override is not None:
            raise ExportError(
                f"{node.target} has ceil_mode, count_include_pad=False or a divisor; a plain AvgPool2d is supported"
            )
        self._window(node, "avgpool", source, source.shape[0], _pair(module.kernel_size), module.stride, module.padding)

    def _global_pool(self, node: torch.fx.Node, module: nn.AdaptiveAvgPool2d, source: Layer) -> None:
        if _pair(module.output_size) != (1, 1):
            raise ExportError(f"{node.target} has output size {module.output_size}; AdaptiveAvgPool2d(1) is supported")
        self._window(node, "avgpool", source, source.shape[0], source.shape[1:], 1, 0)

    def _window(self, node, kind, source, channels, kernel, stride, pad, module=None, flat=False) -> None:
        name, kernel, (stride, stride_x), pad = str(node.target), _pair(kernel), _pair(stride), _pair(pad)
        c, h, w = source.shape
        out = tuple((size + 2 * p - k) // stride + 1 for size, p, k in zip((h, w), pad, kernel, strict=True))
        if stride != stride_x or not 1 <= stride <= _MAX_STRIDE:
            found = f"stride {(stride, stride_x)}"
            raise ExportError(f"{name} has {found}; one stride from 1 to {_MAX_STRIDE} for both directions is supported")
        if max(kernel) > _MAX_KERNEL or max(pad) > _MAX_KERNEL or min(out) < 1:
            found = f"a {kernel[0]} x {kernel[1]} kernel and padding {pad} on {h} x {w} pixels"
            limit = f"kernels and padding up to {_MAX_KERNEL} and at least one result"
            raise ExportError(f"{name} has {found}; {limit} are supported")
        if kind != "conv" and any(2 * p > k for p, k in zip(pad, kernel, strict=True)):
            raise ExportError(f"{name} has padding {pad} and kernel {kernel}; a pool's padding is at most half its kernel")
        if kind == "conv":
            depthwise = isinstance(module, nn.Conv2d) and module.groups > 1
            _check_sums(name, self.batch, *((1, 1) if depthwise else (c, channels)), kernel, out)
            if module.in_features != c * h * w if isinstance(module, nn.Linear) else module.in_channels != c:
                raise ExportError(f"{name} takes {module.in_channels} channels; {c} arrive")
        name = name if module else self._name(node)  # a pool may be used again
        self._add(node, Layer(name, kind, (source.name,), source.shape, (channels, *out), kernel, stride, pad, module), flat)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _check_hooks(name: str, module: nn.Module) -> None:
    """Hooks change what a module computes, and torch.fx does not see them: pruning and the older weight norm are hooks."""
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks:
        raise ExportError(f"{name} has a hook, which may change what it computes; layers without hooks are supported")


def _check_shared(layers: list[Layer]) -> None:
    owners: dict[nn.Parameter, str] = {}
    for layer in layers:
        for parameter in layer.module.parameters() if layer.module else ():
            other = owners.setdefault(parameter, layer.name)
            if other != layer.name and parameter.requires_grad:
                raise ExportError(f"{other} and {layer.name} share a parameter; every trained layer must have its own")


def _check_sums(name: str, batch: int, c: int, k: int, kernel: tuple[int, int], out: tuple[int, int]) -> None:
    taps = kernel[0] * kernel[1]
    sums = {"forward": c * taps, "grad_input": k * taps, "grad_weight": batch * out[0] * out[1]}
    for product, terms in sums.items():
        if terms > MAX_REDUCTION:
            raise ExportError(f"{name} sums {terms} products in {product}; {MAX_REDUCTION} products of int8 fit int32")


def average_factor(layer: Layer) -> str:
    """Return the factor of an average pool, such as 1/49."""
    return str(Fraction(1, layer.kernel[0] * layer.kernel[1]))
