"""What a picture of a trace needs: each rail's power as a curve of bounded size, whole and close up, the gaps, the windows.

The trace is read block by block. Stamps are the sensors' own, as they came; the joules of a run use aligned ones where a meter
has a clock of its own.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from host.readings import Readings
from host.sensor import Channel
from host.trace import Gap, SensorRecord, Window, windows
from host.trace_file import TraceFile, open_trace
from host.trace_format import row_bytes
from measurements.report_envelope import Envelope, Numbers
from measurements.series import GAP_REFRESHES

ITERATION = "iteration"
CLOSE_UP = (3, 8)
"""Least and largest number of iterations that are shown close up."""

CLOSE_UP_VALUES, BESIDE = 24, 3
GAPS_MOST = 200
RAILS_MOST = 24


@dataclass
class RailView:
    """Power of one rail over time.

    Attributes:
        sensor: index in the trace; url, label: of the sensor.
        rail, scope, kind: as in Channel.
        whole, close: curves of all of it, and of the stretch shown close up and a little beside it.
        in_whole, in_close: what the values come to in either picture.
        gaps: (start, end) of stretches without a value, the longest GAPS_MOST; gap_count: all of them.
    """

    sensor: int
    url: str
    label: str
    rail: str
    scope: str
    kind: str
    whole: Envelope
    close: Envelope
    gaps: list[tuple[float, float]]
    in_whole: Numbers = field(default_factory=Numbers)
    in_close: Numbers = field(default_factory=Numbers)
    gap_count: int = 0
    first_s: float = math.nan
    last_s: float = math.nan


@dataclass(frozen=True)
class TraceView:
    """A trace as it is shown.

    Attributes:
        path, sha256, size: of the file.
        status, provenance: of the trace.
        sensors: without readings.
        rails: of all sensors, at most RAILS_MOST.
        rails_left_out: how many more there are.
        losses: as recorded.
        windows: closed ones; open_marks: begin marks without an end.
        start_s, end_s: of all stamps and marks.
        close_s: the stretch shown close up, None where there are no iterations or other windows to show.
        rows: of all sensors; bytes: that they take in memory.
        damaged_blocks: whose rows are missing.
    """

    path: Path
    sha256: str
    size: int
    status: str
    provenance: dict
    sensors: tuple[SensorRecord, ...]
    rails: tuple[RailView, ...]
    rails_left_out: int
    losses: tuple[Gap, ...]
    windows: tuple[Window, ...]
    open_marks: int
    start_s: float
    end_s: float
    close_s: tuple[float, float] | None
    rows: int
    bytes: int
    damaged_blocks: int


def view_trace(path: Path) -> TraceView:
    """Read a trace for its pictures.

    Raises:
        TraceError: missing, no trace, or damaged outside its samples; damaged blocks are counted.
    """
    with open_trace(path) as file:
        found = tuple(windows(file))
        close_s = _close_up(found, file.sensors)
        rails, rows, size, left_out = [], 0, 0, 0
        for index, record in enumerate(file.sensors):
            of_sensor = _rails(index, record)
            left_out += max(0, len(rails) + len(of_sensor) - RAILS_MOST)
            of_sensor = of_sensor[: max(0, RAILS_MOST - len(rails))]
            count = _fill(file, index, of_sensor, close_s)
            rows, size = rows + count, size + count * row_bytes(len(record.channels))
            rails += [view for view, _ in of_sensor]
        ends = [mark.t_s for mark in file.marks] + [t for r in rails for t in (r.first_s, r.last_s) if math.isfinite(t)]
        return TraceView(
            Path(path), _sha256(path), Path(path).stat().st_size, file.status, file.provenance, file.sensors, tuple(rails),
            left_out, file.gaps, found, len(file.marks) - 2 * len(found), min(ends, default=0.0), max(ends, default=0.0),
            close_s, rows, size, file.damaged_blocks,
        )  # fmt: skip


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while piece := file.read(1 << 20):
            digest.update(piece)
        return digest.hexdigest()


def _close_up(found: tuple[Window, ...], sensors: tuple[SensorRecord, ...]) -> tuple[float, float] | None:
    """Return a few iterations, so many that a sensor has some values in them; without iterations, a few windows of one name."""
    chosen = [window for window in found if window.name == ITERATION]
    if not chosen:
        inner = [window for window in found if window.phase not in ("idle", "signature") and window.name != "run"]
        names = {window.name for window in inner}
        chosen = max(([w for w in inner if w.name == name] for name in names), key=len, default=[])
    if not chosen:
        return None
    refreshes = [channel.refresh_s for record in sensors for channel in record.channels if channel.refresh_s]
    first = 1 if len(chosen) > CLOSE_UP[0] else 0  # the first iteration loads what the others find loaded
    length_s = max(chosen[first].end_s - chosen[first].start_s, 1e-9)
    wanted = math.ceil(CLOSE_UP_VALUES * max(refreshes, default=0.0) / length_s)
    shown = chosen[first : first + min(max(wanted, CLOSE_UP[0]), CLOSE_UP[1])]
    margin_s = 0.02 * (shown[-1].end_s - shown[0].start_s)
    return shown[0].start_s - margin_s, shown[-1].end_s + margin_s


def _rails(index: int, record: SensorRecord) -> list[tuple[RailView, Callable[[Readings], tuple[np.ndarray, np.ndarray]]]]:
    """Return the rails of a sensor with what gives their power from a block of rows."""
    found = []
    for rail in dict.fromkeys(channel.rail for channel in record.channels):
        columns = {
            channel.unit: (i, channel) for i, channel in reversed(list(enumerate(record.channels))) if channel.rail == rail
        }
        if "W" in columns:
            power, channel = _product(columns["W"]), columns["W"][1]
        elif "V" in columns and "A" in columns:
            power, channel = _product(columns["V"], columns["A"]), columns["A"][1]
        elif "J" in columns:
            power, channel = Steps(*columns["J"]), columns["J"][1]
        else:
            continue
        view = RailView(index, record.url, record.label, rail, channel.scope, channel.kind, Envelope(), Envelope(), [])
        found.append((view, power))
    return found


def _product(*columns: tuple[int, Channel]) -> Callable[[Readings], tuple[np.ndarray, np.ndarray]]:
    def power(block: Readings) -> tuple[np.ndarray, np.ndarray]:
        watts = np.ones(len(block))
        for column, channel in columns:
            values = block.values[:, column]
            watts = watts * np.where((values >= channel.low) & (values <= channel.high), values, np.nan)
        return block.t_s, watts

    return power


class Steps:
    """Power of a running total: the mean between two of its values that differ, at the later one."""

    def __init__(self, column: int, channel: Channel):
        self._column, self._wrap = column, channel.wrap
        self._before: tuple[float, float] | None = None

    def __call__(self, block: Readings) -> tuple[np.ndarray, np.ndarray]:
        """Return stamps and watts of the block's steps; a step back that is no wrap is left out."""
        t_s, total = block.t_s, block.values[:, self._column]
        good = np.isfinite(t_s) & np.isfinite(total)
        t_s, total = t_s[good], total[good]
        if self._before is not None:
            t_s, total = np.append(self._before[0], t_s), np.append(self._before[1], total)
        keep = np.append(True, np.diff(total) != 0) if len(total) else np.zeros(0, bool)
        t_s, total = t_s[keep], total[keep]
        if not len(t_s):
            return t_s, total
        self._before = (float(t_s[-1]), float(total[-1]))
        step_j, step_s = np.diff(total), np.diff(t_s)
        step_j = np.where(step_j < 0, step_j + self._wrap, step_j)
        good = (step_s > 0) & np.isfinite(step_j)
        return t_s[1:][good], step_j[good] / step_s[good]


