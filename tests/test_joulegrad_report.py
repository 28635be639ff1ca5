"""`joulegrad report`: one page whose numbers are the run's; what is missing is said; mistakes are one sentence."""

from __future__ import annotations

import functools
import html
import json
import os
import re
import shutil
import sqlite3
import sys

import command_line
import pytest
from compared_runs import write_sweep
from report_runs import bench_run, measured_run, spoil

from host.trace_file import TRACE
from measurements.report_parts import with_u
from measurements.report_run import load_run

SMALLEST, LARGEST = 4.0e6, 8.0e6
"""Bytes of a page: plotly.js takes 4.8 MB of them."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return bench_run(tmp_path_factory.mktemp("bench") / "run")

invoke = functools.partial(command_line.invoke, "report")


def reported(*arguments) -> tuple[dict, str]:
    """Return the command's JSON data and the page's text without markup and scripts."""
    code, out, err = invoke(*arguments, "--json")
    assert code == 0, err
    data = json.loads(out)
    with open(data["page"], encoding="utf-8") as file:
        text = file.read()
    assert len(text.encode()) == data["bytes"]
    body = re.sub(r"<script.*?</script>", " ", text[text.index("<body>"):], flags=re.DOTALL)
    return data, html.unescape(re.sub(r"<[^>]+>", " ", body))


def refused(*arguments, says: str) -> None:
    code, out, err = invoke(*arguments, "--json")
    assert code == 1
    message = json.loads(out)["error"]
    assert re.search(says, message) and "\n" not in message and "Traceback" not in err


def test_the_page_of_a_run_has_its_numbers(bench):
    data, text = reported(bench)
    assert data["page"] == str(bench / "report.html") and SMALLEST < data["bytes"] < LARGEST
    figures = ["accuracy", "truth-emulated", "run-0-power", "run-0-close", "run-0-phases", "run-0-layers", "run-0-0-budget"]
    assert data["figures"] == figures and data["missing"] == []
    run = load_run(bench)
    for label, kind in (("emulated", "gross"), ("emulated", "net"), ("simulated", "gross")):
        energy = run.result["run_energy_j"][label][kind]
        assert with_u(energy["value"], energy["u95"]) in text
    assert run.trace.sha256 in text and "0" * 40 in text and run.record["idle_definition"] in text
    for said in ("resolved", "not fitted to a measured board", "say nothing about a board", "What was replayed",
                 "degrees of freedom",
                 "Idle power", "renewed every", "INA226", "cannot tell phases apart", "90.00 %"):  # fmt: skip
        assert said in text, said
    for _ in range(2):  # its own page is replaced
        assert invoke(bench)[0] == 0


def test_runs_side_by_side_and_a_sweep(bench, tmp_path):
    measurement = measured_run(tmp_path / "measured")
    data, text = reported(bench, measurement, "--out", tmp_path / "page.html")
    assert data["runs"] == [str(bench), str(measurement)] and {"run-0-power", "run-1-windows"} <= set(data["figures"])
    assert "made-up" in text and "emulated" in text and "measured" in text
    sweep = write_sweep(tmp_path / "sweep", workloads=13, repeats=1)
    data, text = reported(sweep, "--out", tmp_path / "sweep.html")
    assert len(data["runs"]) == 13 and data["figures"] == ["truth-emulated"]
    assert "model fitted to the other workloads" in text and "Kendall tau" in text


def test_a_trace_too_long_for_memory_is_drawn_without_budgets(bench, tmp_path, monkeypatch):
    monkeypatch.setattr("measurements.report_run.MEMORY_BYTES", 1000)
    data, text = reported(bench, "--out", tmp_path / "page.html")
    assert "run-0-power" in data["figures"] and "run-0-0-budget" not in data["figures"]
    assert any("too many to work budgets" in one for one in data["missing"]) and "resolved" in text


def test_a_run_without_a_trace_says_what_is_missing(tmp_path):
    data, text = reported(bench_run(tmp_path / "run", ()))
    assert "run-0-layers" in data["figures"] and "run-0-power" not in data["figures"]
    assert any("No power sensor watched this run" in one for one in data["missing"]) and "What is missing" in text


def test_an_aborted_measurement_still_has_a_page(tmp_path):
    run = measured_run(tmp_path / "run")
    spoil(run, lambda record: (record.pop("result"), record.update(status="aborted", reason="interrupted")))
    data, text = reported(run)
    assert "run-0-power" in data["figures"] and any("aborted" in one and "no result" in one for one in data["missing"])


@pytest.mark.parametrize("change, says", [
    (lambda record: record.update(schema=2), "schema 2, this software reads schema 1"),
    (lambda record: record["config"].update(g="four"), "damaged or was written by another version"),
    (lambda record: record.update(config={"g": 3}), "damaged or was written by another version"),
    (lambda record: record.update(trace="../trace.sqlite"), "no file in its folder"),
    (lambda record: record.update(trace="other.sqlite"), "other.sqlite cannot be read"),
    (lambda record: record["result"]["run_energy_j"].update(emulated=[]), "the energies in its run.json are none"),
])  # fmt: skip
def test_a_damaged_run_is_refused(bench, tmp_path, change, says):
    run = tmp_path / "run"
    shutil.copytree(bench, run)
    (run / "report.html").unlink(missing_ok=True)
    spoil(run, change)
    refused(run, says=says)
    assert not (run / "report.html").exists()


def test_a_damaged_trace_is_refused(tmp_path):
    run = measured_run(tmp_path / "run")
    with sqlite3.connect(run / TRACE) as connection:
        connection.execute("UPDATE block SET data = zeroblob(length(data))")
    refused(run, says="trace.sqlite is damaged: 1 blocks")
    (run / TRACE).write_bytes(b"no database")
    refused(run, says="is not a trace")
    (run / TRACE).unlink()
    refused(run, says="cannot be read")


def test_places_where_no_page_can_go(bench, tmp_path):
    refused(tmp_path, says="is no run and holds none")
    refused(tmp_path / "absent", says="is no run and holds none")
    refused(bench, "--out", tmp_path, says="is a folder")
    refused(bench, "--out", tmp_path / "absent" / "page.html", says="no folder")
    refused(bench, "--out", bench / "run.json", says="is not replaced")
    assert json.loads((bench / "run.json").read_text())["schema"] == 1
    if os.geteuid():
        (tmp_path / "closed").mkdir(mode=0o500)
        refused(bench, "--out", tmp_path / "closed" / "page.html", says="cannot be written")
    else:
        refused(bench, "--out", "/proc/page.html", says="cannot be written")


def test_without_plotly_the_message_names_the_extra(bench, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refused(bench, says=r"needs plotly.*joulegrad\[report\]")
