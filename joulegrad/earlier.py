"""What a run that goes on has behind it: the checkpoint of an earlier run, and the lines of the iterations before it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from algo.checkpoint import Checkpoint, CheckpointError, read_checkpoint
from algo.policies.method import Course
from algo.policies.swa import Swa
from algo.scaling import State
from host.run_folder import read_iterations

CHECKPOINT = "checkpoint.npz"

Sums = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Earlier:
    """A run that stopped.

    Attributes:
        folder: of the run.
        checkpoint: where it goes on from.
        lines: of the run folder, of the iterations that the checkpoint has behind it.
    """

    folder: Path
    checkpoint: Checkpoint
    lines: tuple[dict, ...]

    def state(self) -> State:
        """Return exponents, iteration and the like. Raises CheckpointError where the file holds none."""
        with self._damage():
            return State.from_json(self.checkpoint.state)

    def restore(self, course: Course, laid_out: Sums | None = None) -> None:
        """Bring a method's course to where the run stopped.

        Args:
            laid_out: turns averaged weights by name into what the executor adds to; None where that has names, too.

        Raises:
            CheckpointError: the file does not say.
        """
        with self._damage():
            course.restore(with_sums(self.checkpoint.course, laid_out) if laid_out else self.checkpoint.course)

    @contextlib.contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            found = f"the checkpoint in {self.folder} does not fit the run"
            raise CheckpointError(f"{found} ({type(error).__name__}: {error}): begin the run again") from None


def with_sums(course: dict, changed: Sums) -> dict:
    """Return the state of a course with the sums of its averaged weights changed; as it is where it averages nothing."""
    average = course["policies"].get(Swa.name)
    if average is None:
        return course
    return course | {"policies": course["policies"] | {Swa.name: average | {"sums": changed(average["sums"])}}}


def checkpoint_file(path: Path) -> Path:
    """Return the checkpoint of a run folder, or the file itself where it is one."""
    return path / CHECKPOINT if path.is_dir() else path


def read_earlier(path: Path, about: dict) -> Earlier:
    """Return what a run that goes on has behind it.

    Args:
        path: run folder, or its checkpoint.
        about: as of Checkpoint.check: what the two runs must agree on.

    Raises:
        CheckpointError: no checkpoint, another run's, or the run folder lacks lines of iterations before it.
        RunFolderError: the lines cannot be read.
    """
    file = checkpoint_file(path)
    checkpoint = read_checkpoint(file)
    checkpoint.check(about)
    try:
        reached, executed = checkpoint.state["iteration"], checkpoint.course["executed"]
        lines = tuple(line for line in read_iterations(file.parent) if line["iteration"] < reached)
    except (KeyError, TypeError) as error:
        found = f"{file} and the lines beside it are not what a run leaves"
        raise CheckpointError(f"{found} ({type(error).__name__}: {error}): begin the run again") from None
    if len(lines) != executed:
        found = f"{file.parent} has lines of {len(lines)} iterations before its checkpoint"
        raise CheckpointError(f"{found}, which has executed {executed}: the folder was cut short or edited, begin the run again")
    return Earlier(file.parent, checkpoint, lines)
