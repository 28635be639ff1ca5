"""What the sampler does while the working process spins in Python, beside an empty loop and a thread that keeps a table.

`python -m host.benchmark_sampler [--seconds 60] [--period 0.001] [--folder DIR]`

Three runs on a file-backed power monitor, each while the main thread of its process spins in pure Python: the sampler; an
empty loop of absolute deadlines in an idle process of the same scheduling, which shows what the machine itself allows; and
a thread that does as PYNQ's pmbus.DataRecorder does: it reads, stamps with the wall clock, appends by copying its table,
then sleeps the whole interval. Exit code 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from host import file_monitor, scheduling
from host.sampler import Sampler
from host.sensor import open_sensor
from host.trace import Trace

LEVELS = {"p50": 50, "p99": 99, "p99.9": 99.9, "max": 100}
LONGEST_HOLE_S = 0.02
PERIOD_ERROR = 1e-3
CPU_SHARE = 0.15


@dataclass(frozen=True)
class Result:
    """One loop's figures.

    Attributes:
        name: of the loop.
        slots: that were due.
        rows: that were read.
        uncounted: slots that were neither read nor counted as missed; None where the loop counts none.
        mean_period_s: from the first row to the last, over the slots between; over the rows where there are no slots.
        longest_hole_s: between two rows.
        lateness_s: of LEVELS, of reads against the time they were due.
        cpu_share: of one core; None where it was not taken.
        notes: in words.
    """

    name: str
    slots: int
    rows: int
    uncounted: int | None
    mean_period_s: float
    longest_hole_s: float
    lateness_s: dict[str, float]
    cpu_share: float | None
    notes: list[str] = field(default_factory=list)


def sampler(folder: Path, seconds: float, period_s: float) -> Result:
    """Run the sampler for a while, spinning meanwhile."""
    url = file_monitor.make(folder / "hwmon", period_s=period_s)
    with Sampler(folder / "run.trace", [url]) as recorder:
        recorder.begin("run")
        before_s = cpu_seconds(recorder.pid)
        spin(seconds)
        used_s = cpu_seconds(recorder.pid) - before_s
        recorder.check()
        recorder.end("run")
    trace = recorder.recording.trace()
    return Result(cpu_share=used_s / seconds, **judged(trace, period_s))


def judged(trace: Trace, period_s: float) -> dict:
    """Return a Result's figures of a trace with one polled sensor."""
    counted = trace.provenance["observations"]["sensor 0"][-1][1]
    stamps_s = trace.sensors[0].readings.t_s
    missed, stalled = (sum(gap.count for gap in trace.gaps if gap.reason == why) for why in ("missed deadline", "stalled read"))
    rows = len(stamps_s) - 2  # one is read before the first slot and one at the end
    last_slot_s = stamps_s[-2] - counted["start_s"]
    return {
        "name": "sampler", "slots": counted["slots"], "rows": rows, "uncounted": counted["slots"] - rows - missed - stalled,
        "mean_period_s": last_slot_s / round(last_slot_s / period_s), "longest_hole_s": float(np.diff(stamps_s).max()),
        "lateness_s": counted["lateness_s"],
        "notes": [f"{missed} slots missed and counted ({missed / counted['slots']:.3%}), mean spacing of rows "
                  f"{np.diff(stamps_s).mean() * 1e3:.4f} ms", f"scheduling: {trace.provenance['sampler']['scheduling']}"],
    }  # fmt: skip


def empty_loop(seconds: float, period_s: float) -> Result:
    """Run a loop that only waits, in a process of its own with the sampler's scheduling."""
    code = "import sys; from host.benchmark_sampler import wait_only; wait_only(float(sys.argv[1]), float(sys.argv[2]))"
    process = subprocess.Popen([sys.executable, "-c", code, str(seconds), str(period_s)], stdout=subprocess.PIPE,
                               cwd=Path(__file__).parents[1])  # fmt: skip
    spin(seconds)
    stamps_s = np.frombuffer(process.communicate()[0])
    return of_stamps("empty loop", stamps_s[0], stamps_s[1:], period_s)


