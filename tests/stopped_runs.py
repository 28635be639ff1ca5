"""Runs that are stopped half way, to go on from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from host.run_folder import RunFolder


@contextlib.contextmanager
def stopped_after(iteration: int) -> Iterator[None]:
    """What runs in here is interrupted when the line of that iteration, or a later one, has been written; it has to be."""
    append = RunFolder.append

    def interrupted(folder: RunFolder, line: dict) -> None:
        append(folder, line)
        if line["iteration"] >= iteration:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(RunFolder, "append", interrupted)
        yield
