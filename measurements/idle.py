"""Idle power before and after a window, carried to its middle, and what is uncertain about it.

Idle is taken from the same sensor of the same trace, with the sampler running as in the run: what sampling costs is in both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from host.trace import SensorRecord, Window
from measurements.budget import RECTANGULAR, Source
from measurements.energy_window import WindowEnergy, window_energy
from measurements.error_sources import Circumstances, sources_of
from measurements.noise import LongRun, long_run
from measurements.series import NoEnergy, Series

GUARD_REFRESHES = 3
"""Left out at both ends of an idle window, so that no value with a part of the load is in it."""


@dataclass(frozen=True)
class IdlePower:
    """Idle power by rail at the middle of a window.

    Attributes:
        windows: the idle windows, at most one before and one after.
        shares: weight of each of them; they add up to 1.
        parts: for each window, the energies of its rails.
        power_w: rail to watts at the middle of the window.
        change_w: by how much idle changes over the window, with its sign; None where only one side is known.
        reach_s: from the middle of the one known idle to the middle of the window; 0 where both sides are known.
        noise: rail to the noise of a constant load.
    """

    windows: tuple[Window, ...]
    shares: tuple[float, ...]
    parts: tuple[tuple[WindowEnergy, ...], ...]
    power_w: dict[str, float]
    change_w: float | None
    reach_s: float
    noise: dict[str, LongRun]

    @property
    def total_w(self) -> float:
        """Of all rails."""
        return math.fsum(self.power_w.values())

    def to_json(self) -> dict:
        """Return JSON data."""
        return {
            "definition": [window.note.get("definition", window.name) for window in self.windows],
            "power_w": [math.fsum(part.power_w for part in parts) for parts in self.parts],
            "time_s": [parts[0].time_s for parts in self.parts],
            "at_window_w": self.total_w, "change_w": self.change_w,
        }  # fmt: skip


@dataclass(frozen=True)
class Rest:
    """An idle window as the rails show it: energies of its inner part, and noise (None of a running total), by rail."""

    parts: tuple[WindowEnergy, ...]
    noise: tuple[LongRun | None, ...]


def rest(rails: Sequence[Series], idle: Window, guard_s: float = 0.0) -> Rest:
    """Return an idle window without its ends, which are as long for all rails as the slowest one needs.

    Args:
        rails: series of the rails of the run.
        idle: an idle window of the trace.
        guard_s: left out at both ends besides GUARD_REFRESHES.

    Raises:
        NoEnergy: too short, or without samples.
    """
    start_s, end_s = _inner(rails, idle, guard_s)
    parts = tuple(window_energy(series, start_s, end_s) for series in rails)
    return Rest(parts, tuple(None if part.series.kind == "accumulated" else long_run(part.used) for part in parts))


def idle_power(window: Window, idle: Sequence[Window], rested: Callable[[Window], Rest]) -> IdlePower:
    """Return the idle power at the middle of a window, from the nearest idle before and the nearest one after it.

    Args:
        window: of the run.
        idle: idle windows of the trace; those inside `window` are of no use.
        rested: gives what `rest` found in an idle window.

    Raises:
        NoEnergy: no idle window before or after, or one that is too short or without samples.
    """
    before = max((each for each in idle if each.end_s <= window.start_s), key=lambda each: each.end_s, default=None)
    after = min((each for each in idle if each.start_s >= window.end_s), key=lambda each: each.start_s, default=None)
    chosen = tuple(each for each in (before, after) if each is not None)
    if not chosen:
        raise NoEnergy(f"none of {len(idle)} idle windows lies before or after the window {window.name!r}, some overlap it: net "
                       "energy needs at least one")  # fmt: skip
    rests = [rested(each) for each in chosen]
    parts = tuple(each.parts for each in rests)
    middles_s = [(each.start_s + each.end_s) / 2 for each in chosen]
    middle_s = (window.start_s + window.end_s) / 2
    shares, change_w, reach_s = (1.0,), None, abs(middle_s - middles_s[0])
    if len(chosen) == 2:
        far = (middle_s - middles_s[0]) / (middles_s[1] - middles_s[0])
        shares, reach_s = (1 - far, far), 0.0
        change_w = math.fsum(part.power_w for part in parts[1]) - math.fsum(part.power_w for part in parts[0])
    names = [part.series.rail for part in parts[0]]
    power_w = {rail: math.fsum(share * group[i].power_w for share, group in zip(shares, parts, strict=True))
               for i, rail in enumerate(names)}  # fmt: skip
    noise = {rail: _pooled([each.noise[i] for each in rests]) for i, rail in enumerate(names) if rests[0].noise[i] is not None}
    return IdlePower(chosen, shares, parts, power_w, change_w, reach_s, noise)


def _pooled(runs: list[LongRun]) -> LongRun:
    """Return the noise of all idle windows together."""
    dof = math.fsum(run.dof for run in runs)
    variance_w2, white_w2 = (math.fsum(value) / dof for value in (
        [run.variance_w2 * run.dof for run in runs], [run.white_w2 * run.dof for run in runs]))  # fmt: skip
    return LongRun(variance_w2, white_w2, dof)


def _inner(rails: Sequence[Series], idle: Window, guard_s: float) -> tuple[float, float]:
    """Return start and end of an idle window without its ends."""
    slowest_s = max(max(series.refresh.refresh_s, series.refresh.spacing_s, series.span_s) for series in rails)
    end_s = guard_s + GUARD_REFRESHES * slowest_s
    if idle.end_s - idle.start_s < 4 * end_s:
        raise NoEnergy(f"idle window {idle.name!r} of {idle.end_s - idle.start_s:.3g} s is too short: at least {4 * end_s:.3g} s "
                       f"are needed with values that are renewed every {slowest_s:.3g} s")  # fmt: skip
    return idle.start_s + end_s, idle.end_s - end_s


def idle_sources(record: SensorRecord, found: IdlePower, time_s: float, told: Circumstances) -> list[Source]:
    """Return the sources of error of minus idle power times the time of the run, and of its drift."""
    sources = []
    for window, share, parts in zip(found.windows, found.shares, found.parts, strict=True):
        key = ("idle", window.name, window.number, window.start_s)
        here = Circumstances(key, told.residual_s, found.noise, found.power_w, True)
        factor = -share * time_s / parts[0].time_s
        sources += [_as_one(source).times(factor) for source in sources_of(record, list(parts), here)]
    return [*sources, Source("idle drift", told.window, drift_w(found) * time_s, systematic=True, grows=1.0)]


def _as_one(source: Source) -> Source:
    """Return the source as idle has it.

    Idle before and after rest on the same step, so they share its error. Repeats share idle, so none of its errors is averaged
    out, and all grow with the time that idle power is multiplied by: what does neither in a run has a line of its own.
    """
    if not source.systematic or source.grows != 1:
        return replace(source, name=f"idle {source.name}", systematic=True, grows=1.0)
    return replace(source, key=(source.key[0], "idle")) if source.name == "quantisation" else source


def drift_w(found: IdlePower) -> float:
    """Return the standard uncertainty of idle power by its drift: half the change, rectangular.

    Where idle is known on one side only, the change up to the middle of the window is taken from the trend inside that idle, or
    from what its noise lets a trend be, whichever is more.
    """
    if found.change_w is not None:
        return abs(found.change_w) / 2 * RECTANGULAR
    trend_w_s, u_w_s = 0.0, 0.0
    for part in found.parts[0]:
        half_s = part.time_s / 2
        series, middle_s = part.series, part.start_s + half_s
        halves = [window_energy(series, part.start_s, middle_s).power_w, window_energy(series, middle_s, part.end_s).power_w]
        trend_w_s += (halves[1] - halves[0]) / half_s
        quiet = found.noise.get(series.rail)
        if quiet is not None:
            u_w_s = math.hypot(u_w_s, math.sqrt(12 * quiet.variance_w2 / max(len(part.weights), 1)) / part.time_s)
    return max(abs(trend_w_s), u_w_s) * found.reach_s * RECTANGULAR
