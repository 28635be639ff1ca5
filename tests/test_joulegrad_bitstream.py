"""`joulegrad bitstream` as a user calls it, with stand-ins for the tools: one JSON object, one sentence, the exit code."""

import json

import pytest
from mapped_netlists import chain
from stand_ins import StandIns
from typer.testing import CliRunner

from joulegrad.cli import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    stand_ins = StandIns(tmp_path / "tools")
    for name, value in stand_ins.environment().items():
        monkeypatch.setenv(name, value)

    def call(*words: str):
        return CliRunner().invoke(app, ["bitstream", *words, "--out", str(tmp_path / "out")])

    call.folder = tmp_path / "out"
    return call


def test_json_is_the_manifest(run):
    made = run("z7020", "--board", "pynq-z2", "--json")
    assert made.exit_code == 0, made.output
    result = json.loads(made.stdout)
    assert result["folder"] == str(run.folder / "pynq-z2-z7020") and result["built"] and result["tool"] == "vivado"
    assert set(result["files"]) == {"joulegrad.bit", "joulegrad.hwh"} and result["commit"]
    again = json.loads(run("z7020", "--board", "pynq-z2", "--json").stdout)
    assert again == {**result, "built": False}


def test_people_see_clock_and_resources(run):
    made = run("ecp5", "--board", "ulx3s-85f")
    assert made.exit_code == 0, made.output
    for text in ("ecp5 on ulx3s-85f with nextpnr", "50 MHz, at most 110.50 MHz, worst slack 10.950 ns", "dsp", "stand-in"):
        assert text in made.stdout
    assert "unchanged, not built again" in run("ecp5", "--board", "ulx3s-85f").stdout


def test_people_see_memories_and_paths(run, tmp_path, monkeypatch):
    cells = {"creator": "Yosys 0.70", "design": {"estimated_num_lc": 30000, "num_cells_by_type": {"DSP48E1": 180, "FDRE": 2}}}
    (tmp_path / "netlist.json").write_text(json.dumps({"modules": {"joulegrad_core": chain(8)}}))
    monkeypatch.setenv("YOSYS_STATISTICS", json.dumps(cells))
    monkeypatch.setenv("YOSYS_NETLIST", str(tmp_path / "netlist.json"))
    made = run("z7020", "--board", "pynq-z2", "--tool", "yosys")
    assert made.exit_code == 0, made.output
    for text in ("dsp             180, at most 200", "estimated_lcs   30,000, at most 40,000", "block RAM       u_a",
                 "longest paths   8 levels of at most 9: from_q to to_q"):  # fmt: skip
        assert text in made.stdout


@pytest.mark.parametrize("words, code, sentence", [
    (["z7020", "--board", "basys3"], 2, "no board 'basys3': known are kv260, pynq-z1, pynq-z2, ultra96v2, ulx3s"),
    (["z9", "--board", "pynq-z2"], 2, "no configuration 'z9': known are"),
    (["z7020", "--board", "pynq-z2", "--tool", "quartus"], 2, "no tool 'quartus': known are nextpnr, openxc7, vivado, yosys"),
    (["z7020", "--board", "pynq-z2", "--tool", "nextpnr"], 2, "nextpnr does not build for pynq-z2"),
    (["z7020", "--board", "pynq-z2", "--activity", "none.saif"], 1, "the SAIF file none.saif is not there"),
    (["z7020", "--board", "pynq-z2", "--tool", "yosys", "--activity", "x"], 1, "yosys reports no power"),
])  # fmt: skip
def test_bad_input_is_one_sentence(words, code, sentence, run):
    made = run(*words, "--json")
    assert made.exit_code == code
    assert sentence in json.loads(made.stdout)["error"] and made.stderr.count("\n") == 1
    assert not run.folder.exists()


def test_timing_that_is_not_met_fails(run, monkeypatch):
    monkeypatch.setenv("VIVADO_SLACK_MAX", "-1.5")
    made = run("z7020", "--board", "pynq-z2", "--json")
    assert made.exit_code == 1 and "timing is not met" in json.loads(made.stdout)["error"]
