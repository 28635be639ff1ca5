"""Checkpoints of a run on a board: written between iterations, so that one that was stopped goes on with the same bits."""

from __future__ import annotations

import numpy as np

from algo.checkpoint import Checkpoint, CheckpointError, write_checkpoint
from algo.policies.method import Course
from algo.scaling import State
from host.packed_program import PackedProgram
from host.run_folder import RunFolder
from host.runtime import Runtime
from joulegrad.earlier import CHECKPOINT, Earlier, with_sums


class BoardCheckpoints:
    """Checkpoints of one run.

    Args:
        folder: of the run.
        about: as of Checkpoint.
        earlier: the run that this one goes on from; None where it begins.
        every: executed iterations between two checkpoints.

    Attributes:
        folder: of the run.
        lines: of the iterations that the earlier run has behind it.
    """

    def __init__(self, folder: RunFolder, about: dict, earlier: Earlier | None, every: int):
        self.folder = folder
        self.lines = earlier.lines if earlier else ()
        self._about, self._earlier, self._every = about, earlier, every
        self._executed = 0

    def begins(self, tensors: dict[str, np.ndarray], state: State) -> tuple[dict[str, np.ndarray], State]:
        """Return the tensors and the state that the run begins with: those given, or where the earlier run stopped."""
        return (self._earlier.checkpoint.tensors, self._earlier.state()) if self._earlier else (tensors, state)

    def course(self, packed: PackedProgram, runtime: Runtime | None = None) -> Course:
        """Return the method's course, new or where the earlier run left it.

        Args:
            runtime: that follows it, and averages weights as its board lays them out; None of a reference, which has names.
        """
        course = packed.course()
        if self._earlier:
            self._earlier.restore(course, runtime and runtime.averaged.laid_out)
        return course

    def put_back(self, runtime: Runtime) -> None:
        """Bring a board to where the earlier run stopped. Raises CheckpointError where its tensors are not the program's."""
        if not self._earlier:
            return
        try:
            runtime.go_on(self._earlier.checkpoint.tensors, self._earlier.state())
        except ValueError as error:
            raise CheckpointError(f"the checkpoint in {self._earlier.folder} is not of this program: {error}") from None

    def executed(self, runtime: Runtime, course: Course) -> None:
        """Count an iteration that was executed, and keep the run where it is time to."""
        self._executed += 1
        if self._executed % self._every == 0:
            self.keep(runtime, course)

    def keep(self, runtime: Runtime, course: Course) -> None:
        """Replace the checkpoint; in it weights that are averaged have names, and not the board's layout.

        Raises:
            CheckpointError, RunFolderError: it cannot be written.
        """
        tensors = runtime.kept()
        state = with_sums(course.state(), runtime.averaged.named)
        self.folder.sync()
        write_checkpoint(self.folder.path / CHECKPOINT, Checkpoint(self._about, runtime.state.to_json(), tensors, state))
