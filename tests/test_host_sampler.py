"""The sampler: every slot read or counted, whatever the working process, the sensors, the disk or the clocks do."""

from __future__ import annotations

import gc
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hwmon_tree import HwmonTree
from waiting import PATIENCE_S, raised, raises, until

from host import frames, machine, reading_thread, sampler
from host.reading_thread import ReadingThread
from host.readings import Loss, Readings
from host.sample_buffer import SINGLE_LOSSES, LossLog, SampleBuffer
from host.sampler import Sampler, SamplerError
from host.sampler_process import Outlet
from host.sensor import Channel, Sensor, SensorError, SensorLost, Specification
from host.trace import Gap, Mark, Trace, TraceError, windows
from host.trace_file import open_trace, read_trace

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tree(tmp_path):
    return HwmonTree(tmp_path / "hwmon")


def loop(trace: Trace, sensor: int = 0) -> dict:
    """Return what the sampler counted of a sensor."""
    return trace.provenance["observations"][f"sensor {sensor}"][0][1]


def every_slot_counted(trace: Trace, sensor: int = 0) -> None:
    """Slots are read or in the trace's gaps: the rows are one per read, plus one before the first slot and one at the end."""
    counted = loop(trace, sensor)
    missing = {gap.reason: 0 for gap in trace.gaps}
    for gap in trace.gaps:
        missing[gap.reason] += gap.count if gap.sensor == sensor else 0
    unread = missing.get("missed deadline", 0) + missing.get("unplugged", 0)
    unplugged = sum(gap.reason == "unplugged" and gap.count == 0 for gap in trace.gaps)  # the read that found it gone
    rows = len(trace.sensors[sensor].readings) + missing.get("stalled read", 0)
    assert counted["slots"] == counted["reads"] + unread + unplugged
    assert rows == counted["reads"] + 2
    every_hole_is_counted_where_it_is(trace, sensor)


def every_hole_is_counted_where_it_is(trace: Trace, sensor: int) -> None:
    """At every row, as many slots were read or counted as were due; and so at the run's last mark."""
    counted, period_s = loop(trace, sensor), trace.sensors[sensor].period_s
    t_s = trace.sensors[sensor].readings.t_s
    due = np.floor((t_s[1:-1] - counted["start_s"]) / period_s - 1e-6) + 1
    counts = np.zeros(len(due))
    for gap in trace.gaps:
        if gap.sensor == sensor:  # what a row's own lateness cost is noted before the next row
            counts[t_s[2:] >= gap.t_s] += gap.count + (gap.reason == "unplugged" and not gap.count)
    assert np.all(1 + np.arange(len(due)) + counts >= due)
    ends_s = [mark.t_s for mark in trace.marks if mark.clock == "host" and "aborted" not in mark.note]
    assert not ends_s or counted["start_s"] + counted["slots"] * period_s > max(ends_s)


