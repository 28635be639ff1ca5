"""Which software made a run: commit, versions, machine."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
COMMIT_FILE = "host/commit.txt"
"""Where the board package notes the commit that it was made from; a checkout has none."""


def commit() -> str:
    """Return the commit of this software, with "+changes" where files differ from it; "unknown" where nothing says it."""
    noted = ROOT / COMMIT_FILE
    if noted.is_file():
        return noted.read_text(encoding="utf-8").strip()
    try:
        head = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return f"{head}+changes" if changed else head


def versions() -> dict[str, str]:
    """Return versions of Python, numpy, the machine; and of torch where the run has loaded it, with the loops that it used."""
    found = {"python": platform.python_version(), "numpy": np.__version__, "machine": f"{platform.system()} {platform.machine()}"}
    torch = sys.modules.get("torch")
    if torch is not None:
        found["torch"] = str(torch.__version__)
    compiled = sys.modules.get("algo.compiled")
    if compiled is not None and compiled.loops():
        found["loops"] = compiled.loops()
    return found


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()
