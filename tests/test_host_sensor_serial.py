"""Meters on a port: held alone, lost and found again, silent, fast, and refused where they are not what was said."""

from __future__ import annotations

import contextlib
import select
import struct
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from serial_meter import ROOT, Terminal, lost, played
from waiting import PATIENCE_S, until

from host.line_format import Column, Header, RowFormat
from host.play_meter import METERS, Player
from host.sensor import SensorError, SensorLost, open_sensor
from host.sensor_serial import found

COLUMNS = (Column("bus", "V", 1.25e-3, 4, False), Column("shunt", "S", 2.5e-6, 4, True))
HEADER = Header(COLUMNS, {"chip": "INA226", "serial": "7", "shunt_uohm": "10000"})


def rows(first: int, count: int, uptime_s: float = 0.0) -> bytes:
    number = np.arange(first, first + count)
    return RowFormat(COLUMNS).encode(number, 1000 * number + int(1e6 * uptime_s), np.column_stack([np.full(count, 9600), number]))


def answered(data: bytes) -> bytes:
    return HEADER.line() + rows(0, 1) if b"?" in data else b""


def usb(*ports):
    """Stand in for the USB devices that are plugged in: (device file, serial number)."""
    return lambda: [SimpleNamespace(device=device, serial_number=serial, manufacturer="Pico", product="meter", description="n/a")
                    for device, serial in ports]  # fmt: skip


def read_all(sensor, count: int):
    """Read until so many rows are there."""
    parts, ends_s = [], time.monotonic() + PATIENCE_S
    while sum(map(len, parts)) < count and time.monotonic() < ends_s:
        parts.append(sensor.read(0.2))
    return np.concatenate([part.sequence for part in parts])


def test_rows_are_stamped_on_arrival_and_the_meter_describes_itself(monkeypatch):
    with (
        Terminal(answered) as terminal,
        open_sensor(f"serial:{terminal.port}?shunt_limit=0.001&rail=12V&scope=whole%20board") as sensor,
    ):
        assert sensor.period_s is None and sensor.clock == "host" and sensor.label == "measured"
        before_s = time.monotonic()
        terminal.send(rows(1, 3))
        found_rows = sensor.read(PATIENCE_S)
        assert found_rows.sequence.tolist() == [1, 2, 3]
        assert before_s <= found_rows.t_s[0] <= found_rows.t_s[-1] <= time.monotonic()
        assert {c.name for c in sensor.channels} == {"12V/voltage", "12V/current", "12V/power"}
        assert sensor.channels[2].scope.startswith("whole board") and sensor.channels[1].specification.shunt == 0.001
        told = sensor.describe()
        assert (told["make"], told["serial"], told["shunt_ohm"], told["port"]) == ("joulegrad", "7", 0.01, terminal.port)
        started_s, looks, look = time.monotonic(), [], select.select
        with monkeypatch.context() as counted:
            counted.setattr("host.port.select.select", lambda *of: looks.append(threading.get_ident()) or look(*of))
            assert len(sensor.read(0.3)) == 0 and 0.25 < time.monotonic() - started_s < 30
        assert looks.count(threading.get_ident()) < 5, "waits without spinning"
        assert not sensor.mark("begin"), "this meter reports no pin"


@pytest.mark.fault(22)
def test_a_second_reader_is_refused_in_this_process_and_in_another():
    with Terminal(answered) as terminal, open_sensor(f"serial:{terminal.port}") as sensor:
        with pytest.raises(SensorError, match="in use by another program"):
            open_sensor(f"serial:{terminal.port}").open()
        code = (f"from host.sensor import open_sensor, SensorError\ntry: open_sensor('serial:{terminal.port}').open()\n"
                "except SensorError as error: print(error)")  # fmt: skip
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
        assert "in use by another program" in told.stdout
        terminal.send(rows(1, 2))
        assert len(read_all(sensor, 2)) == 2, "the first reader has lost nothing"


