"""The sampler: `python -m host.sampler_process`, started by `host.sampler`. Reads the sensors, writes the trace.

Messages of `host.frames` come through standard input: first what to sample, then marks, feeds and the stop. Answers go to
standard output: ready or failed, the status five times a second, the end. When standard input closes, or the parent is
gone, the working process has died: the trace is flushed and marked aborted, the sensors are released, all within 2 s.
"""

from __future__ import annotations

import fcntl
import gc
import math
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np

from host import frames as pipe
from host import machine, scheduling
from host.reading_thread import ReadingThread, within
from host.readings import HOST_CLOCK, Loss
from host.trace import Gap, Mark, TraceError
from host.trace_file import TraceWriter
from host.trace_format import channel_data, mark_row

COMMIT_S = 0.5
STATUS_S = 0.2
OBSERVE_S = 60.0
OPEN_TIMEOUT_S = 30.0
FIRST_ROW_S = 2.0
END_S = 1.0
"""Sensors have so long to come to an end."""

MARKS_WAITING = 100_000


class Outlet:
    """Standard output, without ever waiting for the working process: a status that does not fit is left out."""

    def __init__(self, handle: int):
        self._handle = handle
        self._left = b""
        fcntl.fcntl(handle, fcntl.F_SETFL, fcntl.fcntl(handle, fcntl.F_GETFL) | os.O_NONBLOCK)

    def offer(self, message: dict) -> None:
        """Send a message if the one before has gone."""
        if not self._left:
            self._left = pipe.frame(message)
        self._push()

    def send(self, message: dict, timeout_s: float = 5.0) -> None:
        """Send a message, waiting for room for at most so long; who has gone is not waited for."""
        self._left += pipe.frame(message)
        until = time.monotonic() + timeout_s
        while self._push() and time.monotonic() < until:
            time.sleep(0.001)

    def _push(self) -> bool:
        try:
            while self._left:
                self._left = self._left[os.write(self._handle, self._left):]
        except BlockingIOError:
            return True
        except OSError:
            self._left = b""
        return False


