"""pmbus: every board's map on a folder like its sysfs, boards without sensors, the wrong machine, PYNQ's own rails."""

from __future__ import annotations

import math
import sys
from types import ModuleType, SimpleNamespace

import pytest
from sysfs_trees import MODELS, HwmonTree, board_tree, device_tree

from host import hwmon_chip
from host.rail_map import boards, rail_map
from host.sensor import SensorError, open_sensor
from host.sensor_pmbus import found

SHEET = {
    "ZCU104": ["12V", "INT", "1V8", "1V2", "MGTA", "3V3", "1V13", "5V0", "FMC", "MGTRA"],
    "ZCU102": [
        "VCCPSINTFP",
        "VCCPSINTLP",
        "VCCPSAUX",
        "VCCPSPLL",
        "VCCPSDDR",
        "VCCOPS",
        "VCCOPS3",
        "VCCPSDDRPLL",
        "VCCINT",
        "VCCBRAM",
        "VCCAUX",
        "VCC1V2",
        "VCC3V3",
        "VADJ_FMC",
        "MGTRAVCC",
        "MGTRAVTT",
        "MGTAVCC",
        "MGTAVTT",
    ],
    "Ultra96v1": ["VSYS"],
    "Ultra96v2": ["AUX", "1V2", "PSDDR", "INT", "3V3_D", "PSAUX", "PSINT_LP", "3V3", "PSINT_FP", "PSPLL", "5V"],
    "KV260": ["SOM"],
    "KR260": ["SOM"],
    "RFSoC4x2": [
        "VCCp0V85",
        "VCCp3V3",
        "VCCp1V8",
        "VDAC_AVCC",
        "VADC_AVCC",
        "VADC_AVCCAUX",
        "VDAC_AVCCAUX",
        "VDAC_AVTT",
        "VCCpSYZYGY_VIO",
    ],
}


CHIPS = {
    "ZCU104": {
        "INT": ("irps5401@43", 1),
        "1V8": ("irps5401@43", 2),
        "1V2": ("irps5401@43", 3),
        "MGTA": ("irps5401@43", 5),
        "3V3": ("irps5401@44", 1),
        "1V13": ("irps5401@44", 2),
        "5V0": ("irps5401@44", 3),
        "FMC": ("irps5401@44", 4),
        "MGTRA": ("irps5401@44", 5),
        "12V": ("ina226@40", 0),
    },
    "ZCU102": {
        rail: (f"ina226_{chip}", 0)
        for rail, chip in {
            "VCCPSINTFP": "u76",
            "VCCPSINTLP": "u77",
            "VCCPSAUX": "u78",
            "VCCPSPLL": "u87",
            "MGTRAVCC": "u85",
            "MGTRAVTT": "u86",
            "VCCPSDDR": "u93",
            "VCCOPS": "u88",
            "VCCOPS3": "u15",
            "VCCPSDDRPLL": "u92",
            "VCCINT": "u79",
            "VCCBRAM": "u81",
            "VCCAUX": "u80",
            "VCC1V2": "u84",
            "VCC3V3": "u16",
            "VADJ_FMC": "u65",
            "MGTAVCC": "u74",
            "MGTAVTT": "u75",
        }.items()
    },
    "Ultra96v1": {"VSYS": ("ina226_u35", 0)},
    "Ultra96v2": {
        "AUX": ("irps5401@43", 1),
        "1V2": ("irps5401@43", 2),
        "PSDDR": ("irps5401@43", 3),
        "INT": ("irps5401@43", 4),
        "3V3_D": ("irps5401@43", 5),
        "PSAUX": ("irps5401@44", 1),
        "PSINT_LP": ("irps5401@44", 2),
        "3V3": ("irps5401@44", 3),
        "PSINT_FP": ("irps5401@44", 4),
        "PSPLL": ("irps5401@44", 5),
        "5V": ("ir38060@45", 1),
    },
    "KV260": {"SOM": ("ina260_u14", 0)},
    "KR260": {"SOM": ("ina260_u14", 0)},
    "RFSoC4x2": {
        rail: (f"ina220@{64 + i:x}", 0)
        for i, rail in enumerate(
            [
                "VCCp0V85",
                "VCCp3V3",
                "VCCp1V8",
                "VDAC_AVCC",
                "VADC_AVCC",
                "VADC_AVCCAUX",
                "VDAC_AVCCAUX",
                "VDAC_AVTT",
                "VCCpSYZYGY_VIO",
            ]
        )
    },
}


