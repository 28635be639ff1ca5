"""Nothing is written into the folder of installed packages; a checkout has its own folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from algo.build_folder import build_folder
from hw import verilator

SITE = Path("/usr/lib/python3/dist-packages")


@pytest.mark.parametrize(
    ("root", "environment", "folder"),
    [
        (Path("/src/joulegrad"), {"HOME": "/users/a"}, "/src/joulegrad/build"),
        (SITE, {"HOME": "/users/a"}, "/users/a/.cache/joulegrad"),
        (SITE, {"HOME": "/users/a", "XDG_CACHE_HOME": "/var/tmp/a"}, "/var/tmp/a/joulegrad"),
        (SITE, {"HOME": "/users/a", "XDG_CACHE_HOME": "relative"}, "/users/a/.cache/joulegrad"),
        (Path("/venv/lib/python3.12/site-packages"), {"HOME": "/users/a"}, "/users/a/.cache/joulegrad"),
    ],
)
def test_where_builds_are_kept(root, environment, folder):
    assert str(build_folder(root, environment)) == folder


def test_a_checkouts_builds_are_in_it():
    assert Path(__file__).parents[1] / "build" == verilator.BUILD
