"""The official CIFAR folders with few images, as Python 2 wrote them, for the tests of the data sets."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np

from algo import data_cifar


def few(monkeypatch, per_file: int = 30, per_test: int = 20) -> None:
    """Make the reader expect so few images a file."""
    formats = {kind: tuple(replace(one, per_file=per_file) for one in both) for kind, both in data_cifar.FORMATS.items()}
    monkeypatch.setattr(data_cifar, "FORMATS", formats)
    monkeypatch.setattr(data_cifar, "PER_TEST", per_test)


def files_of(kind: str, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pixels (n, 3072) and labels of every file of the data set, the test last."""
    rng, (_, classes) = np.random.default_rng(seed), data_cifar.NAMES[kind]
    one = data_cifar.FORMATS[kind][0]
    counts = [one.per_file] * len(one.train) + [data_cifar.PER_TEST]
    return [(rng.integers(0, 256, (n, 3072), dtype=np.uint8), rng.integers(0, classes, n)) for n in counts]


def write_binary(root: Path, kind: str, files: list[tuple[np.ndarray, np.ndarray]]) -> Path:
    """Write the official binary folder; return it."""
    one = data_cifar.FORMATS[kind][0]
    folder = root / one.folder
    folder.mkdir()
    for name, (pixels, labels) in zip(one.files, files, strict=True):
        before = [np.zeros(len(labels), np.uint8)] * (one.labels - 1) + [labels.astype(np.uint8)]
        (folder / name).write_bytes(np.concatenate([np.stack(before, 1), pixels], 1).tobytes())
    return folder


def write_python(root: Path, kind: str, files: list[tuple[np.ndarray, np.ndarray]]) -> Path:
    """Write the official python folder, byte for byte as cPickle of Python 2 does; return it."""
    one = data_cifar.FORMATS[kind][1]
    folder = root / one.folder
    folder.mkdir()
    for name, (pixels, labels) in zip(one.files, files, strict=True):
        entries = {
            "batch_label": text(f"training batch {name}"), one.labels: numbers(labels.tolist()), "data": array(pixels),
            "filenames": b"]q\x63(" + b"".join(text(f"{i}.png") for i in range(len(labels))) + b"e",
        }  # fmt: skip
        if kind == "cifar100":
            entries["coarse_labels"] = numbers([0] * len(labels))
        (folder / name).write_bytes(pickled(entries))
    return folder


def pickled(entries: dict[str, bytes]) -> bytes:
    """Return the protocol 2 pickle of a dictionary whose values are given as opcodes."""
    return b"\x80\x02}q\x01(" + b"".join(text(key) + value for key, value in entries.items()) + b"u."


def text(value: str) -> bytes:
    """Return the opcodes of a byte string of Python 2."""
    return b"U" + bytes([len(value)]) + value.encode() + b"q\x02"


def number(value: int) -> bytes:
    """Return the opcode of a small number."""
    return b"K" + bytes([value]) if value < 256 else b"J" + struct.pack("<i", value)


def numbers(values: list[int]) -> bytes:
    """Return the opcodes of a list of small numbers."""
    return b"]q\x04(" + b"".join(map(number, values)) + b"e"


def array(
    value: np.ndarray, kind: bytes = b"U\x02u1", state: bytes = b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
    shape: bytes | None = None, make: bytes = b"cnumpy.core.multiarray\n_reconstruct\n", order: bytes = b"\x89",
) -> bytes:
    """Return the opcodes with which numpy under Python 2 rebuilds an array; the other arguments replace parts of them."""
    data = value.tobytes("F" if order == b"\x88" else "C")
    shape = b"".join(map(number, value.shape)) if shape is None else shape
    rebuilt = make + b"q\x05cnumpy\nndarray\nq\x06K\x00\x85U\x01bq\x07\x87q\x08Rq\x09"
    dtype = b"cnumpy\ndtype\nq\x0a" + kind + b"K\x00K\x01\x87q\x0bRq\x0c" + state
    return rebuilt + b"(K\x01(" + shape + b"t" + dtype + order + b"T" + struct.pack("<i", len(data)) + data + b"tb"
