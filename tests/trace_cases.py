"""Traces made by hand for tests: a sensor's record from stamps and values, windows from names and times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from host.readings import HOST_CLOCK, Readings
from host.sensor import Channel, Specification
from host.trace import Gap, Mark, SensorRecord, Trace, Window, windows

EXACT = Specification(0.0, source="made for a test")
RUN = {"idle before": (0.0, 20.0), "run": (20.0, 50.0), "idle after": (50.0, 70.0)}


def power(rail: str = "board", kind: str = "point", limits: Specification = EXACT, **more) -> Channel:
    """Return a channel of watts."""
    return Channel(f"{rail}/power", "W", rail, f"{rail}, all of it", kind, limits, **more)


def record(
    channels, t_s, values, *, period_s=None, label="measured", url="serial:test", clock=HOST_CLOCK, **readings
) -> SensorRecord:
    """Return the record of a sensor; values (n,) or (n, c)."""
    channels = (channels,) if isinstance(channels, Channel) else tuple(channels)
    return SensorRecord(url, clock, label, channels, {"model": "test"}, period_s, Readings.of(t_s, values, **readings))


def trace(*records: SensorRecord, spans: dict | None = None, iterations: int = 0, each=(), provenance=None, gaps=()) -> Trace:
    """Return a finished trace with windows by name; `each` are the starts and the end of iterations one after another."""
    marks = []
    for name, (start_s, end_s) in (RUN if spans is None else spans).items():
        phase = "idle" if name.startswith("idle") else "other"
        marks.append(Mark(start_s, HOST_CLOCK, "begin", name, phase))
        marks.append(Mark(end_s, HOST_CLOCK, "end", name, phase, iterations=0 if phase == "idle" else iterations))
    for number, (start_s, end_s) in enumerate(zip(each[:-1], each[1:], strict=True)):
        marks += [Mark(start_s, HOST_CLOCK, "begin", "iteration", "other", number),
                  Mark(end_s, HOST_CLOCK, "end", "iteration", "other", number, 1)]  # fmt: skip
    return Trace("finished", provenance or {}, records, tuple(marks), tuple(gaps))


def of(made: Trace, name: str = "run") -> Window:
    """Return a window of a trace by its name."""
    return windows(made, name)[0]


def idle(made: Trace) -> tuple[Window, ...]:
    """Return the idle windows of a trace."""
    return tuple(window for window in windows(made) if window.phase == "idle")


def step_load(t_s: np.ndarray, idle_w: float = 1.6, run_w: float = 2.1, spans: dict | None = None) -> np.ndarray:
    """Return watts (n,) that are higher in the run."""
    start_s, end_s = (spans or RUN)["run"]
    return np.where((t_s >= start_s) & (t_s < end_s), run_w, idle_w)


def measured(seed: int = 0, limits: Specification | None = None, spacing_s: float = 0.01, noise_w: float = 0.02, **more) -> Trace:
    """Return a plain measurement: a step of 0.5 W for 30 s in 1.6 W, with noise."""
    t_s = np.arange(-0.5, 70.5, spacing_s)
    watts = step_load(t_s, **more) + noise_w * np.random.default_rng(seed).standard_normal(len(t_s))
    return trace(record(power(limits=limits or Specification(0.001)), t_s, watts), iterations=100)


def with_sensor(made: Trace, **changes) -> Trace:
    """Return a trace whose first sensor is changed."""
    return replace(made, sensors=(replace(made.sensors[0], **changes), *made.sensors[1:]))


def loss(t_s: float, reason: str, count: int) -> Gap:
    """Return a loss of the first sensor."""
    return Gap(0, t_s, reason, count)
