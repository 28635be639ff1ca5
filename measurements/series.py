"""One rail's values made ready to integrate: only what the meter really said, each value once, counters without their wraps.

A rail is read through its running total in joules where it has one, else its watts, else volts times amperes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from host.sensor import Channel
from host.trace import SensorRecord
from measurements.calibration import Calibration
from measurements.refresh import SLACK, Refresh, look

IMPLAUSIBLE = 4.0
"""A step back of a counter is a reset, not a wrap, where the wrap would mean more than this times the largest power seen."""

GAP_REFRESHES = 3.05
"""A longer distance of rows is a gap: over three refreshes, and not three by the clock's last digit."""


class NoEnergy(RuntimeError):
    """There is no number of joules to give: no samples, no such rail, clocks that do not fit; the message says which."""


@dataclass(frozen=True)
class Series:
    """Values of one rail in the order of time.

    Attributes:
        rail, kind: as in Channel.
        channels: that it is made of: one in J or W, or volts and amperes.
        t_s: (n,) time that a value stands for: the stamp less half the time by which it may be late.
        values: (n,) watts; of kind "accumulated" joules since the first row, wraps undone.
        factors: (n, 2) volts and amperes where the watts are their product, else None.
        refresh: how often the value is renewed.
        span_s: length of an average, 0 for points and totals.
        lag_s: the stamp of a value is late by anything from 0 to this.
        lost: (m, 2) stretches of time without valid rows or, of a counter, without a known difference.
        bad_s: reason to the stamps of rows that are not used ("missing", "rejected", "duplicate", "out of order").
        same_stamp_s, saturated_s: stamps of rows that share their stamp, and of those at full scale.
        calibration: that has been applied to the values, or None.
    """

    rail: str
    kind: str
    channels: tuple[Channel, ...]
    t_s: np.ndarray
    values: np.ndarray
    factors: np.ndarray | None
    refresh: Refresh
    span_s: float
    lag_s: float
    lost: np.ndarray
    bad_s: dict[str, np.ndarray] = field(default_factory=dict)
    same_stamp_s: np.ndarray = field(default_factory=lambda: np.zeros(0))
    saturated_s: np.ndarray = field(default_factory=lambda: np.zeros(0))
    calibration: Calibration | None = None

    @property
    def scope(self) -> str:
        """What is inside, in words."""
        text = self.channels[0].scope
        return text if self.rail in text else f"{self.rail}: {text}"

    @property
    def observed(self) -> float:
        """Share of the time that lies inside an average; 1 for totals, and for points, of which nobody expects it."""
        return min(1.0, self.span_s / self.refresh.refresh_s) if self.kind == "average" and self.refresh.refresh_s else 1.0

    @property
    def pauseless(self) -> bool:
        """Whether its values are averages that follow one another without a pause."""
        return self.kind == "average" and self.observed == 1.0


def channels_of(record: SensorRecord, rail: str) -> tuple[int, ...]:
    """Return the columns that give a rail's energy: of joules, of watts, or of volts and amperes; () where none do."""
    by_unit: dict[str, int] = {}
    for column, channel in enumerate(record.channels):
        if channel.rail == rail:
            by_unit.setdefault(channel.unit, column)
    for units in (("J",), ("W",), ("V", "A")):
        if all(unit in by_unit for unit in units):
            return tuple(by_unit[unit] for unit in units)
    return ()


def power_offset_w(record: SensorRecord, total: Channel) -> float:
    """Return the limit of the offset of the power that a running total adds up: its own, or that of its rail's watts."""
    watts = [channel.specification.offset for channel in record.channels if channel.rail == total.rail and channel.unit == "W"]
    return max([total.specification.offset, *watts[:1]])