class Process:
    """The sampler's threads: one per sensor, one that listens, one that writes, and the main one that watches them.

    Attributes:
        threads: of the sensors, in the order of the trace.
    """

    def __init__(self, outlet: Outlet, parent: int):
        self._outlet, self._parent = outlet, parent
        self.threads: list[ReadingThread] = []
        self._writer: TraceWriter | None = None
        self._marks: list[Mark] = []
        self._open_windows: dict[tuple[str, int], Mark] = {}
        self._virtual_s = 0.0
        self._lock = threading.Lock()
        self._observations: list[tuple[float, str, object]] = []
        self._over = threading.Event()
        self._flush = threading.Event()
        self._write_until_empty = threading.Event()
        self._status = "aborted"
        self._fault = ""

    def run(self, messages) -> None:
        """Sample until the working process says stop or is gone."""
        try:
            self._begin(next(messages, {}))
        except (TraceError, OpenError) as error:
            for thread in self.threads:
                thread.stop()
            message = " ".join(str(error).split())
            self._outlet.send({"kind": "failed", "message": message, "module": getattr(error, "module", None)})
            for thread in self.threads:
                thread.join(END_S)
            return
        writing = threading.Thread(target=self._write, name="writer", daemon=True)
        writing.start()
        threading.Thread(target=self._listen, args=(messages,), name="listener", daemon=True).start()
        try:
            self._watch()
        except Exception as error:  # whatever it is, what was recorded is written first
            self._fault = f"the sampler failed: {type(error).__name__}: {error}"
            self._over.set()
        self._end(writing)

    def abort(self, *_) -> None:
        """End as if the working process had gone (SIGTERM)."""
        self._over.set()

    def _begin(self, order: dict) -> None:
        if order.get("kind") != "start":
            raise OpenError("the sampler was not told what to sample; it is started by host.sampler.Sampler")
        self.threads = [ReadingThread(url) for url in order["sensors"]]
        for thread in self.threads:
            thread.flush = self._flush
            thread.start()
        until = time.monotonic() + OPEN_TIMEOUT_S
        for thread in self.threads:
            if not thread.opened.wait(max(0.0, until - time.monotonic())):
                raise OpenError(f"sensor {thread.url!r} did not open within {OPEN_TIMEOUT_S:.0f} s")
        until = time.monotonic() + FIRST_ROW_S
        for thread in self.threads:
            within(until - time.monotonic(), thread.delivering.wait)
            if thread.failed:
                raise OpenError(thread.failed, thread.failure)
        physical = not all(thread.is_virtual for thread in self.threads)
        scheduled = scheduling.go_first() if physical else "ordinary"
        provenance = {**order["provenance"], "machine": machine.identity(), "clocks": machine.clocks(), "sampler": {
            "pid": os.getpid(), "parent_pid": self._parent, "scheduling": scheduled, "commit_s": COMMIT_S,
            "python": sys.version.split()[0], "numpy": np.__version__}}  # fmt: skip
        self._writer = TraceWriter(order["path"], provenance, order["memory_bytes"], not order["unwritable_is_kept"])
        ready = []
        for thread in self.threads:
            sensor = thread.sensor
            self._writer.add_sensor(sensor.url, sensor.clock, sensor.label, thread.channels, thread.description, sensor.period_s)
            ready.append({"url": sensor.url, "clock": sensor.clock, "label": sensor.label, "period_s": sensor.period_s,
                          "channels": [channel_data(channel) for channel in thread.channels],
                          "description": thread.description})  # fmt: skip
        self._observe_machine()
        self._write_once()
        self._outlet.send({"kind": "ready", "sensors": ready, "pid": os.getpid(), "problem": self._writer.problem})

    def _listen(self, messages) -> None:
        """Take what comes from the working process. A sensor that is behind with its feeds holds the pipe up."""
        by_url = {thread.url: thread for thread in self.threads}
        try:
            for message in messages:
                kind = message.get("kind")
                if kind == "mark":
                    self._take_mark(Mark(**message["mark"]))
                elif kind == "feed":
                    thread = by_url[message["sensor"]]
                    if not thread.is_virtual:
                        raise ValueError(f"sensor {thread.url!r} takes nothing from the run: it is not simulated")
                    while thread.is_alive and not self._over.is_set() and not thread.feed(message["payload"], STATUS_S):
                        pass
                elif kind == "stop":
                    self._status = message["status"]
                    return
        except (pipe.FrameError, KeyError, TypeError, ValueError, TraceError) as error:
            self._fault = f"the sampler got a message that it does not understand: {type(error).__name__}: {error}"
        finally:
            self._over.set()

    def _take_mark(self, mark: Mark) -> None:
        mark_row(mark)  # what the writer would refuse is refused here, where it does not end the writing
        with self._lock:
            key = (mark.name, mark.number)
            if mark.edge == "begin":
                self._open_windows[key] = mark
            else:
                self._open_windows.pop(key, None)
            if mark.clock != HOST_CLOCK:
                self._virtual_s = max(self._virtual_s, mark.t_s)
            self._marks.append(mark)
        while len(self._marks) > MARKS_WAITING and not self._over.is_set():
            self._flush.set()
            time.sleep(0.01)

    def _watch(self) -> None:
        clock, next_look = machine.ClockWatch(), time.monotonic() + OBSERVE_S
        while not self._over.wait(STATUS_S):
            now = time.monotonic()
            slept_s, stepped_s = clock.look()
            if stepped_s:
                self._note(now, "wall_clock_step_s", stepped_s)
            for thread in self.threads:
                if slept_s and not thread.is_virtual:
                    thread.losses.add(Loss(now, "suspend", 0, f"the machine slept for {slept_s:.3f} s"))
                thread.watch()
            if now >= next_look:
                next_look = now + OBSERVE_S
                self._observe_machine()
            self._outlet.offer(self._status_message(now))
            if os.getppid() != self._parent:
                self._over.set()

    def _status_message(self, now: float) -> dict:
        latest = {}
        for index, thread in enumerate(self.threads):
            if thread.latest is not None:
                for channel, value in zip(thread.channels, thread.latest.tolist(), strict=True):
                    latest[f"{index} {channel.name}"] = value if value == value else None
        return {"kind": "status", "t_s": now, "latest": latest, "problem": self._writer.problem, "fault": self._fault,
                "failed": {thread.url: thread.failed for thread in self.threads if thread.failed}}  # fmt: skip

    def _observe_machine(self) -> None:
        now = time.monotonic()
        self._note(now, "load_average", machine.load_average())
        self._note(now, "clocks", machine.clocks())

    def _note(self, t_s: float, key: str, value) -> None:
        with self._lock:
            self._observations.append((t_s, key, value))

    def _write(self) -> None:
        due = time.monotonic()
        while not self._write_until_empty.is_set():
            due = max(due + COMMIT_S, time.monotonic() + 0.1 * COMMIT_S)
            while (left := due - time.monotonic()) > 0 and not self._flush.wait(left):
                pass
            self._flush.clear()
            try:
                self._write_once()
            except Exception as error:  # the writer's death is the run's business: it is told with the next status
                self._fault = f"the sampler's writer failed: {type(error).__name__}: {error}"
                self._over.set()
                return

    def _write_once(self) -> None:
        writer = self._writer
        with self._lock:
            marks, self._marks = self._marks, []
            observations, self._observations = self._observations, []
        for index, thread in enumerate(self.threads):
            writer.append(index, thread.buffer.take())
            for loss in thread.losses.take():
                t_s = loss.t_s if math.isfinite(loss.t_s) else time.monotonic()
                writer.gap(Gap(index, t_s, loss.reason, loss.count, loss.detail))
        for mark in marks:
            writer.mark(mark)
        for t_s, key, value in observations:
            writer.observe(t_s, key, value)
        writer.commit()

    def _end(self, writing: threading.Thread) -> None:
        """Stop the sensors, write what is left, close the trace, answer."""
        for thread in self.threads:
            thread.stop()
        until = time.monotonic() + END_S
        feeding = self._status != "aborted"
        for thread in self.threads:
            while not thread.join(until - time.monotonic()) and thread.is_virtual and feeding:
                until = time.monotonic() + END_S  # simulated time is worked off, however long it takes
                self._outlet.offer(self._status_message(time.monotonic()))
        if self._status == "aborted":
            self._close_windows()
        for index, thread in enumerate(self.threads):
            self._note(time.monotonic(), f"sensor {index}", thread.statistics())
        self._observe_machine()
        self._write_until_empty.set()
        self._flush.set()
        writing.join(END_S if self._status == "aborted" else None)
        written, rows = False, []
        try:
            if not writing.is_alive():
                self._write_once()
                written = self._writer.close(self._status)
                rows = [] if written else self._writer.unwritten
        except Exception as error:
            self._fault = self._fault or f"the trace could not be closed: {type(error).__name__}: {error}"
        self._outlet.send({"kind": "ended", "status": self._status, "written": written, "unwritten": len(rows),
                           "problem": self._writer.problem, "fault": self._fault, "lost_rows": self._writer.lost_rows,
                           "failed": {thread.url: thread.failed for thread in self.threads if thread.failed}})  # fmt: skip
        for table, values in rows:
            self._outlet.send({"kind": "row", "table": table, "values": [_plain(value) for value in values]})

    def _close_windows(self) -> None:
        now = time.monotonic()
        with self._lock:
            for mark in reversed(self._open_windows.values()):
                t_s = max(now if mark.clock == HOST_CLOCK else self._virtual_s, mark.t_s)
                self._marks.append(Mark(t_s, mark.clock, "end", mark.name, mark.phase, mark.number, 0, {"aborted": True}))


class OpenError(RuntimeError):
    """A sensor cannot be had.

    Attributes:
        module: optional package that is missing, or None.
    """

    def __init__(self, message: str, cause: Exception | None = None):
        super().__init__(message)
        self.module = cause.name if isinstance(cause, ImportError) else None


def _plain(value):
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def main() -> None:
    """Be the sampler. Arguments: the working process's id and its folder."""
    parent, folder = int(sys.argv[1]), Path(sys.argv[2])
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the work first, and the work ends the sampler
    outlet = Outlet(os.dup(1))
    os.dup2(2, 1)  # what a driver prints is no message
    inlet = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    scheduling.guard()
    sys.setswitchinterval(1e-5)
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    process = Process(outlet, parent)
    signal.signal(signal.SIGTERM, process.abort)
    process.run(pipe.frames(inlet))
    sys.stderr.flush()
    os._exit(0)  # a read that never comes back does not keep the port


if __name__ == "__main__":
    main()
