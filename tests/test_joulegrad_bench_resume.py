"""`joulegrad bench --resume`: a run on a board that was stopped goes on with the same bits, and its folder tells of all of it."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import invoke
from packed_programs import RECIPE
from stopped_runs import stopped_after
from waiting import PATIENCE_S, until

from algo.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from host.run_folder import RunFolder, RunFolderError, read_iterations, read_record
from host.trace import windows
from host.trace_file import read_trace
from joulegrad import board_checkpoints
from joulegrad.bench import run_bench
from joulegrad.screen import Screen
from joulegrad.settings import BenchSettings, MemoryStalls
from measurements.recompute import differences, recompute

STEPS, STOP = 12, 7
REMEMBERED = ("records", "streamed_records", "beside_records")
METHODS = {"swa": {"start": "1/4", "every": 1, "settle": 2}, "cpt": {"lowest": 5, "periods": 2}, "smd": {"drop": "1/4"}}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """Path of a recipe of a few small layers, with an image of each class and blocks that may be skipped."""
    path = tmp_path_factory.mktemp("recipe") / "small.json"
    path.write_text(json.dumps(RECIPE | {"steps": STEPS, "methods": METHODS}))
    return path


@pytest.fixture
def settings(recipe):
    return BenchSettings(str(recipe), "golden", "tiny", None, None, None, None, False, MemoryStalls(), checkpoint_every=1)


def _run(settings, out, **changes):
    return run_bench(dataclasses.replace(settings, out=out, **changes), Screen(True))


def _stopped(settings, out, iteration=STOP, **changes):
    """Run what is asked for until an iteration has been executed and written down, but no checkpoint behind it."""
    with stopped_after(iteration):
        _run(settings, out, **changes)
    return out


def _end(path):
    """Return where a run stood at its end, as comparable data."""
    found = read_checkpoint(path / "checkpoint.npz")
    plain = json.dumps([found.state, found.course], default=np.ndarray.tolist)
    return plain, {name: value.tolist() for name, value in found.tensors.items()}


def _without(lines, *names):
    return [{name: value for name, value in line.items() if name not in names} for line in lines]


@pytest.mark.parametrize("method", ["plain", "smd+swa", "slu", "sd+cpt", "psg_abstain", "e2train"])
def test_a_run_that_goes_on_ends_with_the_same_bits(tmp_path, settings, method):
    settings = dataclasses.replace(settings, method=method)
    whole = _run(settings, tmp_path / "whole")
    _stopped(settings, tmp_path / "stopped")
    assert read_record(tmp_path / "stopped")["status"] == "aborted"
    resumed = _run(settings, tmp_path / "resumed", resume=tmp_path / "stopped")
    assert _end(tmp_path / "resumed") == _end(tmp_path / "whole")
    lines = [list(read_iterations(tmp_path / name)) for name in ("whole", "resumed")]
    first = len(lines[0]) - resumed["iterations_here"]
    assert 0 < first and lines[0][first]["iteration"] >= STOP, "what was executed after the last checkpoint is done again"
    assert _without(lines[0], "host_s", "energy", "processor") == _without(lines[1], "host_s", "energy", "processor")
    # A process begins with making noise and streaming its mini-batch, and remembers no records: that much more it has to do.
    work = [[line["processor"] for line in each] for each in lines]
    assert work[0][:first] == work[1][:first]
    assert _without(work[0][first + 1 :], *REMEMBERED) == _without(work[1][first + 1 :], *REMEMBERED)
    same = ("accuracy", "loss", "iterations_executed", "iterations_drawn", "counters", "predicted_cycles_per_iteration")
    assert [resumed[name] for name in same] == [whole[name] for name in same]
    assert read_record(tmp_path / "resumed")["resumed_from"] == str(tmp_path / "stopped")
    assert differences(recompute(tmp_path / "resumed", need_trace=False), resumed) == []


@pytest.mark.parametrize("method", ["swa", "e2train"])
def test_a_board_and_pytorch_stand_at_the_same_point(tmp_path, recipe, settings, method):
    """Averages that the board keeps in its own layout have names in the checkpoint: a checked run's reference goes on from it."""
    _run(settings, tmp_path / "board", method=method)
    assert invoke("train", str(recipe), "--method", method, "--out", str(tmp_path / "trained"))[0] == 0
    board, trained = (read_checkpoint(tmp_path / name / "checkpoint.npz") for name in ("board", "trained"))
    assert board.state == trained.state and board.tensors.keys() == trained.tensors.keys()
    weights = [name for name in board.tensors if not name.endswith(".channels")]
    assert all(np.array_equal(board.tensors[name], trained.tensors[name]) for name in weights)
    ours, theirs = (found.course["policies"]["swa"]["sums"] for found in (board, trained))
    assert ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert any(one.any() for one in ours.values())