def test_marks_and_samples_in_one_file(tree, tmp_path):
    path = tmp_path / "a.trace"
    with Sampler(path, [tree.url()], {"seed": 3}) as recorder:
        assert [channel.unit for channel in recorder.sensors[0].channels] == ["W"]
        recorder.begin("run")
        for number in range(5):
            recorder.begin("iteration", "forward", number, {"layer": "conv1"})
            time.sleep(0.02)
            recorder.end("iteration", number, 1)
        recorder.end("run", iterations=5)
        recorder.check()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.trace", "hwmon"]
    assert recorder.recording.status == "finished" and recorder.recording.problem == ""
    trace = recorder.recording.trace()
    run, iterations = windows(trace, "run")[0], windows(trace, "iteration")
    readings = trace.sensors[0].readings
    assert run.iterations == 5 and [w.number for w in iterations] == list(range(5)) and iterations[0].note == {"layer": "conv1"}
    assert readings.t_s[0] < run.start_s < run.end_s < readings.t_s[-1]  # a sample before the start, and after the end
    assert np.all(readings.values == 5.0) and np.all(np.diff(readings.t_s) > 0)
    every_slot_counted(trace)
    assert trace.provenance["seed"] == 3
    assert trace.provenance["machine"]["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert len(trace.provenance["observations"]["load_average"]) == 2
    assert os.uname().nodename not in str(trace.provenance)


def test_values_for_the_display_are_fresh(tree, tmp_path):
    with Sampler(tmp_path / "a.trace", [tree.url()]) as recorder:
        for power_w in (7.5, 8.5):
            tree.set_power(power_w)
            until(lambda power_w=power_w: recorder.latest() == {"ina226/power": power_w}, "the new value")


STAND_STILL = """
import os, signal, sys, time
from host.trace_file import read_trace
from waiting import until
os.kill(int(sys.argv[2]), signal.SIGSTOP)
try:
    stopped_s = time.monotonic()
    last_s = lambda: read_trace(sys.argv[1]).sensors[0].readings.t_s[-1]
    until(lambda: last_s() > stopped_s + 0.1, "a row of the sampler")
    print(stopped_s, last_s())
finally:
    os.kill(int(sys.argv[2]), signal.SIGCONT)
"""


@pytest.mark.fault(19)
def test_what_the_working_process_does_stretches_no_hole(tree, tmp_path):
    """Busy waiting, garbage collection, and a working process that stands still until the sampler has gone on."""
    path = tmp_path / "a.trace"
    with Sampler(path, [tree.url(0.002)]) as recorder:
        ends_s = time.monotonic() + 0.3
        while time.monotonic() < ends_s:
            pass
        heap = [[number] for number in range(500_000)]
        for _ in range(5):
            gc.collect()
        del heap
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
        stopping = subprocess.Popen(
            [sys.executable, "-c", STAND_STILL, str(path), str(os.getpid())], stdout=subprocess.PIPE, text=True, env=environment
        )
        said = stopping.communicate()[0]
        continued_s = recorder.now_s()
        recorder.begin("run")
    stopped_s, last_s = map(float, said.split())
    assert stopping.returncode == 0 and stopped_s < last_s < continued_s
    every_slot_counted(recorder.recording.trace())


def noted(path: Path, reason: str, sensor: int = 0, after_s: float = 0.0) -> Gap | None:
    """Return the first gap for one reason that a trace has, also one that is being written; None where it has none."""
    with open_trace(path) as file:
        found = [gap for gap in file.gaps if (gap.sensor, gap.reason) == (sensor, reason) and gap.t_s > after_s]
    return found[0] if found else None


@pytest.mark.fault(18)
def test_a_stalled_read_is_a_gap_and_delays_no_other_sensor(tmp_path):
    path, slow, quick = tmp_path / "a.trace", HwmonTree(tmp_path / "slow"), HwmonTree(tmp_path / "quick", "ina260")
    with Sampler(path, [slow.url(0.005), quick.url(0.005)]) as recorder:
        slow.stall()
        began_s = recorder.now_s()
        first = until(lambda: noted(path, "stalled read", after_s=began_s), "a note of the stall, while it lasts")
        quick.set_power(7.0)
        until(lambda: recorder.latest()["ina260/power"] == 7.0, "a row of the other sensor")
        answered_s = recorder.now_s()
        slow.answer(9.0)
        until(lambda: recorder.latest()["ina226/power"] == 9.0, "the next row of the sensor")
    trace = recorder.recording.trace()
    stalled, other = trace.sensors[0].readings, trace.sensors[1].readings
    assert first.count == 0 and began_s < first.t_s < answered_s
    came = [gap for gap in trace.gaps if gap.sensor == 0 and gap.reason == "stalled read" and gap.count and gap.t_s > began_s]
    assert came[0].count == 1 and came[0].t_s >= answered_s
    assert not np.any((stalled.t_s > began_s) & (stalled.t_s < answered_s))  # nothing dated back into the stall
    assert stalled.values[-1, 0] == 9.0 and np.all(stalled.values[stalled.t_s < began_s] == 5.0)
    assert other.values[other.t_s < answered_s][-1, 0] == 7.0
    missed = [gap for gap in trace.gaps if gap.sensor == 0 and gap.reason == "missed deadline" and gap.t_s >= answered_s]
    assert missed[0].count >= (answered_s - began_s) / 0.005 - 2
    every_slot_counted(trace, 0)
    every_slot_counted(trace, 1)


@pytest.mark.fault(18)
def test_a_read_that_never_comes_back_does_not_keep_the_run(tree, tmp_path):
    path = tmp_path / "a.trace"
    with Sampler(path, [tree.url(0.005)]) as recorder:
        tree.stall()
        began_s = recorder.now_s()
        until(lambda: noted(path, "stalled read", after_s=began_s), "a note of the stall")
        ends_s = recorder.now_s()
    assert recorder.now_s() - ends_s < 30  # the read lasts as long as this process
    trace = recorder.recording.trace()
    assert trace.status == "finished"
    lost = [gap.count for gap in trace.gaps if gap.detail == "the read never came back"]
    assert lost[0] >= (ends_s - began_s) / 0.005 - 2


def test_a_lost_sensor_comes_back_and_its_slots_are_counted(tree, tmp_path):
    path = tmp_path / "a.trace"
    with Sampler(path, [tree.url(0.005)]) as recorder:
        tree.unplug()
        gone = until(lambda: noted(path, "unplugged"), "a note that the sensor is gone")
        plugged_s = recorder.now_s()
        tree.plug()
        tree.set_power(6.0)
        until(lambda: recorder.latest() == {"ina226/power": 6.0}, "a row of the sensor that is back")
        recorder.check()
        recorder.begin("run")
    trace = recorder.recording.trace()
    assert [gap.reason for gap in trace.gaps if "plugged" in gap.reason] == ["unplugged", "unplugged", "replugged"]
    assert sum(gap.count for gap in trace.gaps if gap.reason == "unplugged") >= (plugged_s - gone.t_s) / 0.005 - 2
    every_slot_counted(trace)


WORKER = """
import sys, time, pathlib
from host.sampler import Sampler
with Sampler(sys.argv[1], [sys.argv[2]]) as recorder:
    recorder.begin("run", "forward")
    print("ready", recorder.pid, flush=True)
    time.sleep(60)
"""


def worker(path: Path, url: str, **options) -> tuple[subprocess.Popen, int]:
    """Return a working process inside a window, and its sampler's id."""
    command = [sys.executable, "-c", WORKER, str(path), url]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, **options)
    return process, int(process.stdout.readline().split()[1])


