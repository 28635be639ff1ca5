"""Rails as `pynq.pmbus` has them, for images on which nothing else works (cards behind XRT).

Its `Sensor.value` hands out the previous value where a read failed, and 0 without libsensors, both without an error. So a rail
counts only if it gave a plausible value when it was opened, and `describe` says that stale values cannot be told from constant
ones; files of hwmon are preferred wherever they exist.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from host.polled_sensor import Failed
from host.sensor import Channel, SensorError, Specification

NOTE = "read through pynq.pmbus, which hands out the previous value where a read fails: stuck looks like constant"
SOURCE = "pynq.pmbus does not say which chip it reads: state gain_limit="


@dataclass
class PynqRail:
    """Power of one rail. `channels` has one entry."""

    channels: tuple[Channel, ...]
    _sensor: object

    def read(self) -> list[float | Failed]:
        """Return the watts."""
        return [_value(self._sensor)]


def open_rails(gain: float | None, refresh_s: float | None, parents: dict[str, str]) -> list[PynqRail]:
    """Return the rails with power.

    Args:
        gain, refresh_s: as the user states them, else None.
        parents: rail to the rail that contains it, "" for none; PYNQ knows no such thing.

    Raises:
        SensorError: PYNQ is not installed, or knows no rails.
    """
    try:
        from pynq import pmbus
    except ImportError:
        raise SensorError(
            "no chip of the board's rails is in hwmon, and PYNQ is not installed: is the driver of the chips loaded?"
        ) from None
    rails = []
    for name, rail in pmbus.get_rails().items():
        if rail.power is None or isinstance(_value(rail.power), Failed):
            continue
        channel = Channel(
            f"{name}/power",
            "W",
            name,
            f"rail {name} as PYNQ names it",
            "point",
            Specification(gain, source=SOURCE if gain is None else "gain as stated when the sensor was opened"),
            part_of=parents.get(name, ""),
            refresh_s=refresh_s,
            low=-4000.0,
            high=4000.0,
        )
        rails.append(PynqRail((channel,), rail.power))
    if not rails:
        raise SensorError(
            "no chip of the board's rails is in hwmon, and pynq.pmbus knows no rails with a plausible power either: this "
            "image has no driver for them (see PYNQ pull request 1641), or libsensors.so is missing"
        )
    return rails


def _value(sensor) -> float | Failed:
    try:
        value = float(sensor.value)
    except Exception as error:  # whatever libsensors and XRT raise: a failed read is a gap, not the end of the run
        return Failed(f"pynq.pmbus: {error}")
    if not math.isfinite(value) or value == 0.0:
        return Failed(f"pynq.pmbus gave {value}, which it also gives where there is no reading", "rejected")
    return value