@pytest.mark.fault(22)
def test_the_port_is_free_after_close_and_after_a_failed_open(monkeypatch):
    with monkeypatch.context() as short, Terminal() as terminal:
        short.setattr("host.serial_lines.HEADER_S", 0.1)
        for _ in range(2):
            with pytest.raises(SensorError, match="nothing comes from the port"):
                open_sensor(f"serial:{terminal.port}").open()
    with Terminal(answered) as terminal:
        for _ in range(2):
            sensor = open_sensor(f"serial:{terminal.port}")
            sensor.open()
            sensor.close()
            sensor.close()


@pytest.mark.fault(1)
@pytest.mark.fault(2)
def test_unplugged_data_is_kept_and_the_meter_found_at_another_port_by_its_usb_serial_number(monkeypatch):
    first, second = Terminal(answered), Terminal(answered)
    plugged = [(first.port, "E6614"), ("/dev/ttyS99", None)]
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: usb(*plugged)())
    sensor = open_sensor("serial:E6614")
    sensor.open()
    first.send(rows(1, 4))
    kept = sensor.read(PATIENCE_S).sequence.tolist()
    first.send(rows(5, 3))
    first.unplug()
    plugged.pop(0)
    started_s = time.monotonic()
    with pytest.raises(SensorLost, match="is gone"):
        for _ in range(50):
            kept += sensor.read(1.0).sequence.tolist()
    assert time.monotonic() - started_s < 30, "never hangs"
    assert kept[:4] == [1, 2, 3, 4]
    assert [loss.reason for loss in sensor.take_losses() if loss.reason != "garbage"] == ["unplugged"]
    with pytest.raises(SensorLost):
        sensor.read(0.1)
    with pytest.raises(SensorError, match="no USB device with serial number 'E6614'"):
        sensor.open()
    plugged.append((second.port, "E6614"))
    sensor.open()
    assert sensor.describe()["port"] == second.port
    second.send(rows(40, 5))  # farther on than before, and still another count: it was restarted
    again = read_all(sensor, 5)
    assert again[0] > kept[-1] and (np.diff(again) == 1).all()
    assert {"replugged", "counter reset"} <= {loss.reason for loss in sensor.take_losses()}
    sensor.close()
    second.unplug()


@pytest.mark.fault(2)
def test_a_port_that_was_named_by_its_path_is_also_found_by_what_was_in_it(monkeypatch):
    first, second = Terminal(answered), Terminal(answered)
    plugged = [(first.port, "A1"), (second.port, "B2")]
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: usb(*plugged)())
    sensor = open_sensor(f"serial:{first.port}")
    sensor.open()
    sensor.close()
    plugged[:] = [(first.port, "B2"), (second.port, "A1")]
    sensor.open()
    assert sensor.describe()["port"] == second.port, "the meter, not the socket"
    sensor.close()
    first.unplug()
    second.unplug()


@pytest.mark.fault(4)
@pytest.mark.parametrize(
    "sent", [b"\xf8\x80\x00\xe6" * 200, b"12.01,0.4\r\n" * 50]
)
def test_a_meter_of_another_protocol_or_speed_is_refused_in_a_sentence(sent, monkeypatch):
    monkeypatch.setattr("host.serial_lines.GIVE_UP_BYTES", len(sent))
    monkeypatch.setattr("host.serial_lines.HEADER_S", PATIENCE_S)
    with Terminal(lambda data: sent) as terminal, pytest.raises(SensorError, match="no header of the line protocol") as refused:
        open_sensor(f"serial:{terminal.port}").open()
    assert "\n" not in str(refused.value) and "baud" in str(refused.value)


@pytest.mark.fault(4)
def test_a_meter_that_turns_to_garbage_is_given_up_in_the_run():
    with Terminal(answered) as terminal, open_sensor(f"serial:{terminal.port}") as sensor:
        terminal.send(rows(1, 5))
        assert len(read_all(sensor, 5)) == 5
        with pytest.raises(SensorError, match="another protocol or another baud rate"):
            for _ in range(60):
                terminal.send(b"\xaa\x55" * 1500)
                sensor.read(PATIENCE_S)
        assert lost(sensor.take_losses(), "garbage") > 0


