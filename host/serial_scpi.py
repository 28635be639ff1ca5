"""SCPI supplies on a serial port (Rigol, Siglent, Keysight and others): MEAS:VOLT?, MEAS:CURR?, MEAS:POW?.

Options: output= (CH1 where the instrument has several), period_s= (0.2).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from host.meter_limits import MeterLimits, number
from host.meter_protocol import Port, Question, QuestionProtocol, shown
from host.scpi_meter import IDENTITY, QUANTITIES, ScpiMeter
from host.sensor import SensorError


class Protocol(QuestionProtocol):
    """The host's side."""

    BAUD = 9600

    def __init__(self, limits: MeterLimits, output: str = "", period_s: str = "0.2"):
        super().__init__(limits)
        self.period_s = number("period_s", period_s, 0.01, 3600)
        self._meter = ScpiMeter(limits, output)

    def begin(self, port: Port) -> None:
        """Ask for identity and a first row; watts are left out where the instrument has none."""
        identity = self._text(port, IDENTITY)
        first = {name: self._text(port, self._meter.request(name)) for name in QUANTITIES}
        if not first["VOLT"]:
            raise SensorError(
                f"the instrument does not answer MEAS:VOLT? ({shown(identity.encode()) if identity else 'nothing came'}): "
                "another baud=, or it speaks no SCPI"
            )
        try:
            channels = self._meter.settle(identity, first["VOLT"], first["CURR"], first["POW"] or None, self.period_s)
        except ValueError as error:
            raise SensorError(f"the instrument does not answer as SCPI ones do: {error}") from None
        self.channels = self.channels or channels
        self.questions = tuple(_question(request) for request in self._meter.requests)

    def _text(self, port: Port, request: str) -> str:
        answer = self.ask(port, _question(request))
        return answer.decode("ascii", "replace").strip() if answer.endswith(b"\n") else ""

    def describe(self) -> dict:
        """Return what the identity says."""
        return self._meter.describe()

    def values(self, answers: Sequence[bytes]) -> tuple[np.ndarray, list[str]]:
        """Return volts, amperes, watts."""
        return self._meter.values([answer.decode("ascii", "replace").strip() for answer in answers])


def _question(request: str) -> Question:
    return Question(request.encode("ascii") + b"\n", ending=b"\n")