def gone(pid: int) -> bool:
    """Return whether a process is no more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] == "Z"
    except OSError:
        return True


def rows(path: Path) -> int:
    """Return how many rows of the first sensor a trace has, also one that is being written."""
    with open_trace(path) as file:
        return file._connection.execute("SELECT ifnull(sum(row_count), 0) FROM block WHERE sensor = 0").fetchone()[0]


@pytest.mark.fault(35)
def test_a_working_process_that_is_killed_leaves_an_aborted_trace_and_a_free_port(tree, tmp_path):
    path = tmp_path / "a.trace"
    process, pid = worker(path, tree.url())
    with pytest.raises(SamplerError, match="is being read by another process"):
        Sampler(tmp_path / "b.trace", [tree.url()]).start()
    killed_s = time.monotonic()
    process.kill()
    process.wait()
    until(lambda: gone(pid), "the sampler's end")  # how soon it is: host/benchmark_kills.py
    ended_s = time.monotonic()
    trace = read_trace(path)
    assert trace.status == "aborted"
    closed = windows(trace, "run")[0]
    assert closed.note == {"aborted": True} and closed.iterations == 0 and closed.phase == "forward"
    assert killed_s < closed.end_s < ended_s and trace.sensors[0].readings.t_s[-1] > killed_s
    every_slot_counted(trace)
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith("a")] == ["a.trace"]
    with Sampler(tmp_path / "c.trace", [tree.url()]):
        pass


@pytest.mark.fault(35)
def test_a_child_of_the_dead_working_process_does_not_keep_the_sampler(tree, tmp_path):
    """A forked child (a data loader) holds the pipe open: its end never comes."""
    forking = WORKER.replace("    time.sleep(60)", "    os.write(1, b'%d\\n' % os.fork())\n    time.sleep(200)")
    command = [sys.executable, "-c", "import os" + forking]
    process = subprocess.Popen([*command, str(tmp_path / "a.trace"), tree.url()], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    pid = int(process.stdout.readline().split()[1])
    children = [int(process.stdout.readline()) for _ in range(2)]
    process.kill()
    process.wait()
    try:
        until(lambda: gone(pid), "the sampler's end")
    finally:
        os.kill(max(children), signal.SIGKILL)
    assert read_trace(tmp_path / "a.trace").status == "aborted"


@pytest.mark.fault(35)
def test_work_that_raises_closes_its_windows_and_releases_the_meter(tree, tmp_path):
    with pytest.raises(ZeroDivisionError):
        with Sampler(tmp_path / "a.trace", [tree.url()]) as recorder:
            recorder.begin("run")
            recorder.begin("iteration", "forward", 4)
            raise ZeroDivisionError
    trace = read_trace(tmp_path / "a.trace")
    assert trace.status == recorder.recording.status == "aborted"
    assert [(window.name, window.number) for window in windows(trace)] == [("run", 0), ("iteration", 4)]
    assert all(window.note == {"aborted": True} for window in windows(trace))
    with Sampler(tmp_path / "b.trace", [tree.url()]):
        pass


@pytest.mark.fault(35)
def test_ctrl_c_ends_the_work_and_the_work_ends_the_sampler(tree, tmp_path):
    """The terminal sends SIGINT to the whole process group."""
    process, pid = worker(
        tmp_path / "a.trace", tree.url(), start_new_session=True, stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite in the background hands down an ignored one
    )  # fmt: skip
    os.killpg(process.pid, signal.SIGINT)
    os.kill(pid, signal.SIGINT)
    assert process.wait(60) == -signal.SIGINT
    until(lambda: gone(pid), "the sampler's end")
    assert read_trace(tmp_path / "a.trace").status == "aborted"


@pytest.mark.fault(23)
def test_a_sampler_that_dies_is_noticed(tree, tmp_path):
    path = tmp_path / "a.trace"
    recorder = Sampler(path, [tree.url()])
    recorder.start()
    recorder.begin("run")
    until(lambda: rows(path) > 100, "rows on the disk")
    os.kill(recorder.pid, signal.SIGKILL)
    assert "by signal 9; what it recorded until then is in " in str(raised(recorder.check, SamplerError))
    with pytest.raises(SamplerError, match="by signal 9"):
        recorder.end("run")
    with pytest.raises(SamplerError, match="by signal 9"):
        recorder.stop()
    trace = read_trace(path)
    assert trace.status == "recording" and len(trace.sensors[0].readings) > 100


@pytest.mark.fault(23)
def test_a_sampler_that_hangs_is_noticed(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(sampler, "SILENT_S", 0.5)
    recorder = Sampler(tmp_path / "a.trace", [tree.url()])
    recorder.start()
    pid = recorder.pid
    os.kill(pid, signal.SIGSTOP)
    assert "has said nothing for" in str(raised(recorder.check, SamplerError))
    os.kill(pid, signal.SIGCONT)
    until(lambda: not raises(recorder.check, SamplerError), "a sign of life")
    recorder.stop()


class Play(Sensor):
    """A sensor that plays what a test wrote down: rows, or exceptions to raise."""

    channels = (Channel("x/power", "W", "x", "test", "point", Specification(0.01)),)
    period_s = 0.002

    def __init__(self, acts, url="play"):
        super().__init__(url)
        self.acts, self.opened, self.closed = list(acts), 0, 0

    def open(self):
        self.opened += 1

    def close(self):
        self.closed += 1

    def read(self, timeout_s=1.0):
        act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
        if isinstance(act, BaseException):
            raise act
        before = time.monotonic()
        return Readings.of((before + time.monotonic()) / 2, [[act]])


def played(monkeypatch, sensor: Play, enough=lambda thread: not thread.is_alive) -> ReadingThread:
    """Return the thread that has read a sensor until it was enough: until its own end, where nothing else is said."""
    monkeypatch.setattr(reading_thread, "open_sensor", lambda url: sensor)
    thread = ReadingThread("play")
    thread.start()
    until(lambda: enough(thread), "what the thread should do")
    thread.stop()
    assert thread.join(PATIENCE_S)
    return thread


@pytest.mark.fault(23)
@pytest.mark.parametrize("error, said", [
    (ZeroDivisionError("oh"), "the driver of sensor 'play' failed: ZeroDivisionError: oh"),
    (SensorError("sensor 'play' speaks\nsomething else"), "sensor 'play' speaks something else"),
])  # fmt: skip
def test_a_reader_that_dies_says_so(monkeypatch, error, said):
    sensor = Play([5.0, 5.0, 5.0, error])
    thread = played(monkeypatch, sensor)
    assert thread.failed == said and sensor.closed
    assert [(loss.reason, loss.detail) for loss in thread.losses.take()][-1] == ("failed read", f"given up: {said}")
    assert len(thread.buffer.take()) == 3


@pytest.mark.fault(23)
def test_a_sensor_that_was_given_up_is_an_error_at_the_end(tree, tmp_path, monkeypatch):
    """The other sensors go on, and what was recorded is kept."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'host.sampler_process' in sys.orig_argv:\n"
        "    from host import polled_sensor\n"
        "    real = polled_sensor.PolledSensor.read\n"
        "    def read(self, timeout_s=1.0):\n"
        f"        if 'ina226' in self.url and os.path.exists({str(tmp_path / 'confused')!r}):\n"
        "            raise polled_sensor.SensorError('the chip speaks\\nsomething else')\n"
        "        return real(self, timeout_s)\n"
        "    polled_sensor.PolledSensor.read = read\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    other = HwmonTree(tmp_path / "other", "ina260")
    with pytest.raises(SamplerError, match="^the chip speaks something else$"):
        with Sampler(tmp_path / "a.trace", [tree.url(0.005), other.url(0.005)]) as recorder:
            recorder.check()
            (tmp_path / "confused").touch()
            assert str(raised(recorder.check, SamplerError)) == "the chip speaks something else"
            other.set_power(7.0)
            until(lambda: 7.0 in recorder.latest().values(), "a row of the other sensor")
    assert recorder.recording.failed == {tree.url(0.005): "the chip speaks something else"}
    trace = read_trace(tmp_path / "a.trace")
    given_up = [gap for gap in trace.gaps if gap.reason == "failed read"]
    assert [gap.detail for gap in given_up] == ["given up: the chip speaks something else"]
    assert set(trace.sensors[0].readings.values[:, 0]) == {5.0} and trace.sensors[0].readings.t_s[-1] < given_up[0].t_s
    assert trace.sensors[1].readings.values[-1, 0] == 7.0 and trace.sensors[1].readings.t_s[-1] > given_up[0].t_s


