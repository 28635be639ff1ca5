"""What of a window was really seen, and why it is not fit to be reported: gaps, saturation, stale values, too short, locked."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from host.trace import Gap, Window
from measurements.energy_window import WindowEnergy
from measurements.series import GAP_REFRESHES, Series

GAP_SHARE = 0.001
"""Gaps above this share of the window make it invalid (the limit on dropped samples of MLPerf Tiny's energy mode)."""
MINIMUM_S = 10.0
REQUESTED = 0.05
LOCKED_ABOVE = 0.25
HARMONICS = 10
BINS = 4096
"""Of a turn, in which phases are counted; a quarter of them are harmonics."""
STRETCHES = (16, 40)
"""Of a window, in each of which iterations that nobody marked are taken as equally long. Samples may go around a whole number of
times in stretches of one length, and so seem even: then those of the other tell."""
FEW_PHASES = 0.75
"""Share of a lock above which values show too few phases of an iteration to tell how much it changes."""
STUCK_REFRESHES = 20


@dataclass(frozen=True)
class Coverage:
    """How a rail's values cover a window.

    Attributes:
        rail: its name.
        values: that have a weight.
        requested_s: between two reads as asked for; None for a stream.
        refresh_s, refresh_found: of the value; whether it was found by looking.
        covered: share of the window outside gaps.
        observed: share of the time inside an average; below 1 where averages are polled slower than they are renewed.
        longest_gap_s: longest stretch between two rows that touch the window, or to the window's edge.
        gaps: stretches over three refreshes.
        duplicates, missing, rejected, out_of_order, same_stamp, saturated: rows in the window.
        dropped: rows that the meter's sequence or the sampler says are lost.
        stuck_s: longest time without any change of the value, where that is longer than chance; 0 where it is not.
    """

    rail: str
    values: int
    requested_s: float | None
    refresh_s: float
    refresh_found: bool
    covered: float
    observed: float
    longest_gap_s: float
    gaps: int
    duplicates: int
    missing: int
    rejected: int
    out_of_order: int
    same_stamp: int
    saturated: int
    dropped: int
    stuck_s: float

    def to_json(self) -> dict:
        """Return JSON data."""
        return asdict(self)


def coverage_of(part: WindowEnergy, losses: tuple[Gap, ...], period_s: float | None) -> Coverage:
    """Return the coverage of a window by a rail.

    Args:
        part: the rail's energy in the window.
        losses: of the trace, of this sensor.
        period_s: between two reads as asked for.
    """
    series, start_s, end_s = part.series, part.start_s, part.end_s
    holes_s = [max(0.0, min(high_s, end_s) - max(low_s, start_s)) for low_s, high_s in series.lost]
    limit_s = GAP_REFRESHES * max(series.refresh.refresh_s, series.refresh.spacing_s)
    holes_s += [edge.missing_s for edge in (part.start, part.end) if edge.missing_s > limit_s]
    holes_s = [hole_s for hole_s in holes_s if hole_s > 0]
    inside = series.t_s[part.first : part.first + len(part.weights)]
    longest_s = float(np.diff(inside).max()) if len(inside) > 1 else part.time_s
    bad = {reason: _inside(stamps, start_s, end_s) for reason, stamps in series.bad_s.items()}
    dropped = sum(loss.count for loss in losses if start_s <= loss.t_s <= end_s and loss.reason in LOST)
    return Coverage(
        series.rail, int(np.count_nonzero(part.weights)), period_s, series.refresh.refresh_s, series.refresh.found,
        max(0.0, 1 - math.fsum(holes_s) / part.time_s), series.observed,
        max(longest_s, part.start.missing_s, part.end.missing_s), len(holes_s),
        bad["duplicate"], bad["missing"], bad["rejected"], bad["out of order"],
        _inside(series.same_stamp_s, start_s, end_s), _inside(series.saturated_s, start_s, end_s), dropped, _stuck_s(part),
    )  # fmt: skip


LOST = ("dropped", "garbage", "failed read", "stalled read", "queue overflow", "missed deadline", "out of order")


def _inside(stamps: np.ndarray, start_s: float, end_s: float) -> int:
    return int(np.count_nonzero((stamps >= start_s) & (stamps <= end_s)))


def _stuck_s(part: WindowEnergy) -> float:
    """Return the longest time without a change, where the rest of the window changes so much that chance cannot explain it."""
    values = part.inside_w[1:-1]
    if len(values) <= 2 * STUCK_REFRESHES:
        return 0.0
    steps = np.diff(values)
    if part.series.kind == "accumulated":
        # A total that stands still has power 0; nothing else of it can be stale.
        steps = values[1:]
    still = steps == 0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], still, [False]]).astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    if not len(runs) or runs.max() < STUCK_REFRESHES:
        return 0.0
    longest = int(runs.max())
    moves = np.abs(steps[~still])
    moving = len(moves) / max(1, len(steps) - longest)
    if len(moves) < STUCK_REFRESHES:
        return 0.0
    # A value that only flickers by one step may settle; one that moves by many does not come to rest on one bit pattern.
    quantum = max(part.series.channels[0].specification.quantum, float(moves.min()))
    if part.series.kind != "accumulated" and float(np.median(moves)) < 3 * quantum:
        return 0.0
    chance = longest * math.log(max(1e-12, 1 - moving)) if moving < 1 else -math.inf
    return longest * part.series.refresh.refresh_s if chance < math.log(1e-9) else 0.0


