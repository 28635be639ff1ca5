"""Finds power signatures in a trace: where each begins on the meter's clock, and how fast that clock runs.

Position and stretch of every signature are searched together by cross-correlation, on a grid that is a fraction of a chip;
`measurements.signature_fit` makes it exact. Slow drift and load steps are taken out by a high-pass, outliers are clipped.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

GRID_PER_CHIP = 16
HIGH_PASS_CHIPS = 16
"""Longer than the longest stretch of one kind in the sequence (its order), so that little of the signature is lost."""

CLIP = 4.0
"""High-passed power is clipped at so many robust standard deviations: a step of the load counts no more than a signature's."""

NEEDED = 1.8
"""The best place must correlate by this factor better than the next: of noise alone the best two differ by up to 1.5."""

TWIN = 0.5
"""A second place that correlates as well as this is no noise, but the pattern again; the other signature tells which it is."""

AMBIGUOUS = 0.8
"""Another place that correlates by this share of the best one makes the answer ambiguous."""

CANDIDATES = 4


class AlignmentError(RuntimeError):
    """The clocks cannot be aligned; the message says what was found and what would be needed."""


@dataclass(frozen=True)
class Signature:
    """A signature as the host knows it.

    Attributes:
        name: of its window.
        start_s: of the pattern, on the host's clock.
        on_s: float64 (m, 2), stretches of work relative to it, in order, apart from each other.
        chip_s: the shortest stretch of the pattern.
        duration_s: of the pattern.
    """

    name: str
    start_s: float
    on_s: np.ndarray
    chip_s: float
    duration_s: float

    def on_time_s(self, t_s: np.ndarray) -> np.ndarray:
        """Return the time worked from the start of the pattern to `t_s` (relative to it): the integral of the pattern."""
        knots = self.on_s.reshape(-1)
        worked = np.concatenate([[0.0], np.cumsum(self.on_s[:, 1] - self.on_s[:, 0])])
        return np.interp(t_s, knots, np.repeat(worked, 2)[1:-1])


@dataclass(frozen=True)
class Place:
    """Where a signature was found.

    Attributes:
        at_s: its start on the time axis of the search.
        stretch: host seconds per second of that axis, less 1.
        score: correlation coefficient.
        step_w: power of the work over that of the rest.
    """

    at_s: float
    stretch: float
    score: float
    step_w: float


def search(
    x_s: np.ndarray, power_w: np.ndarray, signatures: Sequence[Signature], reach_s: float, reach_rate: float
) -> list[Place]:
    """Return where each signature begins, all by one clock.

    Args:
        x_s, power_w: float64 (n,), the trace on a time axis near the host's, ascending.
        signatures: in order of time; at least two.
        reach_s: host time differs from `x_s` by at most so much.
        reach_rate: and their rates by at most this.

    Raises:
        AlignmentError: one is missing, drowns in noise, or fits two places.
    """
    found = [_candidates(x_s, power_w, signature, reach_s, reach_rate) for signature in signatures]
    # A place is good to a step of its grid, which is never above a chip.
    grid = max(signature.chip_s for signature in signatures) / (signatures[-1].start_s - signatures[0].start_s)
    tolerance = [2 * _rate_step(signature) + grid for signature in signatures]
    sets = []
    for places in itertools.product(*found):
        rate = _rate(signatures, places)
        alike = all(abs(place.stretch - rate) <= limit for place, limit in zip(places, tolerance, strict=True))
        if alike and abs(rate) <= 1.2 * reach_rate + grid:
            sets.append((sum(p.score for p in places), places))
    if not sets:
        raise AlignmentError(
            f"the signatures were found, but {_seconds_apart(found):.3f} s apart where the host knows of "
            f"{signatures[-1].start_s - signatures[0].start_s:.3f} s: no clock within {1e2 * reach_rate:.1f} % of the host's "
            "shows that, record them again"
        )
    sets.sort(key=lambda entry: -entry[0])
    best, places = sets[0]
    for score, others in sets[1:]:
        if score > AMBIGUOUS * best:
            raise AlignmentError(_ambiguous(signatures, places, others))
    return list(places)


def _seconds_apart(found: Sequence[list[Place]]) -> float:
    return found[-1][0].at_s - found[0][0].at_s


def _rate(signatures: Sequence[Signature], places: Sequence[Place]) -> float:
    """Return host seconds per second of the search's axis, less 1, from the first to the last place."""
    apart = places[-1].at_s - places[0].at_s
    return (signatures[-1].start_s - signatures[0].start_s) / apart - 1 if apart > 0 else np.inf


def _ambiguous(signatures: Sequence[Signature], places: Sequence[Place], others: Sequence[Place]) -> str:
    signature, place, other = next(
        (s, p, o) for s, p, o in zip(signatures, places, others, strict=True) if abs(p.at_s - o.at_s) > s.chip_s
    )
    return (f"the {signature.name!r} fits two places, {abs(other.at_s - place.at_s):.3f} s apart, nearly as well (correlation "
            f"{place.score:.2f} and {other.score:.2f}): a longer sequence, or quiet around it, is needed")


def _rate_step(signature: Signature) -> float:
    """Return the step of the search over rates: the far end of the signature moves by half a chip."""
    return 0.5 * signature.chip_s / signature.duration_s


