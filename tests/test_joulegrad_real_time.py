"""PROGRAM.jg exported and trained in real time under a file-backed sensor: idle, run, repeats, joules; and what goes wrong."""

from __future__ import annotations

import dataclasses
import functools
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import invoke
from hwmon_tree import HwmonTree
from packed_programs import program_file, recipe_file

from algo import loss
from algo.checkpoint import read_checkpoint
from host.board_golden import Driver
from host.readings import HOST_CLOCK
from host.run_folder import read_iterations, read_record
from host.trace import windows
from host.trace_file import read_trace
from joulegrad import real_time, watch, watched
from joulegrad.board_checkpoints import BoardCheckpoints
from measurements import sampling_phase
from measurements.recompute import KEYS, recompute
from measurements.repeats import NotPooled

ROOT = Path(__file__).parents[1]
IDLE_W, WORK_W = 5.0, 9.0
REHEARSED = 2
"""Losses that are worked out as the program is read: an evaluation's and an iteration's."""
QUICK = ["--repeats", "2", "--idle", "0.5", "--json"]


def refused(outcome, *words: str) -> str:
    code, out, err = outcome
    assert code != 0 and "Traceback" not in err, (out, err)
    said = json.loads(out)["error"]
    for word in words:
        assert word in said
    return said


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return program_file(tmp_path_factory.mktemp("program"))


@pytest.fixture
def tree(tmp_path):
    monitor = HwmonTree(tmp_path / "sys")
    monitor.set_power(IDLE_W)
    return monitor


@pytest.fixture
def sensor(tree, monkeypatch):
    """URL of a monitor that shows WORK_W while a segment runs; windows of a second, which is too short for a valid result."""
    start, wait = Driver.start, Driver.wait

    def started(self, address, count):
        tree.set_power(WORK_W)
        start(self, address, count)

    def waited(self, timeout_s=None):
        counters = wait(self, timeout_s)
        tree.set_power(IDLE_W)
        return counters

    monkeypatch.setattr(Driver, "start", started)
    monkeypatch.setattr(Driver, "wait", waited)
    monkeypatch.setattr(watched, "Plan", functools.partial(watch.Plan, window_s=1.0, lead_s=0.3))
    monkeypatch.setattr(watch, "IDLE_REFRESHES", 10)
    monkeypatch.setattr(watch, "WINDOW_REFRESHES", 10)
    # Whether 10 ms happens to divide an iteration is the machine's chance; samples are locked on purpose in another file.
    monkeypatch.setattr(sampling_phase, "LOCKED_ABOVE", 1.0)
    return tree.url(period_s=0.01)


