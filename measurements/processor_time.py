"""A stated model of the processor's time: what Python on the board's Cortex-A9 costs in an iteration.

The simulated board has no processor, so this part of the emulated time is a model. While it computes the loss, the
exponents and the tables the core stands still; the next mini-batch is streamed while the core runs.

Register accesses were measured by a PYNQ-Z1 user: 150 to 200 ms for a double Python loop of 5600 MMIO.write calls
(discuss.pynq.io thread 389), which is 27 to 36 us each. The other costs are those of this project's own code, timed on
a desktop processor (x86, CPython 3.11, numpy 2.4, digits network, mean of 60 iterations) and multiplied by 15, an assumed
ratio between it and a 650 MHz Cortex-A9: 5.3 us per record or scalar worked out (27 of 133 per iteration; the others'
inputs have not changed), 1.2 us per exponent, 1.2 us per numpy call, 0.085 us per logit.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProcessorModel:
    """Costs of the processor, 650 MHz Cortex-A9 running CPython and numpy.

    Attributes:
        register_access_s: one control register read or written (30 us, thread 389).
        array_call_s: one numpy call on a small array (15 * 1.2 us).
        element_s: one logit of the loss, all its table look-ups and sums together (15 * 0.085 us).
        record_s: one run-time record or scalar worked out in Python (15 * 5.3 us).
        exponent_s: one exponent of the next iteration from its maximum, with its floors (15 * 1.2 us).
        copy_bytes_per_s: memory copy with cache flush (assumed 200 MB/s).
    """

    register_access_s: float = 30e-6
    array_call_s: float = 18e-6
    element_s: float = 1.3e-6
    record_s: float = 80e-6
    exponent_s: float = 18e-6
    copy_bytes_per_s: float = 200e6

    def __post_init__(self):
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"processor model: {name} is {value!r}, not a positive number")


@dataclass(frozen=True)
class ProcessorWork:
    """What the processor does in one iteration.

    Attributes:
        register_accesses: control registers read and written while the core stands still.
        array_calls: numpy calls: of the loss, of noise keys and unchanged words, of transfers, of gates.
        elements: logits of the mini-batch, and what gates do per image in units of a logit's time.
        records: records and scalars worked out, because their inputs changed.
        exponents: exponents of the next iteration.
        copied_bytes: tables and logits copied while the core stands still.
        streamed_bytes: next mini-batch, folded and copied while the core runs.
        streamed_array_calls: numpy calls of folding it.
    """

    register_accesses: int = 0
    array_calls: int = 0
    elements: int = 0
    records: int = 0
    exponents: int = 0
    copied_bytes: int = 0
    streamed_bytes: int = 0
    streamed_array_calls: int = 0

    @property
    def moved_bytes(self) -> int:
        """All bytes that it writes to DDR."""
        return self.copied_bytes + self.streamed_bytes


@dataclass(frozen=True)
class ProcessorTime:
    """Seconds of one iteration: `serial_s` with the core at rest, `overlapped_s` beside the running core."""

    serial_s: float
    overlapped_s: float

    @property
    def busy_s(self) -> float:
        """Seconds the processor works, for its energy."""
        return self.serial_s + self.overlapped_s

    def added_s(self, core_s: float) -> float:
        """Seconds by which an iteration is longer than the core's: what is serial, and streaming that takes longer."""
        return self.serial_s + max(0.0, self.overlapped_s - core_s)


def processor_time(work: ProcessorWork, model: ProcessorModel) -> ProcessorTime:
    """Return the time that `work` takes by `model`."""
    serial = (
        work.register_accesses * model.register_access_s
        + work.array_calls * model.array_call_s
        + work.elements * model.element_s
        + work.records * model.record_s
        + work.exponents * model.exponent_s
        + work.copied_bytes / model.copy_bytes_per_s
    )
    overlapped = work.streamed_bytes / model.copy_bytes_per_s + work.streamed_array_calls * model.array_call_s
    return ProcessorTime(serial, overlapped)


def iteration_time_s(cycles: int, clk_hz: int, processor: ProcessorTime) -> float:
    """Return the emulated time of an iteration: core cycles at the configuration's clock plus the processor's time."""
    core_s = cycles / clk_hz
    return core_s + processor.added_s(core_s)
