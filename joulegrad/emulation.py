"""A run of the simulated board under power sensors: idle, signature, the run itself, repeats, and all of it in a trace.

Virtual time costs nothing to pass, so what surrounds a run is fast-forwarded: the board rests by the second, and the run is
repeated by laying down its recorded activity again. The trace's marks and `replayed` say what was simulated and what was not.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from host import specimen
from host.readings import VIRTUAL_CLOCK
from host.sampler import Sampler, SamplerError
from host.signature import AFTER, BEFORE, Busy, Pattern
from host.trace import windows
from host.trace_file import read_trace
from host.virtual_rails import BOARD, VirtualRails
from host.virtual_run import Stretch, VirtualRun
from joulegrad.watch import IDLE_AFTER, IDLE_BEFORE, IDLE_BETWEEN, PILOT, REPEAT, RUN, Watch
from measurements.joules import Joules, joules
from measurements.sensed import idle_windows

PILOT_TRACE = "pilot.sqlite"


@dataclass
class Emulation(Watch):
    """One trace of one simulated board. Use it as a context manager; call before, iteration or run, after, in this order."""

    clock = VIRTUAL_CLOCK
    label = "emulated"

    def __enter__(self):
        super().__enter__()
        self._virtual = self._fresh(self._sampler)
        self._recorded: list[list[Stretch]] = []
        self._running, self._behind = False, 0
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None and self._running:
            with contextlib.suppress(SamplerError):  # the exception that passes is what the user has to see
                self._virtual.end(RUN, iterations=len(self._recorded), note={"aborted": True})
        return super().__exit__(kind, error, trace)

    def before(self, busy: Busy | None = None) -> None:
        """Lay down a signature, where a busy segment ran that it is made of, and idle time; then the run begins."""
        self._busy = busy
        self._virtual.idle(self._lead_s)
        self._sign(BEFORE)
        self._virtual.idle(self._idle_s, IDLE_BEFORE)
        self._virtual.begin(RUN)
        self._running = True

    def behind(self, iterations: Sequence[list[Stretch]]) -> None:
        """Lay down iterations that an earlier run simulated and recorded."""
        self.run(iterations)
        self._behind = len(iterations)

    def iteration(self, stretches: list[Stretch]) -> None:
        """Lay down an iteration as it was simulated. Raises SamplerError when the sampler has died."""
        self._recorded.append(stretches)  # first: an iteration that is interrupted has a window, too
        self._virtual.iteration(stretches, len(self._recorded) - 1)
        self._sampler.check()

    def run(self, iterations: Sequence[list[Stretch]]) -> None:
        """Lay down iterations that were simulated, all of them."""
        for stretches in iterations:
            self.iteration(stretches)

    def after(self) -> None:
        """End the run and lay down repeats with idle time between them, and a signature; before that the pilot, if any, decides.

        Raises:
            SamplerError: the sampler has died.
            NoEnergy, NotPooled: the pilot has no energy.
        """
        iterations = len(self._recorded)
        self._virtual.end(RUN, iterations=iterations)
        self._running = False
        run_s = math.fsum(stretch.duration_s for stretches in self._recorded for stretch in stretches)
        times, repeats = self.plan.times(run_s, self._slowest_s), self.plan.repeats
        if self.plan.requested is not None:
            times, repeats = self._numbers(self._pilot(times), run_s, times)
        for number in range(repeats):
            self._virtual.idle(self._idle_s, IDLE_BETWEEN, number)
            self._virtual.replay(REPEAT, self._recorded, times, number)
        self._virtual.idle(self._idle_s, IDLE_AFTER)
        self._sign(AFTER)
        self._virtual.idle(self._lead_s)
        self.replayed = {
            "simulated": {"iterations": iterations - self._behind, "busy_segments": 0 if self._busy is None else 1},
            **({"recorded_by_an_earlier_run": {"iterations": self._behind}} if self._behind else {}),
            "replayed": {"repeats": repeats, "runs_in_each": times, "iterations_in_each": iterations * times},
            "virtual_s": self._virtual.now_s,
            "simulated_s": run_s,
            "said": "power outside window 'run', and in the pilot's trace, is recorded activity laid down again, or rest",
        }  # fmt: skip
        self._sampler.check()

    def _watts(self) -> str:
        """Return the name of the channel that reads all of the board."""
        return f"{BOARD}/power"

    def _fresh(self, sampler: Sampler) -> VirtualRun:
        return VirtualRun(sampler, self.sensors, VirtualRails(self.config.g, specimen.board()))

    def _pilot(self, times: int) -> Joules:
        """Return the energy of a pilot: idle, the run so often, idle, in a trace of its own that the result is not taken from."""
        path = self.path.with_name(PILOT_TRACE)
        with Sampler(path, list(self.sensors), provenance=self.provenance) as sampler:
            virtual = self._fresh(sampler)
            virtual.idle(self._lead_s)
            virtual.idle(self._idle_s, IDLE_BEFORE)
            virtual.replay(PILOT, self._recorded, times)
            virtual.idle(self._idle_s, IDLE_AFTER)
            virtual.idle(self._lead_s)
        trace = read_trace(path)
        (window,) = windows(trace, PILOT)
        return joules(trace, window, idle=idle_windows(trace))

    def _sign(self, name: str) -> None:
        if self._busy is None:
            return
        self._virtual.signature(name, Pattern.for_meter(self._slowest_s), self._busy)
