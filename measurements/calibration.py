"""What a known load said about one channel of one sensor: a gain and an offset that replace the data sheet's limits.

A calibration corrects power, power_w = gain * reading_w + offset_w. It counts for the sensor, the settings, the channel and the
scope that it was made for, and for no other: those are compared, not trusted. How one is made: measurements/calibrate.py.
"""

from __future__ import annotations

import datetime
import json
import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from host.sensor import Channel, Specification, split_url

SCHEMA = 1
IDENTITY = ("make", "model", "serial", "shunt_ohm")
"""Entries of `Sensor.describe` that tell one instrument, as it is set, from another."""

NO_SERIAL = "url"
"""Where an instrument has no serial number its scheme and place, as in the URL, stand for it."""


class CalibrationError(RuntimeError):
    """The calibration cannot be made, read or used here; the message says what was found and what would be right."""


def identity_of(url: str, description: dict) -> dict:
    """Return what tells a sensor from another: make, model, serial number and shunt as far as it says them, else its URL."""
    identity = {name: description[name] for name in IDENTITY if description.get(name) not in (None, "")}
    if "serial" not in identity:
        scheme, where, _ = split_url(url)
        identity[NO_SERIAL] = f"{scheme}:{where}" if where else scheme
    return identity


@dataclass(frozen=True)
class Term:
    """One source of the calibration's own uncertainty.

    Attributes:
        name: "load 10 ohm", "voltage", "noise", ...
        u_gain, u_offset_w: standard uncertainties that it brings; with one sign each, so that their product is its covariance.
        dof: degrees of freedom; inf for what a data sheet says.
    """

    name: str
    u_gain: float
    u_offset_w: float
    dof: float = math.inf


@dataclass(frozen=True)
class Point:
    """One load as it was measured.

    Attributes:
        load: in words, "10 ohm within 0.1 % at 5.012 V".
        truth_w, u_truth_w: power of the load, and its standard uncertainty.
        reading_w, u_reading_w: mean of what the sensor said, and its standard uncertainty from scatter and quantum.
        samples: values in the mean.
    """

    load: str
    truth_w: float
    u_truth_w: float
    reading_w: float
    u_reading_w: float
    samples: int


