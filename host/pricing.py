"""What a training iteration would take on a core, from its number of images and its recorded decisions: all of it predicted.

An iteration that PyTorch computes is walked by the runtime on a board that holds nothing; counters and cycles of the segments
that ran are their predictions. What the processor does is what it would do on a board.

A prediction of cycles walks every clock, and a gated block may run for any number of images. So above `EXACT_IMAGES` cycles are
predicted for every `EVERY`th number and for the whole mini-batch, and those in between lie on the straight line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from algo.loss import LogitsNoise
from algo.policies.decision import Decision
from algo.scaling import State
from algo.step import Step
from host.averaged_weights import AveragedWeights
from host.beside_segments import prepare_first, prepare_last, stream
from host.board import Board, Identity
from host.core_driver import DONE, CoreDriver
from host.host_table import HostTable
from host.input_buffer import Copied, InputBuffer
from host.part_data import CountScalars
from host.predictions import Predictions
from host.processor_work import ProcessorWork
from host.runtime import Runtime
from hw import isa
from hw.compile_table import IMAGE_LIST
from hw.config import Config
from hw.program import Program

EXACT_IMAGES, EVERY = 16, 8


@dataclass(frozen=True)
class Priced:
    """An iteration.

    Attributes:
        counters: by segment, those that are not zero; exact.
        images: by segment.
        cycles: predicted, of all segments together.
        processor: its work.
    """

    counters: dict[str, dict[str, int]]
    images: dict[str, int]
    cycles: int
    processor: ProcessorWork


class Pricing:
    """Prices the iterations of one program.

    Args:
        program, config: the step, compiled for a configuration.
    """

    def __init__(self, program: Program, config: Config):
        self._program, self._config = program, config
        self._predictions = Predictions(program, config)
        self._table = HostTable.of(program)
        self._noise = LogitsNoise(program.step.logits_grad, program.step.batch, program.memory[program.step.logits].shape[1])
        self._scalars = {part.block: CountScalars(program, part) for part in program.step.parts if part.block >= 0}
        self._known: dict[tuple, Priced] = {}
        self._copies: dict[int, Copied] = {}
        self._averages = False

    def iteration(
        self, state: State, decision: Decision, images: int, decisions: np.ndarray,
        gate_work: tuple[int, int, int, int] = (0, 0, 0, 0), settled: int = 0, first: bool = False, following: int | None = None,
    ) -> Priced:  # fmt: skip
        """Return what an iteration takes.

        Args:
            state: that it begins with; which words the processor works out follows from what changed since the last call.
            decision: what the method decided on it.
            images: of the mini-batch.
            decisions: who ran which gated block, bool (blocks, images).
            gate_work: what the gates took, see `processor_work` of algo.gates.Gates.
            settled: exponents in whose time the state was brought to it, see algo.delayed_scaling.settling.
            first: of the run: its mini-batch was not streamed beside another iteration.
            following: number of the next one that is executed, whose mini-batch is streamed in it; None where there is none.
        """
        counts = decisions.sum(1).tolist()
        walked = self._walked(images, decisions, self._averages, decision.replace)
        self._averages = decision.average
        work = replace(walked.processor, exponents=len(state.exponents) + settled, streamed_records=0, streamed_lookups=0)
        words, found = self._table.begin(state, images)
        work.records, work.lookups = found["records"], found["lookups"]
        work.add(**{f"streamed_{name}": count for name, count in self._table.finish().items()})
        for block, count in enumerate(counts):
            if 0 < count < images:
                work.records += self._scalars[block].words(words, state, count)[2]
        work.add_gates(gate_work)
        copied = self._copied(images)
        if first:
            work.add(copied_bytes=copied.size, array_calls=copied.array_calls)
        prepare_first(self._noise, state, work)
        if following is not None:
            stream(copied, self._noise.holds(state.seed, following), work)
            prepare_last(self._table, self._noise, state, following, work)
        return replace(walked, processor=work)

    def _walked(self, images: int, decisions: np.ndarray, averages: bool, replaces: bool) -> Priced:
        """Walk an iteration behind another one, once for every kind of iteration; nothing is streamed or made ahead in it.

        Args:
            averages: whether the one before leaves its weights to be added to the average.
            replaces: whether the average is put in the weights' place.
        """
        key = images, *decisions.sum(1).tolist(), averages, replaces
        if key not in self._known:
            self._known[key] = self._walk(images, decisions, Decision(0, average=averages, replace=replaces))
        return self._known[key]

    def _walk(self, images: int, decisions: np.ndarray, decision: Decision) -> Priced:
        program = self._program
        batch = _images(program.step, images), np.zeros(images, np.int64)
        with _EmptyBoard(self._config, program.ddr_bytes) as board:
            runtime = Runtime(board, program, replace(program.state, iteration=0))
            _, done = runtime.train([batch] * 2, _Recorded(decision, decisions, AveragedWeights(board, program)))
        ran = [(name, done.images_of(name)) for name in done.counters]
        counters = {
            name: {counter: count for counter, count in self._predictions.counters(name, count_of).items() if count}
            for name, count_of in ran
        }
        cycles = [self._cycles(*segment) for segment in ran]
        done.processor.beside(cycles)
        return Priced(counters, dict(ran), sum(cycles), done.processor)

    def _copied(self, images: int) -> Copied:
        """Return what putting a mini-batch into DDR takes."""
        step = self._program.step
        if images not in self._copies:
            with _EmptyBoard(self._config, self._program.ddr_bytes) as board:
                buffer = InputBuffer(board, self._program.memory, step.input, IMAGE_LIST, step.fold)
                self._copies[images] = buffer.fill(_images(step, images))
        return self._copies[images]

    def _cycles(self, segment: str, images: int) -> int:
        return on_the_line(lambda count: self._predictions.cycles(segment, count), images, self._program.step.batch)


def _images(step: Step, count: int) -> np.ndarray:
    return np.zeros((count, *step.image_shape), np.int8)


def on_the_line(exact: Callable[[int], int], images: int, batch: int) -> int:
    """Return cycles for a number of images, off the few that are predicted exactly; see the head of this file."""
    if images <= EXACT_IMAGES or images % EVERY == 0 or images >= batch:
        return exact(images)
    below = images // EVERY * EVERY
    above = min(below + EVERY, batch)
    first, last = exact(below), exact(above)
    return first + round((last - first) * (images - below) / (above - below))


class _EmptyBoard(Board):
    """A board whose memory reads as zero and whose segments are done at once."""

    def __init__(self, config: Config, ddr_bytes: int):
        self.config, self.clk_hz, self.ddr_bytes = config, config.clk_hz, ddr_bytes
        self._driver = CoreDriver(lambda address: DONE, lambda address, value: None, 0, lambda address, count: [0] * count)

    @property
    def register_accesses(self) -> int:
        """Control registers read and written so far."""
        return self._driver.accesses

    def open(self) -> None:
        """Claim nothing."""

    def close(self) -> None:
        """Release nothing."""

    def identity(self) -> Identity:
        """Return the identity of a core of the configuration."""
        return Identity(isa.VERSION, self.config.config_hash)

    def write(self, address: int, data) -> None:
        """Forget what is written."""
        self.check_range(address, data.nbytes if isinstance(data, np.ndarray) else len(data))

    def read(self, address: int, nbytes: int) -> np.ndarray:
        """Return zeros."""
        self.check_range(address, nbytes)
        return np.zeros(nbytes, np.uint8)

    def start(self, segment_address: int, count: int) -> None:
        """Start what is done at once."""
        self._driver.start(segment_address, count)

    def wait(self, timeout_s: float | None = None) -> dict[str, int]:
        """Return counters that counted nothing."""
        return self._driver.outcome()

    def stop(self) -> None:
        """Stop nothing."""


class _Recorded:
    """A course, its gates and its average, that decide as was recorded and learn nothing.

    Attributes:
        average: itself.
    """

    def __init__(self, decision: Decision, decisions: np.ndarray, weights: AveragedWeights):
        self._decision, self._decisions, self._weights = decision, decisions, weights
        self.average = self

    def decide(self, *of) -> Decision | np.ndarray:
        """Return the decision for an iteration, or who runs a gated block."""
        return replace(self._decision, iteration=of[0]) if len(of) == 1 else self._decisions[of[0]]

    def gates(self, decision: Decision) -> _Recorded | None:
        """Return the gates, where there are blocks."""
        return self if len(self._decisions) else None

    def learn(self, gradients, exponents) -> None:
        """Learn nothing."""

    def processor_work(self) -> tuple[int, int, int, int]:
        """Return the work of gates that are not there."""
        return 0, 0, 0, 0

    def executed(self, decision: Decision, loss: float) -> None:
        """Take note of nothing."""

    def add(self, values: dict[str, np.ndarray]) -> None:
        """Add nothing to the average."""

    def mean(self) -> dict[str, np.ndarray]:
        """Return numbers that weights may be replaced by."""
        return self._weights.read()[0]