def _fill(file: TraceFile, index: int, rails: list, close_s: tuple[float, float] | None) -> int:
    """Read a sensor's blocks into the views of its rails; return the number of rows."""
    rows, record = 0, file.sensors[index]
    refreshes = [channel.refresh_s for channel in record.channels if channel.refresh_s]
    margin_s = BESIDE * max([*refreshes, record.period_s or 0.0])  # so that curves go on to the edges of the picture
    for block in file.readings(index):
        rows += len(block)
        for view, power in rails:
            t_s, watts = power(block)
            good = np.isfinite(watts) & np.isfinite(t_s)
            t_s, watts = t_s[good], watts[good]
            if not len(t_s):
                continue
            _look_for_gaps(view, record, t_s)
            view.whole.add(t_s, watts)
            view.in_whole.add(t_s, watts)
            if close_s is not None:
                inside = (t_s >= close_s[0]) & (t_s <= close_s[1])
                view.in_close.add(t_s[inside], watts[inside])
                inside = (t_s >= close_s[0] - margin_s) & (t_s <= close_s[1] + margin_s)
                view.close.add(t_s[inside], watts[inside])
    for view, _ in rails:
        view.gap_count = len(view.gaps)
        view.gaps = sorted(sorted(view.gaps, key=lambda gap: gap[0] - gap[1])[:GAPS_MOST])
    return rows


def _look_for_gaps(view: RailView, record: SensorRecord, t_s: np.ndarray) -> None:
    """Note stretches of more than three refreshes between two values."""
    refreshes = [channel.refresh_s for channel in record.channels if channel.rail == view.rail and channel.refresh_s]
    if math.isnan(view.first_s):
        view.first_s = float(t_s[0])
    joined = np.append(view.last_s, t_s) if math.isfinite(view.last_s) else t_s
    steps_s = np.diff(joined)
    view.last_s = float(t_s[-1])
    if not len(steps_s):
        return
    typical_s = max([*refreshes, record.period_s or 0.0, float(np.median(steps_s))])
    for at in np.flatnonzero(steps_s > GAP_REFRESHES * typical_s):
        view.gaps.append((float(joined[at]), float(joined[at + 1])))


def relative(window: Window, start_s: float) -> Window:
    """Return the window with its time counted from `start_s`."""
    return replace(window, start_s=window.start_s - start_s, end_s=window.end_s - start_s)
