"""A trace file, read: what `TraceWriter` wrote, also where its process was killed or the file is damaged.

Reading changes nothing. What a killed writer left beside the file (FILE-wal) belongs to it and is read too; without it the
trace ends at the last checkpoint. The format stands in `trace_format`.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from host import trace_format as form
from host.readings import CLOCKS, Readings
from host.trace import STATUSES, Gap, Mark, SensorRecord, Trace, TraceError
from host.trace_writer import TraceWriter

__all__ = ["TRACE", "TraceFile", "TraceWriter", "open_trace", "read_trace", "trace_in_memory", "trace_path"]

TRACE = "trace.sqlite"
"""Name of the trace in a run folder."""

MEMORY_BYTES = 4 << 30
"""Most bytes of arrays that `read_trace` takes into memory."""

DAMAGE = (sqlite3.Error, ValueError, TypeError, KeyError, RecursionError)
"""What a damaged database raises; ValueError also from sqlite3 itself, whose messages quote the damage."""

MINIMUM_ROW_BYTES = 16
"""No row of any table is smaller: bounds the number of rows by the size of the file."""


class TraceFile:
    """An open trace, for those who do not want all of its samples in memory at once.

    Attributes:
        name: of the file, for messages.
        status, provenance, marks, gaps: as in Trace.
        sensors: with no readings in them.
    """

    def __init__(self, connection: sqlite3.Connection, name: str):
        """Read everything but the samples. Raises TraceError where it is no trace, or damaged outside the samples."""
        self.name = name
        self._connection = connection
        self._damaged: set[int] = set()
        self._identify()
        with self._damage():
            self._written: dict[str, int] = {}
            meta = {row[0]: row[1] for row in self._rows("meta")}
            self._written = dict(json.loads(meta.get("rows", "{}")))
            self.status = meta["status"]
            self.provenance = _object(meta["provenance"])
            self.sensors = tuple(self._sensor(*row) for row in self._rows("sensor"))
            self.marks = tuple(Mark(*row[:-1], _object(row[-1])) for row in self._rows("mark"))
            self.gaps = tuple(Gap(*row) for row in self._rows("gap"))
            for t_s, key, value in self._rows("observation"):
                self.provenance.setdefault("observations", {}).setdefault(key, []).append([t_s, json.loads(value)])
            self._owners = self._owners_of_blocks()
            if self.status not in STATUSES or any(mark.clock not in CLOCKS for mark in self.marks):
                raise ValueError(f"status {self.status!r}")

    @property
    def damaged_blocks(self) -> int:
        """How many blocks were found damaged so far: by `readings`, and those of which not even the sensor is known."""
        return len(self._damaged)

    def readings(self, sensor: int) -> Iterator[Readings]:
        """Yield the readings of a sensor, block by block; damaged blocks are counted and left out."""
        columns = len(self.sensors[sensor].channels)
        for number, owner in enumerate(self._owners, 1):
            if owner != sensor:
                continue
            try:
                _, _, rows, width, data = self._block(number)
                if width != columns:
                    raise ValueError(f"a block of {width} columns")
                block = form.unpacked(data, rows, width)
            except DAMAGE:
                self._damaged.add(number)
            else:
                yield block

    def _identify(self) -> None:
        try:
            identity = self._connection.execute("PRAGMA application_id").fetchone()[0]
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            tables = {row[0] for row in self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except DAMAGE as error:
            raise TraceError(f"{self.name} is not a trace: {error}") from None
        if identity != form.APPLICATION_ID or not set(form.TABLES) <= tables:
            raise TraceError(f"{self.name} is not a trace: it is an SQLite database of something else")
        if version != form.VERSION:
            raise TraceError(f"{self.name} is a trace of format {version}, this software reads format {form.VERSION}")

    @contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except DAMAGE as error:
            raise TraceError(f"the trace {self.name} is damaged outside its samples: {error}") from None

    def _count(self, table: str) -> int:
        count = self._connection.execute(f"SELECT max(id) FROM {table}").fetchone()[0] or 0
        pages, size = (self._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        counts = (count, self._written.get(table, 0))
        if not all(isinstance(one, int) and 0 <= one <= pages * size // MINIMUM_ROW_BYTES for one in counts):
            raise ValueError(f"table {table} says it has {max(counts)} rows")
        return max(counts)

    def _rows(self, table: str) -> Iterator[tuple]:
        """Yield the values of all rows in order. Raises ValueError where one is missing or its checksum does not fit.

        There may be more rows than the file said when it was asked: its writer may be at it.
        """
        found = 0
        for number, *values, crc in self._connection.execute(f"SELECT id, {form.TABLES[table]}, crc FROM {table} ORDER BY id"):
            found += 1
            if number != found or form.checksum(tuple(values)) != crc:
                raise ValueError(f"row {found} of table {table} is not what was written")
            form.check_kinds(table, tuple(values))
            yield tuple(values)
        if found < self._written.get(table, 0):
            raise ValueError(f"table {table} has {found} of its {self._written[table]} rows")

    def _sensor(self, url, clock, label, period_s, channels, description) -> SensorRecord:
        listed = tuple(form.channel_from(channel) for channel in json.loads(channels))
        if clock not in CLOCKS or not listed:
            raise ValueError(f"sensor {url} with clock {clock!r} and {len(listed)} channels")
        return SensorRecord(url, clock, label, listed, _object(description), period_s, Readings.none(len(listed)))

    def _owners_of_blocks(self) -> list[int]:
        """Return the sensor of every block, -1 where it cannot be read. Asked one by one: damage to one hides no other."""
        owners = []
        for number in range(1, self._count("block") + 1):
            try:
                row = self._connection.execute("SELECT sensor FROM block WHERE id = ?", (number,)).fetchone()
            except DAMAGE:
                row = None
            owners.append(row[0] if row is not None and row[0] in range(len(self.sensors)) else -1)
        self._damaged.update(number for number, owner in enumerate(owners, 1) if owner == -1)
        return owners

    def _block(self, number: int) -> tuple:
        """Return a block's values. Raises ValueError or sqlite3.Error where it is damaged."""
        sql = f"SELECT {form.TABLES['block']}, crc FROM block WHERE id = ?"
        *values, crc = self._connection.execute(sql, (number,)).fetchone()
        if form.checksum(tuple(values)) != crc:
            raise ValueError(f"block {number} is not what was written")
        return tuple(values)


