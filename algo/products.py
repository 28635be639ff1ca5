"""The array's products in PyTorch, exact: unfolded matrix products in float64, every sum an integer far below 2^53.

float64 has no reduced-precision mode on GPUs, and exact sums do not depend on their order, so CPU and GPU give the same bits.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from algo.step import Product


def compute(product: Product, a: torch.Tensor, b: torch.Tensor | None) -> torch.Tensor:
    """Return what a product accumulates, int64.

    Args:
        product: kind and geometry.
        a: int64 operand: x (n, c, h, w) or the gradient (n, k, oh, ow).
        b: int64: weights (k, c, kh, kw), the gradient (grad_weight), indices (n, c, oh, ow) (max_backward), or None.

    Returns:
        (n, *product.result_shape), or (k, c, kh, kw) for grad_weight.
    """
    return _KINDS[product.kind](product, a, b)


def _columns(product: Product, x: torch.Tensor) -> torch.Tensor:
    """(n, c, h, w) to float64 (n, c * taps, oh * ow); padding is 0."""
    return F.unfold(x.double(), product.kernel, padding=product.pad, stride=product.stride)


def _image(product: Product, columns: torch.Tensor) -> torch.Tensor:
    """The adjoint of `_columns`, as int64."""
    size = product.in_shape[1:]
    return F.fold(columns, size, product.kernel, padding=product.pad, stride=product.stride).long()


def _taps(product: Product) -> int:
    return product.kernel[0] * product.kernel[1]


def _forward(product: Product, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return (w.double().flatten(1) @ _columns(product, x)).long().view(len(x), *product.out_shape)


def _grad_input(product: Product, g: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return _image(product, w.double().flatten(1).T @ g.double().flatten(2))


def _grad_weight(product: Product, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    columns = _columns(product, x).transpose(0, 1).flatten(1)
    gradient = g.double().flatten(2).transpose(0, 1).flatten(1)
    shape = (product.out_shape[0], product.in_shape[0], *product.kernel)
    return (gradient @ columns.T).long().view(shape)


def _sum_forward(product: Product, x: torch.Tensor, _: None) -> torch.Tensor:
    columns = _columns(product, x).view(len(x), product.in_shape[0], _taps(product), -1)
    return columns.sum(2).long().view(len(x), *product.out_shape)


def _sum_backward(product: Product, g: torch.Tensor, _: None) -> torch.Tensor:
    return _image(product, g.double().flatten(2).repeat_interleave(_taps(product), 1))


def _max_forward(product: Product, x: torch.Tensor, _: None) -> torch.Tensor:
    """Values inside the image are at least 1 after an offset of 129, so padding, 0, is told from a value of -128."""
    columns = _columns(product, x + 129).long().view(len(x), product.in_shape[0], _taps(product), -1)
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
