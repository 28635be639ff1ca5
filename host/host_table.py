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

WORDS_ARRAY_CALLS, KEYS_ARRAY_CALLS = 12, 30
"""numpy calls of one `HostTable.words`, which finds the sums of exponents that changed and puts noise keys in their places; and
of making keys ahead."""

KEYS_AHEAD = 16
"""Drawn iterations whose noise keys are made at once: a numpy call costs more than what it computes of so few."""

REMEMBERED = 16
"""So many words are remembered for each record and scalar, on average; when there are more, all are forgotten."""

LOOKUPS_OF_THRESHOLD = 2
"""Look-ups that take as long as working a threshold out."""

_SHIFT_BIT = 32


@dataclass(frozen=True)
class _Entry:
    """A record or scalar, whose word is replaced only when its inputs changed.

    Attributes:
        inputs: what it follows from.
        work_out: (state, images) to its word; of a record to its AB word, and the shift above its noise key.
        places: word offsets that take it; of a record the one of its first word.
        is_record: whether there is a shift.
    """

    inputs: Inputs
    work_out: Callable
    places: tuple[int, ...]
    is_record: bool


class HostTable:
    """Words of a step's host table.

    A word stays as it is while the sums of exponents, the learning rate and the number of images that it follows from
    stay the same; only noise keys, thresholds that follow from a level, and words that follow from the iteration's number
    are new in every iteration. Exponents go back and forth between few values: so what has been worked out is remembered by
    its rule and its inputs, whichever record or scalar it was for, as long as the learning rate that it follows from stays.

    Args:
        step: the training step.
        layout: word offsets of records, scalar blocks and maxima.

    Attributes:
        worked_out: records and scalars that the last call of `words` had to work out.
        looked_up: records and scalars that it looked for among what is remembered, and twice the thresholds that follow from a
            level, which take as long.
        array_calls: numpy calls that it took.
        maxima_range: first of the words that hold maxima, and the first behind them.
    """

    def __init__(self, step: Step, layout: TableLayout):
        self._layout = layout
        self._words = np.zeros(layout.words, np.int64)
        self._entries = [*_records(step, layout), *_scalars(step, layout)]
        rules: dict[tuple, int] = {}
        self._rules = [rules.setdefault(entry.inputs.rule, len(rules)) for entry in self._entries]
        self._names, self._index, self._sign, self._starts, self._owner = _sums(self._entries)
        self._terms = [slice(*np.searchsorted(self._owner, (i, i + 1)).tolist()) for i in range(len(self._entries))]
        self._by_rate = [i for i, entry in enumerate(self._entries) if entry.inputs.rate]
        self._by_iteration = [i for i, entry in enumerate(self._entries) if entry.inputs.iteration]
        self._by_images = [i for i, entry in enumerate(self._entries) if entry.inputs.images]
        for name, record in step.records.items():
            self._words[layout.records[name] + 3] = record.threshold
        self._step, self._thresholds = step, [record for record in step.records.values() if record.level]
        noisy = [(name, record) for name, record in step.records.items() if record.noise]
        self._hashes = np.array([name_hash(record.noise) for _, record in noisy], np.int64)
        self._key_places = np.array([layout.records[name] + 2 for name, _ in noisy], np.int64)
        self._keys, self._keys_of = np.zeros((0, len(noisy)), np.int64), (0, 0)
        places = np.array(list(layout.maxima.values()), np.int64)
        self.maxima_range = (int(places.min()), int(places.max()) + 1) if len(places) else (0, 0)
        self._maxima = places - self.maxima_range[0]
        self._seen: tuple[tuple, object, int] | None = None
        self._last = np.zeros(len(self._starts), np.int64)
        self._known: dict[tuple, object] = {}
        self._known_by_rate: dict[tuple, object] = {}
        self.worked_out = self.looked_up = self.array_calls = 0

    def words(self, state: State, images: int) -> np.ndarray:
        """Return the table's int64 words for an iteration over `images` images; maxima are zero.

        The array is the table's own: the next call changes it.

        Raises:
            OutOfRange: a coefficient or a gradient does not fit.
        """
        sums, rate = self._sums_of(state), state.sgd.rate(state.iteration)
        fixed = state.sgd.momentum, state.sgd.weight_decay
        changed = self._changed(sums, fixed, rate, images)
        self._forget(fixed, rate)
        self._seen = None  # until all words are new: an exception must not leave old ones that pass for them
        self.worked_out, self.array_calls = 0, WORDS_ARRAY_CALLS
        self.looked_up = len(changed) + LOOKUPS_OF_THRESHOLD * len(self._thresholds)
        self._replace(changed, sums.tolist(), state, images)
        self._seen, self._last = (fixed, rate, images), sums
        shifts = self._words[self._key_places] >> _SHIFT_BIT << _SHIFT_BIT
        self._words[self._key_places] = shifts | self._noise_keys(state)
        for record in self._thresholds:
            self._words[self._layout.records[record.name] + 3] = scaling.record_threshold(self._step, record, state)
        return self._words

    def maxima(self, words: np.ndarray) -> dict[str, int]:
        """Return the maxima, by name, in the words of `maxima_range` after the backward segment."""
        return dict(zip(self._layout.maxima, words[self._maxima].tolist(), strict=True))

    def _replace(self, changed: list[int], sums: list[int], state: State, images: int) -> None:
        """Put the words of records and scalars that changed in their places."""
        for number in changed:
            entry = self._entries[number]
            inputs = entry.inputs
            known = self._known_by_rate if inputs.rate else self._known
            spread = inputs.iteration and state.sgd.weight_decay != 0
            besides = images if inputs.images else 0, state.iteration if spread else 0
            key = self._rules[number], *besides, *sums[self._terms[number]]
            found = known.get(key)
            if found is None:
                found = known[key] = entry.work_out(state, images)
                self.worked_out += 1
            for at in entry.places:
                if entry.is_record:
                    self._words[at], self._words[at + 2] = found[0], found[1] << _SHIFT_BIT
                else:
                    self._words[at] = found

    def _forget(self, fixed: tuple, rate: object) -> None:
        """Forget what follows from hyper-parameters that have changed, and everything where it is too much."""
        if self._seen is None or self._seen[0] != fixed or len(self._known) > REMEMBERED * len(self._entries):
            self._known = {}
        if self._seen is None or self._seen[:2] != (fixed, rate) or len(self._known_by_rate) > REMEMBERED * len(self._entries):
            self._known_by_rate = {}

    def _noise_keys(self, state: State) -> np.ndarray:
        """Return the keys of an iteration, made KEYS_AHEAD at a time."""
        first, ahead = divmod(state.iteration, KEYS_AHEAD)
        if self._keys_of != (state.seed, first) or not len(self._keys):
            iterations = np.arange(first * KEYS_AHEAD, (first + 1) * KEYS_AHEAD)
            self._keys, self._keys_of = noise_keys(state.seed, iterations[:, None], self._hashes), (state.seed, first)
            self.array_calls += KEYS_ARRAY_CALLS
        return self._keys[ahead]

    def _sums_of(self, state: State) -> np.ndarray:
        if not len(self._starts):
            return self._last
        exponents = np.array([state.exponents[name] for name in self._names], np.int64)
        return np.add.reduceat(exponents[self._index] * self._sign, self._starts)

    def _changed(self, sums: np.ndarray, fixed: tuple, rate: object, images: int) -> list[int]:
        if self._seen is None or self._seen[0] != fixed:
            return list(range(len(self._entries)))
        changed = {*self._owner[sums != self._last].tolist(), *(self._by_iteration if fixed[1] else ())}
        if rate != self._seen[1]:
            changed.update(self._by_rate)
        if images != self._seen[2]:
            changed.update(self._by_images)
        return sorted(changed)


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
