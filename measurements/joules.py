"""Joules of a window of a trace: gross and net energy with uncertainty, verdict, scope, label and all that stands behind them.

What is wrong with the data makes a verdict "invalid: why" beside the number; where there is no number to give, NoEnergy says why.
Either way the trace stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from host.readings import Readings
from host.trace import SensorRecord, Trace, Window, windows
from measurements import rails as tree
from measurements.budget import Budget, Source, combined
from measurements.calibration import Calibration, product_channel
from measurements.calibration import chosen as newest
from measurements.coverage import (
    HARMONICS,
    LOCKED_ABOVE,
    MINIMUM_S,
    REQUESTED,
    Coverage,
    Lock,
    coverage_of,
    lock_of,
    why_invalid,
    why_too_short,
)
from measurements.energy_window import WindowEnergy, window_energy
from measurements.error_sources import Circumstances, sources_of, unknown
from measurements.idle import IdlePower, idle_power, idle_sources
from measurements.quantities import LABELS, NOT_RESOLVED, LabelError, Quantity, invalid, judged
from measurements.series import NoEnergy, Series, channels_of, rail_series
from measurements.surroundings import conditions_of, warnings_of

ITERATION = "iteration"


class Aligned(Protocol):
    """A meter's clock brought to the host's: what measurements.alignment finds."""

    residual_s: float

    def host_stamps(self, readings: Readings) -> np.ndarray:
        """Return the host's time (n,) of rows, NaN where the meter says none."""


@dataclass(frozen=True)
class Joules:
    """Energy of one window, measured by one sensor.

    Attributes:
        gross: of the window; net: above idle, None where no idle was given.
        label: of the sensor, "measured" or "emulated".
        window: that was evaluated; iterations: executed in it; time_s: its length.
        sensor: index in the trace.
        rails: that were added up.
        parts: of each rail.
        budget_gross, budget_net: what U is made of, also where the verdict does not let it be stated; None without idle.
        coverage: rail to how its values cover the window.
        lock: how samples fall on the iterations, of the rail where they fall worst.
        idle: idle power that was subtracted, or None.
        residual_s: of the alignment of the meter's clock; None where stamps are the host's.
        warnings: what a reader should know, one sentence each.
        conditions: what must be equal for two energies to be put together.
        description: of sensor and provenance, for `to_json`.
    """

    gross: Quantity
    net: Quantity | None
    label: str
    window: Window
    iterations: int
    time_s: float
    sensor: int
    rails: tuple[str, ...]
    parts: tuple[WindowEnergy, ...]
    budget_gross: Budget | None
    budget_net: Budget | None
    coverage: dict[str, Coverage]
    lock: Lock
    idle: IdlePower | None
    residual_s: float | None
    warnings: tuple[str, ...]
    conditions: dict[str, Any]
    description: dict[str, Any] = field(default_factory=dict)

    @property
    def gross_w(self) -> float:
        """Mean gross power."""
        return self.gross.value / self.time_s

    def upper_bound_j(self, net: bool = True) -> float | None:
        """Return what the energy is below with 97.5 % where it is not resolved; None where it is, or where U cannot be stated."""
        quantity = self.net if net else self.gross
        if quantity is None or quantity.u95 is None or quantity.verdict != NOT_RESOLVED:
            return None
        return quantity.value + quantity.u95

    def per_iteration(self, net: bool = True) -> Quantity:
        """Return the energy per executed iteration.

        Raises:
            NoEnergy: no iteration was executed in the window, or net energy is asked for without idle.
        """
        quantity = self.net if net else self.gross
        if quantity is None:
            raise NoEnergy(f"window {self.window.name!r} has no net energy: give idle windows before and after it")
        if self.iterations < 1:
            raise NoEnergy(f"window {self.window.name!r} has {self.iterations} executed iterations: energy per iteration needs "
                           "at least one")  # fmt: skip
        return quantity.divided(self.iterations)

    def to_json(self) -> dict:
        """Return JSON data: the numbers, and all that is needed to trust them as far as the trace has it."""
        per = self.iterations >= 1
        return {
            "label": self.label,
            "gross": self.gross.to_json(), "net": None if self.net is None else self.net.to_json(),
            "upper_bound_j": {"gross": self.upper_bound_j(False), "net": self.upper_bound_j()},
            "per_iteration": {"gross": self.per_iteration(False).to_json() if per else None,
                              "net": self.per_iteration().to_json() if per and self.net is not None else None},
            "window": {"name": self.window.name, "number": self.window.number, "phase": self.window.phase,
                       "clock": self.window.clock, "start_s": self.window.start_s, "end_s": self.window.end_s,
                       "time_s": self.time_s,
                       "iterations": self.iterations, "note": self.window.note},
            "rails": {part.series.rail: {"gross_j": part.energy_j, "kind": part.series.kind, "scope": part.series.scope,
                                         "channels": [_channel_json(channel) for channel in part.series.channels]}
                      for part in self.parts},
            "budget": {"gross": self.budget_gross.to_json() if self.budget_gross else None,
                       "net": self.budget_net.to_json() if self.budget_net else None},
            "coverage": {rail: cover.to_json() for rail, cover in self.coverage.items()},
            "sampling": {"iteration_period_s": self.lock.period_s, "locked": self.lock.locked},
            "alignment_residual_s": self.residual_s,
            "idle": self.idle.to_json() if self.idle else None,
            "warnings": list(self.warnings), "conditions": self.conditions, **self.description,
        }  # fmt: skip


