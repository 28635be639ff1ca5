"""`joulegrad experiments --board`: boards train in place of PyTorch, to the same accuracies; all of a seed on one board."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from types import SimpleNamespace

import distributed
import pytest

from algo.recipe import load_recipe
from host.board import BoardError
from host.run_folder import read_iterations, read_record
from host.sensor import SensorError
from joulegrad import experiment_cluster, experiment_run, experiments
from joulegrad.board_checkpoints import BoardCheckpoints
from joulegrad.experiment import ExperimentError
from joulegrad.experiments import run_experiments
from joulegrad.measurement import MeasureError
from joulegrad.screen import Screen
from joulegrad.settings import ExperimentSettings, SettingError
from tests.hwmon_tree import HwmonTree

EXPERIMENT = {
    "schema": 1, "name": "boards", "says": "Mini-batches dropped, at equal joules", "config": "tiny", "seeds": 2,
    "runs": [
        {"name": "whole"}, {"name": "smd", "method": "smd"}, {"name": "cut", "joules_of": "smd", "like": "whole"},
        {"name": "floats", "arithmetic": "float32"},
    ],
    "baseline": ["whole"],
    "comparisons": [{"ours": "smd", "other": "whole"}, {"ours": "whole", "other": "floats"}],
}  # fmt: skip


@pytest.fixture
def asked(tmp_path):
    """Settings of a small experiment: digits in mini-batches of four, 6 iterations."""
    recipe = dataclasses.replace(load_recipe("digits"), name="few", batch=4, steps=6, sgd={"lr": "1/10"})
    (tmp_path / "few.json").write_text(json.dumps(recipe.to_json()))
    (tmp_path / "boards.json").write_text(json.dumps({**EXPERIMENT, "recipe": str(tmp_path / "few.json")}))
    return ExperimentSettings(str(tmp_path / "boards.json"), out=tmp_path / "out")


def _records(asked):
    return {
        (file.parent.parent.name, int(file.parent.name.removeprefix("seed-"))): json.loads(file.read_text())
        for file in sorted(asked.out.glob("runs/*/*/run.json"))
    }


def _row(found, name):
    return next(row for row in found["rows"] if row["name"] == name)


def test_a_board_learns_what_pytorch_learns_in_the_cycles_that_it_is_priced_at(asked):
    in_pytorch = run_experiments(asked, Screen(True))
    predicted, on_board = _records(asked), dataclasses.replace(asked, out=asked.out.with_name("golden"), boards=("golden",))
    found = run_experiments(on_board, Screen(True))
    assert not found["errors"] and found["boards"] == ["golden"]
    for key, record in _records(on_board).items():
        result, other = record["result"], predicted[key]["result"]
        assert (result["accuracy"], result["iterations_drawn"]) == (other["accuracy"], other["iterations_drawn"])
        if key[0] == "floats":
            assert "board" not in record and record["arithmetic"] == "float32"
        else:
            assert record["board"] == "golden"
            lines = [read_iterations(one.out / "runs" / key[0] / f"seed-{key[1]}") for one in (asked, on_board)]
            ours, theirs = ([line["predicted_cycles"] for line in run] for run in lines)
            assert ours == theirs
    for name in ("whole", "smd", "cut", "floats"):
        assert _row(found, name)["accuracy"] == _row(in_pytorch, name)["accuracy"]


def test_the_simulated_boards_joules_have_their_label_a_table_and_a_picture(asked):
    settings = dataclasses.replace(asked, boards=("sim",), runs=("cut",), seeds=2)
    found = run_experiments(settings, Screen(True))
    results = [record["result"] for (name, _), record in _records(asked).items() if name == "smd"]
    emulated = [one["run_energy_j"]["emulated"]["gross"] for one in results]
    sensed = _row(found, "smd")["sensed"]
    assert set(sensed) == {"emulated"} and sensed["emulated"]["sensor"] == "sim" and sensed["emulated"]["seeds"] == 2
    assert sensed["emulated"]["gross_j"] == pytest.approx(sum(one["value"] for one in emulated) / 2)
    assert sensed["emulated"]["gross_u95_j"] == max(one["u95"] for one in emulated)
    assert _row(found, "smd")["simulated_gross_j"]["mean"] != sensed["emulated"]["gross_j"]
    report = (asked.out / "report.md").read_text()
    above, below = report.split("## Energy of the boards, emulated")
    assert "Trained on sim" in above and "simulated" in above and "measured" not in report
    assert f"| smd | 2 | {sensed['emulated']['time_s']:.4g} |" in below
    assert (asked.out / "energy-accuracy-emulated.png").stat().st_size > 10_000


def test_what_sensors_read_is_compared_seed_by_seed_beside_the_simulated_joules(asked):
    found = run_experiments(dataclasses.replace(asked, boards=("sim",), runs=("smd", "whole"), seeds=1), Screen(True))
    (comparison,) = found["comparisons"]
    smd, whole = (_records(asked)[name, 0]["result"]["run_energy_j"]["emulated"]["gross"]["value"] for name in ("smd", "whole"))
    assert smd < 0.9 * whole
    assert comparison["relative_sensed_joules"]["emulated"]["mean"] == pytest.approx(smd / whole - 1)
    assert f"{100 * (smd / whole - 1):.2f} (one seed) % emulated" in (asked.out / "report.md").read_text()


def test_all_of_a_seed_is_on_one_of_several_boards_and_what_is_done_is_not_done_again(asked, monkeypatch):
    settings = dataclasses.replace(asked, boards=("sim", "golden"), runs=("smd", "cut"))
    found = run_experiments(settings, Screen(True))
    boards = {key: record["board"] for key, record in _records(asked).items()}
    assert set(boards) == {(name, seed) for name in ("whole", "smd", "cut") for seed in (0, 1)}
    assert all(board == ("sim", "golden")[seed] for (_, seed), board in boards.items())
    assert not found["errors"] and "sensed" not in _row(found, "smd"), "one of the seeds was watched by nothing"
    monkeypatch.setattr(experiments, "on_cluster", lambda tasks, settings, step: experiments._here(tasks, step))
    monkeypatch.setattr(experiment_run, "run_bench", None)
    assert run_experiments(settings, Screen(True))["rows"] == found["rows"]


def test_a_board_of_a_cluster_has_one_run_at_a_time(asked):
    """The worker has two threads: Dask would start two runs there but for the board, of which there is one."""
    with distributed.LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=":0", resources={"golden": 1}) as cluster:
        address = cluster.scheduler_address
        settings = dataclasses.replace(asked, boards=("golden",), scheduler=address, runs=("whole", "smd"))
        assert not run_experiments(settings, Screen(True))["errors"]
        times = sorted((record["started_unix_s"], record["ended_unix_s"]) for record in _records(asked).values())
        assert len(times) == 4 and all(ended <= started for (_, ended), (started, _) in zip(times, times[1:], strict=False))
        with pytest.raises(ExperimentError, match="--board sim: none of the 1 workers at .* drives it; .*--resources \"sim=1\""):
            run_experiments(dataclasses.replace(settings, boards=("sim",), out=asked.out.with_name("sim")), Screen(True))


def test_a_worker_that_dies_is_a_sentence():
    killed = distributed.KilledWorker("execute-1", SimpleNamespace(address="tcp://host:1"), 3)

    def result():
        raise killed

    assert experiment_cluster._result(SimpleNamespace(result=result))["error"].startswith("4 worker processes died over it")


def test_runs_in_pytorch_and_on_boards_do_not_share_a_folder(asked):
    run_experiments(dataclasses.replace(asked, runs=("whole",), seeds=1), Screen(True))
    with pytest.raises(ExperimentError, match="choose another --out"):
        run_experiments(dataclasses.replace(asked, runs=("whole",), seeds=1, boards=("golden",)), Screen(True))


def test_a_board_that_fails_is_told_and_its_runs_are_done_when_asked_again(asked, monkeypatch):
    bench = experiment_run.run_bench

    def failing(settings, screen):
        if settings.seed == 1:
            raise BoardError("the board does not answer")
        return bench(settings, screen)

    settings = dataclasses.replace(asked, boards=("golden",), runs=("smd",))
    with monkeypatch.context() as patched:
        patched.setattr(experiment_run, "run_bench", failing)
        assert run_experiments(settings, Screen(True))["errors"] == ["smd, seed 1: the board does not answer"]
    assert _row(run_experiments(settings, Screen(True)), "smd")["seeds"] == 2


def test_a_run_that_was_stopped_on_a_board_goes_on_there(asked, monkeypatch):
    """With the first half of its iterations as they were, and in a folder of its own beside the first one's."""
    keep, settings = BoardCheckpoints.executed, dataclasses.replace(asked, boards=("golden",), runs=("whole",), seeds=1)

    def interrupted(checkpoints, runtime, course):
        if runtime.state.iteration == 4:
            checkpoints.keep(runtime, course)
            raise KeyboardInterrupt
        keep(checkpoints, runtime, course)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(BoardCheckpoints, "executed", interrupted)
        run_experiments(settings, Screen(True))
    assert not run_experiments(settings, Screen(True))["errors"]
    stopped, done = (read_record(asked.out / "runs" / "whole" / name) for name in ("seed-0", "seed-0.2"))
    assert stopped["status"] == "aborted" and done["resumed_from"].endswith("seed-0")
    assert done["result"]["iterations_here"] == done["result"]["iterations_executed"] - 4
    assert done["loss"][:4] == stopped["loss"]


