"""Rows that a sensor hands over: values with the stamps of their clocks. Nothing is resampled, nothing is invented."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HOST_CLOCK = "host"
VIRTUAL_CLOCK = "virtual"
CLOCKS = (HOST_CLOCK, VIRTUAL_CLOCK)
"""host: CLOCK_MONOTONIC of the machine that samples. virtual: time of a simulated board. A meter's own clock is not one of
them: it stands beside them in `device_t_s`."""


@dataclass(frozen=True)
class Readings:
    """n rows of one sensor with c channels, in the order of arrival.

    Attributes:
        t_s: float64 (n,), stamp on the sensor's clock (of CLOCKS). A polled sensor is stamped at the midpoint of the read, a
            stream at arrival. Stamps say when a value was *had*; what span it stands for is the channel's `kind`.
        width_s: float64 (n,), how long the read took (0 for a stream); the stamp is good to half of it.
        values: float64 (n, c) in the channels' units, NaN where the meter gave no valid value.
        device_t_s: float64 (n,), the meter's own time with its wraps undone, NaN where it has none.
        sequence: int64 (n,), the meter's own count with its wraps undone, -1 where it has none.
    """

    t_s: np.ndarray
    width_s: np.ndarray
    values: np.ndarray
    device_t_s: np.ndarray
    sequence: np.ndarray

    def __post_init__(self):
        n = len(self.t_s)
        lengths = {len(part) for part in (self.width_s, self.values, self.device_t_s, self.sequence)}
        if lengths != {n} or self.values.ndim != 2:
            raise ValueError(f"readings of unequal length: {n} stamps, values of shape {self.values.shape}")

    def __len__(self):
        return len(self.t_s)

    @classmethod
    def of(cls, t_s, values, width_s=0.0, device_t_s=np.nan, sequence=-1) -> Readings:
        """Return readings from anything that numpy broadcasts: t_s (n,), values (n, c), the rest (n,) or one for all."""
        t_s = np.atleast_1d(np.asarray(t_s, np.float64))
        values = np.asarray(values, np.float64).reshape(len(t_s), -1) if len(t_s) else np.asarray(values, np.float64)
        full = [np.broadcast_to(np.asarray(part, kind), t_s.shape).copy() for part, kind in
                ((width_s, np.float64), (device_t_s, np.float64), (sequence, np.int64))]  # fmt: skip
        return cls(t_s, full[0], values, full[1], full[2])

    @classmethod
    def none(cls, channels: int) -> Readings:
        """Return no rows of so many channels."""
        return cls.of(np.zeros(0), np.zeros((0, channels)))

    @classmethod
    def joined(cls, parts: list[Readings], channels: int) -> Readings:
        """Return the rows of all parts, one after the other."""
        parts = [part for part in parts if len(part)]
        if not parts:
            return cls.none(channels)
        names = ("t_s", "width_s", "values", "device_t_s", "sequence")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True)
class Loss:
    """Something that a sensor should have delivered and did not, or that was not fit to use.

    Attributes:
        t_s: on the sensor's clock, when it was noticed.
        reason: of REASONS.
        count: rows (or bytes of garbage, for "garbage") concerned; 0 where the number cannot be known.
        detail: one line for people.
    """

    t_s: float
    reason: str
    count: int
    detail: str = ""

    def __post_init__(self):
        if self.reason not in REASONS:
            raise ValueError(f"a loss for reason {self.reason!r}: known are {REASONS}")


REASONS = ("dropped", "garbage", "rejected", "failed read", "stalled read", "unplugged", "replugged", "counter reset",
           "queue overflow", "missed deadline", "suspend", "out of order")  # fmt: skip
"""dropped: the meter's sequence has a hole. rejected: outside the channel's plausible band, a sentinel, or not finite.
missed deadline: slots of the sampling loop that passed without a read."""
