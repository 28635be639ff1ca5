"""Makes a calibration: what a sensor said under known loads, and the gain and offset that follow by least squares.

Readings r and the powers P of the loads are put on a line, P = gain * r + offset. Each source of error (a resistor's tolerance,
a voltmeter's, the noise of one reading) moves the points in its own way, those of one resistor together; what it moves gain and
offset by is its term in the budget. One load alone gives the gain, with the data sheet's limit for the offset.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from host.sampler import Sampled
from host.sensor import Sensor, Specification
from host.trace import SensorRecord, Trace, Window, windows
from measurements.calibration import Calibration, CalibrationError, Point, Term, identity_of, product_channel
from measurements.rails import chosen, names
from measurements.series import NoEnergy, channels_of, power_offset_w, rail_series

WINDOW = "calibration"
"""Name of the windows, one per load, numbered in the order of the loads."""

BLOCKS = 10
"""Means of so many parts of a window tell how far its mean can be trusted, whatever the noise is correlated like."""

STABILITY = 0.0005
"""The gain may change by so much until the calibration is used, where nobody states it: 10 K at 50 ppm/K, an assumption."""

SUSPICIOUS = (1.6, 2.5)
"""A reading off by a factor in here, or by one over it, is what a shunt of twice or half the value set makes."""


@dataclass(frozen=True)
class Load:
    """A load whose power is known.

    Attributes:
        text: in words, with its limits.
        power_w: None where it follows from the volts that the sensor itself measures (`ohm`).
        ohm: of a resistor, else None.
        limits: source of error to relative limit of the power, half the width of a rectangular distribution. Loads that share
            a source err together.
    """

    text: str
    power_w: float | None
    ohm: float | None
    limits: dict[str, float]


def resistor(ohm: float, limit: float, volts: float | None = None, volts_limit: float = 0.0) -> Load:
    """Return a resistor on a known voltage; without `volts`, on the one that the sensor measures on the same rail.

    Args:
        ohm: inf for nothing connected.
        limit: relative, of the resistance with its leads, warm.
        volts_limit: relative, of `volts`.
    """
    if not ohm > 0 or not 0 <= limit < 1 or not 0 <= volts_limit < 1 or (volts is not None and not 0 < volts < math.inf):
        at = "" if volts is None else f" at {volts} V within {volts_limit}"
        raise CalibrationError(f"a load of {ohm} ohm within {limit}{at}: ohms and volts are above 0, limits shares from 0 to 1")
    if math.isinf(ohm):
        return Load("nothing connected", 0.0, None, {})
    limits = {f"load {ohm:g} ohm": limit}
    if volts is None:
        return Load(f"{ohm:g} ohm within {limit:.3%}, volts by the sensor", None, ohm, limits)
    text = f"{ohm:g} ohm within {limit:.3%} at {volts:g} V within {volts_limit:.3%}"
    return Load(text, volts**2 / ohm, ohm, {**limits, "voltage": 2 * volts_limit})


def stated(power_w: float, limit: float) -> Load:
    """Return a load of a power that another instrument states, within a relative limit."""
    if not 0 <= power_w < math.inf or not 0 <= limit < 1:
        raise CalibrationError(f"a load of {power_w} W within {limit}: watts are from 0, limits are shares from 0 to 1")
    return Load(f"{power_w:g} W within {limit:.3%}", power_w, None, {"stated power": limit})


@dataclass(frozen=True)
class Reading:
    """What the sensor said under one load: mean, its standard uncertainty from scatter and quantum, values in it, volts."""

    mean_w: float
    u_w: float
    samples: int
    volts: float | None


@dataclass(frozen=True)
class Watched:
    """The channel that is calibrated: rail, channel name, unit, scope, limits of its power, and of the rail's own volts."""

    rail: str
    channel: str
    unit: str
    scope: str
    specification: Specification
    volts: Specification | None


