"""Waiting for a segment on a core that only registers tell of, and stopping it: for boards with a wire or a bus before them."""

from __future__ import annotations

import time
from collections.abc import Callable

from host.board import BoardTimeout
from host.core_driver import BUSY, CoreDriver

STOP_S, STOP_LOOKS = 1.0, 20
"""A core is given up that was busy for so long and at so many looks: it may have stood still with this computer."""

STOP_POLL_S = 0.001


def finish(
    driver: CoreDriver, segment: tuple[int, int], timeout_s: float | None, hang_s: float, pause: Callable[[float], None]
) -> None:
    """Return when a segment is done or has failed.

    Args:
        segment: its address and instructions.
        timeout_s: limit; None for none.
        hang_s: without a completed instruction for so long, the core hangs.
        pause: returns when it is worth looking again, at the latest after the seconds that it is given.

    Raises:
        BoardTimeout: the limit has passed, or the core hangs; it goes on until it is halted.
    """
    address, count = segment
    began_s = seen_s = time.monotonic()
    seen = -1
    while True:
        now_s = time.monotonic()
        if driver.finished():  # looked at after the time was: what was done in time has no time-out
            return
        if timeout_s is not None and now_s - began_s >= timeout_s:
            raise BoardTimeout(f"the segment was not done after {timeout_s} s")
        if now_s - seen_s >= hang_s:
            progress = driver.progress()
            if progress == seen:
                raise BoardTimeout(
                    f"the core completed {progress} of {count} instructions of the segment at {address:#x} "
                    f"and then none in {hang_s:g} s: it hangs"
                )
            seen, seen_s = progress, now_s
        left_s = hang_s - (now_s - seen_s)
        pause(left_s if timeout_s is None else min(left_s, timeout_s - (now_s - began_s)))


def halt(driver: CoreDriver, where: str) -> None:
    """Reset the core and return when it rests: a start before that has no effect.

    Args:
        where: the core is, for the message.

    Raises:
        BoardTimeout: it does not come to rest.
    """
    driver.soft_reset()
    until_s, looks = time.monotonic() + STOP_S, 0
    while driver.read("STATUS") & BUSY:
        looks += 1
        if time.monotonic() > until_s and looks > STOP_LOOKS:
            raise BoardTimeout(f"the core {where} does not end its segment: load the bitstream again, or restart the board")
        time.sleep(STOP_POLL_S)


class Poll:
    """Pauses that grow while nothing happens: short segments are noticed soon, long ones cost nothing.

    Args:
        first_s, longest_s: of the pauses.
    """

    def __init__(self, first_s: float, longest_s: float):
        self._first_s, self._longest_s = first_s, longest_s
        self.begin()

    def begin(self) -> None:
        """Begin with short pauses again."""
        self._pause_s = self._first_s

    def pause(self, limit_s: float) -> None:
        """Sleep for a pause, at most `limit_s`."""
        time.sleep(max(0.0, min(self._pause_s, limit_s)))
        self._pause_s = min(2 * self._pause_s, self._longest_s)

    def close(self) -> None:
        """Nothing is held."""
