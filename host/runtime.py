"""Executes a program on any board: training iterations, evaluation, and what the tensors hold afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from algo import scaling
from algo.arithmetic import noise_key
from algo.averaging import averaged_names, replaced
from algo.delayed_scaling import FULL_BITS, DelayedScaling
from algo.gates import Gates, Route
from algo.loss import cross_entropy
from algo.policies.method import Course
from host.board import Board, BoardError
from host.host_table import WORDS_ARRAY_CALLS, HostTable
from host.input_buffer import InputBuffer, with_following
from host.part_data import PartData
from hw.compile import CLEAR, weight_shapes
from hw.compile_table import HOST_TABLE, IMAGE_LIST
from hw.program import Program

LOSS_ARRAY_CALLS = 108
"""numpy calls of one cross-entropy, for the model of the processor's time."""

READ_ARRAY_CALLS = 4
"""numpy calls that bring one region out of its layout and add it to a sum."""

REPLACE_ARRAY_CALLS = 22
"""numpy calls in whose time the mean of one parameter is taken, rounded to a master and an int8 weight, and both are laid out:
timed on a desktop processor, as the model of the processor's time is."""

TRANSFER_ARRAY_CALLS = 16
"""numpy calls that bring five regions (tables both ways, image list, logits, their gradient) into or out of their layout."""


@dataclass
class ProcessorWork:
    """What the processor did in an iteration; the entries of measurements.processor_time.ProcessorWork."""

    register_accesses: int = 0
    array_calls: int = 0
    elements: int = 0
    records: int = 0
    exponents: int = 0
    copied_bytes: int = 0
    streamed_bytes: int = 0
    streamed_array_calls: int = 0


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


