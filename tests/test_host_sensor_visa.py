"""SCPI instruments through pyvisa-py, against an instrument on a socket of this machine."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time

import numpy as np
import pytest
from waiting import until

from host.sensor import SensorError, SensorLost, open_sensor
from host.sensor_visa import found


class Instrument:
    """A supply that speaks SCPI over TCP."""

    def __init__(self, answers: dict[str, str]):
        self.answers, self._connections = answers, []
        self.held_s: list[float] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"visa:TCPIP::127.0.0.1::{self._server.getsockname()[1]}::SOCKET"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rw", newline="\n") as lines:
            try:
                for line in lines:
                    time.sleep(self.held_s.pop() if self.held_s else 0.0)
                    if (answer := self.answers.get(line.strip())) is not None:
                        lines.write(answer + "\n")
                        lines.flush()
            except OSError:
                return

    def __enter__(self):
        return self

    def unplug(self) -> None:
        for each in (self._server, *self._connections):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def __exit__(self, *exc_info):
        self.unplug()


SUPPLY = {"*IDN?": "KEYSIGHT,E36312A,MY1,2.0", "MEAS:VOLT?": "+1.20000E+01", "MEAS:CURR?": "+2.5E-01", "MEAS:POW?": "3.01"}


def test_rows_identity_and_limits():
    with Instrument(dict(SUPPLY)) as instrument, open_sensor(f"{instrument.url}?gain_limit=0.002&rail=12V") as sensor:
        row = sensor.read(1.0)
        assert row.values.tolist() == [[12.0, 0.25, 3.01]] and row.width_s[0] > 0
        assert sensor.describe()["serial"] == "MY1" and sensor.channels[2].specification.gain == 0.002
        assert [c.name for c in sensor.channels] == ["12V/voltage", "12V/current", "12V/power"]
        instrument.answers["MEAS:CURR?"] = "9.91E37"
        assert np.isnan(sensor.read(1.0).values[0, 1]) and [loss.reason for loss in sensor.take_losses()] == ["rejected"]


@pytest.mark.fault(18)
def test_no_answer_is_a_failed_read_and_a_closed_connection_a_lost_sensor():
    answers = dict(SUPPLY)
    with Instrument(answers) as instrument, open_sensor(instrument.url) as sensor:
        del answers["MEAS:VOLT?"]
        assert np.isnan(sensor.read(0.2).values).all() and [loss.reason for loss in sensor.take_losses()] == ["failed read"]
        instrument.unplug()
        with pytest.raises(SensorLost):
            for _ in range(3):
                sensor.read(0.2)


def test_an_answer_that_comes_late_is_not_taken_for_that_to_the_next_question():
    """The instrument is held up once, and then works off what it was asked, one after the other: volts are no amperes."""
    with Instrument(SUPPLY) as instrument, open_sensor(instrument.url) as sensor:
        instrument.held_s.append(0.5)
        read = [sensor.read(0.3).values[0] for _ in range(6)]
        assert all(np.isnan(row).all() or row.tolist() == [12.0, 0.25, 3.01] for row in read), read
        assert np.isnan(read[0]).all() and read[-1].tolist() == [12.0, 0.25, 3.01]


def test_an_answer_that_never_comes_is_not_waited_for():
    answers = dict(SUPPLY)
    with Instrument(answers) as instrument, open_sensor(instrument.url) as sensor:
        del answers["MEAS:VOLT?"]
        assert np.isnan(sensor.read(0.1).values).all()
        answers |= SUPPLY
        until(lambda: sensor.read(0.1).values[0].tolist() == [12.0, 0.25, 3.01], "rows again")


def test_nothing_there_is_one_sentence():
    with Instrument(SUPPLY) as instrument:
        url = instrument.url
    with pytest.raises(SensorError, match="cannot be used") as refused:
        open_sensor(url).open()
    assert "\n" not in str(refused.value)
    with pytest.raises(SensorError, match="name the resource"):
        open_sensor("visa")


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvisa", None)
    assert "pip install 'joulegrad[meters]'" in found()[0].missing
    with pytest.raises(SensorError, match="joulegrad\\[meters\\]"):
        open_sensor("visa:TCPIP::x::INSTR").open()