@pytest.mark.parametrize("board", CHIPS)
def test_the_maps_hold_what_the_boards_documents_say(board):
    assert {rail.rail: (rail.chips[0], rail.page) for rail in rail_map(board).rails} == CHIPS[board]


def pmbus(tree: HwmonTree, device_tree, options: str = ""):
    return open_sensor(f"pmbus?root={tree.root}&device_tree={device_tree}{'&' + options if options else ''}")


def test_every_board_of_the_maps_is_tested():
    assert sorted(boards()) == sorted(SHEET) == sorted(MODELS)


@pytest.mark.parametrize("board", SHEET)
def test_every_rail_of_a_board_is_read(tmp_path, board):
    tree, machine = board_tree(tmp_path, board)
    with pmbus(tree, machine) as sensor:
        assert sorted(channel.rail for channel in sensor.channels) == sorted(SHEET[board])
        volts = {rail.rail: rail.volts or 1.2 for rail in rail_map(board).rails}
        for channel, value in zip(sensor.channels, sensor.read().values[0], strict=True):
            assert value == pytest.approx(0.5 * volts[channel.rail], abs=1e-6), channel.name
            assert channel.unit == "W" and channel.scope
        assert not sensor.take_losses()
        assert sensor.describe()["board"] == board and not sensor.describe()["not_used"]
    (line,) = found(str(tree.root), str(machine))
    assert line.url == "pmbus" and not line.missing and SHEET[board][0] in line.what


def test_the_board_input_is_the_total_of_its_rails(tmp_path):
    tree, machine = board_tree(tmp_path, "ZCU104")
    with pmbus(tree, machine) as sensor:
        assert {channel.part_of for channel in sensor.channels if channel.rail != "12V"} == {"12V"}
        assert next(channel for channel in sensor.channels if channel.rail == "12V").part_of == ""


def test_volts_and_amperes_on_request(tmp_path):
    tree, machine = board_tree(tmp_path, "KV260")
    with pmbus(tree, machine, "channels=all&rails=SOM") as sensor:
        assert list(sensor.read().values[0]) == [2.5, 5.0, 0.5]
        assert "carrier board not included" in sensor.channels[0].scope
        assert sensor.channels[0].specification.gain == pytest.approx(1.5e-3 + 60e-6 * 25 + 1e-3 + 50e-6 * 25 + 8.5e-3 / 5)


def test_the_kernels_factor_of_256_is_undone(tmp_path):
    tree, machine = board_tree(tmp_path, "Ultra96v2")
    with pmbus(tree, machine, "channels=all&rails=5V") as sensor:
        assert sensor.read().values[0, 1] == pytest.approx(5.0)
        assert "256 times too high" in sensor.describe()["rails"]["5V"]["warnings"][0]


@pytest.mark.fault(1)
def test_a_board_that_comes_back_with_other_rails_is_refused(tmp_path):
    tree, machine = board_tree(tmp_path, "ZCU104")
    with pmbus(tree, machine, "rails=INT,1V8") as sensor:
        folder = next(path.parent for path in tree.root.glob("*/in2_input") if path.read_text() == "850\n")
        (folder / "power2_input").rename(folder / "power2_gone")
        (folder / "in2_input").rename(folder / "in2_gone")
        with pytest.raises(SensorError, match=r"came back with 1 channels \(1V8/power\), it had 2 \(INT/power, 1V8/power\)"):
            sensor.open()
        (folder / "power2_gone").rename(folder / "power2_input")
        (folder / "in2_gone").rename(folder / "in2_input")
        sensor.open()
        assert list(sensor.read().values[0]) == [0.425, 0.9]


