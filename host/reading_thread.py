"""One thread per sensor: opens it, reads it when it is due or when something arrives, brings it back when it was lost.

A polled sensor is read in a loop of absolute deadlines: slot k is due at start + k * period, however long anything took. A
slot that passed without a read is counted, never made up for. A stream is waited for. A simulated sensor knows no real
time: it is read after everything that it was fed.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from array import array
from collections.abc import Callable

import numpy as np

from host import scheduling
from host.readings import VIRTUAL_CLOCK, Loss, Readings
from host.sample_buffer import LossLog, SampleBuffer
from host.sensor import Channel, Sensor, SensorError, SensorLost, open_sensor

STALLED_S = 0.05
"""A read that takes longer has stalled, unless the sensor is slower by nature (see `ReadingThread.stalled_s`)."""

NAP_S = 0.1
"""No sleep is longer, so that a stop is seen."""

STREAM_TIMEOUT_S = 0.2
FIRST_BACK_OFF_S, LAST_BACK_OFF_S = 0.1, 2.0
LATENESS_KEPT = 1 << 16
PATIENCE_S = 10.0
"""A simulated sensor waits so long for the writer to make room."""

FEEDS_WAITING = 8
"""Payloads that may wait for a simulated sensor; then the pipe from the working process blocks. None is ever left out."""


def within(timeout_s: float, wait: Callable[[float], bool]) -> bool:
    """Wait in slices, of which there is at least one: what the machine or the process stands still for counts as one slice.

    Args:
        wait: waits for at most so many seconds and returns whether it came.
    """
    return any(wait(NAP_S) for _ in range(max(1, math.ceil(timeout_s / NAP_S))))


class ReadingThread:
    """A sensor and the thread that reads it.

    Attributes:
        url: of the sensor.
        sensor: once it is open.
        channels, description: what the sensor said of itself when it was opened.
        buffer, losses: what it delivered, for the writer.
        latest: values of the last row, None before it.
        failed: why the sensor was given up, one sentence; "" while it is read.
        failure: the exception behind `failed`.
        opened: set when the sensor is open, or has failed to open.
        delivering: set when the first row is there, or never will be.
    """

    def __init__(self, url: str):
        self.url = url
        self.sensor: Sensor | None = None
        self.channels: tuple[Channel, ...] = ()
        self.description: dict = {}
        self.buffer: SampleBuffer | None = None
        self.losses = LossLog()
        self.latest: np.ndarray | None = None
        self.failed = ""
        self.failure: Exception | None = None
        self.opened = threading.Event()
        self.delivering = threading.Event()
        self.flush = threading.Event()
        self.stalled_s = STALLED_S
        self._stop_s: float | None = None
        self._feeds: queue.Queue = queue.Queue(FEEDS_WAITING)
        self._reading_since: float | None = None
        self._stall_noted = False
        self._start_s = 0.0
        self._slot = 0
        self._reads = 0
        self._lateness = array("d", bytes(8 * LATENESS_KEPT))
        self._thread = threading.Thread(target=self._run, name=url, daemon=True)

    @property
    def is_virtual(self) -> bool:
        """Whether the sensor runs on the clock of a simulated board."""
        return self.sensor is not None and self.sensor.clock == VIRTUAL_CLOCK

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ask for the end: what was fed is read, a polled sensor is read once more, then the sensor is released."""
        self._stop_s = time.monotonic()
        if self.is_virtual:
            try:
                self._feeds.put_nowait(None)
            except queue.Full:
                pass  # the thread looks at _stop_s when the queue is empty

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; return whether it came. A thread whose read never comes back accounts for its slots here."""
        within(timeout_s, lambda slice_s: self._thread.join(slice_s) or not self._thread.is_alive())
        if self._thread.is_alive() and self._reading_since is not None and self.sensor is not None and self.sensor.period_s:
            self._count_slots(time.monotonic(), "stalled read", "the read never came back")
        return not self._thread.is_alive()

    def feed(self, payload: dict, timeout_s: float) -> bool:
        """Hand the sensor something; return False when it took nothing for so long."""
        try:
            self._feeds.put(payload, timeout=timeout_s)
        except queue.Full:
            return False
        return True

    def watch(self) -> None:
        """Note a read that is under way for too long, or a thread that is no more. To be called now and then by another one."""
        since, now = self._reading_since, time.monotonic()
        if not self._thread.is_alive() and self._stop_s is None and not self.failed:
            self.failed = f"the thread that read sensor {self.url!r} has ended"
        if since is None or now - since <= self.stalled_s:
            self._stall_noted = False
        elif not self._stall_noted:
            self._stall_noted = True
            self.losses.add(Loss(now, "stalled read", 0, f"no answer for {now - since:.3f} s"))

    def statistics(self) -> dict:
        """Return JSON data on the loop: slots, reads, rows, losses by reason, how late reads began (polled sensors)."""
        found = {"rows": self.buffer.rows if self.buffer else 0, "losses": dict(self.losses.counts)}
        if self.sensor is not None and self.sensor.period_s is not None and not self.is_virtual:
            found |= {"start_s": self._start_s, "slots": self._slot, "reads": self._reads}
            late = np.frombuffer(self._lateness)[:min(self._reads, LATENESS_KEPT)]
            if len(late):
                levels = np.percentile(late, [50, 99, 99.9, 100])
                found["lateness_s"] = dict(zip(("p50", "p99", "p99.9", "max"), (round(float(x), 7) for x in levels), strict=True))
        return found

    def _run(self) -> None:
        try:
            self.sensor = open_sensor(self.url)
            self._open()
            self.channels, self.description = self.sensor.channels, self.sensor.describe()
            self.buffer = SampleBuffer(len(self.sensor.channels))
            self.opened.set()
            if self.is_virtual:
                self._virtual()
            elif self.sensor.period_s is None:
                self._stream()
            else:
                self._polled(self.sensor.period_s)
        except SensorError as error:
            self._fail(error, " ".join(str(error).split()))
        except Exception as error:  # a fault of a driver ends its sensor, not the others
            self._fail(error, f"the driver of sensor {self.url!r} failed: {type(error).__name__}: {' '.join(str(error).split())}")
        finally:
            self._reading_since = None
            self.opened.set()
            self.delivering.set()
            if self.sensor is not None:
                try:
                    self.sensor.close()
                except Exception as error:
                    self.failed = self.failed or f"sensor {self.url!r} could not be released: {error}"

    def _fail(self, error: Exception, sentence: str) -> None:
        self.failure, self.failed = error, sentence
        if self.buffer is not None:
            self._take_losses()
            self.losses.add(Loss(time.monotonic(), "failed read", 0, f"given up: {sentence}"))

    def _open(self) -> None:
        self.sensor.open()
        if not self.sensor.channels:
            raise SensorError(f"sensor {self.url!r} has no channels")

    def _polled(self, period_s: float) -> None:
        sensor, lateness, mask = self.sensor, self._lateness, LATENESS_KEPT - 1
        scheduling.go_first(2)
        self._start_s = start_s = self._first_read(period_s) + period_s
        while True:
            due_s = start_s + self._slot * period_s
            self._nap_until(due_s)
            # A slot that was due before the stop is read or counted still, however late; then comes one more read.
            stopping = self._stop_s is not None and self._stop_s < due_s
            before = time.monotonic()
            self._reading_since = before
            try:
                readings = sensor.read(self.stalled_s)
            except SensorLost as error:
                self._reading_since = None
                self._slot += 1
                self._lost(error)
                if self._stop_s is not None:
                    return
                continue
            self._reading_since = None
            after = time.monotonic()
            if not stopping:
                lateness[self._reads & mask] = before - due_s
                self._reads += 1
                self._slot += 1
                if after >= start_s + self._slot * period_s:
                    # Before the row is handed on: no commit then holds a row behind a hole without the hole's count.
                    late, took = f"began {before - due_s:.4f} s late", f"took {after - before:.4f} s"
                    self._count_slots(after, "missed deadline", f"{late}, {took}")
            if after - before > self.stalled_s:
                self.losses.add(Loss(after, "stalled read", max(1, len(readings)), f"answered after {after - before:.3f} s"))
                self._take_losses(but="stalled read")
            else:
                self._deliver(readings)
            if stopping:
                return

    def _first_read(self, period_s: float) -> float:
        """Read once out of turn: the run has a sample before its start, and what is slow by nature is no stall.

        Returns:
            When the read began: the slots are counted from there.
        """
        took_s = math.inf
        for _ in range(2):
            before = time.monotonic()
            readings = self.sensor.read(max(1.0, period_s))
            took_s = min(took_s, time.monotonic() - before)
            if took_s < STALLED_S:
                break
        self._deliver(readings)
        self.stalled_s = max(STALLED_S, 3 * period_s, 4 * took_s)
        return before

    def _count_slots(self, now: float, reason: str, detail: str) -> None:
        """Count the slots that are due at `now` and were not read."""
        due = int((now - self._start_s) / self.sensor.period_s) + 1
        if due > self._slot:
            self.losses.add(Loss(now, reason, due - self._slot, detail))
            self._slot = due

    def _stream(self) -> None:
        scheduling.go_first(1)
        settled_s = None
        self.stalled_s = 5 * STREAM_TIMEOUT_S
        while True:
            self._reading_since = time.monotonic()
            try:
                readings = self.sensor.read(STREAM_TIMEOUT_S)
            except SensorLost as error:
                self._reading_since = None
                self._lost(error)
                readings = Readings.none(len(self.sensor.channels))
            self._deliver(readings)
            if self._stop_s is not None:
                settled_s = settled_s or time.monotonic() + 2 * STREAM_TIMEOUT_S
                if (len(readings) and readings.t_s[-1] > self._stop_s) or time.monotonic() > settled_s:
                    return

    def _virtual(self) -> None:
        self.delivering.set()
        while True:
            try:
                payload = self._feeds.get(timeout=NAP_S)
            except queue.Empty:
                payload = None
                if self._stop_s is None:
                    continue
            if payload is not None:
                self.sensor.feed(payload)
            while len(readings := self.sensor.read(0.0)):
                self._deliver(readings)
            self._take_losses()
            if payload is None and self._feeds.empty():
                return

    def _deliver(self, readings: Readings) -> None:
        sensor = self.sensor
        if len(readings):
            left_out = self.buffer.add_all(readings, PATIENCE_S) if self.is_virtual else self.buffer.add(readings)
            if left_out:
                self.losses.add(Loss(float(readings.t_s[-left_out]), "queue overflow", left_out, "the writer did not keep up"))
            self.latest = readings.values[-1]
            if not self.delivering.is_set():
                self.delivering.set()
            if self.buffer.full_share > 0.5:
                self.flush.set()
        if sensor.losses:
            self._take_losses()

    def _take_losses(self, but: str = "") -> None:
        for loss in self.sensor.take_losses():
            if loss.reason != but:
                self.losses.add(loss)

    def _lost(self, error: SensorLost) -> None:
        """Try to get the sensor back until it is there or the run stops; the slots meanwhile are counted."""
        gone_s = time.monotonic()
        self.losses.add(Loss(gone_s, "unplugged", 0, " ".join(str(error).split())))
        back_off_s, found, why = FIRST_BACK_OFF_S, False, ""
        while not found and self._stop_s is None:
            self.sensor.close()
            self._nap_until(time.monotonic() + back_off_s)
            back_off_s = min(2 * back_off_s, LAST_BACK_OFF_S)
            try:
                self._open()
                found = True
            except SensorError as still:
                why = f": {' '.join(str(still).split())}"
                continue
            if self.sensor.channels != self.channels:
                raise SensorError(f"sensor {self.url!r} came back with other channels: "
                                  f"{[c.name for c in self.sensor.channels]} instead of {[c.name for c in self.channels]}")
        self._take_losses()
        now = time.monotonic()
        if self.sensor.period_s is not None:
            self._count_slots(now, "unplugged", f"gone for {now - gone_s:.3f} s{'' if found else why}")
        if found:
            self.losses.add(Loss(now, "replugged", 0, f"after {now - gone_s:.3f} s"))

    def _nap_until(self, deadline_s: float) -> None:
        while (left_s := deadline_s - time.monotonic()) > 0 and self._stop_s is None:
            time.sleep(min(left_s, NAP_S))
