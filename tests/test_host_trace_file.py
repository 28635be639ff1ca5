"""The trace file: what goes in comes out, whatever happens to the writer, the disk or the file."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host import trace_format as form
from host.readings import Readings
from host.sensor import Channel, Specification
from host.trace import Gap, Mark, TraceError, windows
from host.trace_file import TraceWriter, open_trace, read_trace, trace_in_memory

SPECIFICATION = Specification(0.005, offset=0.01, quantum=0.025, shunt=0.01, time_base=5e-5, full_scale=32.0, source="data sheet")
POWER = Channel("INT/power", "W", "INT", "core supply", "average", SPECIFICATION, part_of="12V", refresh_s=0.0352,
                averaging_s=0.0352, low=-1.0, high=60.0)  # fmt: skip
ENERGY = Channel("INT/energy", "J", "INT", "core supply", "accumulated", Specification(None), wrap=2.0**32)


def rows(n: int, columns: int, seed: int = 0, start_s: float = 0.0) -> Readings:
    rng = np.random.default_rng(seed)
    values = rng.normal(5.0, 1.0, (n, columns))
    values[rng.random((n, columns)) < 0.1] = np.nan
    return Readings(start_s + np.arange(n) * 1e-3, rng.random(n) * 1e-5, values, rng.random(n), np.arange(n, dtype=np.int64))


def same(found: Readings, wanted: Readings) -> None:
    for name in ("t_s", "width_s", "values", "device_t_s", "sequence"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
        assert getattr(found, name).dtype == getattr(wanted, name).dtype


def written(path: Path, blocks: int = 5, n: int = 40) -> TraceWriter:
    writer = TraceWriter(path, {"commit": "abc"})
    writer.add_sensor("hwmon:ina226", "host", "measured", (POWER, ENERGY), {"make": "TI"}, 0.001)
    for number in range(blocks):
        writer.append(0, rows(n, 2, number, number * n * 1e-3))
        writer.commit()
    return writer


def test_what_goes_in_comes_out(tmp_path):
    path = tmp_path / "a.trace"
    writer = TraceWriter(path, {"commit": "abc", "seed": 3})
    assert writer.add_sensor("hwmon:ina226", "host", "measured", (POWER, ENERGY), {"make": "TI", "shunt_ohm": 0.01}, 0.001) == 0
    assert writer.add_sensor("sim", "virtual", "emulated", (ENERGY,), {}, None) == 1
    first, second, other = rows(100, 2), rows(1, 2, 1, 0.1), rows(7, 1, 2)
    marks = (Mark(0.01, "host", "begin", "iteration", "forward", 3, note={"layer": "conv1"}),
             Mark(0.02, "host", "end", "iteration", "forward", 3, 12))  # fmt: skip
    for readings in (first, second):
        writer.append(0, readings)
    writer.append(1, other)
    for mark in marks:
        writer.mark(mark)
    gap = Gap(0, 0.05, "missed deadline", 3, "busy")
    writer.gap(gap)
    writer.observe(0.5, "load_average", [1.0, 0.5, 0.25])
    assert writer.commit()
    live = read_trace(path)
    assert live.status == "recording"
    assert writer.close("finished")
    assert [file.name for file in tmp_path.iterdir()] == ["a.trace"]
    trace = read_trace(path)
    assert replace(live, status="finished", sensors=()) == replace(trace, sensors=())
    assert trace.status == "finished"
    assert trace.provenance == {"commit": "abc", "seed": 3, "observations": {"load_average": [[0.5, [1.0, 0.5, 0.25]]]}}
    assert [(s.url, s.clock, s.label, s.channels, s.description, s.period_s) for s in trace.sensors] == [
        ("hwmon:ina226", "host", "measured", (POWER, ENERGY), {"make": "TI", "shunt_ohm": 0.01}, 0.001),
        ("sim", "virtual", "emulated", (ENERGY,), {}, None),
    ]
    same(trace.sensors[0].readings, Readings.joined([first, second], 2))
    same(trace.sensors[1].readings, other)
    assert trace.marks == marks
    assert trace.gaps == (gap,)
    assert trace.damaged_blocks == 0
    assert windows(trace)[0].iterations == 12


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 300), st.integers(1, 5), st.integers(0, 1000))
def test_blocks_are_exact(n, columns, seed):
    readings = rows(n, columns, seed)
    readings.values[0, 0] = -0.0
    same(form.unpacked(form.packed(readings), n, columns), readings)


def test_readings_larger_than_a_block_are_split(tmp_path, monkeypatch):
    monkeypatch.setattr(form, "BLOCK_BYTES", 1000)
    writer = TraceWriter(tmp_path / "a.trace", {})
    writer.add_sensor("x", "host", "measured", (POWER,), {}, None)
    readings = rows(101, 1)
    writer.append(0, readings)
    assert [table for table, _ in writer.unwritten] == ["sensor", *["block"] * 5, "meta"]
    writer.close("finished")
    same(read_trace(tmp_path / "a.trace").sensors[0].readings, readings)


def test_durable_by_its_settings(tmp_path):
    writer = written(tmp_path / "a.trace")
    assert writer._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert writer._connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    writer.close("aborted")
    raw = sqlite3.connect(tmp_path / "a.trace")
    assert raw.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
    raw.close()


def test_a_trace_is_never_overwritten(tmp_path):
    written(tmp_path / "a.trace").close("finished")
    with pytest.raises(TraceError, match="is there already"):
        TraceWriter(tmp_path / "a.trace", {})
    assert len(read_trace(tmp_path / "a.trace").sensors[0].readings) == 200


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from tests.test_host_trace_file import *
writer = written(Path(sys.argv[1]), 7)
writer.append(0, rows(40, 2, 99))
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(path: Path) -> None:
    root = str(Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), root], cwd=root, timeout=300)
    assert done.returncode == -signal.SIGKILL


def test_a_killed_writer_loses_only_what_it_had_not_committed(tmp_path):
    path = tmp_path / "a.trace"
    killed(path)
    assert (tmp_path / "a.trace-wal").stat().st_size > 0
    before = path.read_bytes(), (tmp_path / "a.trace-wal").read_bytes()
    trace = read_trace(path)
    assert trace.status == "recording"
    same(trace.sensors[0].readings, Readings.joined([rows(40, 2, k, k * 0.04) for k in range(7)], 2))
    assert (path.read_bytes(), (tmp_path / "a.trace-wal").read_bytes()) == before


@pytest.fixture
def open_folder():
    """A folder of its own right below /tmp: other users may look into it, which pytest's own folders forbid."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        os.chmod(name, 0o755)
        yield Path(name)
        os.chmod(name, 0o755)


