"""Waiting for a segment and stopping it, where this computer stands still for longer than the limits meanwhile."""

from __future__ import annotations

import pytest

from host import segment_watch
from host.board import BoardTimeout
from host.core_driver import BUSY
from host.segment_watch import STOP_LOOKS, finish, halt


class Clock:
    """A stand-in for `time` on which every look takes as long as the test says."""

    def __init__(self, monkeypatch, look_s: float):
        self.t_s, self.look_s = 0.0, look_s
        monkeypatch.setattr(segment_watch, "time", self)

    def monotonic(self) -> float:
        self.t_s += self.look_s
        return self.t_s

    def sleep(self, seconds: float) -> None:
        self.t_s += seconds


class Core:
    """A core that is busy at so many looks, and completes an instruction between two questions where it makes progress."""

    def __init__(self, looks: int, makes_progress: bool = True):
        self.looks, self.makes_progress, self.completed = looks, makes_progress, 0

    def soft_reset(self) -> None:
        pass

    def read(self, name: str) -> int:
        self.looks -= 1
        return BUSY if self.looks >= 0 else 0

    def finished(self) -> bool:
        return not self.read("STATUS")

    def progress(self) -> int:
        self.completed += self.makes_progress
        return self.completed


def test_what_was_done_in_time_has_no_time_out(monkeypatch):
    clock, core = Clock(monkeypatch, 0.0), Core(1)

    def pause(limit_s: float) -> None:
        clock.t_s += 3.0

    def finished() -> bool:
        found = Core.finished(core)
        clock.t_s += 9.0  # and meanwhile the segment ends
        return found

    core.finished = finished
    finish(core, (0, 2), 5.0, 100.0, pause)
    with pytest.raises(BoardTimeout, match="not done after 5.0 s"):
        finish(Core(9), (0, 2), 5.0, 100.0, pause)
    with pytest.raises(BoardTimeout, match="completed 0 of 2 .* it hangs"):
        finish(Core(9, makes_progress=False), (0, 2), None, 1.0, pause)
    finish(Core(9), (0, 2), None, 1.0, pause)


def test_a_core_is_given_up_after_looks_not_only_after_a_time(monkeypatch):
    Clock(monkeypatch, 3.0)
    halt(Core(STOP_LOOKS), "here")
    with pytest.raises(BoardTimeout, match="the core here does not end its segment"):
        halt(Core(10**6), "here")
