"""The run folder: what a run was, iteration by iteration, readable at any moment and after any crash.

`run.json` is replaced as a whole, atomically, every few iterations; `iterations.jsonl` only ever grows by
whole lines, so that a crash costs at most its last line.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

SCHEMA = 1
RECORD = "run.json"
ITERATIONS = "iterations.jsonl"
STATUSES = ("running", "finished", "aborted", "failed")
RUNS = Path("runs")


def became(record: dict) -> str:
    """Return what a run's record says has become of it, in words: that of a run that was killed outright still says "running"."""
    status = str(record.get("status", "without a status"))
    return "running, or was killed" if status == "running" else status


class RunFolderError(RuntimeError):
    """The run folder cannot be made, written or read; the message says which and why."""


def new_run_dir(name: str, now: time.struct_time | None = None) -> Path:
    """Return the path of a run folder that is not there yet: runs/<name>-<date>-<time>, numbered if need be."""
    name = re.sub(r"[^\w.+=-]", "-", name)
    first = RUNS / f"{name}-{time.strftime('%Y%m%d-%H%M%S', now or time.localtime())}"
    numbered = (first.with_name(f"{first.name}.{number}") for number in itertools.count(2))
    return next(path for path in itertools.chain([first], numbered) if not path.exists())


def check_vacant(path: Path) -> None:
    """Make nothing, but see before the work whether a run's folder can be made.

    Raises:
        RunFolderError: something is there already, or nothing can be written there.
    """
    try:
        if path.exists() and any(path.iterdir()):
            raise RunFolderError(f"the run folder {path} is not empty: a run is not overwritten, name another folder")
        place = next(place for place in (path, *path.absolute().parents) if place.exists())
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            raise RunFolderError(f"the run folder {path} cannot be written: {place} is no folder that may be written to")
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: Exception) -> RunFolderError:
    return RunFolderError(f"the run folder {path} cannot be written: {getattr(error, 'strerror', None) or error}")


