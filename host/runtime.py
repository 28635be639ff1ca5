"""Executes a program on any board: training iterations, evaluation, and what the tensors hold afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from algo.delayed_scaling import DelayedScaling, settling
from algo.gates import Gates, Route
from algo.loss import Gradient, LogitsNoise, Loss, gradient_of
from algo.policies.method import Course
from algo.policies.swa import Averaging
from algo.scaling import State
from algo.step import low_name
from host.averaged_weights import READ_ARRAY_CALLS, AveragedWeights
from host.beside_segments import prepare_first, prepare_last, stream
from host.board import Board, BoardError
from host.host_table import FIRST_ARRAY_CALLS, REST_ARRAY_CALLS, HostTable
from host.input_buffer import InputBuffer, with_following
from host.iteration import Evaluation, Iteration
from host.part_data import PartData
from host.processor_work import ProcessorWork
from hw.compile import CLEAR, weight_shapes
from hw.compile_table import HOST_TABLE, IMAGE_LIST
from hw.layout import words_from_ddr
from hw.program import Program

GRADIENT_ARRAY_CALLS, LOSS_ARRAY_CALLS = 28, 25
"""numpy calls of a gradient of the logits, and of the loss itself."""

LOGITS_OF_ELEMENT = 4
"""Logits whose gradient takes as long as an element of the model of the processor's time."""

SEGMENT_ARRAY_CALLS = 4
"""numpy calls in whose time a segment's image list is pointed at and its counters are read and laid out."""

TRANSFER_ARRAY_CALLS = 12
"""numpy calls that bring four regions (tables both ways, logits, their gradient) into or out of their layout."""

