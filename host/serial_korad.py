"""Korad KA3005P and its rebrands: VOUT1? and IOUT1? are answered with five characters and no line end.

Firmware reports the set point instead of a measurement while the output is within 0.2 V of it (whiteboard.ping.se/SDR/KA3005P,
one owner's finding). A voltage near the set point is therefore nominal: it is named so, with 0.2 V as its limit of error, or
refused with setpoint=refuse.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from host.meter_limits import NOT_STATED, MeterLimits, product
from host.meter_protocol import Port, Question, QuestionProtocol, shown
from host.sensor import SensorError, Specification

NEAR_V = 0.2
FULL_SCALE_V, FULL_SCALE_A = 31.0, 5.1
SOURCE = f"Korad KA3005P: {NOT_STATED}"
VOLTS, AMPERES = rb"\d\d\.\d\d", rb"\d\.\d\d\d"


class Protocol(QuestionProtocol):
    """The host's side."""

    BAUD = 9600
    period_s = 0.3

    def __init__(self, limits: MeterLimits, setpoint: str = "nominal"):
        super().__init__(limits)
        if setpoint not in ("nominal", "refuse"):
            raise ValueError(f"setpoint={setpoint}: 'nominal' names such volts so, 'refuse' rejects them")
        self._refuse = setpoint == "refuse"
        self.questions = (Question(b"VOUT1?", 5), Question(b"IOUT1?", 5), Question(b"VSET1?", 5))
        self._identity = ""

    def begin(self, port: Port) -> None:
        """Ask for identity and a first row."""
        identity = self.ask(port, Question(b"*IDN?", length=64), 0.4).decode("ascii", "replace").strip("\0\r\n ")
        answers = [self.ask(port, question) for question in self.questions]
        try:
            volts, _, _ = _numbers(answers)
        except ValueError as error:
            raise SensorError(f"the supply does not answer as a Korad does: {error}") from None
        if self._identity and identity != self._identity:
            raise SensorError(f"{identity or 'a supply without a name'} is there now, before it was {self._identity}")
        self._identity = identity
        if self.channels:
            return
        limit_v = Specification(None, 0.0 if self._refuse else NEAR_V, 0.01, 0.0, 0.0, FULL_SCALE_V, SOURCE)
        limit_a = Specification(None, 0.0, 1e-3, 0.0, 0.0, FULL_SCALE_A, SOURCE)
        nominal_v = self.limits.volts or (volts if volts > 0.1 else None)
        watts = product(limit_v, limit_a, nominal_v)
        scope = self.limits.scope or f"everything on {self.limits.rail}, the supply's output"
        nominal = "" if self._refuse else " (nominal: the set point where the output is within 0.2 V of it)"
        power = self.limits.channel("power", "W", watts, scope=scope + nominal, refresh_s=self.period_s)
        if not self._refuse and power.specification.gain is not None:  # what the user states is the meter's, not the set point's
            limit = dataclasses.replace(power.specification, gain=power.specification.gain + NEAR_V / (nominal_v or NEAR_V))
            power = dataclasses.replace(power, specification=limit)
        self.channels = (
            self.limits.channel(
                "voltage", "V", limit_v, scope=scope + nominal, high=FULL_SCALE_V, low=0.0, refresh_s=self.period_s
            ),
            self.limits.channel("current", "A", limit_a, scope=scope, high=FULL_SCALE_A, low=0.0, refresh_s=self.period_s),
            power,
        )

    def describe(self) -> dict:
        """Return identity, and what its volts are."""
        return {
            "make": "Korad",
            "model": self._identity,
            "setpoint": "rejected where reported"
            if self._refuse
            else "volts within 0.2 V of the set point are nominal, not measured",
        }

    def values(self, answers: Sequence[bytes]) -> tuple[np.ndarray, list[str]]:
        """Return volts, amperes, watts; volts that may be the set point's are NaN where that is refused."""
        volts, amperes, set_v = _numbers(answers)
        why = []
        if self._refuse and abs(volts - set_v) <= NEAR_V + 1e-9:
            why.append(f"{volts:.2f} V are within {NEAR_V} V of the set point {set_v:.2f} V: not measured")
            volts = np.nan
        return np.array([volts, amperes, volts * amperes]), why


def _numbers(answers: Sequence[bytes]) -> tuple[float, float, float]:
    """Return volts, amperes and the set point's volts. Raises ValueError."""
    for answer, form in zip(answers, (VOLTS, AMPERES, VOLTS), strict=True):
        if not re.fullmatch(form, answer):
            raise ValueError(
                f"{shown(answer) if answer else 'nothing'} came where five characters such as 12.34 or 1.234 were due"
            )
    volts, amperes, set_v = (float(answer) for answer in answers)
    return volts, amperes, set_v
