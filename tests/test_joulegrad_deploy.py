"""`joulegrad deploy` with stand-ins for ssh and scp: what is copied where, what runs there, and what goes wrong in a sentence."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from pathlib import Path

import pytest
from packed_programs import program_file
from typer.testing import CliRunner

from hw.config import load_config
from joulegrad.cli import app
from joulegrad.deploy import DeploySettings
from joulegrad.settings import SettingError

HOST = "xilinx@pynq"
SSH = """#!{python}
import json, os, subprocess, sys
name, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]
with open({calls!r}, "a") as calls:
    calls.write(json.dumps([name, *arguments]) + "\\n")
mode = os.environ.get("SSH_STAND_IN", "")
words = arguments[arguments.index("--") + 1 :]
if mode == "unreachable":
    print("ssh: connect to host pynq port 22: No route to host", file=sys.stderr)
    sys.exit(255 if name == "ssh" else 1)
if name == "ssh" and len(words) > 1:
    there = {{"PATH": {there!r} + ":/usr/bin:/bin", "STAND_IN": mode}}
    sys.exit(subprocess.run(["sh", "-c", words[1]], cwd={board!r}, env=there).returncode)
if name == "scp":
    host, _, folder = words[-1].partition(":")
    if mode == "full":
        sys.exit("scp: write remote: No space left on device")
    sys.exit(subprocess.run(["cp", *words[:-1], os.path.join({board!r}, folder)]).returncode)
"""
PYTHON = """#!/bin/sh
[ "$STAND_IN" = old ] && echo "joulegrad: this Python is 3.8, but 3.10 or newer is needed" >&2 && exit 1
[ -f "$1" ] && echo "installed $@ in $(basename $(pwd))"
"""


class Board:
    """A folder that stands for a board's file system, and the calls that reached it."""

    def __init__(self, folder: Path):
        self.home, self._log, self.bin = folder / "board", folder / "calls.jsonl", folder / "bin"
        there = folder / "there"
        for made in (self.home, self.bin, there):
            made.mkdir()
        text = SSH.format(python=sys.executable, calls=str(self._log), board=str(self.home), there=str(there))
        for path, body in ((self.bin / "ssh", text), (self.bin / "scp", text), (there / "python3", PYTHON)):
            path.write_text(body)
            path.chmod(0o755)

    def calls(self) -> list[list[str]]:
        """Return how ssh and scp were called."""
        return [json.loads(line) for line in self._log.read_text().splitlines()] if self._log.exists() else []

    def files(self) -> set[str]:
        """Return what is there."""
        return {str(path.relative_to(self.home)) for path in self.home.rglob("*") if path.is_file()}


@pytest.fixture
def board(tmp_path, monkeypatch):
    board = Board(tmp_path)
    monkeypatch.setenv("PATH", f"{board.bin}:/usr/bin:/bin")
    return board


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return program_file(tmp_path_factory.mktemp("program"))


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "joulegrad-board.zip"
    path.write_bytes(b"an archive")
    return path


def made_bitstream(folder: Path, config_name: str) -> Path:
    """Make a folder as joulegrad bitstream leaves it."""
    folder.mkdir(parents=True)
    config = load_config(config_name)
    files = {"system.bit": b"bits", "system.hwh": b"<xml/>"}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    manifest = {
        "schema": 1, "board": "pynq-z2", "part": "xc7z020clg400-1", "clk_hz": 100e6, "commit": "c", "control": {"base": 0},
        "tool": "vivado", "design_sha256": "0", "inputs_sha256": "0", "facts": {}, "memory": {"base": 0, "bytes": 1},
        "configuration": {"name": config_name, "hash": f"{config.config_hash:08x}"},
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def deploy(*arguments) -> tuple[int, dict, str]:
    done = CliRunner().invoke(app, ["deploy", *map(str, arguments), "--json"])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, json.loads(done.stdout), done.stderr


def refused(outcome, *words: str) -> None:
    code, data, err = outcome
    assert code != 0 and "Traceback" not in err
    for word in words:
        assert word in data["error"], data["error"]


def test_package_program_and_bitstream_get_there_and_are_installed(board, program, archive, tmp_path):
    bitstream = made_bitstream(tmp_path / "build" / "pynq-z2-tiny", "tiny")
    code, data, err = deploy(HOST, program, "--bitstream", bitstream, "--package", archive)
    assert code == 0, err
    build = "joulegrad/build/pynq-z2-tiny"
    assert board.files() == {
        "joulegrad/joulegrad-board.zip", "joulegrad/small.jg", f"{build}/system.bit", f"{build}/system.hwh",
        f"{build}/manifest.json",
    }  # fmt: skip
    assert (board.home / "joulegrad" / "small.jg").read_bytes() == program.read_bytes()
    assert data["installed"] == "installed joulegrad-board.zip --to . in joulegrad"
    assert data["run"] == 'ssh -t xilinx@pynq "cd joulegrad && sudo bin/joulegrad bench small.jg --board pynq"'
    assert (data["host"], data["folder"], data["program"], data["bitstream"]) == (
        HOST, "joulegrad", "small.jg", "build/pynq-z2-tiny",
    )  # fmt: skip
    calls = board.calls()
    assert [call[0] for call in calls] == ["ssh", "scp", "scp", "ssh", "ssh"] and calls[-1][-4:] == ["-O", "exit", "--", HOST]
    assert all("--" in call and call[call.index("--") + 1 :] for call in calls)
    assert len({option for call in calls for option in call if option.startswith("ControlPath=")}) == 1


def test_the_package_is_made_where_none_is_named(board, program, monkeypatch):
    made = []
    monkeypatch.setattr("joulegrad.deploy.make_package", lambda path: made.append(path) or path.write_bytes(b"made"))
    code, data, err = deploy("pynq", "--to", "lab/joule-1")
    assert code == 0, err
    assert board.files() == {"lab/joule-1/joulegrad-board.zip"} and not made[0].exists()
    assert "PROGRAM.jg" in data["run"] and data["program"] is None and data["bitstream"] is None


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("unreachable", ("board xilinx@pynq cannot be reached by ssh", "No route to host")),
        ("full", ("copying joulegrad-board.zip, small.jg there", "No space left")),
        ("old", ("exit code 1", "this Python is 3.8, but 3.10 or newer is needed")),
    ],
)
def test_what_fails_on_the_way_or_there_is_one_sentence(board, program, archive, monkeypatch, mode, words):
    monkeypatch.setenv("SSH_STAND_IN", mode)
    refused(deploy(HOST, program, "--package", archive), *words)


