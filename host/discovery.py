"""Refresh rate and resolution of a sensor, found by looking: how often a value really changes, and its smallest step.

A value that does not change is constant or stale. It is constant where the device shows signs of life: another channel of
the same sensor changes, or its own count or clock goes on. It is stale where nothing moves although the load does. Where
neither is known, both stay possible, and the finding says so.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from host.readings import Readings
from host.sensor import Channel, Sensor

CHANGING, CONSTANT, STALE, UNCHANGED = "changing", "constant", "stale", "unchanged"
EVERY_READ = 0.7
"""Share of reads with a new value from which the sensor may renew faster than it is read."""
FEWEST_CHANGES = 4


@dataclass(frozen=True)
class Finding:
    """What was seen of one channel.

    Attributes:
        channel: that was looked at.
        reads: rows looked at; missing: of these without a value.
        changes: rows whose value differs from the one before.
        state: "changing"; "constant" (the device lives, this value stays); "stale" (nothing moved although the load did);
            "unchanged" (constant or stale).
        refresh_s: between two new values; None with fewer than FEWEST_CHANGES changes.
        at_most: the value was new in nearly every read, so `refresh_s` is only an upper bound.
        resolution: smallest step seen, in the channel's unit; None without a change.
    """

    channel: Channel
    reads: int
    missing: int
    changes: int
    state: str
    refresh_s: float | None
    at_most: bool
    resolution: float | None

    def to_json(self) -> dict:
        """Return the finding with its channel's name, unit and scope."""
        one = self.channel
        return {
            "channel": one.name,
            "unit": one.unit,
            "rail": one.rail,
            "scope": one.scope,
            "kind": one.kind,
            "part_of": one.part_of,
            "gain": one.specification.gain,
            "specified_refresh_s": one.refresh_s,
            "source": one.specification.source,
            "reads": self.reads,
            "missing": self.missing,
            "changes": self.changes,
            "state": self.state,
            "refresh_s": self.refresh_s,
            "at_most": self.at_most,
            "resolution": self.resolution,
        }


def look(
    sensor: Sensor,
    seconds: float = 1.0,
    load: Callable[[bool], None] | None = None,
    wait: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> list[Finding]:
    """Read an open sensor for a while, a polled one at twice its own pace, and return what its channels do.

    Args:
        sensor: open; on the host's clock.
        seconds: to look for.
        load: switches the load on (True) half-way and off again; with it a stale value is known to be one.
    """
    rows, end_s, switched = [], now() + seconds, False
    period_s = 0.0 if sensor.period_s is None else sensor.period_s / 2
    due_s = now()
    try:
        while now() < end_s:
            if load is not None and not switched and now() > end_s - seconds / 2:
                load(True)
                switched = True
            rows.append(sensor.read(timeout_s=min(1.0, max(0.05, end_s - now()))))
            due_s += period_s
            if due_s > now():
                wait(due_s - now())
            else:
                due_s = now()
    finally:
        if switched:
            load(False)
    return findings(sensor.channels, Readings.joined(rows, len(sensor.channels)), load_changed=switched)


def findings(channels: tuple[Channel, ...], rows: Readings, load_changed: bool = False) -> list[Finding]:
    """Return what rows that have been read say of their channels."""
    columns = [rows.values[:, i] for i in range(len(channels))]
    moved = [_changes(column) for column in columns]
    device_s = rows.device_t_s[np.isfinite(rows.device_t_s)]
    alive = any(len(changes) for changes in moved) or len(set(rows.sequence[rows.sequence >= 0])) > 1 or len(set(device_s)) > 1
    found = []
    for channel, column, changes in zip(channels, columns, moved, strict=True):
        state = CHANGING if len(changes) else CONSTANT if alive else STALE if load_changed else UNCHANGED
        refresh_s, at_most = _refresh(rows.t_s, column, changes)
        found.append(
            Finding(
                channel,
                len(rows),
                int(np.sum(~np.isfinite(column))),
                len(changes),
                state,
                refresh_s,
                at_most,
                _resolution(column),
            )
        )
    return found


def _changes(column: np.ndarray) -> np.ndarray:
    """Return the indices of rows whose value differs from the last one that there was."""
    there = np.flatnonzero(np.isfinite(column))
    return there[1:][np.diff(column[there]) != 0]


def _refresh(t_s: np.ndarray, column: np.ndarray, changes: np.ndarray) -> tuple[float | None, bool]:
    """Return the time between two new values, and whether it is only an upper bound.

    A new value may equal the old one, so spacings are multiples of the refresh: the shortest ones are taken for one, and the
    whole time between first and last change is divided by the number of refreshes that it then holds.
    """
    if len(changes) < FEWEST_CHANGES:
        return None, False
    spacings = np.diff(t_s[changes])
    if not np.sum(spacings) > 0:
        return None, False
    one = float(np.median(spacings[spacings <= 1.5 * np.quantile(spacings, 0.1)]))
    if one > 0:
        for _ in range(3):
            one = float(np.sum(spacings) / np.sum(np.maximum(1, np.round(spacings / one))))
    else:
        one = float(np.mean(spacings))
    reads = np.sum(np.isfinite(column[changes[0] : changes[-1] + 1])) - 1
    return one, bool(len(spacings) > EVERY_READ * reads)


def _resolution(column: np.ndarray) -> float | None:
    """Return the smallest difference between two values; differences that only rounding to floats makes do not count."""
    values = np.unique(column[np.isfinite(column)])
    steps = np.diff(values)
    real = steps[steps > 1e-9 * max(1e-300, float(np.max(np.abs(values))))] if len(values) > 1 else steps
    return float(np.min(real)) if len(real) and math.isfinite(np.min(real)) else None