def test_a_silent_meter_is_noted_once(monkeypatch):
    monkeypatch.setattr("host.sensor_serial.SILENT_S", 0.1)
    with Terminal(answered) as terminal, open_sensor(f"serial:{terminal.port}") as sensor:
        for _ in range(4):
            sensor.read(0.1)
        assert [loss.reason for loss in sensor.take_losses()] == ["stalled read"]


WRONG = {
    "serial:": "name a port",
    "serial:/dev/nothing_here": "there is no port /dev/nothing_here",
    "serial:NOSUCH": "no USB device with serial",
    "serial:/dev/null": "cannot be opened as a serial port",
    "serial:/dev/ttyX?protocol=morse": "no protocol 'morse'",
    "serial:/dev/ttyX?baud=fast": "baud=fast",
    "serial:/dev/ttyX?colour=red": "colour",
    "serial:/dev/ttyX?gain_limit=2": "gain_limit=2",
}


@pytest.mark.parametrize("url", WRONG)
def test_wrong_urls_are_one_sentence(url):
    with pytest.raises(SensorError, match=WRONG[url]) as refused:
        open_sensor(url).open()
    assert "\n" not in str(refused.value)


@pytest.mark.fault(32)
def test_a_port_without_permission_is_said_so(monkeypatch):
    def refuse(*args, **options):
        import serial

        raise serial.SerialException(13, "could not open port: [Errno 13] Permission denied")

    with Terminal(answered) as terminal:
        monkeypatch.setattr("serial.Serial", refuse)
        with pytest.raises(SensorError, match="no permission.*dialout"):
            open_sensor(f"serial:{terminal.port}").open()


def test_found_lists_what_is_plugged_in(monkeypatch):
    with Terminal() as terminal:
        monkeypatch.setattr("serial.tools.list_ports.comports", usb((terminal.port, "E6614"), ("/dev/none", None)))
        here = {each.url: each for each in found()}
        assert "Pico meter" in here["serial:E6614?protocol=lines"].what and here["serial:E6614?protocol=lines"].missing == ""
        assert "permission" in here["serial:/dev/none?protocol=lines"].missing
        monkeypatch.setattr("serial.tools.list_ports.comports", lambda: [])
        assert "no serial port" in found()[0].missing


def um_answer(volts: int) -> bytes:
    return struct.pack(">HHHI", 0x09C9, volts, 10000, volts) + bytes(120)


@pytest.mark.fault(18)
def test_a_meter_that_is_asked_is_stamped_at_the_midpoint_and_a_missing_answer_is_not_zero(monkeypatch):
    monkeypatch.setattr("host.meter_protocol.QuestionProtocol.ANSWER_S", PATIENCE_S)
    asked, answering = [], threading.Event()
    answering.set()

    def answer(data: bytes) -> bytes:
        asked.append(data)
        time.sleep(0.1)
        volts = 5000 if len(asked) < 4 else 9000
        assert answering.wait(PATIENCE_S)
        return um_answer(volts)

    with Terminal(answer) as terminal, open_sensor(f"serial:{terminal.port}?protocol=um") as sensor:
        started_s = time.monotonic()
        row = sensor.read(PATIENCE_S)
        assert row.values[0].tolist() == pytest.approx([5.0, 1.0, 5.0]) and row.width_s[0] >= 0.1
        assert started_s <= row.t_s[0] - row.width_s[0] / 2 < row.t_s[0] + row.width_s[0] / 2 <= time.monotonic()
        answering.clear()
        started_s = time.monotonic()
        row = sensor.read(0.2)
        assert np.isnan(row.values).all() and 0.2 <= row.width_s[0] <= time.monotonic() - started_s
        sent = terminal.sent
        answering.set()
        until(lambda: terminal.sent > sent, "the late answer")
        row = sensor.read(PATIENCE_S)
        assert row.values[0, 0] == pytest.approx(9.0), "the late answer is not taken for this one"
        assert [loss.reason for loss in sensor.take_losses()] == ["failed read"]
        terminal.unplug()
        with pytest.raises(SensorLost):
            sensor.read(0.5)


