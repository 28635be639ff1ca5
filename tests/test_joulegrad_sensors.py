"""`joulegrad sensors`: what is here with rate and resolution, what is missing in a sentence, errors as one sentence."""

from __future__ import annotations

import functools
import json

import command_line
import pytest
from sysfs_trees import HwmonTree, board_tree, device_tree

from host import hwmon_chip, sensor_hwmon, sensor_nvml, sensor_pmbus, sensor_rapl
from host.sensor import Found
from joulegrad import sensors
from joulegrad.processor_load import ProcessorLoad

invoke = functools.partial(command_line.invoke, "sensors", columns=200)


@pytest.fixture
def only(monkeypatch):
    """Let `joulegrad sensors` see the given drivers' findings only: only(hwmon=[...], ...)."""

    def restrict(**found):
        modules = {"hwmon": sensor_hwmon, "pmbus": sensor_pmbus, "rapl": sensor_rapl, "nvml": sensor_nvml}
        monkeypatch.setattr(sensors, "schemes", lambda: sorted(found))
        for scheme, lines in found.items():
            monkeypatch.setattr(modules[scheme], "found", lambda lines=lines: lines)

    return restrict


def test_what_is_here_has_rate_and_resolution(tmp_path, only):
    tree, machine = board_tree(tmp_path, "KV260")
    only(hwmon=sensor_hwmon.found(str(tree.root)), rapl=sensor_rapl.found(str(tmp_path / "nowhere")))
    code, out, err = invoke("--seconds", "0.1", "--json")
    assert code == 0, err
    data = json.loads(out)
    assert data["schema"] == 1
    here, missing = data["sensors"]
    assert here["available"] and here["url"] == f"hwmon:ina260_u14?root={tree.root}" and here["label"] == "measured"
    assert [channel["channel"] for channel in here["channels"]] == ["ina260_u14/power", "ina260_u14/volts", "ina260_u14/amps"]
    assert all(channel["state"] == "unchanged" and channel["reads"] > 3 for channel in here["channels"])
    assert not missing["available"] and "no intel-rapl zones" in missing["why"] and missing["channels"] == []


def test_the_table_says_it_for_people(tmp_path, only):
    tree = HwmonTree(tmp_path)
    machine = device_tree(tmp_path, "TUL PYNQ-Z2", "Pynq-Z2")
    tree.add(
        "irps5401",
        {
            "in1_input": 851,
            "in1_label": "vout1",
            "curr1_input": 4375,
            "curr1_label": "iout1",
            "power1_input": 3500000,
            "power1_label": "pout1",
        },
        device="4-0043",
    )
    only(hwmon=sensor_hwmon.found(str(tree.root)), pmbus=sensor_pmbus.found(str(tree.root), str(machine)))
    code, out, err = invoke("--seconds", "0.05")
    assert code == 0, err
    text = " ".join(out.split())
    for words in (
        "irps5401/out1/power",
        "constant or stale",
        "not stated",
        "its power file says 3.50000 W",
        "PYNQ-Z2 has no current sensor that software can read; attach a meter",
    ):
        assert words in text, words


def test_nothing_is_opened_with_0_seconds_or_where_a_driver_forbids_it(only, monkeypatch):
    only(hwmon=[Found("hwmon:x", "a chip")])
    code, out, _ = invoke("--seconds", "0", "--json")
    assert code == 0 and json.loads(out)["sensors"][0]["channels"] == []
    monkeypatch.setattr(sensor_hwmon, "LOOK", False, raising=False)
    code, out, _ = invoke("--json")
    assert "--url" in json.loads(out)["sensors"][0]["note"]


@pytest.mark.fault(32)
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nothing:x", "no driver for sensor 'nothing:x'"),
        ("hwmon:ina226?root=/nowhere", "no folder /nowhere"),
        ("hwmon:x?colour=blue", "cannot be had like this: it takes no option colour; there are"),
        ("hwmon:x?root", "write name=value"),
        ("replay:none.sqlite", "none.sqlite"),
    ],
)
def test_a_bad_url_is_one_sentence(url, words):
    code, out, err = invoke("--url", url, "--json")
    assert code == 1 and "Traceback" not in out + err
    assert words in json.loads(out)["error"] and words in err
    assert len([line for line in err.splitlines() if line.startswith("joulegrad: ")]) == 1


@pytest.mark.fault(32)
def test_no_permission_is_one_sentence(tmp_path, monkeypatch):
    tree = HwmonTree(tmp_path)
    tree.iio_ina226("ina226_u76")
    real = hwmon_chip.os.open

    def refuse(path, flags, *more, **options):
        if str(path).endswith("_input"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags, *more, **options)

    monkeypatch.setattr(hwmon_chip.os, "open", refuse)
    code, out, err = invoke("--url", f"hwmon:ina226_u76?root={tree.root}")
    assert code == 1 and "may not be read" in err and "Traceback" not in out + err


def test_one_sensor_that_fails_does_not_hide_the_others(tmp_path, only):
    tree = HwmonTree(tmp_path)
    tree.iio_ina226("ina226_u76")
    good = sensor_hwmon.found(str(tree.root))
    only(hwmon=[Found(f"hwmon:gone?root={tree.root}", "was here"), *good])
    code, out, _ = invoke("--seconds", "0.05", "--json")
    first, second = json.loads(out)["sensors"]
    assert code == 0 and not first["available"] and "no hwmon chip 'gone'" in first["why"] and second["available"]


@pytest.mark.fault(8)
def test_under_load_a_value_that_stays_is_stale(tmp_path):
    tree = HwmonTree(tmp_path)
    tree.iio_ina226("ina226_u76")
    code, out, _ = invoke("--url", f"hwmon:ina226_u76?root={tree.root}", "--seconds", "0.2", "--load", "--json")
    assert code == 0 and {channel["state"] for channel in json.loads(out)["sensors"][0]["channels"]} == {"stale"}


def test_the_load_ends_with_its_block():
    with ProcessorLoad() as load:
        load(True)
        children = list(load._children)
        assert children and all(child.poll() is None for child in children)
    assert all(child.poll() is not None for child in children)
