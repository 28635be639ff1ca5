"""A sensor that is asked: parts with channels are read one after the other and stamped at the midpoint of the read."""

from __future__ import annotations

import errno
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from host.readings import Loss, Readings
from host.sensor import Channel, Sensor, SensorError, SensorLost

GONE = (errno.ENOENT, errno.ENODEV, errno.ESHUTDOWN)
"""Errors of a device that is no longer there; others (EIO, EAGAIN, ENXIO, a timeout) are failed reads of one that is."""


@dataclass(frozen=True)
class Failed:
    """A value that could not be had. `gone`: the device behind it is no longer there."""

    detail: str
    reason: str = "failed read"
    gone: bool = False

    @classmethod
    def of(cls, error: Exception) -> Failed:
        """Return what an error of a read means."""
        if isinstance(error, OSError):
            return cls(error.strerror or str(error), gone=error.errno in GONE)
        return cls(str(error))


class Part(Protocol):
    """Something with channels that are read together: a rail, a processor's package, a GPU."""

    channels: tuple[Channel, ...]

    def read(self) -> Sequence[float | Failed]:
        """Return one value for each channel."""


class PolledSensor(Sensor):
    """The read of every polled driver; a driver's `open` sets `parts` and calls `_opened`."""

    def __init__(self, url: str):
        super().__init__(url)
        self.parts: list[Part] = []

    def _opened(self, parts: list[Part]) -> None:
        """Take the parts. A sensor that is opened again, after it was lost, must have the channels that it had."""
        channels = tuple(channel for part in parts for channel in part.channels)
        before, names = [channel.name for channel in self.channels], [channel.name for channel in channels]
        if before and names != before:
            raise SensorError(
                f"sensor {self.url!r} came back with {len(names)} channels ({', '.join(names)}), "
                f"it had {len(before)} ({', '.join(before)})"
            )
        self.parts = parts
        self.channels = self.channels or channels

    def read(self, timeout_s: float = 1.0) -> Readings:
        """Return one row. A read that takes longer than `timeout_s` is kept with its true width, and named a stalled read."""
        if not self.channels:
            raise SensorError(f"sensor {self.url!r} is not open")
        started_s = time.monotonic()
        found = [value for part in self.parts for value in part.read()]
        ended_s = time.monotonic()
        t_s = (started_s + ended_s) / 2
        if all(isinstance(value, Failed) and value.gone for value in found):
            raise SensorLost(f"sensor {self.url!r} is gone: {found[0].detail}")
        if ended_s - started_s > timeout_s:
            self.losses.append(Loss(t_s, "stalled read", 0, f"one read took {ended_s - started_s:.3f} s"))
        values = [self._checked(channel, value, t_s) for channel, value in zip(self.channels, found, strict=True)]
        return Readings.of(t_s, [values], width_s=ended_s - started_s)

    def _checked(self, channel: Channel, value: float | Failed, t_s: float) -> float:
        """Return the value, NaN (and a loss) where there is none or where it cannot be true."""
        if isinstance(value, Failed):
            self.losses.append(Loss(t_s, value.reason, 1, f"{channel.name}: {value.detail}"))
            return math.nan
        if not channel.low <= value <= channel.high:
            detail = f"{channel.name}: {value:g} {channel.unit} is outside {channel.low:g} to {channel.high:g} {channel.unit}"
            self.losses.append(Loss(t_s, "rejected", 1, detail))
            return math.nan
        return value


def number(name: str, text: str | float | None, low: float = 0.0, high: float = math.inf) -> float | None:
    """Return an option's number, None where it is not given. Raises ValueError, which `open_sensor` turns into a sentence."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{name}={text} is no number")
    if not low <= value <= high:
        raise ValueError(f"{name}={text} is not in {low:g} to {high:g}")
    return value


def choice(name: str, text: str, known: tuple[str, ...]) -> str:
    """Return an option that is one of `known`. Raises ValueError."""
    if text not in known:
        raise ValueError(f"{name}={text}: it is {' or '.join(known)}")
    return text
