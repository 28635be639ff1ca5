"""Writes a trace file: appends in memory, commits when told, and keeps what a full disk refuses."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from pathlib import Path

from host import trace_format as form
from host.readings import Readings
from host.sensor import Channel
from host.trace import STATUSES, Gap, Mark, TraceError

META_IDS = {"provenance": 1, "status": 2, "rows": 3}
RETRY_S = 5.0
"""After a commit that failed, the next is tried so much later: trying means copying all that has waited."""


class TraceWriter:
    """The one writer of a trace file. `commit` is what makes rows safe against a crash and a power cut.

    The file is in WAL mode with synchronous=FULL while it is written, and a single file after `close`. When the disk does
    not take a commit, the rows stay in memory, up to `memory_bytes`, and every later commit tries again.

    Attributes:
        path: of the file.
        problem: why the last commit failed, one sentence; "" while all is well.
        lost_rows: samples that neither disk nor memory could take.
        lost_marks: marks, gaps and observations of the same fate.
    """

    def __init__(self, path: Path | str, provenance: dict, memory_bytes: int = 64 << 20, require: bool = True):
        """Make the file.

        Args:
            path: must not exist: a trace is never overwritten.
            provenance: JSON data, see host.trace.Trace.
            memory_bytes: bound on what is kept when the disk takes nothing.
            require: raise where the file cannot be made; else go on in memory, with `problem` set.

        Raises:
            TraceError: the file is there already, or cannot be made.
        """
        self.path = Path(path)
        self.problem = ""
        self.lost_rows = 0
        self.lost_marks = 0
        self._retry_s = 0.0
        self._memory_bytes = memory_bytes
        self._pending: list[tuple[str, tuple]] = []
        self._pending_bytes = 0
        self._counts = {table: 0 for table in form.TABLES if table != "meta"}
        self._columns: list[int] = []
        self._rows: list[int] = []
        self._missing: dict[int, list] = {}
        self._connection = self._create(require)
        self._put("meta", "status", "recording")
        self.set_provenance(provenance)
        if not self.commit() and require:
            raise TraceError(self.problem)

    def _create(self, require: bool) -> sqlite3.Connection | None:
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except FileExistsError:
            raise TraceError(f"the trace {self.path} is there already: a trace is not overwritten, name another file") from None
        except OSError as error:
            return self._refused(error.strerror or str(error), require)
        try:
            connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=2.0)
            connection.executescript(form.schema())
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            _sync_folder(self.path.parent)
        except (sqlite3.Error, OSError) as error:
            return self._refused(str(error), require)
        return connection

    def _refused(self, why: str, require: bool) -> None:
        self.problem = f"the trace {self.path} cannot be written: {why}"
        if require:
            raise TraceError(self.problem)

    @property
    def unwritten(self) -> list[tuple[str, tuple]]:
        """Rows that are not in the file (yet): table and values with their checksum, oldest first, then how many there are."""
        rows = [*self._pending, *self._overflow_gaps()]
        counts = self._counts | {"gap": self._counts["gap"] + len(self._missing)}
        return [*rows, ("meta", _meta_row("rows", json.dumps(counts)))] if rows else []

    def set_provenance(self, provenance: dict) -> None:
        """Replace the provenance. Raises TraceError where it is not JSON data."""
        self._put("meta", "provenance", form.text(provenance, "the provenance"))

    def add_sensor(self, url: str, clock: str, label: str, channels: tuple[Channel, ...], description: dict,
                   period_s: float | None) -> int:  # fmt: skip
        """Add a sensor and return its index."""
        listed = form.text([form.channel_data(channel) for channel in channels], f"the channels of {url}")
        described = form.text(description, f"the description of {url}")
        self._put("sensor", url, clock, label, period_s, listed, described)
        self._columns.append(len(channels))
        self._rows.append(0)
        return len(self._columns) - 1

    def append(self, sensor: int, readings: Readings) -> None:
        """Add rows of a sensor. Raises ValueError where they do not have its channels."""
        columns = self._columns[sensor]
        if readings.values.shape[1] != columns and len(readings):
            raise ValueError(f"sensor {sensor} has {columns} channels, the readings {readings.values.shape[1]}")
        step = form.block_rows(columns)
        for first in range(0, len(readings), step):
            part = form.part(readings, first, first + step)
            rows = len(part)
            if self._pending_bytes > self._memory_bytes:
                self._overflow(sensor, float(part.t_s[0]), rows)
            else:
                self._put("block", sensor, self._rows[sensor], rows, columns, form.packed(part))
            self._rows[sensor] += rows

    def mark(self, mark: Mark) -> None:
        """Add a mark. Raises TraceError as `trace_format.mark_row`."""
        self._put("mark", *form.mark_row(mark))

    def gap(self, gap: Gap) -> None:
        """Add a gap."""
        self._put("gap", *form.gap_row(gap))

    def observe(self, t_s: float, key: str, value) -> None:
        """Add JSON data on the machine, as found at `t_s` of its monotonic clock."""
        self._put("observation", float(t_s), key, form.text(value, f"the observation {key!r}"))

    def commit(self, force: bool = False) -> bool:
        """Write everything added so far, synchronously; return whether it is on the disk. See `problem` if not.

        Args:
            force: try even where a commit failed less than RETRY_S ago.
        """
        if self._connection is None or (self.problem and not force and time.monotonic() < self._retry_s):
            return False
        rows = self.unwritten
        if not rows:
            return True
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for table, values in rows:
                self._connection.execute(form.insert(table), values)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            self._retry_s = time.monotonic() + RETRY_S
            self.problem = f"the trace {self.path} cannot be written: {error}"
            return False
        self._pending.clear()
        self._pending_bytes = 0
        self._counts["gap"] += len(self._missing)
        self._missing.clear()
        self.problem = ""
        return True

    def close(self, status: str) -> bool:
        """Set the status, commit and turn the trace into a single file; return whether all of it is on the disk."""
        if status not in STATUSES[1:]:
            raise ValueError(f"a trace ends with one of {STATUSES[1:]}, not {status!r}")
        self._put("meta", "status", status)
        complete = self.commit(force=True)
        if self._connection is not None:
            try:
                if complete:  # fails while another process reads: the trace then stays as good, in more than one file
                    self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                    self._connection.execute("PRAGMA journal_mode = DELETE")
            except sqlite3.Error:
                pass
            finally:
                self._connection.close()
                self._connection = None
        return complete

    def _put(self, table: str, *values) -> None:
        if table == "meta":
            row = _meta_row(*values)
        elif self._pending_bytes > 2 * self._memory_bytes:
            self.lost_marks += 1
            return
        else:
            row = form.sealed(values)
            self._counts[table] += 1
        self._pending.append((table, row))
        self._pending_bytes += 100 + sum(len(value) for value in values if isinstance(value, (str, bytes)))

    def _overflow(self, sensor: int, t_s: float, rows: int) -> None:
        self._missing.setdefault(sensor, [t_s, 0])[1] += rows
        self.lost_rows += rows

    def _overflow_gaps(self) -> list[tuple[str, tuple]]:
        detail = f"the disk took nothing and {self._memory_bytes >> 20} MiB of memory were full"
        gaps = [Gap(sensor, t_s, "queue overflow", rows, detail) for sensor, (t_s, rows) in self._missing.items()]
        return [("gap", form.sealed(form.gap_row(gap))) for gap in gaps]

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            pass  # the next BEGIN says what is wrong


def _meta_row(key: str, value: str) -> tuple:
    return (META_IDS[key], *form.sealed((key, value)))


def _sync_folder(folder: Path) -> None:
    """Make the file's name survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
