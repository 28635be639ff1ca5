"""Exports hold every row with its stamp, clock, label and unit, and every mark; they overwrite nothing."""

from __future__ import annotations

import csv
import json
import os

import numpy as np
import pytest
from pyarrow import parquet
from test_host_trace_file import ENERGY, POWER, rows
from typer.testing import CliRunner

from host.readings import Readings
from host.trace import Gap, Mark, TraceError
from host.trace_export import export
from host.trace_file import TraceWriter
from joulegrad.cli import app

MARKS = (Mark(0.01, "host", "begin", "iteration", "forward", 3, note={"layer": "conv, 1"}),
         Mark(0.1 + 0.2, "host", "end", "iteration", "forward", 3, 12))  # fmt: skip


@pytest.fixture
def run(tmp_path):
    """A run folder with a trace of two sensors, and their readings."""
    folder = tmp_path / "run"
    folder.mkdir()
    writer = TraceWriter(folder / "trace.sqlite", {"commit": "abc"})
    writer.add_sensor("hwmon:ina226", "host", "measured", (POWER, ENERGY), {"make": "TI"}, 0.001)
    writer.add_sensor("sim", "virtual", "emulated", (ENERGY,), {}, None)
    first, second = rows(300, 2), rows(50, 1, 3)
    second.sequence[:10] = -1
    for start in (0, 100, 200):
        writer.append(0, Readings(*(getattr(first, name)[start:start + 100] for name in first.__dataclass_fields__)))
    writer.append(1, second)
    for mark in MARKS:
        writer.mark(mark)
    writer.gap(Gap(0, 0.05, "missed deadline", 3, "busy"))
    writer.close("finished")
    return folder, first, second


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    return lines[0], lines[1:]


def numbers(lines, column):
    return np.array([float(line[column]) if line[column] else np.nan for line in lines])


def test_csv(run, tmp_path):
    folder, first, second = run
    done = export(folder / "trace.sqlite", csv=tmp_path / "out.csv")
    names = ["out.csv", "out.1.csv", "out.marks.csv", "out.gaps.csv", "out.json"]
    assert [path.name for path in done.files] == names
    assert (done.rows, done.damaged_blocks, done.labels) == (350, 0, ("emulated", "measured"))
    head, lines = table(tmp_path / "out.csv")
    assert head == ["t_s", "INT/power [W]", "INT/energy [J]", "width_s", "device_t_s", "sequence", "clock", "label"]
    np.testing.assert_array_equal(numbers(lines, 0), first.t_s)  # to the last bit
    np.testing.assert_array_equal(np.column_stack([numbers(lines, 1), numbers(lines, 2)]), first.values)
    np.testing.assert_array_equal(numbers(lines, 3), first.width_s)
    assert {(line[6], line[7]) for line in lines} == {("host", "measured")}
    _, lines = table(tmp_path / "out.1.csv")
    assert [line[4] for line in lines[8:12]] == ["", "", "10", "11"]
    assert {(line[5], line[6]) for line in lines} == {("virtual", "emulated")}
    head, lines = table(tmp_path / "out.marks.csv")
    assert [dict(zip(head, line, strict=True))["note"] for line in lines] == ['{"layer": "conv, 1"}', "{}"]
    assert lines[1] == ["0.30000000000000004", "host", "end", "iteration", "forward", "3", "12", "{}"]
    assert table(tmp_path / "out.gaps.csv")[1] == [["0", "0.05", "missed deadline", "3", "busy"]]
    known = json.loads((tmp_path / "out.json").read_text())
    assert known["provenance"]["commit"] == "abc" and known["sensors"][0]["channels"][0]["specification"]["gain"] == 0.005


