"""Where a training run stands, in one file of plain arrays: a run that goes on from it gives the same bits. No torch, no pickles.

    write_checkpoint(path, Checkpoint(about, state, tensors, course.state()))     replaces the one before, atomically
    read_checkpoint(path).check(about)                                            refuses another run's

A checkpoint records the version of the arithmetic, and one of another version is refused: what went on from it would be the run
of neither. Files of weights need none, they are only where a run starts.
"""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from algo.arithmetic import ARITHMETIC_VERSION
from algo.policies.checkpoint import packed, unpacked

SCHEMA = 1
_JSON, _TENSOR = "checkpoint.json", "tensor:"
_LARGEST_BYTES = 1 << 32
_BROKEN = (OSError, ValueError, EOFError, KeyError, TypeError, MemoryError, RuntimeError, zipfile.BadZipFile)
"""What a damaged file raises; RuntimeError of bits that say it is encrypted, or compressed as no file is."""


class CheckpointError(RuntimeError):
    """A checkpoint cannot be written or read, or is another run's; the message says which and what would be right."""


@dataclass(frozen=True)
class Checkpoint:
    """A run between two iterations.

    Attributes:
        about: JSON data that tells runs apart: recipe, seed, method and the like.
        state: what the run depends on besides tensors, as JSON data.
        tensors: by name.
        course: of algo.policies.method.Course.state.
    """

    about: dict
    state: dict
    tensors: dict[str, np.ndarray]
    course: dict

    def check(self, about: dict) -> None:
        """Raise CheckpointError, naming what differs, unless the checkpoint is of the run that `about` describes."""
        wanted = json.loads(json.dumps(about))
        for name in sorted(wanted.keys() | self.about.keys()):
            if wanted.get(name) != self.about.get(name):
                where, *values = _difference(name, self.about.get(name), wanted.get(name))
                found, asked = ("none" if value is None else value for value in values)
                raise CheckpointError(f"the checkpoint is of a run with {where} {found}, this run has {asked}: they must agree")


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint beside `path`, then put it there, so that a crash leaves the old or the new one.

    Raises:
        CheckpointError: it cannot be written.
    """
    course, arrays = packed(checkpoint.course)
    about = {"schema": SCHEMA, "arithmetic_version": ARITHMETIC_VERSION}
    about |= {"about": checkpoint.about, "state": checkpoint.state, "course": course}
    arrays |= {_TENSOR + name: value for name, value in checkpoint.tensors.items()}
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            np.savez(file, **{_JSON: text}, **arrays)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise CheckpointError(f"the checkpoint {path} cannot be written: {error.strerror or error}") from None


def read_checkpoint(path: Path) -> Checkpoint:
    """Return a checkpoint.

    Raises:
        CheckpointError: there is none, the file is damaged or something else, or it was computed with another arithmetic.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if size > _LARGEST_BYTES:
                raise CheckpointError(f"{path} unpacks to {size} bytes; up to {_LARGEST_BYTES} are read")
            damaged = archive.testzip()  # an array whose damaged header says that it is shorter is not read to its checksum
        if damaged is not None:
            raise CheckpointError(f"{path} cannot be read as a checkpoint (bad CRC-32 of {damaged})")
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        data = json.loads(bytes(arrays.pop(_JSON)))
        if data["schema"] != SCHEMA:
            raise CheckpointError(f"{path} has schema {data['schema']}, this software reads schema {SCHEMA}")
        _check_arithmetic(path, data)
        tensors = {name.removeprefix(_TENSOR): value for name, value in arrays.items() if name.startswith(_TENSOR)}
        return Checkpoint(dict(data["about"]), dict(data["state"]), tensors, unpacked(data["course"], arrays))
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint {path}: give a run folder, or its checkpoint.npz") from None
    except CheckpointError:
        raise
    except _BROKEN as error:
        raise CheckpointError(f"{path} cannot be read as a checkpoint ({' '.join(str(error).split())})") from None


def _check_arithmetic(path: Path, data: dict) -> None:
    found = data.get("arithmetic_version")
    if found == ARITHMETIC_VERSION:
        return
    written = "no arithmetic version, as those from before version 5" if found is None else f"arithmetic version {found}"
    raise CheckpointError(
        f"{path} has {written}, this software computes with version {ARITHMETIC_VERSION} and gives other bits: go on with the "
        "software that wrote it, or begin the run again"
    )


def _difference(name: str, found: object, asked: object) -> tuple[str, object, object]:
    """Return where two JSON values differ first, and both values there."""
    if isinstance(found, dict) and isinstance(asked, dict):
        for key in sorted(found.keys() | asked.keys()):
            if found.get(key) != asked.get(key):
                return _difference(f"{name} {key}", found.get(key), asked.get(key))
    return name, found, asked