def test_a_sensor_that_comes_back_as_another_is_given_up(monkeypatch):
    class Other(Play):
        def open(self):
            super().open()
            if self.opened > 1:
                self.channels = (*Play.channels, Channel("y/power", "W", "y", "test", "point", Specification(0.01)))

    thread = played(monkeypatch, Other([5.0, 5.0, SensorLost("gone"), 6.0]))
    assert thread.failed == "sensor 'play' came back with other channels: ['x/power', 'y/power'] instead of ['x/power']"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_is_no_more_is_noticed(monkeypatch):
    sensor = Play([5.0, SystemExit()])
    monkeypatch.setattr(reading_thread, "open_sensor", lambda url: sensor)
    thread = ReadingThread("play")
    thread.start()
    assert thread.join(PATIENCE_S)
    thread.watch()
    assert thread.failed == "the thread that read sensor 'play' has ended" and sensor.closed


@pytest.mark.fault(18)
def test_a_stream_that_stalls_is_noticed(monkeypatch):
    monkeypatch.setattr(reading_thread, "STREAM_TIMEOUT_S", 0.02)

    answered = threading.Event()

    class Stuck(Play):
        period_s = None

        def read(self, timeout_s=1.0):
            answered.wait(2 * PATIENCE_S)
            return super().read()

    def enough(thread: ReadingThread) -> bool:
        thread.watch()
        if thread.losses.counts:
            answered.set()
        return answered.is_set()

    thread = played(monkeypatch, Stuck([5.0]), enough)
    assert [(loss.reason, loss.count) for loss in thread.losses.take()] == [("stalled read", 0)]


