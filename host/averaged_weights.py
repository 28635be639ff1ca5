"""Weights that are averaged on a board: read as DDR holds them, all masters at once, and replaced by their mean."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from algo.averaging import averaged_names, replaced
from algo.scaling import State
from host.board import Board
from host.processor_work import ProcessorWork
from hw.memory_map import MemoryMap, Region
from hw.program import Program

READ_ARRAY_CALLS = 9
"""numpy calls that read masters and tables, take the parameters from the tables, and add both to their sums."""

MEAN_ARRAY_CALLS, REPLACE_ARRAY_CALLS = 18, 6
"""numpy calls in whose time, with the copies, the means of all parameters are taken and written, and masters and int8 weights of
each weight are made of them: timed on a desktop processor, as the model of the processor's time is."""


class AveragedWeights:
    """What one program's step may average, on one board.

    Masters lie one behind the other in DDR, and so do tables and int8 weights: each is read and written in one piece. A mean is
    taken element by element, so nothing is brought into the module's shapes.

    Args:
        board: opened.
        program: with a step.
    """

    def __init__(self, board: Board, program: Program):
        self._board, self._step = board, program.step
        memory = program.memory
        _, self._entries = averaged_names(program.step)
        self._masters = _Stretch(memory, [f"{name}.master" for name in program.step.weights])
        self._weights = _Stretch(memory, program.step.weights)
        self._tables = _Stretch(memory, dict.fromkeys(table for table, _ in self._entries))
        places = [self._places(memory[table], table, entry) for table, entry in self._entries]
        self._at = np.concatenate(places) if places else np.zeros(0, np.int64)
        ends = np.cumsum([len(one) for one in places]).tolist()
        self._columns = [slice(end - len(one), end) for one, end in zip(places, ends, strict=True)]

    def read(self) -> tuple[dict[str, np.ndarray], int]:
        """Return "masters", int32 as DDR holds them, and "tables", the parameters in tables, int64; and the bytes read.

        While a forward segment runs they are what the iteration before left: nothing but a backward segment changes them.
        """
        masters, tables = (self._board.read(each.start, each.size) for each in (self._masters, self._tables))
        return {"masters": masters.view("<i4"), "tables": tables.view("<i8")[self._at]}, masters.size + tables.size

    def replace(self, state: State, mean: dict[str, np.ndarray], work: ProcessorWork) -> State:
        """Put a mean of what `read` returned in the weights' place; return the state, with a learning rate of 0 from here on."""
        named = {name: mean["masters"][at.start // 4 : at.stop // 4] for name, at in self._masters.parts.items()}
        named |= {f"{table}.{entry}": mean["tables"][at] for (table, entry), at in zip(self._entries, self._columns, strict=True)}
        tensors, state = replaced(self._step, state, named)
        tables = self._board.read(self._tables.start, self._tables.size)
        tables.view("<i8")[self._at] = mean["tables"]
        self._board.write(self._tables.start, tables)
        for stretch in (self._masters, self._weights):
            data = np.zeros(stretch.size, np.uint8)
            for name, at in stretch.parts.items():
                data[at] = tensors[name].view(np.uint8)
            self._board.write(stretch.start, data)
        work.add(
            copied_bytes=2 * tables.size + self._masters.size + self._weights.size,
            array_calls=MEAN_ARRAY_CALLS + REPLACE_ARRAY_CALLS * len(self._step.weights),
        )
        return state

    def _places(self, region: Region, table: str, entry: str) -> np.ndarray:
        """Return the numbers of the words of an entry within the stretch of tables."""
        first = self._tables.parts[table].start // 8 + self._step.tables[table].entries.index(entry)
        return first + region.pitch * np.arange(region.shape[0])


class _Stretch:
    """Regions that lie one behind the other.

    Attributes:
        start, size: bytes, of all of them.
        parts: name to its bytes within the stretch.
    """

    def __init__(self, memory: MemoryMap, names: Iterable[str]):
        regions = [memory[name] for name in names]
        self.start = min((region.offset for region in regions), default=0)
        self.size = max((region.offset + region.size for region in regions), default=0) - self.start
        self.parts = {
            region.name: slice(region.offset - self.start, region.offset - self.start + region.size) for region in regions
        }
