"""Supplies and meters that speak SCPI: what to ask, and what the answers mean. Used over a serial port and over VISA."""

from __future__ import annotations

import math
import re

import numpy as np

from host.meter_limits import NOT_STATED, MeterLimits, product
from host.sensor import Channel, Specification

IDENTITY = "*IDN?"
NOT_A_NUMBER = 9.9e37
"""SCPI's infinities and NaN are 9.9E37 and 9.91E37."""

QUANTITIES = {"VOLT": "V", "CURR": "A", "POW": "W"}


class ScpiMeter:
    """The measurements of one output.

    Attributes:
        requests: what to ask for a row, in order: volts, amperes, and watts where the meter has them.
    """

    def __init__(self, limits: MeterLimits, output: str = ""):
        """Args: what the user states; the output's name as the meter wants it behind the request, such as CH1."""
        if not re.fullmatch(r"[A-Za-z0-9@(),]{0,12}", output):
            raise ValueError(f"output={output}: it is a name such as CH1")
        self._limits, self._suffix = limits, f" {output}" if output else ""
        self.requests: tuple[str, ...] = ()
        self.identity = ""

    def request(self, quantity: str) -> str:
        """Return the request for one of QUANTITIES."""
        return f"MEAS:{quantity}?{self._suffix}"

    def settle(self, identity: str, volts: str, amperes: str, watts: str | None, period_s: float) -> tuple[Channel, ...]:
        """Take the first answers (watts None where the meter gave none) and return the channels. Raises ValueError."""
        if self.identity and identity != self.identity:
            raise ValueError(f"{identity} is there now, before it was {self.identity}")
        self.identity = identity
        found_v = number(volts)
        number(amperes)
        if watts is not None:
            number(watts)
        self.requests = tuple(self.request(name) for name in QUANTITIES if name != "POW" or watts is not None)
        limit = Specification(None, source=f"{identity or 'SCPI meter'}: {NOT_STATED}")
        nominal_v = self._limits.volts or (found_v if found_v > 0.1 else None)
        how = "as the instrument says" if watts is not None else "volts times amperes"
        power = limit if watts is not None else product(limit, limit, nominal_v)
        scope = self._limits.scope or f"everything on {self._limits.rail}, the instrument's output"
        return (
            self._limits.channel("voltage", "V", limit, refresh_s=period_s, scope=scope),
            self._limits.channel("current", "A", limit, refresh_s=period_s, scope=scope),
            self._limits.channel("power", "W", power, refresh_s=period_s, scope=f"{scope}; {how}"),
        )

    def values(self, answers: list[str]) -> tuple[np.ndarray, list[str]]:
        """Return volts, amperes, watts, and what was rejected. Raises ValueError."""
        row = [number(answer) for answer in answers]
        why = [
            f"{request} gave {answer.strip()}: the instrument has no value"
            for request, answer, value in zip(self.requests, answers, row, strict=True)
            if math.isnan(value)
        ]
        if len(row) == 2:
            row.append(row[0] * row[1])
        return np.array(row), why

    def describe(self) -> dict:
        """Return what the identity says: make, model, serial, firmware."""
        parts = [part.strip() for part in self.identity.split(",")] + [""] * 4
        return {"make": parts[0], "model": parts[1], "serial": parts[2], "firmware": parts[3]}


def number(text: str) -> float:
    """Return an answer's number, NaN for SCPI's. Raises ValueError for anything else."""
    found = re.fullmatch(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?)\s*([VAW]?)\s*", text)
    if not found:
        raise ValueError(f"{text[:24]!r} came where a number was due")
    value = float(found[1])
    return value if abs(value) < NOT_A_NUMBER else math.nan