def test_a_folder_that_cannot_be_written_can_be_read(open_folder):
    """Root may write anywhere, so the read is another user's."""
    killed(open_folder / "a.trace")
    (open_folder / "a.trace-shm").unlink(missing_ok=True)
    written(open_folder / "b.trace").close("finished")
    raw = sqlite3.connect(open_folder / "b.trace")
    raw.execute("PRAGMA journal_mode = WAL")
    raw.close()
    (open_folder / "c.trace").write_bytes((open_folder / "b.trace").read_bytes())
    os.chmod(open_folder, 0o555)
    code = ("import sys, os; sys.path.insert(0, sys.argv[1]); from host.trace_file import read_trace\n"
            "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
            "for path in sys.argv[2:]: print(len(read_trace(path).sensors[0].readings))")  # fmt: skip
    paths = [str(open_folder / name) for name in ("a.trace", "b.trace", "c.trace")]
    done = subprocess.run([sys.executable, "-c", code, str(Path(__file__).parents[1]), *paths], capture_output=True, text=True,
                          timeout=300)  # fmt: skip
    assert done.stdout.split() == ["280", "200", "200"], done.stderr


def test_damaged_blocks_are_counted_and_left_out(tmp_path):
    path = tmp_path / "a.trace"
    written(path, blocks=9, n=500).close("finished")
    whole = bytearray(path.read_bytes())
    data = sqlite3.connect(path).execute("SELECT data FROM block WHERE id = 4").fetchone()[0]
    at = whole.find(data[-40:])
    whole[at] ^= 1
    path.write_bytes(whole)
    trace = read_trace(path)
    assert trace.damaged_blocks == 1
    same(trace.sensors[0].readings, Readings.joined([rows(500, 2, k, k * 0.5) for k in range(9) if k != 3], 2))


