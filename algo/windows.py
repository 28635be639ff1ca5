"""Windows of a convolution or a pool over padded planes: tap by tap, or as the rows of a matrix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from algo.step import Product


def padded(product: Product, x: torch.Tensor, value: int = 0) -> torch.Tensor:
    """Return x (n, c, h, w) with a margin on all sides."""
    pad_y, pad_x = product.pad
    return F.pad(x, (pad_x, pad_x, pad_y, pad_y), value=value)


def inside(product: Product, plane: torch.Tensor) -> torch.Tensor:
    """Return a padded plane without its margin: a view."""
    (_, h, w), (pad_y, pad_x) = product.in_shape, product.pad
    return plane[:, :, pad_y : pad_y + h, pad_x : pad_x + w]


def margins(product: Product, images: int, device: torch.device) -> torch.Tensor:
    """Return int32 zeros of the shape of `padded`."""
    (c, h, w), (pad_y, pad_x) = product.in_shape, product.pad
    return torch.zeros((images, c, h + 2 * pad_y, w + 2 * pad_x), dtype=torch.int32, device=device)


def taps(product: Product, plane: torch.Tensor) -> Iterator[tuple[int, int, torch.Tensor]]:
    """Yield (ky, kx, the pixels of the padded plane that this tap meets, (n, c, oh, ow)): views."""
    (kh, kw), stride, (_, oh, ow) = product.kernel, product.stride, product.out_shape
    for ky in range(kh):
        for kx in range(kw):
            rows, columns = slice(ky, ky + (oh - 1) * stride + 1, stride), slice(kx, kx + (ow - 1) * stride + 1, stride)
            yield ky, kx, plane[:, :, rows, columns]


def rows_of(x: torch.Tensor) -> torch.Tensor:
    """Return (n, c, h, w) as a matrix with a row for each pixel: a view where the channels of a pixel lie together."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def images_of(rows: torch.Tensor, n: int, h: int, w: int) -> torch.Tensor:
    """Return a matrix with a row for each pixel as (n, c, h, w); the inverse of `rows_of`."""
    return rows.view(n, h, w, rows.shape[1]).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Windows:
    """Where windows lie over planes.

    Attributes:
        kernel: (kh, kw).
        stride: between windows.
        pad: (pad_y, pad_x): zeros above and to the left; below 0, as many pixels are left out.
        out: (oh, ow), windows in a column and in a line; zeros follow below and to the right as far as they reach.
        spread: the pixels stand that far apart between zeros.
    """

    kernel: tuple[int, int]
    stride: int
    pad: tuple[int, int]
    out: tuple[int, int]
    spread: int = 1


def of_input(product: Product) -> Windows:
    """Return the windows over x that a product reads forward."""
    return Windows(product.kernel, product.stride, product.pad, product.out_shape[1:])


def of_gradient(product: Product) -> Windows:
    """Return the windows over the output's gradient whose products with the weights, turned round, make the input's."""
    (kh, kw), (pad_y, pad_x) = product.kernel, product.pad
    return Windows(product.kernel, 1, (kh - 1 - pad_y, kw - 1 - pad_x), product.in_shape[1:], product.stride)


def window_rows(x: torch.Tensor, windows: Windows) -> torch.Tensor:
    """Return a matrix with a row for each window: its taps in row-major order, the channels of a tap together.

    Args:
        x: int8 (n, c, h, w).
    """
    n, c, *sizes = x.shape
    if windows == Windows((1, 1), 1, (0, 0), tuple(sizes)):
        return rows_of(x)
    (kh, kw), stride = windows.kernel, windows.stride
    height, width = ((out - 1) * stride + k for out, k in zip(windows.out, windows.kernel, strict=True))
    plane = torch.zeros((n, height, width, c), dtype=torch.int8, device=x.device)
    (to_y, of_y), (to_x, of_x) = (_placed(windows.spread, *one) for one in zip(windows.pad, (height, width), sizes, strict=True))
    plane[:, to_y, to_x] = x[:, :, of_y, of_x].permute(0, 2, 3, 1)
    line = width * c
    strides = (height * line, stride * line, stride * c, line, 1)
    return plane.as_strided((n, *windows.out, kh, kw * c), strides).reshape(-1, kh * kw * c)


def _placed(spread: int, first: int, size: int, count: int) -> tuple[slice, slice]:
    """Return where pixels stand in a line, and which: number i at first + i * spread, as far as that lies in the line."""
    low, high = max(0, -(first // spread)), max(0, min(count, (size - 1 - first) // spread + 1))
    return slice(first + low * spread, max(first + (high - 1) * spread + 1, 0), spread), slice(low, high)
