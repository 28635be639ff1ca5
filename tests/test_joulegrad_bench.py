"""`joulegrad bench digits` on the golden board: checked bit for bit, its JSON and run folder, differences, interruptions."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from algo.export import build_step
from algo.models import digits_network
from host.run_folder import read_iterations, read_record
from joulegrad import bench, errors, peak
from joulegrad.cli import app

ROOT = Path(__file__).parents[1]
GOLDEN = ["bench", "digits", "--board", "golden", "--batch-size", "4", "--json"]


@pytest.fixture(autouse=True)
def few_held_out_images(monkeypatch):
    true = bench.export_digits

    def smaller(*arguments):
        exported, data = true(*arguments)
        return exported, dataclasses.replace(data, test=data.test[:8], test_labels=data.test_labels[:8])

    monkeypatch.setattr(bench, "export_digits", smaller)


def invoke(*arguments: str):
    done = CliRunner().invoke(app, list(arguments))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def test_a_checked_run_and_its_folder(tmp_path):
    code, out, err = invoke(*GOLDEN, "--steps", "2", "--check", "--out", str(tmp_path / "run"))
    assert code == 0, err
    data = json.loads(out)
    assert data["schema"] == 1 and data["bit_exact"] is True
    assert data["counters_exact"] is True and data["cycles_predicted_error"] is None
    assert data["iterations_drawn"] == data["iterations_executed"] == 2
    assert data["test_images"] == 8 and 0 <= data["accuracy"] <= 1 and data["loss"] > 0
    assert data["cycles_per_iteration"] is None and data["array_peak_share"] is None
    assert data["run_energy_j"] == {} and data["time_s"] is None
    assert data["run_dir"] == str(tmp_path / "run")
    record = read_record(tmp_path / "run")
    assert record["status"] == "finished" and record["result"] == data
    assert len(record["loss"]) == 2 and record["loss"][-1] == data["loss"]
    assert record["commit"] and record["config_hash"] and record["versions"]["torch"]
    assert "not measured" in record["energy_assumptions"]["emulated"]["said"]
    lines = list(read_iterations(tmp_path / "run"))
    assert [line["iteration"] for line in lines] == [0, 1]
    assert lines[0]["counters"]["forward"]["slots_forward"] > 0
    assert (tmp_path / "run" / "run.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "run" / "program.zip").stat().st_size > 0


def test_a_difference_is_named_and_fails(tmp_path, monkeypatch):
    true = bench.Emulator.tensors

    def wrong(self):
        found = {name: np.array(value) for name, value in true(self).items()}
        if self.state.iteration == 2:
            found["conv.weight.master"][3, 0, 1, 2] += 1
        return found

    monkeypatch.setattr(bench.Emulator, "tensors", wrong)
    code, out, err = invoke(*GOLDEN, "--steps", "3", "--check", "--out", str(tmp_path / "run"))
    assert code == errors.FAILED
    data = json.loads(out)
    assert data["bit_exact"] is False and data["run_dir"] == str(tmp_path / "run")
    for word in ("iteration 1", "conv.weight.master", "[3, 0, 1, 2]"):
        assert word in data["error"]
    assert "Traceback" not in err
    assert read_record(tmp_path / "run")["status"] == "failed"


def test_a_wrong_counter_is_named_and_fails(tmp_path, monkeypatch):
    from host.board_golden import Driver

    true = Driver.wait

    def wait(self, timeout_s=None):
        counters = true(self, timeout_s)
        return counters | {"acc_reads": counters["acc_reads"] + 1}

    monkeypatch.setattr(Driver, "wait", wait)
    code, out, err = invoke(*GOLDEN, "--steps", "2", "--check", "--out", str(tmp_path / "run"))
    assert code == errors.FAILED and "Traceback" not in err
    data = json.loads(out)
    assert data["counters_exact"] is False
    for word in ("iteration 0", "acc_reads", "segment forward", "predicted"):
        assert word in data["error"]


def test_energies_of_a_board_with_a_clock(tmp_path, monkeypatch):
    """The golden board given a clock and activity: labels, shares and peak share reach the JSON."""
    from host.board_golden import Driver

    true = Driver.wait
    monkeypatch.setattr(Driver, "wait", lambda self, timeout_s=None: true(self, timeout_s) | {"cycles": 100_000})
    monkeypatch.setattr(Driver, "activity", lambda self: {"operand_toggles": 10_000, "product_toggles": 500_000})
    code, out, err = invoke(*GOLDEN, "--steps", "2", "--out", str(tmp_path / "run"))
    assert code == 0, err
    data = json.loads(out)
    assert data["bit_exact"] is None
    assert data["cycles_per_iteration"] == 200_000
    assert list(data["run_energy_j"]) == ["simulated", "emulated"]
    assert data["run_energy_j"]["emulated"]["gross"]["verdict"].startswith("invalid: the emulated window")
    step = build_step(digits_network(0), (1, 8, 8), 4)
    assert data["array_peak_share"] == pytest.approx(peak.training_macs(step, 4) / (200_000 * 256), rel=1e-12)
    gross = data["run_energy_j"]["simulated"]["gross"]["value"]
    assert sum(data["shares"]["simulated_j"].values()) == pytest.approx(gross, rel=1e-9)
    assert sum(data["shares"]["time_s"].values()) == pytest.approx(data["time_s"], rel=1e-9)
    assert (tmp_path / "run" / "shares.png").is_file()
    code, out, _ = invoke(*GOLDEN[:-1], "--steps", "1", "--out", str(tmp_path / "people"))
    assert code == 0
    for word in ("test accuracy", "cycles", "simulated", "emulated", "processor", "idle", str(tmp_path / "people")):
        assert word in out.replace("\n", "")


def test_macs_of_the_digits_network_by_hand():
    step = build_step(digits_network(0), (1, 8, 8), 4)
    # k * c * oh * ow * r * r of the layers; the first has no grad_input, all others have three products
    first = 16 * 1 * 64 * 9
    others = 2 * 16 * 16 * 64 * 9 + 32 * 16 * 16 * 9 + 32 * 32 * 16 * 9 + 32 * 16 * 16 + 10 * 32
    assert peak.training_macs(step, 4) == 4 * (2 * first + 3 * others)


@pytest.mark.parametrize("kind", ["file", "full"])
def test_an_unwritable_run_folder_is_one_sentence(tmp_path, kind):
    out = tmp_path / "place"
    if kind == "file":
        out.write_text("not a folder")
    else:
        out.mkdir()
        (out / "run.json").write_text("{}")
    code, text, err = invoke(*GOLDEN, "--steps", "1", "--out", str(out))
    assert code == errors.FAILED
    assert str(out) in json.loads(text)["error"]
    assert "Traceback" not in err


def test_a_board_that_is_not_there_leaves_no_folder(tmp_path):
    code, text, _ = invoke("bench", "digits", "--board", "moon", "--json", "--steps", "1", "--out", str(tmp_path / "run"))
    assert code == errors.FAILED
    assert "moon" in json.loads(text)["error"]
    assert not (tmp_path / "run").exists()


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    def full(program, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bench, "write_program", full)
    code, text, err = invoke(*GOLDEN, "--steps", "1", "--out", str(tmp_path / "run"))
    assert code == errors.FAILED and "Traceback" not in err
    assert "program.zip cannot be written: No space left" in json.loads(text)["error"]
    assert read_record(tmp_path / "run")["status"] == "failed"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, errors.INTERRUPTED), (signal.SIGTERM, errors.TERMINATED)])
def test_ctrl_c_and_sigterm_leave_a_readable_aborted_folder(tmp_path, number, code):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "joulegrad.cli", *GOLDEN, "--steps", "5000", "--out", str(out)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite in the background hands down an ignored one
    )  # fmt: skip
    deadline_s = time.monotonic() + 60
    lines = out / "iterations.jsonl"
    while time.monotonic() < deadline_s and process.poll() is None:
        if lines.is_file() and lines.read_text().count("\n") >= 2:
            break
        time.sleep(0.1)
    process.send_signal(number)
    text, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert "aborted" in json.loads(text)["error"] and str(out) in json.loads(text)["error"]
    record = read_record(out)
    assert record["status"] == "aborted"
    assert record["iterations"] == len(list(read_iterations(out))) >= 2


def test_new_run_folders_do_not_collide(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "RUNS", tmp_path)
    now = time.localtime(0)
    first = bench.new_run_dir("sim", now)
    first.mkdir()
    second = bench.new_run_dir("sim", now)
    second.mkdir()
    assert len({first, second, bench.new_run_dir("sim", now)}) == 3
