"""A run of the simulated board under power sensors: idle, signature, the run itself, repeats, and all of it in a trace.

Virtual time costs nothing to pass, so what surrounds a run is fast-forwarded: the board rests by the second, and the run is
repeated by laying down its recorded activity again. The trace's marks and `replayed` say what was simulated and what was not.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from host import specimen
from host.readings import VIRTUAL_CLOCK
from host.sampler import Sampler, SamplerError
from host.sensor import open_sensor, split_url
from host.signature import AFTER, BEFORE, Busy, Pattern
from host.trace import windows
from host.trace_file import read_trace
from host.virtual_rails import BOARD, VirtualRails
from host.virtual_run import IDLE_AFTER, IDLE_BEFORE, IDLE_BETWEEN, PILOT, REPEAT, RUN, Stretch, VirtualRun
from hw.config import Config
from joulegrad.settings import SettingError
from measurements.joules import Joules, joules
from measurements.repeats import plan
from measurements.sensed import idle_windows

PILOT_TRACE = "pilot.sqlite"
IDLE_S, IDLE_REFRESHES = 10.0, 40
"""Shortest idle window, and how many values of the slowest sensor it holds at least."""
LEAD_S, LEAD_REFRESHES = 1.0, 4
"""Rest before the first and behind the last window, so that every window has a value outside either edge."""


WINDOW_REFRESHES = 80
"""Values of the slowest sensor in a window: its edges then cost at most 2.5 % of a step in power."""


@dataclass(frozen=True)
class Plan:
    """How a recorded run is repeated: windows of as many runs as fill them.

    Attributes:
        repeats: least number of windows that the result is made of.
        window_s: shortest of them.
        requested: U over the net energy that a pilot plans length and number for; None to go without a pilot.
    """

    repeats: int = 5
    window_s: float = 10.0
    requested: float | None = None

    def times(self, run_s: float, refresh_s: float = 0.0) -> int:
        """Return how many runs of that length fill a window that a sensor of that refresh can resolve."""
        return max(1, math.ceil(max(self.window_s, WINDOW_REFRESHES * refresh_s) / run_s))


def sensors_for(board: str, clock: str | None, urls: Sequence[str]) -> tuple[str, ...]:
    """Return the sensors that watch a board: those asked for, or the board's own.

    Args:
        board: its name, for the message.
        clock: of host.readings.CLOCKS that the board's runs are timed on; None where it has no time.

    Raises:
        SensorError: a sensor that does not exist.
        SettingError: a sensor that cannot watch this board.
    """
    if not urls:
        return ("sim",) if clock == VIRTUAL_CLOCK else ()
    for url in urls:
        found = open_sensor(url)
        if clock is None:
            raise SettingError(f"--sensor {url} with --board {board}: it computes without time, so it has no power to read")
        if clock == VIRTUAL_CLOCK and split_url(url)[0] != "sim":
            watched = "this computer" if found.clock != VIRTUAL_CLOCK else "another run"
            raise SettingError(
                f"--sensor {url} with --board {board}: the simulated board's time is virtual and only sensor 'sim' lives in it; "
                f"this one would watch {watched}"
            )
    if len(set(urls)) != len(urls):
        raise SettingError(f"--sensor {', '.join(urls)}: the same sensor twice; give each its own seed")
    return tuple(urls)


@dataclass
class Emulation:
    """One trace of one simulated board. Use it as a context manager; call before, iteration or run, after, in this order.

    Attributes:
        path: of the trace, to be made.
        sensors: URLs of simulated sensors.
        config: of the core.
        provenance: goes into the trace.
        plan: of the repeats.
        replayed: what was laid down without being simulated, for run.json; filled by `after`.
        planned: what the pilot said, for run.json; filled by `after` where there was one.
    """

    path: Path
    sensors: tuple[str, ...]
    config: Config
    provenance: dict = field(default_factory=dict)
    plan: Plan = field(default_factory=Plan)
    replayed: dict = field(default_factory=dict)
    planned: dict = field(default_factory=dict)

    def __enter__(self):
        self._sampler = Sampler(self.path, list(self.sensors), provenance=self.provenance)
        self._sampler.__enter__()
        self._virtual = self._fresh(self._sampler)
        self._recorded: list[list[Stretch]] = []
        self._slowest_s = max(channel.refresh_s for sensor in self._sampler.sensors for channel in sensor.channels)
        self._idle_s = max(IDLE_S, IDLE_REFRESHES * self._slowest_s)
        self._lead_s = max(LEAD_S, LEAD_REFRESHES * self._slowest_s)
        self._running = False
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None and self._running:
            with contextlib.suppress(SamplerError):  # the exception that passes is what the user has to see
                self._virtual.end(RUN, iterations=len(self._recorded), note={"aborted": True})
        return self._sampler.__exit__(kind, error, trace)

    def before(self, busy: Busy | None = None) -> None:
        """Lay down a signature, where a busy segment ran that it is made of, and idle time; then the run begins."""
        self._busy = busy
        self._virtual.idle(self._lead_s)
        self._sign(BEFORE)
        self._virtual.idle(self._idle_s, IDLE_BEFORE)
        self._virtual.begin(RUN)
        self._running = True

    def iteration(self, stretches: list[Stretch]) -> None:
        """Lay down an iteration as it was simulated. Raises SamplerError when the sampler has died."""
        self._virtual.iteration(stretches, len(self._recorded))
        self._recorded.append(stretches)
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
            planned = plan(self._pilot(times), self.plan.requested, shortest_s=times * run_s, repeats=repeats)
            self.planned = planned.to_json()
            if planned.reachable:
                times, repeats = max(times, math.ceil(planned.time_s / run_s - 1e-9)), planned.repeats
        for number in range(repeats):
            self._virtual.idle(self._idle_s, IDLE_BETWEEN, number)
            self._virtual.replay(REPEAT, self._recorded, times, number)
        self._virtual.idle(self._idle_s, IDLE_AFTER)
        self._sign(AFTER)
        self._virtual.idle(self._lead_s)
        self.replayed = {
            "simulated": {"iterations": iterations, "busy_segments": 0 if self._busy is None else 1},
            "replayed": {"repeats": repeats, "runs_in_each": times, "iterations_in_each": iterations * times},
            "virtual_s": self._virtual.now_s,
            "simulated_s": run_s,
            "said": "power outside window 'run', and in the pilot's trace, is recorded activity laid down again, or rest",
        }  # fmt: skip
        self._sampler.check()

    def power_w(self) -> float | None:
        """Return the board's power as the first sensor that reads watts said last; None as long as none did."""
        name = f"{BOARD}/power"  # behind its sensor's URL where several sensors have it
        said = (value for key, value in self._sampler.latest().items() if key == name or key.endswith(f" {name}"))
        return next((value for value in said if value is not None), None)

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