def test_a_checkpoint_costs_the_run_nothing_that_is_counted(tmp_path, settings):
    """Weights that wait for their average are read for the checkpoint; the next iteration counts them as it would have."""
    for every in (1, 1000):
        _run(settings, tmp_path / str(every), method="e2train", checkpoint_every=every)
    lines = [_without(read_iterations(tmp_path / str(every)), "host_s", "energy") for every in (1, 1000)]
    assert lines[0] == lines[1] and _end(tmp_path / "1") == _end(tmp_path / "1000")


def test_no_checkpoint_is_ahead_of_the_lines_on_the_disk(tmp_path, settings, monkeypatch):
    order, sync, write = [], RunFolder.sync, board_checkpoints.write_checkpoint
    monkeypatch.setattr(RunFolder, "sync", lambda folder: order.append("lines") or sync(folder))
    monkeypatch.setattr(board_checkpoints, "write_checkpoint", lambda *given: order.append("checkpoint") or write(*given))
    _run(settings, tmp_path / "run", steps=2)
    assert order == ["lines", "checkpoint"] * 4, "before the first iteration, after both, and at the end"


def test_a_checked_run_on_the_simulated_board_goes_on_under_its_sensor(tmp_path, settings):
    settings = dataclasses.replace(settings, board="sim", check=True, method="smd+swa", relative_u=0.5)
    whole = _run(settings, tmp_path / "whole")
    _stopped(settings, tmp_path / "stopped")
    resumed = _run(settings, tmp_path / "resumed", resume=tmp_path / "stopped")
    assert resumed["bit_exact"] and resumed["counters_exact"] and _end(tmp_path / "resumed") == _end(tmp_path / "whole")
    assert resumed["counters"] == whole["counters"] and resumed["activity"] == whole["activity"]
    executed = whole["iterations_executed"]
    trace, record = read_trace(tmp_path / "resumed" / "trace.sqlite"), read_record(tmp_path / "resumed")
    assert [window.number for window in windows(trace, "iteration")] == list(range(executed))
    told, behind = record["replayed"], executed - resumed["iterations_here"]
    assert told["simulated"]["iterations"] == executed - behind
    assert told["recorded_by_an_earlier_run"] == {"iterations": behind}
    assert told["replayed"]["iterations_in_each"] % executed == 0, "repeats do the whole run"
    power_w = [result["run_energy_j"]["emulated"]["gross"]["value"] / result["time_s"] for result in (whole, resumed)]
    assert power_w[0] == pytest.approx(power_w[1], rel=0.02), "of a run that differs in what the processor remembers"
    assert differences(recompute(tmp_path / "resumed"), resumed) == []


def test_a_finished_run_may_be_asked_for_again_and_trains_nothing(tmp_path, settings):
    whole = _run(settings, tmp_path / "whole")
    again = _run(settings, tmp_path / "again", resume=tmp_path / "whole" / "checkpoint.npz")
    assert again["iterations_here"] == 0 and again["accuracy"] == whole["accuracy"]
    assert again["run_energy_j"] == whole["run_energy_j"]