def why_invalid(covers: list[Coverage]) -> list[str]:
    """Return the reasons for which a window's values are not fit to be integrated."""
    reasons = []
    for cover in covers:
        if cover.covered < 1 - GAP_SHARE:
            reasons.append(f"gaps: {1 - cover.covered:.2%} of the window is without values of rail {cover.rail} "
                           f"(longest {cover.longest_gap_s:.3g} s), at most {GAP_SHARE:.1%} may be")  # fmt: skip
        if cover.saturated:
            reasons.append(f"saturation: {cover.saturated} samples of rail {cover.rail} are at full scale")
    return reasons


def shortest_s(covers: list[Coverage], minimum_s: float, requested: float) -> float:
    """Return how long a window must be: `minimum_s`, and twice the refresh over the relative uncertainty asked for."""
    refresh_s = max(cover.refresh_s for cover in covers)
    return max(minimum_s, 2 * refresh_s / requested)


def why_too_short(time_s: float, covers: list[Coverage], minimum_s: float, requested: float) -> str:
    """Return why a window is too short to be judged, or "" where it is long enough."""
    refresh_s = max(cover.refresh_s for cover in covers)
    if time_s < refresh_s:
        return f"window of {time_s:.3g} s is shorter than the sensor's refresh of {refresh_s:.3g} s: run more iterations"
    needed_s = shortest_s(covers, minimum_s, requested)
    if time_s >= needed_s * (1 - 1e-9):
        return ""
    return (f"window of {time_s:.3g} s is too short: at least {needed_s:.3g} s are needed with values that are renewed every "
            f"{refresh_s * 1e3:.3g} ms, run more iterations")  # fmt: skip


@dataclass(frozen=True)
class Lock:
    """How samples fall on the iterations.

    Attributes:
        period_s: mean duration of an iteration; 0 where nobody knows the iterations.
        alias: (m,) alias[i - 1] is the length of the mean of exp(2 pi j i phase): 0 for even phases, 1 where all samples
            lie on the same phase of harmonic i.
        local: (m,) the same of stretches of the window, put together as if phases were new in each: what is left where iterations
            vary and nobody marked them; zeros where they are marked.
        through: (m,) what a value lets through of each harmonic: 1 for points, |sinc| of its length for an average.
        n: samples.
    """

    period_s: float
    alias: np.ndarray
    local: np.ndarray
    through: np.ndarray
    n: int

    @property
    def chance(self) -> float:
        """Length above which chance does not bring it."""
        return math.sqrt(math.log(1e6 * len(self.alias)) / self.n)

    @property
    def harmonic(self) -> int:
        """The first harmonic that matters and is seen always at the same phase; 0 where none is."""
        if not self.n:
            return 0
        seen = (self.alias * self.through)[:HARMONICS] > max(LOCKED_ABOVE, self.chance)
        return int(np.argmax(seen)) + 1 if seen.any() else 0

    @property
    def locked(self) -> bool:
        """Whether a harmonic that matters is seen always at the same phase."""
        return self.harmonic > 0

    @property
    def share(self) -> float:
        """Standard uncertainty of the mean in units of the scatter that the iterations bring to values at even phases.

        A load with steps in it has 1/m in harmonic m, of which values show what they let through. Lengths that chance may bring
        count, too: a sampling that slowly beats with the iterations leaves no more than those, and neighbours are then too alike
        to show it as noise.
        """
        if not len(self.alias):
            return 0.0
        shown = self.through / np.arange(1, len(self.alias) + 1)
        length = np.maximum(self.alias, self.local)
        return float(np.sqrt(np.sum((length * shown) ** 2) / np.sum(shown**2)))


