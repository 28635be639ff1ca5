"""Plain comma-separated lines, as hobby sketches print them: "1234,12.01,0.153".

Options: columns=time:ms,bus:V,current:mA,power:mW names the columns with their units ("-" skips one); without it the meter
must print a header line such as "time_ms,bus_V,current_mA". seq:# is a sequence number, time:us|ms|s the meter's clock.
sequence_bits= and time_bits= (32) say where these begin again from 0. Without a sequence number nobody can tell how many
rows were lost, and without a checksum a damaged digit is a wrong value: prefer the line protocol of host/firmware.

The step of a column is its last digit's, as the first rows print it. A meter whose own steps are coarser does not tell.
"""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation

import numpy as np

from host.meter_counters import MeterCounters
from host.meter_limits import NOT_STATED, MeterLimits, product
from host.meter_protocol import Pieces, Port, StreamProtocol, arrivals, shown
from host.readings import Loss, Readings
from host.sensor import SensorError, Specification

SCALES = {
    "V": ("V", 1.0),
    "mV": ("V", 1e-3),
    "uV": ("V", 1e-6),
    "A": ("A", 1.0),
    "mA": ("A", 1e-3),
    "uA": ("A", 1e-6),
    "W": ("W", 1.0),
    "mW": ("W", 1e-3),
    "uW": ("W", 1e-6),
    "kW": ("W", 1e3),
    "J": ("J", 1.0),
    "mJ": ("J", 1e-3),
    "uJ": ("J", 1e-6),
    "Wh": ("J", 3600.0),
    "mWh": ("J", 3.6),
    "Cel": ("Cel", 1.0),
    "C": ("Cel", 1.0),
}
"""A column's unit to its channel's and the factor."""

TICKS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
NAMES = {"V": "voltage", "A": "current", "W": "power", "J": "energy", "Cel": "temperature"}
LONGEST = 1024
HEADER_S = 4.0
DIGITS_S, DIGITS_ROWS = 1.0, 16
"""How long, and to how many rows that differ, opening listens for digits: some meters leave trailing zeros out."""
SEPARATORS = re.compile(rb"[,;\t]")
PLAUSIBLE = {"V": 1e3, "A": 1e3, "W": 1e5, "J": 1e12, "Cel": 1e3}
"""Magnitudes above are no measurement: a sentinel, or digits run together by a lost separator."""


@dataclass(frozen=True)
class Column:
    """One column: unit of SCALES or TICKS_S, "#" for a sequence number, "-" to be skipped."""

    name: str
    unit: str

    @classmethod
    def parsed(cls, text: str) -> Column:
        """Return the column of "bus:V", "bus_V", "bus (V)" or "-". Raises ValueError."""
        text = text.strip()
        found = re.fullmatch(r"(.*?)(?::|_|\s*\(|\s*\[)\s*([A-Za-z#]+)[\])]?", text)
        if text == "-":
            return cls("-", "-")
        name, unit = (found[1], found[2]) if found else (text, "")
        if name.lower() in ("seq", "sequence") or text.lower() in ("seq", "sequence"):
            return cls("seq", "#")
        if unit not in SCALES and unit not in TICKS_S:
            raise ValueError(
                f"column {text!r} has no unit: write name:unit with a unit of {', '.join([*SCALES, *TICKS_S])}, seq:# or -"
            )
        return cls(name, unit)