def test_a_killed_process_leaves_a_run_that_goes_on(tmp_path, recipe):
    command = ["bench", str(recipe), "--board", "golden", "--config", "tiny", "--steps", "60", "--checkpoint-every", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "joulegrad.cli", *command, "--out", str(tmp_path / "killed")], cwd=Path(__file__).parents[1],
        stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    lines = tmp_path / "killed" / "iterations.jsonl"
    until(lambda: lines.is_file() and lines.read_text().count("\n") >= 5, PATIENCE_S)
    process.send_signal(signal.SIGKILL)
    process.wait()
    code, out, err = invoke(*command, "--resume", str(tmp_path / "killed"), "--out", str(tmp_path / "resumed"), "--json")
    assert code == 0, err
    data = json.loads(out)
    assert 0 < data["iterations_here"] <= 56 and data["iterations_executed"] == 60


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": 13}, "recipe steps 12, this run has 13"),
        ({"seed": 5}, "seed 0, this run has 5"),
        ({"method": "smd"}, "method name plain, this run has smd"),
        ({"config": "z7020"}, "config tiny, this run has z7020"),
        ({"board": "sim"}, "board golden, this run has sim"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, settings, changes, said):
    _run(settings, tmp_path / "run")
    with pytest.raises(CheckpointError, match=said):
        _run(settings, tmp_path / "other", resume=tmp_path / "run", **changes)
    assert not (tmp_path / "other").exists()


def test_a_run_with_other_stalls_takes_other_cycles_and_is_refused(tmp_path, settings):
    _run(settings, tmp_path / "run", board="sim", steps=1)
    with pytest.raises(CheckpointError, match="stalls 0.0, this run has 0.1"):
        _run(settings, tmp_path / "other", board="sim", steps=1, resume=tmp_path / "run", stalls=MemoryStalls(0.1, 1))


def test_a_checkpoint_of_pytorch_is_refused(tmp_path, recipe):
    """Its iterations have no energy of a board."""
    assert invoke("train", str(recipe), "--out", str(tmp_path / "trained"))[0] == 0
    asked = ["bench", str(recipe), "--board", "golden", "--config", "tiny", "--resume", str(tmp_path / "trained"), "--json"]
    code, out, _ = invoke(*asked, "--out", str(tmp_path / "other"))
    assert code == 1 and "board none, this run has golden" in json.loads(out)["error"]


def _edited(path, **changes):
    found = read_checkpoint(path)
    write_checkpoint(path, dataclasses.replace(found, **changes))


def test_what_is_damaged_is_refused_in_a_sentence(tmp_path, settings):
    settings = dataclasses.replace(settings, method="swa")
    place = _stopped(settings, tmp_path / "stopped")
    file = place / "checkpoint.npz"
    good, lines = read_checkpoint(file), (place / "iterations.jsonl").read_text().splitlines(keepends=True)
    weight = next(name for name in good.tensors if name.endswith(".master"))
    tried = iter(range(99))

    def refused(said, error=CheckpointError):
        with pytest.raises(error, match=said):
            _run(settings, tmp_path / f"other{next(tried)}", resume=place)

    _edited(file, tensors={name: value for name, value in good.tensors.items() if name != weight})
    refused(f"not of this program: tensor {weight} is missing")
    _edited(file, tensors=good.tensors | {weight: good.tensors[weight].astype(float)})
    refused(f"tensor {weight} is float64")
    _edited(file, tensors=good.tensors | {"more": good.tensors[weight]})
    refused("tensor more is int32 .*, the program has none such")
    _edited(file, tensors=good.tensors, state={"iteration": good.state["iteration"]})
    refused("does not fit the run .KeyError")
    _edited(file, state=good.state, course=good.course | {"policies": None})
    refused("does not fit the run .AttributeError")
    _edited(file, course=good.course)
    (place / "iterations.jsonl").write_text("".join(lines[1:]))
    refused(f"has lines of {STOP - 1} iterations before its checkpoint, which has executed {STOP}: .* begin the run again")
    (place / "iterations.jsonl").unlink()
    refused("iterations.jsonl cannot be read", RunFolderError)