@pytest.mark.fault(14)
def test_a_stepped_wall_clock_changes_no_stamp(monkeypatch):
    steps = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: 1e9 - 3600.0 * next(steps))
    before = time.monotonic()
    readings = played(monkeypatch, Play([5.0]), lambda thread: thread.buffer and thread.buffer.rows > 20).buffer.take()
    assert np.all(np.diff(readings.t_s) > 0)
    assert before < readings.t_s[0] and readings.t_s[-1] < time.monotonic()


class Clocks:
    """Clocks that a test turns."""

    def __init__(self):
        self.monotonic_s, self.asleep_s, self.set_s = 100.0, 5.0, 1e9

    def watch(self) -> machine.ClockWatch:
        return machine.ClockWatch(lambda: self.monotonic_s, lambda: self.monotonic_s + self.asleep_s,
                                  lambda: self.monotonic_s + self.asleep_s + self.set_s)  # fmt: skip


@pytest.mark.fault(14)
def test_a_step_of_the_wall_clock_is_told_from_its_slewing():
    clocks = Clocks()
    watch = clocks.watch()
    for _ in range(100):
        clocks.monotonic_s += 0.2
        clocks.set_s += 0.2 * 500e-6  # NTP slews by at most 500 ppm
        assert watch.look() == (0.0, 0.0)
    clocks.set_s -= 3600.0
    assert watch.look() == (0.0, pytest.approx(-3600.0))
    assert watch.look() == (0.0, 0.0)


@pytest.mark.fault(20)
def test_a_suspended_machine_is_noticed():
    clocks = Clocks()
    watch = clocks.watch()
    assert watch.look() == (0.0, 0.0)
    clocks.asleep_s += 30.0
    assert watch.look() == (pytest.approx(30.0), 0.0)
    clocks.monotonic_s += 1.0
    assert watch.look() == (0.0, 0.0)


@pytest.mark.fault(20)
def test_a_process_that_is_held_up_between_two_clocks_has_not_slept():
    clocks = Clocks()
    watch, monotonic, boot = clocks.watch(), iter([0.0, 0.0, 3.0] + 9 * [0.0]), clocks.watch().boot

    def held_up() -> float:
        clocks.monotonic_s += next(monotonic)
        return boot()

    watch.boot = held_up
    for _ in range(5):
        assert watch.look() == (0.0, 0.0)


