"""A meter on a pseudo-terminal, for tests and benchmarks: sends rows at a set rate as a micro-controller would.

Its transmit buffer is bounded: rows that find it full are dropped, and counted, as a controller does whose host reads too
late. It stands for the controller's own buffer and the kernel's, since a pseudo-terminal holds little (some 12 KiB) where
a driver of USB serial ports holds up to 640 KiB. Run as a program it prints {"port": ...} in a line, sends until it has
made its rows, prints what became of them, and keeps the terminal open until its standard input is closed.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import sys
import threading
import time
import tty

import numpy as np

from host import scheduling
from host.line_format import Column, Header, RowFormat
from host.serial_lines import REQUEST
from host.serial_powersensor3 import GROUP_BYTES, SENSORS, Sensor, encode_groups

TICK_S = 0.001
SLICE_ROWS = 256
LATE_S = 0.005
"""What the player is late for is made at once where the buffer takes it; else rows of so much time now, the rest later."""


class LinesMeter:
    """An INA226 behind the line protocol: 12 V, a current that counts up, edges on the mark pin."""

    def __init__(self, rate: float):
        columns = (
            Column("bus", "V", 1.25e-3, 4, False),
            Column("shunt", "S", 2.5e-6, 4, True),
            Column("pins", "1", 1.0, 1, False),
        )
        self.header = Header(
            columns,
            {
                "chip": "INA226",
                "firmware": "played",
                "serial": "PLAYED",
                "shunt_uohm": "10000",
                "shunt_ppm": "5000",
                "cycle_us": str(max(1, round(1e6 / rate))),
            },
        )
        self._format, self._period_us, self._edges = RowFormat(columns), 1e6 / rate, 0
        self.row_bytes, self.streaming = self._format.length + 1, False

    def rows(self, first: int, count: int) -> bytes:
        """Return so many rows from number `first`."""
        number = np.arange(first, first + count, dtype=np.int64)
        integers = np.column_stack([np.full(count, 9600), number * 7 % 1000, np.full(count, self._edges % 16)])
        return self._format.encode(number, (number * self._period_us).astype(np.int64), integers)

    def heard(self, data: bytes) -> bytes:
        """Take what the host says, return the answer."""
        self._edges += data.count(b"m")
        if REQUEST[:1] not in data:
            return b""
        self.streaming = True
        return self.header.line()


class PowerSensor3Meter:
    """A PowerSensor3 with two pairs in use; sends all eight sensors, as its firmware does."""

    def __init__(self, rate: float):
        pairs = [
            (Sensor("MCP3905", "12V", 1.65, 0.12, True), Sensor("ISO", "12V", 0.0, 0.15, True)),
            (Sensor("MCP3905", "3V3", 1.65, 0.12, True), Sensor("ISO", "3V3", 0.0, 0.6, True)),
        ]
        pairs += [(Sensor("none", "", 0.0, 1.0, False),) * 2] * (SENSORS // 2 - len(pairs))
        self.sensors = [sensor for pair in pairs for sensor in pair]
        self._period_us, self._mark, self._sent = 1e6 / rate, False, SENSORS
        self.row_bytes, self.streaming = GROUP_BYTES, False

    def rows(self, first: int, count: int) -> bytes:
        """Return so many groups from number `first`."""
        number = np.arange(first, first + count, dtype=np.int64)
        levels = (np.arange(SENSORS) * 40 + 500 + number[:, None] % 10) % 1024
        marker = np.zeros(count, bool)
        if count and self._mark:
            marker[0], self._mark = True, False
        return encode_groups((number * self._period_us).astype(np.int64), levels, marker)

    def heard(self, data: bytes) -> bytes:
        """Take what the host says, return the answer."""
        answer = b""
        for byte in data:
            if self._sent < SENSORS:  # any character asks for the next sensor
                self._sent += 1
                answer += self.sensors[self._sent].packed() if self._sent < SENSORS else b"D"
            elif byte == ord("R"):
                self._sent = 0
                answer += self.sensors[0].packed()
            elif byte == ord("V"):
                answer += b"F401-1.5.0\r\n"
            elif byte in b"STX":
                self.streaming = byte == ord("S")
            elif byte == ord("M"):
                self._mark = True
        return answer


METERS = {"lines": LinesMeter, "powersensor3": PowerSensor3Meter}


class Player:
    """A meter, its transmit buffer and the pseudo-terminal's end that a USB cable would be.

    Attributes:
        port: path of the end that the host opens.
        made: rows so far.
        dropped: of them, as [number of the first, count] for each time that the buffer was full.
    """

    def __init__(self, meter, rate: float, buffer_bytes: int = 131072):
        self._meter, self._rate, self._room = meter, rate, buffer_bytes
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._buffer = bytearray()
        self.made, self.dropped = 0, []

    def play(self, rows: int) -> None:
        """Make so many rows from now on, at the rate."""
        until, started_s, before = self.made + rows, None, self.made
        while self.made < until:
            self._listen(TICK_S)
            if not self._meter.streaming:
                if started_s is not None:
                    return  # the host has stopped it
                continue
            if started_s is None:
                started_s = time.monotonic()
            due = min(until, before + int((time.monotonic() - started_s) * self._rate))
            at_once = max(int(LATE_S * self._rate), (self._room - len(self._buffer)) // self._meter.row_bytes)
            if due - self.made > at_once:  # a real meter is never late
                started_s += (due - self.made - at_once) / self._rate
                due = min(until, self.made + at_once)
            while self.made < due:
                self._make(min(due - self.made, SLICE_ROWS))
                self._send()

    def drain(self, seconds: float = 5.0) -> None:
        """Send what stands in the buffer."""
        ends_s = time.monotonic() + seconds
        while self._buffer and time.monotonic() < ends_s:
            self._listen(TICK_S)
            self._send()

    def _make(self, count: int) -> None:
        kept = min(count, max(0, self._room - len(self._buffer)) // self._meter.row_bytes)
        self._buffer += self._meter.rows(self.made, kept)
        if kept < count:
            follows = self.dropped and sum(self.dropped[-1]) == self.made + kept
            if follows and not kept:
                self.dropped[-1][1] += count
            else:
                self.dropped.append([self.made + kept, count - kept])
        self.made += count

    def _send(self) -> None:
        try:
            del self._buffer[: os.write(self._master, self._buffer)]
        except BlockingIOError:
            pass

    def _listen(self, timeout_s: float) -> None:
        if select.select([self._master], [], [], timeout_s)[0]:
            self._buffer += self._meter.heard(os.read(self._master, 4096))
            self._send()

    def close(self) -> None:
        """Unplug the meter."""
        os.close(self._slave)
        os.close(self._master)


def main() -> None:
    """Play a meter."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--protocol", choices=sorted(METERS), default="lines")
    options.add_argument("--rate", type=float, default=20_000.0, help="rows per second")
    options.add_argument("--rows", type=int, required=True)
    options.add_argument("--buffer", type=int, default=131072, help="bytes of the transmit buffer")
    chosen = options.parse_args()
    scheduling.go_first()  # a controller shares its processor with nobody
    player = Player(METERS[chosen.protocol](chosen.rate), chosen.rate, chosen.buffer)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    print(json.dumps({"port": player.port}), flush=True)
    player.play(chosen.rows)
    player.drain()
    print(json.dumps({"made": player.made, "dropped": player.dropped}), flush=True)
    threading.Event().wait()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
