"""Sensor "sim": values by kind, errors within the specification, stamps, quantum and wrap, what it refuses."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from host import sensor_sim, specimen
from host.sensor import SensorError, open_sensor
from host.virtual_rails import BOARD, RAILS

EXACT = "noise=0&quantum=0&jitter_s=0"


def intervals(*parts: tuple[float, float], start_s: float = 0.0) -> dict:
    """(seconds, watts on every rail) one after the other."""
    found = []
    for seconds, watts in parts:
        found.append([start_s, start_s + seconds, dict.fromkeys(RAILS, watts)])
        start_s += seconds
    return {"intervals": found}


@pytest.fixture
def faultless(monkeypatch):
    """The simulated instrument without errors of its own."""
    monkeypatch.setattr(specimen, "instrument", lambda *arguments: specimen.InstrumentErrors(0.0, 0.0, 0.0))


def read(url: str, *payloads: dict) -> tuple:
    with open_sensor(url) as sensor:
        parts = []
        for payload in payloads:
            sensor.feed(payload)
            parts.append(sensor.read(0.0))
        return sensor, np.concatenate([part.t_s for part in parts]), np.concatenate([part.values for part in parts])


def pulse(t_s: float) -> float:
    return 2.0 if 0.3 <= t_s < 0.7 else 1.0


def test_a_point_is_the_power_at_its_stamp(faultless):
    _, t_s, values = read(f"sim?kind=point&refresh_s=0.01&{EXACT}", intervals((0.3, 1.0), (0.4, 2.0), (0.3, 1.0)))
    assert values[:, 0] == pytest.approx([pulse(t) for t in t_s])
    assert np.diff(t_s) == pytest.approx(0.01)
    assert 90 <= len(t_s) <= 99


def test_an_average_is_the_mean_before_its_stamp(faultless):
    sensor, t_s, values = read(f"sim?refresh_s=0.05&{EXACT}", intervals((0.3, 1.0), (0.4, 2.0), (0.3, 1.0)))
    assert sensor.channels[0].averaging_s == 0.05
    inside = [np.clip(t, 0.3, 0.7) - np.clip(t - 0.05, 0.3, 0.7) for t in t_s]
    assert values[:, 0] == pytest.approx(1.0 + np.array(inside) / 0.05, rel=1e-9)
    assert len({round(value, 6) for value in values[:, 0]}) > 2  # spans that straddle an edge


def test_a_running_total_wraps(faultless):
    url = f"sim?kind=accumulated&refresh_s=0.05&wrap=0.5&{EXACT}"
    sensor, t_s, values = read(url, intervals((0.3, 1.0), (0.4, 2.0), (0.3, 1.0)))
    assert sensor.channels[0].wrap == 0.5 and sensor.channels[0].unit == "J"
    total = t_s + (np.clip(t_s, 0.3, 0.7) - 0.3)
    assert values[:, 0] == pytest.approx(total % 0.5, abs=1e-9)


@pytest.mark.parametrize("kind", ["point", "average", "accumulated"])
def test_the_pieces_in_which_it_is_fed_do_not_matter(faultless, kind):
    rng = np.random.default_rng(1)
    parts = [(float(s), float(w)) for s, w in zip(rng.uniform(1e-4, 0.02, 400), rng.uniform(1, 3, 400), strict=False)]
    whole = intervals(*parts)["intervals"]
    cuts = [0, 1, 7, 150, 151, 400]
    _, t_s, values = read(f"sim?kind={kind}&{EXACT}", {"intervals": whole})
    _, t_again_s, again = read(f"sim?kind={kind}&{EXACT}", *({"intervals": whole[a:b]} for a, b in itertools.pairwise(cuts)))
    assert np.array_equal(t_s, t_again_s)
    assert again == pytest.approx(values, rel=1e-9)


def test_errors_are_constant_within_the_specification_and_another_instruments_differ():
    gains = []
    for seed in range(40):
        sensor, _, low = read(f"sim?seed={seed}&{EXACT}", intervals((2.0, 1.0)))
        _, _, high = read(f"sim?seed={seed}&{EXACT}", intervals((2.0, 3.0)))
        assert np.ptp(low, axis=0) == pytest.approx(0.0, abs=1e-12)
        limits = sensor.channels[0].specification
        gain = (high - low)[0, 0] / 2.0 - 1
        offset = low[0, 0] - 1.0 - gain
        assert abs(gain) <= limits.gain + limits.shunt + 1e-5
        assert abs(offset) <= limits.offset + 1e-12
        gains.append(gain)
    assert len(set(np.round(gains, 9))) == 40 and np.std(gains) > 0.001


def test_noise_quantum_and_jitter_are_as_asked_and_come_from_the_seed():
    url = "sim?kind=point&refresh_s=0.01&noise=0.02&quantum=0.005&jitter_s=0.001&seed=4"
    sensor, t_s, values = read(url, intervals((30.0, 1.0)))
    assert np.std(values[:, 0]) == pytest.approx(0.02, rel=0.06)
    assert values / 0.005 == pytest.approx(np.round(values / 0.005), abs=1e-6)
    spacing = np.diff(t_s)
    assert np.std(spacing) == pytest.approx(0.001 * math.sqrt(2), rel=0.06) and spacing.min() > 0
    _, again_s, again = read(url, intervals((30.0, 1.0)))
    assert np.array_equal(t_s, again_s) and np.array_equal(values, again)
    assert not np.array_equal(t_s[:9], read(url.replace("seed=4", "seed=5"), intervals((30.0, 1.0)))[1][:9])


def test_a_recording_of_its_own_has_the_same_instrument_and_other_noise():
    url = "sim?kind=point&refresh_s=0.01&noise=0.002&quantum=0&seed=4"
    ones = [read(url + more, intervals((30.0, 1.0)))[2][:, 0] for more in ("", "&noise_seed=0", "&noise_seed=1", "&noise_seed=2")]
    assert np.array_equal(ones[0], ones[1]) and not np.array_equal(ones[2][:99], ones[3][:99])
    assert np.ptp([one.mean() for one in ones]) < 6 * 0.002 / math.sqrt(len(ones[0]) / 2)
    errs = [read(f"sim?seed={seed}&{EXACT}", intervals((2.0, 1.0)))[2][:, 0].mean() for seed in (4, 5)]
    assert abs(errs[0] - errs[1]) > 10 * np.ptp([one.mean() for one in ones])


def test_what_it_says_of_itself():
    with open_sensor("sim") as sensor:
        assert sensor.clock == "virtual" and sensor.label == "emulated" and sensor.period_s is None
        assert [channel.rail for channel in sensor.channels] == list(RAILS)
        assert [channel.part_of for channel in sensor.channels] == ["", BOARD, BOARD, BOARD]
        assert sensor.channels[0].refresh_s == 0.0352 and sensor.channels[0].kind == "average"
        assert sensor.describe()["model"] == "simulated power monitor"
        assert len(sensor.read(0.0)) == 0
    assert [found.url for found in sensor_sim.found()] == ["sim"]


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("sim:here", "here"), ("sim?kind=guess", "guess"), ("sim?refresh_s=0", "refresh_s"), ("sim?refresh_s=x", "refresh_s"),
        ("sim?noise=-1", "noise"), ("sim?jitter_s=0.03", "jitter_s"), ("sim?seed=-1", "seed"), ("sim?wrap=0", "wrap"),
        ("sim?colour=red", "colour"), ("sim?refresh_s=inf", "refresh_s"), ("sim?refresh_s=nan", "refresh_s"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_are_one_sentence(url, named):
    with pytest.raises(SensorError, match=named):
        open_sensor(url)


@pytest.mark.parametrize(
    "payload",
    [
        intervals((1.0, 1.0), start_s=0.5), {"intervals": [[0.0, 0.0, dict.fromkeys(RAILS, 1.0)]]}, {},
        {"intervals": [[0.0, 1.0]]},
        {"intervals": [[0.0, 1.0, {"pl_1v0": 1.0}]]}, {"intervals": 3},
    ],
)  # fmt: skip
def test_time_that_jumps_and_what_is_no_power_is_refused(payload):
    with open_sensor("sim") as sensor:
        with pytest.raises(SensorError, match="interval"):
            sensor.feed(payload)


def test_it_is_fed_and_read_only_while_open():
    sensor = open_sensor("sim")
    with pytest.raises(SensorError, match="open"):
        sensor.feed(intervals((1.0, 1.0)))
    with pytest.raises(SensorError, match="open"):
        sensor.read()
    with sensor:
        sensor.feed(intervals((1.0, 1.0)))
    with pytest.raises(SensorError, match="closed"):
        sensor.feed(intervals((1.0, 1.0), start_s=1.0))
    sensor.close()
