"""The host table: records, scalars and maxima of an iteration as the words that the processor writes and reads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from algo import scaling
from algo.arithmetic import OutOfRange, name_hash, noise_keys
from algo.scaling import Inputs, State
from algo.step import Coefficient, Step
from hw import isa
from hw.compile_table import HOST_TABLE, TableLayout, node_records
from hw.program import Program

FIRST_ARRAY_CALLS, REST_ARRAY_CALLS, KEYS_ARRAY_CALLS = 8, 4, 30
"""numpy calls of `HostTable.begin`, which finds the sums of exponents that changed; of `HostTable.finish`, which puts noise keys
and thresholds in their places; and of making keys ahead."""

KEYS_AHEAD = 16
"""Drawn iterations whose noise keys are made at once: a numpy call costs more than what it computes of so few. Stretches begin
a quarter of one before its multiples, where no stretch of algo.loss.NOISE_AHEAD does."""

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

    The first segment of an iteration needs a part of the words only: `begin` makes those, `finish` the others. What follows from
    a learning rate can be worked out before the iteration's exponents are known: `prepare`.

    Args:
        step: the training step.
        layout: word offsets of records, scalar blocks and maxima.
        first: the words for a whole mini-batch, and the state that they are of: what is new is told from them.

    Attributes:
        rest: first of the words that `finish` makes, and the first behind them; no maximum is in a line of cache with them.
        maxima_range: first of the words that hold maxima, and the first behind them.
    """

    def __init__(self, step: Step, layout: TableLayout, first: tuple[np.ndarray, State] | None = None):
        self._layout = layout
        self._words = np.zeros(layout.words, "<i8")
        self._entries = [*_records(step, layout), *_scalars(step, layout)]
        used_first = _places_of(step, step.sequence[0].forward, layout)
        self._is_first = [not used_first.isdisjoint(entry.places) for entry in self._entries]
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
        self._threshold_places = np.array([layout.records[record.name] + 3 for record in self._thresholds], np.int64)
        noisy = [(name, record) for name, record in step.records.items() if record.noise]
        self._hashes = np.array([name_hash(record.noise) for _, record in noisy], np.int64)
        self._halves = self._words.view("<u4")
        self._key_halves = 2 * np.array([layout.records[name] + 2 for name, _ in noisy], np.int64)
        self._keys, self._keys_of = np.zeros((0, len(noisy)), np.uint32), (0, 0)
        late = [entry for entry, is_first in zip(self._entries, self._is_first, strict=True) if not is_first]
        spans = [(at, at + (isa.RECORD_WORDS if entry.is_record else 1)) for entry in late for at in entry.places]
        self.rest = min((start for start, _ in spans), default=0), max((end for _, end in spans), default=0)
        places = np.array(list(layout.maxima.values()), np.int64)
        self.maxima_range = (int(places.min()), int(places.max()) + 1) if len(places) else (0, 0)
        self._maxima = places - self.maxima_range[0]
        self._seen: tuple[tuple, object, int] | None = None
        self._last = np.zeros(len(self._starts), np.int64)
        self._known: dict[tuple, object] = {}
        self._known_by_rate: dict[tuple, object] = {}
        self._keys_by_rate: dict[int, tuple] = {}
        self._prepared: tuple[tuple, object, dict[tuple, object]] = (), None, {}
        self._left: tuple = ()
        if first is not None:
            self._words[:], state = first
            fixed = state.sgd.momentum, state.sgd.weight_decay
            self._seen, self._last = (fixed, state.sgd.rate(state.iteration), step.batch), self._sums_of(state)
            for number, entry in enumerate(self._entries):
                word, shift = int(self._words[entry.places[0]]), 0
                if entry.is_record:
                    shift = int(self._words[entry.places[0] + 2]) >> _SHIFT_BIT
                known, key = self._place(number, self._last.tolist(), state, step.batch)
                known[key] = (word, shift) if entry.is_record else word

    @staticmethod
    def of(program: Program) -> HostTable:
        """Return the table of a program, with the words that it brings along."""
        brought = (program.tensors[HOST_TABLE], program.state) if HOST_TABLE in program.tensors else None
        return HostTable(program.step, program.table, brought)

    def words(self, state: State, images: int) -> np.ndarray:
        """Return the table's int64 words for an iteration over `images` images, all of them; see `begin`."""
        words, _ = self.begin(state, images)
        self.finish()
        return words

    def begin(self, state: State, images: int) -> tuple[np.ndarray, dict[str, int]]:
        """Return the table's int64 words for an iteration over `images` images, those that its first segment needs being new.

        The array is the table's own: the next call changes it. Maxima are zero.

        Returns:
            The words; and what was looked for and worked out, "lookups" and "records".

        Raises:
            OutOfRange: a coefficient or a gradient does not fit.
        """
        sums, rate = self._sums_of(state), state.sgd.rate(state.iteration)
        fixed = state.sgd.momentum, state.sgd.weight_decay
        changed = self._changed(sums, fixed, rate, images)
        self._forget(fixed, rate)
        self._seen = None  # until all words are new: an exception must not leave old ones that pass for them
        self._left = state, images, [number for number in changed if not self._is_first[number]], sums, fixed, rate
        first = [number for number in changed if self._is_first[number]]
        return self._words, {"lookups": len(first), "records": self._replace(first, sums.tolist(), state, images)}

    def finish(self) -> dict[str, int]:
        """Make the words that `begin` has left, all of them in `rest`.

        Returns:
            What was looked for and worked out, "lookups" and "records", and "array_calls" of making keys.

        Raises:
            OutOfRange: a coefficient or a gradient does not fit.
        """
        state, images, left, sums, fixed, rate = self._left
        records = self._replace(left, sums.tolist(), state, images)
        calls = self.make_keys(state.seed, state.iteration)
        self._halves[self._key_halves] = self._keys[(state.iteration + KEYS_AHEAD // 4) % KEYS_AHEAD]
        self._words[self._threshold_places] = [scaling.record_threshold(self._step, one, state) for one in self._thresholds]
        self._seen, self._last = (fixed, rate, images), sums
        lookups = len(left) + LOOKUPS_OF_THRESHOLD * len(self._thresholds)
        return {"lookups": lookups, "records": records, "array_calls": calls}

    def prepare(self, state: State, coming: int) -> int:
        """Work out what follows from the learning rate of iteration `coming`, for exponents as they are: most of them stay.

        Args:
            state: of the last call of `begin`.

        Returns:
            Records and scalars worked out.
        """
        (fixed, rate, images), found = self._seen, {}
        coming_rate, moved = state.sgd.rate(coming), replace(state, iteration=coming)
        if coming_rate != rate:
            with contextlib.suppress(OutOfRange):  # exponents may yet move so that all fits; where they do not, `begin` says so
                for number, key in self._keys_by_rate.items():
                    if key not in found:
                        found[key] = self._entries[number].work_out(moved, images)
        self._prepared = fixed, coming_rate, found
        return len(found)

    def make_keys(self, seed: int, iteration: int) -> int:
        """Make the noise keys of KEYS_AHEAD iterations, one of which is that; return numpy calls, 0 where they are there."""
        first = (iteration + KEYS_AHEAD // 4) // KEYS_AHEAD
        if self._keys_of == (seed, first) and len(self._keys):
            return 0
        iterations = np.arange(KEYS_AHEAD) + (first * KEYS_AHEAD - KEYS_AHEAD // 4)
        self._keys, self._keys_of = noise_keys(seed, iterations[:, None], self._hashes).astype(np.uint32), (seed, first)
        return KEYS_ARRAY_CALLS

    def maxima(self, words: np.ndarray) -> dict[str, int]:
        """Return the maxima, by name, in the words of `maxima_range` after the backward segment."""
        return dict(zip(self._layout.maxima, words[self._maxima].tolist(), strict=True))

    def _replace(self, changed: list[int], sums: list[int], state: State, images: int) -> int:
        """Put the words of records and scalars that changed in their places; return how many had to be worked out."""
        worked_out = 0
        for number in changed:
            entry = self._entries[number]
            known, key = self._place(number, sums, state, images)
            if entry.inputs.rate:
                self._keys_by_rate[number] = key
            found = known.get(key)
            if found is None:
                found = known[key] = entry.work_out(state, images)
                worked_out += 1
            for at in entry.places:
                if entry.is_record:
                    self._words[at], self._words[at + 2] = found[0], found[1] << _SHIFT_BIT
                else:
                    self._words[at] = found
        return worked_out

    def _place(self, number: int, sums: list[int], state: State, images: int) -> tuple[dict, tuple]:
        """Return where the word of a record or scalar is remembered, and under what."""
        inputs = self._entries[number].inputs
        spread = inputs.iteration and state.sgd.weight_decay != 0
        besides = images if inputs.images else 0, state.iteration if spread else 0
        key = self._rules[number], *besides, *sums[self._terms[number]]
        return self._known_by_rate if inputs.rate else self._known, key

    def _forget(self, fixed: tuple, rate: object) -> None:
        """Forget what follows from hyper-parameters that have changed, and everything where it is too much."""
        if self._seen is None or self._seen[0] != fixed or len(self._known) > REMEMBERED * len(self._entries):
            self._known = {}
        if self._seen is None or self._seen[:2] != (fixed, rate) or len(self._known_by_rate) > REMEMBERED * len(self._entries):
            self._known_by_rate = self._prepared[2] if self._prepared[:2] == (fixed, rate) else {}

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


def _places_of(step: Step, segment: str, layout: TableLayout) -> set[int]:
    """Return the places, as of `_Entry`, of the records and scalars that a segment's nodes use."""
    nodes = step.segments[segment]
    blocks = {node.scalars for node in nodes if isinstance(node, Coefficient)}
    places = {layout.scalars[block] + i for block in blocks for i in range(len(step.scalars[block]))}
    return places | {layout.records[name] for node in nodes for name in node_records(node)}


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
