"""Work on the virtual clock: marks and feeds in order, contiguous, replays that say so, signatures."""

from __future__ import annotations

import math

import pytest

from host import specimen
from host.readings import VIRTUAL_CLOCK
from host.signature import BEFORE, Busy, Pattern
from host.trace import Trace, windows
from host.virtual_rails import ACTIVITY, BOARD, VirtualRails
from host.virtual_run import BATCH, IDLE_BEFORE, PILOT, REPEAT, Stretch, VirtualRun


class Recorder:
    """Takes what a sampler would take."""

    def __init__(self):
        self.marks, self.intervals, self.sizes = [], {"sim": [], "sim?seed=1": []}, []

    def mark(self, mark):
        self.marks.append(mark)

    def feed(self, sensor_url, payload):
        self.intervals[sensor_url] += payload["intervals"]
        self.sizes.append(len(payload["intervals"]))

    def windows(self, name=None):
        return windows(Trace("finished", {}, (), tuple(self.marks), ()), name)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def run(recorder) -> VirtualRun:
    return VirtualRun(recorder, ["sim", "sim?seed=1"], VirtualRails(16, specimen.board(5)))


WORK = [Stretch(0.002, {"processor_s": 0.002}, "load"), Stretch(0.003, {"product_toggles": 1e6}, "forward")]


def mean_w(intervals, start_s, end_s) -> float:
    joules = math.fsum(p[BOARD] * max(0.0, min(b, end_s) - max(a, start_s)) for a, b, p in intervals)
    return joules / (end_s - start_s)


def test_an_iteration_has_its_window_and_one_for_each_phase(recorder, run):
    run.idle(1.0, IDLE_BEFORE)
    run.iteration(WORK, 7)
    found = {window.name: window for window in recorder.windows()}
    assert set(found) == {IDLE_BEFORE, "iteration", "load", "forward"}
    assert found[IDLE_BEFORE].phase == "idle" and found["forward"].phase == "forward" and found["forward"].number == 7
    assert found["iteration"].iterations == 1
    assert found["iteration"].end_s - found["iteration"].start_s == pytest.approx(0.005)
    assert found["load"].end_s == found["forward"].start_s
    assert all(mark.clock == VIRTUAL_CLOCK for mark in recorder.marks)


def test_every_sensor_is_fed_everything_once_and_without_holes(recorder, run):
    run.idle(0.35)
    run.iteration(WORK, 0)
    run.replay(REPEAT, [WORK] * 10, 200, number=3)
    fed = recorder.intervals["sim"]
    assert fed == recorder.intervals["sim?seed=1"]
    assert fed[0][0] == 0.0 and fed[-1][1] == run.now_s == pytest.approx(0.35 + 0.005 * 2001)
    assert all(before[1] == after[0] for before, after in zip(fed, fed[1:], strict=False))
    assert max(recorder.sizes) <= BATCH


def test_a_replay_says_so_and_is_one_window(recorder, run):
    run.replay(PILOT, [WORK, WORK, WORK], 4)
    (window,) = recorder.windows()
    assert window.name == PILOT and window.iterations == 12
    assert window.note == {"replayed": {"iterations": 3, "times": 4, "simulated_once": True}}
    assert window.end_s - window.start_s == pytest.approx(12 * 0.005)
    with pytest.raises(ValueError, match="at least once"):
        run.replay(REPEAT, [WORK], 0)


def test_a_replayed_iteration_draws_what_the_simulated_one_drew(recorder, run):
    run.iteration(WORK, 0)
    run.replay(REPEAT, [WORK], 1)
    fed = recorder.intervals["sim"]
    assert mean_w(fed, 0.005, 0.010) == pytest.approx(mean_w(fed, 0.0, 0.005), rel=1e-4)
    assert mean_w(fed, 0.002, 0.005) < mean_w(fed, 0.0, 0.002)


def test_a_signature_draws_power_where_its_note_says(recorder, run):
    counters = {"cycles": 200_000, "spad_reads": 400_000}
    busy = Busy(0.002, counters, dict.fromkeys(ACTIVITY, 0) | {"product_toggles": 190_400 * 2007})
    pattern = Pattern(order=5, chip_s=0.02)
    run.idle(1.0)
    run.signature(BEFORE, pattern, busy)
    (window,) = recorder.windows(BEFORE)
    assert window.phase == "signature" and "replayed" in window.note
    assert window.end_s - window.start_s == pytest.approx(pattern.duration_s, abs=0.002)
    fed = recorder.intervals["sim"]
    idle_w = mean_w(fed, 0.5, 1.0)
    edge_s = window.start_s
    for start_s, end_s in window.note["on_s"]:
        assert mean_w(fed, window.start_s + start_s, window.start_s + end_s) - idle_w > 0.1
        if window.start_s + start_s > edge_s:
            assert abs(mean_w(fed, edge_s, window.start_s + start_s) - idle_w) < 0.01
        edge_s = window.start_s + end_s


def test_a_window_that_ends_by_an_exception_is_marked_aborted(recorder, run):
    with pytest.raises(RuntimeError, match="broken"):
        with run.window("run"):
            run.lay(WORK)
            raise RuntimeError("broken")
    (window,) = recorder.windows()
    assert window.note == {"aborted": True} and window.end_s == pytest.approx(0.005)
