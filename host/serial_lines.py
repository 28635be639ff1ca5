"""The line protocol of our own meters: a header that says what the columns are, rows with number, time and checksum.

host/firmware/README.md is the page of the protocol, host/firmware/power_meter a sketch that speaks it. It has no options of
its own beside those of every meter.
"""

from __future__ import annotations

import time

import numpy as np

from host.line_format import HEADER, LONGEST, UNITS, Column, Header, RowFormat
from host.meter_counters import MeterCounters
from host.meter_limits import MeterLimits, product
from host.meter_protocol import GIVE_UP_BYTES, Pieces, Port, StreamProtocol, arrivals, shown
from host.power_chips import chip_named, specification
from host.readings import Loss, Readings
from host.sensor import Channel, SensorError, Specification

REQUEST = b"?\n"
"""Asks for the header."""

MARK = b"m\n"
"""Counts as an edge on the mark pin."""

HEADER_S = 4.0
"""How long to wait for a header: boards whose reset hangs on the port start up first (2 s of boot loader)."""

NAMES = {"V": "voltage", "A": "current", "W": "power", "J": "energy"}


class Protocol(StreamProtocol):
    """The host's side of the line protocol."""

    BAUD = 921_600

    def __init__(self, limits: MeterLimits):
        super().__init__(limits)
        self._header: Header | None = None
        self._format: RowFormat | None = None
        self._tail, self._synchronised = b"", False

    def begin(self, port: Port) -> None:
        """Ask for the header, and look at the first rows to learn the voltage."""
        self._tail, self._synchronised = b"", False
        header, lines = self._ask(port)
        if self._header is not None:
            if header != self._header:
                raise SensorError(
                    "the meter that is there now has another header than the one before: it is another meter, or "
                    "set differently; open it anew"
                )
            return
        self._header, self._format = header, RowFormat(header.columns)
        self._counters = MeterCounters(32, header.integer("time_bits", 32), 1e-6)
        self._settle(self._first_values(port, lines) if self.limits.volts is None else None)

    def _ask(self, port: Port) -> tuple[Header, list[bytes]]:
        """Return the meter's header and the lines that came with it; raises SensorError where there is none."""
        deadline_s, asked_s, data, count, seen = time.monotonic() + HEADER_S, -1.0, b"", 0, b""
        while (now_s := time.monotonic()) < deadline_s and count < GIVE_UP_BYTES:
            if now_s > asked_s + 0.5:
                port.write(REQUEST)
                asked_s = now_s
            got = port.receive(min(0.25, deadline_s - now_s))
            count, data, seen = count + len(got), data[-2 * LONGEST :] + got, seen or got
            lines = [line.rstrip(b"\r") for line in data.split(b"\n")]
            headers = [line for line in lines[:-1] if line.startswith(HEADER)]
            if headers:
                try:
                    return Header.parsed(headers[-1]), lines
                except ValueError as error:
                    raise SensorError(f"the meter's header cannot be used: {error}") from None
        if not count:
            raise SensorError("nothing comes from the port: another port, another baud rate, or a meter that was not started")
        raise SensorError(
            f"{count} bytes came and no header of the line protocol among them ({shown(seen)}): the meter speaks "
            "another protocol or another baud rate; protocol= and baud= say which"
        )

    def _first_values(self, port: Port, lines: list[bytes]) -> np.ndarray | None:
        """Return the values of a row, to learn the voltage; None where none comes within a second."""
        deadline_s = time.monotonic() + 1.0
        while True:
            for line in lines:
                if len(line) == self._format.length:
                    values, good = self._format.values(np.frombuffer(line, np.uint8)[None, :])
                    if good[0]:
                        return values[0]
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return None
            lines = [line.rstrip(b"\r") for line in (lines[-1] + port.receive(left_s))[-4 * LONGEST :].split(b"\n")]

    def _settle(self, values: np.ndarray | None) -> None:
        """Set the channels: one for each column, and watts where volts and amperes of a rail are there without them."""
        header, limits = self._header, self.limits
        self._shunt_ohm = limits.shunt_ohm or header.integer("shunt_uohm", 0) * 1e-6
        if any(c.unit == "S" for c in header.columns) and not self._shunt_ohm:
            raise SensorError("the meter does not say its shunt's resistance: state shunt_ohm=")
        # A chip's own watts and joules were computed with the shunt of its header.
        other = (header.integer("shunt_uohm", 0) * 1e-6 or self._shunt_ohm) / self._shunt_ohm if self._shunt_ohm else 1.0
        by_unit = {"S": 1 / self._shunt_ohm if self._shunt_ohm else 1.0, "W": other, "J": other}
        self._factors = np.array([by_unit.get(column.unit, 1.0) for column in header.columns])
        seen = dict(zip(header.columns, (values * self._factors).tolist(), strict=True)) if values is not None else {}
        rails: dict[str, dict[str, int]] = {}
        for i, column in enumerate(header.columns):
            rails.setdefault(self._rail(column), {}).setdefault(UNITS[column.unit], i)
        nominal = {rail: self._nominal_v(header.columns[units["V"]], seen) for rail, units in rails.items() if "V" in units}
        channels = [
            self._channel(column, factor, nominal.get(self._rail(column)))
            for column, factor in zip(header.columns, self._factors.tolist(), strict=True)
        ]
        self._products = []
        for rail, units in rails.items():
            if "V" in units and "A" in units and "W" not in units:
                self._products.append((units["V"], units["A"]))
                volts, amperes = channels[units["V"]], channels[units["A"]]
                limit = product(volts.specification, amperes.specification, nominal[rail])
                channels.append(
                    limits.channel(
                        "power",
                        "W",
                        limit,
                        amperes.kind,
                        rail=rail,
                        refresh_s=amperes.refresh_s,
                        averaging_s=amperes.averaging_s,
                        scope=f"{amperes.scope}; volts times amperes",
                    )
                )
        self.channels = tuple(channels)

    def _rail(self, column: Column) -> str:
        return column.name.rpartition("/")[0] or self.limits.rail

    def _nominal_v(self, column: Column, seen: dict) -> float | None:
        volts = self.limits.volts or seen.get(column, 0.0)
        return volts if volts > 0.1 else None

    def _channel(self, column: Column, factor: float, volts: float | None) -> Channel:
        """Return the channel of a column. Averaging and accuracy are the chip's, as far as the header names it."""
        header, unit = self._header, UNITS[column.unit]
        cycle_s = header.integer("cycle_us", 0) * 1e-6
        chip = chip_named(header.fields.get("chip", ""))
        stated = self.limits.shunt_limit
        ppm = header.integer("shunt_ppm", 0)
        kind = "accumulated" if unit == "J" else "average" if cycle_s and unit in "VAW" else "point"
        own = column.name.rpartition("/")[2]
        twins = [other for other in header.columns if UNITS[other.unit] == unit and self._rail(other) == self._rail(column)]
        name = own if len(twins) > 1 else NAMES.get(unit, own)
        scope = "mark pin: edges counted" if unit == "1" else ""
        if unit in ("V", "A", "W", "J"):
            limits = specification(
                chip,
                unit,
                volts=volts or np.nan,
                shunt_ohm=self._shunt_ohm or None,
                least_step=column.scale * factor,
                shunt_limit=stated if stated is not None else ppm * 1e-6 if ppm else None,
            )
        else:
            limits = Specification(None, quantum=column.scale)
        return self.limits.channel(
            name,
            unit,
            limits,
            kind,
            rail=self._rail(column),
            scope=scope,
            refresh_s=cycle_s or self.limits.refresh_s,
            averaging_s=cycle_s if kind == "average" else 0.0,
            wrap=16**column.digits * column.scale * factor if unit in ("J", "1") else np.inf,
        )

    def restart(self) -> None:
        """Begin a new segment of the counters."""
        self._tail, self._synchronised = b"", False
        self._counters.restart()

    def describe(self) -> dict:
        """Return what the header says."""
        fields = self._header.fields
        return {
            "make": "joulegrad",
            "model": f"line protocol, {fields.get('chip', 'chip not named')}",
            "serial": fields.get("serial", ""),
            "firmware": fields.get("firmware", ""),
            "shunt_ohm": self._shunt_ohm or None,
            "header": fields,
            "drops": "counted by sequence number",
        }

    def mark_request(self, name: str) -> bytes | None:
        """Return what counts as an edge on the mark pin, where the meter reports that."""
        return MARK if any(column.unit == "1" for column in self._header.columns) else None

    def feed(self, pieces: Pieces) -> tuple[Readings, list[Loss]]:
        """Take bytes, return the rows that are whole."""
        if not pieces:
            return Readings.none(len(self.channels)), []
        before = len(self._tail)
        data = self._tail + b"".join(piece for piece, _ in pieces)
        now_s = pieces[-1][1]
        end = data.rfind(b"\n") + 1
        self._tail, garbage = data[end:], 0
        if len(self._tail) > LONGEST:
            garbage, self._tail = len(self._tail), b""
        matrix, stops, other, sample = self._format.split(np.frombuffer(data, np.uint8, end))
        if not self._synchronised and end:
            other, sample = self._first_line(data, other, sample)
        values, good = self._format.values(matrix)
        other += int((~good).sum()) * (self._format.length + 1)
        readings, losses = self._rows(matrix[good], values[good], arrivals(pieces, before, stops[good]))
        if not good.all():
            sample = matrix[~good][0].tobytes()
        return readings, losses + self._judge(len(readings), garbage + other, sample or data[:24], now_s)

    def _first_line(self, data: bytes, other: int, sample: bytes) -> tuple[int, bytes]:
        """Leave out of the garbage what stands before the first line feed: half a line, as the port was opened in its midst."""
        self._synchronised = True
        first = data[: data.index(b"\n") + 1]
        text = first[:-1].removesuffix(b"\r")
        if not text or len(text) == self._format.length or text.startswith(b"#"):
            return other, sample
        return other - len(first), b"" if other == len(first) else sample

    def _rows(self, matrix: np.ndarray, values: np.ndarray, arrival_s: np.ndarray) -> tuple[Readings, list[Loss]]:
        count, ticks = self._format.counters(matrix)
        unwrapped = self._counters.add(count, ticks, arrival_s)
        values = values[unwrapped.kept] * self._factors
        powers = [values[:, v] * values[:, a] for v, a in self._products]
        t_s = np.maximum.accumulate(arrival_s[unwrapped.kept])
        rows = Readings.of(t_s, np.column_stack([values, *powers]), 0.0, unwrapped.device_t_s, unwrapped.sequence)
        return rows, unwrapped.losses
