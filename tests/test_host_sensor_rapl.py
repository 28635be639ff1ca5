"""rapl: exact joules, the tree of zones, where counters wrap, and what is said where they may not be read."""

from __future__ import annotations

import math

import pytest

from host import hwmon_chip
from host.sensor import SensorError, open_sensor
from host.sensor_rapl import found

RANGE_UJ = 262143328850


@pytest.fixture
def powercap(tmp_path):
    """A folder like /sys/class/powercap of a laptop with psys; returns its path."""
    zones = {
        "intel-rapl:0": ("package-0", 5000000),
        "intel-rapl:0:0": ("core", 2000000),
        "intel-rapl:0:1": ("dram", 1000000),
        "intel-rapl:1": ("psys", 9123457),
        "intel-rapl-mmio:0": ("package-0", 5000000),
    }
    for folder, (name, energy_uj) in zones.items():
        path = tmp_path / "powercap" / folder
        path.mkdir(parents=True)
        for file, content in {"name": name, "energy_uj": energy_uj, "max_energy_range_uj": RANGE_UJ}.items():
            (path / file).write_text(f"{content}\n")
    return tmp_path / "powercap"


def test_joules_are_exact_and_wrap_where_the_kernel_says(powercap):
    with open_sensor(f"rapl?root={powercap}") as sensor:
        assert [channel.name for channel in sensor.channels] == ["psys/energy", "package-0/energy", "core/energy", "dram/energy"]
        assert list(sensor.read().values[0]) == [9.123457, 5.0, 2.0, 1.0]
        for channel in sensor.channels:
            assert (channel.unit, channel.kind, channel.wrap) == ("J", "accumulated", 262143.328850)
            assert channel.specification.gain is None and "no accuracy is published" in channel.specification.source
        assert sensor.describe()["zones"]["dram"] == {"folder": "intel-rapl:0:1", "wraps_at_j": 262143.328850}


def test_the_tree_says_what_contains_what(powercap):
    with open_sensor(f"rapl?root={powercap}") as sensor:
        assert {channel.rail: channel.part_of for channel in sensor.channels} == {
            "psys": "",
            "package-0": "psys",
            "core": "package-0",
            "dram": "psys",
        }
    for file in (powercap / "intel-rapl:1").iterdir():
        file.unlink()
    (powercap / "intel-rapl:1").rmdir()
    with open_sensor(f"rapl?root={powercap}") as sensor:
        assert {channel.rail: channel.part_of for channel in sensor.channels} == {
            "package-0": "",
            "core": "package-0",
            "dram": "",
        }


def test_two_packages_have_rails_of_their_own(powercap):
    (powercap / "intel-rapl:1" / "name").write_text("package-1\n")
    with open_sensor(f"rapl:package-1,package-0/dram?root={powercap}") as sensor:
        assert [channel.rail for channel in sensor.channels] == ["package-0/dram", "package-1"]


def test_two_platform_counters_contain_a_package_each(tmp_path):
    """Linux calls the second package's counter of the platform psys-1: as a part of psys its joules would be left out."""
    folders = {"intel-rapl:0": "package-0", "intel-rapl:0:0": "dram", "intel-rapl:1": "package-1", "intel-rapl:1:0": "core"}
    for folder, name in {**folders, "intel-rapl:2": "psys", "intel-rapl:3": "psys-1"}.items():
        (tmp_path / folder).mkdir()
        for file, content in {"name": name, "energy_uj": 1000000, "max_energy_range_uj": RANGE_UJ}.items():
            (tmp_path / folder / file).write_text(f"{content}\n")
    with open_sensor(f"rapl?root={tmp_path}") as sensor:
        assert {channel.rail: channel.part_of for channel in sensor.channels} == {
            "psys": "",
            "psys-1": "",
            "package-0": "psys",
            "package-0/dram": "psys",
            "package-1": "psys-1",
            "package-1/core": "package-1",
        }


@pytest.mark.fault(13)
def test_a_failed_read_is_no_zero(powercap):
    with open_sensor(f"rapl:dram?root={powercap}") as sensor:
        (powercap / "intel-rapl:0:1" / "energy_uj").write_text("")
        assert math.isnan(sensor.read().values[0, 0])
        assert [loss.reason for loss in sensor.take_losses()] == ["failed read"]


@pytest.mark.fault(7)
def test_a_counter_beyond_its_range_is_rejected(powercap):
    with open_sensor(f"rapl:dram?root={powercap}") as sensor:
        (powercap / "intel-rapl:0:1" / "energy_uj").write_text(f"{0xFFFFFFFF * 1000}\n")
        assert math.isnan(sensor.read().values[0, 0])
        assert [loss.reason for loss in sensor.take_losses()] == ["rejected"]


@pytest.mark.fault(32)
def test_root_only_counters_are_named(powercap, monkeypatch):
    real = hwmon_chip.os.open

    def refuse(path, flags, *more, **options):
        if str(path).endswith("energy_uj") and "max" not in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags, *more, **options)

    monkeypatch.setattr(hwmon_chip.os, "open", refuse)
    with pytest.raises(SensorError, match="only be read by root .*sudo chmod a.r"):
        open_sensor(f"rapl?root={powercap}").open()
    assert "sudo chmod" in found(str(powercap))[0].missing


@pytest.mark.fault(32)
def test_what_is_missing_is_said(tmp_path, powercap):
    with pytest.raises(SensorError, match="has no intel-rapl zones"):
        open_sensor(f"rapl?root={tmp_path / 'nowhere'}").open()
    with pytest.raises(SensorError, match="no RAPL zone gpu: there are psys, package-0, core, dram"):
        open_sensor(f"rapl:gpu?root={powercap}").open()
    assert found(str(powercap))[0].what.endswith("psys, package-0, core, dram")