def test_damage_anywhere_is_one_sentence_or_is_counted(tmp_path):
    """Bits flipped and pages zeroed all over the file: never a traceback of another kind, never a wrong sample."""
    path, broken = tmp_path / "a.trace", tmp_path / "b.trace"
    writer = written(path, blocks=9, n=300)
    for number in range(50):
        writer.mark(Mark(number * 0.1, "host", "begin", f"window {number}", "other", number))
    writer.close("finished")
    whole = path.read_bytes()
    original = read_trace(path)
    good = {row.tobytes() for row in np.column_stack([original.sensors[0].readings.t_s, original.sensors[0].readings.values])}
    rng = np.random.default_rng(1)
    seen = {"error": 0, "counted": 0, "unseen": 0}
    for trial in range(300):
        data = bytearray(whole)
        at = int(rng.integers(len(data)))
        if trial % 3:
            data[at] ^= 1 << int(rng.integers(8))
        else:
            data[at:at + 4096] = bytes(min(4096, len(data) - at))
        broken.write_bytes(data)
        try:
            trace = read_trace(broken)
        except TraceError as error:
            assert "\n" not in str(error)
            seen["error"] += 1
            continue
        readings = trace.sensors[0].readings
        found = np.column_stack([readings.t_s, readings.values])
        assert all(row.tobytes() in good for row in found)
        assert trace.marks == original.marks
        seen["counted" if trace.damaged_blocks else "unseen"] += 1
        assert len(found) == len(good) or trace.damaged_blocks
    assert min(seen["error"], seen["counted"]) > 20


def test_a_table_that_lost_its_last_rows_is_noticed(tmp_path):
    """A single bit of a page's header takes rows away, or all of a table, and what is left of it is whole."""
    path, broken = tmp_path / "a.trace", tmp_path / "b.trace"
    writer = written(path, blocks=4, n=30)
    for number in range(4):
        writer.mark(Mark(number * 0.1, "host", "begin", "run", number=number))
        writer.gap(Gap(0, 0.1 * number, "missed deadline", 1))
    writer.observe(0.5, "load_average", [1.0])
    writer.close("finished")
    whole, original = path.read_bytes(), read_trace(path)
    for at in [page + byte for page in range(4096, len(whole), 4096) for byte in range(12)]:
        for bit in range(8):
            data = bytearray(whole)
            data[at] ^= 1 << bit
            broken.write_bytes(data)
            try:
                trace = read_trace(broken)
            except TraceError:
                continue
            assert replace(trace, sensors=(), damaged_blocks=0) == replace(original, sensors=()), (at, bit)
            assert trace.damaged_blocks or len(trace.sensors[0].readings) == 120, (at, bit)


def test_a_trace_that_does_not_say_how_many_rows_it_has_is_read(tmp_path):
    """As those of old."""
    path = tmp_path / "a.trace"
    written(path).close("finished")
    altered(path, "DELETE FROM meta WHERE key = 'rows'")
    assert len(read_trace(path).sensors[0].readings) == 200


@pytest.mark.parametrize("content, said", [
    (None, "No such file"), (b"", "no SQLite database"), (b"t_s,w\n0,1\n", "no SQLite database"),
    (b"SQLite format 3\0" + bytes(500), "is not a trace"),
])  # fmt: skip
def test_foreign_files_are_one_sentence(tmp_path, content, said):
    path = tmp_path / "a.trace"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TraceError, match=said):
        read_trace(path)


def test_other_databases_and_versions_are_one_sentence(tmp_path):
    path = tmp_path / "other.db"
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE block (id)")
    raw.commit()
    with pytest.raises(TraceError, match="something else"):
        read_trace(path)
    written(tmp_path / "a.trace").close("finished")
    raw = sqlite3.connect(tmp_path / "a.trace")
    raw.execute("PRAGMA user_version = 9")
    raw.close()
    with pytest.raises(TraceError, match="format 9"):
        read_trace(tmp_path / "a.trace")


def test_every_truncated_file_is_one_sentence_or_readable(tmp_path):
    path, short = tmp_path / "a.trace", tmp_path / "b.trace"
    written(path, blocks=6, n=300).close("finished")
    whole = path.read_bytes()
    failed = 0
    for length in range(0, len(whole), 1777):
        short.write_bytes(whole[:length])
        try:
            trace = read_trace(short)
            assert trace.damaged_blocks or length > len(whole) - 4096
        except TraceError:
            failed += 1
    assert failed > 5


