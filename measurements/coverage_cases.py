"""Made-up measurements whose true energy is known: a load in closed form, seen through a sensor whose errors are drawn.

Nothing here is shared with what estimates energies: the truth is the integral of straight pieces, and the errors are applied to
what the sensor says, one by one. Only `measurements.benchmark_coverage` and tests use it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from host.readings import HOST_CLOCK, Readings
from host.sensor import Channel, Specification
from host.trace import Mark, SensorRecord, Trace, Window

CLASSES = ("constant", "ramp", "pulses", "averaging sensor", "accumulating sensor", "jitter", "gaps")
IDLE_S = 25.0
WRAP_J = 20.0


@dataclass(frozen=True)
class Limits:
    """Sizes of the errors, from which each trial draws its own.

    Attributes:
        gain, shunt, time_base: relative limits; offset_w, quantum_w: in watts.
        noise_w: standard deviation of the noise of a value; memory: correlation of neighbouring noise.
        spacing_s: between samples or reads; refresh_s: of an averaging sensor or a counter.
        residual_s: limit of the alignment; drift_w: largest change of idle from before to after.
    """

    gain: float = 0.0006
    shunt: float = 0.0006
    time_base: float = 0.0005
    offset_w: float = 0.001
    quantum_w: float = 0.005
    noise_w: float = 0.02
    memory: float = 0.0
    spacing_s: float = 0.02
    refresh_s: float = 0.0352
    residual_s: float = 0.005
    drift_w: float = 0.002


_LITTLE = Limits(
    gain=3e-5, shunt=3e-5, time_base=3e-5, offset_w=3e-5, quantum_w=5e-4, noise_w=1e-3, residual_s=2e-4, drift_w=1e-4
)
REGIMES = {
    "balanced": Limits(),
    "gain": replace(_LITTLE, gain=0.005),
    "edges": replace(_LITTLE, spacing_s=0.1, refresh_s=0.352),
    "noise": replace(_LITTLE, noise_w=0.2),
    "correlated noise": replace(_LITTLE, noise_w=0.1, memory=0.8),
    "drift": replace(_LITTLE, drift_w=0.01),
    "quantisation": replace(_LITTLE, quantum_w=0.025, noise_w=2e-4),
    "alignment": replace(_LITTLE, residual_s=0.05),
}
"""What the uncertainty is made of: all terms of one size, or one of them far above the rest."""


class Pieces:
    """Power made of straight pieces: piece i goes from t[i] to t[i + 1] and from low[i] to high[i] watts."""

    def __init__(self, t_s: np.ndarray, low_w: np.ndarray, high_w: np.ndarray):
        self.t_s, self.low_w, self.high_w = t_s, low_w, high_w
        self.length_s = np.diff(t_s)
        self.before_j = np.concatenate([[0.0], np.cumsum((low_w + high_w) / 2 * self.length_s)])

    def power_w(self, at_s: np.ndarray) -> np.ndarray:
        """Return watts at (n,) times."""
        i = np.clip(np.searchsorted(self.t_s, at_s, "right") - 1, 0, len(self.low_w) - 1)
        return self.low_w[i] + (self.high_w[i] - self.low_w[i]) * (at_s - self.t_s[i]) / self.length_s[i]

    def until_j(self, at_s: np.ndarray) -> np.ndarray:
        """Return joules from the first piece's start to (n,) times."""
        i = np.clip(np.searchsorted(self.t_s, at_s, "right") - 1, 0, len(self.low_w) - 1)
        into_s = at_s - self.t_s[i]
        return self.before_j[i] + into_s * (self.low_w[i] + (self.high_w[i] - self.low_w[i]) * into_s / self.length_s[i] / 2)


@dataclass(frozen=True)
class Case:
    """One made-up measurement.

    Attributes:
        trace, window, idle: as `joules` takes them; alignment: of the stamps, None where they are the host's.
        gross_j, net_j: true energies.
    """

    trace: Trace
    window: Window
    idle: tuple[Window, ...]
    alignment: StampsAsGiven | None
    gross_j: float
    net_j: float


