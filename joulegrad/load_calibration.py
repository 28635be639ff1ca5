"""`joulegrad sensors calibrate`: known loads are connected one by one, the sensor is recorded, the calibration is kept."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from host.provenance import commit, versions
from host.sampler import Sampler
from host.sensor import open_sensor
from measurements import calibration as kept
from measurements.calibrate import STABILITY, WINDOW, Load, calibrate, check_physical, check_rail, resistor, stated, suspicion
from measurements.calibration import Calibration, CalibrationError

TRACE = ".trace.sqlite"
"""Ending of the file with the raw readings, beside the calibration's."""


@dataclass(frozen=True)
class CalibrationSettings:
    """What is asked for.

    Attributes:
        url: of the sensor.
        load_ohm, load_limit: resistors, and the relative limit of their resistance.
        voltage, voltage_limit: at the load; None where the sensor's own volts are taken.
        power, power_limit: loads whose watts another instrument states, and the relative limit of these.
        rail: None where the sensor has one only.
        added: the loads come on top of what hangs on the rail; a reading without them is taken first and last.
        seconds, settle_s: of recording each load, and of waiting after it was connected.
        stability: relative limit for what the gain changes by until the calibration is used.
        temperature_c: of the surroundings.
        out: file to write; None for one in the user's folder.
        accept: keep it even where it looks like a wrong shunt.
    """

    url: str
    load_ohm: tuple[float, ...] = ()
    load_limit: float | None = None
    voltage: float | None = None
    voltage_limit: float | None = None
    power: tuple[float, ...] = ()
    power_limit: float | None = None
    rail: str | None = None
    added: bool = False
    seconds: float = 10.0
    settle_s: float = 2.0
    stability: float = STABILITY
    temperature_c: float | None = None
    out: Path | None = None
    accept: bool = False

    def _check_used(self) -> None:
        """Raise CalibrationError for what would be taken for nothing, or is no temperature."""
        if self.power and (self.load_limit is not None or self.voltage is not None):
            raise CalibrationError("--load-limit and --voltage are of --load-ohm: --power states the watts; leave them out")
        if self.load_ohm and self.power_limit is not None:
            raise CalibrationError("--power-limit is of --power: with --load-ohm give --load-limit alone")
        if self.voltage is None and self.voltage_limit is not None:
            raise CalibrationError("--voltage-limit is of --voltage: give both, or let the sensor measure the volts")
        if self.temperature_c is not None and not -273.15 <= self.temperature_c < 1000:
            raise CalibrationError(f"--temperature {self.temperature_c}: degrees Celsius are from -273.15 and below 1000")

    def loads(self) -> list[Load]:
        """Return the loads in the order in which they are connected.

        Raises:
            CalibrationError: none are given, or their limits are not.
        """
        if bool(self.load_ohm) == bool(self.power):
            raise CalibrationError("which load is connected? give --load-ohm with --load-limit, or --power with --power-limit")
        if self.load_ohm and self.load_limit is None:
            raise CalibrationError("how well are the ohms known? give --load-limit, for example 0.1%")
        if self.power and self.power_limit is None:
            raise CalibrationError("how well are the watts known? give --power-limit, for example 0.5%")
        if self.voltage is not None and self.voltage_limit is None:
            raise CalibrationError("how well is the voltage known? give --voltage-limit, for example 0.1%")
        self._check_used()
        if self.load_ohm:
            loads = [resistor(ohm, self.load_limit, self.voltage, self.voltage_limit or 0.0) for ohm in self.load_ohm]
        else:
            loads = [stated(watts, self.power_limit) for watts in self.power]
        without = [resistor(math.inf, 0.0)] if self.added else []
        return [*without, *loads, *without]


def share(text: str | None) -> float | None:
    """Return a relative limit: "0.1%" and "0.001" are the same. Raises CalibrationError."""
    if text is None:
        return None
    number = text.strip()
    try:
        value = float(number.removesuffix("%")) * (0.01 if number.endswith("%") else 1.0)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1:
        raise CalibrationError(f"{text!r} is no relative limit: write a share from 0 to 1, or per cent such as 0.1%")
    return value


def run(settings: CalibrationSettings, connect: Callable[[int, int, str], None]) -> tuple[Calibration, Path]:
    """Record the loads and return the calibration and its file.

    Args:
        connect: called with number (from 1), count and text of each load; returns when it is connected.

    Raises:
        CalibrationError: the readings give none, or it looks like a wrong shunt; the raw readings are kept.
        SensorError, SamplerError: there is no such sensor, or it cannot be sampled.
    """
    check_physical(open_sensor(settings.url))
    loads = settings.loads()
    date = datetime.datetime.now(datetime.timezone.utc)
    trace_path = _trace_path(settings, date)
    trace_path.parent.mkdir(parents=True, exist_ok=True)
    provenance = {"command": "sensors calibrate", "commit": commit(), "versions": versions()}
    try:
        with Sampler(trace_path, [settings.url], provenance) as sampler:
            check_physical(sampler.sensors[0])
            check_rail(sampler.sensors[0], settings.rail)
            for number, load in enumerate(loads):
                connect(number + 1, len(loads), load.text)
                sampler.rest(settings.settle_s)
                sampler.begin(WINDOW, number=number, note={"load": load.text})
                sampler.rest(settings.seconds)
                sampler.end(WINDOW, number=number)
                sampler.check()
            sampler.rest(0.2)  # so that a value arrives behind the last window
    except CalibrationError:  # the sensor is not one for these loads, as opening it told: nothing of them was recorded
        trace_path.unlink(missing_ok=True)
        raise
    recorded = sampler.recording.trace()
    try:
        made = calibrate(recorded, loads, rail=settings.rail, added=settings.added, stability=settings.stability,
                         temperature_c=settings.temperature_c, date=date)  # fmt: skip
        if (why := suspicion(made.gain)) and not settings.accept:
            raise CalibrationError(f"not kept: {why}; --accept keeps it all the same")
    except CalibrationError as error:
        raise CalibrationError(f"{error} (raw readings: {trace_path})") from None
    made = replace(made, trace=trace_path.name)
    path = settings.out or kept.folder() / kept.file_name(made)
    kept.write(made, path)
    return made, path


def _trace_path(settings: CalibrationSettings, date: datetime.datetime) -> Path:
    """Return where the raw readings go: beside the calibration. Raises CalibrationError where a file is there already."""
    if settings.out is not None and settings.out.is_dir():
        raise CalibrationError(f"--out {settings.out} is a folder: name a file in it")
    if settings.out is not None:
        path = settings.out.with_name(settings.out.name.removesuffix(".json") + TRACE)
    else:
        name = re.sub(r"[^A-Za-z0-9.]+", "-", f"{settings.url.partition('?')[0]}_{date.isoformat(timespec='seconds')[:19]}")
        path = kept.folder() / (name.strip("-") + TRACE)
    for taken in (path, *([settings.out] if settings.out is not None else [])):
        if taken.exists():
            raise CalibrationError(f"{taken} is there already: calibrations are kept, name another file")
    return path