def test_joules_of_a_run_in_real_time(tmp_path, program, sensor, tree, monkeypatch):
    out, plan, limits, naps, nap = tmp_path / "run", watch.plan, {}, [], time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: naps.append((threading.get_ident(), time.monotonic())) or nap(seconds))
    monkeypatch.setattr(watch, "plan", lambda pilot, requested, **given: limits.update(given) or plan(pilot, requested, **given))
    settings = ["--sensor", sensor, *QUICK, "--measuring", "100", "--relative-u", "0.4"]
    code, text, err = invoke("bench", str(program), "--board", "golden", *settings, "--out", str(out))
    assert code == 0, err
    assert limits["most_repeats"] == limits["repeats"] == 2 and limits["longest_s"] == pytest.approx(100 / 2 - 0.5)
    data, record = json.loads(text), read_record(out)
    assert list(data["run_energy_j"]) == ["simulated", "measured"]
    trace = read_trace(out / "trace.sqlite")
    (run,) = windows(trace, "run")
    assert run.clock == HOST_CLOCK and run.iterations == 3 and trace.status == "finished"
    iterations = windows(trace, "iteration")
    assert [window.number for window in iterations] == [0, 1, 2]
    assert run.start_s <= iterations[0].start_s and iterations[-1].end_s <= run.end_s
    for phase in ("forward", "backward"):
        for window, whole in zip(windows(trace, phase), iterations, strict=True):
            assert window.phase == phase and whole.start_s < window.start_s < window.end_s <= whole.end_s
    repeats = windows(trace, "repeat")
    times = record["replayed"]["repeated"]["runs_in_each"]
    assert len(repeats) == 2 and all(window.iterations == 3 * times for window in repeats)
    idle = [window for window in windows(trace) if window.phase == "idle"]
    assert idle[0].end_s <= run.start_s and idle[-1].start_s >= repeats[-1].end_s and len(idle) >= 4
    assert all("sleeps" in window.note["definition"] for window in idle)
    for one, other in zip(idle[-3:], repeats, strict=False):
        assert one.end_s <= other.start_s
    planned, spacings_s = record["planned"], np.diff(trace.sensors[0].readings.t_s)
    held_up = spacings_s.max() > 0.03  # a pilot with gaps plans nothing
    assert planned["requested"] == 0.4 and ("2 runs of" in planned["said"] or held_up and "pilot cannot be" in planned["said"])
    measured, repeated_s = data["run_energy_j"]["measured"], sum(window.end_s - window.start_s for window in repeats)
    each_s, run_s = repeated_s / 2 / times, record["replayed"]["run"]["host_s"]
    assert record["clock"] is None and 0 <= record["replayed"]["restored_share"] <= repeated_s / (2 * times * run_s)
    slept_s = [stamp_s for thread, stamp_s in naps if thread == threading.get_ident()]
    assert len(slept_s) > 5 and not any(w.start_s < stamp_s < w.end_s for w in [run, *repeats] for stamp_s in slept_s)
    # No work is in the rests, and the energy of the repeats is the monitor's as often as it was read.
    assert all(tree.energy_j(window) == pytest.approx(IDLE_W * (window.end_s - window.start_s)) for window in idle)
    expected_j = sum(tree.energy_j(window) for window in repeats) / 2 / times - IDLE_W * each_s
    unknown_s = sum(tree.unknown_s(trace.sensors[0].readings, window, 0.03) for window in repeats)
    tolerance_j = (WORK_W - IDLE_W) * (0.25 * each_s + unknown_s / 2 / times)
    assert measured["net"]["value"] == pytest.approx(expected_j, abs=tolerance_j)
    assert measured["gross"]["value"] == pytest.approx(measured["net"]["value"] + IDLE_W * each_s, rel=0.01)
    assert measured["gross"]["verdict"].startswith("invalid: ") and "s is too short: at least" in measured["gross"]["verdict"]
    assert "this computer, which interprets the program" in measured["gross"]["scope"]
    assert data["host_s"] == pytest.approx(sum(line["host_s"] for line in read_iterations(out)))

    code, text, err = invoke("recompute", str(out), "--json")
    assert code == 0 and json.loads(text)["reported"] == "equal", err
    for key in KEYS:
        assert json.loads(text)[key] == data[key], key


