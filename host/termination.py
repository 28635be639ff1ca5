"""SIGTERM as an exception, so that whoever holds a board, a trace or a run folder leaves it in order."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

TOGETHER_S = 0.1
"""`timeout` and others tell a process and then its whole group: signals that come so close together are one wish."""


def raises(error: type[BaseException], *arguments) -> Callable:
    """Return a handler of SIGTERM that raises an exception; a later SIGTERM then ends the process at once."""

    def leave(number, frame):
        signal.signal(number, signal.SIG_IGN)
        time.sleep(TOGETHER_S)
        signal.signal(number, signal.SIG_DFL)
        raise error(*arguments)

    return leave
