"""PROGRAM.jg on the drivers of real boards, behind which the core is simulated: measured joules, signatures, pulled cables."""

from __future__ import annotations

import dataclasses
import functools
import json
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from hwmon_tree import HwmonTree
from packed_programs import program_file, recipe_file
from serial_meter import Terminal
from test_host_board_serial import _Core
from typer.testing import CliRunner

from host import board_pynq, pynq_device
from host.benchmark_serial_board import played
from host.readings import HOST_CLOCK
from host.run_folder import read_iterations, read_record
from host.signature import SignaturePlayer
from host.trace import windows
from host.trace_file import read_trace
from hw import bitstream, golden_serial
from hw.config import load_config
from hw.design import describe, load_board
from hw.pynq_stand_in import StandInFlow, installed
from joulegrad import watch, watched
from joulegrad.cli import app

TINY = load_config("tiny")
IDLE_W, WORK_W = 3.0, 5.0


def invoke(*arguments):
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return program_file(tmp_path_factory.mktemp("program"))


@pytest.fixture
def quick(monkeypatch):
    """Windows of half a second, which are too short for a valid result; busy segments that are simulated quickly."""
    monkeypatch.setattr(watched, "Plan", functools.partial(watch.Plan, window_s=0.5, lead_s=0.2))
    monkeypatch.setattr(watched, "SignaturePlayer", functools.partial(SignaturePlayer, busy_s=2e-5))
    monkeypatch.setattr(watch, "IDLE_REFRESHES", 10)
    monkeypatch.setattr(watch, "WINDOW_REFRESHES", 10)


@pytest.fixture
def zynq_folder(tmp_path, monkeypatch):
    """Folder of a bitstream for the stand-in of a PYNQ-Z2."""
    monkeypatch.setattr(pynq_device, "LOCKS", tmp_path)
    monkeypatch.setenv(pynq_device.REMOTE, "")
    design = describe(TINY, load_board("pynq-z2"), "yosys")
    bitstream.build(design, StandInFlow(), "unknown", tmp_path / "build")
    return tmp_path / "build" / design.name


def test_measured_joules_of_a_board_that_pynq_drives(tmp_path, program, quick, zynq_folder, monkeypatch):
    tree = HwmonTree(tmp_path / "sys")
    tree.set_power(IDLE_W)
    start, wait = board_pynq.Driver.start, board_pynq.Driver.wait

    def started(self, address, count):
        tree.set_power(WORK_W)
        start(self, address, count)

    def waited(self, timeout_s=None):
        counters = wait(self, timeout_s)
        tree.set_power(IDLE_W)
        return counters

    monkeypatch.setattr(board_pynq.Driver, "start", started)
    monkeypatch.setattr(board_pynq.Driver, "wait", waited)
    out = tmp_path / "run"
    settings = ["--sensor", tree.url(period_s=0.01), "--repeats", "2", "--idle", "0.3", "--relative-u", "0.4", "--out", out]
    with installed():
        code, data, err = invoke("bench", program, "--board", f"pynq:{zynq_folder}", *settings)
    assert code == 0, err
    assert list(data["run_energy_j"]) == ["simulated", "measured"] and data["counters"]["cycles"] > 100_000
    measured, record, trace = data["run_energy_j"]["measured"], read_record(out), read_trace(out / "trace.sqlite")
    assert record["clock"] == HOST_CLOCK and "board powered" in record["idle_definition"] and record["watched"] == ""
    lines = list(read_iterations(out))
    assert data["time_s"] == pytest.approx(sum(line["host_s"] for line in lines)) and "predicted_cycles" not in lines[0]
    idle = data["run_energy_j"]["simulated"]["gross"]["value"] - data["run_energy_j"]["simulated"]["net"]["value"]
    assert idle == pytest.approx(1.6 * data["time_s"], rel=1e-6)
    repeats = windows(trace, "repeat")
    each_s = sum(w.end_s - w.start_s for w in repeats) / len(repeats) / record["replayed"]["repeated"]["runs_in_each"]
    assert IDLE_W * each_s < measured["gross"]["value"] < WORK_W * each_s
    times = len(repeats) * record["replayed"]["repeated"]["runs_in_each"]
    expected_j = sum(tree.energy_j(window) for window in repeats) / times
    unknown_s = sum(tree.unknown_s(trace.sensors[0].readings, window, 0.03) for window in repeats)
    tolerance_j = (WORK_W - IDLE_W) * (0.25 * each_s + unknown_s / times)
    assert expected_j > IDLE_W * each_s and measured["gross"]["value"] == pytest.approx(expected_j, abs=tolerance_j)
    assert measured["net"]["value"] == pytest.approx(measured["gross"]["value"] - IDLE_W * each_s, rel=0.01)
    assert "what flows through chip ina226" in measured["gross"]["scope"] and "interprets" not in measured["gross"]["scope"]
    before, after = (windows(trace, f"signature {when}")[0] for when in ("before", "after"))
    (run,) = windows(trace, "run")
    assert before.end_s < run.start_s < run.end_s < repeats[0].start_s < repeats[-1].end_s < after.start_s
    assert len(before.note["on_s"]) > 5 and "aborted" not in after.note
    (sensor,) = data["sensors"]
    assert ("alignment" in sensor) != any("stamped on arrival" in one for one in sensor["warnings"])
    assert trace.provenance["bitstream"] == record["board_facts"]["bitstream_sha256"] and trace.provenance["clk_hz"] == 100e6
    code, again, err = invoke("recompute", out)
    assert code == 0 and again["reported"] == "equal", err