class Runtime:
    """One program on one opened board.

    Args:
        board: opened; of the configuration that the program was compiled for.
        program: to execute; it must hold a step, not a kernel.
        state: exponents, seed, iteration and hyper-parameters to start from.
        timeout_s: wall-clock limit of a segment; None leaves it to the board's own watch for progress.
        before_segment: called with a segment's name before it starts, for snapshots.

    Attributes:
        state: as it is after the last executed iteration.

    Raises:
        BoardError: the program is of another configuration, or does not fit the board's DDR.
    """

    def __init__(self, board: Board, program: Program, state: scaling.State, timeout_s: float | None = None, before_segment=None):
        check_identity(board, program)
        self.board = board
        self.program = program
        self.state = state
        self._timeout_s = timeout_s
        self._before_segment = before_segment
        self._table = HostTable(program.step, program.table)
        self._scaling = DelayedScaling(program.step)
        self._parts = PartData(board, program)
        self._route = Route(program.step, program.step.batch)
        self._words = np.zeros(0, np.int64)
        self._input = self._fresh_input()
        self._image: np.ndarray | None = None
        self._stamps: dict[str, tuple[float, float]] = {}
        self._load()

    @property
    def first_image(self) -> int:
        """Number, in the input region, of the first image of the mini-batch in use or used last."""
        return self._input.first_image

    def train(self, batches: Iterable[tuple], course: Course | None = None) -> Iterator[Iteration]:
        """Execute a training iteration for every mini-batch and yield it.

        The images of the following mini-batch are written while the core computes. An interruption, or any
        other exception, stops the board before it goes on.

        Args:
            batches: (int8 images (n, c, h, w), labels (n,)), each the next iteration, or (images, labels, number of the
                drawn iteration), those in between being dropped.
            course: of the method; None for plain training.
        """
        start_s = time.monotonic()
        for (images, labels, *number), following in with_following(batches):
            try:
                self.state = self._scaling.at(self.state, number[0] if number else self.state.iteration)
                decision = course.decide(self.state.iteration) if course else None
                if course:
                    self.state = self._scaling.at(self.state, self.state.iteration, decision.bits)
                work = ProcessorWork()
                if course and decision.replace:
                    self.replace_weights(course.average.mean(), work)
                gates = course.gates(decision) if course else None
                iteration = self._iterate(images, labels, following[0] if following else None, gates, work)
                if course:
                    iteration.bits = decision.bits
                    course.executed(decision, iteration.loss)
                    if decision.average:
                        course.average.add(self.parameters(work))
            except BaseException:
                self.board.stop()
                raise
            iteration.stamps["iteration"] = start_s, time.monotonic()
            yield iteration
            start_s = time.monotonic()

    def restart(self, state: scaling.State) -> None:
        """Go back to the program's first tensors and to `state`, as if nothing had been trained yet."""
        self.state = state
        self._input = self._fresh_input()
        self._load()

    def evaluate(self, images: np.ndarray, labels: np.ndarray, gates: Gates | None = None) -> Evaluation:
        """Return loss and accuracy over a data set, with the running statistics of batch norm.

        Args:
            images: int8 (n, c, h, w), n from 1; labels: (n,).
            gates: decides who runs the gated blocks of a step that has some; without it every image does.

        Raises:
            ValueError: no images, or as many labels as images are not there.
        """
        if not len(images) or len(images) != len(labels):
            raise ValueError(f"{len(images)} images and {len(labels)} labels; as many of both are needed, at least one")
        batch = self._input.batch
        batches = [(images[i : i + batch], labels[i : i + batch]) for i in range(0, len(images), batch)]
        loss = correct = 0
        try:
            for (part, targets), following in with_following(batches):
                work = ProcessorWork()
                self._prepare(part, work)
                self._through("evaluate", gates, following[0] if following else None, work)
                result = self._loss(len(part), targets, None)
                loss += result.loss * len(part)
                correct += result.correct
        except BaseException:
            self.board.stop()
            raise
        return Evaluation(loss / len(images), correct, len(images))

    def read(self, name: str) -> np.ndarray:
        """Return the array that region `name` holds on the board: images and weights that are folded, as folded."""
        region = self.program.memory[name]
        return self.program.memory.decode(name, self.board.read(region.offset, region.size))

    def tensors(self) -> dict[str, np.ndarray]:
        """Return what training changes: int8 and master weights, momenta, persistent entries of channel tables.

        All in the module's shapes. Names are `weight`, `weight.master`, `weight.momentum` and `table.entry`.
        """
        step = self.program.step
        found = {}
        for name, shape in weight_shapes(step).items():
            found[name] = self.read(name).reshape(shape)
        for table in step.tables.values():
            if table.persistent:
                words = self.read(table.name)
                for entry in table.persistent:
                    found[f"{table.name}.{entry}"] = words[:, table.entries.index(entry)]
        return found

    def parameters(self, work: ProcessorWork) -> dict[str, np.ndarray]:
        """Return what may be averaged, int64, by the names of algo.averaging; reading it is added to the processor's work."""
        step = self.program.step
        masters, entries = averaged_names(step)
        regions = {name: self.read(name) for name in {*masters, *(table for table, _ in entries)}}
        work.copied_bytes += sum(self.program.memory[name].size for name in regions)
        work.array_calls += READ_ARRAY_CALLS * len(regions)
        shapes = weight_shapes(step)
        found = {name: regions[name].reshape(shapes[name]).astype(np.int64) for name in masters}
        columns = {(table, entry): step.tables[table].entries.index(entry) for table, entry in entries}
        return found | {f"{table}.{entry}": regions[table][:, at].copy() for (table, entry), at in columns.items()}

    def replace_weights(self, mean: dict[str, np.ndarray], work: ProcessorWork) -> None:
        """Put an average of `parameters` in their place; the learning rate is 0 from here on; writing it is added to the work."""
        step = self.program.step
        tensors, self.state = replaced(step, self.state, mean)
        tables = {table: self.read(table) for table, _ in averaged_names(step)[1]}
        for table, entry in averaged_names(step)[1]:
            tables[table][:, step.tables[table].entries.index(entry)] = tensors[f"{table}.{entry}"]
        for name in step.weights:
            for each in (name, f"{name}.master"):
                work.copied_bytes += self._write(each, tensors[each].reshape(self.program.memory[each].shape))
        for table, words in tables.items():
            work.copied_bytes += self.program.memory[table].size + self._write(table, words)
        work.array_calls += REPLACE_ARRAY_CALLS * (len(step.weights) + len(tables))

    def _fresh_input(self) -> InputBuffer:
        return InputBuffer(self.board, self.program.memory, self.program.step.input, IMAGE_LIST, self.program.step.fold)

    def _load(self) -> None:
        """Write the program, whose bytes are worked out once, and run it up."""
        if self._image is None:
            self._image = self.program.image()
        self.board.write(0, self._image)
        self.board.start(self.program.segments[CLEAR].address, self.program.segments[CLEAR].count)
        self.board.wait(self._timeout_s)

    def _iterate(
        self, images: np.ndarray, labels: np.ndarray, following: np.ndarray | None, gates: Gates | None, work: ProcessorWork
    ) -> Iteration:
        step, state = self.program.step, self.state
        accesses = self.board.register_accesses
        self._prepare(images, work)
        counters, activity, self._stamps = {}, {}, {}
        for name, counts, toggles in self._through("forward", gates, following, work):
            counters[name], activity[name] = counts, toggles
        key = noise_key(state.seed, state.iteration, step.logits_grad)
        loss = self._loss(len(images), labels, key)
        work.copied_bytes += self._write_gradient(loss.gradient)
        for number, part in reversed(list(enumerate(step.sequence))):
            if len(self._route.samples[number]):
                counters[part.backward], activity[part.backward] = self._run(part.backward, None, work)
        if gates is not None:
            gates.learn(*self._parts.gate_gradients(self._route, state.exponents, work))
            calls, elements = gates.processor_work()
            work.array_calls, work.elements = work.array_calls + calls, work.elements + elements
        words = self.read(HOST_TABLE)
        maxima = {**self._table.maxima(words), step.logits_grad: loss.maximum}
        self.state = self._scaling.advance(state, maxima, self._route.kept())
        work.register_accesses = self.board.register_accesses - accesses
        work.array_calls += LOSS_ARRAY_CALLS + TRANSFER_ARRAY_CALLS
        work.exponents = len(state.exponents)
        work.elements += loss.gradient.size
        work.copied_bytes += words.nbytes + self.program.memory[step.logits].size
        return Iteration(
            state.iteration, loss.loss, loss.correct, len(images), maxima, counters, activity, work, self._stamps,
            self._lists(), self._route.decisions(),
        )

    def _through(
        self, phase: str, gates: Gates | None, following: np.ndarray | None, work: ProcessorWork
    ) -> list[tuple[str, dict[str, int], dict[str, int]]]:
        """Run the parts in order, each for the samples that the policy decides on.

        Returns:
            Name, counters and activity of the segments that ran.
        """
        done = []
        for number, part in enumerate(self.program.step.sequence):
            if not self._route.enter(number, gates, self.state.exponents):
                continue
            if number:
                self._parts.enter(self._route, number, self._words, self.state, work)
            segment = getattr(part, phase)
            done.append((segment, *self._run(segment, None if number else following, work)))
            self._parts.leave(self._route, number, work)
        return done

    def _lists(self) -> dict[str, tuple[int, ...]]:
        """Return the image lists of the segments that ran."""
        lists = {}
        for number, part in enumerate(self.program.step.sequence):
            chosen = self._route.lists[number] + (0 if number else self.first_image)
            if len(chosen):
                lists[part.forward] = lists[part.backward] = tuple(chosen.tolist())
        return lists

    def _prepare(self, images: np.ndarray, work: ProcessorWork) -> None:
        """Write the tables of an iteration and point the core to its images."""
        self._route = Route(self.program.step, len(images))
        self._words = words = self._table.words(self.state, len(images))
        self._write(HOST_TABLE, words)
        copied = self._input.use(images)
        work.copied_bytes += words.nbytes + copied.size
        work.array_calls += copied.array_calls
        work.array_calls += WORDS_ARRAY_CALLS
        work.records += self._table.worked_out

    def _run(self, name: str, following: np.ndarray | None, work: ProcessorWork) -> tuple[dict[str, int], dict[str, int]]:
        if self._before_segment is not None:
            self._before_segment(name)
        segment, start_s = self.program.segments[name], time.monotonic()
        self.board.start(segment.address, segment.count)
        if following is not None:
            copied = self._input.fill(following)
            work.streamed_bytes += copied.size
            work.streamed_array_calls += copied.array_calls
        counters = self.board.wait(self._timeout_s)
        self._stamps[name] = start_s, time.monotonic()
        work.array_calls += 1
        return counters, self.board.activity()

    def _loss(self, images: int, labels: np.ndarray, key: int | None):
        step, exponents = self.program.step, self.state.exponents
        logits = self.read(step.logits)[:images, :, 0, 0]
        return cross_entropy(logits, labels, exponents[step.logits], exponents[step.logits_grad], key)

    def _write_gradient(self, gradient: np.ndarray) -> int:
        """Write the gradient of the logits, zero for images past the mini-batch's last."""
        region = self.program.memory[self.program.step.logits_grad]
        padded = np.zeros(region.shape, np.int8)
        padded[: len(gradient), :, 0, 0] = gradient
        return self._write(region.name, padded)

    def _write(self, name: str, array: np.ndarray) -> int:
        data = self.program.memory.encode(name, array)
        self.board.write(self.program.memory[name].offset, data)
        return data.size


def check_identity(board: Board, program: Program) -> None:
    """Raise BoardError unless the board's core is of the configuration that the program was compiled for."""
    found = board.identity().config_hash
    if found != program.config_hash:
        name = board.config.name if found == board.config.config_hash else "another"
        raise BoardError(
            f"the program is compiled for configuration {program.config_name} ({program.config_hash:#010x}), "
            f"but the board's core is {name} ({found:#010x}): compile it for that one"
        )
    if program.ddr_bytes > board.ddr_bytes:
        raise BoardError(f"the program takes {program.ddr_bytes} bytes of DDR, but the board has {board.ddr_bytes}")


def summed(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    """Return the sums of equal names."""
    total: dict[str, int] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0) + value
    return total
