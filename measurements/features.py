"""What an energy model counts: its features, each a sum of counters, as columns of a design matrix.

Two models exist. "counters" holds what every board counts. "activity" adds the bits that changed on the array's operands
and products; the simulated board counts them, and since it computes the same numbers bit for bit, its counts hold for
the same run on a board that cannot count them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hw.config import Config
from measurements.energy_model import PROCESSOR_BYTES, PROCESSOR_S, UNITS
from measurements.observations import ComparisonError, Observation

COUNTERS, ACTIVITY = "counters", "activity"
MODELS = (COUNTERS, ACTIVITY)


@dataclass(frozen=True)
class Feature:
    """One column: the sum of counts, or seconds, that one coefficient pays for.

    Attributes:
        name: of the coefficient.
        counts: counters (or activity) that it pays for.
        per: key of energy_model.UNITS: how often it is paid per count.
        unit: of the coefficient as it is reported.
        share: of energy_model.SHARES.
    """

    name: str
    counts: tuple[str, ...]
    per: str
    unit: str
    share: str

    def amount(self, observation: Observation) -> float:
        """Return how often the coefficient is paid in a run. Raises ComparisonError where the run does not count it."""
        counts = observation.counts
        missing = [name for name in self.counts if name not in counts]
        if missing:
            raise ComparisonError(f"run {observation.run} does not count {missing[0]}, which feature {self.name} is made of")
        return self.paid(sum(counts[name] for name in self.counts), observation.config)

    def paid(self, count: float, config: Config) -> float:
        """Return how often the coefficient is paid for a count on an array of that size."""
        return float(count) * UNITS[self.per](config.g)


COUNTED = (
    Feature("mac_int8", ("macs_int8",), "event", "pJ per multiply-accumulate", "array"),
    Feature("mac_int4", ("macs_int4",), "event", "pJ per multiply-accumulate of few bits", "array"),
    Feature("weight_block", ("weight_blocks",), "block byte", "pJ per byte of a weight block", "array"),
    Feature("drained_row", ("drained_rows",), "lane", "pJ per lane of a drained row", "array"),
    Feature("vector_op", ("vectors",), "lane", "pJ per lane of a vector", "vector"),
    Feature("scalar_op", ("scalar_ops",), "event", "pJ per scalar operation", "vector"),
    Feature("scratchpad", ("spad_reads", "spad_writes"), "word byte", "pJ per byte read or written", "memory"),
    Feature("accumulator", ("acc_reads", "acc_writes"), "row byte", "pJ per byte read or written", "memory"),
    Feature("ddr_read", ("ddr_read_bytes",), "event", "pJ per byte", "memory"),
    Feature("ddr_write", ("ddr_write_bytes",), "event", "pJ per byte", "memory"),
    Feature("busy_cycle", ("cycles",), "event", "pJ per cycle in which the core works", "array"),
    Feature("processor", (PROCESSOR_S,), "event", "W while the processor works", "processor"),
    Feature("processor_byte", (PROCESSOR_BYTES,), "event", "pJ per byte that the processor copies", "memory"),
)
"""A 16-bit operand is two int8 passes; a multiply-accumulate of few bits is one of two that share a multiplier's half."""

TOGGLED = (
    Feature("operand_toggle", ("operand_toggles",), "lane", "pJ per operand bit and multiplier it reaches", "array"),
    Feature("product_toggle", ("product_toggles",), "event", "pJ per product bit", "array"),
    Feature("sum_toggle", ("sum_toggles",), "event", "pJ per bit of the array's sums", "array"),
    Feature("vector_toggle", ("vector_toggles",), "event", "pJ per bit of the vector unit's results", "vector"),
)
"""An operand bit reaches g multipliers, the others belong to one cell."""


def features(model: str) -> tuple[Feature, ...]:
    """Return the features of a model of MODELS."""
    if model not in MODELS:
        raise ComparisonError(f"no energy model {model!r}: there are {', '.join(MODELS)}")
    return COUNTED + (TOGGLED if model == ACTIVITY else ())


def matrix(observations: Iterable[Observation], columns: Iterable[Feature]) -> np.ndarray:
    """Return float64 (runs, features): how often each coefficient is paid in each run."""
    columns = tuple(columns)
    return np.array([[column.amount(one) for column in columns] for one in observations], np.float64).reshape(-1, len(columns))
