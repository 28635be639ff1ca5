"""One pass of the vector unit in PyTorch, on a CPU or a GPU: algo.step.Pass on whole tensors, the same integers as the core's."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from algo.arithmetic import INT8_MAX, MASK32, to_operand
from algo.step import Pass

_PART = 1 << 15
"""Elements that a CPU takes through all stages at a time: a few intermediate results of so many stay in its cache."""


@dataclass(frozen=True)
class Numbers:
    """Run-time numbers of a pass, see algo.arithmetic.affine.

    Attributes:
        a, b, d: integers, or int64 (1, c, 1, 1).
        key: of the noise; None rounds to nearest.
        threshold: of the soft threshold.
    """

    a: int | torch.Tensor
    b: int | torch.Tensor
    d: int | torch.Tensor
    shift: int
    key: int | None = None
    threshold: int = 0


@dataclass(frozen=True)
class Result:
    """What a pass leaves.

    Attributes:
        out: int8 (n, c, h, w).
        positive: bool of the same shape, whether the result is above 0; None where the pass writes no mask.
        maximum: largest |result| before saturation; 0 where the pass collects none.
        sums: int64 (2, c): the sums of out and of out * out or out * v; None where the pass has none.
    """

    out: torch.Tensor
    positive: torch.Tensor | None
    maximum: int
    sums: torch.Tensor | None


def vector_pass(
    one: Pass, u: torch.Tensor | None, v: torch.Tensor | None, numbers: Numbers, mask: torch.Tensor | None = None
) -> Result:
    """Compute a pass.

    Args:
        u, v: integers (n, c, h, w): the accumulator where the pass names it, or a tensor; None is 0.
        mask: bool, zero where it is False.
    """
    whole = u if u is not None else v
    n, c = whole.shape[:2]
    out = torch.empty(whole.shape, dtype=torch.int8, device=whole.device)
    positive = torch.empty(whole.shape, dtype=torch.bool, device=whole.device) if one.mask_out else None
    maximum, sums = 0, torch.zeros((2, c), dtype=torch.int64, device=whole.device) if one.sums else None
    images = n if whole.is_cuda else max(1, _PART // max(1, whole[0].numel()))
    for first in range(0, n, images):
        part = slice(first, first + images)
        v_part = None if v is None else _selected(one.v, v[part])
        y = _affine(one, None if u is None else _selected(one.u, u[part]), v_part, numbers, first)
        y = _post(one.post, y, numbers.threshold)
        if mask is not None:
            y *= mask[part]
        if positive is not None:
            torch.gt(y, 0, out=positive[part])
        if one.maximum:
            maximum = max(maximum, int(y.abs().amax()))
        y.clamp_(-INT8_MAX, INT8_MAX)
        out[part] = y
        if sums is not None:
            sums[0] += y.sum((0, 2, 3))
            sums[1] += y.mul_(v_part if one.sums == "v" else y).sum((0, 2, 3))
    return Result(out, positive, maximum, sums)


def _selected(source: str, x: torch.Tensor) -> torch.Tensor:
    """An operand as int64, before its shift."""
    x = x.long()
    if source == "acc_max_value":
        return (x >> 8) - 128
    if source == "acc_max_index":
        return 255 - (x & 255)
    return x


def _affine(one: Pass, u: torch.Tensor | None, v: torch.Tensor | None, numbers: Numbers, first: int) -> torch.Tensor:
    """algo.arithmetic.affine with fewer intermediate tensors: half a unit is part of D, and the noise meets 16 fraction bits.

    Args:
        first: number of the first image in the mini-batch, which the noise depends on.
    """
    half = (1 << numbers.shift) >> 1 if numbers.key is None else 0
    if u is None:
        y = numbers.b * to_operand(v, one.sv)
    else:
        y = numbers.a * to_operand(u, one.su)
        if v is not None:
            y += numbers.b * to_operand(v, one.sv)
    y += numbers.d + half
    if numbers.key is None:
        y >>= numbers.shift
        return y
    y = y >> numbers.shift - 16 if numbers.shift >= 16 else y << 16 - numbers.shift
    y += _noise(numbers.key, y.shape, first, y.device)
    y >>= 16
    return y


def _noise(key: int, shape: torch.Size, first: int, device: torch.device) -> torch.Tensor:
    """algo.arithmetic.noise16 of every element of (n, c, h, w), the first image being number `first`."""
    n, c, h, w = shape
    position = torch.arange(first * h * w, (first + n) * h * w, device=device).view(n, 1, h, w)
    channel = torch.arange(c, device=device).view(1, c, 1, 1)
    x = _mix32(position.bitwise_xor_(key).bitwise_and_(MASK32))
    return _mix32(x ^ (channel << 16 | channel)).bitwise_right_shift_(16)


def _mix32(x: torch.Tensor) -> torch.Tensor:
    """algo.arithmetic.mix32 in place."""
    shifted = x << 15
    x.bitwise_xor_(MASK32).add_(shifted).bitwise_and_(MASK32)
    x ^= x >> 12
    x += x << 2
    x &= MASK32
    x ^= x >> 4
    shifted = x << 3
    shifted += x << 11
    x += shifted
    x &= MASK32
    x ^= x >> 16
    return x


def _post(post: str, y: torch.Tensor, threshold: int) -> torch.Tensor:
    if post == "relu":
        return y.clamp_(min=0)
    if post == "sign":
        return y.sign_()
    if post == "sign_threshold":
        return y.sign() * (y.abs() > threshold)
    if post == "soft_threshold":
        return y.sign() * (y.abs() - threshold).clamp_(0)
    return y
