"""A trace: what sensors said during a run, as stored in one SQLite file, and what it is made of.

This module defines the parts of a trace; `trace_file` writes and reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from host.readings import Readings
from host.sensor import Channel

PHASES = ("load", "forward", "backward", "update", "idle", "signature", "evaluate", "other")
STATUSES = ("recording", "finished", "aborted")


@dataclass(frozen=True)
class Mark:
    """One edge of a window, set by the working process.

    A window is the pair of a begin and an end mark with the same name and number; windows nest and may overlap.

    Attributes:
        t_s: stamp on `clock`.
        clock: of host.readings.CLOCKS.
        edge: "begin" or "end".
        name: of the window: "run", "iteration", "idle before", "signature before", or the user's own.
        phase: of PHASES.
        number: tells windows of one name apart (the iteration's number), counted from 0.
        iterations: executed inside the window; only on "end" marks, 0 where it does not apply.
        note: JSON data: what was replayed, which layer, aborted or not.
    """

    t_s: float
    clock: str
    edge: str
    name: str
    phase: str = "other"
    number: int = 0
    iterations: int = 0
    note: dict = field(default_factory=dict)

    def __post_init__(self):
        if self.edge not in ("begin", "end") or self.phase not in PHASES:
            raise ValueError(f"mark {self.name!r} has edge {self.edge!r} and phase {self.phase!r}: edges are begin and end, "
                             f"phases {PHASES}")


@dataclass(frozen=True)
class Gap:
    """A hole or fault in a sensor's series, as noticed while it was recorded (see host.readings.Loss).

    Attributes:
        sensor: index in Trace.sensors.
        t_s: on the sensor's clock.
        reason, count, detail: as in Loss.
    """

    sensor: int
    t_s: float
    reason: str
    count: int
    detail: str = ""


@dataclass(frozen=True)
class SensorRecord:
    """One sensor of a trace.

    Attributes:
        url: it was opened with.
        clock: of its stamps.
        label: of the sensor, "measured" or "emulated".
        channels: columns of its readings.
        description: what `Sensor.describe` said.
        period_s: between two reads as asked for; None for a stream.
        readings: all of them whose block is undamaged.
    """

    url: str
    clock: str
    label: str
    channels: tuple[Channel, ...]
    description: dict
    period_s: float | None
    readings: Readings


@dataclass(frozen=True)
class Trace:
    """All of a trace file.

    Attributes:
        status: of STATUSES; "recording" in a file whose sampler was killed.
        provenance: JSON data: commit, versions, boot id, wall clock beside the monotonic one, the run's folder.
        sensors, marks, gaps: what was recorded, in the order in which it came.
        damaged_blocks: blocks whose checksum did not fit; their rows are missing from `readings`.
    """

    status: str
    provenance: dict
    sensors: tuple[SensorRecord, ...]
    marks: tuple[Mark, ...]
    gaps: tuple[Gap, ...]
    damaged_blocks: int = 0


@dataclass(frozen=True)
class Window:
    """A stretch of a trace: [start_s, end_s] on `clock`; `iterations` were executed in it."""

    name: str
    number: int
    phase: str
    clock: str
    start_s: float
    end_s: float
    iterations: int = 0
    note: dict = field(default_factory=dict)


class TraceError(RuntimeError):
    """The trace cannot be written or read, or lacks what was asked for; the message says which."""


def windows(trace: Trace, name: str | None = None) -> list[Window]:
    """Return the closed windows of a trace (of one name), by start.

    Raises:
        TraceError: an end mark without its begin mark.
    """
    began: dict[tuple[str, int], Mark] = {}
    closed = []
    for mark in trace.marks:
        key = (mark.name, mark.number)
        if mark.edge == "begin":
            began[key] = mark
            continue
        if key not in began:
            raise TraceError(f"window {mark.name!r} number {mark.number} ends at {mark.t_s:.6f} s and has no begin mark")
        start = began.pop(key)
        closed.append(Window(mark.name, mark.number, start.phase, start.clock, start.t_s, mark.t_s, mark.iterations,
                             {**start.note, **mark.note}))
    return sorted((w for w in closed if name is None or w.name == name), key=lambda w: (w.start_s, -w.end_s))