def altered(path: Path, sql: str, *values) -> None:
    raw = sqlite3.connect(path)
    raw.execute(sql, values)
    raw.commit()
    raw.close()


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "a.trace"
    written(path).close("finished")
    bomb = zlib.compress(bytes(200 << 20), 9)
    for rows_said in (40, (200 << 20) // 48):
        values = (0, 40, rows_said, 2, bomb)
        altered(path, "UPDATE block SET data = ?, row_count = ?, crc = ? WHERE id = 2", bomb, rows_said, form.checksum(values))
        tracemalloc.start()
        assert read_trace(path).damaged_blocks == 1
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20 << 20
    altered(path, "UPDATE block SET id = ? WHERE id = 5", 1 << 60)
    with pytest.raises(TraceError, match="says it has"):
        read_trace(path)
    with pytest.raises(TraceError, match="more than 0 MiB"):
        written(tmp_path / "b.trace").close("finished")
        read_trace(tmp_path / "b.trace", memory_bytes=1000)


@pytest.mark.parametrize("sql", [
    "UPDATE block SET data = (SELECT data FROM block WHERE id = 2) WHERE id = 3", "UPDATE block SET sensor = 1 WHERE id = 3",
    "UPDATE block SET first_row = 0 WHERE id = 3", "DELETE FROM block WHERE id = 3",
])  # fmt: skip
def test_a_block_that_was_changed_is_noticed(tmp_path, sql):
    """Also where it still unpacks: as another block, or as another sensor's."""
    path = tmp_path / "a.trace"
    writer = written(path)
    writer.add_sensor("hwmon:other", "host", "measured", (POWER, ENERGY), {}, 0.001)
    writer.close("finished")
    altered(path, sql)
    trace = read_trace(path)
    assert trace.damaged_blocks == 1
    same(trace.sensors[0].readings, Readings.joined([rows(40, 2, k, k * 0.04) for k in (0, 1, 3, 4)], 2))
    assert len(trace.sensors[1].readings) == 0


def test_a_mark_that_was_changed_is_noticed(tmp_path):
    path = tmp_path / "a.trace"
    writer = written(path)
    writer.mark(Mark(1.0, "host", "begin", "run"))
    writer.close("finished")
    altered(path, "UPDATE mark SET t_s = 1.5")
    with pytest.raises(TraceError, match="row 1 of table mark"):
        read_trace(path)


@pytest.mark.parametrize(("table", "column", "value"), [
    ("mark", "t_s", "soon"), ("mark", "t_s", None), ("mark", "t_s", math.inf), ("mark", "number", 0.5), ("mark", "name", b"run"),
    ("mark", "note", "[1]"), ("sensor", "url", 3), ("sensor", "label", 0), ("sensor", "period_s", "often"),
    ("sensor", "description", "3"), ("sensor", "channels", '[{"specification": 3}]'), ("gap", "t_s", "x"),
    ("gap", "detail", b"x"), ("observation", "key", b"x"), ("meta", "key", 1.5),
])  # fmt: skip
def test_a_trace_of_others_that_holds_what_none_has_is_one_sentence(tmp_path, table, column, value):
    """Its checksums fit, as those of a file that was not damaged, but made elsewhere."""
    path = tmp_path / "a.trace"
    writer = written(path)
    writer.mark(Mark(1.0, "host", "begin", "run"))
    writer.gap(Gap(0, 0.5, "dropped", 1))
    writer.observe(1.0, "load", 0.5)
    writer.close("finished")
    raw = sqlite3.connect(path)
    found = raw.execute(f"SELECT {form.TABLES[table]} FROM {table}").fetchone()
    row = dict(zip(form.TABLES[table].split(", "), found, strict=True))
    raw.close()
    crc = form.checksum(tuple((row | {column: value}).values()))
    altered(path, f"UPDATE {table} SET {column} = ?, crc = ? WHERE id = 1", value, crc)
    with pytest.raises(TraceError, match="is damaged outside its samples: "):
        read_trace(path)


def full(writer: TraceWriter) -> None:
    """Let the disk be full from here on: the database may not grow by a page."""
    pages = writer._connection.execute("PRAGMA page_count").fetchone()[0]
    writer._connection.execute(f"PRAGMA max_page_count = {pages}")


@pytest.mark.fault(38)
def test_a_full_disk_leaves_the_result_in_memory(tmp_path):
    path = tmp_path / "a.trace"
    writer = written(path, blocks=3, n=500)
    full(writer)
    for number in range(3, 8):
        writer.append(0, rows(500, 2, number, number * 0.5))
        assert not writer.commit(force=True)
    writer.mark(Mark(2.0, "host", "begin", "run"))
    assert "disk is full" in writer.problem and str(path) in writer.problem
    assert not writer.close("finished")
    on_disk = read_trace(path)
    assert on_disk.status == "recording" and len(on_disk.sensors[0].readings) == 1500
    trace = trace_in_memory(path, writer.unwritten)
    assert trace.status == "finished" and trace.marks[0].name == "run"
    same(trace.sensors[0].readings, Readings.joined([rows(500, 2, k, k * 0.5) for k in range(8)], 2))


@pytest.mark.fault(38)
def test_a_disk_that_has_room_again_gets_everything(tmp_path):
    path = tmp_path / "a.trace"
    writer = written(path, blocks=3, n=500)
    full(writer)
    writer.append(0, rows(500, 2, 3, 1.5))
    assert not writer.commit()
    writer._connection.execute("PRAGMA max_page_count = 100000")
    assert writer.close("finished") and writer.problem == ""
    same(read_trace(path).sensors[0].readings, Readings.joined([rows(500, 2, k, k * 0.5) for k in range(4)], 2))


@pytest.mark.fault(38)
def test_an_output_that_cannot_be_written(tmp_path):
    with pytest.raises(TraceError, match="cannot be written: No such file"):
        TraceWriter(tmp_path / "nowhere" / "a.trace", {})
    writer = TraceWriter(tmp_path / "nowhere" / "a.trace", {}, require=False)
    writer.add_sensor("x", "host", "measured", (POWER,), {}, None)
    writer.append(0, rows(10, 1))
    assert not writer.commit() and not writer.close("finished") and "cannot be written" in writer.problem
    same(trace_in_memory(None, writer.unwritten).sensors[0].readings, rows(10, 1))


@pytest.mark.fault(39)
def test_memory_is_bounded_when_the_disk_takes_nothing(tmp_path):
    path = tmp_path / "a.trace"
    writer = TraceWriter(path, {}, memory_bytes=200_000)
    writer.add_sensor("x", "host", "measured", (POWER,), {}, None)
    writer.commit()
    full(writer)
    for number in range(100):
        writer.append(0, rows(500, 1, number, number * 0.5))
        writer.observe(0.0, "load_average", "x" * 1000)
        writer.commit(force=number % 20 == 0)
    assert sum(len(row[-2]) for table, row in writer.unwritten if table == "block") < 220_000
    assert len(writer.unwritten) < 500 and writer.lost_marks == 0
    kept = sum(row[2] for table, row in writer.unwritten if table == "block")
    assert writer.lost_rows == 50_000 - kept > 0
    writer._connection.execute("PRAGMA max_page_count = 100000")
    assert writer.close("finished")
    trace = read_trace(path)
    assert [(gap.reason, gap.count) for gap in trace.gaps] == [("queue overflow", writer.lost_rows)]
    assert len(trace.sensors[0].readings) == kept


def test_what_cannot_be_stored_is_said_at_once(tmp_path):
    writer = written(tmp_path / "a.trace")
    with pytest.raises(TraceError, match="stamp nan"):
        writer.mark(Mark(float("nan"), "host", "begin", "run"))
    with pytest.raises(TraceError, match="does not go into a trace"):
        writer.mark(Mark(0.0, "host", "begin", "run", note={"x": object()}))
    with pytest.raises(TraceError, match="counts from 0"):
        writer.mark(Mark(0.0, "host", "begin", "run", number=1 << 70))
    with pytest.raises(ValueError, match="2 channels"):
        writer.append(0, rows(3, 1))
    writer.close("finished")


def test_a_trace_can_be_read_by_parts(tmp_path):
    written(tmp_path / "a.trace", blocks=4).close("finished")
    with open_trace(tmp_path / "a.trace") as file:
        assert [len(block) for block in file.readings(0)] == [40] * 4
