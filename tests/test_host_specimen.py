"""What the simulated board keeps to itself stays there: no way of imports leads to it, and no record holds it."""

from __future__ import annotations

import ast
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("algo", "hw", "host", "measurements", "joulegrad")
HIDDEN = {"host.specimen", "host.virtual_rails", "host.sensor_sim", "host.virtual_run"}
MEASUREMENTS = sorted((ROOT / "measurements").glob("*.py"))


def modules_of(path: Path) -> set[str]:
    """Return the project's modules that a file imports anywhere, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.split(".")[0] in FOLDERS and file_of(name).exists()}


def file_of(module: str) -> Path:
    return ROOT / (module.replace(".", "/") + ".py")


@pytest.mark.parametrize("path", MEASUREMENTS, ids=lambda path: path.name)
def test_no_way_of_imports_leads_from_measurements_to_the_hidden_values(path):
    ways, new = {f"measurements.{path.stem}": f"measurements.{path.stem}"}, [f"measurements.{path.stem}"]
    while new:
        module = new.pop()
        for name in modules_of(file_of(module)) - set(ways):
            ways[name] = f"{ways[module]} -> {name}"
            new.append(name)
    assert not [ways[name] for name in HIDDEN & set(ways)]


def test_measurements_do_not_name_the_hidden_modules_either():
    names = [name.split(".")[1] for name in HIDDEN]
    named = {path.name: [name for name in names if f"host.{name}" in path.read_text() or f'"{name}"' in path.read_text()]
             for path in MEASUREMENTS}  # fmt: skip
    assert not {file: found for file, found in named.items() if found}


def test_measurements_open_no_sensor_and_import_nothing_by_name():
    """A simulated sensor holds its own errors; what measures sees its readings in a trace only."""
    ways = ("open_sensor", "import_module", "__import__", "Sampler")
    assert not {path.name: way for path in MEASUREMENTS for way in ways if way in path.read_text()}


def test_all_of_measurements_runs_without_them():
    code = "import importlib, sys\n" + "".join(
        f"importlib.import_module('measurements.{path.stem}')\n" for path in MEASUREMENTS if path.stem != "__init__"
    ) + f"print(sorted(set(sys.modules) & {HIDDEN!r}))"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def values_of(character) -> dict[str, float]:
    """Return all hidden numbers of a specimen by name."""
    found = {}
    for name, value in dataclasses.asdict(character).items():
        found |= {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
    return found


def test_the_way_of_imports_is_found_where_there_is_one():
    assert "host.specimen" in modules_of(ROOT / "host" / "sensor_sim.py")
    assert "host.virtual_rails" in modules_of(ROOT / "host" / "virtual_run.py")
    from host import specimen

    assert len(values_of(specimen.board())) > 20
    json.dumps(values_of(specimen.board()))
