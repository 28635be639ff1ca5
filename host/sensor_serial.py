"""Meters on a serial port: "serial:/dev/ttyACM0?protocol=lines" or "serial:<USB serial number>?...".

Options: protocol= (lines where not given), baud=, rail=, scope=, part_of=, gain_limit=, offset_limit=, shunt_ohm=,
shunt_limit=, volts=, volts_limit=, refresh_s=, and those of the protocol (see host/serial_<protocol>.py).
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace

import numpy as np

from host.meter_limits import MeterLimits
from host.meter_protocol import Question, QuestionProtocol, StreamProtocol, protocol_named, shown
from host.port import Port
from host.readings import Loss, Readings
from host.sensor import Found, Sensor, SensorError, SensorLost

LOOK = False
"""Listing opens no port: what is behind one is unknown, and opening restarts many controllers."""

GATHER_S = 0.05
"""A read of a stream returns so long after its first byte: rows are parsed many at once."""

PAUSE_S = 0.002
"""Between two looks at a port that has bytes; a slow stream is stamped at once, a fast one to within this."""

GATHER_BYTES = 1 << 17

LATE_S = 3.0
"""An answer that did not come in time may still come, and would be taken for that to the next question: none is asked before
it is there, or has been missing for so long."""

SILENT_S = 1.0
"""A stream that says nothing for so long, or for five of its refreshes, is noted."""


@dataclass(frozen=True)
class Owed:
    """A question whose answer did not come in time: what has come of it, and when it had been waited for."""

    question: Question
    answer: bytes
    waited_s: float


class Driver(Sensor):
    """A meter on a serial port."""

    def __init__(self, url: str, where: str, protocol: str = "lines", baud: str | None = None, **options: str):
        super().__init__(url)
        if not where:
            raise ValueError("name a port or a USB serial number: serial:/dev/ttyACM0; joulegrad sensors lists them")
        limits, left = MeterLimits.taken(options)
        self._where = where
        self.protocol = protocol_named(protocol, limits, left)
        self._baud = self.protocol.BAUD if baud is None else _baud(baud)
        self.period_s = self.protocol.period_s
        self._port: Port | None = None
        self._usb_serial = self._gone = ""
        self._heard_s, self._silent = 0.0, False
        self._owed: Owed | None = None

    def open(self) -> None:
        """Claim the port and learn the channels; after a loss, the same meter wherever it is plugged in now."""
        if self._port is not None:
            return
        again = bool(self.channels)
        port = Port(self._where, self._baud, self._usb_serial)
        try:
            if again and isinstance(self.protocol, StreamProtocol):
                self.protocol.restart()
            self.protocol.begin(port)
        except BaseException:
            port.close()
            raise
        if again and self.channels != self.protocol.channels:
            port.close()
            raise SensorError(f"another meter than before is at {port.path}: its channels differ")
        self.channels = self.protocol.channels
        self._port, self._usb_serial, self._owed = port, self._usb_serial or port.usb_serial, None
        self._heard_s, self._silent = time.monotonic(), False
        if self._gone:
            self.losses.append(Loss(self._heard_s, "replugged", 0, f"found again at {port.path}"))
            self._gone = ""

    def close(self) -> None:
        """Stop the meter's stream and free the port."""
        if self._port is None:
            return
        port, self._port = self._port, None
        try:
            self.protocol.end(port)
        except SensorError:
            pass  # it is gone already
        finally:
            port.close()

    def read(self, timeout_s: float = 1.0) -> Readings:
        """Return the rows that have arrived, or the one that was asked for."""
        if self._gone:
            raise SensorLost(f"sensor {self.url!r} is gone: {self._gone}")
        if self._port is None:
            raise SensorError(f"sensor {self.url!r} is not open")
        if isinstance(self.protocol, QuestionProtocol):
            return self._asked(self.protocol, timeout_s)
        return self._streamed(self.protocol, timeout_s)

    def _streamed(self, protocol: StreamProtocol, timeout_s: float) -> Readings:
        pieces, size, ends_s = [], 0, time.monotonic() + timeout_s
        left_s, gathering = timeout_s, False
        while not pieces or left_s > 0 and size < GATHER_BYTES:  # what is there is taken also where the time has passed
            try:
                data = self._port.receive(max(0.0, left_s))
            except SensorLost as lost:
                self._lose(lost)
                break
            if not data:
                break
            now_s = time.monotonic()
            pieces.append((data, now_s))
            size += len(data)
            if not gathering:
                gathering, ends_s = True, min(ends_s, now_s + GATHER_S)
            time.sleep(max(0.0, min(PAUSE_S, ends_s - now_s)))
            left_s = ends_s - time.monotonic()
        rows, losses = protocol.feed(pieces)
        self.losses += losses
        self._listen(len(rows))
        if self._gone and not len(rows):
            raise SensorLost(f"sensor {self.url!r} is gone: {self._gone}")
        return rows

    def _listen(self, rows: int) -> None:
        """Note once when a stream falls silent."""
        now_s = time.monotonic()
        if rows:
            self._heard_s, self._silent = now_s, False
            return
        patience_s = max([SILENT_S, *(5 * channel.refresh_s for channel in self.channels if channel.refresh_s)])
        if not self._silent and now_s - self._heard_s > patience_s:
            self._silent = True
            self.losses.append(Loss(now_s, "stalled read", 0, f"no row for {now_s - self._heard_s:.1f} s"))

    def _asked(self, protocol: QuestionProtocol, timeout_s: float) -> Readings:
        started_s, why, failed = time.monotonic(), [], ""
        values = np.full(len(self.channels), np.nan)
        try:
            if self._caught_up(started_s + max(timeout_s, 0.0)):
                answers = self._answers(protocol, started_s + max(timeout_s, 0.0))
        except SensorLost as lost:
            self._lose(lost)
            raise SensorLost(f"sensor {self.url!r} is gone: {self._gone}") from None
        ended_s = time.monotonic()
        t_s = (started_s + ended_s) / 2
        if self._owed:
            request, came = shown(self._owed.question.request), shown(self._owed.answer)
            failed = f"no whole answer to {request} in {ended_s - started_s:.2f} s, only {came}"
        else:
            try:
                values, why = protocol.values(answers)
            except ValueError as error:
                failed = str(error)
        self.losses += [Loss(t_s, "failed read", 1, failed)] if failed else [Loss(t_s, "rejected", 1, reason) for reason in why]
        return Readings.of(t_s, [values], width_s=ended_s - started_s)

    def _answers(self, protocol: QuestionProtocol, until_s: float) -> list[bytes]:
        """Return the answers to all questions; up to the first that is owed then, where one did not come in time."""
        answers = []
        for question in protocol.questions:
            left_s = until_s - time.monotonic()
            answers.append(protocol.ask(self._port, question, min(protocol.ANSWER_S, max(0.05, left_s))))
            if not question.answered(answers[-1]):
                self._owed = Owed(question, answers[-1], time.monotonic())
                break
        return answers

    def _caught_up(self, until_s: float) -> bool:
        """Wait for the answer that is owed; return whether there is none any more, and the meter may be asked again."""
        while self._owed and not self._owed.question.answered(self._owed.answer):
            now_s = time.monotonic()  # what has come is looked at also where the time has passed
            answer = self._owed.answer + self._port.receive(max(0.0, until_s - now_s))
            self._owed = replace(self._owed, answer=answer)
            if now_s - self._owed.waited_s > LATE_S:
                break
            if now_s >= until_s:
                return False
        self._owed = None
        return True

    def _lose(self, lost: SensorLost) -> None:
        self._gone = str(lost)
        self._port.close()
        self._port = None
        self.losses.append(Loss(time.monotonic(), "unplugged", 0, self._gone))

    def mark(self, name: str) -> bool:
        """Set a mark in the meter's own stream, where the meter can."""
        request = self.protocol.mark_request(name)
        if request is None or self._port is None:
            return False
        self._port.write(request)
        return True

    def describe(self) -> dict:
        """Return what the meter says of itself, and where it is plugged in."""
        found = {"make": "", "model": "", "serial": "", **self.protocol.describe()}
        if not found["serial"] and self._usb_serial:
            found["serial"] = self._usb_serial
        return {
            **found,
            "protocol": type(self.protocol).__module__.rpartition("serial_")[2],
            "baud": self._baud,
            "port": self._port.path if self._port else "",
            "usb_serial": self._usb_serial,
        }


