"""What the processor does in an iteration, as counts: the runtime notes them, measurements.processor_time gives them a cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass
class ProcessorWork:
    """Counts of one iteration: done while the core stands still, streamed_* beside its first segment, beside_* beside its last.

    Attributes:
        register_accesses: control registers read and written while the core stands still.
        array_calls: numpy calls: of the loss, of noise keys and unchanged words, of transfers, of gates.
        elements: logits of the mini-batch, and what gates do per image in units of a logit's time.
        records: records and scalars worked out, because their inputs are new.
        exponents: exponents settled.
        copied_bytes: tables and logits copied while the core stands still.
        streamed_bytes: next mini-batch, folded and copied; weights that are read for their average.
        streamed_array_calls: numpy calls of folding it, of averaging, of words that no first segment needs.
        lookups: records and scalars looked for among those remembered, because their inputs have changed; thresholds.
        beside_array_calls, beside_elements, beside_bytes: of the loss itself, of gates that learn, of noise and its keys made
            ahead, and of the next mini-batch where weights were read beside the first segment.
        first_cycles, last_cycles, core_cycles: of these two segments, and of all; 0 where only the whole is known.
        streamed_records, streamed_lookups: of records and scalars that the first segment does not need.
        streamed_elements: of noise that is made for the iteration itself, the first of a run.
        beside_records: records and scalars worked out for the next iteration's learning rate.
    """

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
    streamed_records: int = 0
    streamed_lookups: int = 0
    streamed_elements: int = 0
    beside_records: int = 0

    @property
    def overlapped_bytes(self) -> int:
        """Bytes that it moves while the core runs."""
        return self.streamed_bytes + self.beside_bytes

    @property
    def moved_bytes(self) -> int:
        """All bytes that it moves to and from DDR."""
        return self.copied_bytes + self.overlapped_bytes

    def beside(self, cycles: Iterable[int]) -> None:
        """Note the cycles of an iteration's segments in their order: beside the first and the last one the processor works."""
        cycles = list(cycles)
        self.first_cycles, self.last_cycles, self.core_cycles = cycles[0], cycles[-1], sum(cycles)

    def add(self, **counts: int) -> None:
        """Add counts by name."""
        for name, count in counts.items():
            setattr(self, name, getattr(self, name) + count)

    def add_gates(self, spent: tuple[int, int, int, int]) -> None:
        """Add what gates took, see `processor_work` of algo.gates.Gates; they learn beside the last segment."""
        self.add(**dict(zip(("array_calls", "elements", "beside_array_calls", "beside_elements"), spent, strict=True)))