@dataclass(frozen=True)
class StampsAsGiven:
    """An alignment that has been made already, and is off by at most its residual."""

    residual_s: float

    def host_stamps(self, readings: Readings) -> np.ndarray:
        """Return the meter's stamps."""
        return readings.device_t_s


def draw(kind: str, limits: Limits, rng: np.random.Generator) -> Case:
    """Return a measurement of a class of CLASSES with all errors drawn anew."""
    change_w = limits.drift_w * rng.uniform(-1, 1)
    idle_w = rng.uniform(1.2, 1.8)
    start_s = IDLE_S + rng.uniform(0, 0.5)
    end_s = start_s + rng.uniform(30, 40)
    last_s = end_s + IDLE_S
    under_w = idle_w + change_w / 2 + rng.uniform(-0.5, 0.5) * change_w
    t_s, low_w, high_w, iterations = _load(kind, start_s, end_s, under_w, rng)
    load = Pieces(np.concatenate([[-5.0], t_s, [last_s + 5]]), np.concatenate([[idle_w], low_w, [idle_w + change_w]]),
                  np.concatenate([[idle_w], high_w, [idle_w + change_w]]))  # fmt: skip
    gross_j = float(np.diff(load.until_j(np.array([start_s, end_s])))[0])
    marks = [(0.0, start_s, "idle before", "idle"), (start_s, end_s, "run", "other"), (end_s, last_s, "idle after", "idle")]
    windows = [Window(name, 0, phase, HOST_CLOCK, a, b, iterations if name == "run" else 0) for a, b, name, phase in marks]
    edges = tuple(Mark(at, HOST_CLOCK, edge, w.name, w.phase, 0, w.iterations if edge == "end" else 0)
                  for w in windows for edge, at in (("begin", w.start_s), ("end", w.end_s)))  # fmt: skip
    sensor = {"averaging sensor": _averages, "accumulating sensor": _totals}.get(kind, _points)
    record, alignment = sensor(kind, load, limits, (start_s, end_s, last_s), rng)
    trace = Trace("finished", {}, (record,), edges, ())
    return Case(trace, windows[1], (windows[0], windows[2]), alignment, gross_j, gross_j - under_w * (end_s - start_s))


def _load(kind: str, start_s: float, end_s: float, under_w: float, rng: np.random.Generator):
    """Return the run's pieces (bounds, low, high) and its iterations."""
    step_w = rng.uniform(0.3, 0.7)
    if kind == "ramp":
        return np.array([start_s, end_s]), np.array([under_w + step_w / 2]), np.array([under_w + 1.5 * step_w]), 0
    if kind in ("pulses", "averaging sensor", "accumulating sensor"):
        period_s, duty = rng.uniform(0.07, 0.4), rng.uniform(0.3, 0.7)
        each_s = period_s * (1 + 0.05 * rng.standard_normal(int(60 / period_s)).clip(-3, 3))
        halves_s = np.stack([each_s * duty, each_s * (1 - duty)], axis=1).ravel()
        bounds_s = start_s - rng.uniform(0, 1) * period_s + np.cumsum(halves_s)
        inside = (bounds_s > start_s) & (bounds_s < end_s)
        on = (np.arange(len(bounds_s)) % 2 == 0)[np.concatenate([np.flatnonzero(inside), [np.flatnonzero(inside)[-1] + 1]])]
        watts = under_w + np.where(on, step_w, 0.043)
        return np.concatenate([[start_s], bounds_s[inside], [end_s]]), watts, watts, 0
    return np.array([start_s, end_s]), np.array([under_w + step_w]), np.array([under_w + step_w]), 0


def _noise(n: int, limits: Limits, rng: np.random.Generator) -> np.ndarray:
    """Return (n,) watts of noise with the memory asked for and the same standard deviation."""
    fresh = rng.standard_normal(n)
    if limits.memory:
        left, kept = np.sqrt(1 - limits.memory**2), limits.memory
        for i in range(1, n):
            fresh[i] = kept * fresh[i - 1] + left * fresh[i]
    return limits.noise_w * fresh


def _scale(limits: Limits, rng: np.random.Generator) -> float:
    """Return the factor of a sensor by its gain and its shunt."""
    return (1 + limits.gain * rng.uniform(-1, 1)) * (1 + limits.shunt * rng.uniform(-1, 1))