class RunFolder:
    """A new run's folder. As a context manager it marks how the run ended.

    Leaving the block without an exception marks the run finished; a KeyboardInterrupt marks it aborted,
    anything else failed, with the message.

    Attributes:
        path: the folder.
        record: what run.json holds.
    """

    def __init__(self, path: Path | str, record: dict, every: int = 5):
        """Make the folder and write run.json.

        Args:
            path: must not exist, or be an empty folder: a run is never overwritten.
            record: JSON data that is known from the start: commit, configuration and its hash, seeds, versions.
            every: iterations between two versions of run.json.

        Raises:
            RunFolderError: a run is there already, or the folder cannot be written.
        """
        self.path = Path(path)
        self._every = every
        self._iterations = 0
        check_vacant(self.path)
        self._made = [place for place in (self.path, *self.path.parents) if not place.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lines = open(self.path / ITERATIONS, "x", encoding="utf-8")
        except OSError as error:
            self._leave_place()
            raise _unwritable(self.path, error) from None
        self.record = {
            "schema": SCHEMA, "status": "running", "started_unix_s": time.time(), "ended_unix_s": None, **record,
            "iterations": 0, "loss": [],
        }  # fmt: skip
        try:
            self._write_record()
        except RunFolderError:
            self._vanish()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if self.record["status"] != "running":
            return
        if kind is None:
            self.end("finished")
            return
        with contextlib.suppress(RunFolderError):  # of a full disk, say: the exception that passes is what the user has to see
            if issubclass(kind, KeyboardInterrupt):
                self.end("aborted", reason="interrupted")
            else:
                self.end("failed", reason=f"{kind.__name__}: {error}")

    @contextlib.contextmanager
    def vanishing(self, trace: str) -> Iterator[None]:
        """Take the folder away again where an error leaves the block: nothing was measured yet that anyone would look for.

        It is for what opens sensors; where they have delivered there is a trace, and the folder stays and tells of it.

        Args:
            trace: file of the folder that holds what was measured.
        """
        try:
            yield
        except Exception:
            if not (self.path / trace).exists():
                self._vanish()
            raise

    def _vanish(self) -> None:
        """Remove what was written and every folder that was made for it; folders that were there, or are used, stay."""
        self.record["status"] = "failed"
        with contextlib.suppress(OSError):
            self._lines.close()
        with contextlib.suppress(OSError):  # what cannot be removed stays; the exception that passes is what the user has to see
            for path in self.path.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._leave_place()

    def _leave_place(self) -> None:
        """Remove the folders that were made for this one, from the innermost outwards, as far as they are empty."""
        with contextlib.suppress(OSError):
            for place in self._made:
                place.rmdir()

    def append(self, iteration: dict) -> None:
        """Add an iteration; its "loss", if there, also goes into run.json's list.

        Raises:
            RunFolderError: the folder cannot be written any more.
        """
        try:
            self._lines.write(_json(iteration) + "\n")
            self._lines.flush()
        except OSError as error:
            raise RunFolderError(f"{self.path / ITERATIONS} cannot be written: {error.strerror or error}") from None
        self._iterations += 1
        self.record["iterations"] = self._iterations
        if "loss" in iteration:
            self.record["loss"].append(iteration["loss"])
        if self._iterations % self._every == 0:
            self._write_record()

    def sync(self) -> None:
        """Bring all lines to the disk: a checkpoint that is written next is never ahead of them. Raises RunFolderError."""
        try:
            os.fsync(self._lines.fileno())
        except OSError as error:
            raise RunFolderError(f"{self.path / ITERATIONS} cannot be written: {error.strerror or error}") from None

    def update(self, **fields) -> None:
        """Set fields of run.json and write it."""
        self.record.update(fields)
        self._write_record()

    def end(self, status: str, **fields) -> None:
        """Write run.json for the last time with a status of STATUSES, and close the folder. Raises RunFolderError."""
        if status not in STATUSES:
            raise ValueError(f"a run ends with one of {STATUSES[1:]}, not {status!r}")
        with contextlib.suppress(OSError):  # what of a line could not be written, `append` has said already
            self._lines.close()
        self.update(status=status, ended_unix_s=time.time(), **fields)

    def _write_record(self) -> None:
        try:
            write_atomically(self.path / RECORD, _json(self.record, indent=1))
        except OSError as error:
            raise RunFolderError(f"{self.path / RECORD} cannot be written: {error.strerror or error}") from None


def read_record(path: Path | str) -> dict:
    """Return run.json of a run folder. Raises RunFolderError when it is no run folder."""
    file = Path(path) / RECORD
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunFolderError(f"{path} is not a run folder: {file} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{file} is not JSON: {error}") from None
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        found = record.get("schema") if isinstance(record, dict) else type(record).__name__
        raise RunFolderError(f"{file} has schema {found}, this software reads schema {SCHEMA}")
    return record


def read_iterations(path: Path | str) -> Iterator[dict]:
    """Yield the iterations of a run folder; a last line that a crash cut short is left out.

    Raises:
        RunFolderError: the file cannot be read, or a line other than the last is damaged.
    """
    file = Path(path) / ITERATIONS
    try:
        content = file.read_bytes()
    except OSError as error:
        raise RunFolderError(f"{file} cannot be read: {error.strerror or error}") from None
    lines = content.split(b"\n")
    for number, line in enumerate(lines[:-1], 1):  # what follows the last line feed was cut short
        try:
            yield json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError):
            raise RunFolderError(f"line {number} of {file} is damaged") from None


def write_atomically(path: Path, text: str) -> None:
    """Replace a file by `text` so that a reader, and a crash, sees the old or the new one. Raises OSError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(partial, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _json(data, **options) -> str:
    return json.dumps(data, default=_plain, **options)


def _plain(value):
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} does not go into a run folder")
