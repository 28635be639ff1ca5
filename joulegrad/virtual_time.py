"""What the simulated board did, as stretches of virtual time: core cycles at its clock, and the modelled processor's time."""

from __future__ import annotations

from host.iteration import Iteration, summed
from host.processor_work import ProcessorWork
from host.virtual_rails import core_counts
from host.virtual_run import Stretch
from hw.config import Config
from measurements.processor_time import ProcessorModel, processor_time


def segment(counters: dict[str, int], activity: dict[str, int], config: Config, phase: str = "other") -> Stretch:
    """Return a segment of the core, with the processor at rest, as a stretch."""
    return Stretch(counters["cycles"] / config.clk_hz, core_counts(counters, activity), phase)


def launch(
    counters: dict[str, int], activity: dict[str, int], work: ProcessorWork, config: Config, model: ProcessorModel,
    rest_s: float = 0.0,
) -> list[Stretch]:  # fmt: skip
    """Return one launch of a program: the core's segments together, then the processor's serial work, then rest.

    Args:
        counters, activity: of the core, summed over the segments; empty where it was not started.
        rest_s: in which core and processor rest.
    """
    spent = processor_time(work, model)
    core_s = counters.get("cycles", 0) / config.clk_hz
    added_s = spent.added_s(core_s)
    stretches = [Stretch(rest_s)]
    if added_s > 0:
        stretches.insert(0, Stretch(added_s, {"processor_s": added_s, "ddr_write_bytes": work.copied_bytes}))
    if core_s > 0:
        beside = {"processor_s": spent.busy_s - added_s, "ddr_write_bytes": work.overlapped_bytes}
        stretches.insert(0, Stretch(core_s, _added(core_counts(counters, activity), beside)))
    return [stretch for stretch in stretches if stretch.duration_s > 0]


def iteration(done: Iteration, config: Config, model: ProcessorModel) -> list[Stretch]:
    """Return a training iteration as stretches.

    The core's segments tell forward from backward; gated blocks' are added up, with what the processor does between them left
    to the other stretches. Of the processor's serial time, which is a model, what is for tables and
    records is "load", what is for exponents "update", the loss between the segments "other"; register accesses, copies and
    numpy calls, which all three have, go to them in equal parts. The next mini-batch is streamed beside the segments.

    The durations sum to measurements.processor_time.iteration_time_s of the iteration.
    """
    work = done.processor
    spent = processor_time(work, model)
    core_s = sum(counters["cycles"] for counters in done.counters.values()) / config.clk_hz
    parts = {
        "load": work.records * model.record_s + work.lookups * model.lookup_s,
        "other": work.elements * model.element_s,
        "update": work.exponents * model.exponent_s,
    }
    shared_s = max(0.0, spent.serial_s - sum(parts.values())) / 3
    late_s = spent.added_s(core_s) - spent.serial_s
    copied = work.copied_bytes / 3
    serial = {
        phase: Stretch(seconds + shared_s, {"processor_s": seconds + shared_s, "ddr_write_bytes": copied}, phase)
        for phase, seconds in parts.items()
    }
    beside_s = spent.overlapped_s - late_s
    core = {}
    for name in ("forward", "backward"):
        stretch = segment(_phase(done.counters, name), _phase(done.activity, name), config, name)
        share = stretch.duration_s / core_s
        beside = {"processor_s": beside_s * share, "ddr_write_bytes": work.overlapped_bytes * share}
        core[name] = Stretch(stretch.duration_s, _added(stretch.counts, beside), name)
    late = [Stretch(late_s, {"processor_s": late_s}, "load")] if late_s > 0 else []
    laid = [serial["load"], core["forward"], serial["other"], core["backward"], serial["update"], *late]
    return [stretch for stretch in laid if stretch.duration_s > 0]


def _phase(parts: dict[str, dict[str, int]], phase: str) -> dict[str, int]:
    """Return the sum over a phase's segments: "forward", or "forward.0", "forward.1", ... of a step with gated blocks."""
    return summed(part for name, part in parts.items() if name.partition(".")[0] == phase)


def _added(counts: dict[str, float], more: dict[str, float]) -> dict[str, float]:
    return counts | {name: counts.get(name, 0) + value for name, value in more.items()}
