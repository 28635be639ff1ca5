"""The array's products in PyTorch, exact: every partial sum is an integer that its floating-point type holds.

Exact sums do not depend on their order, so every device gives the same bits. On a CPU the three products of a convolution run as
float32 convolutions over parts of the reduction that cannot pass 2^24; PyTorch asks oneDNN for its direct algorithm there, which
multiplies operands as they are (Winograd would not). Everything else is a matrix product of unfolded operands in float64, far
below 2^53, which no GPU computes with reduced precision.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

from algo import depthwise
from algo.step import Product

_FLOAT32_PRODUCTS = 1 << 10
"""Products of two int8 values, at most 2^14 each, whose sum float32 holds exactly whatever they are."""


def compute(product: Product, a: torch.Tensor, b: torch.Tensor | None) -> torch.Tensor:
    """Return what a product accumulates, int64.

    Args:
        product: kind and geometry.
        a: integer operand: x (n, c, h, w) or the gradient (n, k, oh, ow).
        b: integers: weights (k, c, kh, kw), the gradient (grad_weight), indices (n, c, oh, ow) (max_backward), or None.

    Returns:
        (n, *product.result_shape), or (k, c, kh, kw) for grad_weight; depthwise weights have c = 1.
    """
    return depthwise.compute(product, a, b) if product.depthwise else _KINDS[product.kind](product, a, b)


def _columns(product: Product, x: torch.Tensor) -> torch.Tensor:
    """(n, c, h, w) to float64 (n, c * taps, oh * ow); padding is 0."""
    return F.unfold(x.double(), product.kernel, padding=product.pad, stride=product.stride)


def _image(product: Product, columns: torch.Tensor) -> torch.Tensor:
    """The adjoint of `_columns`, as int64."""
    size = product.in_shape[1:]
    return F.fold(columns, size, product.kernel, padding=product.pad, stride=product.stride).long()


def _taps(product: Product) -> int:
    return product.kernel[0] * product.kernel[1]


def _parts(device: torch.device, products_each: int) -> int:
    """Return how many channels (or images) of so many products each one float32 convolution may sum; 0 for none."""
    return _FLOAT32_PRODUCTS // products_each if device.type == "cpu" else 0


def _stored(product: Product, w: torch.Tensor) -> torch.Tensor:
    """Weights in the shape that the product reads, which is not the module's where the images are folded."""
    return w.reshape(product.out_shape[0], product.in_shape[0], *product.kernel)


def _forward(product: Product, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    if part := _parts(x.device, _taps(product)):
        pieces = zip(x.float().split(part, 1), _stored(product, w).float().split(part, 1), strict=True)
        return _sum(F.conv2d(one, weight, None, product.stride, product.pad) for one, weight in pieces)
    return (w.double().flatten(1) @ _columns(product, x)).long().view(len(x), *product.out_shape)


def _grad_input(product: Product, g: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    if part := _parts(g.device, _taps(product)):
        size = (len(g), *product.in_shape)
        pieces = zip(g.float().split(part, 1), _stored(product, w).float().split(part), strict=True)
        return _sum(conv2d_input(size, weight, one, product.stride, product.pad) for one, weight in pieces)
    return _image(product, w.double().flatten(1).T @ g.double().flatten(2))


def _grad_weight(product: Product, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    shape = (product.out_shape[0], product.in_shape[0], *product.kernel)
    if part := _parts(x.device, product.out_shape[1] * product.out_shape[2]):
        pieces = zip(x.float().split(part), g.float().split(part), strict=True)
        return _sum(conv2d_weight(one, shape, gradient, product.stride, product.pad) for one, gradient in pieces)
    columns = _columns(product, x).transpose(0, 1).flatten(1)
    gradient = g.double().flatten(2).transpose(0, 1).flatten(1)
    return (gradient @ columns.T).long().view(shape)


def _sum(parts: Iterable[torch.Tensor]) -> torch.Tensor:
    """Add float32 tensors of integers, as int64."""
    first, *others = parts
    total = first.long()
    for other in others:
        total += other.long()
    return total


def _sum_forward(product: Product, x: torch.Tensor, _: None) -> torch.Tensor:
    columns = _columns(product, x).view(len(x), product.in_shape[0], _taps(product), -1)
    return columns.sum(2).long().view(len(x), *product.out_shape)


def _sum_backward(product: Product, g: torch.Tensor, _: None) -> torch.Tensor:
    return _image(product, g.double().flatten(2).repeat_interleave(_taps(product), 1))


def _max_forward(product: Product, x: torch.Tensor, _: None) -> torch.Tensor:
    """Values inside the image are at least 1 after an offset of 129, so padding, 0, is told from a value of -128."""
    columns = _columns(product, x.long() + 129).long().view(len(x), product.in_shape[0], _taps(product), -1)
    tap = torch.arange(_taps(product), device=x.device).view(1, 1, -1, 1)
    packed = torch.where(columns > 0, (columns - 1) << 8 | (255 - tap), 0)
    return packed.amax(2).view(len(x), *product.out_shape)


def _max_backward(product: Product, g: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    tap = torch.arange(_taps(product), device=g.device).view(1, 1, -1, 1)
    kept = torch.where(index.flatten(2).unsqueeze(2) == tap, g.flatten(2).unsqueeze(2), 0)
    return _image(product, kept.double().flatten(1, 2))


_KINDS = {
    "forward": _forward,
    "grad_input": _grad_input,
    "grad_weight": _grad_weight,
    "sum_forward": _sum_forward,
    "sum_backward": _sum_backward,
    "max_forward": _max_forward,
    "max_backward": _max_backward,
}