def _specification(limits: Limits) -> Specification:
    return Specification(limits.gain, limits.offset_w, limits.quantum_w, limits.shunt, limits.time_base, source="made up")


def _said(true_w: np.ndarray, limits: Limits, rng: np.random.Generator) -> np.ndarray:
    """Return what a sensor says for true watts."""
    watts = true_w * _scale(limits, rng) + limits.offset_w * rng.uniform(-1, 1) + _noise(len(true_w), limits, rng)
    return np.rint(watts / limits.quantum_w) * limits.quantum_w


def _points(kind: str, load: Pieces, limits: Limits, times: tuple, rng: np.random.Generator):
    """Return the record of a point sampler whose own stamps have been aligned."""
    start_s, end_s, last_s = times
    spacing_s = min(limits.spacing_s / 4, 0.005) if kind == "gaps" else limits.spacing_s
    at_s = np.arange(-1.0 + rng.uniform(0, spacing_s), last_s + 1, spacing_s)
    if kind == "jitter":
        at_s = np.sort(at_s + limits.spacing_s * np.minimum(rng.exponential(0.2, len(at_s)), 1.5))
    if kind == "gaps":
        at_s = at_s[_kept(at_s, (start_s, end_s), spacing_s, rng)]
    off_s = limits.residual_s * rng.uniform(-1, 1, 2)
    stamps = at_s + np.interp(at_s, [start_s, end_s], off_s)
    watts = _said(load.power_w(at_s), limits, rng)
    channel = Channel("power", "W", "board", "whole board", "point", _specification(limits))
    late_s = np.abs(rng.normal(0.002, 0.001, len(at_s)))
    readings = Readings.of(at_s + late_s, watts, device_t_s=stamps)
    record = SensorRecord("serial:made-up", HOST_CLOCK, "emulated", (channel,), {}, None, readings)
    return record, StampsAsGiven(limits.residual_s)


def _kept(at_s: np.ndarray, window: tuple, spacing_s: float, rng: np.random.Generator) -> np.ndarray:
    """Return which samples arrive: one in a hundred is lost, never three in a row, and once in the window a few together."""
    lost = rng.random(len(at_s)) < 0.01
    lost[2:] &= ~(lost[1:-1] & lost[:-2])
    hole_s = rng.uniform(3.2, 3.8) * spacing_s
    hole_at_s = rng.uniform(window[0] + 1, window[1] - 1)
    near = np.abs(at_s - hole_at_s) < 4 * hole_s
    lost[near] = np.abs(at_s[near] - hole_at_s) < hole_s / 2
    return ~lost


def _averages(kind: str, load: Pieces, limits: Limits, times: tuple, rng: np.random.Generator, poll_s: float | None = None):
    """Return the record of a polled register that holds the mean over the last refresh."""
    last_s, refresh_s = times[2], limits.refresh_s
    poll_s = poll_s or refresh_s / rng.uniform(2.5, 4.5)
    renewed_s = np.arange(-2.0 + rng.uniform(0, refresh_s), last_s + 2, refresh_s)
    watts = _said(np.diff(load.until_j(renewed_s)) / refresh_s, limits, rng)
    polled_s = np.arange(-1.0 + rng.uniform(0, poll_s), last_s + 1, poll_s) + 0.0005 * rng.random()
    held = watts[np.searchsorted(renewed_s[1:], polled_s, "right") - 1]
    channel = Channel("power", "W", "board", "whole board", "average", _specification(limits), refresh_s=0.0352,
                      averaging_s=refresh_s)  # fmt: skip
    record = SensorRecord("hwmon:made-up", HOST_CLOCK, "emulated", (channel,), {}, poll_s, Readings.of(polled_s, held, 0.0004))
    return record, None


