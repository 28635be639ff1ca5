"""SIGTERM as an exception, so that whoever holds a board, a trace or a run folder leaves it in order."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator

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


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait for the end of a short block that must not be left half-way, such as stopping a core."""
    if threading.current_thread() is not threading.main_thread():  # no other one has handlers
        yield
        return
    came, before = [], {}

    def later(number, frame):
        came.append(number)

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, later)
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is later:  # else the block has put back what was there before all of this
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if came:
            handler = before[came[-1]]
            handler(came[-1], None) if callable(handler) else signal.raise_signal(came[-1])
