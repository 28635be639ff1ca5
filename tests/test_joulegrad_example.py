"""The README's program for a network of one's own runs as it stands, and the names to import are there, lazily."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import joulegrad

ROOT = Path(__file__).parents[1]


def test_the_readme_example_trains_bit_exactly_on_the_simulated_board():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    *iterations, evaluation = done.stdout.splitlines()
    assert [tuple(map(int, line.split()[:2])) for line in iterations] == [(0, 6), (1, 2), (2, 6), (3, 2)]
    assert all(0 < float(line.split()[2]) < 5 and int(line.split()[3]) > 10_000 for line in iterations)
    assert re.fullmatch(r"Evaluation\(loss=[0-9.]+, correct=\d, images=8\)", evaluation)


@pytest.mark.parametrize("name", joulegrad.__all__)
def test_names_to_import_are_what_they_say(name):
    found = getattr(joulegrad, name)
    assert found.__name__ == name and found.__module__ == joulegrad.NAMES[name] and found.__doc__
    assert name in dir(joulegrad)


def test_importing_joulegrad_is_light():
    code = "import sys, joulegrad\nsys.exit(sorted({'torch', 'numpy', 'typer'} & set(sys.modules)) != [])"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_an_unknown_name_is_refused():
    with pytest.raises(ImportError):
        from joulegrad import nothing_of_that_name  # noqa: F401
