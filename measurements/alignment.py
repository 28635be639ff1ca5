"""Aligns a meter that has a clock of its own with the host: offset, rate, and how far the answer can be off.

Two power signatures, played by the accelerator before and after the run, are searched for in the meter's values, offset and
rate together (signature_search), and placed to a fraction of a value's distance (signature_fit). The line under the arrivals
(lower_envelope) is the start of that search and its check: nothing arrives before it happens. Where a meter sees edges of a
wire that the host drives, those are fitted instead (`align_edges`).

Raw stamps stay as they are; offset and rate are applied where energies are worked out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from host.readings import Readings
from host.signature import AFTER, BEFORE, PHASE
from host.trace import SensorRecord, Trace, Window, windows
from measurements.lower_envelope import Envelope, lower_envelope
from measurements.pin_edges import pin_edges
from measurements.signature_fit import Fit, fit
from measurements.signature_search import AlignmentError, Signature, search

__all__ = ["Alignment", "AlignmentError", "align", "align_edges"]

BASES = ("device", "sequence", "arrival")
"""What stands for the meter's time: its stamps, its count of values, or, where it has neither, the arrival at the host."""

REACH_S = 1.5
"""Of the search around the line under the arrivals: a meter behind a slow link delivers this late at most."""

REACH_RATE = 0.006
"""Of the search over rates: resonators and on-chip oscillators are specified to 0.5 %."""

EARLY_S = 0.002
"""A value that seems to arrive earlier than this before it was taken shows that the alignment is wrong."""

RESTARTS = ("counter reset", "replugged", "suspend")
"""Losses after which a meter's own time is no longer the same clock."""

T_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 8: 2.306, 10: 2.228, 14: 2.145, 22: 2.074}
"""Student's factors at 95 % by degrees of freedom."""


@dataclass(frozen=True)
class Alignment:
    """host time = offset_s + rate * the meter's time.

    Attributes:
        offset_s: host time at the meter's time 0.
        rate: host seconds per unit of the meter's time: a second of "device" and "arrival", a value of "sequence".
        residual_s: the host stamps are off by at most this anywhere between the signatures; half the width of a rectangular
            distribution, from the scatter of the signatures' parts about the line.
        basis: of BASES.
        method: "signatures", or "edges" of a wire.
        u_rate: standard uncertainty of `rate`, relative.
        details: for people: power steps and noise in watts, delays, what the line under the arrivals says. JSON data.
    """

    offset_s: float
    rate: float
    residual_s: float
    basis: str
    method: str
    u_rate: float = 0.0
    details: dict = field(default_factory=dict)

    def __post_init__(self):
        if self.basis not in BASES or not self.rate > 0 or not 0 <= self.residual_s < math.inf:
            raise ValueError(f"an alignment of basis {self.basis!r}, rate {self.rate}, residual {self.residual_s} s: bases are "
                             f"{', '.join(BASES)}, the rate is above 0")

    @property
    def meter_ppm(self) -> float | None:
        """By how many parts per million the meter's clock is fast; None where it has no clock, only a count."""
        return None if self.basis == "sequence" else (1 / self.rate - 1) * 1e6

    def to_host(self, device_t_s):
        """Return host time for the meter's time (or count, or arrival: of `basis`), a number or an array."""
        return self.offset_s + self.rate * device_t_s

    def host_stamps(self, readings: Readings) -> np.ndarray:
        """Return float64 (n,), host time at which each value was taken; NaN for rows without the meter's stamp."""
        return self.to_host(_meter_time(readings, self.basis))

    def to_json(self) -> dict:
        """Return JSON data."""
        return {"offset_s": self.offset_s, "rate": self.rate, "meter_ppm": self.meter_ppm, "u_rate_ppm": self.u_rate * 1e6,
                "residual_s": self.residual_s, "basis": self.basis, "method": self.method, "details": self.details}

    @classmethod
    def from_json(cls, data: dict) -> Alignment:
        """Return the alignment in JSON data."""
        names = ("offset_s", "rate", "residual_s", "basis", "method")
        return cls(*(data[name] for name in names), u_rate=data["u_rate_ppm"] * 1e-6, details=data["details"])


