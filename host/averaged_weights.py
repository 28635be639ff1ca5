"""Weights that are averaged on a board: read as DDR holds them, all masters at once, and replaced by their mean."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from algo.averaging import averaged_names, replaced
from algo.scaling import State
from host.board import Board
from host.processor_work import ProcessorWork
from hw.compile import weight_shapes
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
        self._memory = memory = program.memory
        self._shapes = weight_shapes(program.step)
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

    def named(self, sums: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return sums of what `read` returned by the names of algo.averaging, in the module's shapes; `laid_out` undoes it."""
        found = {}
        for name, at in self._masters.parts.items() if sums else ():
            values, order = sums["masters"][at.start // 4 : at.stop // 4], self._order(name)
            found[name] = np.zeros(self._shapes[name], np.int64)
            found[name].reshape(-1)[order[order >= 0]] = values[order >= 0]
        columns = zip(self._entries, self._columns, strict=True) if sums else ()
        return found | {f"{table}.{entry}": sums["tables"][at].copy() for (table, entry), at in columns}

    def laid_out(self, named: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return what `named` was given. Raises KeyError, ValueError where a name is missing or a shape is another."""
        if not named:
            return {}
        masters = np.zeros(self._masters.size // 4, np.int64)
        for name, at in self._masters.parts.items():
            order, values = self._order(name), named[name].reshape(self._shapes[name]).reshape(-1)
            masters[at.start // 4 : at.stop // 4][order >= 0] = values[order[order >= 0]]
        columns = [named[f"{table}.{entry}"] for table, entry in self._entries]
        tables = np.zeros(len(self._at), np.int64)
        for column, at in zip(columns, self._columns, strict=True):
            tables[at] = column
        return {"masters": masters, "tables": tables}

    def _order(self, name: str) -> np.ndarray:
        """Return, for every word of a region of masters, the place of its weight in the module's array; -1 for padding."""
        region = self._memory[name]
        numbers = np.arange(1, np.prod(region.shape) + 1, dtype=np.int32).reshape(region.shape)
        return self._memory.encode(name, numbers).view("<i4").astype(np.int64) - 1

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
