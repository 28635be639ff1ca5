"""The host table: records, scalars and maxima of an iteration as the words that the processor writes and reads."""

from __future__ import annotations

import numpy as np

from algo import scaling
from algo.step import Step
from hw.compile_table import TableLayout


class HostTable:
    """Words of a step's host table.

    Args:
        step: the training step.
        layout: word offsets of records, scalar blocks and maxima.
    """

    def __init__(self, step: Step, layout: TableLayout):
        self._step = step
        self._layout = layout

    @property
    def computed(self) -> int:
        """Records, scalars and maxima that the processor works out per iteration."""
        return len(self._layout.records) + sum(map(len, self._step.scalars.values())) + len(self._layout.maxima)

    def words(self, state: scaling.State, images: int) -> np.ndarray:
        """Return the table's int64 words for an iteration over `images` images; maxima are zero.

        Raises:
            ValueError: a coefficient does not fit.
        """
        words = np.zeros(self._layout.words, np.int64)
        for name, values in scaling.records(self._step, state).items():
            at = self._layout.records[name]
            words[at : at + len(values)] = values
        for block, values in scaling.scalars(self._step, state, images).items():
            at = self._layout.scalars[block]
            words[at : at + len(values)] = values
        return words

    def maxima(self, words: np.ndarray) -> dict[str, int]:
        """Return the maxima, by name, in the table's words after the backward segment."""
        return {name: int(words[at]) for name, at in self._layout.maxima.items()}
