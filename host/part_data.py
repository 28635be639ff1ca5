"""What the processor writes and reads for a part of a step with gated blocks: its image list, its scalars, means, gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from algo import scaling
from algo.gates import Route
from algo.scaling import State, scalar_inputs
from algo.step import Coefficient, Part
from host.board import Board
from hw import layout
from hw.compile_table import HOST_TABLE, image_list
from hw.program import Program

if TYPE_CHECKING:
    from host.processor_work import ProcessorWork

ENTER_ARRAY_CALLS = 10
"""numpy calls in whose time it is followed where a part's samples lie, and list and scalars are written; what its policy takes
to decide is counted by `processor_work` of its gates."""

POOLED_ARRAY_CALLS, SUMS_ARRAY_CALLS = 8, 7
"""numpy calls that read a part's plane means, and the sums of a block's decisions."""


class PartData:
    """The parts of one program on one board.

    Args:
        board: opened.
        program: with a step.
    """

    def __init__(self, board: Board, program: Program):
        self._board, self._program = board, program
        self._scalars = {part: CountScalars(program, part) for part in program.step.parts if part.block >= 0}
        self._list = np.zeros(1 + program.step.batch, "<i8")

    def enter(self, route: Route, number: int, words: np.ndarray, state: State, work: ProcessorWork) -> None:
        """Write the image list of a part, and what its scalars are for that many images.

        Args:
            words: of the host table, as they are for the whole mini-batch.
        """
        part, chosen = route.step.sequence[number], route.lists[number]
        words_of_list = self._list[: 1 + len(chosen)]
        words_of_list[0], words_of_list[1:] = len(chosen), chosen
        data = words_of_list.view(np.uint8)
        self._board.write(self._program.memory[image_list(part.forward)].offset, data)
        work.copied_bytes += data.size
        work.array_calls += ENTER_ARRAY_CALLS
        if part in self._scalars and len(chosen) != route.images:
            at, changed, worked_out = self._scalars[part].words(words, state, len(chosen))
            data = layout.words_to_ddr(changed)
            self._board.write(self._program.memory[HOST_TABLE].offset + 8 * at, data)
            work.copied_bytes += data.size
            work.records += worked_out

    def leave(self, route: Route, number: int, work: ProcessorWork) -> None:
        """Read the plane means that a part has made."""
        for name in route.step.sequence[number].pooled:
            found, size = self._images_of(name, len(route.samples[number]))
            route.keep_pooled(number, name, found)
            work.array_calls += POOLED_ARRAY_CALLS
            work.copied_bytes += size

    def gate_gradients(self, route: Route, exponents: dict[str, int], work: ProcessorWork):
        """Return the gradients of the decisions and their exponents, as algo.gates.Gates.learn takes them.

        The part that runs last has none, so they can be read while it runs.
        """

        def sums(part: Part) -> np.ndarray:
            work.beside_array_calls += SUMS_ARRAY_CALLS
            number = route.step.sequence.index(part)
            found, size = self._images_of(part.gate_sum, len(route.samples[number]))
            work.beside_bytes += size
            return found[:, 1::2].sum(1)

        return route.gate_gradients(sums, exponents)

    def _images_of(self, name: str, images: int) -> tuple[np.ndarray, int]:
        """Read the first images of a region; return them, and how many bytes they were."""
        region = self._program.memory[name]
        size = region.size // region.shape[0] * images
        data = self._board.read(region.offset, size)
        if region.kind == "words":
            return layout.words_from_ddr(data, (images, *region.shape[1:])), size
        return layout.activations_from_ddr(data, (images, *region.shape[1:]), self._program.memory.g), size


class CountScalars:
    """The scalars of a part that depend on the number of its images; they depend on nothing else, so each is worked out once."""

    def __init__(self, program: Program, part: Part):
        step, self._known = program.step, {}
        self._step = step
        nodes = [node for segment in (part.forward, part.backward) for node in step.segments[segment]]
        blocks = {node.scalars for node in nodes if isinstance(node, Coefficient)}
        places = [
            (program.table.scalars[block] + i, specification)
            for block in blocks for i, specification in enumerate(step.scalars[block])
            if scalar_inputs(specification, step).images
        ]
        self._places = sorted(places)

    def words(self, table: np.ndarray, state: State, images: int) -> tuple[int, np.ndarray, int]:
        """Return the first word's offset, the words from the first to the last scalar, and how many had to be worked out."""
        if not self._places:
            return 0, table[:0], 0
        missing = [name for _, name in self._places if (name, images) not in self._known]
        for name in missing:
            self._known[name, images] = scaling.scalar(name, self._step, state, images)
        first, last = self._places[0][0], self._places[-1][0]
        words = table[first : last + 1].copy()
        for at, name in self._places:
            words[at - first] = self._known[name, images]
        return first, words, len(set(missing))