@pytest.mark.fault(2)
def test_a_newer_kernel_names_the_chip_by_its_address(tmp_path):
    tree = HwmonTree(tmp_path)
    tree.ina2xx("ina260", "3-0040", 5.0, 1.0)
    with pmbus(tree, device_tree(tmp_path, "ZynqMP KR260 revB")) as sensor:
        assert sensor.read().values[0, 0] == 5.0


def test_outputs_are_found_by_label_wherever_the_kernel_numbers_them(tmp_path):
    tree = HwmonTree(tmp_path)
    tree.pmbus("irps5401", "4-0043", {page: (volts, 0.5) for page, volts in ((1, 0.85), (2, 1.8), (3, 1.2), (5, 0.9))}, first=6)
    with pmbus(tree, device_tree(tmp_path, "ZynqMP ZCU104 RevC"), "rails=INT,1V8,1V2,MGTA") as sensor:
        assert list(sensor.read().values[0]) == pytest.approx([0.425, 0.9, 0.6, 0.45])


@pytest.mark.fault(28)
def test_off_and_absent_rails_of_a_board_are_named(tmp_path):
    tree = HwmonTree(tmp_path)
    tree.ina2xx("ina226", "5-0040", 12.113, 1.159)
    folder = tree.pmbus("irps5401", "4-0043", {1: (0.851, 4.375), 2: (1.8, 0.5), 3: (1.2, 0.5), 5: (0.906, 0.1)})
    tree.pmbus("irps5401", "4-0044", {1: (3.3, 0.5), 2: (1.13, 0.5), 3: (5.0, 0.2), 4: (0.156, 10.187)})
    (folder / "power5_input").write_text("")  # as N/A
    with pmbus(tree, device_tree(tmp_path, "ZynqMP ZCU104 RevC")) as sensor:
        assert [channel.rail for channel in sensor.channels] == ["12V", "INT", "1V8", "1V2", "3V3", "1V13", "5V0"]
        why = sensor.describe()["not_used"]
        assert why["FMC"].startswith("off: 0.156 V") and "cannot be read" in why["MGTA"] and "no output 5" in why["MGTRA"]


def test_an_old_kernel_caches_pmbus_for_a_second(tmp_path, monkeypatch):
    tree, machine = board_tree(tmp_path, "ZCU104")
    for version, refresh_s in (((5, 4), 1.0), ((5, 10), None)):
        monkeypatch.setattr(hwmon_chip, "kernel_version", lambda version=version: version)
        with pmbus(tree, machine) as sensor:
            of = {channel.rail: channel for channel in sensor.channels}
            assert of["INT"].refresh_s == refresh_s and of["12V"].refresh_s is None
            assert sensor.period_s == (0.5 if refresh_s else 0.05)


def test_regulators_have_no_published_accuracy(tmp_path):
    tree, machine = board_tree(tmp_path, "ZCU104")
    with pmbus(tree, machine) as sensor:
        assert {channel.rail for channel in sensor.channels if channel.specification.gain is not None} == {"12V"}
    with pmbus(tree, machine, "gain_limit=0.05") as sensor:
        assert {channel.specification.gain for channel in sensor.channels} == {0.05}


@pytest.mark.fault(32)
@pytest.mark.parametrize(
    ("model", "pynq_board", "words"),
    [
        ("Digilent PYNQ", "Pynq-Z1", ["PYNQ-Z1 has no current sensor that software can read"]),
        (
            "TUL PYNQ-Z2",
            "Pynq-Z2",
            ["PYNQ-Z2 has no current sensor that software can read", "attach a meter in the 5 V or 12 V input"],
        ),
        ("Avnet ZedBoard board", "", ["ZedBoard has no current sensor", "J21", "10 mOhm"]),
        ("Xilinx VCK190", "", ["no map of the rails of board 'Xilinx VCK190'", "hwmon:"]),
    ],
)
def test_boards_without_sensors_say_what_to_do(tmp_path, model, pynq_board, words):
    tree, machine = HwmonTree(tmp_path), device_tree(tmp_path, model, pynq_board)
    with pytest.raises(SensorError) as error:
        pmbus(tree, machine).open()
    (line,) = found(str(tree.root), str(machine))
    for word in words:
        assert word in str(error.value) and word in line.missing


