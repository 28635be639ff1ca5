"""What one sensor's trace says of a run: energy of the run as its repeats gave it, with uncertainty and verdict."""

from __future__ import annotations

from dataclasses import dataclass

from host.trace import Trace, windows
from measurements.joules import Joules, joules
from measurements.quantities import Quantity

RUN, REPEAT, IDLE = "run", "repeat", "idle"


@dataclass(frozen=True)
class Sensed:
    """Energy of a run by one sensor.

    Attributes:
        url, label: of the sensor.
        gross, net: of the run once.
        joules: of the repeats.
    """

    url: str
    label: str
    gross: Quantity
    net: Quantity
    joules: tuple[Joules, ...]

    def to_json(self) -> dict:
        """Return JSON data."""
        return {"url": self.url, "label": self.label, "gross": self.gross.to_json(), "net": self.net.to_json()}


def sensed_run(trace: Trace, sensor: int) -> Sensed:
    """Return the energy of the run of a trace."""
    (run,) = windows(trace, RUN)
    idle = [window for window in windows(trace) if window.phase == IDLE]
    found = tuple(joules(trace, window, sensor=sensor, idle=idle) for window in windows(trace, REPEAT))
    one = found[0]
    times = one.iterations / run.iterations
    return Sensed(trace.sensors[sensor].url, one.label, one.gross.divided(times), one.net.divided(times), found)
