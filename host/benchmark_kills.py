"""What is left of a trace when processes are killed, or the power goes.

`python -m host.benchmark_kills [--kills 200] [--cuts 2000] [--seed 1] [--folder DIR]`

Kills: a working process with a sampler at 1 kHz, setting marks; the worker, the sampler or both are killed (SIGKILL) at a
random moment, one in ten while the sampler starts. The trace must be readable, undamaged, without holes, and lack at most
the last second; within 2 s the sensor can be opened by another process. Killed before the sampler said it was ready, only
the last is promised.

Power cuts: a trace is written, committed and closed while everything that SQLite hands to the operating system is logged
(`host.power_cut`); the log is cut at a random event. What was committed before must be there. Exit code 1 where it is not.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from host import file_monitor
from host.power_cut import WriteLog, files_after
from host.readings import Readings
from host.sensor import Channel, SensorError, Specification, open_sensor
from host.trace import Mark, Trace, TraceError
from host.trace_file import TraceWriter, read_trace

LOST_S, FREE_S = 1.0, 2.0
LOOK_S = 0.1
"""Looks at a clock are closer to one another, unless the machine stands still: what is more does not count."""

VICTIMS = ("worker", "sampler", "both")

WORKER = """
import sys, time
from host.sampler import Sampler, SamplerError
try:
    with Sampler(sys.argv[1], [sys.argv[2]]) as recorder:
        print("ready", flush=True)
        for number in range(10**6):
            recorder.begin("iteration", "forward", number)
            time.sleep(0.005)
            recorder.end("iteration", number, 1)
except SamplerError:
    sys.exit(3)
