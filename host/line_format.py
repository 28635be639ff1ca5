"""Lines of our own meters: a header that says what the columns are, rows of hexadecimal integers, a checksum behind each.

Rows of a meter all have the same length, so that the host reads thousands at once and a micro-controller divides nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from host.meter_protocol import shown

HEADER = b"#joulegrad "
LONGEST = 1024
"""Bytes of the longest line; what is longer is none."""

POLYNOMIAL, START = 0x1021, 0xFFFF
"""CRC-16/CCITT-FALSE over everything before the '*'."""

UNITS = {"V": "V", "S": "A", "A": "A", "W": "W", "J": "J", "1": "1", "Cel": "Cel"}
"""Unit of a column to that of its channel; S: volts across the shunt, which become amperes."""


@dataclass(frozen=True)
class Column:
    """One column of a row: `digits` hexadecimal digits, two's complement where `signed`; value = scale * integer."""

    name: str
    unit: str
    scale: float
    digits: int
    signed: bool

    @classmethod
    def parsed(cls, text: str) -> Column:
        """Return the column of "bus:V:1250e-6:u4". Raises ValueError."""
        found = re.fullmatch(r"([A-Za-z0-9_./]{1,24}):(\w+):([0-9.]+(?:e-?\d{1,2})?):([us])(\d{1,2})", text)
        if not found or found[2] not in UNITS or not 1 <= int(found[5]) <= 12 or not float(found[3]) > 0:
            raise ValueError(f"column {text!r} is not name:unit:scale:digits, such as bus:V:1250e-6:u4")
        return cls(found[1], found[2], float(found[3]), int(found[5]), found[4] == "s")

    def text(self) -> str:
        """Return the column as a header names it."""
        return f"{self.name}:{self.unit}:{self.scale!r}:{'s' if self.signed else 'u'}{self.digits}"


@dataclass(frozen=True)
class Header:
    """What a meter says of itself.

    Attributes:
        columns: after sequence number and time.
        fields: key to text: chip, firmware, serial, shunt_uohm, shunt_ppm, cycle_us, wrap of its clock in bits.
    """

    columns: tuple[Column, ...]
    fields: dict[str, str]

    @classmethod
    def parsed(cls, line: bytes) -> Header:
        """Return the header in a line. Raises ValueError."""
        body, star, sum_ = line.rpartition(b"*")
        if not line.startswith(HEADER) or not star or sum_.upper() != b"%04X" % checksum(body):
            raise ValueError(f"{shown(line)} is no header, or damaged")
        version, *words = body[len(HEADER) :].decode("ascii").split()
        if version != "1":
            raise ValueError(f"the meter speaks version {version} of the line protocol, this software version 1")
        fields = dict(word.partition("=")[::2] for word in words)
        columns = tuple(Column.parsed(text) for text in fields.pop("columns", "").split(",") if text)
        if not columns or len({column.name for column in columns}) != len(columns):
            raise ValueError("the header names no columns, or one twice")
        for key in ("shunt_uohm", "shunt_ppm", "cycle_us", "time_bits"):
            if key in fields and not re.fullmatch(r"\d{1,10}", fields[key]):
                raise ValueError(f"the header says {key}={fields[key]}: it is a whole number")
        if not 25 <= int(fields.get("time_bits", 32)) <= 32:
            raise ValueError(f"the header says time_bits={fields['time_bits']}: it is 25 to 32, or the clock turns too often")
        if RowFormat(columns).length > LONGEST:
            raise ValueError(f"the header names {len(columns)} columns: a row is at most {LONGEST} bytes long")
        return cls(columns, fields)

    def line(self) -> bytes:
        """Return the header as a meter sends it."""
        words = [f"{key}={value}" for key, value in self.fields.items()]
        body = HEADER + " ".join(["1", *words, "columns=" + ",".join(c.text() for c in self.columns)]).encode("ascii")
        return body + b"*%04X\n" % checksum(body)

    def integer(self, key: str, default: int) -> int:
        """Return a field as a number."""
        return int(self.fields.get(key, default))


