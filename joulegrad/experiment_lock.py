"""One process at a time works on an experiment's folder: a second one would train the same runs again."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from joulegrad.experiment import ExperimentError
from joulegrad.screen import Screen

LOCK, SAYS = "lock", "process "


@contextlib.contextmanager
def only_here(folder: Path, screen: Screen) -> Iterator[None]:
    """Hold an experiment's folder while the block runs; its Dask workers need no lock, they do what the holder gives them.

    The kernel holds the lock, so that it ends with the process however that ends; the file stays, since whoever removed it would
    take the lock away from one who has opened it meanwhile. A file system that knows no locks gets a warning.

    Raises:
        ExperimentError: another process holds it, or the file is no lock.
        OSError: nothing can be written there.
    """
    with open(folder / LOCK, "a+", encoding="utf-8", errors="replace") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found = f"--out {folder}: {_holder(folder)} works there"
            raise ExperimentError(f"{found}: wait for its end, or choose another --out") from None
        except OSError as error:
            screen.say(f"{folder} cannot be locked ({error.strerror}): take care that no second command works there")
        _check_own(file, folder)
        _say_who(file)
        yield


def _check_own(file, folder: Path) -> None:
    """Raise ExperimentError where the file holds what no process's name is: it is somebody else's, and must not be replaced."""
    file.seek(0)
    if file.read(len(SAYS)) not in ("", SAYS):
        raise ExperimentError(f"{folder / LOCK} is there already, and no experiment's: choose another --out")


def _say_who(file) -> None:
    """Leave this process's name to whom the lock keeps out."""
    file.truncate(0)
    file.write(f"{SAYS}{os.getpid()} on {socket.gethostname()}")
    file.flush()


def _holder(folder: Path) -> str:
    return (folder / LOCK).read_text(encoding="utf-8") or "another process"  # which has not written its name yet
