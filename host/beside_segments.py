"""What the processor makes beside a segment that the core computes, as counts of work: noise, keys, the next mini-batch."""

from __future__ import annotations

from algo.loss import NOISE_AHEAD, LogitsNoise
from algo.scaling import State
from host.host_table import HostTable
from host.input_buffer import Copied
from host.processor_work import ProcessorWork

NOISE_ARRAY_CALLS = 34
"""numpy calls of making an iteration's noise ahead."""

NOISE_OF_ELEMENT = 16
"""Logits whose noise takes as long as an element of the model of the processor's time."""


def prepare_first(noise: LogitsNoise, state: State, work: ProcessorWork) -> None:
    """Make an iteration's noise beside its first segment, where it is not there; add what that took."""
    if noise.make(state.seed, state.iteration):
        work.add(streamed_array_calls=NOISE_ARRAY_CALLS, streamed_elements=NOISE_AHEAD * noise.size // NOISE_OF_ELEMENT)


def stream(copied: Copied, last: bool, work: ProcessorWork) -> None:
    """Add what streaming a mini-batch took, beside the first segment or the last."""
    beside = "beside" if last else "streamed"
    work.add(**{f"{beside}_bytes": copied.size, f"{beside}_array_calls": copied.array_calls})


def prepare_last(table: HostTable, noise: LogitsNoise, state: State, coming: int, work: ProcessorWork) -> None:
    """Make, beside the last segment of an iteration, what the next one, `coming`, needs and is not there: noise and its keys;
    where neither is made, there is time for what follows from the learning rate."""
    calls, elements = table.make_keys(state.seed, coming), 0
    if noise.make(state.seed, coming):
        calls, elements = calls + NOISE_ARRAY_CALLS, NOISE_AHEAD * noise.size // NOISE_OF_ELEMENT
    work.add(beside_array_calls=calls, beside_elements=elements, beside_records=0 if calls else table.prepare(state, coming))
