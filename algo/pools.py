"""Pools in PyTorch, exact: tap by tap in integers, the same on every device."""

from __future__ import annotations

import torch

from algo.step import Product
from algo.windows import inside, margins, padded, taps

_OUTSIDE = -(1 << 15)
"""Stands for padding where a maximum is sought: below every pixel."""


def sum_forward(product: Product, x: torch.Tensor, _: None) -> torch.Tensor:
    """Return the sum over every window."""
    return sum(met for _, _, met in taps(product, padded(product, x.int())))


def sum_backward(product: Product, g: torch.Tensor, _: None) -> torch.Tensor:
    """Return the adjoint of `sum_forward`."""
    plane = margins(product, len(g), g.device)
    for _, _, met in taps(product, plane):
        met += g
    return inside(product, plane)


def max_forward(product: Product, x: torch.Tensor, _: None) -> torch.Tensor:
    """Return the largest (x + 128) << 8 | 255 - tap of every window, 0 where all of it is padding."""
    plane = padded(product, (x.int() + 128) << 8, _OUTSIDE)
    best = torch.zeros((len(x), *product.out_shape), dtype=torch.int32, device=x.device)
    for ky, kx, met in taps(product, plane):
        torch.maximum(best, met + (255 - (ky * product.kernel[1] + kx)), out=best)
    return best


def max_backward(product: Product, g: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return, for every pixel, the sum of g of the windows that it won."""
    plane = margins(product, len(g), g.device)
    for ky, kx, met in taps(product, plane):
        met += g * (index == ky * product.kernel[1] + kx)
    return inside(product, plane)
