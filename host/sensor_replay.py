"""replay: what a sensor said in an earlier run, from a trace file or a table in CSV.

"replay:run/trace.sqlite", "replay:run/trace.sqlite?sensor=1", "replay:power.csv?label=measured". A trace keeps its sensor's
label, clock, channels and losses. A CSV file has a column t_s and columns named like "12V/power [W]", and must be given its
label. Options: sensor= (index in the trace), pace= (0, the default: at once, with the original stamps; 1: as fast as it was
recorded, stamped with this machine's clock; 2: twice as fast), and for CSV label=, kind=, gain_limit=, shunt_limit=,
offset_limit=, refresh_s=, scope=.
"""

from __future__ import annotations

import csv
import math
import re
import time
from pathlib import Path

import numpy as np

from host.polled_sensor import choice, number
from host.readings import HOST_CLOCK, Loss, Readings
from host.sensor import KINDS, UNITS, Channel, Found, Sensor, SensorError, Specification
from host.trace import Gap, SensorRecord, TraceError

ROWS = 4096
"""Most rows of one read at pace 0."""
LABELS = ("measured", "emulated")
COLUMN = re.compile(r"(.+?)\s*\[(\w+)\]")


class Driver(Sensor):
    """One sensor of a recording."""

    def __init__(
        self,
        url: str,
        where: str,
        sensor: str = "0",
        pace=0.0,
        label: str = "",
        kind: str = "",
        gain_limit=None,
        shunt_limit=0.0,
        offset_limit=0.0,
        refresh_s=None,
        scope: str = "",
        wait=time.sleep,
        now=time.monotonic,
    ):
        super().__init__(url)
        if not where:
            raise ValueError("name the recording: replay:<trace file or CSV>")
        if not sensor.isdigit():
            raise ValueError(f"sensor={sensor}: it is the sensor's index in the trace, from 0")
        self._file, self._index, self._pace = Path(where), int(sensor), number("pace", pace)
        self._csv = where.lower().endswith(".csv")
        if self._csv:
            if not label:
                raise ValueError("a CSV file does not say what its numbers are: add label=measured or label=emulated")
            self.label = choice("label", label, LABELS)
            self._kind = choice("kind", kind, KINDS) if kind else ""
        elif label or kind or gain_limit is not None or refresh_s is not None or scope:
            raise ValueError(
                "a trace keeps the label, kind, gain, refresh and scope of its sensor: these options are for CSV files"
            )
        self._limits = {
            "gain": number("gain_limit", gain_limit, 0, 1),
            "shunt": number("shunt_limit", shunt_limit, 0, 1),
            "offset": number("offset_limit", offset_limit),
        }
        self._refresh_s, self._scope = number("refresh_s", refresh_s, 1e-6), scope
        self._wait, self._now = wait, now
        self._record: SensorRecord | None = None
        self._gaps: list[Gap] = []
        self._next = 0
        self._started_s = math.nan

    def open(self) -> None:
        """Read the recording; opening again starts it again. Raises SensorError."""
        self._record, self._gaps = self._from_csv() if self._csv else self._from_trace()
        self.channels, self.label = self._record.channels, self._record.label
        self.clock = HOST_CLOCK if self._pace else self._record.clock
        self._next = 0
        self._started_s = self._now()

    def close(self) -> None:
        """Let go of the recording."""
        self._record = None

    @property
    def finished(self) -> bool:
        """Whether all of it has been read."""
        return self._record is not None and self._next == len(self._record.readings)

    def read(self, timeout_s: float = 1.0) -> Readings:
        """Return what the recording has had by now, or its next rows at pace 0; none once it is over."""
        if self._record is None:
            raise SensorError(f"sensor {self.url!r} is not open")
        rows = self._record.readings
        if self.finished:
            self._wait(timeout_s)
            return Readings.none(len(self.channels))
        first, n = self._next, len(rows)
        if not self._pace:
            self._next = min(n, first + ROWS)
            return self._rows(first, self._next)
        due_s = self._started_s + (rows.t_s - rows.t_s[0]) / self._pace
        pause_s = due_s[first] - self._now()
        if pause_s > 0:
            self._wait(min(pause_s, timeout_s))
        now_s = self._now()
        ready = np.flatnonzero(due_s[first:] > now_s)
        self._next = first + int(ready[0]) if len(ready) else n
        return self._rows(first, self._next)

    def _rows(self, first: int, last: int) -> Readings:
        rows = self._record.readings
        part = slice(first, last)
        stamps, widths = rows.t_s[part], rows.width_s[part]
        if self._pace:
            stamps, widths = self._started_s + (stamps - rows.t_s[0]) / self._pace, widths / self._pace
        end_s = rows.t_s[last] if last < len(rows) else math.inf
        while self._gaps and self._gaps[0].t_s < end_s:
            gap = self._gaps.pop(0)
            t_s = self._started_s + (gap.t_s - rows.t_s[0]) / self._pace if self._pace else gap.t_s
            self.losses.append(Loss(t_s, gap.reason, gap.count, gap.detail))
        return Readings(stamps, widths, rows.values[part], rows.device_t_s[part], rows.sequence[part])

    def describe(self) -> dict:
        """Return the recording's name, its own description and the pace; at a pace other than 0 and 1 joules differ."""
        record = self._record
        return {
            "replayed": str(self._file),
            "pace": self._pace,
            "source": None if record is None else {"url": record.url, "description": record.description},
        }

    def _from_trace(self) -> tuple[SensorRecord, list[Gap]]:
        from host.trace_file import read_trace

        try:
            trace = read_trace(self._file)
        except TraceError as error:
            raise SensorError(str(error)) from None
        if self._index >= len(trace.sensors):
            raise SensorError(f"{self._file} has {len(trace.sensors)} sensors, so sensor={self._index} is none of them")
        gaps = [gap for gap in trace.gaps if gap.sensor == self._index]
        return trace.sensors[self._index], sorted(gaps, key=lambda gap: gap.t_s)

    def _from_csv(self) -> tuple[SensorRecord, list[Gap]]:
        try:
            with open(self._file, newline="", encoding="utf-8") as file:
                lines = list(csv.reader(file))
        except OSError as error:
            raise SensorError(f"the recording {self._file} cannot be read: {error.strerror}") from None
        except (UnicodeDecodeError, csv.Error) as error:
            raise SensorError(f"{self._file} is no CSV table: {error}") from None
        channels = self._columns(lines[0] if lines else [])
        stamps, values, gaps = [], [], []
        for number_, line in enumerate(lines[1:], 2):
            if not line:
                continue
            if len(line) != len(channels) + 1:
                raise SensorError(f"line {number_} of {self._file} has {len(line)} columns, its head has {len(channels) + 1}")
            row = [self._cell(text, number_) for text in line]
            stamps.append(row[0])
            values.append(row[1:])
            if not math.isfinite(row[0]):
                raise SensorError(f"line {number_} of {self._file} has no time")
            missing = sum(not math.isfinite(value) for value in row[1:])
            if missing:
                gaps.append(Gap(0, row[0], "failed read", missing, f"line {number_} holds no number"))
        if not stamps:
            raise SensorError(f"{self._file} has no rows")
        values = np.where(np.isfinite(values), values, np.nan)
        record = SensorRecord(str(self._file), HOST_CLOCK, self.label, channels, {}, None, Readings.of(stamps, values))
        return record, gaps

    def _columns(self, head: list[str]) -> tuple[Channel, ...]:
        names = [name.strip() for name in head]
        found = [COLUMN.fullmatch(name) for name in names[1:]]
        if not names or names[0] != "t_s" or not found or not all(found) or any(match[2] not in UNITS for match in found):
            raise SensorError(
                f"the first line of {self._file} is {','.join(names)[:120]!r}: it is t_s and then columns named like "
                f"'12V/power [W]', units {', '.join(UNITS)}"
                + ("; what `joulegrad trace export` made is replayed from its trace" if "width_s" in names else "")
            )
        source = f"recorded in {self._file.name}" + (
            "" if self._limits["gain"] is not None else ", accuracy not stated: gain_limit="
        )
        scope = self._scope or f"as recorded in {self._file.name}, which does not say what is inside: state scope="
        channels = []
        for match in found:
            kind = "accumulated" if match[2] == "J" else self._kind or "point"
            if kind == "average" and not self._refresh_s:
                raise SensorError("kind=average needs refresh_s=, the span that each value is the mean of")
            channels.append(
                Channel(
                    match[1],
                    match[2],
                    match[1].split("/")[0],
                    scope,
                    kind,
                    Specification(**self._limits, source=source),
                    refresh_s=self._refresh_s,
                    averaging_s=self._refresh_s if kind == "average" else 0.0,
                )
            )
        if len({channel.name for channel in channels}) < len(channels):
            raise SensorError(f"two columns of {self._file} have one name")
        return tuple(channels)

    def _cell(self, text: str, line: int) -> float:
        text = text.strip()
        if not text:
            return math.nan
        try:
            return float(text)
        except ValueError:
            raise SensorError(f"line {line} of {self._file} holds {text[:30]!r}, which is no number") from None


def found() -> list[Found]:
    """Return how a recording is opened: there is nothing to look for."""
    return [Found("replay", "a trace or a CSV table of an earlier run", "it needs a file: replay:<file>")]
