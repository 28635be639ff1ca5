"""Executes a program on any board: training iterations, evaluation, and what the tensors hold afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from algo import scaling
from algo.averaging import averaged_names, replaced
from algo.delayed_scaling import FULL_BITS, DelayedScaling, settling
from algo.gates import Gates, Route
from algo.loss import NOISE_AHEAD, Gradient, LogitsNoise, Loss, gradient_of
from algo.policies.method import Course
from host.board import Board, BoardError
from host.host_table import HostTable
from host.input_buffer import InputBuffer, with_following
from host.part_data import PartData
from hw.compile import CLEAR, weight_shapes
from hw.compile_table import HOST_TABLE, IMAGE_LIST
from hw.layout import words_from_ddr
from hw.memory_map import Region
from hw.program import Program

GRADIENT_ARRAY_CALLS, LOSS_ARRAY_CALLS, NOISE_ARRAY_CALLS = 28, 38, 34
"""numpy calls of a gradient of the logits, of the loss itself, and of making noise ahead."""

LOGITS_OF_ELEMENT, NOISE_OF_ELEMENT = 4, 16
"""Logits whose gradient, and whose noise, take as long as an element of the model of the processor's time."""

SEGMENT_ARRAY_CALLS = 4
"""numpy calls in whose time a segment's image list is pointed at and its counters are read and laid out."""

READ_ARRAY_CALLS, ADD_ARRAY_CALLS = 2, 5
"""numpy calls that read one region of weights or tables, and that join all of a kind and add them to a sum."""

REPLACE_ARRAY_CALLS = 24
"""numpy calls in whose time the mean of one parameter is taken, rounded to a master and an int8 weight, and both are laid out:
timed on a desktop processor, as the model of the processor's time is."""

