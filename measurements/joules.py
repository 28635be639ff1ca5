"""Joules of a window of a trace: gross and net energy with uncertainty, verdict, scope, label and all that stands behind them.

What is wrong with the data makes a verdict "invalid: why" beside the number; where there is no number to give, NoEnergy says why.
Either way the trace stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from host.readings import Readings
from host.trace import SensorRecord, Trace, Window, windows
from measurements import rails as tree
from measurements.budget import Budget, Source, combined
from measurements.calibration import Calibration, product_channel
from measurements.calibration import chosen as newest
from measurements.coverage import (
    MINIMUM_S,
    REQUESTED,
    STUCK_REFRESHES,
    Coverage,
    coverage_of,
    why_invalid,
    why_too_short,
)
from measurements.energy_window import WindowEnergy, window_energy
from measurements.error_sources import Circumstances, sources_of, unknown
from measurements.idle import IdlePower, Rest, idle_power, idle_sources, rest
from measurements.quantities import LABELS, NOT_RESOLVED, LabelError, Quantity, invalid, judged
from measurements.sampling_phase import Lock, lock_of, phase_uncertainty_w
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
    source = SensorEnergies(trace, sensor, rails=rails, alignment=alignment, calibrations=calibrations)
    return source.joules(window, idle=idle, minimum_s=minimum_s, requested=requested)


class SensorEnergies:
    """The energies of many windows by one sensor: what all of them share is made ready once.

    Attributes:
        trace, sensor, record: as read.
        rails: that are added up, by name.
        series: of each of them.
        residual_s: of the alignment of the meter's clock, 0 where stamps are the host's.
    """

    def __init__(
        self, trace: Trace, sensor: int = 0, *, rails: Sequence[str] | None = None, alignment: Aligned | None = None,
        calibrations: Sequence[Calibration] = (),
    ):  # fmt: skip
        """Args and errors as `joules` has them."""
        self.trace, self.sensor = trace, sensor
        self.record = _record(trace, sensor)
        self.rails = tree.chosen(self.record, None if rails is None else tuple(rails))
        stamps = None if alignment is None else _on_host(self.record, alignment)
        self.series = [_series(self.record, rail, stamps, calibrations) for rail in self.rails]
        self._aligned = alignment is not None
        self.residual_s = float(alignment.residual_s) if self._aligned else 0.0
        self._losses = tuple(gap for gap in trace.gaps if gap.sensor == sensor)
        self._iterations = [mark for mark in windows(trace, ITERATION) if mark.clock == self.record.clock]
        self._rests: dict[tuple[str, int, float, float], Rest] = {}

    def joules(
        self, window: Window, *, idle: Sequence[Window] = (), minimum_s: float = MINIMUM_S, requested: float = REQUESTED
    ) -> Joules:
        """Return the energy of a window; arguments and errors as `joules` has them."""
        record, trace = self.record, self.trace
        if window.clock != record.clock:
            raise NoEnergy(f"window {window.name!r} is on the {window.clock} clock, sensor {record.url!r} on the {record.clock} "
                           "clock: they cannot be put together")  # fmt: skip
        parts = [window_energy(each, window.start_s, window.end_s, self.residual_s) for each in self.series]
        covers = self._covers(parts)
        lock = _worst_lock([] if window.name == ITERATION else self._iterations, window, parts)
        found, idle_reasons = self._idle(window, idle)
        reasons = [_locked(lock)] if lock.locked else []
        too_short = why_too_short(window.end_s - window.start_s, covers, minimum_s, requested)
        reasons += ([too_short] if too_short else []) + why_invalid(covers) + _stuck(covers) + _unknown(parts)
        key = ("run", window.name, window.number, window.start_s)
        told = Circumstances(key, self.residual_s, found.noise if found else {}, found.power_w if found else {})
        sources = [*sources_of(record, parts, told), *_phase_sources(parts, lock, found)]
        scope, time_s = "; ".join(each.scope for each in self.series), window.end_s - window.start_s
        gross_j = math.fsum(part.energy_j for part in parts)
        budget_gross = combined(sources)
        gross = _quantity(gross_j, budget_gross, reasons, scope)
        net, budget_net, notes = None, None, [] if found else [f"no net energy: {why}" for why in idle_reasons]
        if found is not None:
            budget_net = combined([*sources, *idle_sources(record, found, time_s, told)])
            idle_reasons += _frozen(parts, found)
            net = _quantity(gross_j - found.total_w * time_s, budget_net, reasons + idle_reasons, scope)
        notes += warnings_of(trace, record, parts, covers, found, budget_net, window)
        return Joules(
            gross, net, record.label, window, window.iterations, time_s, self.sensor, self.rails, tuple(parts), budget_gross,
            budget_net, dict(zip(self.rails, covers, strict=True)), lock, found, self.residual_s if self._aligned else None,
            tuple(notes), conditions_of(trace, record, window, scope, found),
            {"sensor": {"url": record.url, "description": record.description}, "provenance": trace.provenance,
             "trace": {"status": trace.status, "damaged_blocks": trace.damaged_blocks}},
        )  # fmt: skip

    def _covers(self, parts: Sequence[WindowEnergy]) -> list[Coverage]:
        return [coverage_of(part, self._losses, self.record.period_s) for part in parts]

    def _rest(self, window: Window) -> Rest:
        key = (window.name, window.number, window.start_s, window.end_s)
        if key not in self._rests:
            self._rests[key] = rest(self.series, window, self.residual_s)
        return self._rests[key]

    def _idle(self, window: Window, idle: Sequence[Window]) -> tuple[IdlePower | None, list[str]]:
        """Return the idle power, and why it is not fit to be subtracted."""
        if not idle:
            return None, []
        try:
            found = idle_power(window, idle, self._rest)
        except NoEnergy as error:
            return None, [str(error)]
        reasons = [f"{each.name}: {why}" for each, parts in zip(found.windows, found.parts, strict=True)
                   for why in why_invalid(self._covers(parts))]  # fmt: skip
        return found, reasons


def _quantity(value_j: float, budget: Budget, reasons: list[str], scope: str) -> Quantity:
    return invalid(value_j, "; ".join(reasons), scope) if reasons else judged(value_j, budget.u95_j, scope)


def _record(trace: Trace, sensor: int) -> SensorRecord:
    """Return a sensor's record with something in it."""
    if not 0 <= sensor < len(trace.sensors):
        raise NoEnergy(f"the trace has no sensor number {sensor}: it has {len(trace.sensors)}")
    record = trace.sensors[sensor]
    if record.label not in LABELS:
        raise LabelError(f"sensor {record.url!r} has the label {record.label!r}: it is one of {list(LABELS)}")
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