def align(
    trace: Trace, sensor: int = 0, reach_s: float = REACH_S, reach_rate: float = REACH_RATE,
    start: tuple[float, float] | None = None,
) -> Alignment:
    """Return how the clock of a trace's sensor stands to the host's.

    From edges on a wire where both saw them (measurements.pin_edges), else from the signatures.

    Args:
        sensor: index in trace.sensors.
        reach_s, reach_rate: how far the search goes from its start.
        start: offset and rate to start from; by default the line under the arrivals.

    Raises:
        AlignmentError: a signature was not played, is not in the values, or fits two places; the meter restarted between them;
            edges on a wire that do not pair up.
    """
    record = trace.sensors[sensor]
    pins = pin_edges(trace, sensor)
    if pins is not None:
        return align_edges(*pins)
    signatures = _signatures(trace, record)
    _check_one_clock(trace, sensor, signatures)
    basis = _basis(record.readings)
    meter, power_w, arrival = _series(record, basis)
    envelope = lower_envelope(meter, arrival) if basis != "arrival" else Envelope(0.0, 1.0, 0.0)
    offset, rate = start or (envelope.offset_s, envelope.rate)
    # A polled or stampless meter is stamped by the host: its clock is the host's, only the delay is open.
    reach_rate = reach_rate if basis != "arrival" else 0.0
    x_s = offset + rate * meter
    places = search(x_s, power_w, signatures, reach_s, reach_rate)
    averaging_s = max((c.averaging_s for c in _channels(record)), default=0.0)
    fitted = fit(x_s, power_w, signatures, [p.at_s for p in places], averaging_s, fixed_rate=basis == "arrival")
    return _alignment(fitted, offset, rate, basis, x_s, arrival, envelope, signatures)


def align_edges(device_t_s: Sequence[float], host_t_s: Sequence[float], spacing_s: float = 0.0) -> Alignment:
    """Return the alignment from edges on a wire: their times by the meter and by the host that made them, in pairs.

    Args:
        spacing_s: each of the meter's times is good to half of it.

    Raises:
        AlignmentError: fewer than three pairs: two always fit a line and say nothing of the residual.
    """
    device, host = np.asarray(device_t_s, np.float64), np.asarray(host_t_s, np.float64)
    if len(device) != len(host) or len(device) < 3:
        raise AlignmentError(f"{len(device)} edges by the meter and {len(host)} by the host: three pairs or more are needed")
    away = device - device.mean()
    if not away @ away > 0:
        raise AlignmentError("all edges have the same time by the meter: edges before and after the run are needed")
    rate = float(away @ (host - host.mean()) / (away @ away))
    offset = float(host.mean() - rate * device.mean())
    left = host - offset - rate * device
    spread = math.hypot(math.sqrt(float(left @ left) / (len(device) - 2)), spacing_s / math.sqrt(12))
    u_end = spread * math.sqrt(1 / len(device) + float(np.max(away**2) / (away @ away)))
    details = {"edges": len(device), "largest_residual_s": float(np.max(np.abs(left)))}
    u_rate = spread / math.sqrt(away @ away) / rate
    return Alignment(offset, rate, _limit(u_end, len(device) - 2), "device", "edges", u_rate, details)


def _signatures(trace: Trace, record: SensorRecord) -> list[Signature]:
    """Return the signatures that were played to their end, by start."""
    played = [window for window in windows(trace) if window.phase == PHASE and not window.note.get("aborted")]
    names = {window.name for window in played}
    missing = [name for name in (BEFORE, AFTER) if name not in names]
    if missing:
        raise AlignmentError(f"the trace has no {' and no '.join(repr(name) for name in missing)}: offset and rate of the "
                             "meter's clock need one signature before the run and one after it")
    for window in played:
        if window.clock != record.clock:
            raise AlignmentError(f"the {window.name!r} is stamped by the {window.clock} clock, sensor {record.url!r} by the "
                                 f"{record.clock} clock: both must be stamped by one")
    return [_signature(window) for window in played]


def _check_one_clock(trace: Trace, sensor: int, signatures: Sequence[Signature]) -> None:
    """Raise AlignmentError where the meter's clock began anew between the signatures."""
    first, last = signatures[0].start_s, signatures[-1].start_s + signatures[-1].duration_s
    for gap in trace.gaps:
        if gap.sensor == sensor and gap.reason in RESTARTS and first < gap.t_s < last:
            raise AlignmentError(f"the meter's clock began anew at {gap.t_s:.3f} s ({gap.reason}), between the signatures: one "
                                 "line cannot fit it, repeat the run")


