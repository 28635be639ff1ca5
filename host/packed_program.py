"""PROGRAM.jg: all that a board needs to train, in one file: the program, the images and the recipe.

It is a program file (hw/program.py) with these members beside the program's own:

    packed.json                     schema, recipe, method, seed, configuration, images' exponent, who made it, hashes of members
    data/train.npy, test.npy        int8 images (n, c, h, w)
    data/train_labels.npy, ...      int64 (n,)

No pickles; nothing is read that is larger than it says or may be.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from algo.data import Images
from algo.policies.decision import MethodError
from algo.policies.method import PLAIN, Course, Method
from algo.recipe import Recipe
from host.rehearsal import rehearse
from hw.config import Config
from hw.program import (
    MANIFEST_MAX,
    MEMBER_MAX,
    Program,
    ProgramError,
    add_member,
    array_bytes,
    array_header,
    check_unpacked,
    load_array,
    opened,
    read_member,
    read_program,
    write_program,
)

SUFFIX = ".jg"
PACKED = "packed.json"
SCHEMA = 1
PARTS = {"train": (4, np.int8), "train_labels": (1, np.int64), "test": (4, np.int8), "test_labels": (1, np.int64)}
"""Name of an array of Images to its number of dimensions and its type."""


@dataclass(frozen=True)
class PackedProgram:
    """A compiled program with its data and settings.

    Attributes:
        program: with a step and the state to start from.
        config: that it is compiled for.
        recipe: what the run is; `recipe.batches(images, seed)` draws the mini-batches.
        seed: of weights, noise and the order of the images.
        images: to train on and to test with.
        made: commit and versions that made it.
        method: name of the training method; the recipe has its settings.
    """

    program: Program
    config: Config
    recipe: Recipe
    seed: int
    images: Images
    made: dict
    method: str = PLAIN

    def __post_init__(self):
        program, config = self.program, self.config
        if program.step is None or program.state is None:
            raise ProgramError("the program holds no training step with its state, so nothing can be trained: export a recipe")
        if program.config_hash != config.config_hash or program.config_name != config.name:
            raise ProgramError(
                f"the program is compiled for configuration {program.config_name} ({program.config_hash:#010x}), but comes with "
                f"{config.name} ({config.config_hash:#010x}): export it again"
            )
        fold = program.step.fold
        shape = tuple(fold.image_shape if fold else program.memory[program.step.input].shape[1:])
        for name in ("train", "test"):
            images, labels = getattr(self.images, name), getattr(self.images, f"{name}_labels")
            if images.shape[1:] != shape or len(images) != len(labels) or not len(images):
                raise ProgramError(
                    f"the program takes images {shape} with a label each, but comes with {name} images {images.shape} and "
                    f"{len(labels)} labels: export it again"
                )
            if labels.min() < 0 or labels.max() >= self.images.classes:
                raise ProgramError(f"the {name} labels are not all from 0 to {self.images.classes - 1}: export it again")

    @property
    def iterations(self) -> int:
        """Drawn iterations of the run."""
        return self.recipe.iterations(self.images)

    def course(self) -> Course:
        """Return the method's course over the run, at its start. Raises MethodError where it does not fit run or network."""
        per_epoch = self.recipe.batches(self.images, self.seed).per_epoch
        return Method.from_settings(self.method, self.recipe.methods).begin(
            self.seed, self.iterations, per_epoch, self.program.step.gated_blocks
        )


def write_packed(packed: PackedProgram, path: Path) -> None:
    """Write the file whole or not at all; one that is there is replaced.

    Raises:
        OSError: it cannot be written.
        ProgramError: it would be larger than what is read.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_program(packed.program, partial)
        with zipfile.ZipFile(partial, "a", zipfile.ZIP_DEFLATED) as archive:
            for name in PARTS:
                add_member(archive, _member_of(name), array_bytes(getattr(packed.images, name)))
            add_member(archive, PACKED, json.dumps(_said(packed, archive), sort_keys=True).encode())
            check_unpacked(archive, path)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_packed(path: Path) -> PackedProgram:
    """Return what a file holds.

    Raises:
        ProgramError: no such file, no PROGRAM.jg, damaged, of another version, inconsistent, or one that no run can begin with.
    """
    path = Path(path)
    program = read_program(path)
    with opened(path) as archive:
        said = _checked(archive, path)
        arrays = {name: _array(archive, path, name) for name in PARTS}
        about = {"exponent": _whole(said["exponent"]), "classes": _whole(said["classes"]), "name": str(said.get("data", ""))}
        images = Images(**arrays, **about)
        config = Config(**said["config"])
        try:
            packed = PackedProgram(
                program, config, Recipe.from_json(said["recipe"]), _whole(said["seed"]), images, dict(said["made"]),
                str(said.get("method", PLAIN)),
            )
            rehearse(packed)
        except (ProgramError, MethodError) as error:
            raise ProgramError(f"{path}: {error}") from None
        return packed


def digest(path: Path) -> str:
    """Return the hash of a written file's content, the same wherever and whenever it was packed. Raises ProgramError."""
    with opened(path) as archive:
        return hashlib.sha256(read_member(archive, path, PACKED, MANIFEST_MAX)).hexdigest()


def _said(packed: PackedProgram, archive: zipfile.ZipFile) -> dict:
    return {
        "schema": SCHEMA, "recipe": packed.recipe.to_json(), "seed": packed.seed, "config": dataclasses.asdict(packed.config),
        "exponent": packed.images.exponent, "classes": packed.images.classes, "data": packed.images.name,
        "made": packed.made, "method": packed.method,
        "sha256": {name: _sha256(archive, name) for name in archive.namelist()},
    }  # fmt: skip


def _checked(archive: zipfile.ZipFile, path: Path) -> dict:
    """Return packed.json, after all members have shown their hashes."""
    if PACKED not in archive.namelist():
        raise ProgramError(f"{path} is a program without data: make one that a board can train with joulegrad export")
    said = json.loads(read_member(archive, path, PACKED, MANIFEST_MAX))
    if not isinstance(said, dict) or said.get("schema") != SCHEMA:
        raise ProgramError(f"{path} is no PROGRAM.jg of schema {SCHEMA}: export it again with this version")
    names = archive.namelist()
    if sorted(names) != sorted([*said["sha256"], PACKED]):
        raise ProgramError(f"{path} does not hold the members that it says it holds: export it again")
    for name, expected in said["sha256"].items():
        if archive.getinfo(name).file_size > MEMBER_MAX or _sha256(archive, name) != expected:
            raise ProgramError(f"{path} is damaged: {name} is not what was packed; copy or export it again")
    return said


def _sha256(archive: zipfile.ZipFile, name: str) -> str:
    found = hashlib.sha256()
    with archive.open(name) as stream:
        while part := stream.read(1 << 20):
            found.update(part)
    return found.hexdigest()


def _array(archive: zipfile.ZipFile, path: Path, name: str) -> np.ndarray:
    dimensions, dtype = PARTS[name]
    data = read_member(archive, path, _member_of(name), MEMBER_MAX)
    shape, found = array_header(data, path, name)
    if len(shape) != dimensions or found != dtype:
        raise ProgramError(f"{path}: {_member_of(name)} is {found} {shape}, not {np.dtype(dtype)} of {dimensions} dimensions")
    return load_array(data, shape, found, path, name)


def _member_of(name: str) -> str:
    return f"data/{name}.npy"


def _whole(value) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} is not an integer")
    return value
