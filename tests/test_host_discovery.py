"""Refresh and resolution found by looking; constant told from stale."""

from __future__ import annotations

import numpy as np
import pytest

from host.discovery import CHANGING, CONSTANT, STALE, UNCHANGED, findings, look
from host.readings import Readings
from host.sensor import Channel, Sensor, Specification

WATTS = Channel("a/power", "W", "a", "test", "point", Specification(None))
VOLTS = Channel("a/volts", "V", "a", "test", "point", Specification(None))


def rows(
    refresh_s: float, period_s: float, seconds: float = 4.0, step: float = 0.01, seed: int = 0, jitter: float = 0.1
) -> Readings:
    """Return reads of a value that is renewed every refresh_s and is a multiple of step, at jittered stamps."""
    rng = np.random.default_rng(seed)
    t_s = np.arange(0, seconds, period_s) + rng.uniform(0, jitter * period_s, int(np.ceil(seconds / period_s)))
    renewed = np.floor((t_s + rng.uniform(0, refresh_s)) / refresh_s).astype(int)
    values = step * rng.integers(100, 110, renewed.max() + 1)
    return Readings.of(t_s, values[renewed][:, None])


@pytest.mark.fault(9)
@pytest.mark.parametrize("refresh_s", [0.0352, 0.15, 0.01])
@pytest.mark.parametrize("seed", range(5))
def test_the_refresh_is_found_though_values_repeat(refresh_s, seed):
    (found,) = findings((WATTS,), rows(refresh_s, refresh_s / 4.3, 200 * refresh_s, seed=seed))
    assert found.state == CHANGING and not found.at_most
    assert found.refresh_s == pytest.approx(refresh_s, rel=0.01)
    assert found.resolution == pytest.approx(0.01)


@pytest.mark.fault(10)
def test_a_sensor_faster_than_the_reads_gives_an_upper_bound():
    (found,) = findings((WATTS,), rows(0.001, 0.02))
    assert found.at_most and found.refresh_s == pytest.approx(0.02, rel=0.05)


def test_the_smallest_step_is_the_resolution():
    (found,) = findings((WATTS,), Readings.of(np.arange(50.0), 4.81 + 1 / 32 * np.random.default_rng(1).integers(0, 9, (50, 1))))
    assert found.resolution == pytest.approx(1 / 32)


@pytest.mark.fault(8)
def test_constant_is_told_from_stale():
    t_s = np.arange(100.0)
    still, moving = np.full(100, 3.3), np.arange(100) % 7
    constant, changing = findings((VOLTS, WATTS), Readings.of(t_s, np.stack([still, moving], 1)))
    assert (constant.state, changing.state) == (CONSTANT, CHANGING)
    assert findings((WATTS,), Readings.of(t_s, still[:, None], sequence=np.arange(100)))[0].state == CONSTANT
    assert findings((WATTS,), Readings.of(t_s, still[:, None]))[0].state == UNCHANGED
    assert findings((WATTS,), Readings.of(t_s, still[:, None]), load_changed=True)[0].state == STALE
    assert constant.refresh_s is None and constant.resolution is None


@pytest.mark.fault(6)
def test_missing_values_are_no_changes():
    values = np.where(np.arange(60)[:, None] % 3 == 0, np.nan, 2.5)
    (found,) = findings((WATTS,), Readings.of(np.arange(60.0), values))
    assert (found.reads, found.missing, found.changes, found.state) == (60, 20, 0, UNCHANGED)


class Clocked(Sensor):
    """On a clock of its own: the value follows the load in steps of 1/32 W, renewed every 35.2 ms."""

    channels, period_s = (WATTS,), 0.01

    def __init__(self):
        super().__init__("clocked")
        self.t_s, self.loaded = 0.0, []

    def open(self):
        """Nothing to open."""

    def close(self):
        """Nothing to close."""

    def load(self, on: bool):
        self.loaded.append((self.t_s, on))

    def wait(self, seconds: float):
        self.t_s += seconds

    def read(self, timeout_s=1.0):
        self.t_s += 5e-4
        noise = np.random.default_rng(int(self.t_s / 0.0352)).integers(0, 4)
        return Readings.of(self.t_s, [[3 + noise / 32]])


def test_looking_reads_twice_as_fast_as_the_sensor_asks_and_switches_the_load_off():
    sensor = Clocked()
    (found,) = look(sensor, 5.0, sensor.load, wait=sensor.wait, now=lambda: sensor.t_s)
    assert found.reads == pytest.approx(5.0 / 0.005, rel=0.02)
    assert found.refresh_s == pytest.approx(0.0352, rel=0.02) and found.resolution == 1 / 32
    assert [on for _, on in sensor.loaded] == [True, False]


def test_a_finding_is_json():
    import json

    (found,) = findings((WATTS,), Readings.none(1))
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["reads"] == 0