def _signature(window: Window) -> Signature:
    try:
        on_s = np.asarray(window.note["on_s"], np.float64).reshape(-1, 2)
        chip_s = float(window.note["chip_s"])
    except (KeyError, TypeError, ValueError):
        raise AlignmentError(f"the mark of {window.name!r} does not say when the array worked: "
                             "on_s and chip_s are needed") from None
    if len(on_s) < 4 or not (np.diff(on_s.reshape(-1)) > 0).all() or not chip_s > 0:
        raise AlignmentError(f"the {window.name!r} has {len(on_s)} stretches of work: at least 4, in order and apart from each "
                             "other, are needed")
    return Signature(window.name, window.start_s, on_s, chip_s, float(on_s[-1, 1]))


def _basis(readings: Readings) -> str:
    """Return what stands for the meter's time: it must be there for nearly all rows."""
    for basis in ("device", "sequence"):
        known = np.isfinite(_meter_time(readings, basis))
        if len(readings) and known.mean() > 0.9:
            return basis
    return "arrival"


def _meter_time(readings: Readings, basis: str) -> np.ndarray:
    if basis == "device":
        return readings.device_t_s
    if basis == "sequence":
        return np.where(readings.sequence >= 0, readings.sequence, np.nan).astype(np.float64)
    return readings.t_s


def _channels(record: SensorRecord) -> list:
    """Return the channels whose sum is searched: watts of rails that are part of no other, else volts and amperes of one rail."""
    watts = [c for c in record.channels if c.unit == "W"]
    rails = {c.rail for c in watts}
    if watts:
        return [c for c in watts if c.part_of not in rails]
    for amperes in record.channels:
        for volts in record.channels:
            if amperes.unit == "A" and volts.unit == "V" and amperes.rail == volts.rail:
                return [volts, amperes]
    return []


def _series(record: SensorRecord, basis: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the meter's time, power and arrival of all rows that have them, by the meter's time."""
    channels = _channels(record)
    columns = [record.readings.values[:, record.channels.index(c)] for c in channels]
    if not columns:
        raise AlignmentError(f"sensor {record.url!r} gives neither watts nor volts and amperes of one rail: "
                             "a signature cannot be seen")
    power_w = columns[0] * columns[1] if channels[0].unit == "V" else np.sum(columns, 0)
    meter, arrival = _meter_time(record.readings, basis), record.readings.t_s
    good = np.isfinite(meter) & np.isfinite(power_w) & np.isfinite(arrival)
    order = np.argsort(meter[good], kind="stable")
    meter, power_w, arrival = (part[good][order] for part in (meter, power_w, arrival))
    if len(meter) < 2 or meter[0] == meter[-1]:
        raise AlignmentError(f"sensor {record.url!r} has {len(meter)} values with a time in the trace: nothing to align")
    return meter, power_w, arrival


def _alignment(
    fitted: Fit, offset: float, rate: float, basis: str, x_s: np.ndarray, arrival: np.ndarray, envelope: Envelope,
    signatures: Sequence[Signature],
) -> Alignment:
    """Return the alignment of a fit on the axis x = offset + rate * meter, checked against the arrivals."""
    final_rate = rate * (1 + fitted.stretch)
    final_offset = offset + fitted.shift_s + fitted.stretch * (offset - fitted.middle_s)
    ends = np.array([fitted.at_s.min(), fitted.at_s.max()])
    parts = fitted.blocks_s.size
    residual_s = _limit(float(fitted.u_s(ends).max()), parts - 2)
    away = fitted.at_s.reshape(-1) - fitted.at_s.mean()
    left = fitted.blocks_s.reshape(-1)
    u_rate = math.sqrt(float(left @ left) / (parts - 2) / float(away @ away))
    delay = arrival - fitted.host(x_s)
    details = {
        "signatures": [s.name for s in signatures], "step_w": list(fitted.step_w), "noise_w": list(fitted.noise_w),
        "shortest_delay_s": float(delay.min()), "median_delay_s": float(np.median(delay)),
        "scatter_of_parts_s": float(np.sqrt(left @ left / (parts - 2))),
    }
    if basis != "arrival":
        details["arrivals_rate"] = envelope.rate
        if delay.min() < -(EARLY_S + residual_s):
            raise AlignmentError(f"by the signatures a value would have arrived {-delay.min():.4f} s before it was taken: the "
                                 "match is wrong; record the signatures again with nothing else at work")
    return Alignment(float(final_offset), float(final_rate), residual_s, basis, "signatures", u_rate, details)


def _limit(u_s: float, dof: int) -> float:
    """Return half the width of the rectangular distribution for a standard uncertainty from few values.

    Student's factor over the normal one widens it, the square root of 3 makes a rectangle of it.
    """
    known = max(d for d in T_95 if d <= dof)
    return math.sqrt(3) * u_s * T_95[known] / 1.96
