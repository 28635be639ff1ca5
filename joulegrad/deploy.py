"""`joulegrad deploy`: the board package, a program and a bitstream to a board over ssh, installed there.

ssh and scp are started with lists of words, never through a shell of this machine; what the board's shell reads is made of names
that DeploySettings has let through. One connection serves all steps, so that a password is asked for once.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from host.board import BoardError
from host.packed_program import PackedProgram, read_packed
from host.pynq_bitstream import find
from hw.bitstream import MANIFEST
from joulegrad.cli_package import PACKAGE
from joulegrad.package import make_package
from joulegrad.screen import Screen
from joulegrad.settings import SettingError

UNREACHED = 255
"""What ssh ends with where it did not get through; anything else is what the command on the board ended with."""

CONNECT_S = 10


HOST = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9_][A-Za-z0-9_.-]*")
NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.+-]*")


@dataclass(frozen=True)
class DeploySettings:
    """What goes to which board.

    Attributes:
        host: as ssh knows it, with a user in front of an @ or without.
        program, bitstream: PROGRAM.jg, and folder of a bitstream; None for none.
        to: folder on the board, below the user's own.
        package: archive of the board package; None to make one.
    """

    host: str
    program: Path | None = None
    bitstream: Path | None = None
    to: str = "joulegrad"
    package: Path | None = None

    def __post_init__(self):
        if not HOST.fullmatch(self.host):
            raise SettingError(f"{self.host!r} is no name of a host: it is like pynq or xilinx@192.168.2.99")
        if not all(NAME.fullmatch(part) for part in self.to.split("/")) or ".." in self.to.split("/"):
            raise SettingError(f"--to {self.to!r}: it is a folder below the user's own, of letters, digits, and . _ + -")
        for path in (self.program, self.package):
            if path is not None and not path.is_file():
                raise SettingError(f"{path} is no file that could be copied to the board")
        for path in (self.program, self.package, self.bitstream and self.bitstream.resolve()):
            if path is not None and not NAME.fullmatch(path.name):
                raise SettingError(f"{path.name!r} cannot be a name on the board: it is of letters, digits, and . _ + -")


class DeployError(RuntimeError):
    """The board was not reached, or something failed there; the message says what."""


class Remote:
    """A board at the end of ssh.

    Args:
        host: as ssh knows it.
        control: folder for the connection that all commands share.
    """

    def __init__(self, host: str, control: Path):
        self.host = host
        self._options = [
            "-o", f"ConnectTimeout={CONNECT_S}", "-o", "ServerAliveInterval=15", "-o", "ControlMaster=auto",
            "-o", f"ControlPath={control}/%C", "-o", "ControlPersist=60",
        ]  # fmt: skip

    def run(self, command: str) -> str:
        """Run a command in the board's shell and return its output. Raises DeployError."""
        return self._call(["ssh", *self._options, "--", self.host, command], f"running '{command}' there")

    def copy(self, paths: list[Path], folder: str) -> None:
        """Copy files into a folder of the board. Raises DeployError."""
        names = ", ".join(path.name for path in paths)
        here = [str(path.absolute()) for path in paths]  # scp takes what stands before a colon for a host, unless behind a slash
        self._call(["scp", "-q", *self._options, "--", *here, f"{self.host}:{folder}/"], f"copying {names} there")

    def close(self) -> None:
        """End the shared connection, if there is one."""
        with contextlib.suppress(OSError):
            subprocess.run(["ssh", *self._options, "-O", "exit", "--", self.host], capture_output=True)

    def _call(self, command: list[str], what: str) -> str:
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        except OSError as error:
            raise DeployError(f"{command[0]} cannot be started: {error.strerror or error}") from None
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()] or ["nothing"]
            if done.returncode == UNREACHED or command[0] == "scp" and "lost connection" in done.stderr.lower():
                raise DeployError(f"board {self.host} cannot be reached by ssh; it said: {lines[-1].strip()}")
            raise DeployError(f"{what} ({self.host}) failed with exit code {done.returncode}: {lines[-1].strip()}")
        return done.stdout


def run_deploy(settings: DeploySettings, screen: Screen) -> dict:
    """Copy and install, and return what is where, as JSON data.

    Raises:
        SettingError: ssh or scp are missing, or what is to be copied is not there.
        ProgramError, BoardError: a damaged program, or a bitstream that is damaged or of another configuration.
        PackageError, DeployError: the package cannot be made; the board not be reached, or the installation failed there.
    """
    for tool in ("ssh", "scp"):
        if shutil.which(tool) is None:
            raise SettingError(f"deploy needs {tool}, which is not on PATH: install OpenSSH's client, or copy by hand")
    packed = read_packed(settings.program) if settings.program else None
    files = _bitstream_files(settings.bitstream, packed) if settings.bitstream else []
    with _archive(settings, screen) as archive, tempfile.TemporaryDirectory(prefix="joulegrad-") as control:
        remote = Remote(settings.host, Path(control))
        try:
            _copy(remote, settings, archive, files, screen)
            screen.say(f"installing on {settings.host}")
            said = remote.run(f"cd {settings.to} && python3 {archive.name} --to .").strip()
        finally:
            remote.close()
    screen.say(said)
    return {
        "schema": 1, "host": settings.host, "folder": settings.to, "package": archive.name,
        "program": settings.program.name if settings.program else None,
        "bitstream": _build_folder(settings.bitstream) if settings.bitstream else None,
        "installed": said, "run": command_line(settings),
    }  # fmt: skip


def command_line(settings: DeploySettings) -> str:
    """Return what starts a run on the board; PYNQ's driver needs the rights of the superuser."""
    program = settings.program.name if settings.program else "PROGRAM.jg"
    return f'ssh -t {settings.host} "cd {settings.to} && sudo bin/joulegrad bench {program} --board pynq"'


def _copy(remote: Remote, settings: DeploySettings, archive: Path, files: list[Path], screen: Screen) -> None:
    folders = [settings.to, *([f"{settings.to}/{_build_folder(settings.bitstream)}"] if files else [])]
    screen.say(f"copying to {settings.host}")
    remote.run(f"mkdir -p {' '.join(folders)}")
    remote.copy([archive, *([settings.program] if settings.program else [])], settings.to)
    if files:
        remote.copy(files, folders[1])


def _bitstream_files(folder: Path, packed: PackedProgram | None) -> list[Path]:
    """Return the files of a bitstream, whole and of the program's configuration."""
    if packed is not None:
        found = find(str(folder), packed.config, "")
        names = {found.path.name, MANIFEST, *found.manifest["files"]}
    else:
        names = {path.name for path in folder.iterdir() if path.suffix in (".bit", ".hwh", ".json")} if folder.is_dir() else set()
    files = [folder / name for name in sorted(names) if Path(name).suffix in (".bit", ".hwh", ".json")]
    if not any(path.suffix == ".bit" for path in files) or folder / MANIFEST not in files:
        raise BoardError(f"{folder} holds no bitstream with its {MANIFEST}: make one with joulegrad bitstream")
    return files


def _build_folder(bitstream: Path) -> str:
    """Return where the board's driver looks for a bitstream, below the folder that a run starts in."""
    return f"build/{bitstream.resolve().name}"


@contextlib.contextmanager
def _archive(settings: DeploySettings, screen: Screen) -> Iterator[Path]:
    """Give the board package: the one that is named, or one made now."""
    if settings.package is not None:
        yield settings.package
        return
    with tempfile.TemporaryDirectory(prefix="joulegrad-") as folder:
        screen.say("making the board package")
        path = Path(folder) / PACKAGE
        make_package(path)
        yield path