def found() -> list[Found]:
    """Return the serial ports that are here, whatever is behind them."""
    from serial.tools import list_ports

    ports = sorted(list_ports.comports(), key=lambda port: port.device)
    if not ports:
        return [
            Found(
                "serial",
                "meters on a serial or USB port",
                "no serial port is here: plug in a meter (host/firmware/README.md says how to build one)",
            )
        ]
    lines = []
    for port in ports:
        words = [word for word in (port.manufacturer, port.product or port.description) if word and word != "n/a"]
        what = " ".join(words) or "serial port"
        what += f" at {port.device}" + (f", USB serial number {port.serial_number}" if port.serial_number else "")
        allowed = os.name == "nt" or os.access(port.device, os.R_OK | os.W_OK)
        unique = sum(other.serial_number == port.serial_number for other in ports) == 1
        lines.append(
            Found(
                f"serial:{port.serial_number if port.serial_number and unique else port.device}?protocol=lines",
                what,
                ""
                if allowed
                else f"no permission to open {port.device}: add your user to the group that owns it (often dialout)",
            )
        )
    return lines


def _baud(text: str) -> int:
    if not text.isdigit() or not 50 <= int(text) <= 12_000_000:
        raise ValueError(f"baud={text}: it is a line speed such as 115200")
    return int(text)
