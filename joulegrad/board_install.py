"""Installs the board package: runs on the board, from inside the archive, with what Python brings and nothing else.

    python3 joulegrad-board.zip [--to FOLDER]

Makes FOLDER/venv, a virtual environment that sees what the Python that runs this sees (the board's numpy and pynq), unpacks the
wheels into it, in front of all that, and leaves FOLDER/bin/joulegrad. Neither pip nor a network is needed. On PYNQ images the
Python of PYNQ's own environment is taken. An earlier installation in FOLDER is replaced; what is beside it stays.
"""

from __future__ import annotations

import argparse
import compileall
import importlib.util
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

PYNQ_PYTHON = Path("/usr/local/share/pynq-venv/bin/python3")
XRT = "/etc/profile.d/xrt_setup.sh"
MARKER = "joulegrad-board.json"
WHEELS = "wheels/"
OLDEST_NUMPY = (1, 21)

LAUNCHER = """#!/bin/sh
# What login shells get on a PYNQ image, and sudo does not.
if [ -z "$XILINX_XRT" ] && [ -r {xrt} ]; then . {xrt}; fi
exec {python} -m joulegrad.cli "$@"
"""

CHECK = """
import importlib.metadata as m, json, numpy, serial, joulegrad.cli
print(json.dumps({"numpy": numpy.__version__, "joulegrad": m.version("joulegrad")}))
"""


class InstallError(RuntimeError):
    """The package cannot be installed here; one sentence says why."""


def install(archive: Path, to: Path) -> dict:
    """Install an archive's wheels below a folder and return what is there.

    Raises:
        InstallError: no numpy, something else is in the way, or what was installed does not run.
        OSError: the folder cannot be written.
    """
    _check_numpy()
    target = to / "venv"
    if target.exists() and not (target / MARKER).is_file():
        raise InstallError(f"{target} is there and was not made by this package: name another folder with --to")
    partial = to / "venv.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        packages = _unpacked(archive, partial)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    launcher = _launcher(to, target / "bin" / "python")
    done = subprocess.run([str(target / "bin" / "python"), "-c", CHECK], capture_output=True, text=True, cwd=to)
    if done.returncode:
        said = (done.stderr.strip() or "nothing").splitlines()[-1]
        raise InstallError(f"what was installed in {target} does not run with {sys.executable}: {said}")
    return {"launcher": str(launcher), "packages": packages, "python": sys.version.split()[0], **json.loads(done.stdout)}


def _check_numpy() -> None:
    """Raise InstallError where this Python has no numpy, or one that is too old."""
    try:
        import numpy
    except ImportError:
        raise InstallError(
            f"{sys.executable} has no numpy, which is compiled for each processor and so not carried: use a Python with it, "
            "or install the system's package python3-numpy"
        ) from None
    if tuple(int(part) for part in numpy.__version__.split(".")[:2]) < OLDEST_NUMPY:
        oldest = ".".join(map(str, OLDEST_NUMPY))
        raise InstallError(f"{sys.executable} has numpy {numpy.__version__}: {oldest} or newer is needed")


def _unpacked(archive: Path, folder: Path) -> list[str]:
    """Make the environment and return the wheels that went into it."""
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    packages = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    names = []
    with zipfile.ZipFile(archive) as outer:
        for name in sorted(name for name in outer.namelist() if name.startswith(WHEELS) and name.endswith(".whl")):
            with zipfile.ZipFile(io.BytesIO(outer.read(name))) as wheel:
                wheel.extractall(packages)
            names.append(name[len(WHEELS) :])
    # --system-site-packages would show the system's packages, but not those of an environment that this runs in, as PYNQ's is.
    seen = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages") and os.path.isdir(path)]
    lines = [f"import site; site.addsitedir({path!r})\n" for path in seen]
    (packages / "the-boards-own.pth").write_text("".join(lines), encoding="utf-8")
    (folder / MARKER).write_text(json.dumps({"wheels": names}) + "\n", encoding="utf-8")
    compileall.compile_dir(packages, quiet=2)
    return names


def _launcher(to: Path, python: Path) -> Path:
    path = to / "bin" / "joulegrad"
    path.parent.mkdir(exist_ok=True)
    path.write_text(LAUNCHER.format(python=shlex.quote(str(python)), xrt=XRT), encoding="utf-8")
    path.chmod(0o755)
    return path


def _as_pynq(archive: Path, arguments: list[str]) -> None:
    """Go on in PYNQ's own Python where this one does not see pynq and there is such a Python."""
    if importlib.util.find_spec("pynq") is None and PYNQ_PYTHON.exists() and Path(sys.executable) != PYNQ_PYTHON:
        os.execv(str(PYNQ_PYTHON), [str(PYNQ_PYTHON), str(archive), *arguments])


def main(arguments: list[str] | None = None, archive: Path | None = None) -> int:
    """Run the installation and return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    archive = Path(sys.argv[0] if archive is None else archive).resolve()
    parser = argparse.ArgumentParser(prog=f"python3 {archive.name}", description=__doc__.split("\n")[0])
    parser.add_argument("--to", type=Path, default=Path.home() / "joulegrad", help="folder to install into")
    options = parser.parse_args(arguments)
    _as_pynq(archive, arguments)
    try:
        options.to.mkdir(parents=True, exist_ok=True)
        done = install(archive, options.to.resolve())
    except (InstallError, zipfile.BadZipFile) as error:
        print(f"joulegrad: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"joulegrad: {options.to} cannot be written: {error.strerror or error}", file=sys.stderr)
        return 1
    print(f"joulegrad {done['joulegrad']} with Python {done['python']} and numpy {done['numpy']}: {done['launcher']}")
    return 0
