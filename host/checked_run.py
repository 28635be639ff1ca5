"""A training run compared with a reference after every iteration; a difference is traced to its instruction.

Compared are weights, momenta, statistics and exponents with the reference, and the core's counters with those predicted
from the instructions: all of them exactly, but for cycles and stalls. Cycles are predicted for the simulated board's memory
without random stalls; how far off they are is kept, and is an error only where the caller sets a limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from algo import scaling
from algo.policies.method import Course
from host.board import Board, BoardError
from host.board_golden import Driver as GoldenBoard
from host.check import CounterMismatch, Culprit, Mismatch, bisect, first_difference
from host.iteration import Iteration
from host.predictions import Predictions
from host.runtime import Runtime
from hw.program import Program
from hw.state import CoreState

SNAPSHOTS_BYTES = 1 << 30
"""Most memory for the snapshots that a difference is bisected from: a program with gated blocks has many segments."""


class Reference(Protocol):
    """Another executor of the same step, such as the PyTorch emulator.

    Attributes:
        state: exponents, iteration, seed and hyper-parameters, as they are after the last iteration.
    """

    state: scaling.State

    def train_step(self, images: np.ndarray, labels: np.ndarray) -> object:
        """Execute the next training iteration."""

    def skip_to(self, iteration: int) -> None:
        """Go to a drawn iteration: those before it are dropped."""

    def tensors(self) -> dict[str, np.ndarray]:
        """Return weights, masters and momenta, and whole channel tables (channels, entries)."""


class CheckedRun:
    """A runtime that must agree with a reference, bit for bit, after every iteration.

    Args:
        board: opened.
        program, state: as for Runtime.
        reference: at the same state and tensors.
        timeout_s: of a segment.
        inspect: keep a snapshot of every segment's start, to bisect a difference; by default where the board has
            memories to show and is not the golden board itself, and the snapshots of an iteration take at most 1 GiB.
        cycles_limit: relative error of the predicted cycles above which a segment is a mismatch; None for no limit.

    Attributes:
        runtime: the runtime under check.
        cycles_error: largest relative error of a segment's predicted cycles so far, in magnitude; None on a board without
            a clock.
    """

    def __init__(
        self,
        board: Board,
        program: Program,
        state: scaling.State,
        reference: Reference,
        timeout_s: float | None = None,
        inspect: bool | None = None,
        cycles_limit: float | None = None,
    ):
        self._reference = reference
        self._before: dict[str, CoreState] = {}
        own = hasattr(board, "snapshot") and not isinstance(board, GoldenBoard)
        own &= len(program.segments) * board.ddr_bytes <= SNAPSHOTS_BYTES
        self._inspect = own if inspect is None else inspect
        self._predictions = Predictions(program, board.config)
        self._cycles_limit = cycles_limit
        self.cycles_error: float | None = None
        self.runtime = Runtime(board, program, state, timeout_s, self._note)

    def train(self, batches: Iterable[tuple], course: Course | None = None) -> Iterator[Iteration]:
        """Execute and compare an iteration per mini-batch, and yield those that agree.

        Args:
            batches, course: as for Runtime.train. A reference that follows a course has its own.

        Raises:
            Mismatch: tensor, index, iteration and, where the board can be inspected, the first differing instruction.
            CounterMismatch: iteration, segment and counter.
        """
        pairs = _Remembered(batches)
        for iteration in self.runtime.train(pairs, course):
            images, labels, *_ = pairs.executed()
            self._reference.skip_to(iteration.number)
            self._reference.train_step(images, labels)
            self._compare(iteration)
            yield iteration

    def _note(self, segment: str) -> None:
        if segment == self.runtime.program.step.sequence[0].forward:
            self._before.clear()
        if self._inspect:
            self._before[segment] = self.runtime.board.snapshot()

    def _compare(self, iteration: Iteration) -> None:
        found = {**self.runtime.tensors(), **_exponents(self.runtime.state)}
        expected = {**self._expected(), **_exponents(self._reference.state)}
        difference = first_difference(found, expected)
        if difference is not None:
            raise Mismatch(f"iteration {iteration.number}: {difference}; {self._explain()}")
        for segment, counters in iteration.counters.items():
            self._count(iteration, segment, counters)

    def _count(self, iteration: Iteration, segment: str, counters: dict[str, int]) -> None:
        """Compare a segment's counters with their predictions."""
        chosen = iteration.lists[segment]
        difference = self._predictions.difference(segment, len(chosen), counters)
        if difference is not None:
            raise CounterMismatch(f"iteration {iteration.number}: {difference}")
        error = self._predictions.cycles_error(segment, len(chosen), counters, chosen)
        if error is None:
            return
        self.cycles_error = max(self.cycles_error or 0.0, abs(error))
        if self._cycles_limit is not None and abs(error) > self._cycles_limit:
            predicted = self._predictions.cycles(segment, len(chosen), chosen)
            raise CounterMismatch(
                f"iteration {iteration.number}: segment {segment} took {counters['cycles']} cycles, predicted {predicted}: "
                f"{100 * abs(error):.2f} % off, at most {100 * self._cycles_limit:g} % are allowed"
            )

    def _expected(self) -> dict[str, np.ndarray]:
        """Return the reference's tensors by the names of Runtime.tensors."""
        tensors, tables = self._reference.tensors(), self.runtime.program.step.tables
        expected = {name: array for name, array in tensors.items() if name not in tables}
        for table in tables.values():
            for entry in table.persistent:
                expected[f"{table.name}.{entry}"] = tensors[table.name][:, table.entries.index(entry)]
        return expected

    def _explain(self) -> str:
        """Return in words where the board left the golden board's way in the last iteration."""
        if not self._inspect:
            return "this board cannot be bisected: the golden board is it, or it shows no memories, or has too many to keep"
        segments = self.runtime.program.segments
        with GoldenBoard("", self.runtime.board.config, self.runtime.board.ddr_bytes) as golden:
            for name, before in self._before.items():
                try:
                    culprit = bisect(self.runtime.board, golden, before, segments[name].address, segments[name].count)
                except BoardError as error:
                    return f"bisecting segment {name} failed: {error}"
                if culprit is not None:
                    return _in_words(name, culprit)
        return "board and golden board agree after every instruction, so program and reference differ"


def _in_words(segment: str, culprit: Culprit) -> str:
    return f"the board first differs from the golden board after segment {segment}, {culprit}"


def _exponents(state: scaling.State) -> dict[str, np.ndarray]:
    return {f"exponent of {name}": np.array(value) for name, value in sorted(state.exponents.items())}


class _Remembered:
    """Mini-batches on their way to the runtime, which takes them one ahead; `executed` gives them back in order."""

    def __init__(self, batches: Iterable[tuple]):
        self._batches = iter(batches)
        self._waiting: list[tuple] = []

    def __iter__(self):
        for batch in self._batches:
            self._waiting.append(batch)
            yield batch

    def executed(self) -> tuple:
        return self._waiting.pop(0)
