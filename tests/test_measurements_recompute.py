"""A run's numbers again from its folder: equal, or one sentence that says what is wrong with the folder."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sqlite3

import pytest
from typer.testing import CliRunner

from host.processor_work import ProcessorWork
from host.run_folder import RunFolder
from host.trace import windows
from host.trace_file import TRACE, read_trace
from host.virtual_rails import ACTIVITY
from hw.config import load_config
from joulegrad import errors, virtual_time
from joulegrad.cli import app
from joulegrad.emulation import Emulation
from joulegrad.watch import Plan
from measurements.energy_model import TABLE
from measurements.processor_time import ProcessorModel, processor_time
from measurements.recompute import ENERGY_TABLE, KEYS, RecomputeError, differences, recompute

CONFIG = load_config("z7020")
COUNTERS = {"cycles": 270_000, "spad_reads": 100_000, "ddr_read_bytes": 60_000, "macs_int8": 20_000_000}
TOGGLES = dict.fromkeys(ACTIVITY, 20_000_000)
WORK = ProcessorWork(register_accesses=20, array_calls=30, records=27, copied_bytes=20_000)
LINE = {"images": 4, "counters": {"unit": COUNTERS}, "activity": {"unit": TOGGLES}, "processor": dataclasses.asdict(WORK)}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder as a bench leaves it, of two launches of a program."""
    record = {
        "board": "sim", "config": dataclasses.asdict(CONFIG), "steps": 3, "sensors": ["sim"], "trace": TRACE,
        "energy_assumptions": {"processor_time": dataclasses.asdict(ProcessorModel())},
    }  # fmt: skip
    with RunFolder(tmp_path_factory.mktemp("runs") / "run", record) as folder:
        shutil.copyfile(TABLE, folder.path / ENERGY_TABLE)
        stretches = virtual_time.launch(COUNTERS, TOGGLES, WORK, CONFIG, ProcessorModel())
        with Emulation(folder.path / TRACE, ("sim",), CONFIG, {}, Plan(repeats=2)) as emulation:
            emulation.before()
            for _ in range(2):
                folder.append(LINE)
                emulation.iteration(stretches)
            emulation.after()
        folder.update(result=recompute(folder.path))
    return folder.path


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "copy")


def command(path) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["recompute", str(path), "--json"])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert "Traceback" not in done.stderr
    return done.exit_code, json.loads(done.stdout)


def test_the_numbers_are_the_runs(run):
    found = recompute(run)
    assert list(found) == list(KEYS)
    assert found["iterations_drawn"] == 3 and found["iterations_executed"] == 2
    spent = processor_time(WORK, ProcessorModel())
    assert found["time_s"] == pytest.approx(2 * (270_000 / 1e8 + spent.serial_s), rel=1e-12)
    assert found["processor_s"] == pytest.approx(2 * spent.busy_s) and found["counters"]["cycles"] == 540_000
    assert found["activity"]["sum_toggles"] == 40_000_000
    for label in ("simulated", "emulated"):
        for kind in ("gross", "net"):
            whole = found["run_energy_j"][label][kind]["value"]
            assert found["energy_per_executed_iteration_j"][label][kind]["value"] == pytest.approx(whole / 2, rel=1e-12)
    (window, *_) = windows(read_trace(run / TRACE), "repeat")
    assert window.end_s - window.start_s == pytest.approx(window.iterations * found["time_s"] / 2, rel=1e-9)
    assert 1.5 < found["run_energy_j"]["emulated"]["gross"]["value"] / found["time_s"] < 2.3  # watts: 1.6 idle, 0.4 of work
    code, again = command(run)
    assert code == 0 and again["reported"] == "equal" and again["run_energy_j"] == found["run_energy_j"]


def test_a_number_that_is_not_the_reported_one_fails_by_name(copy):
    record = json.loads((copy / "run.json").read_text())
    record["result"]["run_energy_j"]["emulated"]["net"]["value"] *= 1 + 1e-8
    (copy / "run.json").write_text(json.dumps(record))
    code, said = command(copy)
    assert code == errors.FAILED and "run_energy_j.emulated.net.value" in said["error"]


