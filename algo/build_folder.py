"""Where what is compiled at its first use is kept: `build` of a checkout, a user's cache for an installed package. No torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

INSTALLED = ("site-packages", "dist-packages")
"""Folders of packages that pip or a distribution installed: not to be written into, and "build" is the name of another one."""


def build_folder(root: Path, environment: Mapping[str, str]) -> Path:
    """Return the folder.

    Args:
        root: that holds the packages of this project.
        environment: variables of the process; XDG_CACHE_HOME takes the place of ~/.cache where it is an absolute path, as the XDG
            Base Directory Specification has it.
    """
    if root.name not in INSTALLED:
        return root / "build"
    cache = Path(environment.get("XDG_CACHE_HOME", ""))
    return (cache if cache.is_absolute() else Path(environment.get("HOME", "~")).expanduser() / ".cache") / "joulegrad"


BUILD = build_folder(Path(__file__).parents[1], os.environ)