def wait_only(seconds: float, period_s: float) -> None:
    """Wait for every slot and write the stamps to standard output."""
    scheduling.guard()
    scheduling.go_first()
    start_s = time.monotonic()
    stamps_s, slot = [start_s], 0
    while slot * period_s < seconds:
        left_s = start_s + slot * period_s - time.monotonic()
        if left_s > 0:
            time.sleep(left_s)
        stamps_s.append(time.monotonic())
        slot = max(slot + 1, int((stamps_s[-1] - start_s) / period_s) + 1)
    sys.stdout.buffer.write(np.array(stamps_s).tobytes())


def table_thread(folder: Path, seconds: float, period_s: float) -> Result:
    """Run a thread of this process that reads, appends by copying and sleeps, while this thread spins."""
    with open_sensor(file_monitor.make(folder / "table", "ina219", period_s)) as sensor:
        over = threading.Event()
        table = np.zeros((0, 2))
        reads_s = []

        def record() -> None:
            nonlocal table
            while not over.is_set():
                reads_s.append(time.monotonic())
                values = sensor.read().values[0]
                table = np.concatenate([table, [[time.time(), values[0]]]])
                time.sleep(period_s)

        thread = threading.Thread(target=record)
        thread.start()
        spin(seconds)
        over.set()
        thread.join()
    return of_stamps("table thread", reads_s[0], np.array(reads_s), period_s)


def of_stamps(name: str, start_s: float, stamps_s: np.ndarray, period_s: float) -> Result:
    """Return the figures of a loop that kept its stamps. Row k of a loop without slots was due at k periods."""
    due = np.arange(len(stamps_s)) if name == "table thread" else np.floor((stamps_s - start_s) / period_s + 1e-6)
    late_s = np.maximum(stamps_s - start_s - due * period_s, 0)
    slots = int((stamps_s[-1] - start_s) / period_s) + 1
    spacing_s = np.diff(stamps_s)
    lateness_s = {level: float(np.percentile(late_s, share)) for level, share in LEVELS.items()}
    return Result(name, slots, len(stamps_s), None, float(spacing_s.mean()), float(spacing_s.max()), lateness_s, None)


def spin(seconds: float) -> int:
    """Do what a busy-waiting driver does: nothing, in Python, without a pause."""
    until_s, turns = time.monotonic() + seconds, 0
    while time.monotonic() < until_s:
        turns += 1
    return turns


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def shortfalls(result: Result, period_s: float) -> list[str]:
    """Return in words which limits the sampler misses."""
    error = abs(result.mean_period_s / period_s - 1)
    found = []
    if result.uncounted:
        found.append(f"{result.uncounted} slots uncounted")
    if error > PERIOD_ERROR:
        found.append(f"mean period off by {error:.3%}")
    if result.longest_hole_s > LONGEST_HOLE_S:
        found.append(f"a hole of {result.longest_hole_s * 1e3:.1f} ms")
    if result.cpu_share > CPU_SHARE:
        found.append(f"{result.cpu_share:.1%} of a core")
    return found


def show(result: Result) -> str:
    """Return a line."""
    late = " ".join(f"{level} {late_s * 1e3:8.3f}" for level, late_s in result.lateness_s.items())
    cpu = "     -" if result.cpu_share is None else f"{result.cpu_share:6.1%}"
    uncounted = "-" if result.uncounted is None else result.uncounted
    return (f"{result.name:13s}{result.slots:8d}{result.rows:8d}{uncounted:>10}  {result.mean_period_s * 1e3:9.5f}  "
            f"{result.longest_hole_s * 1e3:8.2f}  {cpu}  {late}")  # fmt: skip


def main() -> int:
    """Run all three and print a table."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--period", type=float, default=0.001, help="seconds between two reads")
    options.add_argument("--folder", type=Path, default=None, help="where the trace and the file-backed sensor are made")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        before = os.getloadavg()[0]
        results = [sampler(Path(folder), given.seconds, given.period), empty_loop(given.seconds, given.period),
                   table_thread(Path(folder), given.seconds, given.period)]  # fmt: skip
    print(f"{given.seconds:g} s at {1 / given.period:g} Hz, {os.cpu_count()} cores, load average {before:.2f} before and "
          f"{os.getloadavg()[0]:.2f} after")  # fmt: skip
    print("                slots    rows uncounted  period ms   hole ms     CPU  lateness ms")
    for result in results:
        print(show(result))
        for note in result.notes:
            print(f"             {note}")
    missed = shortfalls(results[0], given.period)
    print("sampler: " + ("; ".join(missed) if missed else "all limits kept"))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
