"""The trace file's format: an SQLite database of six tables, and how a block of samples and a channel are written in it.

A block holds rows of one sensor: five little-endian arrays one after the other (stamps, read widths, device times as
float64, sequence numbers as int64, values as float64 channel by channel), each with its bytes transposed (all first bytes,
then all second bytes, ...) because that compresses well, the whole through zlib. Its CRC-32 covers sensor, numbers of
rows and columns and the compressed bytes. Every other row has a CRC-32 over its values, so that no damage goes unseen.
"""

from __future__ import annotations

import dataclasses
import json
import math
import struct
import zlib

import numpy as np

from host.readings import Readings
from host.sensor import Channel, Specification
from host.trace import Gap, Mark, TraceError

APPLICATION_ID = 0x6A6C6764
"""PRAGMA application_id of a trace ("jlgd")."""

VERSION = 1
"""PRAGMA user_version: of the tables below."""

TABLES = {
    "meta": "key, value",
    "sensor": "url, clock, label, period_s, channels, description",
    "block": "sensor, first_row, row_count, columns, data",
    "mark": "t_s, clock, edge, name, phase, number, iterations, note",
    "gap": "sensor, t_s, reason, count, detail",
    "observation": "t_s, key, value",
}
"""Table to its columns; before them stands id (INTEGER PRIMARY KEY: 1, 2, 3, ... without holes), after them crc.

meta: "provenance" (JSON), "status" (of host.trace.STATUSES) and "rows" (JSON: table to its number of rows, so that one that
damage cut short is noticed; traces of old have none). sensor: channels and description are JSON; sensor 0 of a Trace has id 1,
blocks and gaps name the index from 0. block: `first_row` counts the sensor's rows from 0. observation: what the sampler noted
of the machine while it ran (load average, clocks), values JSON."""

_NUMBER = (int, float)
KINDS = {
    "meta": (str, str),
    "sensor": (str, str, str, (int, float, type(None)), str, str),
    "mark": (_NUMBER, str, str, str, str, int, int, str),
    "gap": (int, _NUMBER, str, int, str),
    "observation": (_NUMBER, str, str),
}
"""Table to what its values are, in the order of the columns: SQLite takes anything anywhere, also with a checksum that fits."""

BLOCK_BYTES = 4 << 20
"""Most bytes of arrays in a block; a reader refuses to unpack more."""


def schema() -> str:
    """Return the SQL that makes the tables and the file's identity."""
    tables = [f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, {columns}, crc)" for name, columns in TABLES.items()]
    return ";\n".join([f"PRAGMA application_id = {APPLICATION_ID}", f"PRAGMA user_version = {VERSION}", *tables]) + ";\n"


def insert(table: str) -> str:
    """Return the SQL that puts a row (values, then crc) into a table; a meta row replaces that of its id."""
    columns = TABLES[table]
    if table == "meta":
        return f"REPLACE INTO meta (id, {columns}, crc) VALUES (?, ?, ?, ?)"
    return f"INSERT INTO {table} ({columns}, crc) VALUES ({', '.join('?' * (columns.count(',') + 2))})"


def checksum(values: tuple) -> int:
    """Return the CRC-32 over a row's values (without id and crc)."""
    crc = 0
    for value in values:
        if isinstance(value, (bytes, memoryview)):
            crc = zlib.crc32(value, crc)
            continue
        if isinstance(value, float):
            value = struct.pack("<d", value).hex()
        crc = zlib.crc32(f"{value}\x1f".encode("utf-8", "surrogatepass"), crc)
    return crc


def sealed(values: tuple) -> tuple:
    """Return the values with their checksum behind them."""
    return (*values, checksum(values))


def check_kinds(table: str, values: tuple) -> None:
    """Raise ValueError where a row, whose checksum may fit, holds what no trace has there."""
    for column, value, kind in zip(TABLES[table].split(", "), values, KINDS[table], strict=True):
        if not isinstance(value, kind) or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(f"table {table} has a {column} that is {str(value)[:40]!r}")


def row_bytes(columns: int) -> int:
    """Return the bytes of arrays that a row of so many channels takes."""
    return 8 * (4 + columns)


