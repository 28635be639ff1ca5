"""A run on a board whose time is real, under sensors that are real too: idle, signature, the run itself, repeats, in one trace.

The measuring plan is that of joulegrad/emulation.py; here it takes the time that it says. A repeat does the whole run again
from its first weights, and has to find the same losses. A run too long for as many repeats has fewer of them; where not even two
fit, its own window is all that is measured.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from host.board import BoardError
from host.iteration import Iteration
from host.readings import HOST_CLOCK
from host.sampler import SamplerError
from host.signature import AFTER, BEFORE, Pattern, SignaturePlayer
from host.trace import Mark, windows
from host.trace_file import read_trace
from joulegrad.watch import (
    IDLE_AFTER,
    IDLE_BEFORE,
    IDLE_BETWEEN,
    ITERATION,
    PILOT,
    REPEAT,
    RUN,
    WINDOW_REFRESHES,
    Watch,
)
from measurements.joules import joules
from measurements.repeats import NotPooled
from measurements.sensed import ALONE, WHOLE_RUN, idle_windows
from measurements.series import NoEnergy

SHORTER = 0.85
"""A repeat may take so much less time than those before it, and its window is long enough still."""

WRITTEN_S = 2.0
"""After so long what was sampled is in the trace file."""


@dataclass(frozen=True)
class Again:
    """How a run is done once more.

    Attributes:
        restart: puts the first weights and the first state back.
        run: does all its iterations and returns their losses.
    """

    restart: Callable[[], None]
    run: Callable[[], list[float]]


@dataclass
class RealTime(Watch):
    """One trace of one board. Use it as a context manager; call before, iteration, after, in this order.

    Attributes:
        idle: what idle is, in words.
        player: plays signatures; None where none is played.
        say: told what is under way.
    """

    idle: str = ""
    player: SignaturePlayer | None = None
    say: Callable[[str], None] = print
    _losses: list[float] = field(default_factory=list)
    _work_s: float = 0.0
    _behind: int = 0
    _running: bool = False
    _rests: int = 0

    def __exit__(self, kind, error, trace):
        if kind is not None and self._running:
            with contextlib.suppress(SamplerError):  # the exception that passes is what the user has to see
                self._end_run({"aborted": True})
        return super().__exit__(kind, error, trace)

    def before(self) -> None:
        """Play a signature and rest; then the run begins."""
        self.say(f"measuring: idle for {self._idle_s:.0f} s before the run")
        self._wait(self._lead_s)
        self._sign(BEFORE)
        self._rest(IDLE_BEFORE)
        self._sampler.begin(RUN)
        self._running = True

    def behind(self, losses: Sequence[float], work_s: float) -> None:
        """Take note of iterations that an earlier run executed: the window of the run has none of them, the repeats have all."""
        self._losses, self._work_s, self._behind = list(losses), work_s, len(losses)

    def iteration(self, done: Iteration) -> None:
        """Mark an iteration, with its segments, where it was. Raises SamplerError when the sampler has died."""
        for name, (start_s, end_s) in done.stamps.items():
            phase = "other" if name == ITERATION else name
            self._sampler.mark(Mark(start_s, HOST_CLOCK, "begin", name, phase, done.number))
            self._sampler.mark(Mark(end_s, HOST_CLOCK, "end", name, phase, done.number, 1 if name == ITERATION else 0))
        self._losses.append(done.loss)
        self._work_s += done.host_s
        self._sampler.check()

    def after(self, again: Again, pilot: bool) -> None:
        """End the run; rest, and do it again in windows with rests between them, as many and as long as the pilot says.

        Args:
            again: does the run once more.
            pilot: the run itself may be the pilot where it fills a window and is all there: nothing else was done meanwhile.

        Raises:
            SamplerError: the sampler has died.
            BoardError: a repeat did not do what the run did.
        """
        pilot = pilot and not self._behind
        times, repeats = self.plan.times(SHORTER * self._work_s, self._slowest_s), self.plan.repeats
        fitting = self._fitting() if times == 1 else repeats
        alone = fitting == 1 and pilot
        self._end_run({ALONE: True} if alone else {})
        self._running = False
        if alone:
            self._measured_alone()
        else:
            self._rest(IDLE_BETWEEN)
            if fitting == repeats:
                times, repeats = self._piloted(again, pilot, times)
            self._repeat(again, times, min(fitting, repeats))
        self._sign(AFTER)
        self._wait(self._lead_s)
        self._sampler.check()

    def _fitting(self) -> int:
        """Return how many windows of the run the plan's time has room for, at least 1; say so where it wants more."""
        each_s = self._work_s + self._idle_s
        if self.plan.budget_s is None or self.plan.repeats * each_s <= self.plan.budget_s:
            return self.plan.repeats
        fitting = max(1, int(self.plan.budget_s / each_s))
        self.planned = {
            "reachable": False, "requested": self.plan.requested,
            "said": f"no plan: {self.plan.repeats} windows of {each_s:.0f} s, rest included, are more than the "
                    f"{self.plan.budget_s:.0f} s of --measuring, which has room for {fitting}",
        }  # fmt: skip
        return fitting

    def _measured_alone(self) -> None:
        """Rest behind the run, whose window is measured."""
        self._rest(IDLE_AFTER)
        self.replayed = {
            "run": {"iterations": len(self._losses), "host_s": self._work_s},
            "said": "nothing: the run itself was measured, once",
        }

    def _piloted(self, again: Again, pilot: bool, times: int) -> tuple[int, int]:
        """Return runs in a window and number of windows as a pilot asks for them, and `times` where there is none."""
        repeats = self.plan.repeats
        if self.plan.requested is not None:
            if times > 1 or not pilot:
                self.say(f"measuring: a pilot of {times * self._work_s:.0f} s")
                self._window(PILOT, again, times)
                self._rest(IDLE_BETWEEN)
            times, repeats = self._planned(RUN if times == 1 and pilot else PILOT, times)
        return times, repeats

    def _repeat(self, again: Again, times: int, repeats: int) -> None:
        """Do the run again in so many windows, with rests between and behind them."""
        each_s = times * self._work_s + self._idle_s
        self.say(f"measuring: {repeats} windows of {times * self._work_s:.0f} s, about {repeats * each_s / 60:.1f} minutes")
        restored_s = 0.0
        for number in range(repeats):
            # The first one decides how many runs a window has: those before it may have been slower, warming up.
            least_s = 0.0 if number else max(self.plan.window_s, WINDOW_REFRESHES * self._slowest_s) / SHORTER
            times, spent_s = self._window(REPEAT, again, times, number, least_s)
            restored_s += spent_s
            self._rest(IDLE_AFTER if number == repeats - 1 else IDLE_BETWEEN)
        self.replayed = {
            "run": {"iterations": len(self._losses), "host_s": self._work_s},
            "repeated": {"repeats": repeats, "runs_in_each": times, "iterations_in_each": len(self._losses) * times},
            "restored_share": restored_s / (repeats * times * self._work_s),
            "said": "every repeat did the whole run again from its first weights and found the same losses; of its time "
                    "restored_share went into putting these weights back",
        }  # fmt: skip

    def _end_run(self, note: dict) -> None:
        """End the window of the run; where an earlier run did a part of it, the note says how many iterations all of it has."""
        if self._behind:
            note = {**note, WHOLE_RUN: len(self._losses)}
        self._sampler.end(RUN, iterations=len(self._losses) - self._behind, note=note)

    def _planned(self, window: str, times: int) -> tuple[int, int]:
        """Return runs in a window and number of windows from the pilot in that window; the least ones where it says nothing."""
        self._wait(max(self._lead_s, WRITTEN_S))
        try:
            trace = read_trace(self.path)
            (found,) = windows(trace, window)
            pilot = joules(trace, found, idle=idle_windows(trace), minimum_s=0.0, requested=1.0)
            return self._numbers(pilot, (found.end_s - found.start_s) / times, times)
        except (NoEnergy, NotPooled) as error:
            self.planned = {"reachable": False, "requested": self.plan.requested, "said": f"no plan: {error}"}
            return times, self.plan.repeats

    def _window(self, name: str, again: Again, times: int, number: int = 0, least_s: float = 0.0) -> tuple[int, float]:
        """Do the run in one window, so often and so long at least.

        Returns:
            How often it was done, and the seconds in the window that putting the first weights back took.
        """
        done, restored_s = 0, 0.0
        again.restart()
        self._sampler.begin(name, number=number)
        began_s = time.monotonic()
        while done < times or time.monotonic() - began_s < least_s:
            if done:
                start_s = time.monotonic()
                again.restart()
                restored_s += time.monotonic() - start_s
            self._compare(again.run())
            self._sampler.check()
            done += 1
        note = {"repeated": {"iterations": len(self._losses), "times": done, "restored_s": restored_s}}
        self._sampler.end(name, number, len(self._losses) * done, note=note)
        return done, restored_s

    def _compare(self, losses: Sequence[float]) -> None:
        """Raise BoardError unless a repeat had the run's losses."""
        for i, (found, expected) in enumerate(zip(losses, self._losses, strict=True)):
            if found != expected:
                raise BoardError(
                    f"the board computes differently the second time: the loss of iteration {i} is {found:.9g} in a repeat, "
                    f"but was {expected:.9g} in the run"
                )

    def _rest(self, name: str) -> None:
        """Let the board rest in a window of that name."""
        number = self._rests if name == IDLE_BETWEEN else 0
        self._rests += name == IDLE_BETWEEN
        self._sampler.begin(name, "idle", number, note={"definition": self.idle})
        self._wait(self._idle_s)
        self._sampler.end(name, number, phase="idle")

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self._sampler.rest(seconds)

    def _sign(self, name: str) -> None:
        if self.player is not None:
            self.player.play(name, Pattern.for_meter(self._slowest_s), self._sampler.mark)
