"""What of a window was really seen, and why it is not fit to be reported: gaps, saturation, stale values, too short."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from host.trace import Gap
from measurements.energy_window import WindowEnergy
from measurements.series import GAP_REFRESHES

GAP_SHARE = 0.001
"""Gaps above this share of the window make it invalid (the limit on dropped samples of MLPerf Tiny's energy mode)."""
MINIMUM_S = 10.0
REQUESTED = 0.05
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
