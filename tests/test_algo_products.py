"""The emulator's products against loops written from the table in algo/step.py."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from algo import products
from algo.step import Product

CASES = [
    ((3, 3), 1, (1, 1)), ((3, 3), 2, (1, 1)), ((5, 5), 1, (2, 2)), ((1, 1), 2, (0, 0)), ((2, 3), 2, (1, 0)), ((3, 3), 3, (2, 2)),
]
N, C, K, H, W = 2, 3, 4, 6, 5


def _taps(kernel, stride, pad, out):
    """Yield (tap, oy, ox, y, x) for taps inside the plane."""
    for oy, ox, ky, kx in itertools.product(range(out[0]), range(out[1]), range(kernel[0]), range(kernel[1])):
        y, x = oy * stride + ky - pad[0], ox * stride + kx - pad[1]
        if 0 <= y < H and 0 <= x < W:
            yield (ky, kx), oy, ox, y, x


def _case(kernel, stride, pad, channels):
    out = tuple((size + 2 * p - k) // stride + 1 for size, p, k in zip((H, W), pad, kernel, strict=True))
    rng = np.random.default_rng(1)
    x = rng.integers(-127, 128, (N, C, H, W))
    g = rng.integers(-127, 128, (N, channels, *out))
    w = rng.integers(-127, 128, (K, C, *kernel))
    return out, x, g, w


def _run(kind, a, b, kernel, stride, pad, out, channels):
    product = Product(kind, "a", "b", kernel, stride, pad, (C, H, W), (channels, *out))
    return products.compute(product, torch.tensor(a), None if b is None else torch.tensor(b)).numpy()


@pytest.mark.parametrize(("kernel", "stride", "pad"), CASES)
def test_convolution(kernel, stride, pad):
    out, x, g, w = _case(kernel, stride, pad, K)
    forward = np.zeros((N, K, *out), np.int64)
    grad_input, grad_weight = np.zeros_like(x), np.zeros_like(w)
    for (ky, kx), oy, ox, iy, ix in _taps(kernel, stride, pad, out):
        forward[:, :, oy, ox] += x[:, :, iy, ix] @ w[:, :, ky, kx].T
        grad_input[:, :, iy, ix] += g[:, :, oy, ox] @ w[:, :, ky, kx]
        grad_weight[:, :, ky, kx] += g[:, :, oy, ox].T @ x[:, :, iy, ix]
    geometry = (kernel, stride, pad, out, K)
    np.testing.assert_array_equal(_run("forward", x, w, *geometry), forward)
    np.testing.assert_array_equal(_run("grad_input", g, w, *geometry), grad_input)
    np.testing.assert_array_equal(_run("grad_weight", x, g, *geometry), grad_weight)


@pytest.mark.parametrize(("kernel", "stride", "pad"), [case for case in CASES if 2 * max(case[2]) <= min(case[0])])
def test_pools(kernel, stride, pad):
    out, x, g, _ = _case(kernel, stride, pad, C)
    total, spread, routed = np.zeros_like(g), np.zeros_like(x), np.zeros_like(x)
    best = np.zeros_like(g)
    for (ky, kx), oy, ox, iy, ix in _taps(kernel, stride, pad, out):
        total[:, :, oy, ox] += x[:, :, iy, ix]
        spread[:, :, iy, ix] += g[:, :, oy, ox]
        candidate = (x[:, :, iy, ix] + 128) << 8 | (255 - (ky * kernel[1] + kx))
        best[:, :, oy, ox] = np.maximum(best[:, :, oy, ox], candidate)
    index = 255 - (best & 255)
    for (ky, kx), oy, ox, iy, ix in _taps(kernel, stride, pad, out):
        routed[:, :, iy, ix] += np.where(index[:, :, oy, ox] == ky * kernel[1] + kx, g[:, :, oy, ox], 0)
    geometry = (kernel, stride, pad, out, C)
    np.testing.assert_array_equal(_run("sum_forward", x, None, *geometry), total)
    np.testing.assert_array_equal(_run("sum_backward", g, None, *geometry), spread)
    np.testing.assert_array_equal(_run("max_forward", x, None, *geometry), best)
    np.testing.assert_array_equal(_run("max_backward", g, index, *geometry), routed)


def test_the_lowest_value_wins_over_padding():
    x = np.full((N, C, H, W), -128)
    packed = _run("max_forward", x, None, (2, 2), 2, (1, 1), (H // 2 + 1, W // 2 + 1), C)
    assert (packed >> 8 == 0).all()
    assert (255 - (packed[:, :, 0, 0] & 255) == 3).all(), "only the last tap of the first window lies inside"
    assert (255 - (packed[:, :, 1, 1] & 255) == 0).all()


@pytest.mark.parametrize("channels", [7, 113, 130], ids=["one part", "a part that is full", "parts"])
@pytest.mark.parametrize("values", [(-128, -128), (127, -127), (-127, 128)], ids=["lowest", "highest", "random"])
def test_sums_past_what_float32_holds_stay_exact(channels, values):
    """The same products as integer matrix products of unfolded operands; 113 channels of 3 x 3 taps sum 1,017 products."""
    rng = np.random.default_rng(2)
    low, high = sorted(values)
    x, g, w = (
        torch.tensor(rng.integers(low, high, size) if low + 255 == high else np.broadcast_to(rng.choice(values, 1), size).copy())
        for size in ((12, channels, 10, 10), (12, channels, 10, 10), (channels, channels, 3, 3))
    )
    shape, kinds = (channels, 10, 10), ("forward", "grad_input", "grad_weight")
    product = {kind: Product(kind, "a", "b", (3, 3), 1, (1, 1), shape, shape) for kind in kinds}
    columns = torch.nn.functional.unfold(x.double(), 3, padding=1).long()
    assert (products.compute(product["forward"], x, w) == (w.flatten(1) @ columns).view(g.shape)).all()
    spread = (w.flatten(1).T @ g.flatten(2)).double()
    assert (products.compute(product["grad_input"], g, w) == torch.nn.functional.fold(spread, (10, 10), 3, padding=1)).all()
    gradient = torch.einsum("nkp,nqp->kq", g.flatten(2), columns)
    assert (products.compute(product["grad_weight"], x, g) == gradient.view(w.shape)).all()
