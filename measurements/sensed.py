"""What one sensor's trace says of a run: energy of the run as its repeats gave it, with uncertainty and verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from host.trace import Trace, TraceError, Window, windows
from measurements.joules import Joules, joules
from measurements.quantities import Quantity, invalid
from measurements.repeats import Pooled, pool
from measurements.series import NoEnergy

RUN, REPEAT, IDLE = "run", "repeat", "idle"


@dataclass(frozen=True)
class Sensed:
    """Energy of a run by one sensor.

    Attributes:
        url, label: of the sensor.
        gross, net: of the run once.
        repeats: each of them, and `pooled` all of them together; None where one is invalid or there is only one.
        runs: how often each repeat did the run.
    """

    url: str
    label: str
    gross: Quantity
    net: Quantity
    repeats: tuple[Joules, ...]
    pooled: Pooled | None
    runs: int

    def to_json(self) -> dict:
        """Return JSON data."""
        warnings = sorted({warning for repeat in self.repeats for warning in repeat.warnings})
        return {
            "url": self.url, "label": self.label, "gross": self.gross.to_json(), "net": self.net.to_json(),
            "runs_in_a_repeat": self.runs, "repeats": self.pooled.to_json() if self.pooled else None, "warnings": warnings,
        }  # fmt: skip


def sensed_run(trace: Trace, sensor: int) -> Sensed:
    """Return the energy of the run of a trace, as the mean of its repeats; of a single one without the scatter's share in U.

    Raises:
        TraceError: the trace lacks the run, its repeats or idle.
        NoEnergy: a repeat has no samples.
        NotPooled: the repeats do not belong together.
    """
    run, idle = _found(trace, RUN)[0], idle_windows(trace)
    repeats = tuple(joules(trace, window, sensor=sensor, idle=idle) for window in _found(trace, REPEAT))
    runs = repeats[0].iterations // max(run.iterations, 1)
    url, label = trace.sensors[sensor].url, repeats[0].label
    if len(repeats) == 1 and repeats[0].net is not None:
        return Sensed(url, label, repeats[0].gross.divided(runs), repeats[0].net.divided(runs), repeats, None, runs)
    bad = [why for repeat in repeats for why in (repeat.gross, repeat.net) if why is None or why.u95 is None]
    if bad:
        gross, net = (_invalid([getattr(repeat, kind) for repeat in repeats], runs) for kind in ("gross", "net"))
        return Sensed(url, label, gross, net, repeats, None, runs)
    pooled = pool(repeats)
    return Sensed(url, label, pooled.gross.divided(runs), pooled.net.divided(runs), repeats, pooled, runs)


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