def test_a_run_that_goes_on_is_measured_whole(tmp_path, program, sensor, monkeypatch):
    """Its window has only the iterations that were executed here; the repeats do all of them from the first weights."""
    monkeypatch.setattr(watched, "Plan", functools.partial(watch.Plan, window_s=0.01, lead_s=0.3))
    monkeypatch.setattr(watch, "WINDOW_REFRESHES", 1)  # the run fills a window, and would be the pilot if it were all there
    whole = tmp_path / "whole"
    code, _, err = invoke("bench", str(program), "--board", "golden", "--checkpoint-every", "2", "--out", str(whole))
    assert code == 0, err
    end = read_checkpoint(whole / "checkpoint.npz")
    stopped, out = tmp_path / "stopped", tmp_path / "run"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BoardCheckpoints, "keep", at_most(BoardCheckpoints.keep, 2))
        invoke("bench", str(program), "--board", "golden", "--checkpoint-every", "2", "--out", str(stopped))
    settings = ["--sensor", sensor, *QUICK, "--relative-u", "0.4", "--resume", str(stopped), "--out", str(out)]
    code, text, err = invoke("bench", str(program), "--board", "golden", *settings)
    assert code == 0, err
    data, record, trace = json.loads(text), read_record(out), read_trace(out / "trace.sqlite")
    assert data["iterations_here"] == 1 and data["iterations_executed"] == 3
    assert read_checkpoint(out / "checkpoint.npz").state == end.state
    (run,) = windows(trace, "run")
    assert run.iterations == 1 and run.note == {"iterations_of_the_whole_run": 3}
    assert [window.number for window in windows(trace, "iteration")] == [2]
    times, repeats = record["replayed"]["repeated"]["runs_in_each"], windows(trace, "repeat")
    assert all(window.iterations == 3 * times for window in repeats) and data["sensors"][0]["runs_in_a_repeat"] == times
    each_s = sum(window.end_s - window.start_s for window in repeats) / len(repeats) / times
    assert record["replayed"]["run"]["host_s"] == pytest.approx(sum(line["host_s"] for line in read_iterations(out)))
    measured = data["run_energy_j"]["measured"]
    assert IDLE_W * each_s < measured["gross"]["value"] < WORK_W * each_s
    assert windows(trace, "pilot"), "a run of which a part was executed elsewhere is no pilot"
    assert recompute(out)["run_energy_j"] == data["run_energy_j"]


@pytest.fixture
def filling(sensor, monkeypatch):
    """The sensor's URL, where a run of three iterations fills a window."""
    monkeypatch.setattr(watched, "Plan", functools.partial(watch.Plan, window_s=0.01, lead_s=0.3))
    monkeypatch.setattr(watch, "WINDOW_REFRESHES", 1)
    return sensor


def test_a_run_too_long_to_be_repeated_is_measured_as_it_is(tmp_path, program, filling):
    out = tmp_path / "run"
    settings = ["--sensor", filling, *QUICK, "--measuring", "0.6", "--out", str(out)]
    code, text, err = invoke("bench", str(program), "--board", "golden", *settings)
    assert code == 0, err
    data, record, trace = json.loads(text), read_record(out), read_trace(out / "trace.sqlite")
    (run,) = windows(trace, "run")
    assert not windows(trace, "repeat") and not windows(trace, "pilot") and run.note == {"measured_alone": True}
    assert [w.start_s >= run.end_s for w in windows(trace) if w.phase == "idle"] == [False, True]
    assert record["replayed"]["said"] == "nothing: the run itself was measured, once" and "repeated" not in record["replayed"]
    assert not record["planned"]["reachable"] and "has room for 1" in record["planned"]["said"]
    (sensed,) = data["sensors"]
    assert sensed["runs_in_a_repeat"] == 1 and sensed["repeats"] is None
    assert any("by how much repeats of it would differ" in warning for warning in sensed["warnings"])
    lasted_s = run.end_s - run.start_s
    assert IDLE_W * lasted_s < data["run_energy_j"]["measured"]["gross"]["value"] < WORK_W * lasted_s
    assert recompute(out)["run_energy_j"] == data["run_energy_j"]


def test_a_checked_run_too_long_to_be_repeated_often_is_repeated_once(tmp_path, program, filling):
    """In its own window the reference computes, too."""
    out = tmp_path / "run"
    settings = ["--check", "--sensor", filling, *QUICK, "--measuring", "0.6", "--out", str(out)]
    code, text, err = invoke("bench", str(program), "--board", "golden", *settings)
    assert code == 0, err
    trace = read_trace(out / "trace.sqlite")
    (run,), (repeat,) = windows(trace, "run"), windows(trace, "repeat")
    (sensed,) = json.loads(text)["sensors"]
    assert run.note == {} and repeat.iterations == 3 * sensed["runs_in_a_repeat"] and not windows(trace, "pilot")
    assert sensed["repeats"] is None and sensed["warnings"]


