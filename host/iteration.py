"""What an executed training iteration, and an evaluation, say of themselves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from algo.delayed_scaling import FULL_BITS
from host.processor_work import ProcessorWork


@dataclass
class Iteration:
    """One executed training iteration.

    Attributes:
        number: among the drawn iterations, from 0.
        loss: mean cross-entropy of the mini-batch, in nats.
        correct: images whose largest logit was the label's.
        images: of the mini-batch.
        maxima: by name, before saturation.
        counters, activity: by segment.
        processor: work done.
        stamps: (start, end) on the host's monotonic clock, of the whole "iteration", drawing its mini-batch included, and of
            its segments, streaming included.
        lists: segment to the images of the tensor that it gathered, in order: who ran it, and where their values lay.
        decisions: who ran which gated block, bool (blocks, images).
        bits: of activations and weights, and of gradients.
    """

    number: int
    loss: float
    correct: int
    images: int
    maxima: dict[str, int] = field(default_factory=dict)
    counters: dict[str, dict[str, int]] = field(default_factory=dict)
    activity: dict[str, dict[str, int]] = field(default_factory=dict)
    processor: ProcessorWork = field(default_factory=ProcessorWork)
    stamps: dict[str, tuple[float, float]] = field(default_factory=dict)
    lists: dict[str, tuple[int, ...]] = field(default_factory=dict)
    decisions: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), bool))
    bits: tuple[int, int] = FULL_BITS

    def images_of(self, segment: str) -> int:
        """Return how many images a segment ran for."""
        return len(self.lists[segment]) if segment in self.lists else self.images

    @property
    def host_s(self) -> float:
        """Seconds that it took on the host's clock."""
        start_s, end_s = self.stamps["iteration"]
        return end_s - start_s

    def total_counters(self) -> dict[str, int]:
        """Return the counters summed over the segments."""
        return summed(self.counters.values())

    def total_activity(self) -> dict[str, int]:
        """Return the signal activity summed over the segments."""
        return summed(self.activity.values())


@dataclass(frozen=True)
class Evaluation:
    """Result over a data set: mean loss in nats, correct images, images."""

    loss: float
    correct: int
    images: int

    @property
    def accuracy(self) -> float:
        """Share of correct images."""
        return self.correct / self.images


def summed(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    """Return the sums of equal names."""
    total: dict[str, int] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0) + value
    return total