class RowFormat:
    """Rows of one header: all of the same length, "SSSSSSSS,TTTTTTTT,...*CCCC", which is what makes them fast to read."""

    def __init__(self, columns: tuple[Column, ...]):
        self.columns = columns
        widths = [8, 8, *(column.digits for column in columns)]
        starts = np.cumsum([0] + [width + 1 for width in widths])
        self._fields = [(int(start), int(start) + width) for start, width in zip(starts, widths, strict=False)]
        self._star = int(starts[-1]) - 1
        self.length = self._star + 5
        self._commas = np.array([end for _, end in self._fields[:-1]], np.int64)
        self._digits = np.setdiff1d(np.arange(self.length), [*self._commas, self._star])
        self._scale = np.array([column.scale for column in columns])

    def split(self, body: np.ndarray) -> tuple[np.ndarray, np.ndarray, int, bytes]:
        """Return rows (n, length), where their line feeds stand (n,), how many bytes are no rows, and some of them.

        Lines that begin with '#' (headers, remarks, a boot banner that behaves) and empty ones are no garbage.
        """
        stops = np.flatnonzero(body == 10)
        starts = np.concatenate([[0], stops[:-1] + 1]) if len(stops) else stops
        lengths = stops - starts
        if len(stops):
            lengths = lengths - ((lengths > 0) & (body[np.maximum(stops - 1, 0)] == 13))
        rows = lengths == self.length
        matrix = body[starts[rows][:, None] + np.arange(self.length)]
        other = ~rows & (lengths > 0)
        other[other] = body[starts[other]] != ord("#")
        if not other.any():
            return matrix, stops[rows], 0, b""
        first = int(np.flatnonzero(other)[0])
        return matrix, stops[rows], int((stops[other] - starts[other] + 1).sum()), body[starts[first] : stops[first]].tobytes()

    def values(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return float64 (n, columns) and bool (n,): which rows are well formed with the right checksum."""
        digits = _NIBBLES[matrix]
        good = (matrix[:, self._commas] == ord(",")).all(1) & (matrix[:, self._star] == ord("*"))
        good &= (digits[:, self._digits] < 16).all(1)
        table, start = _checksum_table(self._star)
        sums = np.bitwise_xor.reduce(table[np.arange(self._star), matrix[:, : self._star]], axis=1) ^ start
        good &= sums == _number(digits, self._star + 1, self.length)
        raw = np.empty((len(matrix), len(self.columns)))
        for i, (column, (begin, end)) in enumerate(zip(self.columns, self._fields[2:], strict=True)):
            whole = _number(digits, begin, end)
            raw[:, i] = whole - ((whole >> (4 * column.digits - 1)) << (4 * column.digits)) if column.signed else whole
        return raw * self._scale, good

    def counters(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return sequence numbers and times of good rows, int64 (n,) each."""
        digits = _NIBBLES[matrix]
        return _number(digits, *self._fields[0]), _number(digits, *self._fields[1])

    def encode(self, sequence: np.ndarray, time_us: np.ndarray, integers: np.ndarray) -> bytes:
        """Return rows as a meter sends them, line feeds included.

        Args:
            sequence, time_us: int64 (n,), taken modulo 2^32.
            integers: int64 (n, columns), what the converters said.
        """
        parts = np.column_stack([sequence, time_us, integers]).astype(np.int64)
        lines = np.full((len(parts), self.length + 1), ord(","), np.uint8)
        lines[:, self._star], lines[:, -1] = ord("*"), 10
        for i, (begin, end) in enumerate(self._fields):
            shifts = 4 * np.arange(end - begin - 1, -1, -1)
            lines[:, begin:end] = _DIGITS[(parts[:, i, None] >> shifts) & 15]
        table, start = _checksum_table(self._star)
        sums = np.bitwise_xor.reduce(table[np.arange(self._star), lines[:, : self._star]], axis=1) ^ start
        lines[:, self._star + 1 : self.length] = _DIGITS[(sums[:, None] >> np.array([12, 8, 4, 0])) & 15]
        return lines.tobytes()


_DIGITS = np.frombuffer(b"0123456789ABCDEF", np.uint8)
_NIBBLES = np.full(256, 255, np.uint8)
_NIBBLES[_DIGITS] = np.arange(16)
_NIBBLES[np.frombuffer(b"abcdef", np.uint8)] = np.arange(10, 16)


def _number(digits: np.ndarray, begin: int, end: int) -> np.ndarray:
    """Return the whole numbers, int64 (n,), of hexadecimal digits in some columns."""
    whole = np.zeros(len(digits), np.int64)
    for i in range(begin, end):
        whole = (whole << 4) | digits[:, i]
    return whole


def checksum(data: bytes) -> int:
    """Return the CRC-16 of bytes."""
    crc = START
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ POLYNOMIAL if crc & 0x8000 else crc << 1
        crc &= 0xFFFF
    return crc


@lru_cache(maxsize=16)
def _checksum_table(length: int) -> tuple[np.ndarray, int]:
    """Return what each byte value at each place adds to the CRC of so many bytes, int64 (length, 256), and the CRC of zeros.

    A CRC is linear: that of a line is the exclusive or of what its bytes add alone, and of that of as many zero bytes.
    """
    table = np.zeros((length, 256), np.int64)
    step = np.arange(256, dtype=np.int64) << 8
    for place in range(length - 1, -1, -1):
        for _ in range(8):
            step = np.where(step & 0x8000, (step << 1) ^ POLYNOMIAL, step << 1) & 0xFFFF
        table[place] = step
    return table, checksum(bytes(length))
