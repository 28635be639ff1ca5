"""replay: a trace comes back row for row with its label, a CSV table with the label that it is given."""

from __future__ import annotations

import numpy as np
import pytest

from host.readings import Readings
from host.sensor import Channel, Sensor, SensorError, Specification, open_sensor
from host.sensor_replay import Driver
from host.trace import Gap
from host.trace_file import TraceWriter

CHANNELS = (Channel("5v/power", "W", "5v", "all of it", "average", Specification(1e-3), averaging_s=0.1, refresh_s=0.1),)


@pytest.fixture
def trace(tmp_path):
    """A trace with one sensor: 5000 rows, one of them NaN, and a gap after row 99."""
    rng = np.random.default_rng(3)
    t_s = 100.0 + 0.1 * np.arange(5000) + rng.uniform(0, 0.01, 5000)
    values = rng.uniform(1, 2, (5000, 1))
    values[7] = np.nan
    rows = Readings.of(t_s, values, width_s=1e-4, device_t_s=t_s - 3, sequence=np.arange(5000))
    file = tmp_path / "trace.sqlite"
    return file, rows


def written(file, rows):
    writer = TraceWriter(file, {"commit": "none"})
    index = writer.add_sensor("sim?seed=1", "virtual", "emulated", CHANNELS, {"make": "made up"}, 0.1)
    writer.append(index, rows)
    writer.gap(Gap(index, float(rows.t_s[99]) + 0.01, "dropped", 3, "on purpose"))
    writer.close("finished")


def everything(sensor: Sensor) -> Readings:
    parts = []
    while not sensor.finished:
        parts.append(sensor.read())
    return Readings.joined(parts, len(sensor.channels))


@pytest.mark.fault(30)
def test_a_trace_comes_back_as_it_was(trace):
    file, rows = trace
    written(file, rows)
    with open_sensor(f"replay:{file}") as sensor:
        assert (sensor.label, sensor.clock, sensor.channels) == ("emulated", "virtual", CHANNELS)
        again = everything(sensor)
        assert [(loss.reason, loss.count) for loss in sensor.take_losses()] == [("dropped", 3)]
        assert len(sensor.read(timeout_s=0.01)) == 0
        assert sensor.describe()["source"] == {"url": "sim?seed=1", "description": {"make": "made up"}}
    for name in ("t_s", "width_s", "values", "device_t_s", "sequence"):
        np.testing.assert_array_equal(getattr(again, name), getattr(rows, name))


@pytest.mark.fault(30)
def test_the_label_of_a_trace_cannot_be_changed(trace):
    file, rows = trace
    written(file, rows)
    with pytest.raises(SensorError, match="a trace keeps the label"):
        open_sensor(f"replay:{file}?label=measured")


def test_at_a_pace_rows_come_when_they_are_due(tmp_path):
    file = tmp_path / "power.csv"
    file.write_text("t_s,5v/power [W]\n" + "".join(f"{0.1 * i:.1f},{1 + i}\n" for i in range(100)))
    clock = [1000.0]

    def wait(seconds):
        clock[0] += seconds

    sensor = Driver("replay:x", str(file), pace="2", label="measured", wait=wait, now=lambda: clock[0])
    sensor.open()
    seen = Readings.joined([sensor.read(0.03) for _ in range(400)], 1)
    assert sensor.clock == "host" and sensor.finished
    np.testing.assert_allclose(seen.t_s, 1000.0 + 0.05 * np.arange(100), rtol=0, atol=1e-9)
    np.testing.assert_array_equal(seen.values[:, 0], 1 + np.arange(100.0))


def test_a_table_with_units(tmp_path):
    file = tmp_path / "power.csv"
    file.write_text("t_s, 5v/power [W],5v/volts [V],5v/energy [J]\n0,2.5,5,0\n\n0.1,,5.01,0.25\n0.1,nan,5.0,inf\n")
    with open_sensor(f"replay:{file}?label=measured&gain_limit=0.01&scope=the+board") as sensor:
        assert [(c.name, c.unit, c.rail, c.kind, c.scope) for c in sensor.channels] == [
            ("5v/power", "W", "5v", "point", "the board"),
            ("5v/volts", "V", "5v", "point", "the board"),
            ("5v/energy", "J", "5v", "accumulated", "the board"),
        ]
        rows = everything(sensor)
        np.testing.assert_array_equal(rows.values, [[2.5, 5, 0], [np.nan, 5.01, 0.25], [np.nan, 5.0, np.nan]])
        np.testing.assert_array_equal(rows.t_s, [0, 0.1, 0.1])
        assert [(loss.reason, loss.count) for loss in sensor.take_losses()] == [("failed read", 1), ("failed read", 2)]
        assert sensor.channels[0].specification.gain == 0.01


@pytest.mark.fault(30)
def test_a_table_must_be_given_its_label(tmp_path):
    (tmp_path / "power.csv").write_text("t_s,a [W]\n0,1\n")
    with pytest.raises(SensorError, match="add label=measured or label=emulated"):
        open_sensor(f"replay:{tmp_path / 'power.csv'}")
    with pytest.raises(SensorError, match="label=nominal: it is measured or emulated"):
        open_sensor(f"replay:{tmp_path / 'power.csv'}?label=nominal")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time,a [W]\n0,1\n", "it is t_s and then columns"),
        ("t_s,a\n0,1\n", "it is t_s and then columns"),
        ("t_s,a [mW]\n0,1\n", "units W, V, A, J"),
        ("", "it is t_s and then columns"),
        ("t_s,a [W]\n", "has no rows"),
        ("t_s,a [W]\n0,1\n1\n", "line 3 of .* has 1 columns"),
        ("t_s,a [W]\n0,1\n1,one\n", "line 3 of .* holds 'one'"),
        ("t_s,a [W]\nnan,1\n", "has no time"),
        ("t_s,a [W],a [W]\n0,1,1\n", "one name"),
    ],
)
def test_tables_that_are_none(tmp_path, text, words):
    file = tmp_path / "power.csv"
    file.write_text(text)
    with pytest.raises(SensorError, match=words):
        open_sensor(f"replay:{file}?label=measured").open()


@pytest.mark.fault(32)
def test_files_that_are_missing_or_no_traces(tmp_path):
    with pytest.raises(SensorError, match="cannot be read"):
        open_sensor(f"replay:{tmp_path / 'no.csv'}?label=measured").open()
    (tmp_path / "bad.sqlite").write_bytes(b"no trace at all")
    for name in ("bad.sqlite", "none.sqlite"):
        with pytest.raises(SensorError, match="is not a trace|cannot be read"):
            open_sensor(f"replay:{tmp_path / name}").open()
    with pytest.raises(SensorError, match="name the recording"):
        open_sensor("replay")
