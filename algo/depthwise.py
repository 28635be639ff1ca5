"""Depthwise convolutions in PyTorch, exact: tap by tap in integers, the same on every device."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F

from algo.step import Product


def compute(product: Product, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return what a depthwise product accumulates, int64; channels do not meet.

    Args:
        product: kind and geometry; as many channels in as out.
        a: integer operand: x (n, c, h, w) or the gradient (n, c, oh, ow).
        b: integers: weights (c, 1, kh, kw), or the gradient (grad_weight).

    Returns:
        (n, *product.result_shape), or (c, 1, kh, kw) for grad_weight.
    """
    return _KINDS[product.kind](product, a.int(), b.int())


def _taps(product: Product, padded: torch.Tensor) -> Iterator[tuple[int, int, torch.Tensor]]:
    """Yield (ky, kx, the pixels of the padded plane that this tap meets, (n, c, oh, ow)): views."""
    (kh, kw), stride, (_, oh, ow) = product.kernel, product.stride, product.out_shape
    for ky in range(kh):
        for kx in range(kw):
            rows, columns = slice(ky, ky + (oh - 1) * stride + 1, stride), slice(kx, kx + (ow - 1) * stride + 1, stride)
            yield ky, kx, padded[:, :, rows, columns]


def _padded(product: Product, x: torch.Tensor) -> torch.Tensor:
    (pad_y, pad_x) = product.pad
    return F.pad(x, (pad_x, pad_x, pad_y, pad_y))


def _forward(product: Product, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    acc = torch.zeros((len(x), *product.out_shape), dtype=torch.int32, device=x.device)
    for ky, kx, met in _taps(product, _padded(product, x)):
        acc += met * w[:, :, ky, kx].view(1, -1, 1, 1)
    return acc.long()


def _grad_input(product: Product, g: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    (c, h, width), (pad_y, pad_x) = product.in_shape, product.pad
    padded = torch.zeros((len(g), c, h + 2 * pad_y, width + 2 * pad_x), dtype=torch.int32, device=g.device)
    for ky, kx, met in _taps(product, padded):
        met += g * w[:, :, ky, kx].view(1, -1, 1, 1)
    return padded[:, :, pad_y : pad_y + h, pad_x : pad_x + width].long()


def _grad_weight(product: Product, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    acc = torch.zeros((product.out_shape[0], 1, *product.kernel), dtype=torch.int64, device=x.device)
    for ky, kx, met in _taps(product, _padded(product, x)):
        acc[:, 0, ky, kx] = (met * g).sum((0, 2, 3), dtype=torch.int64)
    return acc


_KINDS = {"forward": _forward, "grad_input": _grad_input, "grad_weight": _grad_weight}
