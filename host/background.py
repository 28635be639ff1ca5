"""One call at a time in a thread, with a stop flag: how a simulated board runs while Python streams data."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from host.board import BoardError, BoardTimeout

POLL_S = 0.05


class BackgroundCall:
    """Runs `function(stop)` in a thread; `stop` is an Event that the function looks at often enough to end soon.

    The end of a call is an Event of its own: up to Python 3.12, a Ctrl-C in Thread.join makes the thread count as
    ended while it runs on, and what it works on would be freed under it.
    """

    def __init__(self):
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._result = None
        self._error: BaseException | None = None

    @property
    def running(self) -> bool:
        """Whether a call was started whose result has not been taken."""
        return self._thread is not None

    def start(self, function: Callable[[threading.Event], object]) -> None:
        """Start the call. Raises BoardError when another has not been waited for."""
        if self.running:
            raise BoardError("a segment is under way already: wait for it first")
        self._stop.clear()
        self._ended.clear()
        self._result = self._error = None
        self._thread = threading.Thread(target=self._call, args=(function,), name="segment", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float | None = None):
        """Return the call's result or raise what it raised.

        Raises:
            BoardTimeout: it has not ended after `timeout_s`; it goes on until `stop`.
            BoardError: nothing was started.
        """
        if not self.running:
            raise BoardError("no segment is under way: start one first")
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._ended.is_set():
            if until is not None and time.monotonic() >= until:
                raise BoardTimeout(f"the segment was not done after {timeout_s} s")
            self._ended.wait(POLL_S)
        self._thread = None
        if self._error is not None:
            raise self._error
        return self._result

    def stop(self) -> None:
        """Set the stop flag and wait until the call has ended; its result is dropped."""
        self._stop.set()
        if self._thread is not None:
            self._ended.wait()
            self._thread = None

    def _call(self, function) -> None:
        try:
            self._result = function(self._stop)
        except BaseException as error:
            self._error = error
        finally:
            self._ended.set()
