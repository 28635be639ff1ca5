"""Device work that is recorded once and then replayed: a segment of thousands of small kernels in one launch; fused kernels.

Recorded work must read and write only memory that stays where it is, come to no decision from what it computed, and bring nothing
to the host. The emulator's segments do, for mini-batches of full size without gated blocks: run-time numbers, tables, weights and
inputs have fixed places, and what the processor decides (loss, exponents, learning rate) lies between segments.

`cuda_graph` needs a GPU, and has not been run on one; nor have fused kernels. All else is tested on a CPU, with a recorder that
repeats the recorded operations on the same tensors, and refuses any that would bring a number to the host. The kernels that
torch.compile writes for a CPU instead, scalar C++, gave the same bits on a ResNet-8, with gradients of 8 and of 16 bits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

Work = Callable[[], None]
Record = Callable[[Work], Work]
"""Takes work, does it once, and returns what does it again."""


def cuda_graph(work: Work) -> Work:
    """Record work as a CUDA graph. The same work must have run before, so that libraries have set themselves up."""
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        work()
    graph.replay()
    return graph.replay


def fused(function: Callable) -> Callable:
    """Return a function of tensors whose chains of operations are compiled into few kernels, for each shape anew.

    Its integers stay what they are: float64 sums of integers are exact in any order, with fused multiply-add too.
    """
    torch._dynamo.config.recompile_limit = torch._dynamo.config.accumulated_recompile_limit = 1 << 12
    return torch.compile(function, fullgraph=True, dynamic=False)


class Segments:
    """The segments of an emulator, recorded at their second run, since the first one sets libraries up.

    Args:
        values: the emulator's tensors by name; a replay puts those in place that the recorded work made.
        record: None runs everything as it comes.
    """

    def __init__(self, values: dict[str, torch.Tensor], record: Record | None):
        self._values, self._record = values, record
        self._ran: set[str] = set()
        self._recorded: dict[str, tuple[Work, dict[str, torch.Tensor]]] = {}
        self._places: dict[tuple, torch.Tensor] = {}

    def put(self, name: str, value: torch.Tensor) -> None:
        """Keep an input of a segment; where segments are recorded, in the place of the last one of that shape."""
        if self._record is None:
            self._values[name] = value
            return
        place = self._places.get((name, value.shape))
        if place is None:  # memory of its own: what comes in may be the caller's
            place = self._places[name, value.shape] = torch.empty_like(value)
        self._values[name] = place.copy_(value)

    def run(self, name: str, work: Work) -> None:
        """Do a segment's work, which is the same at every run, or replay it."""
        if self._record is None or name not in self._ran:
            self._ran.add(name)
            work()
        elif name not in self._recorded:
            before = dict(self._values)
            again = self._record(work)
            made = {key: value for key, value in self._values.items() if before.get(key) is not value}
            self._recorded[name] = again, made
        else:
            again, made = self._recorded[name]
            self._values.update(made)
            again()