@pytest.mark.fault(32)
def test_a_pc_is_no_board(tmp_path):
    tree = HwmonTree(tmp_path)
    with pytest.raises(SensorError, match="no FPGA board"):
        pmbus(tree, tmp_path / "nowhere").open()
    with pytest.raises(SensorError, match="no map of the rails of board 'Arty'"):
        pmbus(tree, tmp_path / "nowhere", "board=Arty").open()
    with pytest.raises(SensorError, match="PYNQ-Z2 has no current sensor"):
        pmbus(tree, tmp_path / "nowhere", "board=PYNQ-Z2").open()


@pytest.mark.fault(33)
def test_under_pynq_remote_this_machine_is_refused(tmp_path, monkeypatch):
    tree, machine = board_tree(tmp_path, "ZCU104")
    monkeypatch.setenv("PYNQ_REMOTE_DEVICES", "192.168.2.99")
    with pytest.raises(SensorError, match="this machine's sensors are not that board's"):
        pmbus(tree, machine).open()
    assert "192.168.2.99" in found(str(tree.root), str(machine))[0].missing


@pytest.mark.fault(32)
def test_a_kernel_without_the_chips_is_named(tmp_path):
    tree = HwmonTree(tmp_path)
    with pytest.raises(SensorError, match="PYNQ is not installed.*irps5401@43"):
        pmbus(tree, device_tree(tmp_path, "ZynqMP ZCU104 RevC")).open()


def test_unknown_rails_are_named(tmp_path):
    tree, machine = board_tree(tmp_path, "KV260")
    with pytest.raises(SensorError, match="no rail 12V on this board: there are SOM"):
        pmbus(tree, machine, "rails=12V").open()


@pytest.fixture
def pynq(monkeypatch):
    """Stand-in for pynq.pmbus at its interface: get_rails() -> {name: rail}, rail.power.value."""
    rails: dict = {}
    package, module = ModuleType("pynq"), ModuleType("pynq.pmbus")
    module.get_rails, package.pmbus = lambda: rails, module
    monkeypatch.setitem(sys.modules, "pynq", package)
    monkeypatch.setitem(sys.modules, "pynq.pmbus", module)
    return rails


def test_rails_through_pynq(tmp_path, pynq):
    watts = SimpleNamespace(value=14.05, name="12V_power")
    pynq |= {
        "12V": SimpleNamespace(power=watts),
        "temp": SimpleNamespace(power=None),
        "dead": SimpleNamespace(power=SimpleNamespace(value=0.0)),
    }
    tree = HwmonTree(tmp_path)
    with pmbus(tree, device_tree(tmp_path, "ZynqMP ZCU104 RevC")) as sensor:
        assert [channel.rail for channel in sensor.channels] == ["12V"] and sensor.read().values[0, 0] == 14.05
        assert "previous value" in sensor.describe()["note"] and sensor.channels[0].specification.gain is None
        watts.value = 0.0  # what it gives without libsensors
        assert math.isnan(sensor.read().values[0, 0]) and sensor.take_losses()[0].reason == "rejected"


def test_the_board_input_through_pynq_is_the_total_of_its_rails(tmp_path, pynq):
    pynq |= {name: SimpleNamespace(power=SimpleNamespace(value=watts)) for name, watts in (("12V", 14.0), ("INT", 3.5))}
    machine = device_tree(tmp_path, "ZynqMP ZCU104 RevC")
    with pmbus(HwmonTree(tmp_path), machine, "through=pynq") as sensor:
        assert {channel.rail: channel.part_of for channel in sensor.channels} == {"12V": "", "INT": "12V"}
    with pmbus(HwmonTree(tmp_path / "card"), tmp_path / "nowhere", "through=pynq") as sensor:
        assert [channel.part_of for channel in sensor.channels] == ["", ""], "a card of which there is no map"


@pytest.mark.fault(32)
def test_pynq_without_rails_is_no_sensor(tmp_path, pynq):
    with pytest.raises(SensorError, match="pynq.pmbus knows no rails"):
        pmbus(HwmonTree(tmp_path), device_tree(tmp_path, "ZynqMP ZCU104 RevC"), "through=pynq").open()