@dataclass(frozen=True)
class Calibration:
    """Gain and offset of a channel, found with a known load.

    Attributes:
        sensor: identity of the instrument, see `identity_of`.
        channel: name of the channel of watts (or joules); "<volts> x <amperes>" where power is a product of two channels.
        scope: of that channel, in words.
        gain, offset_w: power_w = gain * reading_w + offset_w.
        u_gain, u_offset_w, covariance: standard uncertainties (W) and covariance (W) of the two, from `budget`.
        dof: effective degrees of freedom of the gain (Welch-Satterthwaite).
        date: UTC, ISO 8601.
        source: the loads, in words.
        low_w, high_w: readings between which it was made.
        unit: of the channel, "W" or "J"; readings of joules are per second of the host's clock.
        temperature_c: of the surroundings, None where nobody said.
        budget, points: how it came about.
        warnings: sentences for people, for example about a shunt that is probably not what is set.
        trace: name of the file with the raw readings, beside the calibration's own; "" where there is none.
    """

    sensor: dict
    channel: str
    scope: str
    gain: float
    offset_w: float
    u_gain: float
    u_offset_w: float
    covariance: float
    dof: float
    date: str
    source: str
    low_w: float
    high_w: float
    unit: str = "W"
    temperature_c: float | None = None
    budget: tuple[Term, ...] = ()
    points: tuple[Point, ...] = ()
    warnings: tuple[str, ...] = ()
    trace: str = ""

    def __post_init__(self):
        numbers = (self.gain, self.offset_w, self.u_gain, self.u_offset_w, self.covariance, self.low_w, self.high_w)
        if not all(isinstance(n, (int, float)) and math.isfinite(n) for n in numbers) or not self.gain > 0:
            raise CalibrationError(f"a calibration of gain {self.gain} and offset {self.offset_w} W: a gain is a number above 0")
        if min(self.u_gain, self.u_offset_w) < 0 or abs(self.covariance) > self.u_gain * self.u_offset_w * (1 + 1e-9) + 1e-300:
            raise CalibrationError("the uncertainties of this calibration do not belong together: a covariance is at most the "
                                   "product of the two standard uncertainties")
        try:
            self.when()
        except ValueError:
            raise CalibrationError(f"a calibration of {self.date!r}: a date reads like 2026-01-31T12:00:00+00:00") from None

    def when(self) -> datetime.datetime:
        """Return the date with its zone (UTC where it says none). Raises ValueError."""
        date = datetime.datetime.fromisoformat(self.date)
        return date if date.tzinfo else date.replace(tzinfo=datetime.timezone.utc)

    @property
    def day(self) -> str:
        """The date without the time."""
        return self.date[:10]

    def age_days(self, now: datetime.datetime | None = None) -> float:
        """Return the age in days at `now`, an aware date; today by default."""
        return ((now or datetime.datetime.now(datetime.timezone.utc)) - self.when()).total_seconds() / 86400

    def check(self, identity: dict, channel: str, scope: str) -> None:
        """Raise CalibrationError unless this was made for that sensor, channel and scope."""
        differing = sorted(name for name in {*self.sensor, *identity} if self.sensor.get(name) != identity.get(name))
        if differing:
            theirs, ours = (", ".join(f"{name} {known.get(name, 'not given')}" for name in differing)
                            for known in (self.sensor, identity))
            raise CalibrationError(f"the calibration of {self.day} was made with another sensor: {theirs}; here it is {ours}")
        if channel != self.channel:
            raise CalibrationError(f"the calibration of {self.day} is for channel {self.channel!r}, here it is {channel!r}")
        if scope != self.scope:
            raise CalibrationError(f"the calibration of {self.day} was made for the scope {self.scope!r}, here it is {scope!r}")

    def power_w(self, reading_w):
        """Return watts for readings in watts, a number or an array."""
        return self.gain * reading_w + self.offset_w

    def energy_j(self, reading_j: float, time_s: float) -> float:
        """Return joules for the integral of readings over `time_s`; net of idle has time_s = 0, the offset cancels."""
        return self.gain * reading_j + self.offset_w * time_s

    def u_energy_j(self, reading_j: float, time_s: float) -> float:
        """Return the standard uncertainty that gain and offset, with their covariance, bring to such joules."""
        square = (self.u_gain * reading_j) ** 2 + (self.u_offset_w * time_s) ** 2 + 2 * self.covariance * reading_j * time_s
        return math.sqrt(max(0.0, square))  # a full covariance may leave -1e-20

    def specification(self, before: Specification) -> Specification:
        """Return a channel's limits with gain, shunt and offset taken out: their place is taken by `u_energy_j`.

        Of joules that the meter adds up by its own clock, the gain that was found contains that clock's error.
        """
        time_base = 0.0 if self.unit == "J" else before.time_base
        return replace(before, gain=0.0, shunt=0.0, offset=0.0, time_base=time_base,
                       source=f"calibration of {self.day} ({self.source})")  # fmt: skip

    def covers(self, reading_w: float) -> bool:
        """Return whether a reading lies between (within 10 % of) the loads that the calibration was made with."""
        margin = 0.1 * max(abs(self.low_w), abs(self.high_w))
        return self.low_w - margin <= reading_w <= self.high_w + margin

    def described(self, now: datetime.datetime | None = None) -> str:
        """Return one line for people: date and age, gain and offset with expanded uncertainty (k = 2), loads."""
        age = self.age_days(now)
        return (f"calibrated {self.day} ({age:.0f} days old): gain {self.gain:.5f} +- {2 * self.u_gain:.5f}, offset "
                f"{self.offset_w * 1e3:.2f} +- {2 * self.u_offset_w * 1e3:.2f} mW (k = 2); {self.source}")

    def to_json(self) -> dict:
        """Return JSON data; endless degrees of freedom are null."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain["dof"] = None if math.isinf(self.dof) else self.dof
        plain["budget"] = [{**vars(term), "dof": None if math.isinf(term.dof) else term.dof} for term in self.budget]
        plain["points"] = [dict(vars(point)) for point in self.points]
        plain["warnings"] = list(self.warnings)
        return {"schema": SCHEMA, "kind": "calibration", **plain}

    @classmethod
    def from_json(cls, data: dict, where: str = "this") -> Calibration:
        """Return the calibration in JSON data. Raises CalibrationError for anything else."""
        if not isinstance(data, dict) or data.get("kind") != "calibration" or data.get("schema") != SCHEMA:
            raise CalibrationError(f"{where} is no calibration of schema {SCHEMA}: make one with `joulegrad sensors calibrate`")
        known = {name: value for name, value in data.items() if name in cls.__dataclass_fields__}
        try:
            known["dof"] = math.inf if known.get("dof") is None else known["dof"]
            known["budget"] = tuple(Term(**{**t, "dof": math.inf if t.get("dof") is None else t["dof"]}) for t in known["budget"])
            known["points"] = tuple(Point(**point) for point in known["points"])
            known["warnings"] = tuple(known.get("warnings", ()))
            return cls(**known)
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(f"{where} is a damaged calibration: {error}") from None


def product_channel(volts: Channel, amperes: Channel) -> str:
    """Return the name under which the product of two channels is calibrated."""
    return f"{volts.name} x {amperes.name}"


def chosen(calibrations: Iterable[Calibration], url: str, description: dict, channel: str, scope: str) -> Calibration | None:
    """Return the newest of the calibrations named by the user for one channel of a sensor, None where there is none for it.

    Raises:
        CalibrationError: one of them was made with another sensor, or for another scope of this channel.
    """
    identity = identity_of(url, description)
    fitting = []
    for calibration in calibrations:
        calibration.check(identity, calibration.channel, scope if calibration.channel == channel else calibration.scope)
        if calibration.channel == channel:
            fitting.append(calibration)
    return max(fitting, key=Calibration.when, default=None)


def folder() -> Path:
    """Return the user's folder of calibrations: $XDG_CONFIG_HOME/joulegrad/calibrations, by default below ~/.config."""
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "joulegrad" / "calibrations"