class Protocol(StreamProtocol):
    """The host's side."""

    def __init__(self, limits: MeterLimits, columns: str = "", sequence_bits: str = "32", time_bits: str = "32"):
        super().__init__(limits)
        self._given = tuple(Column.parsed(text) for text in columns.split(",")) if columns else ()
        self._columns = self._given
        self._bits = _bits("sequence_bits", sequence_bits), _bits("time_bits", time_bits)
        self._tail, self._synchronised = b"", False
        if self._given:
            self._prepare()

    def begin(self, port: Port) -> None:
        """Wait for the header line where the columns were not given, for a first row that fits, and a while for more of them."""
        data, ends_s, asked_columns = b"", time.monotonic() + HEADER_S, bool(self._columns)
        rows: dict[bytes, list[float]] = {}
        while len(rows) < DIGITS_ROWS and (left_s := ends_s - time.monotonic()) > 0:
            piece = port.receive(min(0.25, left_s))
            if rows and (self.channels or not piece):
                break  # the digits are known, or the meter is slow and not waited for
            data += piece
            lines = data.split(b"\n")[1 if asked_columns else 0 : -1]
            for text in map(bytes.strip, lines):
                if not self._columns:
                    self._columns = _header(text)
                elif (row := self._parsed(text)) is not None:
                    ends_s = ends_s if rows else min(ends_s, time.monotonic() + DIGITS_S)
                    rows.setdefault(text, row)
        if not data:
            raise SensorError("nothing comes from the port: another port, another baud rate, or a meter that was not started")
        if not self._columns:
            raise SensorError(
                f"no header line with units came ({shown(data)}): state columns=time:ms,bus:V,current:mA or as it is, "
                "or another baud="
            )
        if not rows:
            raise SensorError(
                f"no line of {len(self._columns)} numbers came ({shown(data)}): other columns=, another baud= or protocol="
            )
        if not self.channels:
            self._prepare()
            self._settle(rows)

    def _prepare(self) -> None:
        """Find what the columns are for."""
        units = [column.unit for column in self._columns]
        clocks = [i for i, unit in enumerate(units) if unit in TICKS_S]
        self._clock = clocks[0] if clocks else None
        self._number = units.index("#") if "#" in units else None
        self._data = [i for i, unit in enumerate(units) if unit in SCALES]
        if not self._data or len(clocks) > 1 or units.count("#") > 1:
            raise ValueError("columns= names no quantity, or two clocks or two sequence numbers")
        tick = units[self._clock] if clocks else "us"
        turn_s = 2.0 ** self._bits[1] * TICKS_S[tick]
        if clocks and turn_s < 30:
            raise ValueError(f"time_bits={self._bits[1]} of {tick} wrap every {turn_s:.3g} s: too often to count the turns")
        self._tick_s = TICKS_S[tick] * (1e-6 if tick == "s" else 1.0)  # seconds come with decimals: counted in microseconds
        self._seconds = tick == "s" and bool(clocks)
        bits = 62 if self._seconds else self._bits[1]
        self._counters = MeterCounters(self._bits[0] if self._number is not None else 0, bits if clocks else 0, self._tick_s)

    def _settle(self, rows: dict[bytes, list[float]]) -> None:
        row = next(iter(rows.values()))
        values = [row[i] * SCALES[self._columns[i].unit][1] for i in self._data]
        units = [SCALES[self._columns[i].unit][0] for i in self._data]
        channels, source = [], f"comma-separated lines: {NOT_STATED}; steps as the digits show them"
        for i, unit in zip(self._data, units, strict=True):
            step = min(_step(SEPARATORS.split(text)[i]) for text in rows) * SCALES[self._columns[i].unit][1]
            limit = Specification(None, quantum=step if math.isfinite(step) else 0.0, source=source)
            name = NAMES[unit] if units.count(unit) == 1 else self._columns[i].name
            bound = PLAUSIBLE[unit]
            channels.append(
                self.limits.channel(name, unit, limit, "accumulated" if unit == "J" else "point", low=-bound, high=bound)
            )
        self._product = (units.index("V"), units.index("A")) if "V" in units and "A" in units and "W" not in units else None
        if self._product:
            volts, amperes = (channels[i].specification for i in self._product)
            nominal_v = self.limits.volts or values[self._product[0]]
            watts = product(volts, amperes, nominal_v if nominal_v > 0.1 else None)
            # The step of either factor shows in the watts; that of the volts weighs by the amperes as found.
            by_volts_w = volts.quantum * abs(values[self._product[1]])
            watts = replace(watts, quantum=max(watts.quantum, by_volts_w if math.isfinite(by_volts_w) else 0.0))
            channels.append(
                self.limits.channel("power", "W", watts, scope=f"{channels[self._product[1]].scope}; volts times amperes")
            )
        self.channels = tuple(channels)
        self._scales = np.array([SCALES[self._columns[i].unit][1] for i in self._data])

    def restart(self) -> None:
        """Begin a new segment."""
        self._tail, self._synchronised = b"", False
        self._counters.restart()

    def describe(self) -> dict:
        """Return the columns, and what cannot be known."""
        return {
            "model": "comma-separated lines",
            "columns": [f"{c.name}:{c.unit}" for c in self._columns],
            "shunt_ohm": self.limits.shunt_ohm,
            "drops": "counted by sequence number"
            if self._number is not None
            else "cannot be counted: the lines carry no sequence number",
        }

    def feed(self, pieces: Pieces) -> tuple[Readings, list[Loss]]:
        """Take bytes, return the lines that are whole."""
        if not pieces:
            return Readings.none(len(self.channels)), []
        before, now_s = len(self._tail), pieces[-1][1]
        data = self._tail + b"".join(piece for piece, _ in pieces)
        *lines, self._tail = data.split(b"\n")
        garbage, sample, rows, stops, stop = 0, b"", [], [], -1
        if len(self._tail) > LONGEST:
            garbage, sample, self._tail = len(self._tail), self._tail, b""
        for line in lines:
            stop += len(line) + 1
            text = line.strip()
            if not self._synchronised:  # where the port was opened in the midst of a line, its rest looks like a whole one
                self._synchronised = True
                continue
            row = self._parsed(text)
            if row is not None:
                rows.append(row)
                stops.append(stop)
            elif text and not text.startswith(b"#") and not self._is_header(text):
                garbage, sample = garbage + len(line) + 1, sample or text
        readings, losses = self._rows(
            np.array(rows).reshape(len(rows), len(self._columns)), arrivals(pieces, before, np.array(stops, np.int64))
        )
        return readings, losses + self._judge(len(rows), garbage, sample, now_s)

    def _is_header(self, text: bytes) -> bool:
        return bool(_header(text))

    def _parsed(self, text: bytes) -> list[float] | None:
        """Return the numbers of a line, NaN for what a meter prints instead of one; None where it is no row."""
        words = SEPARATORS.split(text)
        if len(words) != len(self._columns):
            return None
        row = []
        for word, column in zip(words, self._columns, strict=True):
            try:
                value = math.nan if column.unit == "-" else float(word)
            except ValueError:
                return None
            if b"_" in word or (column.unit in ("#", "us", "ms") and not (value >= 0 and value == int(value) and value < 2**53)):
                return None
            if column.unit == "s" and not 0 <= value < 1e9:
                return None
            row.append(value)
        return row

    def _rows(self, table: np.ndarray, arrival_s: np.ndarray) -> tuple[Readings, list[Loss]]:
        ticks = table[:, self._clock] * (1e6 if self._seconds else 1.0) if self._clock is not None else None
        unwrapped = self._counters.add(
            table[:, self._number].astype(np.int64) if self._number is not None else None,
            np.round(ticks).astype(np.int64) if ticks is not None else None,
            arrival_s,
        )
        table, arrival_s = table[unwrapped.kept], arrival_s[unwrapped.kept]
        values, losses = table[:, self._data] * self._scales, unwrapped.losses
        bounds = np.array([channel.high for channel in self.channels[: values.shape[1]]])
        wrong = ~(np.abs(values) <= bounds)
        values[wrong] = np.nan
        for i in np.flatnonzero(wrong.any(0)):
            rows = np.flatnonzero(wrong[:, i])
            losses.append(
                Loss(
                    float(arrival_s[rows[0]]),
                    "rejected",
                    len(rows),
                    f"{self.channels[i].name}: no number, or above {bounds[i]:g}",
                )
            )
        if self._product:
            values = np.column_stack([values, values[:, self._product[0]] * values[:, self._product[1]]])
        return Readings.of(np.maximum.accumulate(arrival_s), values, 0.0, unwrapped.device_t_s, unwrapped.sequence), losses


def _step(word: bytes) -> float:
    """Return the step of a printed number's last digit, infinite where it is no number: "12.050" has 0.001, "1.2e-3" 0.0001."""
    try:
        exponent = Decimal(word.decode("ascii").strip()).as_tuple().exponent
        return 10.0**exponent if isinstance(exponent, int) else math.inf
    except (InvalidOperation, OverflowError, UnicodeDecodeError):
        return math.inf


def _header(line: bytes) -> tuple[Column, ...]:
    """Return the columns that a header line names, none where it is none."""
    try:
        columns = tuple(Column.parsed(word.decode("ascii")) for word in SEPARATORS.split(line.strip().lstrip(b"#")))
    except (ValueError, UnicodeDecodeError):
        return ()
    return columns if any(column.unit in SCALES for column in columns) else ()


def _bits(name: str, text: str) -> int:
    if not text.isdigit() or not 8 <= int(text) <= 62:
        raise ValueError(f"{name}={text}: it is 8 to 62")
    return int(text)