def _worst_lock(marks: list[Window], window: Window, parts: list[WindowEnergy]) -> Lock:
    locks = [lock_of(part, window.iterations, marks) for part in parts]
    return max(locks, key=lambda lock: (lock.locked, lock.share))


def _locked(lock: Lock) -> str:
    part = "iteration" if lock.harmonic == 1 else f"1/{lock.harmonic} of an iteration"
    return (f"locked to the iterations: samples always fall on the same phase of {part} ({lock.period_s * 1e3:.4g} ms each), so "
            "their mean is not the run's; change the sampling period or let iterations vary")  # fmt: skip


def _unknown(parts: list[WindowEnergy]) -> list[str]:
    names = unknown(parts)
    if not names:
        return []
    return [f"Type B unknown: nobody states a gain error for {', '.join(names)}, calibrate with `joulegrad sensors calibrate`"]


def _stuck(covers: list[Coverage]) -> list[str]:
    """Return an alarm for each rail whose value stood still for longer than chance explains."""
    return [f"stuck: rail {cover.rail} did not change for {cover.stuck_s:.3g} s although it does at every refresh else"
            for cover in covers if cover.stuck_s]  # fmt: skip


def _frozen(parts: list[WindowEnergy], found: IdlePower) -> list[str]:
    """Return an alarm where no rail showed any difference between idle and the run, not by one bit."""
    for i, part in enumerate(parts):
        seen_w = np.concatenate([part.inside_w, *(group[i].inside_w for group in found.parts)])
        if len(seen_w) < STUCK_REFRESHES or np.any(seen_w != seen_w[0]):
            return []
    return ["stuck: no value ever changed, neither in idle nor in the run: stale readings, or the load is not on these rails"]


def _phase_sources(parts: list[WindowEnergy], lock: Lock, idle: IdlePower | None) -> list[Source]:
    """Return what samples that fall unevenly on the iterations may cost."""
    if not lock.share:
        return []
    found_w = 0.0
    for part in parts:
        rail = part.series.rail
        noise_w2, always_w = (idle.noise[rail].white_w2, idle.power_w[rail]) if idle else (0.0, 0.0)
        found_w += phase_uncertainty_w(lock, part, noise_w2, abs(part.power_w - always_w))
    return [Source("sampling phase", ("run",), found_w * parts[0].time_s, grows=1.0)]


def _channel_json(channel) -> dict:
    limits = channel.specification
    return {"name": channel.name, "unit": channel.unit, "averaging_s": channel.averaging_s,
            "specification": {key: (None if isinstance(value, float) and not math.isfinite(value) else value)
                              for key, value in vars(limits).items()}}  # fmt: skip