def test_a_program_of_another_configuration_than_the_bitstream_is_refused(tmp_path, zynq_folder, quick):
    other = tmp_path / "z7020.jg"
    code, _, err = invoke("export", recipe_file(tmp_path), "-o", other)
    assert code == 0, err
    with installed():
        code, data, err = invoke("bench", other, "--board", f"pynq:{zynq_folder}", "--out", tmp_path / "run")
    assert code == 1 and "Traceback" not in err
    assert "configuration tiny" in data["error"] and "asked for is z7020" in data["error"]
    assert not (tmp_path / "run").exists()


def test_a_program_of_another_configuration_than_the_core_is_refused(tmp_path, program):
    bridge = golden_serial.SerialBridge(bytearray(4096), _Core())
    config = dataclasses.replace(TINY, name="other", a_words=2 * TINY.a_words)
    path = tmp_path / "other.json"
    path.write_text(json.dumps({name: value for name, value in dataclasses.asdict(config).items() if name != "name"}))
    other = tmp_path / "other.jg"
    code, _, err = invoke("export", recipe_file(tmp_path), "-o", other, "--config", path)
    assert code == 0, err
    for chosen, words in ((other, ("compiled for configuration other", "board's core is another")), (program, ("bytes of DDR",))):
        with Terminal(bridge.answer) as terminal:
            out = tmp_path / f"run-{chosen.stem}"
            code, data, err = invoke("bench", chosen, "--board", f"serial:{terminal.port}", "--out", out)
        assert code == 1 and "Traceback" not in err and all(word in data["error"] for word in words), data["error"]


def pulled(board: subprocess.Popen, lines: Path) -> threading.Thread:
    """Return a thread under way that kills the board as soon as two lines of iterations are there."""

    def watch_and_pull():
        until_s = time.monotonic() + 120
        while time.monotonic() < until_s and not (lines.exists() and lines.read_text().count("\n") >= 2):
            time.sleep(0.05)
        board.send_signal(signal.SIGKILL)

    thread = threading.Thread(target=watch_and_pull, daemon=True)
    thread.start()
    return thread


def test_a_cable_pulled_in_a_run_leaves_one_sentence_and_a_readable_folder(tmp_path, quick):
    long, out, tree = program_file(tmp_path, steps=2000), tmp_path / "run", HwmonTree(tmp_path / "sys")
    with played("tiny") as (url, board, _):
        thread = pulled(board, out / "iterations.jsonl")
        sensor = ["--sensor", tree.url(period_s=0.05), "--idle", "0.2"]
        code, data, err = invoke("bench", long, "--board", f"{url}&answer_s=0.5", "--out", out, *sensor)
        thread.join()
    assert code == 1 and "Traceback" not in err
    assert "is gone" in data["error"] or "does not answer" in data["error"]
    record, trace = read_record(out), read_trace(out / "trace.sqlite")
    assert record["status"] == "failed" and record["iterations"] == len(list(read_iterations(out))) >= 2
    assert trace.status == "aborted" and len(trace.sensors[0].readings) > 10
    (run,) = windows(trace, "run")
    assert run.note["aborted"] is True and run.iterations == len(windows(trace, "iteration")) >= record["iterations"]
