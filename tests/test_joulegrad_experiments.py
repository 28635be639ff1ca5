"""`joulegrad experiments`: every run once, gone on with after a stop; equal joules; intervals that say "no gain shown"."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from types import SimpleNamespace

import distributed
import psutil
import pytest
import torch

from algo.arithmetic import ARITHMETIC_VERSION
from algo.data import DataError
from algo.policies.decision import MethodError
from algo.recipe import RecipeError, load_recipe
from host.run_folder import RunFolder, read_record
from hw.config import ConfigError
from joulegrad import experiment_lock, experiment_run, experiments
from joulegrad.experiment import ExperimentError, load_experiment
from joulegrad.experiment_quiet import Quiet, Unwanted
from joulegrad.experiment_report import compared
from joulegrad.experiment_run import gross_j
from joulegrad.experiments import run_experiments
from joulegrad.screen import Screen
from joulegrad.settings import ExperimentSettings, SettingError
from joulegrad.train import TrainError
from measurements.paired import mean, paired
from tests.hwmon_tree import HwmonTree
from tests.waiting import PATIENCE_S, until

EXPERIMENT = {
    "schema": 1, "name": "small", "says": "Two methods at equal joules", "config": "tiny", "seeds": 2,
    "runs": [
        {"name": "half", "share": "1/2"}, {"name": "whole"}, {"name": "smd", "method": "smd"},
        {"name": "cut", "joules_of": "smd", "like": "whole"}, {"name": "floats", "arithmetic": "float32"},
    ],
    "baseline": ["half", "whole"],
    "comparisons": [{"ours": "smd", "other": "cut"}, {"ours": "whole", "other": "floats"}],
}  # fmt: skip


@pytest.fixture
def asked(tmp_path):
    """Settings of a small experiment: digits in mini-batches of four, 8 iterations."""
    recipe = dataclasses.replace(load_recipe("digits"), name="few", batch=4, steps=8, sgd={"lr": "1/10"})
    (tmp_path / "few.json").write_text(json.dumps(recipe.to_json()))
    (tmp_path / "small.json").write_text(json.dumps({**EXPERIMENT, "recipe": str(tmp_path / "few.json")}))
    return ExperimentSettings(str(tmp_path / "small.json"), out=tmp_path / "out")


def _row(found, name):
    return next(row for row in found["rows"] if row["name"] == name)


def _results(path):
    return {file.parent: json.loads(file.read_text()) for file in sorted(path.glob("runs/*/*/run.json"))}


def test_runs_are_compared_at_equal_joules_and_done_once(asked, monkeypatch):
    found = run_experiments(asked, Screen(True))
    assert [row["seeds"] for row in found["rows"]] == [2, 2, 2, 2, 2]
    assert _row(found, "half")["iterations_drawn"] == 4 and _row(found, "whole")["iterations_drawn"] == 8
    for seed in range(2):
        smd, cut = (json.loads((asked.out / "runs" / name / f"seed-{seed}" / "run.json").read_text()) for name in ("smd", "cut"))
        assert cut["result"]["iterations_drawn"] == pytest.approx(smd["result"]["iterations_executed"], abs=1)
        # Iterations are whole: half of one in as few as there are here.
        within = 0.5 / smd["result"]["iterations_executed"] + 0.1
        assert gross_j(cut["result"]) == pytest.approx(gross_j(smd["result"]), rel=within)
    comparison, floats = found["comparisons"]
    assert (comparison["ours"], comparison["other"]) == ("smd", "cut")
    report = (asked.out / "report.md").read_text()
    assert "| smd | cut |" in report and comparison["verdict"] in report and "simulated" in report
    assert "simulated_gross_j" not in _row(found, "floats") and "relative_joules" not in floats
    assert "| floats | plain, float32 | 8 | 8 |" in report and "| none |  |" in report
    assert (asked.out / "energy-accuracy.png").stat().st_size > 10_000
    monkeypatch.setattr(experiment_run, "run_train", None)
    again = run_experiments(asked, Screen(True))
    assert again["rows"] == found["rows"]


def test_a_stopped_run_goes_on_from_its_checkpoint_when_asked_again(asked, monkeypatch):
    append, one = RunFolder.append, dataclasses.replace(asked, runs=("whole",), seeds=1)

    def interrupted(folder, line):
        append(folder, line)
        if line["iteration"] == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(RunFolder, "append", interrupted)
        run_experiments(one, Screen(True))
    found = run_experiments(one, Screen(True))
    (stopped, first), (_, second) = _results(asked.out).items()
    assert first["status"] == "aborted" and second["status"] == "finished"
    assert second["resumed_from"] == str(stopped) and second["result"]["iterations_executed"] == 8
    assert found["rows"][0]["seeds"] == 1 and not found["errors"]


def test_a_failed_run_is_told_and_the_others_are_done(asked, monkeypatch):
    trained = experiment_run.run_train

    def failing(settings, screen):
        if settings.method == "smd" and settings.seed == 1:
            raise MethodError("it cannot be")
        return trained(settings, screen)

    monkeypatch.setattr(experiment_run, "run_train", failing)
    found = run_experiments(asked, Screen(True))
    assert found["errors"] == ["smd, seed 1: it cannot be", "cut, seed 1: it needs run 'smd', which failed"]
    assert [row["seeds"] for row in found["rows"]] == [2, 2, 1, 1, 2]
    assert "Failed: smd, seed 1: it cannot be" in (asked.out / "report.md").read_text()


def test_a_reason_that_ends_several_runs_is_told_once(asked, monkeypatch):
    def failing(settings, screen):
        raise DataError("the data set is not found: JOULEGRAD_DATA names no folder")

    monkeypatch.setattr(experiment_run, "run_train", failing)
    found = run_experiments(asked, Screen(True))
    assert len(found["errors"]) == 10
    told = [line for line in (asked.out / "report.md").read_text().splitlines() if line.startswith("Failed: ")]
    (alone,) = [line for line in told if "not found" in line]
    assert alone.startswith("Failed: half, seed 0; half, seed 1; whole, seed 0; ")
    assert alone.endswith(": JOULEGRAD_DATA names no folder")
    assert alone.count("seed 0") == alone.count("seed 1") == 4


def test_worker_processes_find_the_same(asked):
    settings = dataclasses.replace(asked, runs=("cut",), seeds=1)
    here = run_experiments(settings, Screen(True))
    there = run_experiments(dataclasses.replace(settings, workers=2, out=asked.out.with_name("there")), Screen(True))
    for one, other in zip(here["rows"], there["rows"], strict=True):
        assert {name: one[name] for name in one if name != "host_s"} == {name: other[name] for name in one if name != "host_s"}


def test_a_run_ends_when_its_worker_closes_or_its_client_has_gone(asked, monkeypatch):
    """And is aborted like one that was interrupted; its worker, which may be another machine's, lives on."""
    worker = SimpleNamespace(status=distributed.Status.running, name="far", get_current_task=lambda: "run")
    worker.state = SimpleNamespace(tasks={"run": SimpleNamespace(state="executing")})
    monkeypatch.setattr(distributed, "get_worker", lambda: worker)
    with Quiet().progress("iteration", 2) as step:
        step()
        for closing in (distributed.Status.closing, distributed.Status.closing_gracefully, distributed.Status.closed):
            worker.status = closing
            with pytest.raises(Unwanted):
                step()
        worker.status = distributed.Status.paused  # short of memory: what it is at goes on
        step()
    worker.state.tasks["run"].state = "cancelled"
    experiment = load_experiment(asked.experiment)
    task = experiment_run.Task(experiment, experiment.runs[1], 0, asked.out)
    assert experiment_run.execute(task, {}) == {"error": "it was stopped"}
    assert json.loads((task.place / "run.json").read_text())["status"] == "aborted"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_ends_workers_in_order(asked, tmp_path, number):
    recipe = json.loads((tmp_path / "few.json").read_text())
    (tmp_path / "few.json").write_text(json.dumps({**recipe, "steps": 100_000}))
    small = json.loads((tmp_path / "small.json").read_text()) | {"baseline": [], "comparisons": [], "seeds": 1}
    small["runs"] = [{"name": "short", "share": "1/50000"}, {"name": "long"}]
    (tmp_path / "small.json").write_text(json.dumps(small))
    asked_for = [tmp_path / "small.json", "--workers", "2", "--out", asked.out]
    command = subprocess.Popen(
        [sys.executable, "-m", "joulegrad.cli", "experiments", *asked_for], stderr=subprocess.PIPE, text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite in the background hands down an ignored one
    )  # fmt: skip
    try:
        long, short = (asked.out / "runs" / name / "seed-0" for name in ("long", "short"))
        until(lambda: (short / "weights.npz").is_file() and read_record(short)["status"] == "finished", "the short run")
        until(lambda: (long / "iterations.jsonl").is_file() and (long / "iterations.jsonl").stat().st_size, "an iteration")
        os.killpg(command.pid, number)
        _, said = command.communicate(timeout=PATIENCE_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(command.pid, signal.SIGKILL)
    what, code = ("interrupted", 130) if number == signal.SIGINT else ("terminated", 143)
    assert command.returncode == code
    assert [line for line in said.splitlines() if "run" not in line.split()] == [
        f"joulegrad: {what}: what is done is kept, --out {asked.out} given again goes on"
    ]
    assert (read_record(short)["status"], read_record(long)["status"]) == ("finished", "aborted")


def test_a_signal_while_workers_start_is_one_sentence(asked, tmp_path):
    """They get it as well, and would end over it half started, each with a traceback."""
    asked_for = [tmp_path / "small.json", "--workers", "2", "--out", asked.out]
    for later_s in (0.0, 0.5, 1.0):
        command = subprocess.Popen(
            [sys.executable, "-m", "joulegrad.cli", "experiments", *asked_for], stderr=subprocess.PIPE, text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        try:
            until(lambda command=command: any(_is_worker(one) for one in psutil.Process(command.pid).children()), "a worker")
            time.sleep(later_s)
            os.killpg(command.pid, signal.SIGINT)
            _, said = command.communicate(timeout=PATIENCE_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(command.pid, signal.SIGKILL)
        assert command.returncode == 130 and "KeyboardInterrupt" not in said and "Nanny" not in said
        assert said.splitlines()[-1] == f"joulegrad: interrupted: what is done is kept, --out {asked.out} given again goes on"


def _is_worker(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return any("spawn_main" in word for word in process.cmdline())
    return False


def test_a_worker_that_does_not_answer_does_not_hold_up_ctrl_c(asked, tmp_path):
    recipe, small = (json.loads((tmp_path / name).read_text()) for name in ("few.json", "small.json"))
    (tmp_path / "few.json").write_text(json.dumps({**recipe, "steps": 100_000}))
    long = small | {"baseline": [], "comparisons": [], "seeds": 2, "runs": [{"name": "long"}]}
    (tmp_path / "small.json").write_text(json.dumps(long))
    command = subprocess.Popen(
        [sys.executable, "-m", "joulegrad.cli", "experiments", tmp_path / "small.json", "--workers", "2", "--out", asked.out],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite in the background hands down an ignored one
    )  # fmt: skip
    try:
        lines = [asked.out / "runs" / "long" / f"seed-{seed}" / "iterations.jsonl" for seed in range(2)]
        until(lambda: all(path.is_file() and path.stat().st_size for path in lines), "an iteration of both")
        workers = [one for one in psutil.Process(command.pid).children() if _is_worker(one)]
        workers[0].suspend()
        command.send_signal(signal.SIGINT)
        _, said = command.communicate(timeout=3 * PATIENCE_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(command.pid, signal.SIGKILL)
    assert len(workers) == 2 and command.returncode == 130
    assert said.splitlines()[-1] == f"joulegrad: interrupted: what is done is kept, --out {asked.out} given again goes on"


def test_the_emulators_energy_has_a_table_of_its_own(asked, tmp_path, monkeypatch):
    monitor = HwmonTree(tmp_path / "sys")
    monitor.set_power(5.0)
    monkeypatch.setattr(experiment_run, "TrainSettings", partial(experiment_run.TrainSettings, idle_s=0.1))
    settings = dataclasses.replace(asked, runs=("half", "floats"), seeds=1, sensors=(monitor.url(),))
    found = run_experiments(settings, Screen(True))
    energy = _row(found, "floats")["energy_of_the_emulator"]
    assert energy["label"] == "measured" and energy["seeds"] == 1
    assert energy["gross_j"] == pytest.approx(5 * energy["time_s"], rel=0.1)
    report = (asked.out / "report.md").read_text()
    above, below = report.split("## Energy of the emulator")
    assert "hwmon" not in above and "measured" not in above and "hwmon" in below and "| floats | 1 |" in below
    assert "invalid" in below, "so short a run resolves nothing, and says so"
    with pytest.raises(SettingError, match="--sensor with several workers"):
        dataclasses.replace(settings, workers=2)


def test_workers_of_this_machine_have_a_gpu_each(monkeypatch):
    """The numbers are those that Dask gives to the processes of its local cluster."""
    taken = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    experiment_run._take_gpu("cuda")  # no worker
    for name in (0, 1, 2, "tcp://host:1"):
        monkeypatch.setattr(distributed, "get_worker", lambda name=name: SimpleNamespace(name=name))
        experiment_run._take_gpu("cuda")
        experiment_run._take_gpu("cpu")
    assert taken == [0, 1, 0]


def test_a_folder_of_another_experiment_is_refused(asked):
    settings = dataclasses.replace(asked, runs=("half",), seeds=1)
    run_experiments(settings, Screen(True))
    with pytest.raises(ExperimentError, match="choose another --out"):
        run_experiments(dataclasses.replace(settings, steps=20), Screen(True))
    said = asked.out / "asked.json"
    said.write_text(said.read_text().replace(f'"arithmetic_version": {ARITHMETIC_VERSION}', '"arithmetic_version": 1'))
    with pytest.raises(ExperimentError, match=f"version': 1}}, this one has .*version': {ARITHMETIC_VERSION}}}: choose another"):
        run_experiments(settings, Screen(True))
    said.write_text('{"recipe"')
    with pytest.raises(ExperimentError, match="asked.json is damaged .*: choose another --out"):
        run_experiments(settings, Screen(True))


@pytest.mark.parametrize("name", ["report.md", "experiment.json", "energy-accuracy.png", "lock"])
def test_files_of_others_are_not_replaced(asked, name):
    asked.out.mkdir()
    (asked.out / name).write_bytes(b"mine \xff")
    with pytest.raises(ExperimentError, match=f"{name} is there already, and .*no experiment.*: choose another --out"):
        run_experiments(dataclasses.replace(asked, runs=("half",), seeds=1), Screen(True))
    assert [(path.name, path.read_bytes()) for path in asked.out.iterdir()] == [(name, b"mine \xff")]


def test_a_run_that_the_experiment_says_otherwise_now_is_not_taken_for_it(asked, tmp_path):
    settings = dataclasses.replace(asked, runs=("whole", "floats"), seeds=1)
    run_experiments(settings, Screen(True))
    experiment, recipe = tmp_path / "small.json", tmp_path / "few.json"
    whole, floats = EXPERIMENT["runs"][1], EXPERIMENT["runs"][4]
    before = experiment.read_text()
    for run, change, said in (
        (whole, {"method": "signsgd"}, "is a run with method plain, not signsgd: choose another --out"),
        (floats, {"arithmetic": "int8"}, "is a run with arithmetic float32, not int8: choose another --out"),
    ):
        runs = [run | change if one is run else one for one in EXPERIMENT["runs"]]
        experiment.write_text(json.dumps(json.loads(before) | {"runs": runs}))
        assert said in run_experiments(settings, Screen(True))["errors"][0]
    experiment.write_text(before)
    recipe.write_text(json.dumps(json.loads(recipe.read_text()) | {"batch": 8, "says": "other words"}))
    assert "is a run with batch 4, not 8" in run_experiments(settings, Screen(True))["errors"][0]
    recipe.write_text(json.dumps(json.loads(recipe.read_text()) | {"batch": 4}))
    assert not run_experiments(settings, Screen(True))["errors"], "words decide nothing"


HOLDS = """
import sys
import time
from pathlib import Path
from joulegrad.experiment_lock import only_here
from joulegrad.screen import Screen
with only_here(Path(sys.argv[1]), Screen(True)):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_has_ended_however_it_ends(asked):
    settings = dataclasses.replace(asked, runs=("half",), seeds=1)
    asked.out.mkdir()
    first = subprocess.Popen([sys.executable, "-c", HOLDS, asked.out], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(ExperimentError, match=f"process {first.pid} on .* works there: wait for its end, or choose another"):
            run_experiments(settings, Screen(True))
        assert [path.name for path in asked.out.iterdir()] == ["lock"]
    finally:
        first.kill()
        first.communicate()
    assert not run_experiments(settings, Screen(True))["errors"]
    assert not run_experiments(settings, Screen(True))["errors"], "who has ended holds nothing"


def test_a_file_system_without_locks_is_told_of(asked, monkeypatch, capsys):
    def unknown(file, how):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(experiment_lock.fcntl, "flock", unknown)
    assert not run_experiments(dataclasses.replace(asked, runs=("half",), seeds=1), Screen(True))["errors"]
    assert "out cannot be locked (Function not implemented): take care that no second command" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"runs": [{"name": "a"}, {"name": "a"}]}, "two runs called like 'a'"),
        ({"runs": []}, "has no runs"),
        ({"runs": [{"name": "a", "share": "3/2"}]}, "share 3/2; it is above 0 and at most 1"),
        ({"runs": [{"name": "a", "share": "x"}]}, "a fraction such as 1/2 is needed"),
        ({"runs": [{"name": "a", "joules_of": "b"}]}, "both are needed, or none"),
        ({"runs": [{"name": "a", "joules_of": "a", "like": "a"}]}, "a need each other"),
        ({"runs": [{"name": "a"}], "baseline": ["b"]}, "refers to a run 'b'; there are a"),
        ({"runs": [{"name": "a", "methods": "smd"}]}, "has no 'methods'; it may have name, method"),
        ({"runs": [{"name": "a", "arithmetic": "int4"}]}, "has arithmetic 'int4'; there are int8, float32"),
        ({"runs": [{"name": "a", "arithmetic": "float32"}], "baseline": ["a"]}, "asks what run 'a' costs; only runs in int8"),
        ({"seeds": 0}, "has 0 seeds"),
        ({"schema": 2}, "no object with schema 1"),
        ({"name": None}, "name of an experiment is None; a text is needed"),
        ({"config": ...}, "an experiment is given without config"),
        ({"seeds": True}, "seeds of an experiment is True; a whole number is needed"),
        ({"runs": {"name": "a"}}, "runs of an experiment is .*; a list is needed"),
        ({"runs": ["a"]}, "a run of an experiment is 'a'; an object is needed"),
        ({"runs": [{"name": "a", "method": 3}]}, "method of a run of an experiment is 3; a text is needed"),
        ({"comparisons": [{"ours": "a"}]}, "a comparison of an experiment is given without other"),
    ],
)
def test_experiments_that_cannot_be(tmp_path, change, said):
    data = {**EXPERIMENT, "recipe": "digits", "comparisons": [], "baseline": [], **change}
    path = tmp_path / "one.json"
    path.write_text(json.dumps({name: value for name, value in data.items() if value is not ...}))
    with pytest.raises(ExperimentError, match=said):
        load_experiment(str(path))


def test_attempts_of_a_seed_are_not_those_of_another(tmp_path):
    for name in ("seed-1", "seed-1.10", "seed-1.2", "seed-10", "seed-1.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
    assert [path.name for path in experiment_run._attempts(tmp_path / "seed-1")] == ["seed-1", "seed-1.2", "seed-1.10"]


@pytest.mark.parametrize(
    ("setting", "error", "said"), [({"config": "none"}, ConfigError, "known are"), ({"recipe": "none"}, RecipeError, "there are")]
)
def test_a_core_or_a_recipe_that_is_not_there_is_found_out_before_any_run(asked, setting, error, said):
    with pytest.raises(error, match=said):
        run_experiments(dataclasses.replace(asked, **setting), Screen(True))
    assert not asked.out.exists()


def test_a_device_or_a_scheduler_that_is_not_there_is_one_sentence(asked, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainError, match="finds no CUDA device"):
        run_experiments(dataclasses.replace(asked, device="cuda"), Screen(True))
    assert not asked.out.exists()
    with pytest.raises(ExperimentError, match="--scheduler here: no Dask scheduler answers there .*missing port"):
        run_experiments(dataclasses.replace(asked, scheduler="here"), Screen(True))
    another = dataclasses.replace(load_experiment(asked.experiment), steps=6)
    experiments._same(another, asked.out)  # no run is there that could be another's


def test_unknown_experiments_methods_and_settings_are_refused(tmp_path):
    with pytest.raises(ExperimentError, match="'nothing' is not known; there are e2train"):
        load_experiment("nothing")
    (tmp_path / "one.json").write_text(json.dumps({**EXPERIMENT, "recipe": "digits", "runs": [{"name": "a", "method": "b"}]}))
    with pytest.raises(MethodError, match="method 'b' is not known"):
        load_experiment(str(tmp_path / "one.json"))
    with pytest.raises(SettingError, match="--workers 0: it is at least 1"):
        ExperimentSettings("e2train", workers=0)


def test_intervals_are_students():
    """Five differences of mean 1 and standard deviation 1: t(0.975, 4) / sqrt(5) = 2.776445 / 2.236068."""
    found = paired([2.0, 3.0, 4.0, 5.0, 6.0], [1 + 1.264911, 2.0 + 0.632456, 3.0, 4.0 - 0.632456, 5.0 - 1.264911])
    assert (found.value, found.n) == (pytest.approx(1.0), 5)
    assert found.half_width == pytest.approx(2.776445 / 2.236068, rel=1e-5)
    assert found.verdict == "no gain shown"
    assert paired([0.5, 0.6, 0.7], [0.1, 0.2, 0.31]).verdict == "gain shown"
    assert paired([0.1, 0.2, 0.31], [0.5, 0.6, 0.7]).verdict == "loss shown"
    assert mean([0.7]).half_width is None and mean([0.7]).verdict == "no gain shown"


def test_seeds_that_differ_by_the_same_image_show_no_gain():
    ours, others = [341 / 360, 350 / 360], [340 / 360, 349 / 360]
    found = paired(ours, others, 1 / 360)
    # Student's t at one degree of freedom, on a step's standard deviation
    assert found.half_width == pytest.approx(12.7062 / 360 / 12**0.5 / 2**0.5, rel=1e-4)
    assert found.verdict == "no gain shown"
    results = {name: [{"accuracy": one, "test_images": 360} for one in accuracies]
               for name, accuracies in (("whole", ours), ("half", others))}  # fmt: skip
    experiment = SimpleNamespace(runs=(), comparisons=(("whole", "half"),), baseline=())
    assert compared(experiment, results)["comparisons"][0]["verdict"] == "no gain shown"
    assert paired([0.5, 0.6, 0.7], [0.1, 0.2, 0.31], 1 / 360) == paired([0.5, 0.6, 0.7], [0.1, 0.2, 0.31], 0.0)
    with pytest.raises(ValueError, match="no values"):
        mean([])