def test_boards_and_sensors_that_are_not_there_are_found_out_before_any_run(asked, tmp_path):
    for boards, sensors, error, said in (
        (("none",), (), BoardError, "no driver for board 'none'"),
        (("sim",), ("none",), SensorError, "none"),
        (("sim",), (HwmonTree(tmp_path / "sys").url(),), SettingError, "would watch this computer"),
        ((), ("none",), SensorError, "no driver for sensor 'none'"),
        ((), ("sim",), MeasureError, "virtual time: it cannot watch this"),
    ):
        with pytest.raises(error, match=said):
            run_experiments(dataclasses.replace(asked, boards=boards, sensors=sensors), Screen(True))
    assert not asked.out.exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"boards": ("pynq:a?bitstream=b.bit", "pynq:a")}, "--board pynq:a is given twice"),
        ({"boards": ("sim", "golden"), "sensors": ("a", "b")}, "--sensor a with --board golden: it would measure the computer"),
        ({"boards": ("pynq",), "workers": 2}, "--workers 2 with --board pynq: each board has one worker"),
        ({"boards": ("sim", "golden"), "workers": 2}, "--workers 2 with --board sim: each board has one worker"),
        ({"boards": ("pynq:a", "pynq:b", "pynq:c"), "sensors": ("x", "y")}, "2 --sensor with 3 --board: each needs its own"),
    ],
)
def test_boards_that_cannot_be_asked_for(settings, said):
    with pytest.raises(SettingError, match=said):
        ExperimentSettings("e2train", **settings)