"""


class Running:
    """A clock that runs while this process does. It has to be looked at all the time."""

    def __init__(self):
        self._began_s = self._last_s = time.monotonic()
        self._run_s = 0.0

    def look(self) -> float:
        """Return the seconds since the beginning for which the machine did not stand still."""
        now_s = time.monotonic()
        self._run_s += min(now_s - self._last_s, LOOK_S)
        self._last_s = now_s
        return self._run_s

    def held_up_s(self) -> float:
        """Return the seconds for which it did."""
        return self._last_s - self._began_s - self._run_s


@dataclass(frozen=True)
class Kill:
    """One trial.

    Attributes:
        victim: of VICTIMS.
        after_s: of recording (of life, if it was killed early), when it was killed.
        ready: whether the sampler had begun to record.
        lost_s: from the last row to the kill, or from the last mark if that is longer, less what the machine stood still; None
            before it was ready.
        freed_s: until the sensor could be opened again.
        faults: what is not as promised, in words.
    """

    victim: str
    after_s: float
    ready: bool
    lost_s: float | None
    freed_s: float
    faults: tuple[str, ...]


def kill(folder: Path, victim: str, after_s: float, early: bool) -> Kill:
    """Run a worker and its sampler, kill, and look at what is left. `early`: without waiting for the sampler to be ready."""
    path, url = folder / "run.trace", file_monitor.make(folder / "hwmon")
    ready = folder / "ready"
    with open(ready, "wb") as said:
        worker = subprocess.Popen([sys.executable, "-c", WORKER, str(path), url], stdout=said, stderr=subprocess.DEVNULL,
                                  cwd=Path(__file__).parents[1])  # fmt: skip
    while not early and ready.stat().st_size == 0:
        time.sleep(0.005)
    clock = Running()
    while clock.look() < after_s:
        time.sleep(0.005)
    was_ready = ready.stat().st_size > 0
    sampler = _child(worker.pid)
    killed_s = time.monotonic()
    for pid in {"worker": [worker.pid], "sampler": [sampler], "both": [worker.pid, sampler]}[victim]:
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
    clock.look()
    freed_s = _free(url)
    faults = [] if freed_s < FREE_S else [f"the sensor was not free after {FREE_S:g} s"]
    if victim == "sampler" and sampler is not None:
        try:
            worker.wait(60)
        except subprocess.TimeoutExpired:
            faults.append("the worker did not notice")
    worker.kill()
    worker.wait()
    if sampler is not None and not _ended(sampler):
        faults.append(f"the sampler had not ended after {FREE_S:g} s")
    lost_s = None
    if was_ready:
        try:
            trace = read_trace(path)
            lost_s = lost(trace, killed_s) - clock.held_up_s()
            statuses = {"worker": ["aborted"], "sampler": ["recording"], "both": ["recording", "aborted"]}  # both: not at once
            faults += wrong(trace, lost_s, statuses[victim])
        except TraceError as error:
            faults.append(str(error))
    return Kill(victim, after_s, was_ready, lost_s, freed_s, tuple(faults))


def lost(trace: Trace, killed_s: float) -> float:
    """Return how much of the time before the kill is missing from a trace."""
    stamps_s = trace.sensors[0].readings.t_s
    last_s = stamps_s[-1] if len(stamps_s) else -np.inf
    if trace.marks:
        last_s = min(last_s, trace.marks[-1].t_s)
    return float(killed_s - last_s)


def wrong(trace: Trace, lost_s: float, statuses: list[str]) -> list[str]:
    """Return in words what is not as promised of a trace that a kill left."""
    found = []
    readings = trace.sensors[0].readings
    if lost_s > LOST_S:
        found.append(f"the last {lost_s:.2f} s are lost")
    if trace.damaged_blocks or np.any(readings.values != 5.0) or np.any(np.diff(readings.t_s) <= 0):
        found.append(f"{trace.damaged_blocks} damaged blocks, or samples that were never taken")
    if trace.status not in statuses:
        found.append(f"status {trace.status}, not {' or '.join(statuses)}")
    numbers = [mark.number for mark in trace.marks if mark.edge == "begin"]
    if numbers != list(range(len(numbers))):
        found.append("marks are missing in between")
    span, last_s = (readings.t_s[-1] - readings.t_s[0], readings.t_s[-1]) if len(readings) else (0.0, 0.0)
    # What a row came late for is counted before the row is handed on: of the last row, or of one that was not written any more.
    missed, at_least = sum(gap.count for gap in trace.gaps), sum(gap.count for gap in trace.gaps if gap.t_s <= last_s)
    tolerance = 5 + 0.002 * len(readings)
    if not at_least - tolerance <= span / 0.001 - len(readings) <= missed + tolerance:
        found.append(f"{len(readings)} rows and {missed} counted as missed in {span:.3f} s")
    return found


def _child(parent: int) -> int | None:
    """Return the process that a process has started, None where there is none (yet)."""
    try:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    except OSError:
        children = []
    return int(children[0]) if children else None


def _ended(pid: int) -> bool:
    """Wait for a process to end; return whether it did in time."""
    clock = Running()
    while Path(f"/proc/{pid}").exists():
        if Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] == "Z":
            return True
        if clock.look() > FREE_S:
            return False
        time.sleep(0.01)
    return True


def _free(url: str) -> float:
    """Return how long it takes until the sensor can be opened; at most twice the limit is waited for."""
    clock = Running()
    while True:
        try:
            with open_sensor(url) as sensor:
                sensor.read()
            return clock.look()
        except SensorError:
            if clock.look() > 2 * FREE_S:
                return np.inf
            time.sleep(0.02)


CHANNEL = Channel("INT/power", "W", "INT", "core supply", "point", Specification(0.01))


def logged_run(path: Path, commits: int, rng: np.random.Generator) -> tuple[list, list[tuple[int, int, int]]]:
    """Write a trace and return the events, and after each commit: events so far, rows and marks that are safe."""
    safe = []
    with WriteLog() as log:
        writer = TraceWriter(path, {"commit": "none"})
        writer.add_sensor("play", "host", "measured", (CHANNEL,), {}, 0.001)
        writer.commit()
        row = 0
        for number in range(commits):
            rows = int(rng.integers(1, 3000))
            values = (row + np.arange(rows, dtype=float)).reshape(-1, 1)
            writer.append(0, Readings.of((row + np.arange(rows)) * 1e-3, values, rng.random(rows)))  # does not compress
            writer.mark(Mark(row * 1e-3, "host", "begin", "iteration", number=number))
            row += rows
            writer.commit()
            safe.append((len(log.events), row, number + 1))
        writer.close("finished")
        safe.append((len(log.events), row, commits))
    return log.events, safe


def cut(folder: Path, events: list, safe: list[tuple[int, int, int]], at: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Cut the power after event `at` and return in words what is not as promised."""
    for name, data in files_after(events[:at], rng).items():
        (folder / name).write_bytes(data)
    rows, marks = max([(rows, marks) for events_then, rows, marks in safe if events_then <= at], default=(0, 0))
    try:
        trace = read_trace(folder / "run.trace")
    except TraceError as error:
        return () if at < safe[0][0] else (str(error),)  # before the first commit nothing is promised
    values = trace.sensors[0].readings.values[:, 0] if trace.sensors else np.zeros(0)
    faults = []
    if len(values) < rows or len(trace.marks) < marks:
        faults.append(f"{len(values)} rows and {len(trace.marks)} marks of {rows} and {marks} that were committed")
    if trace.damaged_blocks or not np.array_equal(values, np.arange(len(values))):
        faults.append(f"{trace.damaged_blocks} damaged blocks, or rows that were never written")
    return tuple(faults)


