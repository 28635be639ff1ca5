"""A mini-batch shared by several processes, bit for bit: each computes its images, and what is summed or sought over the
mini-batch is reduced in integers, whose order does not matter.

    torchrun --nproc-per-node 2 -m joulegrad.cli train cifar10-resnet20
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Share:
    """One process's share of every mini-batch.

    Attributes:
        rank, processes: number of this process, from 0, and of all.
    """

    rank: int = 0
    processes: int = 1

    def part(self, images: int) -> slice:
        """Return which images of a mini-batch this process computes; none where there are fewer images than processes."""
        return slice(*(images * end // self.processes for end in (self.rank, self.rank + 1)))

    def total(self, sums: torch.Tensor) -> torch.Tensor:
        """Return sums over the mini-batch, int64, from those over the shares."""
        if self.processes > 1:
            sums = sums.long()
            dist.all_reduce(sums, dist.ReduceOp.SUM)
        return sums

    def largest(self, maxima: torch.Tensor) -> None:
        """Replace maxima over the share by those over the mini-batch."""
        if self.processes > 1:
            dist.all_reduce(maxima, dist.ReduceOp.MAX)

    def gathered(self, rows: torch.Tensor, first: int, count: int) -> torch.Tensor:
        """Return all `count` rows, in order, from those of the share, the first of which has number `first`."""
        if self.processes == 1:
            return rows
        whole = rows.new_zeros((count, *rows.shape[1:]))
        whole[first : first + len(rows)] = rows
        return self.total(whole).to(rows.dtype)


ALONE = Share()


@contextmanager
def shared(device: str) -> Iterator[Share]:
    """Give this process's share: of those that torchrun started, over NCCL on GPUs, one each, else over Gloo; or all of it.

    Args:
        device: "cpu" or "cuda".
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield Share(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
