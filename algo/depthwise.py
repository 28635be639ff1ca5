"""Depthwise convolutions in PyTorch, exact: tap by tap in integers, the same on every device."""

from __future__ import annotations

import torch

from algo.step import Product
from algo.windows import inside, margins, padded, taps


def compute(product: Product, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return what a depthwise product accumulates, int32; channels do not meet.

    Args:
        product: kind and geometry; as many channels in as out.
        a: integer operand: x (n, c, h, w) or the gradient (n, c, oh, ow).
        b: integers: weights (c, 1, kh, kw), or the gradient (grad_weight).

    Returns:
        (n, *product.result_shape), or (c, 1, kh, kw) for grad_weight.
    """
    return _KINDS[product.kind](product, a.int(), b.int())


def _forward(product: Product, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return sum(met * w[:, :, ky, kx].view(1, -1, 1, 1) for ky, kx, met in taps(product, padded(product, x)))


def _grad_input(product: Product, g: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    plane = margins(product, len(g), g.device)
    for ky, kx, met in taps(product, plane):
        met += g * w[:, :, ky, kx].view(1, -1, 1, 1)
    return inside(product, plane)


def _grad_weight(product: Product, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    acc = torch.zeros((product.out_shape[0], 1, *product.kernel), dtype=torch.int32, device=x.device)
    for ky, kx, met in taps(product, padded(product, x)):
        acc[:, 0, ky, kx] = (met * g).sum((0, 2, 3), dtype=torch.int32)
    return acc


_KINDS = {"forward": _forward, "grad_input": _grad_input, "grad_weight": _grad_weight}