def power_cuts(folder: Path, cuts: int, seed: int, commits: int = 60) -> list[str]:
    """Write a trace, cut the power `cuts` times, and return what was not as promised."""
    rng = np.random.default_rng(seed)
    events, safe = logged_run(folder / "run.trace", commits, rng)
    found = []
    for number in range(cuts):
        at = int(rng.integers(len(events) + 1))
        with tempfile.TemporaryDirectory(dir=folder) as disk:
            where = f"cut {number} after event {at} of {len(events)}"
            found += [f"{where}: {fault}" for fault in cut(Path(disk), events, safe, at, rng)]
    return found


def kills(folder: Path, trials: int, seed: int, longest_s: float = 2.5) -> list[Kill]:
    """Kill `trials` times: every victim equally often, at random moments, every tenth time early."""
    rng = np.random.default_rng(seed)
    done = []
    for number in range(trials):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            early = number % 10 == 9
            after_s = float(rng.uniform(0.0, 1.0 if early else longest_s))
            done.append(kill(Path(place), VICTIMS[number % 3], after_s, early))
    return done


def main() -> int:
    """Run both and print what came out."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--cuts", type=int, default=2000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--folder", type=Path, default=None, help="where traces are written: on the disk that is to be tried")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        found = power_cuts(Path(folder), given.cuts, given.seed)
        print(f"{given.cuts} power cuts: {len(found)} traces lack what was committed, or are damaged")
        done = kills(Path(folder), given.kills, given.seed)
    for victim in VICTIMS:
        some = [trial for trial in done if trial.victim == victim]
        lost_s = [trial.lost_s for trial in some if trial.lost_s is not None] or [0.0]
        freed_s = [trial.freed_s for trial in some] or [0.0]
        print(f"{victim:8s} killed {len(some):4d} times, {sum(not trial.ready for trial in some):3d} before it was ready: "
              f"lost at most {max(lost_s):.2f} s (median {np.median(lost_s):.2f} s), sensor free after at most "
              f"{max(freed_s):.2f} s, {sum(bool(trial.faults) for trial in some)} not as promised")
    found += [f"{trial.victim} killed after {trial.after_s:.3f} s: {'; '.join(trial.faults)}" for trial in done if trial.faults]
    for fault in found:
        print(fault)
    print(f"load average {os.getloadavg()[0]:.2f}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
