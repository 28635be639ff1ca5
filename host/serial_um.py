"""RDTech UM24C, UM25C and UM34C USB meters, by Bluetooth serial port or cable: 0xF0 is answered with 130 bytes.

Bytes 0 model, 2 volts, 4 amperes, 6 (four bytes) watts, all big endian; how many of them make a volt depends on the model.
The maker renews the values twice a second.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from host.meter_limits import NOT_STATED, MeterLimits, product
from host.meter_protocol import Port, Question, QuestionProtocol
from host.sensor import SensorError, Specification

ANSWER_BYTES = 130
FIELDS = struct.Struct(">HHHI")


@dataclass(frozen=True)
class Model:
    """A meter of the family: volts and amperes in one step, limits as far as the maker states them."""

    name: str
    step_v: float
    step_a: float
    volts: Specification
    amperes: Specification


def _unstated(step: float, full_scale: float) -> Specification:
    return Specification(None, 0.0, step, 0.0, 0.0, full_scale, f"no accuracy at hand: {NOT_STATED}")


_UM25C = "RDTech UM25C: volts 0.05 % + 2 steps, amperes 0.1 % + 4 steps"
MODELS = {
    0x0963: Model("UM24C", 1e-2, 1e-3, _unstated(1e-2, 24.0), _unstated(1e-3, 3.0)),
    0x09C9: Model(
        "UM25C",
        1e-3,
        1e-4,
        Specification(5e-4, 2e-3, 1e-3, 0.0, 0.0, 24.0, _UM25C),
        Specification(1e-3, 4e-4, 1e-4, 0.0, 0.0, 5.0, _UM25C),
    ),
    0x0D4C: Model("UM34C", 1e-2, 1e-3, _unstated(1e-2, 24.0), _unstated(1e-3, 4.0)),
}
"""Model word to model. Steps: rd-usb and protocol notes; limits of the UM25C: its data."""


class Protocol(QuestionProtocol):
    """The host's side."""

    BAUD = 9600
    period_s = 0.5

    def __init__(self, limits: MeterLimits):
        super().__init__(limits)
        self.questions = (Question(b"\xf0", ANSWER_BYTES),)
        self._model: Model | None = None

    def begin(self, port: Port) -> None:
        """Ask once, to see which model it is."""
        answer = self.ask(port, self.questions[0], 2.0)
        try:
            model, row = _read(answer)
        except ValueError as error:
            raise SensorError(f"the meter does not answer as a UM24C, UM25C or UM34C does: {error}") from None
        if self._model is not None and model != self._model:
            raise SensorError(f"a {model.name} is there now, before it was a {self._model.name}")
        if self._model is None:
            self._model = model
            watts = product(model.volts, model.amperes, self.limits.volts or (row[0] if row[0] > 0.1 else None))
            same = {"refresh_s": self.period_s, "low": 0.0}
            self.channels = (
                self.limits.channel("voltage", "V", model.volts, high=30.0, **same),
                self.limits.channel("current", "A", model.amperes, high=6.6, **same),
                self.limits.channel("power", "W", watts, high=160.0, **same),
            )

    def describe(self) -> dict:
        """Return the model."""
        return {"make": "RDTech", "model": self._model.name}

    def values(self, answers: Sequence[bytes]) -> tuple[np.ndarray, list[str]]:
        """Return volts, amperes, watts. Raises ValueError for an answer that is damaged or another model's."""
        model, row = _read(answers[0])
        if model != self._model:
            raise ValueError(f"the answer names a {model.name} where a {self._model.name} is: damaged")
        return np.array(row), []


def _read(answer: bytes) -> tuple[Model, tuple[float, float, float]]:
    """Return model and volts, amperes, watts of an answer. Raises ValueError.

    The three must agree, which they do not where the scaling is another model's, or the answer is shifted.
    """
    if len(answer) != ANSWER_BYTES:
        raise ValueError(f"{len(answer)} bytes came instead of {ANSWER_BYTES}")
    word, volts, amperes, watts = FIELDS.unpack_from(answer)
    if word not in MODELS:
        raise ValueError(f"the first word is {word:#06x} and names no model")
    model = MODELS[word]
    row = volts * model.step_v, amperes * model.step_a, watts * 1e-3
    tolerance_w = 2e-3 + 2 * (model.step_v * row[1] + model.step_a * row[0]) + 0.02 * row[2]
    if abs(row[0] * row[1] - row[2]) > tolerance_w:
        raise ValueError(f"{row[0]:g} V times {row[1]:g} A is not the {row[2]:g} W beside them: another scaling, or damaged")
    return model, row
