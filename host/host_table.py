"""The host table: records, scalars and maxima of an iteration as the words that the processor writes and reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from algo import scaling
from algo.arithmetic import name_hash, noise_keys
from algo.scaling import Inputs, State
from algo.step import Step
from hw.compile_table import TableLayout

WORDS_ARRAY_CALLS = 31
"""numpy calls of one `HostTable.words`: 7 to find the sums of exponents that changed, 24 for the noise keys."""

_SHIFT_BIT = 32


@dataclass(frozen=True)
class _Entry:
    """A word that is worked out again only when its inputs changed.

    Attributes:
        inputs: what it follows from.
        work_out: (state, images) to the word; of a record to its AB word and shift.
        places: word offsets that take it; of a record the one of its first word.
    """

    inputs: Inputs
    work_out: Callable
    places: tuple[int, ...]
    is_record: bool


class HostTable:
    """Words of a step's host table.

    A word stays as it is while the sums of exponents, the learning rate and the number of images that it follows from
    stay the same; only noise keys, thresholds that follow from a level, and words that follow from the iteration's number
    are new in every iteration.

    Args:
        step: the training step.
        layout: word offsets of records, scalar blocks and maxima.

    Attributes:
        worked_out: records and scalars that the last call of `words` had to work out.
    """

    def __init__(self, step: Step, layout: TableLayout):
        self._layout = layout
        self._words = np.zeros(layout.words, np.int64)
        self._entries = [*_records(step, layout), *_scalars(step, layout)]
        self._names, self._index, self._sign, self._starts, self._owner = _sums(self._entries)
        self._by_rate = [i for i, entry in enumerate(self._entries) if entry.inputs.rate]
        self._by_iteration = [i for i, entry in enumerate(self._entries) if entry.inputs.iteration]
        self._by_images = [i for i, entry in enumerate(self._entries) if entry.inputs.images]
        for name, record in step.records.items():
            self._words[layout.records[name] + 3] = record.threshold
        self._step, self._thresholds = step, [record for record in step.records.values() if record.level]
        noisy = [(name, record) for name, record in step.records.items() if record.noise]
        self._hashes = np.array([name_hash(record.noise) for _, record in noisy], np.int64)
        self._key_places = np.array([layout.records[name] + 2 for name, _ in noisy], np.int64)
        self._maxima = np.array(list(layout.maxima.values()), np.int64)
        self._seen: tuple[tuple, object, int] | None = None
        self._last = np.zeros(len(self._starts), np.int64)
        self.worked_out = 0

    def words(self, state: State, images: int) -> np.ndarray:
        """Return the table's int64 words for an iteration over `images` images; maxima are zero.

        The array is the table's own: the next call changes it.

        Raises:
            OutOfRange: a coefficient or a gradient does not fit.
        """
        sums, rate = self._sums_of(state), state.sgd.rate(state.iteration)
        fixed = state.sgd.momentum, state.sgd.weight_decay
        changed = self._changed(sums, fixed, rate, images)
        self._seen = None  # until all words are new: an exception must not leave old ones that pass for them
        for entry in changed:
            found = entry.work_out(state, images)
            for at in entry.places:
                if entry.is_record:
                    self._words[at], self._words[at + 2] = found[0], found[1] << _SHIFT_BIT
                else:
                    self._words[at] = found
        self._seen, self._last, self.worked_out = (fixed, rate, images), sums, len(changed)
        shifts = self._words[self._key_places] >> _SHIFT_BIT << _SHIFT_BIT
        self._words[self._key_places] = shifts | noise_keys(state.seed, state.iteration, self._hashes)
        for record in self._thresholds:
            self._words[self._layout.records[record.name] + 3] = scaling.record_threshold(self._step, record, state)
        return self._words

    def maxima(self, words: np.ndarray) -> dict[str, int]:
        """Return the maxima, by name, in the table's words after the backward segment."""
        return dict(zip(self._layout.maxima, words[self._maxima].tolist(), strict=True))

    def _sums_of(self, state: State) -> np.ndarray:
        if not len(self._starts):
            return self._last
        exponents = np.array([state.exponents[name] for name in self._names], np.int64)
        return np.add.reduceat(exponents[self._index] * self._sign, self._starts)

    def _changed(self, sums: np.ndarray, fixed: tuple, rate: object, images: int) -> list[_Entry]:
        if self._seen is None or self._seen[0] != fixed:
            return self._entries
        changed = {*self._owner[sums != self._last].tolist(), *self._by_iteration}
        if rate != self._seen[1]:
            changed.update(self._by_rate)
        if images != self._seen[2]:
            changed.update(self._by_images)
        return [self._entries[i] for i in changed]


def _records(step: Step, layout: TableLayout) -> list[_Entry]:
    """Return an entry per record."""
    entries = []
    for name, record in step.records.items():
        def work_out(state: State, images: int, record=record):
            return scaling.record_numbers(record, state)

        entries.append(_Entry(scaling.record_inputs(record), work_out, (layout.records[name],), True))
    return entries


def _scalars(step: Step, layout: TableLayout) -> list[_Entry]:
    """Return an entry per different specification."""
    places: dict[str, list[int]] = {}
    for block, specifications in step.scalars.items():
        for i, specification in enumerate(specifications):
            places.setdefault(specification, []).append(layout.scalars[block] + i)
    entries = []
    for specification, where in places.items():
        def work_out(state: State, images: int, specification=specification):
            return scaling.scalar(specification, step, state, images)

        entries.append(_Entry(scaling.scalar_inputs(specification, step), work_out, tuple(where), False))
    return entries


def _sums(entries: list[_Entry]) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Lay all sums of exponents out for np.add.reduceat: names, and for every sum its terms' name numbers and signs."""
    numbers: dict[str, int] = {}
    index, sign, starts, owner = [], [], [], []
    for i, entry in enumerate(entries):
        for names in filter(None, entry.inputs.sums):
            starts.append(len(index))
            owner.append(i)
            for name in names:
                index.append(numbers.setdefault(name[1:], len(numbers)))
                sign.append(1 if name[0] == "+" else -1)
    return list(numbers), *(np.array(part, np.int64) for part in (index, sign, starts, owner))
