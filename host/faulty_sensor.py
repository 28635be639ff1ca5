"""A sensor with faults put in on purpose, around any other sensor, to see what becomes of them.

The same seed gives the same faults in the same reads, whatever the time is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from host.readings import Loss, Readings
from host.sensor import Sensor, SensorError, SensorLost

SENTINEL = 4294967.295
"""0xFFFFFFFF milliunits: what a failed transfer becomes where nobody checks it."""


@dataclass(frozen=True)
class Faults:
    """What goes wrong. Probabilities are per row; reads are counted from 0.

    Attributes:
        seed: of the draws.
        failed: all values of the row are missing, and a loss says so.
        nan: all values are NaN and nothing says so.
        sentinel: the first value is SENTINEL, unchecked.
        zero: the first value is 0, unchecked.
        stuck: from here on `stuck_rows` rows repeat the row before.
        duplicate: the row comes twice.
        swap: the row comes after the next one.
        stall: the read takes `stall_s` longer.
        jump: stamps are `jump_s` later from here on.
        unplug_at: the read in which the sensor is unplugged, -1 for never; then `unplug_opens` attempts to open it fail.
    """

    seed: int = 0
    failed: float = 0.0
    nan: float = 0.0
    sentinel: float = 0.0
    zero: float = 0.0
    stuck: float = 0.0
    stuck_rows: int = 20
    duplicate: float = 0.0
    swap: float = 0.0
    stall: float = 0.0
    stall_s: float = 0.2
    jump: float = 0.0
    jump_s: float = 1.0
    unplug_at: int = -1
    unplug_opens: int = 3

    def __post_init__(self):
        for name in RATES:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name}={getattr(self, name)} is a probability, from 0 to 1")


RATES = ("failed", "nan", "sentinel", "zero", "stuck", "duplicate", "swap", "stall", "jump")


class FaultySensor(Sensor):
    """`inner` with `faults`. `injected` counts what was put in, by name."""

    def __init__(self, url: str, inner: Sensor, faults: Faults, wait: Callable[[float], None] = time.sleep):
        super().__init__(url)
        self._inner, self._faults, self._wait = inner, faults, wait
        self.injected = {name: 0 for name in (*RATES, "unplug")}
        self._draws = {name: np.random.default_rng([faults.seed, i]) for i, name in enumerate(RATES)}
        self._reads, self._refused_opens = 0, 0
        self._shift_s, self._stuck_left = 0.0, 0
        self._last: np.ndarray | None = None
        self._held: Readings | None = None
        self._copy_attributes()

    def _copy_attributes(self) -> None:
        self.channels, self.clock = self._inner.channels, self._inner.clock
        self.label, self.period_s = self._inner.label, self._inner.period_s

    def open(self) -> None:
        """Open the sensor inside, unless it is unplugged."""
        if self._refused_opens:
            self._refused_opens -= 1
            raise SensorError(f"sensor {self.url!r} is unplugged")
        self._inner.open()
        self._copy_attributes()

    def close(self) -> None:
        """Close the sensor inside."""
        self._inner.close()

    def feed(self, payload: dict) -> None:
        """Hand the run's data to the sensor inside."""
        self._inner.feed(payload)

    def mark(self, name: str) -> bool:
        """Set the mark in the stream of the sensor inside."""
        return self._inner.mark(name)

    def describe(self) -> dict:
        """Return the faults beside the description of the sensor inside, so that no trace hides them."""
        faults = {field.name: getattr(self._faults, field.name) for field in fields(Faults)}
        return {"faulty": faults, "inner": self._inner.describe()}

    def read(self, timeout_s: float = 1.0) -> Readings:
        """Return the rows of the sensor inside, with faults."""
        if self._reads == self._faults.unplug_at:
            self._reads += 1
            self._refused_opens = self._faults.unplug_opens
            self.injected["unplug"] += 1
            raise SensorLost(f"sensor {self.url!r} was unplugged")
        self._reads += 1
        rows = self._inner.read(timeout_s)
        self.losses.extend(self._inner.take_losses())
        parts = [part for i in range(len(rows)) for part in self._row(_rows(rows, i))]
        return Readings.joined(parts, len(self.channels))

    def _row(self, row: Readings) -> list[Readings]:
        """Return what becomes of one row: none, itself or several."""
        hit = {name: self._draws[name].random() < getattr(self._faults, name) for name in RATES}
        for name in RATES:
            self.injected[name] += hit[name]
        width_s = row.width_s.copy()
        if hit["stall"]:
            self._wait(self._faults.stall_s)
            width_s += self._faults.stall_s
        self._shift_s += self._faults.jump_s * hit["jump"]
        row = Readings(row.t_s + self._shift_s, width_s, self._values(row, hit), row.device_t_s, row.sequence)
        out = [row, row] if hit["duplicate"] else [row]
        if self._held is not None:
            out, self._held = [*out, self._held], None
        elif hit["swap"]:
            out, self._held = out[1:], row
        return out

    def _values(self, row: Readings, hit: dict[str, bool]) -> np.ndarray:
        values = row.values.copy()
        if hit["stuck"] and not self._stuck_left and self._last is not None:
            self._stuck_left = self._faults.stuck_rows
        if self._stuck_left:
            self._stuck_left -= 1
            values = self._last.copy()
        self._last = values.copy()
        if hit["sentinel"]:
            values[0, 0] = SENTINEL
        if hit["zero"]:
            values[0, 0] = 0.0
        if hit["nan"] or hit["failed"]:
            values[:] = math.nan
        if hit["failed"]:
            self.losses.append(Loss(float(row.t_s[0]), "failed read", 1, "put in on purpose"))
        return values


def _rows(rows: Readings, i: int) -> Readings:
    part = slice(i, i + 1)
    return Readings(rows.t_s[part], rows.width_s[part], rows.values[part], rows.device_t_s[part], rows.sequence[part])
