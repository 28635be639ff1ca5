"""`joulegrad.measure` and `joulegrad measure -- COMMAND`: windows nest, idle goes off, mistakes are sentences."""

from __future__ import annotations

import json
import sys
import time

import pytest
from command_line import invoke
from hwmon_tree import HwmonTree
from typer.testing import CliRunner
from waiting import until

import joulegrad
from host.sampler import SamplerError
from host.sensor import SensorError, open_sensor
from host.trace import windows
from host.trace_file import read_trace
from joulegrad.cli import app
from joulegrad.measurement import MeasureError
from measurements.recompute import differences, recompute

IDLE_W, WORK_W = 5.0, 9.0


@pytest.fixture
def tree(tmp_path):
    monitor = HwmonTree(tmp_path / "sys")
    monitor.set_power(IDLE_W)
    return monitor


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A measurement of two windows in one another: 0.8 s of work, 0.4 s of it the inner window, and rest."""
    folder = tmp_path_factory.mktemp("measured")
    monitor = HwmonTree(folder / "sys")
    monitor.set_power(IDLE_W)
    with joulegrad.measure(monitor.url(), idle=0.5, out=folder / "run") as m:
        began_s = time.monotonic()
        with m.window("epoch", iterations=8) as epoch:
            monitor.set_power(WORK_W)
            time.sleep(0.4)
            with m.window("half"):
                time.sleep(0.4)
            monitor.set_power(IDLE_W)
            assert m.windows == ("epoch",) and epoch.number == 0
        ended_s = time.monotonic()
        time.sleep(0.3)
        with m.window("epoch", iterations=2):
            time.sleep(0.1)
        assert set(until(m.power_w, "a value")) and m.joules
    return m, folder / "run", monitor, (began_s, ended_s)


def test_windows_are_as_long_as_the_code_took_and_hold_its_energy(finished):
    m, folder, monitor, (began_s, ended_s) = finished
    epoch, trace = m.joules("epoch"), read_trace(folder / "trace.sqlite")
    assert epoch.label == "measured" and epoch.iterations == 8
    window, half = windows(trace, "epoch")[0], windows(trace, "half")[0]
    (_, work_s, _), (_, rest_s, _) = monitor.powers[1:]
    assert epoch.time_s == window.end_s - window.start_s >= rest_s - work_s >= 0.8 and half.end_s - half.start_s >= 0.4
    assert began_s < window.start_s < work_s < half.start_s < half.end_s < rest_s < window.end_s < ended_s
    for name, of in (("epoch", window), ("half", half)):
        expected_j = monitor.energy_j(of) - IDLE_W * (of.end_s - of.start_s)
        unknown_j = (WORK_W - IDLE_W) * monitor.unknown_s(trace.sensors[0].readings, of)
        assert m.joules(name).net.value == pytest.approx(expected_j, rel=0.02, abs=unknown_j)
    assert epoch.gross.value == pytest.approx(epoch.net.value + IDLE_W * epoch.time_s, rel=1e-3)


def test_the_block_is_a_window_with_the_iterations_of_its_windows(finished):
    m = finished[0]
    assert m.joules().iterations == 10
    assert m.joules("epoch", 1).iterations == 2
    assert m.joules().net.value >= m.joules("epoch").net.value


def test_verdicts_apply(finished):
    assert "too short" in finished[0].joules("half").gross.verdict


def test_the_run_folder_holds_the_result_and_recompute_finds_it_again(finished):
    m, run_dir, *_ = finished
    record = json.loads((run_dir / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["result"]["run_energy_j"] == m.to_json()["run_energy_j"]
    assert list(record["result"])[:6] == ["schema", "iterations_drawn", "iterations_executed", "time_s", "run_energy_j",
                                          "energy_per_executed_iteration_j"]  # fmt: skip
    assert differences(recompute(run_dir), record["result"]) == []


def test_no_result_before_the_end_no_window_that_is_not_there(finished, tree, tmp_path):
    with pytest.raises(MeasureError, match="no window 'epoch' number 7"):
        finished[0].joules("epoch", 7)
    with joulegrad.measure(tree.url(), idle=0, out=tmp_path / "run") as m:
        m.begin_window("a")
        with pytest.raises(MeasureError, match="open already"):
            m.begin_window("a")
        with pytest.raises(MeasureError, match="no window 'b' is open: a"):
            m.end_window("b")
        with pytest.raises(MeasureError, match="has no result yet"):
            m.joules("a")
        m.end_window("a", iterations=3)
    assert m.joules("a").net is None and m.to_json()["run_energy_j"]["measured"]["net"] is None


def test_a_window_left_open_is_an_error_and_the_trace_stays(tree, tmp_path):
    left = pytest.raises(MeasureError, match="window 'a' is still open")
    with left, joulegrad.measure(tree.url(), idle=0, out=tmp_path / "run") as m:
        m.begin_window("a")
    assert read_trace(tmp_path / "run" / "trace.sqlite").status == "aborted"


@pytest.mark.fault(35)
def test_an_exception_inside_passes_and_leaves_an_aborted_window(tree, tmp_path):
    with pytest.raises(ZeroDivisionError), joulegrad.measure(tree.url(), idle=0, out=tmp_path / "run") as m, m.window("epoch"):
        raise ZeroDivisionError
    trace = read_trace(tmp_path / "run" / "trace.sqlite")
    assert trace.status == "aborted"
    (epoch,) = windows(trace, "epoch")
    assert epoch.note["aborted"]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "failed"


def test_a_sensor_that_cannot_be_opened_leaves_no_folder(tree, tmp_path):
    """Also of a run in PyTorch, or on a board; an empty folder that was given stays as it was."""
    (tmp_path / "given").mkdir()
    few = ("--steps", "1", "--batch-size", "2", "--sensor", tree.url(), "--out", tmp_path / "run", "--json")
    with open_sensor(tree.url()):  # one reader per chip
        for out in ("made", "given"):
            with pytest.raises(SamplerError, match="ina226"), joulegrad.measure(tree.url(), idle=0, out=tmp_path / out):
                pytest.fail("there is nothing to measure with")
        for words in (("train", "digits"), ("bench", "digits", "--board", "golden", "--config", "tiny")):
            code, out, _ = invoke(*words, *few)
            assert code == 1 and "ina226" in json.loads(out)["error"] and json.loads(out)["run_dir"] is None
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["given", "sys"] and not list((tmp_path / "given").iterdir())


@pytest.mark.fault(33)
@pytest.mark.parametrize("url", ["rapl", "nvml", "pmbus", "hwmon:ina226"])
def test_sensors_of_this_machine_are_refused_for_a_remote_board(url, monkeypatch):
    monkeypatch.setenv("PYNQ_REMOTE_DEVICES", "192.0.2.7")
    with pytest.raises(SensorError, match="PYNQ_REMOTE_DEVICES=192.0.2.7 drives a board over the network"):
        joulegrad.measure(url)


def run(*arguments):
    return CliRunner().invoke(app, ["measure", *map(str, arguments)])


def test_a_command_is_measured(tree, tmp_path):
    done = run("--sensor", tree.url(), "--idle", 0.3, "--iterations", 4, "--out", tmp_path / "run", "--json", "--",
               sys.executable, "-c", "import time; time.sleep(0.3)")  # fmt: skip
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["iterations_executed"] == 4 and result["exit_code"] == 0
    assert result["run_energy_j"]["measured"]["gross"]["value"] == pytest.approx(IDLE_W * result["time_s"], rel=0.01)


def test_a_command_that_fails_is_a_failure_and_its_energy_is_kept(tree, tmp_path):
    done = run("--sensor", tree.url(), "--idle", 0, "--out", tmp_path / "run", "--", sys.executable, "-c", "raise SystemExit(3)")
    assert done.exit_code == 1
    assert "exit code 3" in done.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["result"]["run_energy_j"]


@pytest.mark.parametrize("arguments, code, said", [
    (("--sensor", "nosuch:1", "--", "true"), 1, "no driver for sensor 'nosuch:1'"),
    (("--sensor", "sim", "--idle", "0", "--", "true"), 2, "virtual time"),
    (("--sensor", "{url}", "--idle", "0", "--", "no-such-command"), 2, "cannot be started"),
    (("--sensor", "{url}", "--calibration", "nowhere.json", "--", "true"), 1, "no calibration can be read"),
])
def test_mistakes_are_one_sentence(tree, tmp_path, arguments, code, said):
    done = run("--out", tmp_path / "run", *(each.format(url=tree.url()) for each in arguments))
    assert done.exit_code == code, done.output
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("joulegrad: ") and said in last
    assert "Traceback" not in done.output
    assert not (tmp_path / "run").exists()
