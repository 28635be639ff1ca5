"""The board package, installed from its archive alone beside numpy 1.26: a program trains there, joules and all."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from packed_programs import program_file
from typer.testing import CliRunner

from hw.verilator import BUILD
from joulegrad import board_install, package
from joulegrad.cli import app

ROOT = Path(__file__).parents[1]
NUMPY = "1.26.4" if sys.version_info < (3, 13) else "2.1.3"
ABSENT = ("torch", "scipy", "sklearn", "matplotlib")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("package") / "joulegrad-board.zip"
    package.make_package(path)
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Python as a board has it: an environment with numpy and nothing else."""
    folder = tmp_path_factory.mktemp("base") / "board python"
    venv.EnvBuilder(symlinks=True).create(folder)
    packages = next(folder.glob("lib/python*/site-packages"))
    wheels = BUILD / f"numpy-{NUMPY}"
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    if not list(wheels.glob("numpy*.whl")):
        subprocess.run([*pip, "download", "--only-binary=:all:", "--no-deps", "-d", str(wheels), f"numpy=={NUMPY}"], check=True)
    with zipfile.ZipFile(next(wheels.glob("numpy*.whl"))) as wheel:
        wheel.extractall(packages)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def installed(archive, base, tmp_path_factory):
    to = tmp_path_factory.mktemp("installed") / "joule grad"
    done = on_the_board(base, archive, "--to", to)
    assert done.returncode == 0, done.stderr
    assert f"numpy {NUMPY}" in done.stdout and str(to / "bin" / "joulegrad") in done.stdout
    return to


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return program_file(tmp_path_factory.mktemp("program"))


def on_the_board(*command, cwd: Path | None = None) -> subprocess.CompletedProcess:
    """Run a command with nothing of this checkout in its environment."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(cwd or "/nonexistent")}
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment, cwd=cwd or "/")


def test_a_program_trains_there_as_here_with_joules(installed, program, tmp_path):
    done = on_the_board(
        installed / "bin" / "joulegrad", "bench", program, "--board", "golden", "--json", "--out", "run", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    there = json.loads(done.stdout)
    assert there["run_energy_j"]["simulated"]["gross"]["value"] > there["run_energy_j"]["simulated"]["net"]["value"] > 0
    outcome = CliRunner().invoke(app, ["bench", str(program), "--board", "golden", "--json", "--out", str(tmp_path / "here")])
    here = json.loads(outcome.stdout)
    for key in ("loss", "test_loss", "accuracy", "counters", "run_energy_j", "time_s"):
        assert there[key] == here[key], key
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["versions"]["numpy"] == NUMPY and "torch" not in record["versions"]
    assert record["commit"] == json.loads((tmp_path / "here" / "run.json").read_text())["commit"]


def test_what_is_absent_is_absent_and_nothing_comes_from_elsewhere(installed):
    code = (
        "import importlib.util as u, joulegrad, typer, rich, serial; "
        f"print([m for m in {ABSENT} if u.find_spec(m)]); "
        "print(*(m.__file__ for m in (joulegrad, typer, rich, serial)), sep='\\n')"
    )
    done = on_the_board(installed / "venv" / "bin" / "python", "-c", code)
    absent, *files = done.stdout.splitlines()
    assert absent == "[]" and len(files) == 4 and all(file.startswith(str(installed)) for file in files), done.stderr


def test_the_archive_is_the_same_every_time_and_holds_no_machine(archive, tmp_path, monkeypatch):
    again = package.make_package(tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == archive.read_bytes() and again["bytes"] == archive.stat().st_size
    own = package.own_wheel()[1]
    (tmp_path / "own.whl").write_bytes(own)
    with zipfile.ZipFile(tmp_path / "own.whl") as wheel:
        names = wheel.namelist()
        text = b"".join(wheel.read(name) for name in names)
        assert {info.date_time for info in wheel.infolist()} == {package.DATE}
    assert str(ROOT).encode() not in text and str(Path.home()).encode() + b"/" not in text
    assert {"joulegrad/cli.py", "host/board_pynq.py", "algo/recipes/digits.json", "hw/configs/z7020.json"} <= set(names)
    assert not [name for name in names if name.endswith((".sv", ".pyc")) or name.startswith("tests/")]


def test_an_installation_is_replaced_but_nothing_else_is(installed, archive, base, tmp_path):
    (installed / "small.jg").write_text("a program")
    before = (installed / "venv").stat().st_ino
    done = on_the_board(base, archive, "--to", installed)
    assert done.returncode == 0, done.stderr
    assert (installed / "venv").stat().st_ino != before and (installed / "small.jg").read_text() == "a program"
    (tmp_path / "venv").mkdir()
    done = on_the_board(base, archive, "--to", tmp_path)
    assert done.returncode == 1 and "was not made by this package" in done.stderr and "Traceback" not in done.stderr
    done = on_the_board(base, archive, "--to", "/dev/null/x")
    assert done.returncode == 1 and "cannot be written" in done.stderr and "Traceback" not in done.stderr


def test_a_python_without_numpy_is_refused_in_a_sentence(archive, tmp_path):
    venv.EnvBuilder(symlinks=True).create(tmp_path / "bare")
    done = on_the_board(tmp_path / "bare" / "bin" / "python", archive, "--to", tmp_path / "to")
    assert done.returncode == 1 and "has no numpy" in done.stderr and len(done.stderr.splitlines()) == 1


def test_an_old_python_is_refused_in_a_sentence_that_it_can_read():
    main = package.MAIN.format(python=package.PYTHON, words="3.10")
    tree = ast.parse(main, feature_version=(3, 4))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    old = main.replace("import sys\n", "import sys\nsys.version_info = (3, 8, 10)\n")
    done = subprocess.run([sys.executable, "-c", old], capture_output=True, text=True)
    assert done.returncode == 1 and "this Python is 3.8, but 3.10 or newer is needed" in done.stderr


def test_missing_wheels_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(package, "_download", lambda folder: None)
    done = CliRunner().invoke(app, ["package", "-o", str(tmp_path / "x.zip"), "--wheels", str(tmp_path / "none"), "--json"])
    assert done.exit_code == 1 and "no wheel of" in json.loads(done.stdout)["error"] and not (tmp_path / "x.zip").exists()


def test_pip_is_given_a_folder_that_holds_wherever_it_runs(tmp_path, monkeypatch):
    commands = []
    monkeypatch.chdir(tmp_path)
    done = SimpleNamespace(returncode=0)
    monkeypatch.setattr(package.subprocess, "run", lambda command, **how: commands.append(command) or done)
    package._download(Path("wheels"))
    assert commands[0][commands[0].index("--dest") + 1] == str(tmp_path / "wheels")


def test_pip_that_fails_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(package.PackageError, match="cannot be downloaded, so put their wheels into"):
        package.make_package(tmp_path / "x.zip", tmp_path / "none")


def test_everything_a_board_runs_is_python_3_10():
    for folder in package.FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 10))


def test_pynqs_own_python_is_taken_where_there_is_one(tmp_path, monkeypatch):
    started = []
    python = tmp_path / "python3"
    python.touch()
    monkeypatch.setattr(board_install, "PYNQ_PYTHON", python)
    monkeypatch.setattr(board_install.os, "execv", lambda *words: started.append(words))
    monkeypatch.setattr(board_install, "install", lambda archive, to: pytest.fail("went on in the other Python"))
    with pytest.raises(pytest.fail.Exception):
        board_install.main(["--to", str(tmp_path / "to")], tmp_path / "a.zip")
    assert started == [(str(python), [str(python), str(tmp_path / "a.zip"), "--to", str(tmp_path / "to")])]
