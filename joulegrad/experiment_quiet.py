"""The screen of a run of an experiment, which shows nothing, and ends a run that a Dask worker trains for nobody any more."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from joulegrad.screen import Screen


class Unwanted(KeyboardInterrupt):
    """Nobody waits for the run; as after Ctrl-C its board is left in order, and its folder is marked aborted."""


class Quiet(Screen):
    """A screen that shows nothing: runs stand side by side."""

    def __init__(self):
        super().__init__(as_json=True)

    def say(self, message: str) -> None:
        """Say nothing."""

    def result(self, data: dict) -> None:
        """Write nothing."""

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator:
        """Give a function that is called after every iteration, and raises Unwanted where the run is."""

        def step(text: str = "") -> None:
            if _unwanted():
                raise Unwanted

        yield step


def _unwanted() -> bool:
    """Return whether this is a Dask worker that is closing, or whose task was cancelled since its client has gone.

    Dask lets what a thread of a worker executes run on; a worker of this machine it kills after seconds, whatever that holds.
    """
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return False
    try:
        worker = distributed.get_worker()
    except ValueError:  # no worker: the command's own process
        return False
    if worker.status not in (distributed.Status.running, distributed.Status.paused):
        return True
    task = worker.state.tasks.get(worker.get_current_task())
    return task is None or task.state == "cancelled"
