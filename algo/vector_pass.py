"""One pass of the vector unit in PyTorch, on a CPU or a GPU: algo.step.Pass on whole tensors, the same integers as the core's.

The sum A u + B v + D, an integer below 2^47, is computed over 2^shift in float64: scaling by a power of two is exact, so every
intermediate result is a multiple of the smallest unit that 53 bits hold, and rounding is `floor`. (With a shift below 10 and
noise, results above 2^36 may lose their last bits; they are saturated, and maxima are cut off at 2^31 - 1.) The noise is hashed
in int32, whose overflow is the hash's modulus.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from algo.arithmetic import INT8_MAX, SPLIT_MAX, SPLIT_MIN, WIDE_MAX
from algo.step import Pass
from algo.windows import images_of, rows_of

_PART = 1 << 15
"""Elements that a CPU takes through all stages at a time: a few intermediate results of so many stay in its cache."""

_OPERAND_MIN, _OPERAND_MAX = -(1 << 24), (1 << 24) - 1


@dataclass(frozen=True)
class Numbers:
    """Run-time numbers of a pass, see algo.arithmetic.affine; all on the device of the operands.

    Attributes:
        a, b, d: A, B and D over 2^shift, float64: scalars, or (c,).
        key: of the noise, a scalar, int32; None rounds to nearest.
        threshold: of the soft threshold, a scalar, float64.
    """

    a: torch.Tensor
    b: torch.Tensor
    d: torch.Tensor
    key: torch.Tensor | None
    threshold: torch.Tensor


@dataclass(frozen=True)
class Result:
    """What a pass leaves.

    Attributes:
        out: int8, int32 of a wide pass, (n, c, h, w), the channels of a pixel together.
        positive: bool of the same shape, algo.arithmetic.above_zero where the mask is True; None where the pass writes none.
        maximum: largest |result| before saturation, a scalar, float64; None where the pass collects none.
        sums: int64 (2, c): the sums of out and of out * out or out * v; None where the pass has none.
    """

    out: torch.Tensor
    positive: torch.Tensor | None
    maximum: torch.Tensor | None
    sums: torch.Tensor | None


def vector_pass(
    one: Pass, u: torch.Tensor | None, v: torch.Tensor | None, numbers: Numbers, mask: torch.Tensor | None = None, first: int = 0
) -> Result:
    """Compute a pass.

    Args:
        u, v: integers (n, c, h, w): the accumulator where the pass names it, or a tensor; None is 0.
        mask: bool, zero where it is False.
        first: number of the first image in the mini-batch, which the noise depends on.
    """
    whole = u if u is not None else v
    n, c, h, w = whole.shape
    rows, device = n * h * w, whole.device
    part = rows if whole.is_cuda else min(rows, max(1, _PART // c))
    out = torch.empty((rows, c), dtype=torch.int32 if one.wide else torch.int8, device=device)
    positive = torch.empty((rows, c), dtype=torch.bool, device=device) if one.mask_out else None
    maximum = torch.zeros((), dtype=torch.float64, device=device) if one.maximum else None
    sums = torch.zeros((2, c), dtype=torch.float64, device=device) if one.sums else None
    affine = _Affine(one, numbers, (part, c), device)
    taken = [None if x is None else rows_of(x) for x in (u, v, mask)]
    for at in range(0, rows, part or 1):
        here = slice(at, at + part)
        u_part, v_part, mask_part = (None if x is None else x[here] for x in taken)
        y, v_taken = affine(u_part, v_part, first * h * w + at, None if positive is None else positive[here])
        y = _post(one.post, y, numbers.threshold)
        if mask_part is not None:
            y *= mask_part
            if positive is not None:
                positive[here] &= mask_part
        if maximum is not None:
            torch.maximum(maximum, _largest(y, one.post), out=maximum)
        y = _limited(one, y)
        out[here] = y
        if sums is not None:
            sums[0] += y.sum(0)
            sums[1] += y.mul_(v_taken if one.sums == "v" else y).sum(0)
    out, positive = (None if x is None else images_of(x, n, h, w) for x in (out, positive))
    return Result(out, positive, maximum, None if sums is None else sums.long())


def rounded(numbers: Numbers, u: torch.Tensor, v: torch.Tensor | None = None) -> torch.Tensor:
    """Return A u + B v + D over 2^shift, rounded to nearest, ties up, float64; u and v hold integers of at most 25 bits."""
    y = numbers.a * u + (numbers.d + 0.5)
    return (y if v is None else y + numbers.b * v).floor_()


def operand(x: torch.Tensor, shift: int) -> torch.Tensor:
    """algo.arithmetic.to_operand of float64."""
    if shift:
        x = (x * 2.0**-shift).floor_()
    return x.clamp(_OPERAND_MIN, _OPERAND_MAX)


class _Affine:
    """algo.arithmetic.affine of a part of the elements after the other; numbers per channel are spread over a part once."""

    def __init__(self, one: Pass, numbers: Numbers, part: tuple[int, int], device: torch.device):
        self.one, self.key = one, numbers.key
        self.half = half = 0.5 if numbers.key is None else 0.0
        self.a, self.b, self.d = (
            x.expand(part).contiguous() if x.dim() and device.type == "cpu" else x
            for x in (numbers.a, numbers.b, numbers.d + half)
        )
        self.channels = torch.arange(part[1], device=device).mul_((1 << 16) + 1).int() if self.key is not None else None

    def __call__(
        self, u: torch.Tensor | None, v: torch.Tensor | None, position: int, above: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the rounded sums, float64 (rows, c), and v before its shift.

        Args:
            position: of the first row, in the mini-batch.
            above: takes up, where the sums are above 0 before they are rounded; None where nobody asks.
        """
        v_taken = None if v is None else _selected(self.one.v, v)
        terms = []
        for number, x, shift in ((self.a, u, self.one.su), (self.b, v_taken, self.one.sv)):
            if x is not None:
                terms.append((number, operand(_selected(self.one.u, x) if x is u else x, shift)))
        (number, x), *others = terms
        length = len(x)
        y = torch.addcmul(_cut(self.d, length), _cut(number, length), x)
        for number, x in others:
            y.addcmul_(_cut(number, length), x)
        if above is not None:
            torch.gt(y, self.half, out=above)
        if self.key is not None:
            y.add_(_noise(self.key, position, length, self.channels), alpha=2.0**-16)
        return y.floor_(), v_taken