def file_name(calibration: Calibration) -> str:
    """Return a file name that tells calibrations of different sensors, channels and times apart."""
    parts = [*(str(value) for value in calibration.sensor.values()), calibration.channel, calibration.date[:19]]
    return re.sub(r"[^A-Za-z0-9.]+", "-", "_".join(parts)).strip("-") + ".json"


def write(calibration: Calibration, path: Path) -> None:
    """Write a new file; never over one that is there. Raises CalibrationError, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(calibration.to_json(), indent=1, allow_nan=False) + "\n"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise CalibrationError(f"{path} is there already: calibrations are kept, name another file") from None


def read(path: Path) -> Calibration:
    """Return the calibration in a file. Raises CalibrationError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CalibrationError(f"no calibration can be read from {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise CalibrationError(f"{path} is no calibration: it is not JSON") from None
    return Calibration.from_json(data, str(path))


def stored(url: str, description: dict, channels: Iterable[Channel], where: Path | None = None) -> list[Calibration]:
    """Return the newest calibration of every channel (watts, joules, volts x amperes) of a sensor in the user's folder.

    Those of other sensors, and of this one with other settings or another scope, are passed over. Raises CalibrationError
    for a damaged file.
    """
    channels = list(channels)
    identity = identity_of(url, description)
    scopes = {c.name: c.scope for c in channels}
    pairs = [(v, a) for v in channels if v.unit == "V" for a in channels if a.unit == "A" and a.rail == v.rail]
    scopes |= {product_channel(v, a): a.scope for v, a in pairs}
    newest: dict[str, Calibration] = {}
    for path in sorted((where or folder()).glob("*.json")):
        calibration = read(path)
        fits = calibration.sensor == identity and scopes.get(calibration.channel) == calibration.scope
        before = newest.get(calibration.channel)
        if fits and (before is None or before.when() < calibration.when()):
            newest[calibration.channel] = calibration
    return list(newest.values())
