"""The run-time numbers of an iteration's passes, in memory that stays where it is."""

from __future__ import annotations

import math

import torch

from algo.scaling import unpack_coefficients
from algo.step import Step
from algo.vector_pass import Numbers


class RecordNumbers:
    """Every record's numbers as scalars on the device; `take` brings an iteration's there, two copies for all.

    Args:
        step: the training step.
        stochastic: whether records with noise round stochastically.
    """

    def __init__(self, step: Step, stochastic: bool, device: torch.device):
        count = len(step.records)
        self._table = torch.zeros((count, 5), dtype=torch.float64, device=device)
        self._keys = torch.zeros(count, dtype=torch.int32, device=device)
        self._numbers, self._units = {}, {}
        for at, record in enumerate(step.records.values()):
            a, b, d, threshold, self._units[record.name] = self._table[at]
            self._numbers[record.name] = Numbers(a, b, d, self._keys[at] if stochastic and record.noise else None, threshold)

    def __getitem__(self, record: str) -> Numbers:
        """Return a record's numbers: views of what `take` has written and will write."""
        return self._numbers[record]

    def of_channels(self, record: str, word: torch.Tensor, d: torch.Tensor) -> Numbers:
        """Return a record's numbers with A, B and D from a table: int64 (c,) as the core packs them."""
        numbers, unit = self._numbers[record], self._units[record]
        signed = ((word << 46) >> 46, (word << 14) >> 46, (d << 16) >> 16)
        return Numbers(*(x.double() * unit for x in signed), numbers.key, numbers.threshold)

    def take(self, records: dict[str, tuple[int, int, int, int]]) -> None:
        """Take the words of an iteration, as algo.scaling.records returns them."""
        rows, keys = [], []
        for word, d, shift_key, threshold in (records[name] for name in self._numbers):
            a, b = unpack_coefficients(word)
            key, shift = shift_key & 0xFFFFFFFF, shift_key >> 32
            rows.append([*(math.ldexp(number, -shift) for number in (a, b, d)), float(threshold), math.ldexp(1.0, -shift)])
            keys.append(key - (key >> 31 << 32))
        self._table.copy_(torch.tensor(rows, dtype=torch.float64))
        self._keys.copy_(torch.tensor(keys, dtype=torch.int32))
