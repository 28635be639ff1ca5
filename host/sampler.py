"""The sampler as the working process sees it: a context manager around a process of its own that reads the sensors.

What the work does (garbage collection, busy waiting, crashing) stretches no sampling period there. Marks are stamped here,
on the clock that the samples are stamped on, and go through a pipe.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from host import frames as pipe
from host.readings import HOST_CLOCK, VIRTUAL_CLOCK
from host.sensor import Channel
from host.trace import Mark, Trace
from host.trace_file import read_trace, trace_in_memory
from host.trace_format import channel_from, mark_row

ROOT = Path(__file__).parents[1]
READY_TIMEOUT_S = 45.0
SILENT_S = 5.0
"""The sampler says something five times a second; after so long a silence it counts as dead."""

END_TIMEOUT_S = 30.0
REST_SLICE_S = 0.1
MEMORY_BYTES = 64 << 20


class SamplerError(RuntimeError):
    """The sampler could not start, died, or gave a sensor up; the message says which and why."""


@dataclass(frozen=True)
class Sampled:
    """A sensor as the sampler opened it; attributes as of host.trace.SensorRecord."""

    url: str
    clock: str
    label: str
    channels: tuple[Channel, ...]
    description: dict
    period_s: float | None


@dataclass(frozen=True)
class Recording:
    """What a sampler leaves.

    Attributes:
        path: of the trace file.
        status: "finished" or "aborted".
        problem: why not all of it is in the file, one sentence; "" where it is.
        failed: URL to the reason for sensors that were given up.
        lost_rows: samples that neither the disk nor the memory could take.
        unwritten: rows that the disk did not take.
    """

    path: Path
    status: str
    problem: str = ""
    failed: dict[str, str] = field(default_factory=dict)
    lost_rows: int = 0
    unwritten: list = field(default_factory=list, repr=False)

    def trace(self) -> Trace:
        """Return the trace, from the file and, where the disk did not take all of it, from memory. Raises TraceError."""
        if not self.unwritten:
            return read_trace(self.path)
        return trace_in_memory(self.path if self.path.exists() else None, self.unwritten)


class Sampler:
    """Samples sensors into a trace file while the block runs.

    Leaving the block ends the recording: finished, or aborted when an exception passes; windows that are open then are
    closed and marked aborted. Leaving it without one raises SamplerError when a sensor was given up meanwhile.

    Attributes:
        sensors: as they were opened, in the order of the trace.
        recording: what was left, once it has ended; None before.
    """

    def __init__(self, trace_path: Path | str, sensor_urls: list[str] | tuple[str, ...], provenance: dict | None = None, *,
                 memory_bytes: int = MEMORY_BYTES, unwritable_is_kept: bool = False):  # fmt: skip
        """Prepare; nothing is opened yet.

        Args:
            trace_path: file to make; its folder must be there.
            sensor_urls: as of host.sensor.open_sensor.
            provenance: JSON data to store; the sampler adds the machine's identity and clocks.
            memory_bytes: how much is kept in memory when the disk takes nothing more.
            unwritable_is_kept: where the file cannot be made at all, record in memory instead of refusing to start.
        """
        self.path = Path(trace_path).absolute()
        self.urls = list(sensor_urls)
        self.sensors: tuple[Sampled, ...] = ()
        self.recording: Recording | None = None
        self._order = {"kind": "start", "path": str(self.path), "sensors": self.urls, "provenance": provenance or {},
                       "memory_bytes": memory_bytes, "unwritable_is_kept": unwritable_is_kept}  # fmt: skip
        self._process: subprocess.Popen | None = None
        self._owner = os.getpid()
        self._sending = threading.Lock()
        self._heard = threading.Condition()
        self._heard_s = 0.0
        self._deaf = False
        self._status: dict = {}
        self._answer: dict | None = None
        self._ended: dict | None = None
        self._rows: list[tuple[str, tuple]] = []
        self._names: dict[str, str] = {}

    def __enter__(self) -> Sampler:
        self.start()
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is None:
            for sentence in self.stop("finished").failed.values():
                raise SamplerError(sentence)
            return
        with contextlib.suppress(SamplerError):  # the exception that passes is what the user has to see
            self.stop("aborted")

    @staticmethod
    def now_s() -> float:
        """Return the time on the host clock, on which physical sensors are stamped."""
        return time.monotonic()

    @property
    def pid(self) -> int:
        """The sampler's process id."""
        return self._process.pid

    @property
    def problem(self) -> str:
        """Why the disk does not take the trace at the moment, one sentence; "" while it does. Recording goes on in memory."""
        return self._status.get("problem", "")

    def start(self) -> None:
        """Start the sampler and wait until every sensor delivers.

        Raises:
            SamplerError: a sensor cannot be opened, or the trace not be made; the sentence says why.
            ModuleNotFoundError: a sensor needs an optional package that is not installed.
        """
        if not self.urls or len(set(self.urls)) != len(self.urls):
            raise SamplerError(f"{', '.join(self.urls) or 'no sensor'} to be sampled: at least one is, and none twice")
        self._errors = tempfile.TemporaryFile()
        paths = [str(ROOT), *(os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path)]
        self._process = subprocess.Popen(
            [sys.executable or "python3", "-m", "host.sampler_process", str(os.getpid()), os.getcwd()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, cwd=ROOT, start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )  # fmt: skip
        os.set_blocking(self._process.stdin.fileno(), False)
        self._heard_s = time.monotonic()
        self._hearing = threading.Thread(target=self._hear, name="sampler", daemon=True)
        self._hearing.start()
        try:
            self._send(self._order)
            self._await(lambda: self._answer, READY_TIMEOUT_S, "did not start")
        except BaseException:
            self._kill()
            raise
        if self._answer["kind"] == "failed":
            self._kill()
            if self._answer.get("module"):
                raise ModuleNotFoundError(self._answer["message"], name=self._answer["module"])
            raise SamplerError(self._answer["message"])
        self.sensors = tuple(
            Sampled(one["url"], one["clock"], one["label"], tuple(channel_from(c) for c in one["channels"]), one["description"],
                    one["period_s"]) for one in self._answer["sensors"])  # fmt: skip
        self._status = {"problem": self._answer["problem"]}
        self._names = self._display_names()

    def mark(self, mark: Mark) -> None:
        """Set a mark. Raises SamplerError when the sampler has died, TraceError where the mark cannot be stored."""
        mark_row(mark)
        note = json.loads(json.dumps(mark.note, default=float))
        self._send({"kind": "mark", "mark": {
            "t_s": float(mark.t_s), "clock": mark.clock, "edge": mark.edge, "name": mark.name, "phase": mark.phase,
            "number": int(mark.number), "iterations": int(mark.iterations), "note": note}})  # fmt: skip

    def begin(self, name: str, phase: str = "other", number: int = 0, note: dict | None = None) -> None:
        """Begin a window now, on the host clock."""
        self.mark(Mark(self.now_s(), HOST_CLOCK, "begin", name, phase, number, 0, note or {}))

    def end(self, name: str, number: int = 0, iterations: int = 0, phase: str = "other", note: dict | None = None) -> None:
        """End a window now; `iterations` were executed in it."""
        self.mark(Mark(self.now_s(), HOST_CLOCK, "end", name, phase, number, iterations, note or {}))

    def feed(self, sensor_url: str, payload: dict) -> None:
        """Hand JSON data to a simulated sensor. Waits while the sensor is behind; nothing that was fed is ever lost.

        Raises:
            SamplerError: no simulated sensor has that URL, or the sampler has died.
        """
        if not any(sensor.url == sensor_url and sensor.clock == VIRTUAL_CLOCK for sensor in self.sensors):
            raise SamplerError(f"sensor {sensor_url!r} takes nothing from the run: it is not simulated, or not sampled")
        self._send({"kind": "feed", "sensor": sensor_url, "payload": payload})

    def rest(self, seconds: float) -> None:
        """Let it sample for so long; what the machine stands still for meanwhile counts as a slice. Raises as `check`."""
        slices = math.ceil(seconds / REST_SLICE_S)
        for _ in range(slices):
            self.check()
            time.sleep(seconds / slices)

    def latest(self) -> dict[str, float | None]:
        """Return the newest values, up to 0.2 s old, by channel name (behind its sensor's URL where two have that name)."""
        found = self._status.get("latest", {})
        return {self._names[key]: value for key, value in found.items() if key in self._names}

    def check(self) -> None:
        """Raise SamplerError when the sampler has died or hangs, or has given a sensor up."""
        if self._process is None or self.recording is not None:
            raise SamplerError("the sampler is not running")
        self._alive()
        if self._status.get("fault"):
            raise SamplerError(self._status["fault"])
        for sentence in self._status.get("failed", {}).values():
            raise SamplerError(sentence)

    def stop(self, status: str = "finished") -> Recording:
        """End the recording and return what it left. Safe to call twice.

        Raises:
            SamplerError: the sampler died or hangs; what it had committed is in the trace file, with status "recording".
        """
        if self.recording is not None:
            return self.recording
        if self._process is None or os.getpid() != self._owner:
            raise SamplerError("the sampler is not running")
        try:
            self._send({"kind": "stop", "status": status})
            self._await(lambda: self._ended if self._ended and len(self._rows) >= self._ended["unwritten"] else None,
                        END_TIMEOUT_S, "did not end")  # fmt: skip
        finally:
            self._kill()
        ended = self._ended
        self.recording = Recording(self.path, ended["status"], ended["problem"], ended["failed"], ended["lost_rows"], self._rows)
        if ended["fault"]:
            raise SamplerError(ended["fault"])
        return self.recording

    def _display_names(self) -> dict[str, str]:
        every = [channel.name for sensor in self.sensors for channel in sensor.channels]
        return {f"{index} {channel.name}": channel.name if every.count(channel.name) == 1 else f"{sensor.url} {channel.name}"
                for index, sensor in enumerate(self.sensors) for channel in sensor.channels}  # fmt: skip

    def _send(self, message: dict) -> None:
        """Write a message into the pipe, waiting as long as the sampler lives. Raises SamplerError when it does not."""
        if self._process is None or self.recording is not None:
            raise SamplerError("the sampler is not running")
        handle, data = self._process.stdin.fileno(), memoryview(pipe.frame(message))
        with self._sending:
            while data:
                try:
                    data = data[os.write(handle, data):]
                except BlockingIOError:
                    select.select([], [handle], [], 0.2)
                    self._alive()
                except OSError:
                    raise self._death() from None

    def _alive(self) -> None:
        if self._process.poll() is not None:
            raise self._death()
        with self._heard:
            if time.monotonic() - self._heard_s > SILENT_S and not self._heard.wait(1.0):
                raise SamplerError(f"the sampler has said nothing for {time.monotonic() - self._heard_s:.0f} s: "
                                   f"what it recorded until then is in {self.path}")

    def _await(self, found, timeout_s: float, what: str) -> None:
        """Wait until found() is something; every message that comes gives the sampler its time again."""
        with self._heard:
            while found() is None:
                if not self._heard.wait(timeout_s):
                    raise SamplerError(f"the sampler {what} within {timeout_s:.0f} s")
                if found() is None and self._deaf:
                    raise self._death()

    def _hear(self) -> None:
        try:
            for message in pipe.frames(self._process.stdout.fileno()):
                with self._heard:
                    self._heard_s = time.monotonic()
                    kind = message["kind"]
                    if kind == "status":
                        self._status = message
                    elif kind == "row":
                        values = (bytes.fromhex(v["hex"]) if isinstance(v, dict) else v for v in message["values"])
                        self._rows.append((message["table"], tuple(values)))
                    elif kind == "ended":
                        self._ended = message
                    else:
                        self._answer = message
                    self._heard.notify_all()
        except (pipe.FrameError, KeyError, TypeError, ValueError):
            pass  # a sampler that speaks nonsense is as good as dead
        with self._heard:
            self._deaf = True
            self._heard.notify_all()

    def _kill(self) -> None:
        """End the process and free what it holds."""
        process = self._process
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(3.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._hearing.join(2.0)
        process.stdout.close()

    def _death(self) -> SamplerError:
        """Return why the sampler is no more, as far as one can tell."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        with self._heard:
            if not self._deaf:
                self._heard.wait(1.0)
        if self._ended is not None:
            return SamplerError(self._ended["fault"] or f"the sampler was ended from outside; what it recorded is in {self.path}")
        code = self._process.returncode
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - 4096))
        lines = self._errors.read().decode("utf-8", "replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        return SamplerError(f"the sampler died {how}{': ' + said if said else ''}; what it recorded until then is in {self.path}")
