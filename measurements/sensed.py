"""What one sensor's trace says of a run: energy of the run as its repeats gave it, with uncertainty and verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from host.trace import Trace, TraceError, Window, windows
from measurements.alignment import Alignment
from measurements.calibration import Calibration
from measurements.joules import Joules, SensorEnergies
from measurements.quantities import Quantity, invalid
from measurements.repeats import Pooled, pool
from measurements.series import NoEnergy

RUN, REPEAT, IDLE = "run", "repeat", "idle"

WHOLE_RUN = "iterations_of_the_whole_run"
"""What the note of the run's window says where an earlier run did a part of it: the repeats do all of it."""


ALONE = "measured_alone"
"""True in the note of the run's window where it was not repeated: the energy is that of this window."""

_NO_SCATTER = "the energy of one window: by how much repeats of it would differ is not in its U"


@dataclass(frozen=True)
class Sensed:
    """Energy of a run by one sensor.

    Attributes:
        url, label: of the sensor.
        gross, net: of the run once.
        repeats: each of them, and `pooled` all of them together; None where one is invalid or there is only one.
        runs: how often each repeat did the run.
        alignment: of the meter's clock; None where stamps are the host's.
        notes: on the alignment, one sentence each.
    """

    url: str
    label: str
    gross: Quantity
    net: Quantity
    repeats: tuple[Joules, ...]
    pooled: Pooled | None
    runs: int
    alignment: Alignment | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict:
        """Return JSON data."""
        warnings = sorted({warning for repeat in self.repeats for warning in repeat.warnings} | {*self.notes})
        return {
            "url": self.url, "label": self.label, "gross": self.gross.to_json(), "net": self.net.to_json(),
            "runs_in_a_repeat": self.runs, "repeats": self.pooled.to_json() if self.pooled else None, "warnings": warnings,
            **({"alignment": self.alignment.to_json()} if self.alignment else {}),
        }  # fmt: skip


def sensed_run(
    trace: Trace, sensor: int, alignment: Alignment | None = None, notes: tuple[str, ...] = (),
    calibrations: Sequence[Calibration] = (), watched: str = "",
) -> Sensed:  # fmt: skip
    """Return the energy of the run of a trace, as the mean of its repeats; of one window without the scatter's share in U, and a
    note that says so.

    Args:
        alignment: of the meter's own clock, and notes on it.
        calibrations: made with this sensor.
        watched: what the sensor watches, where its scope alone would mislead.

    Raises:
        TraceError: the trace lacks the run, its repeats or idle.
        NoEnergy: a repeat has no samples.
        NotPooled: the repeats do not belong together.
    """
    run, idle = _found(trace, RUN)[0], idle_windows(trace)
    source = SensorEnergies(trace, sensor, alignment=alignment, calibrations=calibrations)
    repeated = [run] if run.note.get(ALONE) else _found(trace, REPEAT)
    repeats = tuple(source.joules(window, idle=idle) for window in repeated)
    iterations = run.note.get(WHOLE_RUN, run.iterations)
    known = isinstance(iterations, int) and iterations > 0
    runs, left = divmod(repeats[0].iterations, iterations) if known else (0, 0)
    if not runs or left:
        found = f"the repeats have {repeats[0].iterations} iterations, the run {iterations}"
        raise TraceError(f"{found}: a repeat holds the run once or several times, whole")
    gross, net, pooled = _mean(repeats, runs)
    url, label = trace.sensors[sensor].url, repeats[0].label
    notes = (*notes, _NO_SCATTER) if len(repeats) == 1 else notes
    return Sensed(url, label, gross.of(watched), net.of(watched), repeats, pooled, runs, alignment, notes)


def _mean(repeats: Sequence[Joules], runs: int) -> tuple[Quantity, Quantity, Pooled | None]:
    """Return gross and net energy of a run, and the repeats pooled where that can be."""
    if len(repeats) == 1 and repeats[0].net is not None:
        return repeats[0].gross.divided(runs), repeats[0].net.divided(runs), None
    bad = [why for repeat in repeats for why in (repeat.gross, repeat.net) if why is None or why.u95 is None]
    if bad:
        gross, net = (_invalid([getattr(repeat, kind) for repeat in repeats], runs) for kind in ("gross", "net"))
        return gross, net, None
    pooled = pool(repeats)
    return pooled.gross.divided(runs), pooled.net.divided(runs), pooled


def idle_windows(trace: Trace) -> list[Window]:
    """Return the windows in which the board rested."""
    return [window for window in windows(trace) if window.phase == IDLE]


def _found(trace: Trace, name: str) -> list[Window]:
    found = windows(trace, name)
    if not found:
        raise TraceError(f"the trace ({trace.status}) has no window {name!r}: a run's energy is taken from a run and its repeats")
    return found


def _invalid(quantities: Sequence[Quantity | None], runs: int) -> Quantity:
    """Return the mean of repeats of which at least one is invalid, as invalid as that one."""
    known = [quantity for quantity in quantities if quantity is not None]
    if len(known) < len(quantities):
        raise NoEnergy("a repeat has no net energy: there is no idle window before or after it")
    mean_j = math.fsum(quantity.value for quantity in known) / len(known)
    reasons = [quantity.verdict.removeprefix("invalid: ") for quantity in known if quantity.u95 is None]
    why = reasons[0] if reasons else "another energy of these repeats is invalid"
    return invalid(mean_j / runs, why, known[0].scope)