def joules(
    trace: Trace,
    window: Window,
    *,
    sensor: int = 0,
    rails: Sequence[str] | None = None,
    idle: Sequence[Window] = (),
    alignment: Aligned | None = None,
    calibrations: Sequence[Calibration] = (),
    minimum_s: float = MINIMUM_S,
    requested: float = REQUESTED,
) -> Joules:
    """Return the energy of a window by one sensor.

    Args:
        trace: as read.
        window: of the trace, on the sensor's clock.
        sensor: index in trace.sensors.
        rails: to add up; None for all that are on and not part of another.
        idle: idle windows of the trace, of which the nearest before and the nearest after are used; () for gross energy only.
        alignment: of the meter's clock; with it the meter's own stamps are used.
        calibrations: of this sensor; of each channel the newest is applied.
        minimum_s: shortest window that may be valid; the refresh may demand a longer one.
        requested: relative U asked for, from which that is computed.

    Raises:
        NoEnergy: there is no number to give: no samples, unknown rails, a window of no length or on another clock.
        LabelError: the sensor's label does not exist.
        CalibrationError: a calibration belongs to another sensor or scope.
    """
    record = _record(trace, sensor, window)
    names = tree.chosen(record, None if rails is None else tuple(rails))
    stamps = None if alignment is None else _on_host(record, alignment)
    series = [_series(record, rail, stamps, calibrations) for rail in names]
    residual_s = 0.0 if alignment is None else float(alignment.residual_s)
    parts = [window_energy(each, window.start_s, window.end_s, residual_s) for each in series]
    losses = tuple(gap for gap in trace.gaps if gap.sensor == sensor)
    covers = [coverage_of(part, losses, record.period_s) for part in parts]
    lock = _worst_lock(trace, window, parts)
    reasons = [_locked(lock)] if lock.locked else []
    reasons += [too_short] if (too_short := why_too_short(window.end_s - window.start_s, covers, minimum_s, requested)) else []
    reasons += why_invalid(covers) + _stuck(record, parts, covers) + _unknown(parts)
    notes: list[str] = []
    found, idle_reasons = _idle(series, window, tuple(idle), residual_s, losses, record)
    told = Circumstances(
        ("run", window.name, window.number, window.start_s), residual_s,
        found.noise if found else {}, {rail: watts for rail, watts in found.power_w.items()} if found else {},
    )  # fmt: skip
    sources = [*sources_of(record, parts, told), *_phase_sources(parts, lock)]
    scope = "; ".join(each.scope for each in series)
    time_s = window.end_s - window.start_s
    gross_j = math.fsum(part.energy_j for part in parts)
    budget_gross = combined(sources)
    gross = invalid(gross_j, "; ".join(reasons), scope) if reasons else judged(gross_j, budget_gross.u95_j, scope)
    net, budget_net = None, None
    if found is not None:
        budget_net = combined([*sources, *idle_sources(record, found, time_s, told)])
        net_j = gross_j - found.total_w * time_s
        why = reasons + idle_reasons
        net = invalid(net_j, "; ".join(why), scope) if why else judged(net_j, budget_net.u95_j, scope)
    elif idle:
        notes += [f"no net energy: {why}" for why in idle_reasons]
    notes += warnings_of(trace, record, parts, covers, found, budget_net, window)
    return Joules(
        gross, net, record.label, window, window.iterations, time_s, sensor, names, tuple(parts), budget_gross, budget_net,
        dict(zip(names, covers, strict=True)), lock, found, None if alignment is None else residual_s, tuple(notes),
        conditions_of(trace, record, window, scope, found),
        {"sensor": {"url": record.url, "description": record.description}, "provenance": trace.provenance,
         "trace": {"status": trace.status, "damaged_blocks": trace.damaged_blocks}},
    )  # fmt: skip


