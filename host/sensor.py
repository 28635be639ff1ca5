"""What a power sensor is, what it says of itself, and how one is opened by name.

A driver is one file, host/sensor_<scheme>.py, with a class `Driver(Sensor)` and a function `found() -> list[Found]`; it is
imported when asked for. URLs read "scheme", "scheme:where" or "scheme:where?option=value&option=value".
"""

from __future__ import annotations

import abc
import importlib
import inspect
import math
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from host.readings import HOST_CLOCK, Loss, Readings

UNITS = ("W", "V", "A", "J", "Cel", "1")
"""The last one is for what is no quantity: a marker bit, or edges counted on a pin; each change of its value is a mark."""

KINDS = ("point", "average", "accumulated")
"""point: the value at the stamp. average: the mean over `averaging_s` that ends at the stamp. accumulated: a running total."""


class SensorError(RuntimeError):
    """The sensor cannot be had or does not do what was asked; the message says what was found and what would be right."""


class SensorLost(SensorError):
    """The sensor was there and is gone (unplugged, driver unloaded); `open` may bring it back."""


@dataclass(frozen=True)
class Specification:
    """What a data sheet promises of one channel: limits of error, each half the width of a rectangular distribution (GUM 4.3.7).

    Attributes:
        gain: relative error of the instrument; None where nobody states one, and then no uncertainty can be stated.
        shunt: relative error of the shunt; 0 where the instrument's gain contains it, or a calibration replaced it.
        offset: in the channel's unit; of a running total in watts, of the power that it adds up.
        quantum: step of the values, in the channel's unit.
        time_base: relative error of the meter's own clock, where values depend on it (accumulators, averages on device time).
        full_scale: magnitude from which a value is saturated, in the channel's unit.
        source: data sheet, page or calibration that the limits come from.
    """

    gain: float | None
    offset: float = 0.0
    quantum: float = 0.0
    shunt: float = 0.0
    time_base: float = 0.0
    full_scale: float = math.inf
    source: str = ""


@dataclass(frozen=True)
class Channel:
    """One series of values of a sensor.

    Attributes:
        name: unique in the sensor, e.g. "INT/power".
        unit: of UNITS.
        rail: the supply that is watched, the same for its volts, amperes, watts and joules.
        scope: what is inside, in words: "whole SOM on its 5 V rail, carrier board not included".
        kind: of KINDS.
        specification: limits of error.
        part_of: rail that contains this one, "" for none. A total is never added to its parts.
        refresh_s: how often the value is renewed, as specified; None where only looking can tell.
        averaging_s: span of an average.
        wrap: an accumulated value starts again from 0 here; inf where it does not wrap.
        low, high: values outside are impossible and are rejected, not integrated.
    """

    name: str
    unit: str
    rail: str
    scope: str
    kind: str
    specification: Specification
    part_of: str = ""
    refresh_s: float | None = None
    averaging_s: float = 0.0
    wrap: float = math.inf
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self):
        if self.unit not in UNITS or self.kind not in KINDS:
            raise ValueError(f"channel {self.name} has unit {self.unit!r} and kind {self.kind!r}: there are {UNITS} and {KINDS}")


@dataclass(frozen=True)
class Found:
    """One line of `joulegrad sensors`.

    Attributes:
        url: what to open; of a missing sensor, its scheme.
        what: make, model, rails.
        missing: why it cannot be used, in one sentence; "" where it can.
    """

    url: str
    what: str
    missing: str = ""


class Sensor(abc.ABC):
    """A power sensor. Use it as a context manager: leaving the block releases the port or file.

    Attributes:
        url: it was opened with.
        channels: in the order of the columns of `Readings.values`; final once it is open.
        clock: of host.readings.CLOCKS, that of `Readings.t_s`.
        label: "measured" for everything physical, "emulated" for what a simulated board feeds; a replay has its source's label.
        period_s: how often `read` is to be called; None for a stream, whose `read` waits for what arrives.
        losses: what went wrong since the last `take_losses`, oldest first.
    """

    channels: tuple[Channel, ...] = ()
    clock: str = HOST_CLOCK
    label: str = "measured"
    period_s: float | None = None

    def __init__(self, url: str):
        self.url = url
        self.losses: list[Loss] = []

    def __enter__(self):
        self.open()
        return self

    def __exit__(self, *exc_info):
        self.close()

    @abc.abstractmethod
    def open(self) -> None:
        """Claim the sensor for this process alone and learn its channels. Raises SensorError."""

    @abc.abstractmethod
    def close(self) -> None:
        """Release it. Safe to call twice, and after SensorLost."""

    @abc.abstractmethod
    def read(self, timeout_s: float = 1.0) -> Readings:
        """Return what is new: one row of a polled sensor, all that has arrived of a stream (none is allowed).

        Blocks for at most about `timeout_s`. A value that could not be had is NaN and a `Loss`, never 0 and never the one before.

        Raises:
            SensorLost: it is gone.
            SensorError: it speaks, but not what this driver understands.
        """

    def feed(self, payload: dict) -> None:
        """Take what the working process has for the sensor; only simulated sensors have a use for it."""
        raise SensorError(f"sensor {self.url!r} takes nothing from the run: it is not simulated")

    def mark(self, name: str) -> bool:
        """Set a mark in the meter's own stream; False where the meter cannot."""
        return False

    def describe(self) -> dict:
        """Return JSON data on the instrument as found: make, model, serial number, firmware, settings read back, shunt."""
        return {}

    def take_losses(self) -> list[Loss]:
        """Return the losses since the last call."""
        taken, self.losses = self.losses, []
        return taken


def schemes() -> list[str]:
    """Return the names of the drivers that are there: the files host/sensor_<scheme>.py."""
    return sorted(path.stem[len("sensor_"):] for path in Path(__file__).parent.glob("sensor_*.py"))


def split_url(url: str) -> tuple[str, str, dict[str, str]]:
    """Return scheme, where and options of a sensor's URL. Raises SensorError where no driver has that scheme."""
    head, _, query = url.partition("?")
    scheme, _, where = head.partition(":")
    if scheme not in schemes():
        raise SensorError(f"no driver for sensor {url!r}: there are {', '.join(schemes())}")
    try:
        options = dict(parse_qsl(query, strict_parsing=True)) if query else {}
    except ValueError:
        raise SensorError(f"the options of sensor {url!r} cannot be read: write name=value, with & between them") from None
    return scheme, where, options


def open_sensor(url: str) -> Sensor:
    """Return the driver for a URL, not opened yet.

    Args:
        url: for example "pmbus", "hwmon:ina260_u14", "serial:/dev/ttyACM0?protocol=lines", "nvml", "sim", "replay:<file>".

    Raises:
        SensorError: no such driver, or an option that it does not take.
    """
    scheme, where, options = split_url(url)
    driver = importlib.import_module(f"host.sensor_{scheme}").Driver
    known = list(inspect.signature(driver).parameters.values())[2:]
    wrong = sorted(set(options) - {one.name for one in known})
    if wrong and not any(one.kind is one.VAR_KEYWORD for one in known):
        said = f"it takes no option {', '.join(wrong)}; there are {', '.join(one.name for one in known) or 'none'}"
        raise SensorError(f"sensor {url!r} cannot be had like this: {said}")
    try:
        return driver(url, where, **options)
    except (TypeError, ValueError) as error:
        raise SensorError(f"sensor {url!r} cannot be had like this: {error}") from None
