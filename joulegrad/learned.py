"""What a run on a board has seen so far, as lines of its run folder: of iterations made here, and of earlier ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from algo.delayed_scaling import FULL_BITS
from algo.step import Step
from host.iteration import Evaluation, Iteration, summed
from host.predictions import Predictions
from host.processor_work import ProcessorWork
from joulegrad.peak import training_macs


@dataclass
class Learned:
    """What a run has seen so far.

    Attributes:
        losses, right: mean cross-entropy in nats and share of right answers, per mini-batch.
        macs: multiply-accumulates asked for.
        counters: of all iterations together.
        predicted_cycles: of them, where the board counts none.
        host_s: that they took on this computer's clock.
        evaluation: on the held-out images, once made.
    """

    losses: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    macs: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    predicted_cycles: int = 0
    host_s: float = 0.0
    evaluation: Evaluation | None = None

    def add(self, line: Mapping, step: Step) -> None:
        """Take note of an iteration by its line."""
        images = line.get("images_by_segment") or dict.fromkeys(line["counters"], line["images"])
        self.losses.append(line["loss"])
        self.right.append(line["correct"] / line["images"])
        self.macs += training_macs(step, images)
        self.counters = summed([self.counters, *line["counters"].values()])
        self.predicted_cycles += line.get("predicted_cycles", 0)
        self.host_s += line["host_s"]


def line_of(iteration: Iteration, predictions: Predictions | None) -> dict:
    """Return an iteration's line for the run folder, without its energy.

    Args:
        predictions: of a board without a clock, which counts no cycles: its time is that which the instructions are predicted
            to take on the core.
    """
    extra = {}
    if predictions and not iteration.total_counters()["cycles"]:
        cycles = [predictions.cycles(segment, iteration.images_of(segment)) for segment in iteration.counters]
        extra["predicted_cycles"] = sum(cycles)
        iteration.processor.beside(cycles)
    return {
        "iteration": iteration.number,
        "loss": iteration.loss,
        "correct": iteration.correct,
        "images": iteration.images,
        **_gated(iteration),
        **({} if iteration.bits == FULL_BITS else {"bits": list(iteration.bits)}),
        "counters": iteration.counters,
        "activity": iteration.activity,
        "processor": dataclasses.asdict(iteration.processor),
        "host_s": iteration.host_s,
        **extra,
    }


def iteration_of(line: Mapping) -> Iteration:
    """Return what a line tells of its iteration: counters, activity, the processor's work, but neither stamps nor decisions."""
    return Iteration(
        line["iteration"], line["loss"], line["correct"], line["images"], counters=line["counters"], activity=line["activity"],
        processor=ProcessorWork(**line["processor"]),
    )  # fmt: skip


def _gated(iteration: Iteration) -> dict:
    """Return who ran which gated block, a digit per image, and for how many images every segment ran; nothing without blocks."""
    if not len(iteration.decisions):
        return {}
    runs = ["".join("01"[one] for one in block) for block in iteration.decisions.astype(int)]
    return {"gates": runs, "images_by_segment": {name: iteration.images_of(name) for name in iteration.counters}}
