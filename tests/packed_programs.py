"""A PROGRAM.jg that several tests share: a small network on a few random images, trained in no time."""

from __future__ import annotations

import json
from pathlib import Path

from host.packed_program import PackedProgram, write_packed
from joulegrad.packing import asked

RECIPE = {
    "schema": 1, "name": "small", "says": "random images, few channels: the way is tested, not what is learned",
    "model": {"kind": "cifar_resnet", "depth": 8, "width": 4, "classes": 4, "channels": 1},
    "data": {"kind": "random", "shape": [1, 4, 4], "train": 16, "test": 2, "classes": 4},
    "batch": 2, "steps": 3, "sgd": {"lr": "1/10", "momentum": "9/10"},
}  # fmt: skip


def recipe_file(folder: Path) -> Path:
    """Return the path of the recipe, written into a folder."""
    path = folder / "small.json"
    path.write_text(json.dumps(RECIPE))
    return path


def packed_program(folder: Path, config: str = "tiny", steps: int = 3) -> PackedProgram:
    """Return the program with its data."""
    return asked(str(recipe_file(folder)), config, steps=steps).pack()


def program_file(folder: Path, config: str = "tiny", steps: int = 3) -> Path:
    """Return the path of the program, written into a folder."""
    path = folder / "small.jg"
    write_packed(packed_program(folder, config, steps), path)
    return path
