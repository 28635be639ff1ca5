"""Training under a method on the PyTorch emulator: the same course of decisions as on a board, hence the same bits. No torch.

    trainer = Trainer(Emulator(...), method.begin(seed, iterations, epoch, step.gated_blocks))
    for iteration in trainer.train(recipe.batches(data, seed).draw): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from algo.loss import Loss
from algo.policies.decision import Decision
from algo.policies.gates import Gates
from algo.policies.method import Course, drawn_batches
from algo.scaling import State

if TYPE_CHECKING:
    import torch

    from algo.emulator import Emulator


@dataclass(frozen=True)
class Trained:
    """One executed iteration: what was decided, its loss, and its number of images."""

    decision: Decision
    loss: Loss
    images: int


class Trainer:
    """An emulator that follows a course; as host.checked_run.Reference it follows the same as the board.

    Attributes:
        emulator, course: what runs, and what decides.
        decision, gates: of the last executed iteration.
        began: state that it began with.
        settled: exponents in whose time the state was brought to it, where a drop or other bits came between.
    """

    def __init__(self, emulator: Emulator, course: Course):
        self.emulator, self.course = emulator, course
        self.decision: Decision | None = None
        self.gates: Gates | None = None
        self.began: State | None = None
        self.settled = self._settled = 0

    @property
    def state(self) -> State:
        """State of the emulator."""
        return self.emulator.state

    def tensors(self) -> dict[str, np.ndarray]:
        """Return weights, masters, momenta and channel tables."""
        return self.emulator.tensors()

    def skip_to(self, iteration: int) -> None:
        """Go to a drawn iteration: those before it are dropped."""
        self._skip_to(iteration)

    def _skip_to(self, iteration: int, bits: tuple[int, int] | None = None) -> None:
        self._settled += self.emulator.skip_to(iteration, bits)

    def train_step(self, images: np.ndarray | torch.Tensor, labels: np.ndarray) -> Loss:
        """Execute the iteration that the emulator's state is at."""
        self.decision = self.course.decide(self.state.iteration)
        self._skip_to(self.state.iteration, self.decision.bits)
        self.settled, self._settled = self._settled, 0
        if self.decision.replace:
            self.emulator.replace_weights(self.course.average.mean())
        self.gates, self.began = self.course.gates(self.decision), self.state
        loss = self.emulator.train_step(images, labels, self.gates)
        self.course.executed(self.decision, loss.loss)
        if self.decision.average:
            self.course.average.add(self.emulator.parameters())
        return loss

    def evaluate(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Return the share of images (any number) whose label is found, the method's gates deciding without draws."""
        gates = self.course.evaluation_gates()
        return self.emulator.evaluate(images, labels, gates) if gates else self.emulator.evaluate(images, labels)

    def train(self, draw: Callable[[int], tuple[np.ndarray | torch.Tensor, np.ndarray]]) -> Iterator[Trained]:
        """Train to the end of the course and yield the executed iterations.

        Args:
            draw: loads the mini-batch of a drawn iteration; not called for one that is dropped.
        """
        for images, labels, number in drawn_batches(draw, self.course, self.state.iteration):
            self.skip_to(number)
            loss = self.train_step(images, labels)
            yield Trained(self.decision, loss, len(images))
