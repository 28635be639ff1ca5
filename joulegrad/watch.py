"""A run under power sensors, whatever its clock: which sensors may watch it, how it is repeated, and what both clocks share."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from host import rail_map
from host.readings import HOST_CLOCK, VIRTUAL_CLOCK
from host.sampler import Sampler
from host.sensor import open_sensor, split_url
from hw.config import Config
from joulegrad.settings import SettingError
from measurements import calibration
from measurements.joules import Joules
from measurements.repeats import plan

ITERATION, RUN, REPEAT, PILOT = "iteration", "run", "repeat", "pilot"
IDLE_BEFORE, IDLE_BETWEEN, IDLE_AFTER = "idle before", "idle between", "idle after"

IDLE_REFRESHES = 40
"""How many values of the slowest sensor an idle window holds at least."""
LEAD_REFRESHES = 4
"""Of rest before the first and behind the last window, so that every window has a value outside either edge."""
WINDOW_REFRESHES = 80
"""Values of the slowest sensor in a window: its edges then cost at most 2.5 % of a step in power."""

LONGEST_S, MOST_REPEATS = 3600.0, 30
"""Of the windows that a pilot may plan where time costs nothing."""

OWN = {"pmbus": "the rails", "rapl": "the processor", "nvml": "the graphics cards"}
"""Sensors that watch the machine that reads them, and what of it; others are connected where the user says."""


@dataclass(frozen=True)
class Plan:
    """How a recorded run is repeated: windows of as many runs as fill them.

    Attributes:
        repeats: least number of windows that the result is made of.
        window_s: shortest of them.
        requested: U over the net energy that a pilot plans length and number for; None to go without a pilot.
        idle_s, lead_s: shortest rests, in a window and outside.
        budget_s: what windows and rests may take together, where time is real; None for no limit.
    """

    repeats: int = 5
    window_s: float = 10.0
    requested: float | None = None
    idle_s: float = 10.0
    lead_s: float = 1.0
    budget_s: float | None = None

    def times(self, run_s: float, refresh_s: float = 0.0) -> int:
        """Return how many runs of that length fill a window that a sensor of that refresh can resolve."""
        return max(1, math.ceil(max(self.window_s, WINDOW_REFRESHES * refresh_s) / run_s))


def sensors_for(board: str, clock: str | None, urls: Sequence[str]) -> tuple[str, ...]:
    """Return the sensors that watch a board: those asked for, or the simulated board's own.

    Args:
        board: its name, or URL.
        clock: of host.readings.CLOCKS that the board's runs are timed on; None of the golden board, whose runs real sensors may
            watch as work of this computer.

    Raises:
        SensorError: a sensor that does not exist, or PYNQ drives a remote board.
        SettingError: a sensor that cannot watch this board.
    """
    if not urls:
        return ("sim",) if clock == VIRTUAL_CLOCK else ()
    for url in urls:
        found, scheme = open_sensor(url), split_url(url)[0]
        asked = f"--sensor {url} with --board {board}"
        if clock == VIRTUAL_CLOCK and scheme != "sim":
            watched = "this computer" if found.clock != VIRTUAL_CLOCK else "another run"
            raise SettingError(
                f"{asked}: the simulated board's time is virtual and only sensor 'sim' lives in it; "
                f"this one would watch {watched}"
            )
        if clock != VIRTUAL_CLOCK and found.clock == VIRTUAL_CLOCK:
            why = "it computes without time" if clock is None else "it works in real time"
            raise SettingError(f"{asked}: {why}, and this sensor lives on board sim's virtual time; see 'joulegrad sensors'")
        if scheme in OWN and board.partition(":")[0] == "serial":
            raise SettingError(
                f"{asked}: it would watch {OWN[scheme]} of this computer, not the board; put a meter into the board's supply"
            )
        if scheme in OWN and board.partition(":")[0] == "pynq":
            rail_map.refuse_remote()
    if len(set(urls)) != len(urls):
        raise SettingError(f"--sensor {', '.join(urls)}: the same sensor twice; give each its own seed")
    return tuple(urls)


@dataclass
class Watch(abc.ABC):
    """One trace of one run. Use it as a context manager; call before, then for every iteration, then after.

    Attributes:
        path: of the trace, to be made.
        sensors: their URLs.
        config: of the core.
        provenance: goes into the trace.
        plan: of the repeats.
        replayed: what the trace holds besides the run, for run.json; filled by `after`.
        planned: what the pilot said, for run.json; filled by `after` where there was one.
        calibrations: that are kept for these sensors, as JSON data; filled when the sensors are opened.
    """

    path: Path
    sensors: tuple[str, ...]
    config: Config
    provenance: dict = field(default_factory=dict)
    plan: Plan = field(default_factory=Plan)
    replayed: dict = field(default_factory=dict)
    planned: dict = field(default_factory=dict)
    calibrations: list[dict] = field(default_factory=list)

    clock = HOST_CLOCK
    label = "measured"

    def __enter__(self):
        self._sampler = Sampler(self.path, list(self.sensors), provenance=self.provenance)
        self._sampler.__enter__()
        for sensor in self._sampler.sensors:
            kept = calibration.stored(sensor.url, sensor.description, sensor.channels) if sensor.clock == HOST_CLOCK else []
            self.calibrations += [one.to_json() for one in kept]
        self._slowest_s = max(_renewed_s(sensor, channel) for sensor in self._sampler.sensors for channel in sensor.channels)
        self._idle_s = max(self.plan.idle_s, IDLE_REFRESHES * self._slowest_s)
        self._lead_s = max(self.plan.lead_s, LEAD_REFRESHES * self._slowest_s)
        return self

    def __exit__(self, kind, error, trace):
        return self._sampler.__exit__(kind, error, trace)

    def power_w(self) -> float | None:
        """Return the power as the first sensor that reads watts said last; None as long as none did."""
        name = self._watts()  # behind its sensor's URL where several sensors have it
        said = (value for key, value in self._sampler.latest().items() if name and (key == name or key.endswith(f" {name}")))
        return next((value for value in said if value is not None), None)

    def _watts(self) -> str | None:
        """Return the name of the first channel that reads watts."""
        names = (channel.name for sensor in self._sampler.sensors for channel in sensor.channels if channel.unit == "W")
        return next(names, None)

    def _numbers(self, pilot: Joules, run_s: float, times: int) -> tuple[int, int]:
        """Return how many runs a window has, and how many windows there are, as the pilot plans it; note what it said."""
        repeats, shortest_s = self.plan.repeats, times * run_s
        longest_s, most = LONGEST_S, max(MOST_REPEATS, repeats)
        if self.plan.budget_s is not None:
            longest_s, most = max(shortest_s, self.plan.budget_s / repeats - self._idle_s), repeats
        planned = plan(pilot, self.plan.requested, shortest_s=shortest_s, longest_s=longest_s, repeats=repeats, most_repeats=most)
        self.planned = planned.to_json()
        if planned.reachable:
            times, repeats = max(times, math.ceil(planned.time_s / run_s - 1e-9)), planned.repeats
        return times, repeats


def _renewed_s(sensor, channel) -> float:
    """Return how often a channel is renewed as far as it is known before looking."""
    return channel.refresh_s or sensor.period_s or 0.0