@pytest.mark.parametrize("missing", ["ssh", "scp"])
def test_a_missing_tool_is_one_sentence(board, archive, monkeypatch, missing):
    (board.bin / missing).unlink()
    monkeypatch.setenv("PATH", str(board.bin))
    refused(deploy(HOST, "--package", archive), f"deploy needs {missing}, which is not on PATH")
    assert not board.calls()


def test_a_bitstream_of_another_configuration_is_refused_before_anything_is_sent(board, program, archive, tmp_path):
    other = made_bitstream(tmp_path / "build" / "pynq-z2-z7020", "z7020")
    refused(deploy(HOST, program, "--bitstream", other, "--package", archive), "configuration z7020", "asked for is tiny")
    damaged = made_bitstream(tmp_path / "build" / "pynq-z2-tiny", "tiny")
    (damaged / "system.bit").write_bytes(b"bit")
    refused(deploy(HOST, program, "--bitstream", damaged, "--package", archive), "system.bit")
    refused(deploy(HOST, "--bitstream", tmp_path / "none", "--package", archive), "holds no bitstream")
    (tmp_path / "bad.jg").write_text("no program")
    refused(deploy(HOST, tmp_path / "bad.jg", "--package", archive), "bad.jg")
    refused(deploy(HOST, tmp_path / "none.jg", "--package", archive), "none.jg")
    assert not board.calls()


@pytest.mark.parametrize(
    "host", ["-oProxyCommand=touch x", "a b", "pynq;reboot", "$(reboot)", "u@-oX", "@pynq", "", "pynq/x", "a@b@c", "fe80::1"]
)
def test_a_host_that_ssh_would_take_for_something_else_is_refused(board, archive, host):
    with pytest.raises(SettingError, match="is no name of a host"):
        DeploySettings(host)
    assert not board.calls()


@pytest.mark.parametrize("to", ["/etc", "../x", "a/../../b", "a b", "$HOME", "~", "a;b", "", "-x", "a//b"])
def test_a_folder_that_the_boards_shell_would_change_is_refused(to):
    with pytest.raises(SettingError, match="--to"):
        DeploySettings(HOST, to=to)


def test_hosts_and_folders_that_are_meant(tmp_path):
    for host in ("pynq", "xilinx@192.168.2.99", "board-7.lab", "u_1.x@pynq"):
        for to in ("joulegrad", "lab/joule-1", ".joule+2"):
            settings = DeploySettings(host, to=to)
            assert shlex.quote(settings.to) == settings.to
    bad = tmp_path / "a b.jg"
    bad.write_text("x")
    with pytest.raises(SettingError, match="cannot be a name on the board"):
        DeploySettings("pynq", bad)


def test_a_folder_with_a_colon_is_no_host(board, program, archive, tmp_path, monkeypatch):
    (tmp_path / "evening:1").mkdir()
    (tmp_path / "evening:1" / "digits.jg").write_bytes(program.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert deploy(HOST, "evening:1/digits.jg", "--package", archive)[0] == 0
    sent = next(words[words.index("--") + 1 : -1] for words in board.calls() if words[0] == "scp")
    assert all(path.startswith("/") for path in sent) and "joulegrad/digits.jg" in board.files()


def test_the_name_that_the_board_reads_is_that_of_a_link(archive, tmp_path):
    link = tmp_path / "x; reboot"
    link.symlink_to(archive)
    with pytest.raises(SettingError, match="cannot be a name on the board"):
        DeploySettings(HOST, package=link)