def test_a_run_without_a_trace_is_refused(copy):
    record = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps(record | {"trace": None, "sensors": []}))
    code, said = command(copy)
    assert code == errors.FAILED and "no trace" in said["error"]
    assert "emulated" not in recompute(copy, need_trace=False)["run_energy_j"]


def test_a_missing_trace_is_refused(copy):
    (copy / TRACE).unlink()
    code, said = command(copy)
    assert code == errors.FAILED and TRACE in said["error"]


def test_what_is_no_run_is_refused(tmp_path):
    code, said = command(tmp_path)
    assert code == errors.FAILED and "not a run folder" in said["error"]


def test_a_block_that_does_not_fit_its_checksum_is_refused_and_stays_as_it_is(copy):
    connection = sqlite3.connect(copy / TRACE)
    (data,) = connection.execute("SELECT data FROM block WHERE id = 1").fetchone()
    connection.execute("UPDATE block SET data = ? WHERE id = 1", (bytes([data[0] ^ 1]) + data[1:],))
    connection.commit()
    connection.close()
    before = (copy / TRACE).read_bytes()
    code, said = command(copy)
    assert code == errors.FAILED and "checksum" in said["error"]
    assert (copy / TRACE).read_bytes() == before


@pytest.mark.parametrize("how", ["cut", "overwritten", "not a database"])
def test_a_corrupt_trace_is_one_sentence(copy, how):
    data = (copy / TRACE).read_bytes()
    middle = len(data) // 2
    damaged = {"cut": data[:middle], "overwritten": data[:middle] + b"\xff" * 20_000 + data[middle + 20_000 :],
               "not a database": b"nothing of the kind"}[how]  # fmt: skip
    (copy / TRACE).write_bytes(damaged)
    code, said = command(copy)
    assert code == errors.FAILED and TRACE in said["error"]
    assert (copy / TRACE).read_bytes() == damaged


@pytest.mark.parametrize(
    ("name", "value"), [("steps", -1), ("steps", "x"), ("sensors", 5), ("calibrations", {}), ("trace", 5)], ids=str
)
def test_a_record_edited_to_what_no_run_has_is_one_sentence(copy, name, value):
    record = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps(record | {name: value}))
    code, said = command(copy)
    assert code == errors.FAILED and "is damaged" in said["error"] and str(value) in said["error"]


def test_a_record_whose_processor_takes_negative_time_is_one_sentence(copy):
    record = json.loads((copy / "run.json").read_text())
    record["energy_assumptions"]["processor_time"]["register_access_s"] = -1.0
    (copy / "run.json").write_text(json.dumps(record))
    code, said = command(copy)
    assert code == errors.FAILED and "register_access_s is -1.0" in said["error"]


def test_a_record_that_lacks_something_is_one_sentence(copy):
    record = json.loads((copy / "run.json").read_text())
    for change in ({"config": {}}, {"energy_assumptions": {}}):
        (copy / "run.json").write_text(json.dumps(record | change))
        code, said = command(copy)
        assert code == errors.FAILED and "another version" in said["error"]
    (copy / "run.json").write_text(json.dumps(record))
    (copy / "iterations.jsonl").write_text(json.dumps({"images": 4}) + "\n")
    code, said = command(copy)
    assert code == errors.FAILED and "another version" in said["error"]
    (copy / "iterations.jsonl").write_text("")
    code, said = command(copy)
    assert code == errors.FAILED and "no iteration" in said["error"]


def test_differences_are_found_wherever_they_are():
    one = {"a": {"b": [1.0, 2.0]}, "c": "x", "d": None, "e": True}
    assert differences(one, json.loads(json.dumps(one))) == []
    for other in ({"a": {"b": [1.0, 2.0 + 1e-6]}}, {"a": {"b": [1.0]}}, {"c": "y"}, {"d": 0.0}, {"a": {"x": 1}}, {"e": 1.5}):
        assert len(differences(one, one | other)) == 1
    assert differences({"a": 1.0}, {"a": 1.0 + 1e-12}) == []


def test_errors_are_known():
    assert errors.exit_code(RecomputeError("x")) == errors.FAILED
