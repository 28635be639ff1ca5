"""Faults put in on purpose: the same ones for one seed, each of them visible as what it is."""

from __future__ import annotations

import numpy as np
import pytest

from host.faulty_sensor import SENTINEL, Faults, FaultySensor
from host.readings import Readings
from host.sensor import Channel, Sensor, SensorError, SensorLost, Specification, open_sensor
from host.sensor_faulty import faulty_url


class Counting(Sensor):
    """Row i at i seconds with the values i + 1 and 100 + i."""

    channels = tuple(Channel(f"{name}/power", "W", name, "test", "point", Specification(0.0)) for name in "ab")
    period_s = 0.01

    def __init__(self):
        super().__init__("counting")
        self.rows, self.opened = 0, 0

    def open(self):
        self.opened += 1

    def close(self):
        self.opened -= 1

    def read(self, timeout_s=1.0):
        i, self.rows = self.rows, self.rows + 1
        return Readings.of(float(i), [[i + 1.0, 100.0 + i]], width_s=1e-3, device_t_s=float(i), sequence=i)


def run(reads: int, **faults) -> tuple[FaultySensor, Readings]:
    waited: list[float] = []
    sensor = FaultySensor("faulty:x", Counting(), Faults(**faults), wait=waited.append)
    sensor.waited = waited
    sensor.open()
    return sensor, Readings.joined([sensor.read() for _ in range(reads)], 2)


def test_without_faults_nothing_changes():
    sensor, rows = run(50)
    np.testing.assert_array_equal(rows.values[:, 0], np.arange(1.0, 51.0))
    assert sum(sensor.injected.values()) == 0 and not sensor.losses


def test_the_same_seed_gives_the_same_faults():
    everything = dict(failed=0.1, nan=0.1, sentinel=0.1, zero=0.1, stuck=0.05, duplicate=0.1, swap=0.1, jump=0.05, stall=0.05)
    first, again, other = (run(300, seed=seed, **everything) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first[1].values, again[1].values)
    np.testing.assert_array_equal(first[1].t_s, again[1].t_s)
    assert first[0].injected == again[0].injected != other[0].injected
    assert all(first[0].injected[name] > 0 for name in everything)


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("nan", lambda rows: np.isnan(rows.values).all(axis=1)),
        ("sentinel", lambda rows: rows.values[:, 0] == SENTINEL),
        ("zero", lambda rows: rows.values[:, 0] == 0.0),
        ("failed", lambda rows: np.isnan(rows.values).all(axis=1)),
        ("stall", lambda rows: rows.width_s > 0.1),
        ("jump", lambda rows: np.diff(rows.t_s, prepend=-1.0) > 1.5),
        ("duplicate", lambda rows: np.diff(rows.sequence, prepend=-1) == 0),
        ("swap", lambda rows: np.diff(rows.t_s, prepend=-1.0) < 0),
    ],
)
def test_each_fault_is_seen_as_often_as_it_was_put_in(fault, seen):
    sensor, rows = run(400, seed=5, **{fault: 0.05})
    pending = fault == "swap" and sensor._held is not None
    assert 5 < sensor.injected[fault] == np.sum(seen(rows)) + pending
    assert len(sensor.take_losses()) == (sensor.injected["failed"])
    assert len(sensor.waited) == sensor.injected["stall"]


@pytest.mark.fault(8)
def test_a_stuck_value_stays_while_rows_go_on():
    sensor, rows = run(200, seed=1, stuck=0.02, stuck_rows=10)
    lengths = np.diff(np.flatnonzero(np.diff(rows.values[:, 0], prepend=-1) != 0))
    assert set(lengths[lengths > 1]) <= {11} and (lengths > 1).any()
    np.testing.assert_array_equal(rows.t_s, np.arange(200.0))


def test_unplugged_and_back():
    sensor = FaultySensor("faulty:x", Counting(), Faults(unplug_at=3, unplug_opens=2))
    sensor.open()
    for _ in range(3):
        assert len(sensor.read()) == 1
    with pytest.raises(SensorLost):
        sensor.read()
    sensor.close()
    for _ in range(2):
        with pytest.raises(SensorError, match="is unplugged"):
            sensor.open()
    sensor.open()
    assert sensor.read().sequence[0] == 3


def test_the_url_names_sensor_and_faults(tmp_path):
    (tmp_path / "p.csv").write_text("t_s,a [W]\n" + "".join(f"{i},1\n" for i in range(200)))
    url = faulty_url(f"replay:{tmp_path / 'p.csv'}?label=measured&gain_limit=0.01", seed=4, nan=0.5, unplug_opens=1)
    with open_sensor(url) as sensor:
        assert sensor.channels[0].name == "a/power".split("/")[0] and sensor.label == "measured"
        missing = np.isnan(sensor.read().values[:, 0])
        assert 60 < missing.sum() < 140
        assert sensor.describe()["faulty"]["nan"] == 0.5
    for options, words in (("?colour=1", "no fault colour"), ("?nan=2", "is a probability"), ("?nan=x", "could not convert")):
        with pytest.raises(SensorError, match=words):
            open_sensor(f"faulty:replay{options}" if "colour" in options else f"faulty:sim{options}")
    with pytest.raises(SensorError, match="no driver for sensor 'nothing'"):
        open_sensor("faulty:nothing")