def block_rows(columns: int) -> int:
    """Return the most rows that go into a block."""
    return max(1, BLOCK_BYTES // row_bytes(columns))


def part(readings: Readings, first: int, last: int) -> Readings:
    """Return the rows [first, last) of readings."""
    return Readings(*(getattr(readings, field.name)[first:last] for field in dataclasses.fields(Readings)))


def packed(readings: Readings) -> bytes:
    """Return the arrays of a block (at most `block_rows` rows), compressed."""
    n = len(readings)
    parts = (readings.t_s, readings.width_s, readings.device_t_s, readings.sequence, readings.values.T)
    kinds = ("<f8", "<f8", "<f8", "<i8", "<f8")
    arrays = [np.ascontiguousarray(part, kind).reshape(-1, n) for part, kind in zip(parts, kinds, strict=True)]
    return zlib.compress(b"".join(row.view(np.uint8).reshape(n, 8).T.tobytes() for array in arrays for row in array), 1)


def unpacked(data: bytes, rows: int, columns: int) -> Readings:
    """Return the rows of a block. Raises ValueError where the data is not that."""
    size = rows * row_bytes(columns)
    if not 0 < rows or not 0 < columns or size > BLOCK_BYTES + row_bytes(columns):
        raise ValueError(f"a block of {rows} rows and {columns} columns")
    unzip = zlib.decompressobj()
    try:
        raw = unzip.decompress(data, size + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(raw) != size or not unzip.eof:
        raise ValueError(f"a block of {rows} rows and {columns} columns has {len(raw)} bytes, not {size}")
    octets = np.frombuffer(raw, np.uint8).reshape(4 + columns, 8, rows)
    words = np.ascontiguousarray(octets.transpose(0, 2, 1)).view("<f8").reshape(4 + columns, rows)
    native = words.astype(np.float64)
    return Readings(native[0], native[1], np.ascontiguousarray(native[4:].T), native[2], words[3].view("<i8").astype(np.int64))


def mark_row(mark: Mark) -> tuple:
    """Return the values of a mark. Raises TraceError where its stamp or numbers are none, or its note is not JSON."""
    if not math.isfinite(mark.t_s):
        raise TraceError(f"mark {mark.name!r} has the stamp {mark.t_s}: it must be a number of seconds")
    if not all(0 <= count < 1 << 63 for count in (mark.number, mark.iterations)):
        raise TraceError(f"mark {mark.name!r} has number {mark.number} and {mark.iterations} iterations: both are counts from 0")
    return (float(mark.t_s), mark.clock, mark.edge, mark.name, mark.phase, int(mark.number), int(mark.iterations),
            text(mark.note, f"the note of mark {mark.name!r}"))  # fmt: skip


def gap_row(gap: Gap) -> tuple:
    """Return the values of a gap."""
    return (int(gap.sensor), float(gap.t_s), gap.reason, int(gap.count), gap.detail)


def text(data, what: str) -> str:
    """Return JSON text. Raises TraceError naming `what` where the data is not JSON data."""
    try:
        return json.dumps(data, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise TraceError(f"{what} does not go into a trace: {error}") from None


def _plain(value):
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no JSON data")


def channel_data(channel: Channel) -> dict:
    """Return a channel as JSON data; what is infinite, or as by default, is left out."""
    data = _set_fields(channel)
    data["specification"] = {"gain": channel.specification.gain, **_set_fields(channel.specification)}
    return data


def _set_fields(part) -> dict:
    return {
        field.name: value
        for field in dataclasses.fields(part)
        if (value := getattr(part, field.name)) != field.default and not (isinstance(value, float) and math.isinf(value))
    }


def channel_from(data: dict) -> Channel:
    """Return the channel that `channel_data` wrote. Raises ValueError, TypeError or KeyError where it is none."""
    data = dict(data)
    specification = _checked(Specification, data.pop("specification"))
    return _checked(Channel, {**data, "specification": specification})


def _checked(cls, data: dict):
    texts = {"name", "unit", "rail", "scope", "kind", "part_of", "source"}
    if not isinstance(data, dict):
        raise ValueError(f"a {cls.__name__} is {data!r}")
    for name, value in data.items():
        allowed = str if name in texts else Specification if name == "specification" else (int, float)
        if not isinstance(value, allowed) and not (value is None and name in ("gain", "refresh_s")):
            raise ValueError(f"{name} is {value!r}")
    return cls(**data)