def phase_uncertainty_w(lock: Lock, part: WindowEnergy, noise_w2: float, power_w: float) -> float:
    """Return the standard uncertainty of a rail's mean power by samples that fall unevenly on the iterations.

    Values that leave out a share of the phases leave out as much of the scatter that iterations bring. Where they leave out most,
    as averages may that are nearly as long as an iteration, all that is known is that no harmonic of a power is larger than its
    mean, here with 1/m in harmonic m. Averages without a pause leave out nothing: what counts is that they are stamped when
    they are read, up to a read late, so that the time from one to the next goes with what is in them.

    Args:
        noise_w2: variance of the sensor's own noise.
        power_w: mean power of the rail above what is always there.
    """
    if not lock.n:
        return 0.0
    share, scatter, order = lock.share, part.scatter, np.arange(1, HARMONICS + 1)
    shown, let = lock.through[:HARMONICS] / order, lock.alias[:HARMONICS] * lock.through[:HARMONICS] / order
    most_w2 = 2 * power_w**2 * float(shown @ shown)  # of iterations, in a value; the rest is a load that changes slowly
    alike_w2 = min(most_w2, max(0.0, scatter.sd_w**2 - scatter.white_w2))
    fresh_w2 = min(most_w2, max(0.0, scatter.white_w2 - noise_w2))
    if part.series.pauseless:
        late = min(1.0, part.series.refresh.spacing_s / part.series.refresh.refresh_s)
        return math.sqrt((alike_w2 + fresh_w2) / 6) * late * share
    # Of what is new in every value, noise has all that even phases leave.
    found_w = math.sqrt(alike_w2 * share**2 + fresh_w2 * max(0.0, share**2 - 1 / lock.n))
    if share < FEW_PHASES:
        return found_w / (1 - share)
    return max(found_w, power_w * math.sqrt(2 * float(let @ let)))


def lock_of(part: WindowEnergy, iterations: int, marks: list[Window]) -> Lock:
    """Return how a rail's samples fall on the iterations of a window.

    Args:
        part: the rail's energy in the window.
        iterations: executed in the window; taken as equally long where `marks` are missing.
        marks: windows of single iterations, sorted.
    """
    none = Lock(0.0, np.zeros(0), np.zeros(0), np.zeros(0), 0)
    inside = [mark for mark in marks if mark.start_s >= part.start_s - 1e-9 and mark.end_s <= part.end_s + 1e-9]
    if part.series.kind == "accumulated" or (len(inside) < 3 and iterations < 3):
        return none
    if len(inside) >= 3:
        begin_s = np.array([mark.start_s for mark in inside])
        each_s = np.diff(np.append(begin_s, inside[-1].end_s))
    else:
        each_s = np.full(iterations, part.time_s / iterations)
        begin_s = part.start_s + each_s * np.arange(iterations)
    t_s = part.series.t_s[part.first : part.first + len(part.weights)]
    t_s = t_s[(t_s >= begin_s[0]) & (t_s < begin_s[-1] + each_s[-1])]
    if len(t_s) < 8:
        return none
    return _lock(t_s, begin_s, each_s, part.series, () if len(inside) >= 3 else STRETCHES)


def _lock(t_s: np.ndarray, begin_s: np.ndarray, each_s: np.ndarray, series: Series, stretches: tuple[int, ...]) -> Lock:
    """Return how samples at t_s fall on iterations that begin at begin_s and last each_s."""
    at, n = np.searchsorted(begin_s, t_s, "right") - 1, len(t_s)
    phase = np.clip((t_s - begin_s[at]) / each_s[at], 0, 1 - 1e-12)
    alias, local = np.abs(_turned(phase)) / n, np.zeros(BINS // 4)
    for number in stretches:
        parts = [np.abs(_turned(part)) ** 2 for part in np.array_split(phase, min(number, n // 8))]
        local = np.maximum(local, np.sqrt(np.sum(parts, axis=0)) / n)
    period_s, through = float(each_s.mean()), np.ones(len(alias))
    if series.kind == "average":
        through = np.abs(np.sinc(np.arange(1, len(alias) + 1) * series.span_s / period_s))
    return Lock(period_s, alias, local, through, n)


def _turned(phase: np.ndarray) -> np.ndarray:
    """Return the sums of exp(-2 pi j i phase) for the harmonics i from 1."""
    return np.fft.rfft(np.bincount((phase * BINS).astype(int), minlength=BINS))[1 : BINS // 4 + 1]