LOW_BYTE_ARRAY_CALLS = 12
"""numpy calls that part a gradient of 16 bits into bytes and bring the low ones into their layout."""


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
        averaged: what may be averaged on this board.

    Raises:
        BoardError: the program is of another configuration, or does not fit the board's DDR.
    """

    def __init__(self, board: Board, program: Program, state: State, timeout_s: float | None = None, before_segment=None):
        check_identity(board, program)
        self.board = board
        self.program = program
        self.state = state
        self._timeout_s = timeout_s
        self._before_segment = before_segment
        self._table = HostTable.of(program)
        self._scaling = DelayedScaling(program.step)
        self._parts = PartData(board, program)
        self.averaged = AveragedWeights(board, program)
        self._average: Averaging | None = None
        self._added = 0, 0
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

        The images of the following mini-batch are written while the core computes, and weights that enter an average are read
        beside the first segment of the next iteration. An interruption, or any other exception, stops the board before it
        goes on.

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
                    self._replace_weights(course.average, work)
                gates = course.gates(decision) if course else None
                iteration = self._iterate(images, labels, following, gates, work)
                if course:
                    iteration.bits = decision.bits
                    course.executed(decision, iteration.loss)
                    self._average = course.average if decision.average else None
            except BaseException:
                self.board.stop()
                raise
            iteration.stamps["iteration"] = start_s, time.monotonic()
            yield iteration
            start_s = time.monotonic()

    def restart(self, state: State) -> None:
        """Go back to the program's first tensors and to `state`, as if nothing had been trained yet."""
        self.state, self._average, self._added = state, None, (0, 0)
        self._input = self._fresh_input()
        self._load()

    def kept(self) -> dict[str, np.ndarray]:
        """Return what a checkpoint holds of the board, between two iterations: weights, masters and momenta in the module's
        shapes, and whole channel tables (channels, entries).

        Weights that wait to be averaged are added to their average, so that the course's state is complete; the next iteration
        counts that as its own, as it would have been.
        """
        self._added = self._add_to_average()
        shapes = weight_shapes(self.program.step)
        return {name: self.read(name).reshape(shape) for name, shape in shapes.items()} | {
            name: self.read(name) for name in self.program.step.tables
        }

    def go_on(self, tensors: dict[str, np.ndarray], state: State) -> None:
        """Go on from what `kept` gave and the state of that moment, with the same bits.

        Raises:
            ValueError: the tensors are not those of the program's step.
        """
        expected = weight_shapes(self.program.step) | {name: self.program.memory[name].shape for name in self.program.step.tables}
        for name in sorted(expected.keys() | tensors.keys()):
            found, shape = tensors.get(name), expected.get(name)
            if found is None or found.shape != shape or found.dtype.kind != "i":
                said = "is missing" if found is None else f"is {found.dtype} {found.shape}"
                raise ValueError(f"tensor {name} {said}, the program has {f'integers {shape}' if shape else 'none such'}")
        self.restart(state)
        for name, value in tensors.items():
            self._write(name, value.reshape(self.program.memory[name].shape))

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
                self._finish_words(work)  # before it starts: what evaluation needs is not what a forward segment does

                def beside(following=following) -> None:
                    if following is not None:
                        self._input.fill(following[0])

                self._through("evaluate", gates, beside, work)
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

    def _replace_weights(self, average: Averaging, work: ProcessorWork) -> None:
        """Put the average in the weights' place, with those of the iteration before in it, where they belong there."""
        work.add(**dict(zip(("copied_bytes", "array_calls"), self._add_to_average(), strict=True)))
        self.state = self.averaged.replace(self.state, average.mean(), work)

    def _add_to_average(self) -> tuple[int, int]:
        """Add the weights to the average where the iteration before left them to be added; return bytes and numpy calls."""
        average, self._average = self._average, None
        if average is None:
            added, self._added = self._added, (0, 0)
            return added
        values, size = self.averaged.read()
        average.add(values)
        return size, READ_ARRAY_CALLS

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
        self, images: np.ndarray, labels: np.ndarray, following: tuple | None, gates: Gates | None, work: ProcessorWork
    ) -> Iteration:
        step, state = self.program.step, self.state
        accesses = self.board.register_accesses
        self._prepare(images, work)
        counters, activity, self._stamps = {}, {}, {}
        coming = None if following is None else following[2] if len(following) > 2 else state.iteration + 1

        def beside() -> None:
            self._beside_the_first(following, coming, work)

        for name, counts, toggles in self._through("forward", gates, beside, work):
            counters[name], activity[name] = counts, toggles
        gradient = self._gradient(len(images), labels, self._noise.of(state.seed, state.iteration))
        work.copied_bytes += self._write_gradient(gradient, work)
        loss = None
        for number, part in reversed(list(enumerate(step.sequence))):
            if len(self._route.samples[number]):
                self._start(part.backward)
                if not number:
                    loss = self._beside_the_last(gradient, gates, following, coming, work)
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

    def _beside_the_first(self, following: tuple | None, coming: int | None, work: ProcessorWork) -> None:
        """Do what need not wait while the first segment of an iteration runs: the words that it does not need, and weights that
        the iteration before left for the average. The next mini-batch is streamed where noise is to be made beside the last one.

        Args:
            following, coming: the next mini-batch, and the number of its iteration among the drawn.
        """
        self._finish_words(work)
        prepare_first(self._noise, self.state, work)
        size, calls = self._add_to_average()
        work.add(streamed_bytes=size, streamed_array_calls=calls)
        if following is not None and not self._noise.holds(self.state.seed, coming):
            stream(self._input.fill(following[0]), False, work)

    def _finish_words(self, work: ProcessorWork) -> None:
        """Write the words that the first segment does not need."""
        for name, count in self._table.finish().items():
            work.add(**{f"streamed_{name}": count})
        start, end = self._table.rest
        self.board.write(self.program.memory[HOST_TABLE].offset + 8 * start, self._words[start:end])
        work.add(streamed_bytes=8 * (end - start), streamed_array_calls=REST_ARRAY_CALLS)

    def _beside_the_last(
        self, gradient: Gradient, gates: Gates | None, following: tuple | None, coming: int | None, work: ProcessorWork
    ) -> Loss:
        """While an iteration's last segment runs, finish the loss, let the gates learn and make noise ahead; return the loss.

        Args:
            following, coming: the next mini-batch, and the number of its iteration among the drawn.
        """
        loss = gradient.finished()
        work.add(beside_array_calls=LOSS_ARRAY_CALLS, beside_elements=len(loss.gradient))
        if gates is not None:
            gates.learn(*self._parts.gate_gradients(self._route, self.state.exponents, work))
            work.add_gates(gates.processor_work())
        if following is not None and not self._input.holds(following[0]):
            stream(self._input.fill(following[0]), True, work)
        if coming is not None:
            prepare_last(self._table, self._noise, self.state, coming, work)
        return loss

    def _through(
        self, phase: str, gates: Gates | None, beside: Callable[[], None], work: ProcessorWork
    ) -> list[tuple[str, dict[str, int], dict[str, int]]]:
        """Run the parts in order, each for the samples that the policy decides on.

        Args:
            beside: called while the first segment runs.

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
            if not number:
                beside()
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
        self._words, counts = self._table.begin(self.state, len(images))
        self._write(HOST_TABLE, self._words)
        copied = self._input.use(images)
        work.add(copied_bytes=self._words.nbytes + copied.size, array_calls=copied.array_calls + FIRST_ARRAY_CALLS, **counts)

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
        units = exponents[step.logits], exponents[step.logits_grad]
        return gradient_of(logits, labels, *units, noise, step.gradient_bits)

    def _maxima(self, work: ProcessorWork) -> dict[str, int]:
        """Read the maxima that the core has collected."""
        first, last = self._table.maxima_range
        data = self.board.read(self.program.memory[HOST_TABLE].offset + 8 * first, 8 * (last - first))
        work.copied_bytes += data.size
        return self._table.maxima(words_from_ddr(data, (last - first,)))

    def _write_gradient(self, gradient: Gradient, work: ProcessorWork) -> int:
        """Write the gradient of the logits, zero for images past the mini-batch's last; return how many bytes that were."""
        high, parts, written = self.program.step.logits_grad, gradient.bytes, 0
        work.array_calls += (len(parts) - 1) * LOW_BYTE_ARRAY_CALLS
        for name, part in zip((high, low_name(high)), parts, strict=False):
            padded = np.zeros(self.program.memory[name].shape, np.int8)
            padded[: len(part), :, 0, 0] = part
            written += self._write(name, padded)
        return written

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