@pytest.mark.fault(21)
@pytest.mark.parametrize("protocol", ["lines", "powersensor3"])
def test_a_fast_meter_arrives_and_what_it_drops_in_a_stall_is_counted(protocol):
    player = Player(METERS[protocol](20_000), 20_000, 32_768)
    thread = threading.Thread(target=lambda: (player.play(40_000), player.drain(PATIENCE_S)), daemon=True)
    thread.start()

    def dropped(first: int) -> int:
        return sum(count for number, count in player.dropped if number > first)

    with contextlib.closing(player), open_sensor(f"serial:{player.port}?protocol={protocol}") as sensor:
        received, losses, first, last, stalled, empty = 0, [], None, None, False, 0
        while empty < 3:  # groups of a PowerSensor3 that wait for those behind them are no rows yet
            empty += not thread.is_alive()
            while len(rows := sensor.read(0.5)):
                received, last, first = received + len(rows), int(rows.sequence[-1]), rows.sequence[0] if first is None else first
                assert (np.diff(rows.device_t_s) > 0).all() and (np.diff(rows.t_s) >= 0).all()
                if last > 8000 and not stalled:
                    stalled = True
                    until(lambda first=first: dropped(first) > 5000 or not thread.is_alive(), "rows that the meter drops")
                losses += sensor.take_losses()
    missing, counted = dropped(first), lost(losses, "dropped")
    assert missing > 5000 and received + counted == last - first + 1
    if protocol == "lines":
        unseen = dropped(last)  # a busy machine may make it drop its last rows: no row behind them tells of it
        assert counted == missing - unseen and last + unseen == 39_999
    else:
        assert counted > 0.75 * missing, "without a sequence number it is near"


def test_a_mark_comes_back_in_the_stream():
    with played("lines", 500, 100_000) as (port, _), open_sensor(f"serial:{port}") as sensor:
        assert sensor.mark("begin")
        pins = [channel.unit for channel in sensor.channels].index("1")
        ends_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends_s:
            row = sensor.read(0.5)
            if len(row) and row.values[-1, pins] == 1:
                return
    raise AssertionError("no edge came")


def test_the_benchmark_runs():
    from host.benchmark_serial import run

    result = run("lines", 5000, 0.5)
    assert result.made == result.received + result.counted and result.counted == result.dropped


def test_an_answer_that_comes_late_is_not_taken_for_that_to_the_next_question(monkeypatch):
    """The supply is held up once, and then works off what it was asked, one after the other: volts are no amperes."""
    monkeypatch.setattr("host.meter_protocol.QuestionProtocol.ANSWER_S", 0.2)
    said = {b"*IDN?": b"X,Y,Z,1\n", b"MEAS:VOLT?": b"5.0\n", b"MEAS:CURR?": b"0.5\n"}
    held_s = [0.0]

    def answer(data: bytes) -> bytes:
        for request in filter(None, data.split(b"\n")):
            time.sleep(held_s.pop() if held_s else 0.02)
            terminal.send(said.get(request, b""))
        return b""

    with Terminal(answer) as terminal, open_sensor(f"serial:{terminal.port}?protocol=scpi") as sensor:
        held_s.append(0.5)
        read = [sensor.read(0.3).values[0] for _ in range(8)]
        assert all(np.isnan(row).all() or row.tolist() == [5.0, 0.5, 2.5] for row in read), read
        assert np.isnan(read[0]).all() and read[-1].tolist() == [5.0, 0.5, 2.5]


def test_an_answer_that_never_comes_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr("host.sensor_serial.LATE_S", 0.3)
    said = {b"VOUT1?": b"12.00", b"IOUT1?": b"0.500", b"VSET1?": b"13.00", b"*IDN?": b"KORAD"}
    lost_requests = []
    with (
        Terminal(lambda data: b"" if lost_requests and lost_requests.pop() else said[data]) as terminal,
        open_sensor(f"serial:{terminal.port}?protocol=korad") as sensor,
    ):
        lost_requests.append(True)
        assert np.isnan(sensor.read(0.1).values).all()
        until(lambda: not np.isnan(sensor.read(0.1).values).any(), "rows again")