def test_a_short_run_has_all_its_repeats_however_little_time_is_asked_for(tmp_path, program, sensor, monkeypatch):
    """They last no longer than the shortest windows that can be measured."""
    monkeypatch.setattr(watch.Plan, "times", lambda plan, run_s, refresh_s=0.0: 2)  # however slow this machine is just now
    out = tmp_path / "run"
    settings = ["--sensor", sensor, *QUICK, "--measuring", "0.6", "--out", str(out)]
    code, _, err = invoke("bench", str(program), "--board", "golden", *settings)
    assert code == 0, err
    assert len(windows(read_trace(out / "trace.sqlite"), "repeat")) == 2
    assert read_record(out)["replayed"]["repeated"]["runs_in_each"] > 1


def test_windows_of_a_long_run_are_as_many_as_the_time_has_room_for():
    plan = watch.Plan(repeats=5, requested=0.02, budget_s=600.0)
    for work_s, fitting in ((10.0, 5), (110.0, 5), (111.0, 4), (250.0, 2), (300.0, 1), (86400.0, 1)):
        run = real_time.RealTime(Path("trace.sqlite"), ("hwmon:x",), None, plan=plan)
        run._work_s, run._idle_s = work_s, 10.0
        assert run._fitting() == fitting
        assert bool(run.planned) == (fitting < 5)
    run.plan = dataclasses.replace(plan, budget_s=None)
    assert run._fitting() == 5


def at_most(keep, times: int):
    """Return what keeps checkpoints so many times, and no more."""
    done = []

    def kept(checkpoints, runtime, course):
        if len(done) < times:
            keep(checkpoints, runtime, course)
        done.append(True)

    return kept


def test_without_a_usable_pilot_the_least_windows_are_taken_and_the_record_says_why(monkeypatch):
    def no_trace(path):
        raise NotPooled("the pilot cannot be used: it has no idle")

    monkeypatch.setattr(real_time, "read_trace", no_trace)
    monkeypatch.setattr(real_time, "WRITTEN_S", 0.0)
    run = real_time.RealTime(Path("trace.sqlite"), ("hwmon:x",), None, plan=watch.Plan(repeats=4, requested=0.02))
    run._lead_s = 0.0
    assert run._planned("pilot", 7) == (7, 4)
    assert run.planned == {"reachable": False, "requested": 0.02, "said": "no plan: the pilot cannot be used: it has no idle"}


def test_a_repeat_that_computes_something_else_ends_the_run(tmp_path, program, sensor, monkeypatch):
    true, seen = loss.Gradient.finished, []

    def wrong(gradient):
        found = true(gradient)
        seen.append(found)
        return dataclasses.replace(found, loss=found.loss + 1e-9) if len(seen) == REHEARSED + 5 else found

    monkeypatch.setattr(loss.Gradient, "finished", wrong)
    out = tmp_path / "run"
    outcome = invoke("bench", str(program), "--board", "golden", "--sensor", sensor, *QUICK, "--out", str(out))
    refused(outcome, "second time", "loss of iteration 1")
    assert read_record(out)["status"] == "failed" and len(list(read_iterations(out))) == 3
    assert read_trace(out / "trace.sqlite").status == "aborted"


def test_a_sensor_that_goes_away_ends_the_run_and_leaves_the_folder(tmp_path, program, sensor, monkeypatch):
    from joulegrad.real_time import RealTime

    monkeypatch.setattr(RealTime, "after", lambda self, again, pilot: self._sampler._process.kill() or self._wait(300.0))
    out = tmp_path / "run"
    began = time.monotonic()
    refused(invoke("bench", str(program), "--board", "golden", "--sensor", sensor, *QUICK, "--out", str(out)), "sampler", "died")
    assert time.monotonic() - began < 200 and read_record(out)["status"] == "failed"
    assert len(read_trace(out / "trace.sqlite").sensors[0].readings) > 10


