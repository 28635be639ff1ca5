"""Sensors that are opened for a run whose folder is there already: where they cannot be had, the folder goes again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TypeVar

from host.run_folder import RECORD, RunFolder
from joulegrad.screen import Screen

Sensing = TypeVar("Sensing")


@contextlib.contextmanager
def opened(
    sensing: contextlib.AbstractContextManager[Sensing], folder: RunFolder, trace: str, screen: Screen
) -> Iterator[Sensing]:
    """Give what senses, opened, and close it behind the block.

    Physical sensors are opened once, by who samples them: opening one before, to see whether it is there, takes seconds and
    resets many a meter. So the run's folder is made before, and an error must not leave one of a run that never was.

    Args:
        sensing: opens its sensors as it is entered.
        folder: of the run.
        trace: file of the folder that it makes when they deliver.
        screen: told that there is no run folder, where it went.
    """
    with contextlib.ExitStack() as stack:
        try:
            with folder.vanishing(trace):
                found = stack.enter_context(sensing)
        except Exception:
            if not (folder.path / RECORD).exists():
                screen.facts["run_dir"] = None
            raise
        yield found
