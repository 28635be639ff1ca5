"""What stands between a sensor's thread and the writer: rows in preallocated arrays, losses in a list; both bounded."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np

from host.readings import Loss, Readings
from host.trace_format import part, row_bytes

BUFFER_BYTES = 16 << 20
"""Of the arrays of a sensor that wait for the writer: 400,000 rows of one channel, 20 s of 20,000 samples/s."""

SINGLE_LOSSES = 16
"""Losses of one reason that are kept apart between two commits; further ones are added to the last."""


class SampleBuffer:
    """Takes rows from one thread and gives them to another.

    Attributes:
        capacity: rows.
        rows: taken in so far.
    """

    def __init__(self, columns: int, capacity: int | None = None):
        self.capacity = capacity or max(1, BUFFER_BYTES // row_bytes(columns))
        self.rows = 0
        self._columns = columns
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._arrays = [self._empty(), self._empty()]
        self._filled = 0

    def add(self, readings: Readings) -> int:
        """Take what there is room for; return how many rows were left out."""
        with self._lock:
            return self._add(readings)

    def add_all(self, readings: Readings, timeout_s: float) -> int:
        """Take all, waiting for the reader to make room; return how many rows were left out when it made none for so long."""
        step = max(1, self.capacity // 2)
        for first in range(0, len(readings), step):
            rows = part(readings, first, first + step)
            with self._lock:
                most = self.capacity - len(rows)
                if not self._room.wait_for(lambda most=most: self._filled <= most, timeout_s):
                    return len(readings) - first
                self._add(rows)
        return 0

    @property
    def full_share(self) -> float:
        """Share of the capacity that is in use."""
        return self._filled / self.capacity

    def take(self) -> Readings:
        """Return all rows since the last call. They are good until the call after the next one."""
        with self._lock:
            arrays, filled = self._arrays[0], self._filled
            self._arrays.reverse()
            self._filled = 0
            self._room.notify_all()
        t_s, width_s, values, device_t_s, sequence = (array[:filled] for array in arrays)
        return Readings(t_s, width_s, values, device_t_s, sequence)

    def _add(self, readings: Readings) -> int:
        first = self._filled
        rows = min(len(readings), self.capacity - first)
        last = first + rows
        if rows:
            t_s, width_s, values, device_t_s, sequence = self._arrays[0]
            t_s[first:last] = readings.t_s[:rows]
            width_s[first:last] = readings.width_s[:rows]
            values[first:last] = readings.values[:rows]
            device_t_s[first:last] = readings.device_t_s[:rows]
            sequence[first:last] = readings.sequence[:rows]
            self._filled = last
            self.rows += rows
        return len(readings) - rows

    def _empty(self) -> tuple[np.ndarray, ...]:
        n = self.capacity
        return np.empty(n), np.empty(n), np.empty((n, self._columns)), np.empty(n), np.empty(n, np.int64)


class LossLog:
    """Losses of one sensor until the writer takes them.

    Attributes:
        counts: reason to the sum of all counts so far.
    """

    def __init__(self):
        self.counts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._losses: list[Loss] = []
        self._last: dict[str, list[int]] = {}

    def add(self, loss: Loss) -> None:
        """Take a loss."""
        with self._lock:
            self.counts[loss.reason] = self.counts.get(loss.reason, 0) + loss.count
            seen = self._last.setdefault(loss.reason, [])
            if len(seen) < SINGLE_LOSSES:
                seen.append(len(self._losses))
                self._losses.append(loss)
            else:
                last = self._losses[seen[-1]]
                self._losses[seen[-1]] = replace(last, count=last.count + loss.count, detail=f"several up to {loss.t_s:.6f} s")

    def take(self) -> list[Loss]:
        """Return the losses since the last call, oldest first."""
        with self._lock:
            taken, self._losses = self._losses, []
            self._last.clear()
            return taken
