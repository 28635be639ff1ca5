"""From a window's energies by rail to the sources of their errors, with what rails, edges and windows have in common.

Gain, shunt and offset belong to a channel, and are the same in a run and in its idle. A time base belongs to a sensor. Edges,
stamps and alignment belong to an edge, and hit all rails of a sensor together. Noise is shared as far as the rails' steps are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from host.sensor import Channel
from host.trace import SensorRecord
from measurements.budget import RECTANGULAR, Source
from measurements.energy_window import EDGE_POINT, Edge, WindowEnergy, edge_mean
from measurements.noise import LongRun, correlation
from measurements.series import power_offset_w


@dataclass(frozen=True)
class Circumstances:
    """What the errors of a window depend on besides its values.

    Attributes:
        window: tells edges and noise of one window from another's.
        residual_s: of the alignment of a meter's clock, 0 where stamps are the host's.
        quiet: rail to the noise of a constant load, found in idle; {} where there is none.
        quiet_w: rail to its idle power.
        constant: the load in the window is constant (idle), so that all its scatter is noise.
    """

    window: tuple
    residual_s: float
    quiet: dict[str, LongRun]
    quiet_w: dict[str, float]
    constant: bool = False


def unknown(parts: list[WindowEnergy]) -> list[str]:
    """Return the channels for which nobody states a gain error."""
    return [channel.name for part in parts for channel in part.series.channels if channel.specification.gain is None]


def sources_of(record: SensorRecord, parts: list[WindowEnergy], told: Circumstances) -> list[Source]:
    """Return the sources of error of the sum of rails in a window.

    Args:
        record: the sensor of all parts.
        parts: one for each rail.
        told: the rest that errors depend on.
    """
    found = []
    for part in parts:
        found += _channel_sources(record, part, told.window)
        found += _edge_sources(part, told)
        found += _missing_sources(part, told.window)
    found.append(_noise_source(parts, told))
    return [source for source in found if source.u_j != 0]


def _channel_sources(record: SensorRecord, part: WindowEnergy, window: tuple) -> list[Source]:
    """Return gain, shunt, offset, time base and quantisation of a rail's channels."""
    series, found = part.series, _calibration_sources(part)
    for index, channel in enumerate(series.channels):
        limits = channel.specification
        other = 1.0 if series.factors is None else _used_factor(part, 1 - index)
        own = part.used if series.factors is None else _used_factor(part, index)
        for name, limit in (("gain", limits.gain or 0.0), ("shunt", limits.shunt)):
            found.append(Source(name, (channel.name,), limit * part.energy_j * RECTANGULAR, systematic=True, grows=1.0))
        if channel.unit == "J":
            found += _total_sources(record, part, channel, window)
            continue
        offset_j = limits.offset * float(np.sum(part.weights * other))
        found.append(Source("offset", (channel.name,), offset_j * RECTANGULAR, systematic=True, grows=1.0))
        step = quantisation(own, part.weights, limits.quantum) * float(np.mean(other))
        found.append(Source("quantisation", (channel.name, *window), step, systematic=True, grows=1.0))
    if series.kind == "average" and series.factors is not None:
        # The mean of a product is not the product of means; inside a span volts and amperes may vary as they do between spans.
        together_w = float(np.prod([_used_factor(part, index).std() for index in (0, 1)]))
        found.append(Source("product of means", (series.rail, *window), together_w * part.time_s * RECTANGULAR,
                            systematic=True, grows=1.0))  # fmt: skip
    return found


def _calibration_sources(part: WindowEnergy) -> list[Source]:
    """Return what a calibration's own gain and offset are uncertain by: two independent errors that make up their covariance."""
    made = part.series.calibration
    if made is None:
        return []
    reading_j = (part.energy_j - made.offset_w * part.time_s) / made.gain
    shared = made.covariance / made.u_gain if made.u_gain else 0.0
    rest = math.sqrt(max(0.0, made.u_offset_w**2 - shared**2))
    key = (made.channel, made.date)
    return [
        Source("calibration", (*key, "gain"), made.u_gain * reading_j + shared * part.time_s, made.dof, True, 1.0),
        Source("calibration", (*key, "offset"), rest * part.time_s, made.dof, True, 1.0),
    ]


def _used_factor(part: WindowEnergy, index: int) -> np.ndarray:
    return part.series.factors[part.first : part.first + len(part.weights), index]


def _total_sources(record: SensorRecord, part: WindowEnergy, channel: Channel, window: tuple) -> list[Source]:
    """Return what is special in a running total: its clock, its two readings, the offset of the power that it adds up.

    Repeats that scatter by less than a step of the total all read the same, so that their scatter does not show the step.
    """
    limits, offset_w = channel.specification, power_offset_w(record, channel) if part.series.calibration is None else 0.0
    return [
        Source("time base", (record.url,), limits.time_base * part.energy_j * RECTANGULAR, systematic=True, grows=1.0),
        Source("quantisation", (channel.name, *window), limits.quantum / math.sqrt(6), systematic=True),
        Source("offset", (channel.name,), offset_w * part.time_s * RECTANGULAR, systematic=True, grows=1.0),
    ]


