"""Meters without hardware, for the tests of serial drivers: a scripted port, and a process behind a pseudo-terminal."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
import tty

import numpy as np

from host.meter_limits import MeterLimits
from host.meter_protocol import protocol_named

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class ScriptedPort:
    """A port whose other side is a function from what was written to what then arrives."""

    def __init__(self, answer=lambda data: b"", first: bytes = b""):
        self.answer, self.arrived, self.written = answer, first, b""

    def write(self, data: bytes) -> None:
        self.written += data
        self.arrived += self.answer(data)

    def receive(self, timeout_s: float) -> bytes:
        data, self.arrived = self.arrived, b""
        if not data:
            time.sleep(max(0.0, min(timeout_s, 0.02)))
        return data

    def discard(self) -> None:
        self.arrived = b""


def begun(name: str, port: ScriptedPort, options: dict | None = None, **limits):
    """Return a protocol that has gone through its `begin`."""
    protocol = protocol_named(name, MeterLimits(**limits), options or {})
    protocol.begin(port)
    return protocol


def fed(protocol, data: bytes, cuts=(), t_s: float = 100.0):
    """Feed bytes cut at some places; return all rows (t, values, device time, sequence as arrays) and all losses."""
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    parts, losses = [], []
    for begin, end in zip(edges[:-1], edges[1:], strict=True):
        rows, lost = protocol.feed([(data[begin:end], t_s)])
        parts.append(rows)
        losses += lost
    table = tuple(np.concatenate([getattr(part, name) for part in parts]) for name in ("t_s", "values", "device_t_s", "sequence"))
    return table, losses


def lost(losses, reason: str) -> int:
    """Return the count of the losses for one reason."""
    return sum(loss.count for loss in losses if loss.reason == reason)


@contextlib.contextmanager
def played(protocol: str, rate: float, rows: int, buffer: int = 32768):
    """Run host.play_meter in a process; yields its port and a function that waits for {"made", "dropped"}."""
    command = [sys.executable, "-m", "host.play_meter", "--protocol", protocol, "--rate", str(rate), "--rows", str(rows)]
    meter = subprocess.Popen(
        [*command, "--buffer", str(buffer)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        yield json.loads(meter.stdout.readline())["port"], lambda: json.loads(meter.stdout.readline())
    finally:
        meter.stdin.close()
        meter.wait(60)
        meter.stdout.close()


class Terminal:
    """A pseudo-terminal with a thread that answers what the host writes. `unplug` takes the meter's side away.

    Attributes:
        port: path of the host's end.
        heard, sent: bytes from the host, number of bytes to it.
    """

    def __init__(self, answer=lambda data: b""):
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port, self._answer, self.heard, self.sent = os.ttyname(self._slave), answer, b"", 0
        self._unplugged = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._unplugged.is_set():
            if select.select([self._master], [], [], 0.01)[0]:
                data = os.read(self._master, 4096)
                self.heard += data
                if reply := self._answer(data):
                    self.send(reply)

    def send(self, data: bytes) -> None:
        """Send bytes to the host."""
        self.sent += os.write(self._master, data)

    def unplug(self) -> None:
        """Pull the plug; safe to call twice."""
        if not self._unplugged.is_set():
            self._unplugged.set()
            self._thread.join()
            os.close(self._slave)
            os.close(self._master)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.unplug()
