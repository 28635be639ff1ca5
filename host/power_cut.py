"""Power cuts, simulated: every write and sync that SQLite hands to the operating system is logged, the log is cut, and the
files are made again as a disk might have them then.

The log is taken by a thin SQLite VFS put over the ordinary one (its file methods call those below them). The model of the
disk: what a file's own sync has confirmed is there; of what was written after it, each piece of 512 bytes is there or not,
each by itself and in any order; a file that was deleted after the last sync may be back. That is harsher than a truncated
log, which keeps the order. What it does not simulate: a disk that lies about its sync, and lost directory entries of files
that were never synced.
"""

from __future__ import annotations

import ctypes
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SECTOR = 512
VOID, INT, TEXT, INT64 = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int64


@dataclass(frozen=True)
class Event:
    """One call into the operating system.

    Attributes:
        kind: "write", "truncate", "sync" or "delete".
        file: name of the file, without its folder.
        offset: of a write; the new length of a truncation.
        data: that is written.
    """

    kind: str
    file: str
    offset: int = 0
    data: bytes = b""


class _Methods(ctypes.Structure):
    _fields_ = [
        ("version", INT), ("close", VOID), ("read", VOID), ("write", VOID), ("truncate", VOID), ("sync", VOID),
        ("others", VOID * 13),
    ]  # fmt: skip


class _File(ctypes.Structure):
    _fields_ = [("methods", ctypes.POINTER(_Methods))]


class _Vfs(ctypes.Structure):
    _fields_ = [
        ("version", INT), ("file_size", INT), ("longest_name", INT), ("next", VOID), ("name", TEXT), ("data", VOID),
        ("open", VOID), ("delete", VOID), ("others", VOID * 14),
    ]  # fmt: skip


# File names are handed on as the addresses they came as: SQLite keeps the address.
OPEN = ctypes.CFUNCTYPE(INT, VOID, VOID, ctypes.POINTER(_File), INT, VOID)
DELETE = ctypes.CFUNCTYPE(INT, VOID, VOID, INT)
WRITE = ctypes.CFUNCTYPE(INT, VOID, VOID, INT, INT64)
TRUNCATE = ctypes.CFUNCTYPE(INT, VOID, INT64)
SYNC = ctypes.CFUNCTYPE(INT, VOID, INT)


class WriteLog:
    """While the block runs, all databases that this process opens are logged.

    Attributes:
        events: so far, oldest first.
    """

    def __init__(self):
        self.events: list[Event] = []
        self._kept: list = []
        self._names: dict[int, str] = {}
        self._library = _library()

    def __enter__(self) -> WriteLog:
        find = self._library.sqlite3_vfs_find
        find.restype = ctypes.POINTER(_Vfs)
        self._below = find(None)
        below = self._below.contents
        self._vfs = _Vfs.from_buffer_copy(below)
        self._vfs.name, self._vfs.next = b"joulegrad-log", None
        below_open, below_delete = OPEN(below.open), DELETE(below.delete)

        def opened(vfs, name, file, flags, out):
            code = below_open(ctypes.addressof(below), name, file, flags, out)
            if code == 0 and name and file.contents.methods:
                self._log_file(file, Path(ctypes.string_at(name).decode()).name)
            return code

        def deleted(vfs, name, sync):
            self.events.append(Event("delete", Path(ctypes.string_at(name).decode()).name))
            return below_delete(ctypes.addressof(below), name, sync)

        self._keep(OPEN(opened), "open", self._vfs)
        self._keep(DELETE(deleted), "delete", self._vfs)
        self._library.sqlite3_vfs_register(ctypes.byref(self._vfs), 1)
        return self

    def __exit__(self, *exc_info) -> None:
        self._library.sqlite3_vfs_unregister(ctypes.byref(self._vfs))
        self._library.sqlite3_vfs_register(self._below, 1)

    def _log_file(self, file, name: str) -> None:
        """Put methods that log before those of an open file."""
        below = file.contents.methods.contents
        methods = _Methods.from_buffer_copy(below)
        below_write, below_truncate, below_sync = WRITE(below.write), TRUNCATE(below.truncate), SYNC(below.sync)

        def write(handle, data, size, offset):
            self.events.append(Event("write", name, offset, ctypes.string_at(data, size)))
            return below_write(handle, data, size, offset)

        def truncate(handle, size):
            self.events.append(Event("truncate", name, size))
            return below_truncate(handle, size)

        def sync(handle, flags):
            code = below_sync(handle, flags)
            self.events.append(Event("sync", name))
            return code

        for kind, function, field in ((WRITE, write, "write"), (TRUNCATE, truncate, "truncate"), (SYNC, sync, "sync")):
            self._keep(kind(function), field, methods)
        self._kept.append(methods)
        file.contents.methods = ctypes.pointer(methods)

    def _keep(self, callback, field: str, structure) -> None:
        self._kept.append(callback)
        setattr(structure, field, ctypes.cast(callback, VOID).value)


def files_after(events: list[Event], rng: np.random.Generator) -> dict[str, bytes]:
    """Return the files as a disk may have them when the power goes after these events."""
    last_sync = {event.file: number for number, event in enumerate(events) if event.kind == "sync"}
    files: dict[str, bytearray] = {}
    for number, event in enumerate(events):
        safe = number < last_sync.get(event.file, -1)
        data = files.setdefault(event.file, bytearray())
        if event.kind == "write":
            _write(data, event, None if safe else rng)
        elif event.kind == "truncate" and (safe or rng.random() < 0.5):
            del data[event.offset:]
            data.extend(bytes(event.offset - len(data)))
        elif event.kind == "delete" and (safe or rng.random() < 0.5):
            del files[event.file]
    return {name: bytes(data) for name, data in files.items()}


def _write(data: bytearray, event: Event, rng: np.random.Generator | None) -> None:
    """Apply a write; with a generator, only those sectors that happen to have reached the disk."""
    end = event.offset + len(event.data)
    first = event.offset
    while first < end:
        last = min((first // SECTOR + 1) * SECTOR, end)
        if rng is None or rng.random() < 0.5:
            data.extend(bytes(max(0, last - len(data))))
            data[first:last] = event.data[first - event.offset:last - event.offset]
        first = last


def _library() -> ctypes.CDLL:
    """Return the SQLite library that the module sqlite3 uses."""
    sqlite3.connect(":memory:").close()
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = line.split(maxsplit=5)[-1]
        if "sqlite3" in Path(path).name and ".so" in path:
            library = ctypes.CDLL(path)
            if hasattr(library, "sqlite3_vfs_register"):
                return library
    raise OSError("a power cut can be simulated only where SQLite is a shared library; Python's module sqlite3 has it built in")