def calibrate(
    trace: Trace, loads: Sequence[Load], *, sensor: int = 0, rail: str | None = None, added: bool = False,
    stability: float = STABILITY, temperature_c: float | None = None, date: datetime.datetime | None = None,
) -> Calibration:
    """Return the calibration that follows from a trace with one window WINDOW per load, in the order of the loads.

    Args:
        sensor: index in trace.sensors.
        rail: None where the sensor has one only (a total counts, its parts do not).
        added: the loads came on top of what hung on the rail anyway; then only the gain is found, and the offset stays the
            data sheet's.
        stability: relative limit for what the gain changes by until the calibration is used.
        date: aware; now by default.

    Raises:
        CalibrationError: windows, loads or readings that no calibration follows from; one sentence says why.
    """
    record = trace.sensors[sensor]
    watched = _watched(trace, sensor, rail)
    spans = sorted(windows(trace, WINDOW), key=lambda window: window.number)
    if len(spans) != len(loads) or not loads:
        raise CalibrationError(f"{len(spans)} windows were recorded for {len(loads)} loads: each load needs one")
    if any(span.clock != record.clock for span in spans):
        raise CalibrationError(f"the windows are not on the clock of sensor {record.url!r}: a physical load is measured by a "
                               "physical sensor")
    readings = [_reading(trace, sensor, watched, span) for span in spans]
    truths = [_truth(load, reading, watched) for load, reading in zip(loads, readings, strict=True)]
    points = tuple(Point(load.text, power_w, math.sqrt(math.fsum(u**2 for u in us.values())), r.mean_w, r.u_w, r.samples)
                   for load, (power_w, us), r in zip(loads, truths, readings, strict=True))
    _check_points(points, added)
    gain, offset_w, terms = _fitted(points, [us for _, us in truths], watched.specification, added)
    terms = [*terms, Term("stability", gain * stability / math.sqrt(3), 0.0)]
    u_gain = math.sqrt(math.fsum(term.u_gain**2 for term in terms))
    u_offset_w = math.sqrt(math.fsum(term.u_offset_w**2 for term in terms))
    covariance = math.fsum(term.u_gain * term.u_offset_w for term in terms)
    readings_w = [point.reading_w for point in points]
    return Calibration(
        sensor=identity_of(record.url, record.description), channel=watched.channel, scope=watched.scope, unit=watched.unit,
        gain=gain, offset_w=offset_w, u_gain=u_gain, u_offset_w=u_offset_w, covariance=covariance, dof=_dof(terms, u_gain),
        date=(date or datetime.datetime.now(datetime.timezone.utc)).isoformat(timespec="seconds"),
        source="; ".join(load.text for load in loads) + ("; added to what hung on the rail" if added else ""),
        low_w=0.0 if len(points) == 1 else min(readings_w), high_w=max(readings_w), temperature_c=temperature_c,
        budget=tuple(terms), points=points, warnings=tuple(_warnings(gain, u_gain, watched)),
    )


def suspicion(gain: float) -> str:
    """Return the sentence about a shunt that is probably not the one set, "" where the gain does not look like that."""
    reads = 1 / gain
    low, high = SUSPICIOUS
    if low <= reads <= high:
        ratio = "twice"
    elif low <= gain <= high:
        ratio = "half"
    else:
        return ""
    return (f"the sensor reads {reads:.2f} times the load's power: its shunt is probably about {ratio} the resistance that is "
            "set; look at the marking on the shunt and set shunt_ohm, or check the load")


def check_physical(sensor: Sensor | Sampled | SensorRecord) -> None:
    """Raise CalibrationError where no load can be attached to a sensor. Of some, only opening them tells."""
    if sensor.label != "measured":
        raise CalibrationError(f"sensor {sensor.url!r} is {sensor.label}: no load can be attached to it, only physical sensors "
                               "are calibrated")


def check_rail(sensor: Sampled | SensorRecord, rail: str | None) -> None:
    """Raise CalibrationError where a sensor has no energy of a rail that is asked for."""
    if rail is not None and rail not in (there := names(sensor)):
        raise CalibrationError(f"rail {rail!r} is not one of sensor {sensor.url!r}: there are {', '.join(there) or 'none'}")


def _watched(trace: Trace, sensor: int, rail: str | None) -> Watched:
    record = trace.sensors[sensor]
    check_physical(record)
    try:
        rails = chosen(record, None if rail is None else (rail,))
    except NoEnergy as error:
        raise CalibrationError(str(error)) from None
    if len(rails) > 1:
        raise CalibrationError(f"sensor {record.url!r} has the rails {', '.join(rails)}: say with --rail which of them the load "
                               "hangs on")
    channels = [record.channels[column] for column in channels_of(record, rails[0])]
    volts = next((c.specification for c in record.channels if c.rail == rails[0] and c.unit == "V"), None)
    if len(channels) == 1:
        only = channels[0]
        limits = only.specification
        if only.unit == "J":
            # The quantum of a running total is joules, which matter at the two ends of a run and not as a power.
            limits = replace(limits, offset=power_offset_w(record, only), quantum=0.0)
        return Watched(rails[0], only.name, only.unit, only.scope, limits, volts)
    v, a = channels
    both = None if v.specification.gain is None or a.specification.gain is None else v.specification.gain + a.specification.gain
    # The offset of one factor weighs by the other one.
    at_v, at_a = (abs(float(np.nanmedian(record.readings.values[:, record.channels.index(c)]))) for c in (v, a))
    quantum_w = max(v.specification.quantum * at_a, a.specification.quantum * at_v)
    limits = Specification(both, v.specification.offset * at_a + a.specification.offset * at_v, quantum_w,
                           a.specification.shunt, source=a.specification.source)
    return Watched(rails[0], product_channel(v, a), "W", a.scope, limits, v.specification)