def _cut(number: torch.Tensor, rows: int) -> torch.Tensor:
    return number[:rows] if number.dim() == 2 else number


def _selected(source: str, x: torch.Tensor) -> torch.Tensor:
    """An operand as float64, before its shift."""
    if source == "acc_max_value":
        x = (x >> 8) - 128
    if source == "acc_max_index":
        x = 255 - (x & 255)
    return x.double()


def _noise(key: torch.Tensor, position: int, rows: int, channels: torch.Tensor) -> torch.Tensor:
    """algo.arithmetic.noise16 of every element of (rows, c), the first row being at `position`."""
    x = torch.arange(position, position + rows, dtype=torch.int32, device=key.device).bitwise_xor_(key)
    x = _mixed(x)
    x.bitwise_xor_(_logical_shift(x, 16))
    return _logical_shift(_mixed(x.unsqueeze(1) ^ channels), 16)


def _mixed(x: torch.Tensor) -> torch.Tensor:
    """algo.arithmetic.mix32 of int32 in place, all but its last step: ~x + (x << 15) is 32767 x - 1."""
    x.mul_(32767).sub_(1)
    x.bitwise_xor_(_logical_shift(x, 12))
    x.mul_(5)
    x.bitwise_xor_(_logical_shift(x, 4))
    return x.mul_(2057)


def _logical_shift(x: torch.Tensor, places: int) -> torch.Tensor:
    return (x >> places).bitwise_and_((1 << 32 - places) - 1)


def _limited(one: Pass, y: torch.Tensor) -> torch.Tensor:
    """A result as it is stored; of bytes algo.arithmetic.split16."""
    if not one.byte:
        most = WIDE_MAX if one.wide else INT8_MAX
        return y.clamp_(-most, most)
    y.clamp_(SPLIT_MIN, SPLIT_MAX)
    high = ((y + 128) * 2.0**-8).floor_()
    return high if one.byte == "high" else y.sub_(high, alpha=256)


def _largest(y: torch.Tensor, post: str) -> torch.Tensor:
    """max |y|."""
    if post == "relu":
        return y.amax()
    low, high = torch.aminmax(y)
    return torch.maximum(-low, high)


def _post(post: str, y: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    if post == "relu":
        return y.clamp_(min=0)
    if post == "sign":
        return y.sign_()
    if post == "sign_threshold":
        return y.sign() * (y.abs() > threshold)
    if post == "soft_threshold":
        return y.sign() * (y.abs() - threshold).clamp_(0)
    return y