def test_sensors_go_with_their_boards():
    one = ExperimentSettings("e2train", boards=("pynq",), sensors=("pmbus", "hwmon:ina226_u76"))
    assert one.sensors_of("pynq") == ("pmbus", "hwmon:ina226_u76")
    two = ExperimentSettings("e2train", boards=("serial:a", "serial:b"), sensors=("serial:x", "serial:y"))
    assert two.sensors_of("serial:b") == ("serial:y",)
    assert ExperimentSettings("e2train", boards=("serial:a", "serial:b")).sensors_of("serial:a") == ()
    assert ExperimentSettings("e2train", boards=("sim",), workers=3).workers == 3


def test_a_cluster_says_what_is_done_and_nothing_of_its_connections(asked):
    settings = [str(asked.experiment), "--run", "whole", "--workers", "2", "--seeds", "2", "--out", str(asked.out)]
    done = subprocess.run([sys.executable, "-m", "joulegrad.cli", "experiments", *settings], capture_output=True, text=True)
    said = done.stderr.splitlines()
    assert done.returncode == 0 and sorted(line.split(" ", 2)[2] for line in said if line.startswith("run ")) == [
        "whole, seed 0", "whole, seed 1"
    ]  # fmt: skip
    assert "Scheduler" not in done.stderr and "Nanny" not in done.stderr and "tcp://" not in done.stderr
