"""A stated model of the processor's time: what Python on the board's Cortex-A9 costs in an iteration.

The simulated board has no processor, so this part of the emulated time is a model. While it decides, and computes the
gradient of the loss, the exponents and the tables, the core stands still. Beside the first segment of an iteration the next
mini-batch is streamed, numbers are worked out that only later segments need, and weights are read for their average; beside
the last one the loss itself is worked out, gates learn, and noise is made ahead.

All costs are those of this project's own code, timed on a desktop processor (x86, CPython 3.11, numpy 2.4, digits network) and
multiplied by 15, an assumed ratio between it and a 650 MHz Cortex-A9:
    numpy call       1.2 us    as timed first; where the others were timed it takes less than half of that, which is not used
    logit            0.085 us  as timed first, all 108 calls of the loss as it was then together
    record, scalar   3.6 us    worked out; of digits some 3 of 133 in an iteration, those of a new learning rate
    look-up          0.65 us   of a record or scalar among those remembered; some 30, whose inputs have changed
    exponent         0.47 us   of the next iteration from its maximum, with its floors
    register         0.2 us    written or read as an entry of pynq.MMIO.array, a numpy view of them
MMIO.read and MMIO.write, which are not used, take ten times as long: a PYNQ-Z1 user measured 27 to 36 us (5600 calls in 150 to
200 ms, discuss.pynq.io thread 389).
"""

from __future__ import annotations

from dataclasses import dataclass

from host.processor_work import ProcessorWork


@dataclass(frozen=True)
class ProcessorModel:
    """Costs of the processor, 650 MHz Cortex-A9 running CPython and numpy.

    Attributes:
        register_access_s: one control register read or written (15 * 0.2 us).
        array_call_s: one numpy call on a small array (15 * 1.2 us).
        element_s: one logit of the loss, all its table look-ups and sums together (15 * 0.085 us).
        record_s: one run-time record or scalar worked out in Python (15 * 3.6 us).
        exponent_s: one exponent of the next iteration from its maximum, with its floors (15 * 0.47 us).
        copy_bytes_per_s: memory copy with cache flush (assumed 200 MB/s).
        lookup_s: one record or scalar looked for among those remembered (15 * 0.65 us).
    """

    register_access_s: float = 3e-6
    array_call_s: float = 18e-6
    element_s: float = 1.3e-6
    record_s: float = 54e-6
    exponent_s: float = 7e-6
    copy_bytes_per_s: float = 200e6
    lookup_s: float = 10e-6

    def __post_init__(self):
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"processor model: {name} is {value!r}, not a positive number")


@dataclass(frozen=True)
class ProcessorTime:
    """Seconds of one iteration: `serial_s` with the core at rest, `overlapped_s` beside the running core.

    Attributes:
        beside: parts of `overlapped_s`, and the share of the core's time beside which each is done; empty for all of it.
    """

    serial_s: float
    overlapped_s: float
    beside: tuple[tuple[float, float], ...] = ()

    @property
    def busy_s(self) -> float:
        """Seconds the processor works, for its energy."""
        return self.serial_s + self.overlapped_s

    def added_s(self, core_s: float) -> float:
        """Seconds by which an iteration is longer than the core's: what is serial, and what takes longer than the segment
        beside which it is done."""
        beside = self.beside or ((self.overlapped_s, 1.0),)
        return self.serial_s + sum(max(0.0, seconds - share * core_s) for seconds, share in beside)


def processor_time(work: ProcessorWork, model: ProcessorModel) -> ProcessorTime:
    """Return the time that `work` takes by `model`."""
    serial = (
        work.register_accesses * model.register_access_s
        + work.array_calls * model.array_call_s
        + work.elements * model.element_s
        + work.records * model.record_s
        + work.lookups * model.lookup_s
        + work.exponents * model.exponent_s
        + work.copied_bytes / model.copy_bytes_per_s
    )
    streamed = (
        work.streamed_bytes / model.copy_bytes_per_s
        + work.streamed_array_calls * model.array_call_s
        + work.streamed_elements * model.element_s
        + work.streamed_records * model.record_s
        + work.streamed_lookups * model.lookup_s
    )
    last = (
        work.beside_bytes / model.copy_bytes_per_s
        + work.beside_array_calls * model.array_call_s
        + work.beside_elements * model.element_s
        + work.beside_records * model.record_s
    )
    if not work.core_cycles:
        return ProcessorTime(serial, streamed + last)
    shares = work.first_cycles / work.core_cycles, work.last_cycles / work.core_cycles
    return ProcessorTime(serial, streamed + last, ((streamed, shares[0]), (last, shares[1])))


def iteration_time_s(cycles: int, clk_hz: int, processor: ProcessorTime) -> float:
    """Return the emulated time of an iteration: core cycles at the configuration's clock plus the processor's time."""
    core_s = cycles / clk_hz
    return core_s + processor.added_s(core_s)