def _totals(kind: str, load: Pieces, limits: Limits, times: tuple, rng: np.random.Generator):
    """Return the record of a polled counter of joules that wraps, beside the watts that it adds up."""
    last_s = times[2]
    tick_s = 0.1 * limits.spacing_s
    polled_s = np.arange(-1.0 + rng.uniform(0, limits.spacing_s), last_s + 1, limits.spacing_s)
    polled_s = polled_s + 0.1 * limits.spacing_s * rng.random(len(polled_s))
    first_s = -2.0 + tick_s * rng.random()
    counted_s = first_s + np.floor((polled_s - first_s) / tick_s) * tick_s
    scale, offset_w = _scale(limits, rng), limits.offset_w * rng.uniform(-1, 1)
    counted_j = (load.until_j(counted_s) * scale + offset_w * (counted_s - first_s)) * (1 + limits.time_base * rng.uniform(-1, 1))
    counter = np.mod(np.floor((counted_j + rng.uniform(0, WRAP_J)) / 1e-5) * 1e-5, WRAP_J)
    watts = load.power_w(polled_s) * scale + offset_w
    limits_j = Specification(limits.gain, 0.0, 1e-5, limits.shunt, limits.time_base, source="made up")
    channels = (
        Channel("energy", "J", "board", "whole board", "accumulated", limits_j, refresh_s=tick_s, wrap=WRAP_J),
        Channel("power", "W", "board", "whole board", "point", _specification(limits)),
    )
    readings = Readings.of(polled_s, np.stack([counter, watts], axis=1), 0.0002)
    return SensorRecord("rapl:made-up", HOST_CLOCK, "emulated", channels, {}, limits.spacing_s, readings), None


def locked(rng: np.random.Generator, spacing_s: float = 0.1) -> Case:
    """Return pulses whose period is the sampling period: each sample falls on the same phase of an iteration."""
    return _iterated(rng, np.full(300, spacing_s), replace(REGIMES["balanced"], spacing_s=spacing_s), 0.0)


def beating(rng: np.random.Generator, spacing_s: float, averaging_s: float, vary: float) -> Case:
    """Return pulses whose period is within 5 % of the sampling period, so that samples fall on the same phases for long.

    Args:
        spacing_s: between samples or reads.
        averaging_s: length of the averages of a free running sensor, and between two of them; 0 for points.
        vary: standard deviation of an iteration's duration, which nobody marked, over its mean.
    """
    period_s = spacing_s * (1 + 10 ** rng.uniform(-4, -1.3) * rng.choice([-1, 1]))
    each_s = period_s * (1 + vary * rng.standard_normal(int(35 / period_s)).clip(-3, 3))
    return _iterated(rng, each_s, replace(_LITTLE, spacing_s=spacing_s, refresh_s=averaging_s), averaging_s)


def _iterated(rng: np.random.Generator, each_s: np.ndarray, limits: Limits, averaging_s: float) -> Case:
    """Return two-level pulses, one an iteration, which lasts each_s."""
    duty, begin_s = rng.uniform(0.2, 0.8), IDLE_S + np.concatenate([[0.0], np.cumsum(each_s)])
    start_s, end_s = IDLE_S, float(begin_s[-1])
    bounds_s = np.stack([begin_s[:-1], begin_s[:-1] + duty * each_s], axis=1).ravel()
    last_s = end_s + IDLE_S
    watts = np.tile([2.2, 1.6], len(each_s))
    load = Pieces(np.concatenate([[-5.0], bounds_s, [end_s, last_s + 5]]), np.concatenate([[1.5], watts, [1.5]]),
                  np.concatenate([[1.5], watts, [1.5]]))  # fmt: skip
    if averaging_s:
        record, alignment = _averages("constant", load, limits, (start_s, end_s, last_s), rng, limits.spacing_s)
    else:
        record, alignment = _points("constant", load, limits, (start_s, end_s, last_s), rng)
    gross_j = float(np.diff(load.until_j(np.array([start_s, end_s])))[0])
    window = Window("run", 0, "other", HOST_CLOCK, start_s, end_s, len(each_s))
    idle = tuple(Window(name, 0, "idle", HOST_CLOCK, *at) for name, at in
                 (("idle before", (0.0, start_s)), ("idle after", (end_s, last_s))))  # fmt: skip
    return Case(Trace("finished", {}, (record,), (), ()), window, idle, alignment, gross_j, gross_j - 1.5 * (end_s - start_s))
