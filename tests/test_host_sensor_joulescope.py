"""Joulescopes, against a stand-in with the interface of pyjoulescope_driver.Driver and the statistics that it publishes."""

from __future__ import annotations

import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from serial_meter import lost

from host.sensor import SensorError, SensorLost, open_sensor
from host.sensor_joulescope import found

RATE, SPAN = 2_000_000, 20_000


class Library:
    """The driver: one JS220 that publishes when it is told."""

    paths = ["u/js220/000123"]

    def __init__(self):
        self.published, self.callback, self.closed = {}, None, False
        Library.last = self

    def device_paths(self, timeout=None):
        return list(self.paths)

    def open(self, device_prefix, mode=None, timeout=None):
        if device_prefix not in self.paths:
            raise RuntimeError("open failed")

    def publish(self, topic, value, timeout=None):
        self.published[topic] = value

    def subscribe(self, topic, flags, fn, timeout=None):
        assert topic == "u/js220/000123/s/stats/value" and flags == "pub"
        self.callback = fn

    def unsubscribe(self, topic, fn, timeout=None):
        assert fn == self.callback
        self.callback = None

    def close(self, device_prefix, timeout=None):
        self.closed = True

    def finalize(self, timeout=None):
        self.closed = True

    def send(self, block: int, amperes: float = 0.25) -> None:
        def value(number, unit):
            return {"avg": {"value": number, "units": unit}}

        samples = {"value": [block * SPAN, (block + 1) * SPAN], "units": "samples"}
        signals = {"voltage": value(12.0, "V"), "current": value(amperes, "A"), "power": value(12 * amperes, "W")}
        counted = {"charge": {"value": 0.1, "units": "C"}, "energy": {"value": 0.03 * block, "units": "J"}}
        frequency = {"value": RATE, "units": "Hz"}
        time_ = {"samples": samples, "sample_freq": frequency}
        self.callback("u/js220/000123/s/stats/value", {"time": time_, "signals": signals, "accumulators": counted})


@pytest.fixture
def library(monkeypatch):
    real = pytest.importorskip("pyjoulescope_driver").Driver
    for name in ("device_paths", "open", "publish", "subscribe", "unsubscribe", "close", "finalize"):
        assert callable(getattr(real, name)), "the stand-in has the interface of the library"
    monkeypatch.setitem(sys.modules, "pyjoulescope_driver", SimpleNamespace(Driver=Library))
    monkeypatch.setattr(Library, "paths", ["u/js220/000123"])
    return Library


def test_statistics_become_rows(library):
    with open_sensor("joulescope:000123?rate=50") as sensor:
        driver = library.last
        assert driver.published["u/js220/000123/s/stats/scnt"] == 20_000 and driver.published["u/js220/000123/s/stats/ctrl"] == 1
        threading.Timer(0.05, lambda: [driver.send(block) for block in range(5, 9)]).start()
        rows = sensor.read(2.0)
        assert np.allclose(rows.values, [[12.0, 0.25, 3.0, 0.03 * block] for block in range(5, 9)])
        assert np.allclose(np.diff(rows.device_t_s), SPAN / RATE) and np.diff(rows.sequence).tolist() == [1, 1, 1]
        assert [(c.unit, c.kind) for c in sensor.channels] == [
            ("V", "average"),
            ("A", "average"),
            ("W", "average"),
            ("J", "accumulated"),
        ]
        assert sensor.channels[2].specification.gain is None
        assert sensor.describe()["serial"] == "000123" and sensor.describe()["model"] == "JS220"
        assert len(sensor.read(0.05)) == 0
    assert driver.closed and driver.callback is None and driver.published["u/js220/000123/s/stats/ctrl"] == 0


@pytest.mark.fault(11)
def test_sample_numbers_that_wrap_at_32_bits_go_on(library):
    with open_sensor("joulescope") as sensor:
        first = 2**32 // SPAN - 2
        for block in range(first, first + 6):
            library.last.send(block)
        rows = sensor.read(1.0)
        assert np.allclose(np.diff(rows.device_t_s), SPAN / RATE) and not sensor.take_losses()


@pytest.mark.fault(21)
@pytest.mark.fault(6)
def test_holes_and_nan_are_counted(library):
    with open_sensor("joulescope") as sensor:
        for block in (1, 2, 5, 6):
            library.last.send(block, np.nan if block == 6 else 0.25)
        rows = sensor.read(1.0)
        losses = sensor.take_losses()
        assert lost(losses, "dropped") == 2 and lost(losses, "rejected") == 1 and np.isnan(rows.values[3, 1])


@pytest.mark.fault(39)
def test_a_reader_that_is_late_loses_counted_rows_not_memory(library, monkeypatch):
    monkeypatch.setattr("host.sensor_joulescope.WAITING", 10)
    with open_sensor("joulescope") as sensor:
        for block in range(25):
            library.last.send(block)
        assert len(sensor.read(1.0)) == 10 and lost(sensor.take_losses(), "queue overflow") == 15


@pytest.mark.fault(1)
def test_unplugged_is_a_lost_sensor(library, monkeypatch):
    monkeypatch.setattr("host.sensor_joulescope.SILENT_S", 0.1)
    sensor = open_sensor("joulescope")
    sensor.open()
    library.paths = []
    with pytest.raises(SensorLost):
        for _ in range(5):
            sensor.read(0.1)
    assert [loss.reason for loss in sensor.take_losses()] == ["unplugged"]
    with pytest.raises(SensorError, match="0 Joulescopes fit"):
        sensor.open()
    library.paths = ["u/js220/000123"]
    sensor.open()
    library.last.send(3)
    time.sleep(0.01)
    assert len(sensor.read(1.0)) == 1
    sensor.close()


def test_another_version_of_the_statistics_is_an_error(library):
    with open_sensor("joulescope") as sensor:
        library.last.callback("topic", {"time": {}})
        with pytest.raises(SensorError, match="statistics lack 'samples'"):
            sensor.read(1.0)


def test_what_is_plugged_in_is_found(library, monkeypatch):
    assert found()[0].url == "joulescope:000123"
    library.paths = []
    assert found()[0].missing == "none is plugged in"
    monkeypatch.setitem(sys.modules, "pyjoulescope_driver", None)
    assert "pip install 'joulegrad[meters]'" in found()[0].missing
