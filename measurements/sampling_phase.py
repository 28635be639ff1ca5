"""How samples fall on the iterations: locked to them, nearly in step with them, or evenly; and what that leaves uncertain."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from host.trace import Window
from measurements.energy_window import WindowEnergy
from measurements.series import Series

LOCKED_ABOVE = 0.25
HARMONICS = 10
BINS = 4096
"""Of a turn, in which phases are counted; a quarter of them are harmonics."""
STRETCHES = (16, 40)
"""Of a window, in each of which iterations that nobody marked are taken as equally long. Samples may go around a whole number of
times in stretches of one length, and so seem even: then those of the other tell."""
FEW_PHASES = 0.75
"""Share of a lock above which values show too few phases of an iteration to tell how much it changes."""


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
