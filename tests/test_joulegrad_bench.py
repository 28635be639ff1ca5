"""`joulegrad bench digits` on the golden board: checked bit for bit, its JSON and run folder, differences, interruptions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from command_line import invoke
from waiting import PATIENCE_S, until

from algo.emulator import Emulator
from algo.export import build_step
from algo.models import digits_network
from host.readings import VIRTUAL_CLOCK
from host.run_folder import read_iterations, read_record
from host.trace import windows
from host.trace_file import read_trace
from host.virtual_rails import ACTIVITY
from joulegrad import bench, errors, peak
from joulegrad.emulation import Emulation
from measurements.energy_model import TABLE
from measurements.recompute import KEYS

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.usefixtures("few_held_out_images")
GOLDEN = ["bench", "digits", "--board", "golden", "--batch-size", "4", "--json"]


def test_a_checked_run_and_its_folder(tmp_path):
    code, out, err = invoke(*GOLDEN, "--steps", "2", "--check", "--out", str(tmp_path / "run"))
    assert code == 0, err
    data = json.loads(out)
    assert data["schema"] == 1 and data["bit_exact"] is True
    assert data["counters_exact"] is True and data["cycles_predicted_error"] is None
    assert data["iterations_drawn"] == data["iterations_executed"] == 2
    assert data["test_images"] == 2 and 0 <= data["accuracy"] <= 1 and data["loss"] > 0
    assert data["cycles_per_iteration"] is None and data["array_peak_share"] is None
    # The golden board has no time: joules are those of the predicted cycles, and say so.
    assert list(data["run_energy_j"]) == ["simulated"] and data["predicted_cycles_per_iteration"] > 10_000
    energy = data["run_energy_j"]["simulated"]["gross"]
    assert "cycles predicted" in energy["scope"] and energy["verdict"].startswith("invalid") and energy["value"] > 0
    assert data["time_s"] > 2 * data["predicted_cycles_per_iteration"] / 100e6
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
    true = Emulator.tensors

    def wrong(self):
        found = {name: np.array(value) for name, value in true(self).items()}
        if self.state.iteration == 2:
            found["conv.weight.master"][3, 0, 1, 2] += 1
        return found

    monkeypatch.setattr(Emulator, "tensors", wrong)
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


@pytest.fixture
def clocked(monkeypatch):
    """The golden board given a clock and activity."""
    from host.board_golden import Driver

    true = Driver.wait
    monkeypatch.setattr(Driver, "clock", VIRTUAL_CLOCK)
    monkeypatch.setattr(Driver, "wait", lambda self, timeout_s=None: true(self, timeout_s) | {"cycles": 100_000})
    monkeypatch.setattr(Driver, "activity", lambda self: dict.fromkeys(ACTIVITY, 10_000) | {"product_toggles": 100_000_000})


def test_energies_of_a_board_with_a_clock(tmp_path, clocked):
    """Labels, shares and peak share reach the JSON; joules are there with U; recompute gives them again."""
    out = tmp_path / "run"
    code, text, err = invoke(*GOLDEN, "--steps", "2", "--repeats", "2", "--out", str(out))
    assert code == 0, err
    data = json.loads(text)
    assert data["bit_exact"] is None
    assert data["cycles_per_iteration"] == 200_000
    assert list(data["run_energy_j"]) == ["simulated", "emulated"]
    for kind in ("gross", "net"):
        quantity = data["run_energy_j"]["emulated"][kind]
        assert quantity["verdict"] == "resolved" and 0 < quantity["u95"] < 0.05 * quantity["value"]
        assert "whole simulated board" in quantity["scope"]
    step = build_step(digits_network(0), (1, 8, 8), 4)
    assert data["array_peak_share"] == pytest.approx(peak.training_macs(step, 4) / (200_000 * 256), rel=1e-12)
    gross = data["run_energy_j"]["simulated"]["gross"]["value"]
    assert sum(data["shares"]["simulated_j"].values()) == pytest.approx(gross, rel=1e-9)
    assert sum(data["shares"]["time_s"].values()) == pytest.approx(data["time_s"], rel=1e-9)
    assert (out / "shares.png").is_file()
    record = read_record(out)
    assert record["sensors"] == ["sim"] and record["idle_definition"] and record["result"] == data
    assert record["replayed"]["simulated"] == {"iterations": 2, "busy_segments": 1}
    assert all("emulated" not in line["energy"] for line in read_iterations(out))

    code, text, err = invoke("recompute", str(out), "--json")
    assert code == 0, err
    again = json.loads(text)
    assert again["reported"] == "equal"
    for key in KEYS:
        assert again[key] == data[key], key


def test_the_trace_says_what_was_simulated_and_what_was_replayed(tmp_path, clocked):
    invoke(*GOLDEN, "--steps", "3", "--repeats", "2", "--out", str(tmp_path / "run"))
    trace = read_trace(tmp_path / "run" / "trace.sqlite")
    assert trace.status == "finished" and trace.damaged_blocks == 0 and not trace.gaps
    assert trace.provenance["run"] == "run" and trace.provenance["commit"]
    (run,) = windows(trace, "run")
    assert run.iterations == 3 and run.clock == VIRTUAL_CLOCK and not run.note
    iterations = windows(trace, "iteration")
    assert [window.number for window in iterations] == [0, 1, 2]
    assert iterations[0].start_s == run.start_s and iterations[-1].end_s == run.end_s
    for phase in ("load", "forward", "backward", "update"):
        first, *late = [window for window in windows(trace, phase) if window.number == 0]
        assert not late or phase == "load"  # what the processor has not done yet when the core has
        assert iterations[0].start_s <= first.start_s < first.end_s <= iterations[0].end_s and first.phase == phase
    record = read_record(tmp_path / "run")
    times = record["replayed"]["replayed"]["runs_in_each"]
    pilot = read_trace(tmp_path / "run" / "pilot.sqlite")
    assert not windows(trace, "pilot") and not windows(pilot, "repeat") and not windows(pilot, "run")
    assert len(windows(trace, "repeat")) == record["replayed"]["replayed"]["repeats"] == 2
    assert record["planned"]["reachable"] is True and record["planned"]["requested"] == 0.02
    for window in (*windows(pilot, "pilot"), *windows(trace, "repeat")):
        assert window.end_s - window.start_s >= 10.0 and window.iterations == 3 * times
        assert window.note["replayed"] == {"iterations": 3, "times": times, "simulated_once": True}
        assert (window.end_s - window.start_s) / times == pytest.approx(record["result"]["time_s"], rel=1e-9)
    for name in ("signature before", "signature after"):
        (signature,) = windows(trace, name)
        assert "replayed" in signature.note and signature.note["on_s"]
    idle = [window for window in windows(trace) if window.phase == "idle"]
    assert len(idle) == 4 and all(window.note["definition"] == record["idle_definition"] for window in idle)


def test_people_see_joules_with_uncertainty(tmp_path, clocked):
    code, out, err = invoke(*GOLDEN[:-1], "--steps", "1", "--repeats", "2", "--out", str(tmp_path / "people"))
    assert code == 0
    out = out.replace("\n", "")
    for word in ("test accuracy", "cycles", "simulated", "emulated: resolved", "+-", "processor", "idle", "people"):
        assert word in out


def test_the_progress_line_holds_the_power_as_soon_as_a_sensor_says_it(monkeypatch):
    emulation = Emulation(Path("trace.sqlite"), ("sim",), None)
    for latest, said in (({}, ""), ({"board_5v0/power": None}, ""), ({"board_5v0/power": 1.23456}, ", 1.235 W emulated"),
                         ({"sim board_5v0/power": 1.2, "sim?seed=1 board_5v0/power": 1.3}, ", 1.200 W emulated")):  # fmt: skip
        emulation._sampler = SimpleNamespace(latest=lambda latest=latest: latest)
        assert bench._power(emulation) == said
    assert bench._power(None) == ""


def test_several_sensors_of_different_kinds_agree_within_their_uncertainties(tmp_path, clocked):
    sensors = ["sim", "sim?kind=point&refresh_s=0.0011&seed=1", "sim?kind=accumulated&refresh_s=0.1&seed=2&wrap=5"]
    asked = [part for url in sensors for part in ("--sensor", url)]
    code, text, err = invoke(*GOLDEN, "--steps", "2", "--repeats", "2", *asked, "--out", str(tmp_path / "run"))
    assert code == 0, err
    data = json.loads(text)
    assert [one["url"] for one in data["sensors"]] == sensors
    assert data["sensors"][0]["net"] == data["run_energy_j"]["emulated"]["net"]
    for kind in ("gross", "net"):
        quantities = [one[kind] for one in data["sensors"]]
        assert all(quantity["verdict"] == "resolved" for quantity in quantities)
        for one in quantities:
            for other in quantities:
                assert abs(one["value"] - other["value"]) <= one["u95"] + other["u95"]


@pytest.mark.parametrize(
    ("board", "sensor", "said"),
    [
        ("golden", "sim", "computes without time"), ("sim", "nvml", "time is virtual"), ("sim", "sim?kind=guess", "guess"),
        ("sim", "thermometer", "no driver"),
    ],
)  # fmt: skip
def test_a_sensor_that_cannot_watch_the_board_is_refused_in_a_sentence(tmp_path, board, sensor, said):
    code, text, err = invoke(
        "bench", "digits", "--board", board, "--sensor", sensor, "--json", "--steps", "1", "--out", str(tmp_path / "run")
    )
    assert code != 0 and "Traceback" not in err
    assert said in json.loads(text)["error"] and sensor in json.loads(text)["error"]
    assert not (tmp_path / "run").exists()


def test_the_same_sensor_twice_is_refused(tmp_path, clocked):
    code, text, _ = invoke(*GOLDEN, "--steps", "1", "--sensor", "sim", "--sensor", "sim", "--out", str(tmp_path / "run"))
    assert code == errors.USAGE and "twice" in json.loads(text)["error"]


def test_an_energy_table_of_ones_own_is_kept_with_the_run(tmp_path):
    table = json.loads(TABLE.read_text()) | {"name": "mine"}
    (tmp_path / "mine.json").write_text(json.dumps(table))
    code, _, err = invoke(*GOLDEN, "--steps", "1", "--energy-table", str(tmp_path / "mine.json"), "--out", str(tmp_path / "run"))
    assert code == 0, err
    assert json.loads((tmp_path / "run" / "energy_table.json").read_text())["name"] == "mine"
    code, text, _ = invoke(*GOLDEN, "--steps", "1", "--energy-table", str(tmp_path / "none.json"), "--out", str(tmp_path / "no"))
    assert code == errors.FAILED and "none.json" in json.loads(text)["error"]
    assert not (tmp_path / "no").exists()


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


@pytest.mark.parametrize("what, board, says", [
    ("digits", "moon", "moon"), ("digits", "serial:/dev/nothing", "/dev/nothing"), ("cifar10-resnet8", "golden", "CIFAR-10"),
])
def test_what_is_not_there_leaves_no_folder(what, board, says, tmp_path, monkeypatch):
    monkeypatch.setenv("JOULEGRAD_DATA", str(tmp_path))
    words = ("--board", board, "--config", "tiny", "--batch-size", "2", "--steps", "1", "--out", str(tmp_path / "run"))
    code, text, _ = invoke("bench", what, "--json", *words)
    assert code == errors.FAILED
    assert says in json.loads(text)["error"]
    assert not (tmp_path / "run").exists()


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    def full(program, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bench, "write_program", full)
    code, text, err = invoke(*GOLDEN, "--steps", "1", "--out", str(tmp_path / "run"))
    assert code == errors.FAILED and "Traceback" not in err
    assert "program.zip cannot be written: No space left" in json.loads(text)["error"]
    assert read_record(tmp_path / "run")["status"] == "failed"


SIMULATED = ["bench", "digits", "--config", "tiny", "--batch-size", "4", "--json"]


TWICE = """
import os, signal, types
from host import termination
from joulegrad.cli import main
termination.time = types.SimpleNamespace(sleep=lambda together_s: os.kill(os.getpid(), signal.SIGTERM))
main()
"""
"""As `timeout` does it: a second SIGTERM comes while the first one is taken."""


@pytest.mark.parametrize(
    ("number", "code", "arguments"),
    [(signal.SIGINT, errors.INTERRUPTED, GOLDEN), (signal.SIGTERM, errors.TERMINATED, SIMULATED)],
)
def test_ctrl_c_and_sigterm_leave_a_readable_aborted_folder(tmp_path, number, code, arguments):
    out = tmp_path / "run"
    command = [sys.executable, "-c", TWICE, *arguments, "--steps", "5000", "--out", str(out)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite in the background hands down an ignored one
    )  # fmt: skip
    lines = out / "iterations.jsonl"
    try:
        until(lambda: process.poll() is not None or lines.is_file() and lines.read_text().count("\n") >= 2, "two iterations", 300)
        process.send_signal(number)
        text, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert "aborted" in json.loads(text)["error"] and str(out) in json.loads(text)["error"]
    record = read_record(out)
    assert record["status"] == "aborted"
    assert record["iterations"] == len(list(read_iterations(out))) >= 2
    assert (out / "trace.sqlite").is_file() == (arguments is SIMULATED)
    if arguments is SIMULATED:
        trace = read_trace(out / "trace.sqlite")
        assert trace.status == "aborted" and len(trace.sensors[0].readings) > 100
        (run,) = windows(trace, "run")
        assert run.note["aborted"] is True and run.iterations == len(windows(trace, "iteration")) >= record["iterations"]
        assert not os.path.exists(f"/proc/{trace.provenance['sampler']['pid']}")
        assert not list(out.glob("*-wal")) and not list(out.glob("*-shm"))
