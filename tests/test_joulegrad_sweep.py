"""`joulegrad bench sweep`: the workloads, what a run folder holds, and that a fit to the runs predicts workloads left out."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import invoke
from waiting import until

from host.processor_work import ProcessorWork
from host.run_folder import read_iterations, read_record
from host.trace import windows
from host.trace_file import read_trace
from hw import isa
from hw.config import load_config
from hw.operands import STATISTICS
from joulegrad import errors, sweep
from joulegrad.compare import run_compare
from joulegrad.screen import Screen
from joulegrad.settings import SettingError, SweepSettings
from joulegrad.sweep import plan, record, shuffled, simulate
from joulegrad.sweep_run import BLOCK_S, CONTROL, Planned, Recorder, stretches
from joulegrad.workloads import FAMILIES, Unit, workloads
from measurements.comparison import CALIBRATED
from measurements.energy_model import load_table
from measurements.null_models import NULL_MODELS
from measurements.processor_time import ProcessorModel, iteration_time_s, processor_time
from measurements.recompute import ENERGY_TABLE, differences, recompute

ROOT = Path(__file__).parents[1]
TINY, MODEL = load_config("tiny"), ProcessorModel()


def test_enough_workloads_of_every_family_with_different_data():
    found = workloads()
    assert len(found) >= 24 and len({one.name for one in found}) == len(found)
    by_family = {family: [one for one in found if one.family == family] for family in FAMILIES}
    assert len(by_family) >= 6 and min(map(len, by_family.values())) >= 3
    for family in ("forward", "grad_input", "grad_weight", "memory", "vector"):
        said = " ".join(one.says for one in by_family[family])
        assert sum(statistic in said for statistic in STATISTICS) >= 3


def test_every_run_of_a_plan_has_operands_of_its_own():
    planned = plan(SweepSettings(repeats=3, seed=5))
    assert len(planned) == 3 * len(workloads()) and {one.seed for one in planned} == {15, 16, 17}
    assert {one.seed for one in plan(SweepSettings(repeats=3, seed=6))}.isdisjoint({15, 16, 17})
    assert {one.workload.family for one in plan(SweepSettings(families=("idle", "vector")))} == {"idle", "vector"}
    with pytest.raises(SettingError, match="--family sleep: there are forward"):
        plan(SweepSettings(families=("sleep",)))


def unit(seed: int = 0, **changes) -> Unit:
    rng = np.random.default_rng(seed)
    counters = {name: int(rng.integers(1, 1000)) for name in isa.COUNTER_NAMES} | {"cycles": 100_000}
    activity = {f"{name}_toggles": int(rng.integers(1e6)) for name in ("operand", "product", "sum", "vector")}
    work = ProcessorWork(register_accesses=9, streamed_bytes=600_000, copied_bytes=1000)
    return dataclasses.replace(Unit(1e-3, 0.002, counters, activity, work, 0, 1), **changes)


def test_stretches_hold_the_units_time_and_counts():
    one, times = unit(), 7
    laid = stretches(one, times, MODEL)
    spent = processor_time(one.work, MODEL)
    assert spent.overlapped_s > one.core_s  # the processor streams for longer than the core runs
    lasts_s = iteration_time_s(100_000, 100_000_000, spent) + 0.002
    assert sum(stretch.duration_s for stretch in laid) == pytest.approx(times * lasts_s)
    names = ("processor_s", "ddr_write_bytes", "sum_toggles")
    total = {name: sum(stretch.counts.get(name, 0) for stretch in laid) for name in names}
    assert total["processor_s"] == pytest.approx(times * spent.busy_s)
    assert total["ddr_write_bytes"] == times * (one.counters["ddr_write_bytes"] + 601_000)
    assert total["sum_toggles"] == times * one.activity["sum_toggles"]
    assert stretches(unit(core_s=0.0, work=ProcessorWork()), 3, MODEL)[0].counts == {}


def test_shuffling_moves_activity_between_units_and_nothing_else():
    units = [unit(i) for i in range(12)] + [unit(99, activity=dict.fromkeys(unit().activity, 0))]
    mixed = shuffled(units, 1)
    assert mixed[-1] == units[-1]
    assert [one.counters for one in mixed] == [one.counters for one in units]
    assert sorted(one.activity["sum_toggles"] for one in mixed) == sorted(one.activity["sum_toggles"] for one in units)
    assert sum(a.activity != b.activity for a, b in zip(mixed, units, strict=True)) >= 10


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """All workloads on the tiny core, simulated once and recorded twice: as they are, and as a control.

    Test processes that work side by side share the folders: the first makes them, the others wait.
    """
    base = tmp_path_factory.getbasetemp()
    path = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared-sweep"
    path.mkdir(exist_ok=True)
    with open(path / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (path / "made").exists():
            make_sweeps(path)
            (path / "made").touch()
    return {name: path / name for name in ("sweep", "control")}


def make_sweeps(path: Path) -> None:
    screen = Screen(as_json=True)
    settings = SweepSettings(config="tiny", repeats=1, windows=2, out=path / "sweep")
    planned = plan(settings)
    units = simulate(planned, TINY, 2, screen)
    for name, mixed in (("sweep", False), ("control", True)):
        chosen = dataclasses.replace(settings, shuffle_toggles=mixed)
        record(Recorder(chosen, TINY, ("sim",), MODEL, load_table(), path / name), planned, units, screen)


def test_a_fit_predicts_workloads_it_has_not_seen(swept):
    net = run_compare([swept["sweep"]], None, None, None)["figures"]["net"]
    assert net[CALIBRATED]["resolved"] >= 24
    assert net[CALIBRATED]["mape"] <= 0.10
    assert net[CALIBRATED]["mape"] <= min(net[name]["mape"] for name in NULL_MODELS) / 2


def test_toggles_shuffled_between_runs_at_least_double_the_error(swept):
    error, control = (run_compare([swept[name]], None, None, None)["figures"]["net"][CALIBRATED]["mape"]
                      for name in ("sweep", "control"))  # fmt: skip
    assert control >= 2 * error


def test_a_fitted_table_predicts_training_that_it_has_not_seen(swept, tmp_path):
    fitted = [path for path in swept["sweep"].iterdir() if path.name != "training_digits_8"]
    run_compare(fitted, None, None, tmp_path / "table.json")
    run = shutil.copytree(swept["sweep"] / "training_digits_8" / "0", tmp_path / "run")
    shutil.copy(tmp_path / "table.json", run / ENERGY_TABLE)
    energies = recompute(run)["run_energy_j"]
    for kind in ("net", "gross"):
        simulated, emulated = energies["simulated"][kind], energies["emulated"][kind]
        assert simulated["verdict"] == emulated["verdict"] == "resolved" and "emulated" in simulated["scope"]
        assert abs(simulated["value"] - emulated["value"]) < simulated["u95"] + emulated["u95"] < 0.2 * emulated["value"]


def test_networks_made_in_threads_are_those_made_alone(monkeypatch):
    made = []
    monkeypatch.setattr("joulegrad.workloads._trained", lambda board, program, state, batches: made.append(program.image()))
    digits = next(one for one in workloads() if one.name == "training_digits_8")
    planned = [Planned(digits, seed, seed) for seed in range(4)]
    simulate(planned, TINY, 1, Screen(as_json=True))
    alone, made[:] = [image.tobytes() for image in made], []
    simulate(planned, TINY, 4, Screen(as_json=True))
    assert sorted(image.tobytes() for image in made) == sorted(alone)


def test_what_a_run_folder_holds(swept):
    path = swept["sweep"] / "forward_sparse" / "0"
    kept = read_record(path)
    assert (kept["status"], kept["workload"], kept["family"], kept["repeat"]) == ("finished", "forward_sparse", "forward", 0)
    assert kept["replayed"]["units_in_a_run"] == kept["units"] > 1 and kept["replayed"]["simulated"] == 1
    (line,) = read_iterations(path)
    assert line["counters"]["unit"]["macs_int8"] == kept["result"]["counters"]["macs_int8"] > 0
    assert line["counters"]["unit"]["cycles"] % kept["units"] == 0
    assert set(kept["result"]["run_energy_j"]) == {"simulated", "emulated"}
    assert differences(recompute(path), kept["result"]) == []
    trace = read_trace(path / kept["trace"])
    assert trace.sensors[0].label == "emulated" and len(windows(trace, "repeat")) == 2
    assert all(window.note["replayed"]["times"] > 1 for window in windows(trace, "repeat"))


def test_a_core_at_rest_has_time_and_no_counts(swept):
    kept = read_record(swept["sweep"] / "idle_rest" / "0")
    assert kept["result"]["time_s"] == pytest.approx(BLOCK_S) and not any(kept["result"]["counters"].values())
    net = kept["result"]["run_energy_j"]["emulated"]["net"]
    assert net["verdict"] == "not resolved" and abs(net["value"]) < net["u95"]


def test_repeats_are_read_by_one_instrument_with_noise_of_their_own(tmp_path):
    settings = SweepSettings(config="tiny", repeats=2, windows=2, out=tmp_path, families=("idle",))
    planned = [one for one in plan(settings) if one.workload.name == "idle_poll"]
    units = [one.workload.simulate(TINY, one.seed) for one in planned]
    results = record(Recorder(settings, TINY, ("sim",), MODEL, load_table(), tmp_path), planned, units, Screen(as_json=True))
    one, other = (result["run_energy_j"]["emulated"]["net"] for result in results)
    assert 0 < abs(one["value"] - other["value"]) < one["u95"]


def test_a_control_says_that_it_is_one(swept):
    kept = read_record(swept["control"] / "forward_quiet" / "0")
    true = read_record(swept["sweep"] / "forward_quiet" / "0")
    assert kept["control"] == CONTROL and true["control"] is None
    assert kept["result"]["activity"] == true["result"]["activity"]
    one, other = (each["result"]["run_energy_j"]["emulated"]["net"]["value"] for each in (kept, true))
    assert abs(one / other - 1) > 0.02


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = invoke("bench", "sweep", "--config", "tiny", "--family", "idle", "--repeats", "1", "--windows", "2",
                            "--json")  # fmt: skip
    assert code == 0, err
    data = json.loads(out)
    assert data == json.loads((tmp_path / data["run_dir"] / "sweep.json").read_text())
    assert data["status"] == "finished" and data["run_dir"].startswith("runs/sweep-tiny-")
    assert data["families"] == ["idle"] and len(data["runs"]) == len([one for one in workloads() if one.family == "idle"])
    code, out, _ = invoke("bench", "sweep", "--config", "tiny", "--out", data["run_dir"], "--json")
    assert code == errors.FAILED and "is not empty" in json.loads(out)["error"]


@pytest.mark.parametrize(("arguments", "said", "status"), [
    (("--board", "golden"), "virtual time", errors.USAGE),
    (("--family", "sleep"), "--family sleep", errors.USAGE),
    (("--repeats", "0"), "--repeats 0", errors.USAGE),
    (("--windows", "1"), "--windows 1", errors.USAGE),
    (("--sensor", "rapl"), "--sensor rapl", errors.USAGE),
    (("--energy-table", "absent.json"), "absent.json", errors.FAILED),
])  # fmt: skip
def test_what_cannot_be_swept(tmp_path, arguments, said, status):
    code, out, err = invoke("bench", "sweep", "--config", "tiny", "--out", str(tmp_path / "sweep"), "--json", *arguments)
    assert code == status and said in json.loads(out)["error"] and "Traceback" not in err
    assert not (tmp_path / "sweep").exists()


def test_an_error_in_one_workload_ends_the_others(tmp_path, monkeypatch):
    begun = []

    def fails(config, seed):
        begun.append(seed)
        if len(begun) == 1:  # the result that is waited for first comes late, the errors come at once
            time.sleep(0.5)
            return unit()
        raise SettingError("this workload cannot be")

    failing = [dataclasses.replace(workloads()[0], name=f"w{i}", simulate=fails) for i in range(50)]
    monkeypatch.setattr(sweep, "workloads", lambda: failing)
    code, out, _ = invoke("bench", "sweep", "--config", "tiny", "--out", str(tmp_path / "sweep"), "--json")
    assert code == errors.USAGE and "this workload cannot be" in json.loads(out)["error"] and len(begun) <= 4
    assert json.loads((tmp_path / "sweep" / "sweep.json").read_text())["status"] == "failed"


def test_an_interrupted_sweep_says_so_and_keeps_its_runs(tmp_path):
    path = tmp_path / "sweep"
    command = [sys.executable, "-m", "joulegrad.cli", "bench", "sweep", "--config", "tiny", "--family", "idle", "--repeats", "40",
               "--out", str(path)]  # fmt: skip
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite in the background hands down an ignored one
    ) as process:  # fmt: skip
        until(lambda: list(path.glob("idle_rest/*/run.json")), "the first run", 300)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == errors.INTERRUPTED and "interrupted" in said and "Traceback" not in said
    assert json.loads((path / "sweep.json").read_text())["status"] == "aborted"
    statuses = {read_record(file.parent)["status"] for file in path.rglob("run.json")}
    assert statuses <= {"finished", "aborted", "failed"} and len(list(path.rglob("run.json"))) < 100
