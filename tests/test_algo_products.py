"""The emulator's products against loops written from the table in algo/step.py."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from algo import compiled, products
from algo.int8_matmul import has_exact, matmul
from algo.step import Product
from algo.windows import Windows, window_rows

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


@pytest.mark.parametrize("sizes", [(1, 1, 1), (16, 27, 10), (17, 8, 8), (33, 144, 17), (64, 16, 16), (5, 400, 3)], ids=str)
@pytest.mark.parametrize("pad", [False, True])
def test_matrices_of_any_size_and_layout_with_and_without_padding(sizes, pad):
    """`pad` is what CUDA needs; zeros change no sum."""
    m, k, n = sizes
    rng = torch.Generator().manual_seed(m)
    for turned in itertools.product((False, True), repeat=2):
        a, b = (torch.randint(-127, 128, shape[::-1] if turn else shape, dtype=torch.int8, generator=rng)
                for shape, turn in zip(((m, k), (k, n)), turned, strict=True))  # fmt: skip
        a, b = (x.t() if turn else x for x, turn in zip((a, b), turned, strict=True))
        found = matmul(a, b, pad)
        assert found.dtype == torch.int32 and torch.equal(found.long(), a.long() @ b.long())


@pytest.mark.parametrize(("m", "k", "n"), [(1, 128, 27), (20, 128, 1), (20, 1, 27)])
def test_the_stride_of_a_single_row_or_column_does_not_matter(m, k, n):
    """A gradient of one channel, or a weight of one tap, comes as such a view."""
    generator = torch.Generator().manual_seed(m)
    a, b = (torch.randint(-127, 128, shape, dtype=torch.int8, generator=generator) for shape in ((m, k), (k, n)))
    strides = [[64 if size == 1 else 1 if 1 in one.shape else one.shape[1] * (at == 0) or 1 for at, size in enumerate(one.shape)]
               for one in (a, b)]  # fmt: skip
    views = [one.as_strided(one.shape, stride) for one, stride in zip((a, b), strides, strict=True)]
    assert torch.equal(matmul(*views, False).long(), a.long() @ b.long())


@pytest.mark.parametrize(("rows", "between", "k"), [(3, 2, 4), (12, 2, 6), (5, 3, 9), (4, 0, 7)])
def test_rows_that_share_their_numbers_are_multiplied_as_they_stand(rows, between, k):
    """Windows that lie below each other, one to a line, come as such a view where no loops are compiled."""
    generator = torch.Generator().manual_seed(rows)
    plane, b = (torch.randint(-127, 128, shape, dtype=torch.int8, generator=generator) for shape in ((40,), (k, 5)))
    a = plane.as_strided((rows, k), (between, 1))
    assert torch.equal(matmul(a, b, False).long(), a.long() @ b.long())


def _as_cuda(monkeypatch):
    """Let PyTorch's product refuse what CUDA's refuses, once it has been tried as it is."""
    product, _ = torch._int_mm, has_exact("cpu")

    def strict(a, b):
        (m, k), n = a.shape, b.shape[1]
        if m <= 16 or not k or k % 8 or not n or n % 8:
            raise RuntimeError(f"more than 16 rows, and multiples of 8 above 0, are needed, but got {m}, {k}, {n}")
        return product(a, b)

    monkeypatch.setattr(torch, "_int_mm", strict)


@pytest.mark.parametrize("sizes", [(0, 144, 16), (16, 0, 144), (1, 1, 1), (17, 27, 10)], ids=str)
def test_matrices_without_a_row_or_a_sum_are_none_of_cudas_business(sizes, monkeypatch):
    """A share of a mini-batch, or of a block's samples, may be empty: no rows forward, no terms in a weight's gradient."""
    m, k, n = sizes
    a, b = torch.ones((m, k), dtype=torch.int8), torch.ones((k, n), dtype=torch.int8)
    _as_cuda(monkeypatch)
    found = matmul(a, b, pad=True)
    assert found.dtype == torch.int32 and torch.equal(found, torch.full((m, n), k, dtype=torch.int32))


def test_the_longest_sum_is_exact():
    a, b = torch.full((2, 132104), -128, dtype=torch.int8), torch.full((132104, 3), 127, dtype=torch.int8)
    assert (matmul(a, b).long() == -132104 * 128 * 127).all() and (matmul(a, -b, True).long() == 132104 * 128 * 127).all()


def test_where_the_processor_is_not_exact_float64_is(monkeypatch):
    rng = torch.Generator().manual_seed(0)
    a, b = (torch.randint(-127, 128, shape, dtype=torch.int8, generator=rng) for shape in ((4, 300), (300, 5)))
    saturating = lambda x, y: (x.long() @ y.long()).clamp(-32768, 32767).int()  # noqa: E731
    monkeypatch.setattr(torch, "_int_mm", saturating)
    has_exact.cache_clear()
    try:
        assert not has_exact("cpu") and torch.equal(matmul(a, b).long(), a.long() @ b.long())
    finally:
        has_exact.cache_clear()


WINDOWS = [
    Windows((3, 3), 1, (1, 1), (6, 5)), Windows((3, 3), 2, (1, 1), (3, 3)), Windows((1, 1), 1, (0, 0), (6, 5)),
    Windows((2, 3), 1, (1, 0), (14, 9), 2), Windows((3, 3), 1, (0, 0), (11, 9), 2), Windows((1, 1), 1, (-1, -1), (4, 3)),
    Windows((3, 3), 1, (-2, -1), (9, 8), 3), Windows((1, 1), 2, (0, 0), (3, 3)),
]  # fmt: skip


@pytest.mark.parametrize("windows", WINDOWS, ids=str)
@pytest.mark.parametrize("run", [window_rows, compiled.window_rows], ids=["torch", "compiled"])
def test_windows_are_laid_out(run, windows):
    x = torch.randint(-128, 128, (N, C, H, W), dtype=torch.int8, generator=torch.Generator().manual_seed(0))
    rows = run(x, windows).view(N, *windows.out, *windows.kernel, C)
    for y, column, ky, kx in itertools.product(*map(range, (*windows.out, *windows.kernel))):
        at = y * windows.stride + ky - windows.pad[0], column * windows.stride + kx - windows.pad[1]
        place = [divmod(one, windows.spread) for one in at]
        there = all(rest == 0 and 0 <= one < size for (one, rest), size in zip(place, (H, W), strict=True))
        wanted = x[:, :, place[0][0], place[1][0]] if there else torch.zeros((N, C), dtype=torch.int8)
        assert torch.equal(rows[:, y, column, ky, kx], wanted)


def test_without_the_compiled_loops_the_products_are_the_same(monkeypatch):
    monkeypatch.setattr(compiled, "library", lambda: None)
    for kernel, stride, pad in CASES:
        test_convolution(kernel, stride, pad)
