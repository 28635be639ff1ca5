"""A trace as tables for other programs: CSV or Parquet, one file per sensor. Stamps, labels, units and marks go along.

CSV: F holds sensor 0 (t_s, one column "<channel> [<unit>]" each, width_s, device_t_s, sequence, clock, label), F with ".1"
before its suffix sensor 1 and so on; ".marks" and ".gaps" before the suffix are tables of their own, and what else is known
(channels with specifications, provenance) is in F with the suffix ".json". What was not measured is an empty cell.

Parquet: the same columns, typed; everything else is JSON under the key "joulegrad" of the file's metadata.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from host.readings import Readings
from host.trace import SensorRecord, TraceError
from host.trace_file import TraceFile, open_trace
from host.trace_format import channel_data

ROW_GROUP = 1 << 17
"""Rows that are put together before they are written."""


@dataclass(frozen=True)
class Exported:
    """What an export made.

    Attributes:
        files: in the order in which they were made.
        rows: of all sensors.
        damaged_blocks: of the trace, whose rows are missing.
        labels: of the sensors.
    """

    files: tuple[Path, ...]
    rows: int
    damaged_blocks: int
    labels: tuple[str, ...]


def export(trace: Path | str, csv: Path | str | None = None, parquet: Path | str | None = None) -> Exported:
    """Write a trace as CSV tables, as Parquet files, or as both: all files that are asked for, or none.

    Args:
        trace: its file.
        csv, parquet: F of either kind; none of the files to make may be there.

    Raises:
        TraceError: the trace cannot be read, or a file is there already or cannot be written.
        ModuleNotFoundError: Parquet without pyarrow.
    """
    kinds = [(Path(out), write) for out, write in ((csv, _write_csv), (parquet, _write_parquet)) if out is not None]
    with open_trace(trace) as source, _all_or_none() as made:
        for out, write in kinds:
            rows = write(source, out, made)
        labels = tuple(sorted({sensor.label for sensor in source.sensors}))
        return Exported(tuple(made.paths), rows, source.damaged_blocks, labels)


def _write_csv(source: TraceFile, out: Path, made: _Made) -> int:
    """Write the tables of F; return the number of rows of all sensors."""
    rows = 0
    for index, sensor in enumerate(source.sensors):
        names = [f"{channel.name} [{channel.unit}]" for channel in sensor.channels]
        with made.table(_numbered(out, index)) as table:
            table.writerow(["t_s", *names, "width_s", "device_t_s", "sequence", "clock", "label"])
            for block in source.readings(index):
                rows += len(block)
                table.writerows(_cells(block, sensor))
    with made.table(_beside(out, "marks")) as table:
        table.writerow(["t_s", "clock", "edge", "name", "phase", "number", "iterations", "note"])
        table.writerows((*dataclasses.astuple(mark)[:-1], json.dumps(mark.note)) for mark in source.marks)
    with made.table(_beside(out, "gaps")) as table:
        table.writerow(["sensor", "t_s", "reason", "count", "detail"])
        table.writerows(dataclasses.astuple(gap) for gap in source.gaps)
    with made.text(out.with_suffix(".json")) as file:
        sensors = [about(sensor) for sensor in source.sensors]
        json.dump({**about_trace(source), "sensors": sensors}, file, indent=1)
    return rows


def _write_parquet(source: TraceFile, out: Path, made: _Made) -> int:
    """Write the files of F; return the number of rows of all sensors."""
    import pyarrow
    from pyarrow import parquet

    rows = 0
    for index, sensor in enumerate(source.sensors):
        schema = _schema(pyarrow, source, sensor)
        with made.file(_numbered(out, index)) as file, parquet.ParquetWriter(file, schema) as writer:
            for part in _joined(source.readings(index), len(sensor.channels)):
                rows += len(part)
                columns = [part.t_s, *part.values.T, part.width_s, part.device_t_s, part.sequence]
                arrays = [pyarrow.array(column, from_pandas=True) for column in columns]  # NaN becomes null
                same = [pyarrow.DictionaryArray.from_arrays(np.zeros(len(part), np.int32), [text])
                        for text in (sensor.clock, sensor.label)]  # fmt: skip
                writer.write_table(pyarrow.Table.from_arrays([*arrays, *same], schema=schema))
    return rows


def about(sensor: SensorRecord) -> dict:
    """Return what is known of a sensor besides its readings, as JSON data."""
    return {"url": sensor.url, "clock": sensor.clock, "label": sensor.label, "period_s": sensor.period_s,
            "channels": [channel_data(channel) for channel in sensor.channels], "description": sensor.description}  # fmt: skip


def about_trace(source: TraceFile) -> dict:
    """Return what is known of a trace besides its sensors, marks and gaps, as JSON data."""
    return {"schema": 1, "trace": source.name, "status": source.status, "damaged_blocks": source.damaged_blocks,
            "provenance": source.provenance}  # fmt: skip


def _cells(block: Readings, sensor: SensorRecord) -> Iterator[list]:
    columns = [block.t_s, *block.values.T, block.width_s, block.device_t_s]
    cells = [["" if value != value else value for value in column.tolist()] for column in columns]
    sequence = ["" if number < 0 else number for number in block.sequence.tolist()]
    for row in zip(*cells, sequence, strict=True):
        yield [*row, sensor.clock, sensor.label]


def _schema(pyarrow, source: TraceFile, sensor: SensorRecord):
    """Return the columns' types, with unit, scope and specification of each channel, and all of the trace's metadata."""
    known = {
        **about_trace(source), "sensor": about(sensor),
        "marks": [dataclasses.asdict(mark) for mark in source.marks], "gaps": [dataclasses.asdict(gap) for gap in source.gaps],
    }  # fmt: skip
    label = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    channels = [pyarrow.field(f"{channel.name} [{channel.unit}]", pyarrow.float64(), metadata={
        "unit": channel.unit, "label": sensor.label, "rail": channel.rail, "scope": channel.scope,
        "channel": json.dumps(channel_data(channel))}) for channel in sensor.channels]  # fmt: skip
    floats = [pyarrow.field(name, pyarrow.float64(), metadata={"unit": "s"}) for name in ("width_s", "device_t_s")]
    return pyarrow.schema(
        [pyarrow.field("t_s", pyarrow.float64(), metadata={"unit": "s", "clock": sensor.clock}), *channels, *floats,
         pyarrow.field("sequence", pyarrow.int64()), pyarrow.field("clock", label), pyarrow.field("label", label)],
        metadata={"joulegrad": json.dumps(known)})  # fmt: skip


def _joined(blocks: Iterator[Readings], columns: int) -> Iterator[Readings]:
    """Yield the same rows in fewer, larger parts."""
    waiting: list[Readings] = []
    for block in blocks:
        waiting.append(block)
        if sum(len(part) for part in waiting) >= ROW_GROUP:
            yield Readings.joined(waiting, columns)
            waiting = []
    if waiting:
        yield Readings.joined(waiting, columns)


def _numbered(out: Path, index: int) -> Path:
    return out if index == 0 else _beside(out, str(index))


def _beside(out: Path, word: str) -> Path:
    return out.with_name(f"{out.stem}.{word}{out.suffix}")


class _Made:
    """Files under their final names only once all of them are whole."""

    def __init__(self):
        self.paths: list[Path] = []

    @contextlib.contextmanager
    def file(self, path: Path, mode: str = "wb", **options) -> Iterator:
        if path.exists():
            raise TraceError(f"{path} is there already: an export overwrites nothing, name another file")
        if path in self.paths:
            raise TraceError(f"{path} would be made twice, for two tables of this export: name another file")
        self.paths.append(path)
        with open(_partial(path), mode, **options) as file:
            yield file

    def text(self, path: Path) -> contextlib.AbstractContextManager:
        return self.file(path, "w", encoding="utf-8", newline="")

    @contextlib.contextmanager
    def table(self, path: Path) -> Iterator:
        with self.text(path) as file:
            yield csv.writer(file)


@contextlib.contextmanager
def _all_or_none() -> Iterator[_Made]:
    made = _Made()
    try:
        yield made
        for path in made.paths:
            _partial(path).replace(path)
    except OSError as error:
        raise TraceError(f"the export cannot be written: {error.filename or ''} {error.strerror or error}") from None
    finally:
        for path in made.paths:
            with contextlib.suppress(OSError):
                _partial(path).unlink()


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")