@pytest.mark.fault(20)
def test_sleep_goes_into_the_trace(tree, tmp_path, monkeypatch):
    """The sampler's process with a boot clock that jumps: it is told by environment, nothing else is changed."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, time\n"
        "real = time.clock_gettime\n"
        f"slept = lambda clock: clock == time.CLOCK_BOOTTIME and os.path.exists({str(tmp_path / 'slept')!r})\n"
        "time.clock_gettime = lambda clock: real(clock) + 12.0 * slept(clock)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Sampler(tmp_path / "a.trace", [tree.url(0.01)]) as recorder:
        recorder.begin("run")
        (tmp_path / "slept").touch()
        until(lambda: noted(tmp_path / "a.trace", "suspend"), "a note that the machine slept")
    gaps = recorder.recording.trace().gaps
    assert [gap.detail for gap in gaps if gap.reason == "suspend"] == ["the machine slept for 12.000 s"]


@pytest.mark.fault(38)
def test_a_full_disk_ends_no_work_and_the_result_comes_from_memory(tree, tmp_path):
    path = tmp_path / "a.trace"
    recorder = Sampler(path, [tree.url()])
    recorder.start()
    until(lambda: rows(path) > 10, "rows on the disk")
    no_file_may_grow = (4096, resource.RLIM_INFINITY)  # as good as a full disk
    resource.prlimit(recorder.pid, resource.RLIMIT_FSIZE, no_file_may_grow)
    recorder.begin("run")
    until(lambda: "a.trace cannot be written" in recorder.problem, "a word about the disk")
    recorder.check()
    tree.set_power(6.0)
    until(lambda: recorder.latest() == {"ina226/power": 6.0}, "a row after that")
    recorder.end("run", iterations=3)
    recording = recorder.stop()
    assert "a.trace cannot be written" in recording.problem and "\n" not in recording.problem
    assert recording.unwritten and recording.lost_rows == 0
    trace = recording.trace()
    assert trace.status == "finished" and windows(trace)[0].iterations == 3
    every_slot_counted(trace)
    assert trace.sensors[0].readings.values[-1, 0] == 6.0
    assert 10 < rows(path) < len(trace.sensors[0].readings)


@pytest.mark.fault(38)
def test_an_output_that_cannot_be_written_is_refused_or_kept_in_memory(tree, tmp_path):
    path = tmp_path / "nowhere" / "a.trace"
    with pytest.raises(SamplerError, match="a.trace cannot be written: No such file"):
        Sampler(path, [tree.url()]).start()
    with Sampler(path, [tree.url()], unwritable_is_kept=True) as recorder:
        assert "cannot be written" in recorder.problem
        until(recorder.latest, "a row")
    assert "cannot be written" in recorder.recording.problem
    trace = recorder.recording.trace()
    every_slot_counted(trace)
    assert trace.status == "finished" and not path.exists()


@pytest.mark.fault(39)
def test_buffers_are_bounded_and_count_what_they_refuse():
    buffer = SampleBuffer(1, capacity=100)
    rows = Readings.of(np.arange(60.0), np.arange(60.0).reshape(-1, 1))
    assert [buffer.add(rows) for _ in range(3)] == [0, 20, 60]
    taken = buffer.take()
    assert len(taken) == 100 and np.array_equal(taken.t_s, np.r_[np.arange(60.0), np.arange(40.0)])
    assert len(buffer.take()) == 0 and buffer.rows == 100
    log = LossLog()
    for number in range(1000):
        log.add(Loss(float(number), "missed deadline", 2))
        log.add(Loss(float(number), "garbage", 1))
    losses = log.take()
    assert len(losses) == 2 * SINGLE_LOSSES and log.take() == []
    counts = {reason: sum(loss.count for loss in losses if loss.reason == reason) for reason in log.counts}
    assert counts == log.counts == {"missed deadline": 2000, "garbage": 1000}


@pytest.mark.fault(39)
def test_memory_does_not_grow_with_the_length_of_the_run(tmp_path):
    """Half a day of virtual time at 10 Hz per turn: what the sampler holds stays the same."""
    path, resident = tmp_path / "a.trace", []
    with Sampler(path, ["sim?refresh_s=0.1"]) as recorder:
        pid, t_s = recorder.pid, 0.0
        for _turn in range(6):
            for _ in range(20):
                watts = dict.fromkeys(("board_5v0", "ddr_1v5", "pl_1v0", "ps_1v0"), 1.0)
                recorder.feed("sim?refresh_s=0.1", {"intervals": [[t_s, t_s + 2000.0, watts]]})
                t_s += 2000.0
            until(lambda t_s=t_s: rows(path) > t_s / 0.1 - 5, "what was fed, on the disk")
            resident.append(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    assert resident[-1] - resident[2] < 20e6
    assert abs(rows(path) - t_s / 0.1) < 5


def test_the_sampler_never_waits_for_who_reads_its_status():
    """What does not fit into the pipe is left out as a whole; what comes through is whole."""
    inlet, outlet = os.pipe()
    out = Outlet(outlet)
    began_s = time.monotonic()
    for number in range(2000):
        out.offer({"number": number, "text": "x" * 500})
    assert time.monotonic() - began_s < 30
    found = []
    reader = threading.Thread(target=lambda: found.extend(frames.frames(inlet)))
    reader.start()
    out.send({"number": "last"})
    os.close(outlet)
    reader.join(PATIENCE_S)
    os.close(inlet)
    numbers = [message["number"] for message in found]
    assert numbers[:-1] == list(range(len(numbers) - 1)) and 50 < len(numbers) < 500 and numbers[-1] == "last"


@pytest.mark.parametrize("data", [frames.LENGTH.pack(frames.LARGEST + 1), frames.LENGTH.pack(3) + b"{x}"])
def test_what_is_no_message_is_an_error(data):
    inlet, outlet = os.pipe()
    os.write(outlet, data)
    os.close(outlet)
    with pytest.raises(frames.FrameError):
        list(frames.frames(inlet))
    os.close(inlet)


def test_nothing_that_is_fed_is_lost_and_no_real_time_passes(tmp_path):
    url = "sim?refresh_s=0.001&noise=0.01&seed=4"
    began_s = time.monotonic()
    with Sampler(tmp_path / "a.trace", [url]) as recorder:
        for number in range(400):
            watts = {"board_5v0": 2.0, "ddr_1v5": 0.5, "pl_1v0": 0.5, "ps_1v0": 0.5}
            recorder.feed(url, {"intervals": [[number * 1.0, number + 1.0, watts]]})
            recorder.mark(Mark(float(number), "virtual", "begin", "iteration", "forward", number))
            recorder.mark(Mark(number + 0.5, "virtual", "end", "iteration", "forward", number, 1))
    assert time.monotonic() - began_s < 200
    trace = recorder.recording.trace()
    readings = trace.sensors[0].readings
    assert (trace.sensors[0].clock, trace.sensors[0].label) == ("virtual", "emulated")
    assert abs(len(readings) - 400_000) <= 2 and trace.gaps == ()
    np.testing.assert_allclose(np.diff(readings.t_s), 0.001, atol=1e-3)
    assert len(windows(trace)) == 400


def test_an_aborted_run_on_virtual_time_closes_its_windows_there(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        with Sampler(tmp_path / "a.trace", ["sim"]) as recorder:
            recorder.mark(Mark(1.0, "virtual", "begin", "run"))
            recorder.mark(Mark(2.0, "virtual", "begin", "iteration"))
            raise KeyboardInterrupt
    assert [(w.name, w.clock, w.end_s) for w in windows(read_trace(tmp_path / "a.trace"))] == [
        ("run", "virtual", 2.0), ("iteration", "virtual", 2.0)]  # fmt: skip


@pytest.mark.parametrize("url, said", [
    ("nosuch:x", "no driver for sensor 'nosuch:x'"), ("hwmon:nosuchchip?root=.", "nosuchchip"),
    ("hwmon:x?period_s=soon", "cannot be had"),
])  # fmt: skip
def test_a_sensor_that_cannot_be_had_is_one_sentence(tmp_path, url, said):
    with pytest.raises(SamplerError, match=said) as caught:
        Sampler(tmp_path / "a.trace", [url]).start()
    assert "\n" not in str(caught.value) and "Traceback" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_sampler_is_used_as_it_is_meant(tree, tmp_path):
    for urls in ([], [tree.url(), tree.url()]):
        with pytest.raises(SamplerError, match="at least one is, and none twice"):
            Sampler(tmp_path / "a.trace", urls).start()
    with Sampler(tmp_path / "a.trace", [tree.url()]) as recorder:
        with pytest.raises(SamplerError, match="not simulated"):
            recorder.feed(tree.url(), {"intervals": []})
        with pytest.raises(TraceError, match="stamp inf"):
            recorder.mark(Mark(float("inf"), "host", "begin", "run"))
        with pytest.raises(SamplerError, match="is there already"):
            HwmonTree(tmp_path / "other", "ina260")
            Sampler(tmp_path / "a.trace", [HwmonTree(tmp_path / "more", "ina233").url()]).start()
    with pytest.raises(SamplerError, match="not running"):
        recorder.check()
    assert recorder.stop() is recorder.recording


class Clock:
    """A stand-in for `time`: sleeping takes no time, and any call may find that the machine stood still for a while."""

    def __init__(self, pause_s: float = 0.0, seed: int = 0):
        self.t_s, self._pause_s, self._source = 100.0, pause_s, random.Random(seed)

    def monotonic(self) -> float:
        if self._pause_s and self._source.random() < 0.05:
            self.t_s += self._source.uniform(0, self._pause_s)
        return self.t_s

    def sleep(self, seconds: float) -> None:
        self.t_s += seconds


def clocked(monkeypatch, clock: Clock, takes_s: float, period_s: float) -> ReadingThread:
    """Return the thread that has read a sensor on that clock some hundred times."""

    class Slow(Play):
        def read(self, timeout_s=1.0):
            before = clock.monotonic()
            clock.sleep(takes_s)
            return Readings.of((before + clock.monotonic()) / 2, [[5.0]])

    sensor = Slow([5.0])
    sensor.period_s = period_s
    monkeypatch.setattr(reading_thread, "time", clock)
    return played(monkeypatch, sensor, lambda thread: thread.statistics().get("reads", 0) > 300)


def test_a_sensor_that_takes_its_time_is_not_stalled(monkeypatch):
    thread = clocked(monkeypatch, Clock(), 0.06, 0.01)
    statistics, missed = thread.statistics(), thread.losses.counts["missed deadline"]
    assert set(thread.losses.counts) == {"missed deadline"} and thread.buffer.rows == statistics["reads"] + 2
    assert statistics["slots"] == statistics["reads"] + missed and missed >= 5 * (statistics["reads"] - 1)


@pytest.mark.fault(19)
@pytest.mark.parametrize("seed", range(10))
def test_wherever_the_machine_stands_still_every_slot_is_read_or_counted(monkeypatch, seed):
    clock = Clock(0.2, seed)
    thread = clocked(monkeypatch, clock, 0.001, 0.01)
    statistics, counts, t_s = thread.statistics(), thread.losses.counts, thread.buffer.take().t_s
    assert statistics["slots"] == statistics["reads"] + counts["missed deadline"]
    assert len(t_s) + counts.get("stalled read", 0) == statistics["reads"] + 2 and np.all(np.diff(t_s) > 0)
    assert statistics["start_s"] + statistics["slots"] * 0.01 > thread._stop_s


@pytest.mark.fault(19)
def test_slots_that_were_due_before_the_stop_are_counted_however_late_it_is_seen(monkeypatch):
    thread = ReadingThread("play")

    class Late(Clock):
        naps = 0

        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            self.naps += 1
            if self.naps == 20:
                self.t_s += 3.005
                thread.stop()

    sensor = Play([5.0])
    sensor.period_s = 0.01
    monkeypatch.setattr(reading_thread, "time", Late())
    monkeypatch.setattr(reading_thread, "open_sensor", lambda url: sensor)
    thread.start()
    assert thread.join(PATIENCE_S)
    statistics = thread.statistics()
    assert thread.losses.counts == {"missed deadline": 300} and statistics["slots"] == statistics["reads"] + 300


def test_a_lost_stream_is_opened_again(monkeypatch):
    monkeypatch.setattr(reading_thread, "FIRST_BACK_OFF_S", 0.01)

    class Stream(Play):
        period_s = None

        def read(self, timeout_s=1.0):
            time.sleep(0.005)
            return super().read()

    sensor = Stream([5.0, SensorLost("gone"), 6.0])
    thread = played(monkeypatch, sensor, lambda thread: thread.buffer and thread.buffer.rows > 7)
    assert [loss.reason for loss in thread.losses.take()] == ["unplugged", "replugged"]
    values = thread.buffer.take().values[:, 0]
    assert values[0] == 5.0 and np.all(values[1:] == 6.0) and len(values) > 5 and sensor.opened == 2


def test_a_message_that_is_none_is_an_error_at_the_end(tree, tmp_path):
    recorder = Sampler(tmp_path / "a.trace", [tree.url()])
    recorder.start()
    recorder._send({"kind": "mark", "mark": {"t_s": 1.0}})
    recorder._process.wait(PATIENCE_S)
    with pytest.raises(SamplerError, match="message that it does not understand"):
        recorder.stop()
    assert read_trace(tmp_path / "a.trace").status == "aborted"
