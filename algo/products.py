"""The array's products in PyTorch, exact: int8 matrices of windows, summed in int32, the same bits on every device.

Windows are laid out pixel by pixel (`windows.window_rows`); tensors are (n, c, h, w) with the channels of a pixel together
(torch.channels_last), where that is a copy of whole lines.

    forward        windows of x       (n oh ow, kh kw c)  times  weights (kh kw c, k)
    grad_input     windows of g       (n h w, kh kw k)    times  weights turned round (kh kw k, c)
    grad_weight    g transposed       (k, n oh ow)        times  windows of x (n oh ow, kh kw c)

For grad_input with a stride, the gradient's pixels stand that far apart between zeros. Where grad_weight drops bits of its
operands, they are rounded before.
"""

from __future__ import annotations

import torch

from algo import compiled, depthwise, pools
from algo.arithmetic import INT8_MAX, dither
from algo.int8_matmul import matmul
from algo.step import Product
from algo.windows import Windows, images_of, of_gradient, of_input, rows_of, window_rows


def compute(product: Product, a: torch.Tensor, b: torch.Tensor | None, first: int = 0) -> torch.Tensor:
    """Return what a product accumulates, int32.

    Args:
        product: kind and geometry.
        a: x (n, c, h, w) or the gradient (n, k, oh, ow), of int8's range.
        b: of int8's range: weights (k, c, kh, kw), the gradient (grad_weight), indices (n, c, oh, ow) (max_backward), or None.
        first: number of the first image in the mini-batch, or in the part's list, which the dither depends on.

    Returns:
        (n, *product.result_shape), or (k, c, kh, kw) for grad_weight; depthwise weights have c = 1.
    """
    if product.a_drop:
        a = coarse(a, product.a_drop, 1 << product.a_drop >> 1)
    if product.b_drop:
        b = coarse(b, product.b_drop, _dither(b, product.b_drop, first))
    return depthwise.compute(product, a, b) if product.depthwise else _KINDS[product.kind](product, a, b)


def coarse(q: torch.Tensor, shift: int, added: int | torch.Tensor) -> torch.Tensor:
    """algo.arithmetic.coarse of int8 in int8: what would pass 127 is cut before the sum."""
    q, most = q.to(torch.int8), INT8_MAX - added
    q = torch.minimum(q, most) if isinstance(most, torch.Tensor) else q.clamp(max=most)
    return q.add_(added).bitwise_and_(-1 << shift).clamp_(min=(1 << shift) - 128)


def _dither(g: torch.Tensor, shift: int, first: int) -> torch.Tensor:
    """algo.arithmetic.dither of every element of an output gradient, int8; laid out in full, as loops over numbers that lie
    together are many times as fast."""
    (n, _, h, w), device = g.shape, g.device
    image, y, x = (torch.arange(low, low + size, device=device) for low, size in ((first, n), (0, h), (0, w)))
    pixels = dither(image.view(-1, 1, 1, 1), y.view(-1, 1), x, shift).to(torch.int8)
    return pixels.expand(g.shape).contiguous(memory_format=torch.channels_last)


def _windows(x: torch.Tensor, windows: Windows) -> torch.Tensor:
    x = x.to(torch.int8)
    return compiled.window_rows(x, windows) if compiled.runs_on(x.device) else window_rows(x, windows)


def _forward(product: Product, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    weights = w.to(torch.int8).permute(0, 2, 3, 1).reshape(product.out_shape[0], -1).t()
    return images_of(matmul(_windows(x, of_input(product)), weights), len(x), *product.out_shape[1:])


def _grad_input(product: Product, g: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    weights = w.to(torch.int8).flip(2, 3).permute(1, 2, 3, 0).reshape(product.in_shape[0], -1).t()
    return images_of(matmul(_windows(g, of_gradient(product)), weights), len(g), *product.in_shape[1:])


def _grad_weight(product: Product, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    found = matmul(rows_of(g.to(torch.int8)).t(), _windows(x, of_input(product)))
    return found.view(product.out_shape[0], *product.kernel, product.in_shape[0]).permute(0, 3, 1, 2)


_KINDS = {
    "forward": _forward,
    "grad_input": _grad_input,
    "grad_weight": _grad_weight,
    "sum_forward": pools.sum_forward,
    "sum_backward": pools.sum_backward,
    "max_forward": pools.max_forward,
    "max_backward": pools.max_backward,
}