def quantisation(values: np.ndarray, weights: np.ndarray, quantum: float) -> float:
    """Return the standard uncertainty of a weighted sum by the steps in which values (m,) come.

    Values that rest on one step share one error of at most half a step. Where noise or a ramp spreads them over neighbours,
    their mean tells more: with a share p on the step above, the error is at most |1 - 2 p| of that; over more, nothing is left.
    Each level that a load keeps coming back to is a peak of its own.
    """
    if not quantum > 0 or not len(values):
        return 0.0
    steps = np.rint(values / quantum)
    steps -= steps.min()
    if steps.max() > 1e6:
        return 0.0  # a load that roams over a million steps rests on none of them
    share = np.bincount(steps.astype(int) + 1, weights, minlength=int(steps.max()) + 3)
    left, here, right = share[:-2], share[1:-1], share[2:]
    peak = (here > 0) & (here >= left) & (here > right)
    total = left[peak] + here[peak] + right[peak]
    mean = (right[peak] - left[peak]) / total
    variance = (right[peak] + left[peak]) / total - mean**2
    unknown = total * np.sqrt(np.maximum(0.0, 1 - 4 * variance))
    return quantum / math.sqrt(12) * math.sqrt(float(unknown @ unknown))


def _edge_sources(part: WindowEnergy, told: Circumstances) -> list[Source]:
    """Return edges, stamps and alignment."""
    series, found = part.series, []
    new = min(1.0, series.refresh.refresh_s / series.span_s) if series.span_s else 1.0
    share = EDGE_POINT if series.kind == "point" else edge_mean(new)
    for side, edge in (("start", part.start), ("end", part.end)):
        key = (*told.window, side)
        if not told.constant:
            # Most of it is a bias that every repeat has: a step at the mark is always seen late or early by the same rule.
            u_j = math.copysign(edge.swing_w, edge.step_w) * edge.spacing_s * share
            found.append(Source("edges", key, u_j, systematic=True))
        moved_w = edge.power_w if series.kind == "accumulated" else edge.step_w
        if told.residual_s and (series.kind == "accumulated" or not told.constant):
            found.append(Source("alignment", key, moved_w * told.residual_s * RECTANGULAR, systematic=True))
        if series.kind == "accumulated":
            found.append(Source("stamps", key, edge.power_w * series.lag_s / math.sqrt(12)))
    if series.kind != "accumulated":
        rough_w = math.sqrt(part.scatter.n * part.scatter.rough_w2)
        found.append(Source("stamps", told.window, rough_w * series.lag_s / math.sqrt(12), grows=0.5))
    return found


def _missing_sources(part: WindowEnergy, window: tuple) -> list[Source]:
    """Return what may have happened where nothing was read: anything between the lowest and the highest power seen, evenly."""
    inside_w = part.inside_w
    swing_w = float(np.ptp(inside_w)) if len(inside_w) else 0.0
    u_j2 = 0.0
    for low_s, high_s in part.series.lost:
        u_j2 += (max(0.0, min(high_s, part.end_s) - max(low_s, part.start_s)) * swing_w / 2 * RECTANGULAR) ** 2
    for edge in (part.start, part.end):
        u_j2 += (edge.missing_s * max(_largest(edge), swing_w) * RECTANGULAR) ** 2
    return [Source("missing samples", (part.series.rail, *window), math.sqrt(u_j2))]


def _largest(edge: Edge) -> float:
    return max(abs(edge.power_w), edge.swing_w)


def _noise_source(parts: list[WindowEnergy], told: Circumstances) -> Source:
    """Return the noise of all rails together."""
    each = [_rail_noise(part, told) for part in parts]
    total_j2 = math.fsum(u_j**2 for u_j, _ in each)
    for i, one in enumerate(parts):
        for j in range(i):
            if each[i][0] and each[j][0]:
                total_j2 += 2 * _shared(one, parts[j]) * each[i][0] * each[j][0]
    dof = min((dof for u_j, dof in each if u_j), default=math.inf)
    return Source("noise", told.window, math.sqrt(total_j2), dof, grows=0.5)


def _shared(one: WindowEnergy, other: WindowEnergy) -> float:
    """Return the correlation of two rails' scatter at the times of the first one's values."""
    if "accumulated" in (one.series.kind, other.series.kind):
        return 0.0
    t_s = one.series.t_s[one.first : one.first + len(one.weights)]
    return correlation(one.used, np.interp(t_s, other.series.t_s, other.series.values))


def _rail_noise(part: WindowEnergy, told: Circumstances) -> tuple[float, float]:
    """Return standard uncertainty in joules and degrees of freedom of one rail's noise in a window."""
    if part.series.kind == "accumulated":
        return 0.0, math.inf
    seen, quiet = part.scatter, told.quiet.get(part.series.rail)
    length_s = math.sqrt(part.square)
    if quiet is None or quiet.white_w2 == 0:
        return math.sqrt(seen.variance_w2) * length_s, seen.dof
    if told.constant:
        return math.sqrt(quiet.variance_w2) * length_s, quiet.dof
    # Noise may grow with the level; how far it does is limited by what the window itself shows.
    idle_w = abs(told.quiet_w.get(part.series.rail, 0.0))
    level = (part.power_w / idle_w) ** 2 if idle_w else math.inf
    grown = min(max(seen.variance_w2 / quiet.white_w2, 1.0), max(level, 1.0))
    noise_w2 = quiet.variance_w2 * grown
    # What averages show beyond the noise is the load itself, which they have seen whole unless there is time between them.
    between_w2 = seen.unseen_w2(quiet.white_w2 * grown)
    dof = quiet.dof if noise_w2 > between_w2 else seen.dof
    return math.sqrt(noise_w2 + between_w2) * length_s, dof
