"""The run folder survives what happens to runs: interruption, failure, a crash in the middle of a line."""

import json
import os
import time

import numpy as np
import pytest

from host.run_folder import ITERATIONS, RunFolder, RunFolderError, check_vacant, new_run_dir, read_iterations, read_record


def test_a_finished_run_reads_back(tmp_path):
    with RunFolder(tmp_path / "run", {"config": "tiny", "seed": 3}, every=2) as run:
        for i in range(5):
            run.append({"iteration": i, "loss": np.float64(1 / (i + 1)), "counters": {"cycles": np.int64(10 * i)}})
        run.update(accuracy=0.5)
    record = read_record(tmp_path / "run")
    assert record["status"] == "finished"
    assert record["iterations"] == 5 and record["loss"] == [1 / (i + 1) for i in range(5)]
    assert (record["config"], record["seed"], record["accuracy"]) == ("tiny", 3, 0.5)
    assert [line["counters"]["cycles"] for line in read_iterations(tmp_path / "run")] == [0, 10, 20, 30, 40]


@pytest.mark.parametrize("error, status", [(KeyboardInterrupt(), "aborted"), (ValueError("bad tile"), "failed")])
def test_an_exception_marks_the_run(tmp_path, error, status):
    with pytest.raises(type(error)):
        with RunFolder(tmp_path / "run", {}) as run:
            run.append({"loss": 1.0})
            raise error
    record = read_record(tmp_path / "run")
    assert record["status"] == status and record["iterations"] == 1 and record["reason"]


def test_run_json_is_whole_while_the_run_goes_on(tmp_path):
    run = RunFolder(tmp_path, {}, every=3)
    seen = []
    for i in range(7):
        run.append({"loss": float(i)})
        seen.append(read_record(tmp_path)["iterations"])
    assert seen == [0, 0, 3, 3, 3, 6, 6]
    assert read_record(tmp_path)["status"] == "running"
    assert len(list(read_iterations(tmp_path))) == 7
    run.end("aborted")


def test_who_reads_run_json_sees_one_whole_version_of_it(tmp_path):
    run = RunFolder(tmp_path, {}, every=1)
    with open(tmp_path / "run.json") as reader:
        run.append({"loss": 1.0})
        assert json.load(reader)["iterations"] == 0
    assert read_record(tmp_path)["iterations"] == 1
    run.end("aborted")


def test_a_line_cut_short_is_left_out_and_a_damaged_one_is_not(tmp_path):
    with RunFolder(tmp_path, {}) as run:
        run.append({"loss": 1.0})
        run.append({"loss": 2.0})
    file = tmp_path / ITERATIONS
    file.write_text(file.read_text() + '{"loss": 3')
    assert [line["loss"] for line in read_iterations(tmp_path)] == [1.0, 2.0]
    for damaged in (b'{"loss"', b'{"loss": "\xb8"}'):
        file.write_bytes(damaged + b'\n{"loss": 2.0}\n')
        with pytest.raises(RunFolderError, match="line 1 .* damaged"):
            list(read_iterations(tmp_path))


def test_a_run_is_never_overwritten(tmp_path):
    RunFolder(tmp_path / "run", {}).end("finished")
    with pytest.raises(RunFolderError, match="not empty"):
        RunFolder(tmp_path / "run", {})


def test_names_of_new_folders_are_numbered_and_may_hold_anything(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    day = time.strptime("2026-03-01", "%Y-%m-%d")
    first = new_run_dir("serial:/dev/tty\0USB0 v1.5", day)
    assert str(first) == "runs/serial--dev-tty-USB0-v1.5-20260301-000000"
    first.mkdir(parents=True)
    assert new_run_dir("serial:/dev/tty\0USB0 v1.5", day).name == f"{first.name}.2"


def test_a_full_disk_costs_neither_what_is_there_nor_the_error_that_passes(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    with pytest.raises(ValueError, match="bad tile"):
        with RunFolder(tmp_path / "run", {}) as run:
            monkeypatch.setattr(os, "fsync", full)
            with pytest.raises(RunFolderError, match="No space left"):
                run.update(steps=3)
            raise ValueError("bad tile")
    assert read_record(tmp_path / "run")["status"] == "running"
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [ITERATIONS, "run.json"]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="cannot be written: "):
        RunFolder(tmp_path / "file" / "run", {})
    check_vacant(tmp_path / "new" / "run")
    assert not (tmp_path / "new").exists()


def test_a_run_that_never_was_leaves_no_folder_that_was_made_for_it(tmp_path):
    def never(path):
        with pytest.raises(ValueError, match="no sensor"), RunFolder(path, {}) as run, run.vanishing("trace.sqlite"):
            raise ValueError("no sensor")

    never(tmp_path / "new" / "and" / "run")
    assert not list(tmp_path.iterdir())
    (tmp_path / "given" / "empty").mkdir(parents=True)
    (tmp_path / "given" / "other").write_text("stays")
    never(tmp_path / "given" / "new" / "run")
    never(tmp_path / "given" / "empty")
    assert sorted(path.name for path in (tmp_path / "given").iterdir()) == ["empty", "other"]


def test_a_folder_that_the_disk_takes_only_in_part_goes_again(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(RunFolderError, match="No space left"):
        patched.setattr(os, "fsync", full)
        RunFolder(tmp_path / "new" / "run", {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text, message", [("{", "not JSON"), ('{"schema": 99}', "schema 99"), (None, "not a run folder")])
def test_a_foreign_folder_is_refused(tmp_path, text, message):
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunFolderError, match=message):
        read_record(tmp_path)
