"""Waiting for what has to happen, however slow or uneven the machine is: only a real fault reaches the deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

PATIENCE_S = 60.0


def until(found: Callable[[], Found], what: str, timeout_s: float = PATIENCE_S) -> Found:
    """Return what `found` returns once that is true, e.g. `until(path.exists, "a trace")`.

    Raises:
        AssertionError: it did not come; the sentence says `what` was waited for.
    """
    end_s = time.monotonic() + timeout_s
    while not (value := found()):
        assert time.monotonic() < end_s, f"{what} did not come within {timeout_s:.0f} s"
        time.sleep(0.01)
    return value


def raises(call: Callable[[], object], error: type[Exception]) -> Exception | None:
    """Return the exception of that kind that `call` raises, None where it raises none; any other passes."""
    try:
        call()
    except error as found:
        return found
    return None


def raised(call: Callable[[], object], error: type[Exception]) -> Exception:
    """Return the exception of that kind that `call`, called again and again, raises at last."""
    return until(lambda: raises(call, error), error.__name__)