def _reading(trace: Trace, sensor: int, watched: Watched, span: Window) -> Reading:
    """Return the mean power in a window and how well it is known, by the means of its parts."""
    power_w = _power(trace.sensors[sensor], watched, span)
    if len(power_w) < 2 * BLOCKS:
        raise CalibrationError(f"{len(power_w)} values in the {span.end_s - span.start_s:.3g} s of load {span.number + 1}: "
                               f"{2 * BLOCKS} or more are needed, measure for longer")
    parts = np.array([part.mean() for part in np.array_split(power_w, BLOCKS)])
    quantum_w = watched.specification.quantum
    # Values that scatter over several steps average the step's error out; a value that stands still hides it.
    steps_w = quantum_w / math.sqrt(12) / (math.sqrt(BLOCKS) if power_w.std() > quantum_w else 1.0)
    u_w = math.hypot(float(parts.std(ddof=1)) / math.sqrt(BLOCKS), steps_w)
    return Reading(float(power_w.mean()), u_w, len(power_w), _volts(trace, sensor, watched.rail, span))


def _power(record: SensorRecord, watched: Watched, span: Window) -> np.ndarray:
    """Return watts of each row in a window, repetitions of a value included: the load is constant; of a total, of each step.

    Raises:
        CalibrationError: a value at full scale.
    """
    columns = channels_of(record, watched.rail)
    channels = [record.channels[column] for column in columns]
    if watched.unit == "J":
        try:
            series = rail_series(record, columns)
        except NoEnergy as error:
            raise CalibrationError(str(error)) from None
        inside = (series.t_s >= span.start_s) & (series.t_s <= span.end_s)
        steps_s = np.diff(series.t_s[inside])
        return np.diff(series.values[inside])[steps_s > 0] / steps_s[steps_s > 0]
    # An average reaches back before its stamp, and what was attached must be attached all the while.
    reach_s = max(channel.averaging_s for channel in channels)
    t_s, values = record.readings.t_s, record.readings.values[:, columns]
    inside = (t_s - reach_s >= span.start_s) & (t_s <= span.end_s) & np.isfinite(values).all(1)
    values = values[inside]
    if any((np.abs(values[:, i]) >= channel.specification.full_scale).any() for i, channel in enumerate(channels)):
        raise CalibrationError(f"the sensor is saturated under load {span.number + 1}: a smaller load is needed")
    plausible = np.all([(values[:, i] >= c.low) & (values[:, i] <= c.high) for i, c in enumerate(channels)], 0)
    return values[plausible].prod(1)


def _volts(trace: Trace, sensor: int, rail: str, span: Window) -> float | None:
    record = trace.sensors[sensor]
    column = next((i for i, c in enumerate(record.channels) if c.rail == rail and c.unit == "V"), None)
    if column is None:
        return None
    readings = record.readings
    inside = (readings.t_s >= span.start_s) & (readings.t_s <= span.end_s) & np.isfinite(readings.values[:, column])
    return float(readings.values[inside, column].mean()) if inside.any() else None


def _truth(load: Load, reading: Reading, watched: Watched) -> tuple[float, dict[str, float]]:
    """Return a load's power and the standard uncertainty that each source brings to it, in watts."""
    power_w, limits = load.power_w, dict(load.limits)
    if power_w is None:
        if reading.volts is None or watched.volts is None or not reading.volts > 0:
            raise CalibrationError(f"rail {watched.rail!r} has no volts of its own: say with --voltage what the voltage at the "
                                   "load is")
        if watched.volts.gain is None:
            raise CalibrationError(f"nobody states how far the volts of rail {watched.rail!r} can be trusted: measure the "
                                   "voltage at the load and give it with --voltage")
        power_w = reading.volts**2 / load.ohm
        limits["volts of the sensor"] = 2 * (watched.volts.gain + watched.volts.offset / reading.volts)
    return power_w, {source: power_w * limit / math.sqrt(3) for source, limit in limits.items()}


