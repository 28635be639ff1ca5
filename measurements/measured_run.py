"""Every window of a recorded measurement as joules: what `joulegrad.measure` reports, and what `recompute` finds again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from host.trace import Trace, Window, windows
from measurements.alignment import Alignment, AlignmentError, align
from measurements.arrivals import align_arrivals
from measurements.calibration import Calibration, identity_of
from measurements.joules import Joules, SensorEnergies
from measurements.quantities import RunEnergies
from measurements.series import NoEnergy

RUN = "run"
IDLE = "idle"


@dataclass(frozen=True)
class Measured:
    """What the sensors of a trace say of its windows.

    Attributes:
        trace: all raw data.
        windows: those that are not idle and no signature, in order of their start.
        joules: of each window, by each sensor that gave a number.
        missing: why a sensor gave none for a window, one sentence each.
    """

    trace: Trace
    windows: tuple[Window, ...]
    joules: tuple[tuple[Joules, ...], ...]
    missing: tuple[str, ...]

    def run(self) -> tuple[Joules, ...]:
        """Return the joules of the whole run, by sensor. Raises NoEnergy where no sensor gave a number."""
        for window, found in zip(self.windows, self.joules, strict=True):
            if window.name == RUN and found:
                return found
        raise NoEnergy("; ".join(self.missing) or "the trace has no window 'run': the measurement did not get that far")

    def to_json(self) -> dict:
        """Return the JSON of a run's energies; the first sensor's number stands for the run, all of them are in "windows"."""
        first = self.run()[0]
        net = {} if first.net is None else {first.label: first.net}
        energies = RunEnergies(first.iterations, first.iterations, first.time_s, {first.label: first.gross}, net)
        return {**energies.to_json(), "windows": [one.to_json() for found in self.joules for one in found],
                "missing": list(self.missing)}  # fmt: skip


def measured(trace: Trace, calibrations: Sequence[Calibration] = ()) -> Measured:
    """Return the joules of all windows of a trace by all its sensors.

    Raises:
        CalibrationError: a calibration belongs to none of the sensors, or to another scope of one.
    """
    every = windows(trace)
    idle = [window for window in every if window.phase == IDLE and not window.note.get("aborted")]
    worked = tuple(window for window in every if window.phase not in (IDLE, "signature"))
    own = by_sensor(trace, calibrations)
    aligned, missing = [], []
    for sensor, record in enumerate(trace.sensors):
        try:
            aligned.append(alignment_of(trace, sensor))
        except AlignmentError as error:
            aligned.append(None)
            missing.append(f"{record.url}: its values are stamped on arrival, its own clock cannot be used: {error}")
    sources = []
    for sensor, record in enumerate(trace.sensors):
        try:
            sources.append(SensorEnergies(trace, sensor, alignment=aligned[sensor], calibrations=own[sensor]))
        except NoEnergy as error:
            missing.append(f"{record.url}: {error}")
    found = []
    for window in worked:
        numbers = []
        for source in sources:
            try:
                numbers.append(source.joules(window, idle=idle))
            except NoEnergy as error:
                missing.append(f"{source.record.url}, window {window.name!r} number {window.number}: {error}")
        found.append(tuple(numbers))
    return Measured(trace, worked, tuple(found), tuple(missing))


def by_sensor(trace: Trace, calibrations: Sequence[Calibration]) -> list[list[Calibration]]:
    """Return for each sensor the calibrations that were made with it."""
    identities = [identity_of(record.url, record.description) for record in trace.sensors]
    for one in calibrations:
        if one.sensor not in identities:
            one.check(identities[0], one.channel, one.scope)
    return [[one for one in calibrations if one.sensor == identity] for identity in identities]


def alignment_of(trace: Trace, sensor: int) -> Alignment | None:
    """Return how the clock of a sensor stands to the host's; None where it has none of its own.

    Signatures tell it best; without them the arrivals do.

    Raises:
        AlignmentError: signatures were played and do not fit, or there are too few arrivals.
    """
    if any(window.phase == "signature" for window in windows(trace)):
        return align(trace, sensor)
    return align_arrivals(trace.sensors[sensor])