def _candidates(x_s: np.ndarray, power_w: np.ndarray, signature: Signature, reach_s: float, reach_rate: float) -> list[Place]:
    """Return the best places of one signature, best first, apart by more than a chip."""
    margin = reach_s + HIGH_PASS_CHIPS * signature.chip_s
    low, high = signature.start_s - margin, signature.start_s + signature.duration_s * (1 + reach_rate) + margin
    inside = (x_s >= low) & (x_s <= high)
    count = int(inside.sum())
    if count < len(signature.on_s) * 2:
        raise AlignmentError(f"{count} values lie within {margin:.1f} s of the {signature.name!r}, too few for its "
                             f"{2 * len(signature.on_s)} edges: the meter must run before, during and after it")
    spacing = spacing_of(x_s[inside])
    if spacing > signature.chip_s:
        raise AlignmentError(f"the meter gives a value every {spacing:.3g} s, but the {signature.name!r} has chips of "
                             f"{signature.chip_s:.3g} s: play one with chips of at least {2 * spacing:.3g} s")
    step = max(signature.chip_s / GRID_PER_CHIP, spacing)
    start = float(x_s[inside][0])
    data = _clipped(_high_pass(_binned(x_s[inside] - start, power_w[inside], step), signature, step))
    places: list[Place] = []
    rates = int(np.ceil(reach_rate / _rate_step(signature)))
    for stretch in np.arange(-rates, rates + 1) * _rate_step(signature):
        correlation, amplitude, before = _correlated(data, signature, step, stretch)
        at = start + (np.arange(len(correlation)) + before) * step
        near = np.abs(at - signature.start_s) <= reach_s
        if not near.any():
            continue
        places += _peaks(at[near], correlation[near], amplitude[near], float(stretch), signature.chip_s)
    places = _apart(sorted(places, key=lambda place: -place.score), signature.chip_s)
    best = places[0] if places else Place(0.0, 0.0, 0.0, 0.0)
    elsewhere = next((place.score for place in places[1:] if place.score < TWIN), 0.0)
    if not best.score > NEEDED * elsewhere:
        noise_w = best.step_w * elsewhere / best.score if best.score else 0.0
        raise AlignmentError(
            f"no {signature.name!r} was found: the best match has a power step of {best.step_w:.3g} W, but noise alone makes "
            f"{noise_w:.2g} W elsewhere, so that {NEEDED * noise_w:.2g} W are needed: play a longer signature, or more quietly"
        )
    return [place for place in places if place.score > 0.5 * best.score]


def _apart(places: list[Place], chip_s: float) -> list[Place]:
    """Return the first CANDIDATES of places, best first, that are more than a chip and a half apart."""
    kept: list[Place] = []
    for place in places:
        if len(kept) < CANDIDATES and all(abs(place.at_s - other.at_s) > 1.5 * chip_s for other in kept):
            kept.append(place)
    return kept


def _peaks(at: np.ndarray, correlation: np.ndarray, amplitude: np.ndarray, stretch: float, chip_s: float) -> list[Place]:
    """Return the highest places of one correlation, apart by more than a chip."""
    left, places = correlation.copy(), []
    for _ in range(CANDIDATES):
        best = int(np.argmax(left))
        if not left[best] > 0:
            break
        places.append(Place(float(at[best]), stretch, float(left[best]), float(amplitude[best])))
        left[np.abs(at - at[best]) <= 1.5 * chip_s] = -np.inf
    return places


def spacing_of(x_s: np.ndarray) -> float:
    """Return the typical distance of values in ascending order; packets that arrive at once share theirs."""
    return float(np.median(np.diff(x_s))) or float(x_s[-1] - x_s[0]) / (len(x_s) - 1)


def _binned(x_s: np.ndarray, power_w: np.ndarray, step: float) -> np.ndarray:
    """Return mean power on a grid from 0; empty places lie on the line between their neighbours."""
    cells = np.rint(x_s / step).astype(np.int64)
    size = int(cells[-1]) + 1
    count = np.bincount(cells, minlength=size)
    total = np.bincount(cells, power_w, size)
    filled = np.flatnonzero(count)
    return np.interp(np.arange(size), filled, total[filled] / count[filled])


def _high_pass(power_w: np.ndarray, signature: Signature, step: float) -> np.ndarray:
    """Return power less its running mean over HIGH_PASS_CHIPS; at the ends the mean is of what is there."""
    half = max(1, round(HIGH_PASS_CHIPS * signature.chip_s / step / 2))
    total = np.concatenate([[0.0], np.cumsum(power_w - power_w.mean())])
    at = np.arange(len(power_w))
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, len(power_w))
    return power_w - power_w.mean() - (total[high] - total[low]) / (high - low)


def _clipped(power_w: np.ndarray) -> np.ndarray:
    limit = CLIP * _spread(power_w)
    return np.clip(power_w, -limit, limit) if limit > 0 else power_w


def _spread(values: np.ndarray) -> float:
    """Return the robust standard deviation: 1.4826 times the median absolute deviation."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _correlated(data: np.ndarray, signature: Signature, step: float, stretch: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Return correlation coefficient and power step at every lag, and grid steps from a lag to the pattern's start."""
    before = round(HIGH_PASS_CHIPS * signature.chip_s / step / 2)
    size = int(np.ceil(signature.duration_s / (1 + stretch) / step)) + 2 * before
    edges = (np.arange(size + 1) - before - 0.5) * step * (1 + stretch)
    pattern = np.diff(signature.on_time_s(edges)) / (step * (1 + stretch))
    template = _high_pass(pattern, signature, step)
    if size > len(data):
        return np.zeros(0), np.zeros(0), before
    length = 1 << (len(data) + size - 1).bit_length()
    spectrum = np.fft.rfft(data, length) * np.conj(np.fft.rfft(template, length))
    product = np.fft.irfft(spectrum, length)[: len(data) - size + 1]
    squares = np.concatenate([[0.0], np.cumsum(data**2)])
    local = np.maximum(squares[size:] - squares[:-size], 1e-300)
    energy = float(template @ template)
    return product / np.sqrt(energy * local), product / energy, before