def test_parquet(run, tmp_path):
    folder, first, second = run
    done = export(folder / "trace.sqlite", parquet=tmp_path / "out.parquet")
    assert [path.name for path in done.files] == ["out.parquet", "out.1.parquet"] and done.rows == 350
    found = parquet.read_table(tmp_path / "out.parquet")
    np.testing.assert_array_equal(found["t_s"].to_numpy(), first.t_s)
    np.testing.assert_array_equal(found["INT/power [W]"].to_numpy(), first.values[:, 0])
    assert found["INT/power [W]"].null_count == np.isnan(first.values[:, 0]).sum() > 0
    assert found["label"].to_pylist() == ["measured"] * 300 and found["clock"].to_pylist() == ["host"] * 300
    field = found.schema.field("INT/power [W]").metadata
    assert field[b"unit"] == b"W" and field[b"label"] == b"measured" and field[b"scope"] == b"core supply"
    known = json.loads(found.schema.metadata[b"joulegrad"])
    assert [mark["t_s"] for mark in known["marks"]] == [0.01, 0.1 + 0.2] and known["marks"][0]["note"] == {"layer": "conv, 1"}
    assert known["gaps"][0]["reason"] == "missed deadline" and known["provenance"] == {"commit": "abc"}
    other = parquet.read_table(tmp_path / "out.1.parquet")
    assert other["label"].to_pylist() == ["emulated"] * 50 and other["clock"][0].as_py() == "virtual"
    np.testing.assert_array_equal(other["sequence"].to_numpy(), second.sequence)


def test_nothing_is_overwritten_and_nothing_half_is_left(run, tmp_path):
    folder, *_ = run
    (tmp_path / "out.marks.csv").write_text("mine")
    with pytest.raises(TraceError, match="out.marks.csv is there already"):
        export(folder / "trace.sqlite", csv=tmp_path / "out.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.marks.csv", "run"]
    assert (tmp_path / "out.marks.csv").read_text() == "mine"
    with pytest.raises(TraceError, match="cannot be written: .*No such file"):
        export(folder / "trace.sqlite", parquet=tmp_path / "nowhere" / "out.parquet")


def invoke(*arguments):
    return CliRunner().invoke(app, ["trace", "export", *map(str, arguments)])


def test_a_folder_whose_name_is_no_utf_8(run, tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9: #1?%41")
    run[0].rename(folder)
    done = invoke(folder, "--csv", folder / "a.csv", "--parquet", folder / "a.parquet", "--json")
    assert done.exit_code == 0, done.output
    assert len(json.loads(done.stdout)["files"]) == len(list(folder.iterdir())) - 1 == 7


@pytest.mark.parametrize(("options", "said"), [(("--csv", "a.csv", "--parquet", "b.parquet"), "b.parquet is there already"),
                                               (("--csv", "a.csv", "--parquet", "a.csv"), "a.csv would be made twice"),
                                               (("--csv", "a.json"), "a.json would be made twice")])  # fmt: skip
def test_of_several_kinds_all_are_made_or_none(run, tmp_path, options, said):
    folder, *_ = run
    (tmp_path / "b.parquet").write_text("mine")
    failed = invoke(folder, *(text if text.startswith("--") else tmp_path / text for text in options))
    assert failed.exit_code == 1 and said in failed.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.parquet", "run"]


def test_the_command(run, tmp_path):
    folder, *_ = run
    done = invoke(folder, "--csv", tmp_path / "a.csv", "--parquet", tmp_path / "a.parquet", "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["labels"] == ["emulated", "measured"] and result["rows"] == 350 and len(result["files"]) == 7
    for code, arguments, said in ((2, (folder,), "nothing to export to"),
                                  (1, (tmp_path, "--csv", tmp_path / "b.csv"), "cannot be read"),
                                  (1, (tmp_path / "a.csv", "--csv", tmp_path / "b.csv"), "is not a trace")):  # fmt: skip
        failed = invoke(*arguments)
        assert failed.exit_code == code and said in failed.output and "Traceback" not in failed.output


def test_without_pyarrow_the_command_says_what_to_install(run, tmp_path, monkeypatch):
    import sys

    folder, *_ = run
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    failed = invoke(folder, "--parquet", tmp_path / "a.parquet")
    assert failed.exit_code == 1 and "pip install 'joulegrad[parquet]'" in failed.output