def _record(trace: Trace, sensor: int, window: Window) -> SensorRecord:
    """Return the sensor's record, fit for the window."""
    if not 0 <= sensor < len(trace.sensors):
        raise NoEnergy(f"the trace has no sensor number {sensor}: it has {len(trace.sensors)}")
    record = trace.sensors[sensor]
    if record.label not in LABELS:
        raise LabelError(f"sensor {record.url!r} has the label {record.label!r}: it is one of {list(LABELS)}")
    if window.clock != record.clock:
        raise NoEnergy(f"window {window.name!r} is on the {window.clock} clock, sensor {record.url!r} on the {record.clock} "
                       "clock: they cannot be put together")  # fmt: skip
    if not len(record.readings):
        raise NoEnergy(f"sensor {record.url!r} gave no samples at all: there is nothing to integrate")
    return record


def _on_host(record: SensorRecord, alignment: Aligned) -> np.ndarray:
    """Return the rows' stamps by the meter's own clock, on the host's (n,)."""
    stamps = np.asarray(alignment.host_stamps(record.readings), float)
    if np.count_nonzero(np.isfinite(stamps)) < 2:
        raise NoEnergy(f"sensor {record.url!r} has no clock of its own to align: leave the alignment out")
    return stamps


def _series(record: SensorRecord, rail: str, stamps: np.ndarray | None, calibrations: Sequence[Calibration]) -> Series:
    """Return a rail's series, calibrated where a calibration is for it."""
    columns = channels_of(record, rail)
    channels = [record.channels[column] for column in columns]
    name = channels[0].name if len(channels) == 1 else product_channel(*channels)
    fitting = newest(calibrations, record.url, record.description, name, channels[-1].scope) if calibrations else None
    return rail_series(record, columns, stamps, fitting)


def _worst_lock(trace: Trace, window: Window, parts: list[WindowEnergy]) -> Lock:
    marks = [mark for mark in windows(trace, ITERATION) if mark.clock == window.clock] if window.name != ITERATION else []
    locks = [lock_of(part, window.iterations, marks) for part in parts]
    return max(locks, key=lambda lock: (lock.locked, lock.share))


def _locked(lock: Lock) -> str:
    order = int(np.argmax(lock.alias[:HARMONICS] > max(LOCKED_ABOVE, lock.chance))) + 1
    part = "iteration" if order == 1 else f"1/{order} of an iteration"
    return (f"locked to the iterations: samples always fall on the same phase of {part} ({lock.period_s * 1e3:.4g} ms each), so "
            "their mean is not the run's; change the sampling period or let iterations vary")  # fmt: skip


def _unknown(parts: list[WindowEnergy]) -> list[str]:
    names = unknown(parts)
    if not names:
        return []
    return [f"Type B unknown: nobody states a gain error for {', '.join(names)}, calibrate with `joulegrad sensors calibrate`"]


def _stuck(record: SensorRecord, parts: list[WindowEnergy], covers: list[Coverage]) -> list[str]:
    """Return an alarm for each rail whose value stood still while another rail's moved, or that is the only one."""
    stuck = [cover for cover in covers if cover.stuck_s]
    if len(stuck) == len(covers) or any(not cover.stuck_s for cover in covers):
        return [f"stuck: rail {cover.rail} did not change for {cover.stuck_s:.3g} s although it does at every refresh else"
                for cover in stuck]  # fmt: skip
    return []


def _phase_sources(parts: list[WindowEnergy], lock: Lock) -> list[Source]:
    """Return what samples that fall unevenly on the iterations may cost."""
    if not lock.share:
        return []
    swing_w = math.fsum(2 * math.sqrt(max(0.0, part.scatter.sd_w**2 - part.scatter.white_w2)) for part in parts)
    return [Source("sampling phase", ("run",), swing_w * lock.share * parts[0].time_s, grows=1.0)]


def _idle(series: list[Series], window, idle, residual_s, losses, record) -> tuple[IdlePower | None, list[str]]:
    """Return the idle power, and why it is not fit to be subtracted."""
    if not idle:
        return None, []
    try:
        found = idle_power(series, window, idle, residual_s)
    except NoEnergy as error:
        return None, [str(error)]
    reasons = []
    for each, parts in zip(found.windows, found.parts, strict=True):
        covers = [coverage_of(part, losses, record.period_s) for part in parts]
        reasons += [f"{each.name}: {why}" for why in why_invalid(covers)]
    return found, reasons


def _channel_json(channel) -> dict:
    limits = channel.specification
    return {"name": channel.name, "unit": channel.unit, "averaging_s": channel.averaging_s,
            "specification": {key: (None if isinstance(value, float) and not math.isfinite(value) else value)
                              for key, value in vars(limits).items()}}  # fmt: skip


def with_note(found: Joules, warning: str) -> Joules:
    """Return the same energy with one more warning."""
    return replace(found, warnings=(*found.warnings, warning))
