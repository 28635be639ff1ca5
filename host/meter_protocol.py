"""A protocol of a meter on a serial port: one file host/serial_<name>.py with a class `Protocol`, found by its name.

A protocol turns bytes into rows and knows no port: whoever has bytes can feed it. What it has to say to the meter before
the first row goes through the port that `begin` is given. There are two kinds: streams, which the meter sends by itself,
and questions, which are asked for every row.
"""

from __future__ import annotations

import abc
import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol as Interface

import numpy as np

from host.meter_limits import MeterLimits
from host.readings import Loss, Readings
from host.sensor import Channel, SensorError

Pieces = Sequence[tuple[bytes, float]]
"""What came from the port: bytes with the host's stamp of their arrival, in order."""

GIVE_UP_BYTES = 1 << 16
"""So many bytes without one valid row among them: the meter does not speak the protocol."""


class Port(Interface):
    """What a protocol needs of a port; host.port.Port is the real one."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def receive(self, timeout_s: float) -> bytes:
        """Return what has arrived, waiting for it at most so long; b"" for nothing."""

    def discard(self) -> None:
        """Drop what has arrived and was not received."""


class MeterProtocol(abc.ABC):
    """What streams and questions share.

    Attributes:
        BAUD: line speed where the URL says nothing; boards with native USB ignore it.
        period_s: how often to ask; None for a stream.
        channels: known once `begin` is through.
    """

    BAUD = 115200
    period_s: float | None = None
    channels: tuple[Channel, ...] = ()

    def __init__(self, limits: MeterLimits):
        self.limits = limits

    @abc.abstractmethod
    def begin(self, port: Port) -> None:
        """Talk to the meter until `channels` is known. Raises SensorError where it does not answer as it should."""

    def end(self, port: Port) -> None:  # noqa: B027 (most meters need no farewell)
        """Stop a stream that was started by `begin`."""

    def describe(self) -> dict:
        """Return JSON data on the instrument: make, model, serial, firmware, shunt_ohm as far as known."""
        return {}

    def mark_request(self, name: str) -> bytes | None:
        """Return what sets a mark in the meter's stream, None where it cannot."""
        return None


class StreamProtocol(MeterProtocol):
    """A meter that sends by itself."""

    def __init__(self, limits: MeterLimits):
        super().__init__(limits)
        self._useless = 0

    @abc.abstractmethod
    def feed(self, pieces: Pieces) -> tuple[Readings, list[Loss]]:
        """Take what arrived and return the rows that it completes, and what was lost. An incomplete row waits for its rest.

        Raises:
            SensorError: for too long nothing that came was a row, or the meter changed its settings.
        """

    @abc.abstractmethod
    def restart(self) -> None:
        """Forget the row in progress: the port was closed and opened again. Counters go on as after a reset."""

    def _judge(self, rows: int, garbage: int, sample: bytes, t_s: float) -> list[Loss]:
        """Return the loss for bytes that were no rows; raises SensorError once there are too many of them in a row."""
        if not garbage:
            self._useless = 0 if rows else self._useless
            return []
        self._useless = 0 if rows else self._useless + garbage
        if self._useless > GIVE_UP_BYTES:
            raise SensorError(
                f"{self._useless} bytes came and none of them was a row of protocol {self.name!r} "
                f"({shown(sample)}): the meter speaks another protocol or another baud rate"
            )
        return [Loss(t_s, "garbage", garbage, f"bytes that are no rows, among them {shown(sample)}")]

    @property
    def name(self) -> str:
        """Return the protocol's name, that of its file."""
        return type(self).__module__.rpartition("serial_")[2]


@dataclass(frozen=True)
class Question:
    """One request and how its answer ends.

    Attributes:
        request: bytes to send.
        length: bytes of the answer; 0 where `ending` tells.
        ending: last byte of the answer.
    """

    request: bytes
    length: int = 0
    ending: bytes = b""

    def answered(self, answer: bytes) -> bool:
        """Return whether the answer is complete."""
        return len(answer) >= self.length if self.length else answer.endswith(self.ending)


class QuestionProtocol(MeterProtocol):
    """A meter that answers.

    Attributes:
        questions: asked for every row, in this order.
        ANSWER_S: longest time that the meter may take for one.
    """

    questions: tuple[Question, ...] = ()
    ANSWER_S = 1.0

    @abc.abstractmethod
    def values(self, answers: Sequence[bytes]) -> tuple[np.ndarray, list[str]]:
        """Return one row, float64 (c,), from the answers, and for each value that had to be rejected (NaN) why.

        Raises:
            ValueError: an answer cannot be read; the message says what came.
        """

    def ask(self, port: Port, question: Question, timeout_s: float | None = None) -> bytes:
        """Return the answer to one question, b"" or a part of it when the meter takes too long."""
        import time

        deadline_s = time.monotonic() + (self.ANSWER_S if timeout_s is None else timeout_s)
        port.discard()
        port.write(question.request)
        answer = b""
        left_s = math.inf
        while not question.answered(answer) and left_s > 0:  # what has come is looked at also where the time has passed
            left_s = deadline_s - time.monotonic()
            answer += port.receive(max(0.0, left_s))
        return answer


def protocols() -> list[str]:
    """Return the names of the protocols that are there: the files host/serial_<name>.py."""
    return sorted(path.stem[len("serial_") :] for path in Path(__file__).parent.glob("serial_*.py"))


def protocol_named(name: str, limits: MeterLimits, options: dict[str, str]) -> MeterProtocol:
    """Return a protocol. Raises ValueError where there is none of that name, TypeError for an option that it does not take."""
    if name not in protocols():
        raise ValueError(f"no protocol {name!r}: there are {', '.join(protocols())}")
    return importlib.import_module(f"host.serial_{name}").Protocol(limits, **options)


def shown(data: bytes) -> str:
    """Return the beginning of bytes as people can read it."""
    return repr(bytes(data[:24]))[1:] + ("..." if len(data) > 24 else "")


def arrivals(pieces: Pieces, before: int, offsets: np.ndarray) -> np.ndarray:
    """Return when the bytes at some offsets arrived.

    Args:
        pieces: what came.
        before: bytes that stand before them, left over from earlier ones.
        offsets: int64 (n,), at least `before`.
    """
    ends = before + np.cumsum([len(data) for data, _ in pieces])
    stamps = np.array([t_s for _, t_s in pieces])
    return stamps[np.minimum(np.searchsorted(ends, offsets, side="right"), len(stamps) - 1)]