TRANSFER_ARRAY_CALLS = 12
"""numpy calls that bring four regions (tables both ways, logits, their gradient) into or out of their layout."""


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
    lookups: int = 0
    beside_array_calls: int = 0
    beside_elements: int = 0
    beside_bytes: int = 0
    first_cycles: int = 0
    last_cycles: int = 0
    core_cycles: int = 0

    def beside(self, cycles: Iterable[int]) -> None:
        """Note the cycles of an iteration's segments in their order: beside the first and the last one the processor works."""
        cycles = list(cycles)
        self.first_cycles, self.last_cycles, self.core_cycles = cycles[0], cycles[-1], sum(cycles)

    def add_gates(self, spent: tuple[int, int, int, int]) -> None:
        """Add what gates took, see `processor_work` of algo.gates.Gates; they learn beside the last segment."""
        for name, count in zip(("array_calls", "elements", "beside_array_calls", "beside_elements"), spent, strict=True):
            setattr(self, name, getattr(self, name) + count)


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
        self._noise = LogitsNoise(program.step.logits_grad, program.step.batch, program.memory[program.step.logits].shape[1])
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
                work = ProcessorWork()
                self._go_to(number[0] if number else self.state.iteration, None, work)
                decision = course.decide(self.state.iteration) if course else None
                if course:
                    self._go_to(self.state.iteration, decision.bits, work)
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
                result = self._gradient(len(part), targets, None).finished()
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
        """Return what may be averaged as DDR holds it, all regions of a kind one behind the other: "masters" and "tables",
        int64; reading them is added to the processor's work."""
        found = {}
        for kind, (dtype, regions) in self._averaged().items():
            data = [self.board.read(region.offset, region.size).view(dtype) for region in regions]
            found[kind] = np.concatenate(data).astype(np.int64) if data else np.zeros(0, np.int64)
            work.copied_bytes += sum(region.size for region in regions)
            work.array_calls += READ_ARRAY_CALLS * len(regions) + ADD_ARRAY_CALLS
        return found

    def _averaged(self) -> dict[str, tuple[str, list[Region]]]:
        """Return the regions that `parameters` reads, and the type of what they hold."""
        masters, entries = averaged_names(self.program.step)
        tables = dict.fromkeys(table for table, _ in entries)
        regions = [[self.program.memory[name] for name in names] for names in (masters, tables)]
        return {"masters": ("<i4", regions[0]), "tables": ("<i8", regions[1])}

    def _named(self, mean: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return an average of `parameters` by the names of algo.averaging, in the module's shapes."""
        step, memory, shapes, found = self.program.step, self.program.memory, weight_shapes(self.program.step), {}
        for kind, (dtype, regions) in self._averaged().items():
            data, at = mean[kind].astype(dtype).view(np.uint8), 0
            for region in regions:
                found[region.name] = memory.decode(region.name, data[at : at + region.size])
                at += region.size
        masters, entries = averaged_names(step)
        columns = {(table, entry): step.tables[table].entries.index(entry) for table, entry in entries}
        named = {name: found[name].reshape(shapes[name]).astype(np.int64) for name in masters}
        return named | {f"{table}.{entry}": found[table][:, at].copy() for (table, entry), at in columns.items()}

    def replace_weights(self, mean: dict[str, np.ndarray], work: ProcessorWork) -> None:
        """Put an average of `parameters` in their place; the learning rate is 0 from here on; writing it is added to the work."""
        step = self.program.step
        tensors, self.state = replaced(step, self.state, self._named(mean))
        tables = {table: self.read(table) for table, _ in averaged_names(step)[1]}
        for table, entry in averaged_names(step)[1]:
            tables[table][:, step.tables[table].entries.index(entry)] = tensors[f"{table}.{entry}"]
        for name in step.weights:
            for each in (name, f"{name}.master"):
                work.copied_bytes += self._write(each, tensors[each].reshape(self.program.memory[each].shape))
        for table, words in tables.items():
            work.copied_bytes += self.program.memory[table].size + self._write(table, words)
        work.array_calls += REPLACE_ARRAY_CALLS * (len(step.weights) + len(tables))

    def _go_to(self, iteration: int, bits: tuple[int, int] | None, work: ProcessorWork) -> None:
        """Go to a drawn iteration and its bits; exponents are settled again where that is not the next one."""
        state = self._scaling.at(self.state, iteration, bits)
        work.exponents += settling(self.state, state)
        self.state = state

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
        gradient = self._gradient(len(images), labels, noise_of(self._noise, state, work))
        work.copied_bytes += self._write_gradient(gradient.gradient)
        loss = None
        for number, part in reversed(list(enumerate(step.sequence))):
            if len(self._route.samples[number]):
                self._start(part.backward)
                if not number:
                    loss = self._beside_the_last(gradient, gates, work)
                counters[part.backward], activity[part.backward] = self._ended(part.backward, work)
        maxima = self._maxima(work) | {step.logits_grad: loss.maximum}
        self.state = self._scaling.advance(state, maxima, self._route.kept())
        work.register_accesses = self.board.register_accesses - accesses
        work.array_calls += GRADIENT_ARRAY_CALLS + TRANSFER_ARRAY_CALLS
        work.elements += gradient.gradient.size // LOGITS_OF_ELEMENT
        work.exponents += len(state.exponents)
        work.copied_bytes += self.program.memory[step.logits].size
        work.beside(one["cycles"] for one in counters.values())
        return Iteration(
            state.iteration, loss.loss, loss.correct, len(images), maxima, counters, activity, work, self._stamps,
            self._lists(), self._route.decisions(),
        )

    def _beside_the_last(self, gradient: Gradient, gates: Gates | None, work: ProcessorWork) -> Loss:
        """Finish the loss and let the gates learn, while the last segment of an iteration runs; return the loss."""
        loss = gradient.finished()
        work.beside_array_calls += LOSS_ARRAY_CALLS
        work.beside_elements += len(loss.gradient)
        if gates is not None:
            gates.learn(*self._parts.gate_gradients(self._route, self.state.exponents, work))
            work.add_gates(gates.processor_work())
        return loss

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
            self._start(segment)
            if not number and following is not None:
                copied = self._input.fill(following)
                work.streamed_bytes += copied.size
                work.streamed_array_calls += copied.array_calls
            done.append((segment, *self._ended(segment, work)))
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
        work.array_calls += copied.array_calls + self._table.array_calls
        work.records += self._table.worked_out
        work.lookups += self._table.looked_up

    def _start(self, name: str) -> None:
        if self._before_segment is not None:
            self._before_segment(name)
        segment, start_s = self.program.segments[name], time.monotonic()
        self.board.start(segment.address, segment.count)
        self._stamps[name] = start_s, start_s

    def _ended(self, name: str, work: ProcessorWork) -> tuple[dict[str, int], dict[str, int]]:
        """Wait for a segment; return its counters and activity."""
        counters = self.board.wait(self._timeout_s)
        self._stamps[name] = self._stamps[name][0], time.monotonic()
        work.array_calls += SEGMENT_ARRAY_CALLS
        return counters, self.board.activity()

    def _gradient(self, images: int, labels: np.ndarray, noise: np.ndarray | None) -> Gradient:
        step, exponents = self.program.step, self.state.exponents
        logits = self.read(step.logits)[:images, :, 0, 0]
        noise = None if noise is None else noise[:images]
        return gradient_of(logits, labels, exponents[step.logits], exponents[step.logits_grad], noise)

    def _maxima(self, work: ProcessorWork) -> dict[str, int]:
        """Read the maxima that the core has collected."""
        first, last = self._table.maxima_range
        data = self.board.read(self.program.memory[HOST_TABLE].offset + 8 * first, 8 * (last - first))
        work.copied_bytes += data.size
        return self._table.maxima(words_from_ddr(data, (last - first,)))

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


def noise_of(noise: LogitsNoise, state: scaling.State, work: ProcessorWork) -> np.ndarray:
    """Return an iteration's noise of the logits' gradient; making some ahead is added to the processor's work."""
    made = noise.made
    found = noise.of(state.seed, state.iteration)
    if noise.made > made:
        work.array_calls += NOISE_ARRAY_CALLS
        work.elements += NOISE_AHEAD * found.size // NOISE_OF_ELEMENT
    return found


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