def _object(text: str) -> dict:
    """Return a JSON object. Raises ValueError where the text is none."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"{text[:40]!r} is no JSON object")
    return found


@contextmanager
def open_trace(path: Path | str) -> Iterator[TraceFile]:
    """Give a trace file, opened for reading.

    Raises:
        TraceError: no such file, no trace, of another version, or damaged outside its samples.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            if file.read(16) != b"SQLite format 3\0":
                raise TraceError(f"{path} is not a trace: it is no SQLite database")
    except OSError as error:
        raise TraceError(f"the trace {path} cannot be read: {error.strerror or error}") from None
    connection, folder = _connect(path)
    try:
        yield TraceFile(connection, str(path))
    finally:
        connection.close()
        if folder is not None:
            folder.cleanup()


def trace_path(run_or_file: Path | str) -> Path:
    """Return the trace file of a run folder, or the file itself."""
    path = Path(run_or_file)
    return path / TRACE if path.is_dir() else path


def read_trace(path: Path | str, memory_bytes: int = MEMORY_BYTES) -> Trace:
    """Return all of a trace file.

    Args:
        path: of the file; one that is still being written gives what was committed so far.
        memory_bytes: refuse a trace whose samples take more.

    Raises:
        TraceError: as `open_trace`, or too large.
    """
    with open_trace(path) as file:
        return _whole(file, memory_bytes)


def trace_in_memory(path: Path | str | None, rows: list[tuple[str, tuple]], memory_bytes: int = MEMORY_BYTES) -> Trace:
    """Return a trace of which a part (`path`, None for nothing) reached the disk and `rows` did not.

    Args:
        path: the trace file.
        rows: what `TraceWriter.unwritten` held.
        memory_bytes: as in `read_trace`.

    Raises:
        TraceError: the two together are no trace.
    """
    memory = sqlite3.connect(":memory:")
    try:
        if path is None:
            memory.executescript(form.schema())
        else:
            with open_trace(path) as file:
                file._connection.backup(memory)
        for table, values in rows:
            memory.execute(form.insert(table), values)
        return _whole(TraceFile(memory, str(path or "in memory")), memory_bytes)
    except DAMAGE as error:
        raise TraceError(f"what is in memory does not go with the trace {path}: {error}") from None
    finally:
        memory.close()


def _whole(file: TraceFile, memory_bytes: int) -> Trace:
    sensors, total = [], 0
    for index, sensor in enumerate(file.sensors):
        columns, parts = len(sensor.channels), []
        for readings in file.readings(index):
            parts.append(readings)
            total += len(readings) * form.row_bytes(columns)
            if total > memory_bytes:
                raise TraceError(f"the samples of {file.name} take more than {memory_bytes >> 20} MiB of memory: "
                                 "export them with 'joulegrad trace export'")
        joined = Readings.joined(parts, columns)
        sensors.append(SensorRecord(sensor.url, sensor.clock, sensor.label, sensor.channels, sensor.description,
                                    sensor.period_s, joined))
    return Trace(file.status, file.provenance, tuple(sensors), file.marks, file.gaps, file.damaged_blocks)


def _connect(path: Path) -> tuple[sqlite3.Connection, tempfile.TemporaryDirectory | None]:
    """Return a read-only connection, and the folder of a copy where the file cannot be opened where it lies."""
    try:
        return _opened(path, "mode=ro"), None
    except DAMAGE:
        pass  # a read-only folder: SQLite wants to put its shared memory beside a file in WAL mode
    log = path.with_name(path.name + "-wal")
    try:
        if not log.exists():
            return _opened(path, "immutable=1"), None
        folder = tempfile.TemporaryDirectory(prefix="trace-")
        try:
            copy = Path(folder.name) / "trace"
            shutil.copyfile(path, copy)
            shutil.copyfile(log, copy.with_name("trace-wal"))
            return _opened(copy, "mode=rw"), folder
        except BaseException:
            folder.cleanup()
            raise
    except OSError as error:
        raise TraceError(f"the trace {path} cannot be read: {error.strerror or error}") from None
    except DAMAGE as error:
        raise TraceError(f"{path} is not a trace that can be read: {error}") from None


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    name = quote(os.fsencode(path.absolute()))  # bytes, since a folder's name need not be UTF-8
    connection = sqlite3.connect(f"file:{name}?{mode}", uri=True, isolation_level=None, timeout=5.0)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except DAMAGE:
        connection.close()
        raise
    return connection