def _check_points(points: Sequence[Point], added: bool) -> None:
    largest = max(point.truth_w for point in points)
    if not largest > 0:
        raise CalibrationError("all loads are 0 W: a gain needs a load that draws power")
    spread = largest - min(point.truth_w for point in points)
    if len(points) > 1 and spread < 0.1 * largest:
        raise CalibrationError(f"the loads lie between {largest - spread:.4g} and {largest:.4g} W: for a line they must differ "
                               "by a tenth or more")
    if added and len(points) < 2:
        raise CalibrationError("a load that is added to others needs a reading without it, too: the difference is what counts")
    high = max(points, key=lambda point: point.truth_w)
    low = min(points, key=lambda point: point.truth_w)
    rise = high.reading_w - (low.reading_w if len(points) > 1 else 0.0)
    if not rise > 3 * high.u_reading_w:
        raise CalibrationError(f"under a load of {high.truth_w:.4g} W the reading rises by {rise:.4g} W: it must rise clearly; "
                               "look whether the load is connected behind the sensor, and which way round the shunt is")


def _fitted(
    points: Sequence[Point], u_truths_w: Sequence[dict[str, float]], limits: Specification, added: bool
) -> tuple[float, float, list[Term]]:
    """Return gain, offset and the terms of their uncertainty."""
    reading = np.array([point.reading_w for point in points])
    truth = np.array([point.truth_w for point in points])
    u_reading = np.array([point.u_reading_w for point in points])
    if len(points) == 1:
        solver = np.array([[1 / reading[0]], [0.0]])
    else:
        design = np.stack([reading, np.ones(len(points))], 1)
        weight = 1 / np.maximum(u_reading, 1e-6 * np.max(np.abs(reading)))
        solver = np.linalg.pinv(design * weight[:, None]) * weight
    gain, offset_w = (float(v) for v in solver @ truth)
    scatter = 1.0
    if len(points) > 2:
        left = (truth - gain * reading - offset_w) * np.where(u_reading > 0, 1 / np.maximum(gain * u_reading, 1e-300), 0.0)
        own = math.sqrt(float(left @ left) / (len(points) - 2))
        scatter = max(1.0, own)  # Birge's ratio: points that do not lie on a line are worth less
    terms = []
    for source in dict.fromkeys(name for us in u_truths_w for name in us):
        moved = solver @ np.array([us.get(source, 0.0) for us in u_truths_w])
        terms.append(Term(source, float(moved[0]), float(moved[1])))
    for number, u_w in enumerate(u_reading):
        moved = solver[:, number] * gain * u_w * scatter
        terms.append(Term(f"reading {number + 1}", float(moved[0]), float(moved[1]), BLOCKS - 1))
    if len(points) > 1 and not added:
        return gain, offset_w, terms
    u_offset_w = limits.offset / math.sqrt(3)
    if added:
        terms = [Term(term.name, term.u_gain, 0.0, term.dof) for term in terms]
        return gain, 0.0, [*terms, Term("offset by its data sheet", 0.0, u_offset_w)]
    return gain, 0.0, [*terms, Term("offset by its data sheet", -u_offset_w / float(reading[0]), u_offset_w)]


def _dof(terms: Sequence[Term], u_gain: float) -> float:
    """Return the effective degrees of freedom of the gain (Welch-Satterthwaite)."""
    total = math.fsum(term.u_gain**4 / term.dof for term in terms)
    return u_gain**4 / total if total > 0 else math.inf


def _warnings(gain: float, u_gain: float, watched: Watched) -> list[str]:
    said = [suspicion(gain)] if suspicion(gain) else []
    limits = watched.specification
    if not said and limits.gain is not None:
        limit = limits.gain + limits.shunt
        if abs(gain - 1) > limit + 2 * u_gain:
            source = limits.source or "no source"
            said.append(f"the gain of {gain:.4f} lies outside the {limit:.2%} that are specified ({source}): check shunt, leads "
                        "and load before it is used")
    if u_gain > 0.05 * gain:
        said.append(f"the gain is known to {2 * u_gain / gain:.0%} only (k = 2): a larger or better known load is needed")
    return said
