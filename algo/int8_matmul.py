"""Products of int8 matrices summed in int32, exact on every device.

`torch._int_mm` adds in int32: 132,104 products of numbers from -128 to 127 with ones from -127 fit, and no reduction of a step
has more (algo.graph refuses it). A CPU without dot-product instructions adds pairs of products in 16 bits, which saturate:
whether a device is exact is tried once, with the largest operands, and where it is not, or has no such product, float64 takes
its place.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F

_ROWS, _DEPTH, _COLUMNS = 32, 16, 16
"""cuBLAS multiplies matrices whose sizes are multiples of these."""


def matmul(a: torch.Tensor, b: torch.Tensor, pad: bool | None = None) -> torch.Tensor:
    """Return a @ b as int32 (m, n).

    Args:
        a: int8 (m, k); b: int8 (k, n); any strides.
        pad: whether to bring the sizes to the multiples that CUDA needs, and the operands to the one layout it takes for
            certain, in which the k numbers of a sum lie together; None does on CUDA alone.
    """
    if not has_exact(a.device.type):
        return (a.double() @ b.double()).int()
    if not a.numel() or not b.numel():  # a share of a mini-batch without images, which CUDA's product refuses
        return torch.zeros((a.shape[0], b.shape[1]), dtype=torch.int32, device=a.device)
    if not (a.is_cuda if pad is None else pad):
        # PyTorch's product takes strides at their word: of a dimension of one, and of rows that share numbers, as windows may.
        if 1 in (*a.shape, *b.shape) or not (a.is_contiguous() or a.t().is_contiguous()):
            a, b = (one.clone(memory_format=torch.contiguous_format) for one in (a, b))
        return torch._int_mm(a, b.contiguous())
    (m, k), n = a.shape, b.shape[1]
    a = F.pad(a, (0, -k % _DEPTH, 0, -m % _ROWS)).contiguous()
    b = F.pad(b.t(), (0, -k % _DEPTH, 0, -n % _COLUMNS)).contiguous().t()
    return torch._int_mm(a, b)[:m, :n]


@cache
def has_exact(device: str) -> bool:
    """Return whether a kind of device multiplies int8 matrices exactly: "cpu" or "cuda"."""
    signs = torch.tensor([1, 1, -1, 1]).repeat(64)
    a = torch.where(signs > 0, 127, -128).to(torch.int8).expand(64, -1).contiguous()
    b = (127 * torch.stack([signs, -signs, torch.ones_like(signs), -torch.ones_like(signs)]).repeat(16, 1).t()).to(torch.int8)
    try:
        found = torch._int_mm(a.to(device), b.t().contiguous().to(device).t())
    except RuntimeError:
        return False
    return torch.equal(found.cpu(), (a.double() @ b.double()).int())