def test_export_says_what_it_made_and_bench_keeps_to_it(tmp_path):
    path = str(tmp_path / "d.jg")
    code, text, err = invoke("export", "digits", "-o", path, "--config", "tiny", "--steps", "2", "--batch-size", "4", "--json")
    assert code == 0, err
    made = json.loads(text)
    assert made["recipe"] == "digits" and made["config"] == "tiny" and made["iterations"] == 2 and made["batch_size"] == 4
    refused(invoke("bench", path, "--board", "golden", "--batch-size", "8", "--json"), "--batch-size 8", "holds 4")
    refused(invoke("bench", path, "--board", "golden", "--steps", "3", "--json"), "--steps 3", "holds 2")
    refused(invoke("bench", path, "--board", "golden", "--config", "z7020", "--json"), "compiled for tiny")
    refused(invoke("export", path, "-o", str(tmp_path / "e.jg"), "--json"), "exported already")
    refused(invoke("train", path, "--price", "z7020", "--json"), "exported already")
    refused(invoke("bench", "methods", path, "--json"), "exported already")
    refused(invoke("export", "digits", "-o", str(tmp_path / "e.zip"), "--json"), ".jg")
    refused(invoke("export", "digits", "-o", str(tmp_path / "no" / "e.jg"), "--json"), "folder")
    short = ["--config", "tiny", "--steps", "4", "--batch-size", "4", "--method", "cpt", "--json"]
    refused(invoke("export", "digits", "-o", str(tmp_path / "e.jg"), *short), "32 periods in 4 iterations")
    assert not (tmp_path / "e.jg").exists()
    refused(invoke("export", "moon", "-o", str(tmp_path / "e.jg"), "--json"), "moon", "digits")
    refused(invoke("bench", "moon", "--board", "golden", "--json"), "neither a recipe", "digits", "PROGRAM.jg")
    refused(invoke("bench", str(tmp_path / "none.jg"), "--board", "golden", "--json"), "no such program")


def test_a_recipe_and_its_program_train_the_same(tmp_path, program):
    settings = ["--board", "golden", "--json", "--seed", "0"]
    code, text, err = invoke("bench", str(program), *settings, "--out", str(tmp_path / "one"), "--check")
    assert code == 0, err
    recipe = str(recipe_file(tmp_path))
    code, other, err = invoke("bench", "run", recipe, *settings, "--config", "tiny", "--out", str(tmp_path / "other"))
    assert code == 0, err
    assert json.loads(text)["bit_exact"] is True
    assert read_record(tmp_path / "one")["loss"] == read_record(tmp_path / "other")["loss"]
    made = read_record(tmp_path / "one")["packed"]
    assert made["path"] == str(program) and len(made["sha256"]) == 64 and made["made"]["commit"]


def test_a_program_that_does_not_fit_the_board_is_refused(tmp_path, program, monkeypatch):
    from joulegrad import bench

    monkeypatch.setattr(bench, "_ddr_bytes", lambda program: 1 << 16)
    out = tmp_path / "run"
    refused(invoke("bench", str(program), "--board", "golden", "--json", "--out", str(out)), "bytes of DDR", "65536")
    assert not out.exists()


WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "scipy", "sklearn", "matplotlib", "plotly"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from joulegrad.cli import main
main()
"""


def test_a_program_is_trained_without_torch_and_a_check_says_that_it_needs_it(tmp_path, program):
    def run(*arguments):
        command = [sys.executable, "-c", WITHOUT, *arguments, "--json"]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)})

    done = run("bench", str(program), "--board", "golden", "--out", "run")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run_energy_j"]["simulated"]["gross"]["value"] > 0
    for arguments in (("bench", str(program), "--board", "golden", "--check"), ("bench", "digits", "--board", "golden")):
        done = run(*arguments, "--out", "none")
        said = json.loads(done.stdout)["error"]
        assert done.returncode != 0 and "torch" in said.lower() and "not installed" in said and "Traceback" not in done.stderr
    assert not (tmp_path / "none" / "trace.sqlite").exists()