def rail_series(
    record: SensorRecord, columns: tuple[int, ...], t_s: np.ndarray | None = None, calibration: Calibration | None = None
) -> Series:
    """Return the series of one rail.

    Args:
        record: of the trace.
        columns: from `channels_of`, or one column.
        t_s: (n,) stamps instead of the sensor's own: the meter's, brought to the host's clock. NaN rows are left out.
        calibration: of the rail's power; its correction is in the values, and its own limits take the place of the data sheet's.

    Raises:
        NoEnergy: fewer than two valid rows.
    """
    channels = tuple(record.channels[column] for column in columns)
    stamps = record.readings.t_s if t_s is None else np.asarray(t_s, float)
    order = np.argsort(stamps, kind="stable")
    disorder_s = stamps[1:][np.diff(stamps) < 0]
    stamps, values = stamps[order], record.readings.values[order][:, list(columns)]
    width_s = record.readings.width_s[order]
    limits = np.array([(channel.low, channel.high) for channel in channels])
    full = np.array([channel.specification.full_scale for channel in channels])
    valid = np.isfinite(values).all(axis=1) & np.isfinite(stamps)
    rejected = valid & ((values < limits[:, 0]) | (values > limits[:, 1])).any(axis=1)
    saturated_s = stamps[valid & (np.abs(values) >= full).any(axis=1)]
    bad_s = {"missing": stamps[~valid], "rejected": stamps[rejected], "out of order": disorder_s}
    good = valid & ~rejected
    if good.sum() < 2:
        raise NoEnergy(f"rail {channels[0].rail!r} has {good.sum()} valid samples of {len(good)}: at least two are needed, "
                       "check the sensor with `joulegrad sensors`")
    stamps, values, width = stamps[good], values[good], float(np.median(width_s[good]))
    same_s = stamps[1:][np.diff(stamps) == 0]
    kind = "average" if any(channel.kind == "average" for channel in channels) else channels[0].kind
    stated = [channel.refresh_s for channel in channels if channel.refresh_s]
    total = channels[0].specification.quantum if kind == "accumulated" else None
    refresh = look(stamps, _together(record, columns, order[good], values), max(stated) if stated else None, total)
    lost = _holes(stamps, refresh)
    keep = refresh.renewed
    bad_s["duplicate"] = stamps[~keep]
    span_s = max(channel.averaging_s for channel in channels) if kind == "average" else 0.0
    if kind == "average" and not span_s:
        span_s = max(stated) if stated else refresh.refresh_s
    lag_s = _lag(record, kind, refresh, stated, t_s is not None)
    stamps, values = stamps[keep], values[keep]
    if kind == "accumulated":
        watts, lost = running_total(stamps, values[:, 0], channels[0].wrap, refresh)
    else:
        watts = values.prod(axis=1)
    if calibration is not None:
        # Of a running total the offset is a power, which adds up over time.
        base = stamps - stamps[0] if kind == "accumulated" else 1.0
        watts = calibration.gain * watts + calibration.offset_w * base
        channels = tuple(replace(channel, specification=calibration.specification(channel.specification)) for channel in channels)
    # A value that repeats the one before is taken for new a little later than it may be.
    spread_s = lag_s if keep.all() else lag_s + SLACK * refresh.refresh_s
    return Series(channels[0].rail, kind, channels, stamps - lag_s / 2, watts, values if len(channels) > 1 else None, refresh,
                  span_s, math.hypot(spread_s, width), lost, bad_s, same_s, saturated_s, calibration)  # fmt: skip


def _together(record: SensorRecord, columns: tuple[int, ...], rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the values (n, c) whose changes show a renewal: watts, volts and amperes of a rail come from one chip."""
    if record.channels[columns[0]].unit == "J":
        return values
    rail = record.channels[columns[0]].rail
    beside = [i for i, channel in enumerate(record.channels) if channel.rail == rail and channel.unit in ("W", "V", "A")]
    return np.nan_to_num(record.readings.values[rows][:, beside])


def _holes(t_s: np.ndarray, refresh: Refresh) -> np.ndarray:
    """Return (m, 2): the stretches between neighbouring rows that are longer than GAP_REFRESHES."""
    hole = np.diff(t_s) > GAP_REFRESHES * max(refresh.refresh_s, refresh.spacing_s)
    return np.stack([t_s[:-1][hole], t_s[1:][hole]], axis=1)


def _lag(record: SensorRecord, kind: str, refresh: Refresh, stated: list[float], device_time: bool) -> float:
    """Return by how much the stamp of a first arrival may be late: the distance of two looks at the value."""
    if not refresh.renewed.all():
        return refresh.spacing_s
    if kind == "point" or device_time or record.period_s is None:
        return 0.0
    return min(refresh.spacing_s, *stated) if stated else refresh.spacing_s


def running_total(t_s: np.ndarray, counter: np.ndarray, wrap: float, refresh: Refresh) -> tuple[np.ndarray, np.ndarray]:
    """Return joules since the first row, and the stretches (m, 2) whose energy the counter does not tell.

    A step back is a wrap where the difference modulo `wrap` is a power that occurs, else the counter was reset and counts in a
    new segment. Where more than one wrap fits between two reads, nobody knows how many there were. What is lost that way is
    filled in with the typical power, and is a gap.
    """
    step_j, step_s = np.diff(counter), np.diff(t_s)
    # Renewals seen early or late make single steps look like more power than there is; a typical distance is the least.
    over_s = np.maximum(step_s, refresh.refresh_s)
    forward = step_j >= 0
    power_w = step_j[forward] / over_s[forward] if refresh.refresh_s else np.zeros(0)
    typical_w = float(np.median(power_w)) if len(power_w) else 0.0
    largest_w = float(power_w.max()) if len(power_w) else math.inf
    back = np.where(forward, 0.0, wrap)
    if math.isinf(wrap):
        reset, ambiguous = ~forward, np.zeros(len(step_j), bool)
        step_j = np.where(forward, step_j, 0.0)
    else:
        step_j = step_j + back
        reset = ~forward & (step_j > IMPLAUSIBLE * largest_w * over_s)
        ambiguous = largest_w * step_s >= wrap
    unknown = reset | ambiguous
    step_j = np.where(unknown, typical_w * step_s, step_j)
    return np.concatenate([[0.0], np.cumsum(step_j)]), np.stack([t_s[:-1][unknown], t_s[1:][unknown]], axis=1)
