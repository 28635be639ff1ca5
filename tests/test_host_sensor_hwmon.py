"""hwmon: chips found by name, exact units, errors that are no values, limits of error from data sheets."""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import trace_cases
from sysfs_trees import HwmonTree

from host import hwmon_chip
from host.power_chips import CHIPS, SHUNT_LIMIT, TEMPERATURE_SPAN_K, chip_named, specification
from host.sensor import Channel, Sensor, SensorError, SensorLost, open_sensor
from host.sensor_hwmon import found
from measurements.joules import joules as measured_joules


@pytest.fixture
def tree(tmp_path):
    return HwmonTree(tmp_path)


def hwmon(tree: HwmonTree, where: str, options: str = "") -> Sensor:
    return open_sensor(f"hwmon:{where}?root={tree.root}{'&' + options if options else ''}")


def one_row(sensor: Sensor) -> dict[str, float]:
    rows = sensor.read()
    assert len(rows) == 1 and rows.width_s[0] >= 0
    return dict(zip([channel.name for channel in sensor.channels], rows.values[0], strict=True))


def test_units_are_exact(tree):
    tree.add("ina260_u14", {"in1_input": 5075, "curr1_input": 949, "power1_input": 4810000})
    with hwmon(tree, "ina260_u14") as sensor:
        assert one_row(sensor) == {
            "ina260_u14/power": 4.81,
            "ina260_u14/volts": 5.075,
            "ina260_u14/amps": pytest.approx(0.949, abs=1e-15),
        }
        assert [channel.unit for channel in sensor.channels] == ["W", "V", "A"]
        assert sensor.label == "measured" and sensor.clock == "host"


def test_energy_is_in_microjoules_and_accumulates(tree):
    tree.add(
        "ina228",
        {
            "in0_input": 2,
            "in1_input": 5000,
            "curr1_input": 400,
            "power1_input": 2000000,
            "energy1_input": 123456789,
            "shunt_resistor": 15000,
        },
        device="1-0040",
    )
    with hwmon(tree, "ina228", "channels=power") as sensor:
        joules, watts = sensor.channels
        assert (joules.unit, joules.kind, watts.unit) == ("J", "accumulated", "W")
        assert one_row(sensor)["ina228/energy"] == pytest.approx(123.456789, abs=1e-12)
        assert joules.specification.time_base == 5e-3


def test_the_offset_of_an_ina228s_watts_is_in_its_joules_once():
    """The energy register adds up the power register: same gain, and the offset in watts, whatever the load was at opening."""
    watts, joules = (specification(CHIPS["ina228"], unit, volts=5.0, shunt_ohm=0.015) for unit in "WJ")
    assert joules.gain == watts.gain == pytest.approx(0.5e-3 + 25 * 20e-6 + 1e-3 + 25 * 25e-6 + 6e-3 / 5)
    assert joules.offset == watts.offset == pytest.approx(1.25e-6 / 0.015 * 5)
    assert (joules.time_base, watts.time_base) == (5e-3, 0.0)
    limits = specification(CHIPS["ina228"], "J", volts=5.0, shunt_ohm=0.015, gain=0.0, shunt_limit=0.0)
    channel = Channel("r/energy", "J", "r", "r", "accumulated", dataclasses.replace(limits, time_base=0.0))
    t_s = np.arange(-0.5, 70.5, 0.01)
    whole = trace_cases.trace(trace_cases.record(channel, t_s, 0.02 * t_s + 1))
    found = measured_joules(whole, trace_cases.of(whole), idle=trace_cases.idle(whole))
    gross, net = ({term.name: term.u_j for term in budget.terms} for budget in (found.budget_gross, found.budget_net))
    assert gross["offset"] == pytest.approx(30 * watts.offset / math.sqrt(3)) and "gain" not in gross
    assert net["offset"] == pytest.approx(0.0, abs=1e-9)


def test_the_average_of_an_acpi_meter(tree):
    tree.add("power_meter", {"power1_average": 305000000, "power1_average_interval": 1000})
    with hwmon(tree, "power_meter") as sensor:
        (watts,) = sensor.channels
        assert (watts.kind, watts.averaging_s, one_row(sensor)["power_meter/power"]) == ("average", 1.0, 305.0)
        assert watts.specification.gain is None


def test_watts_are_derived_where_the_chip_has_none(tree):
    tree.add("somechip", {"in1_input": 12000, "curr1_input": 250})
    with hwmon(tree, "somechip", "channels=power") as sensor:
        (watts,) = sensor.channels
        assert one_row(sensor)["somechip/power"] == pytest.approx(3.0)
        assert "volts times amperes" in watts.scope


def test_the_bus_voltage_is_told_from_the_shunt_voltage(tree):
    tree.iio_ina226("ina226_u76", volts=0.85, amps=1.6)
    tree.ina2xx("ina226", "4-0040", volts=12.0, amps=1.0)
    for where, volts in (("ina226_u76", 0.85), ("ina226", 12.0)):
        with hwmon(tree, where) as sensor:
            assert one_row(sensor)[f"{where}/volts"] == pytest.approx(volts)


@pytest.mark.parametrize("more", [{}, {"power1_input": 6_000_000}])
@pytest.mark.parametrize("aux_mv", [0, 900])
def test_a_voltage_too_high_for_a_shunt_is_that_of_the_bus(tree, more, aux_mv):
    """LTC2945, LTC4151: in1 is the bus, in2 an input of its own for anything."""
    tree.add("ltc2945", {"in1_input": 12000, "in2_input": aux_mv, "curr1_input": 500, **more})
    with hwmon(tree, "ltc2945") as sensor:
        assert one_row(sensor) == {"ltc2945/power": 6.0, "ltc2945/volts": 12.0, "ltc2945/amps": 0.5}


def test_a_voltage_without_a_current_is_not_the_supplys(tree):
    """A GPU's watts are those of the card; in0 is its core, which is off while it idles."""
    tree.add("amdgpu", {"in0_input": 6, "in0_label": "vddgfx", "power1_average": 8_000_000, "power1_label": "PPT"})
    tree.add("i915", {"in0_input": 0, "energy1_input": 8_000_000})
    for name, unit in (("amdgpu", "W"), ("i915", "J")):
        with hwmon(tree, name) as sensor:
            assert [channel.unit for channel in sensor.channels] == [unit]
            assert list(sensor.read().values[0]) == [8.0]


def test_rails_of_a_chip_with_several(tree):
    files = {f"in{n}_input": 1000 * n for n in (1, 2, 3)} | {f"curr{n}_input": 100 * n for n in (1, 2, 3)}
    tree.add("ina3221", files | {"in1_label": "VDD_CPU", "in2_label": "VDD_GPU"}, device="7-0040")
    with hwmon(tree, "ina3221", "channels=power") as sensor:
        assert one_row(sensor) == {
            "ina3221/VDD_CPU/power": pytest.approx(0.1),
            "ina3221/VDD_GPU/power": pytest.approx(0.4),
            "ina3221/3/power": pytest.approx(0.9),
        }


def test_rails_of_one_label_are_told_apart(tree):
    """Device trees call several channels "NC", and joules of a name are those of one rail."""
    files = {f"in{n}_input": 1000 * n for n in (1, 2, 3)} | {f"curr{n}_input": 100 * n for n in (1, 2, 3)}
    tree.add("ina3221", files | {"in1_label": "VDD_IN", "in2_label": "NC", "in3_label": "NC"}, device="7-0041")
    with hwmon(tree, "ina3221", "channels=power") as sensor:
        assert [channel.rail for channel in sensor.channels] == ["ina3221/VDD_IN", "ina3221/NC#2", "ina3221/NC#3"]
        assert list(sensor.read().values[0]) == pytest.approx([0.1, 0.4, 0.9])


def test_the_rail_that_contains_the_others_may_be_named(tree):
    files = {f"in{n}_input": 1000 * n for n in (1, 2, 3)} | {f"curr{n}_input": 100 * n for n in (1, 2, 3)}
    tree.add("ina3221", files | {"in1_label": "VDD_IN", "in2_label": "VDD_CPU", "in3_label": "VDD_SOC"}, device="7-0040")
    with hwmon(tree, "ina3221", "channels=power&total=VDD_IN") as sensor:
        assert [channel.part_of for channel in sensor.channels] == ["", "ina3221/VDD_IN", "ina3221/VDD_IN"]
    with pytest.raises(SensorError, match="has no rail 'VDD' for total=: it has VDD_IN, VDD_CPU, VDD_SOC"):
        hwmon(tree, "ina3221", "total=VDD").open()
    tree.add("ina226", {"in1_input": 1000, "curr1_input": 100}, device="7-0041")
    with pytest.raises(SensorError, match="has no rail 'VDD' for total=: it has one rail"):
        hwmon(tree, "ina226", "total=VDD").open()


def test_update_interval_is_refresh_and_averaging(tree):
    tree.ina2xx("ina226", "4-0040", 5.0, 0.5, update_interval=35)
    with hwmon(tree, "ina226") as sensor:
        watts = sensor.channels[0]
        assert (watts.kind, watts.refresh_s, watts.averaging_s, sensor.period_s) == ("average", 0.035, 0.035, 0.0175)


@pytest.mark.fault(2)
def test_chips_are_found_by_name_whatever_their_number(tmp_path):
    for order in (["nvme", "ina226_u76", "ina226_u77"], ["ina226_u77", "nvme", "ina226_u76"]):
        tree = HwmonTree(tmp_path / "_".join(order))
        for name in order:
            tree.iio_ina226(name, 0.85 if name == "ina226_u76" else 1.8, 1.0)
        with hwmon(tree, "ina226_u76") as sensor:
            assert one_row(sensor)["ina226_u76/volts"] == 0.85


@pytest.mark.fault(2)
def test_a_chip_that_comes_back_under_another_number_is_found_again(tree):
    folder = tree.iio_ina226("ina226_u76", 0.85, 1.0)
    sensor = hwmon(tree, "ina226_u76")
    sensor.open()
    assert one_row(sensor)["ina226_u76/power"] == 0.85
    folder.rename(tree.root / "hwmon7")
    with pytest.raises(SensorLost, match="is gone"):
        sensor.read()
    sensor.close()
    sensor.open()
    assert one_row(sensor)["ina226_u76/power"] == 0.85
    sensor.close()


@pytest.mark.fault(2)
def test_a_number_that_another_chip_has_taken_is_not_read_in_its_stead(tree, tmp_path):
    """As in sysfs, where hwmonN is a link into the folder of the device; both drivers are bound again, in the other order."""

    def bind(number: int, device: str, power_uw: int) -> Path:
        folder = tree.ina2xx("ina226", device, volts=5.0, amps=1.0, power1_input=power_uw)
        real = tmp_path / "devices" / device / f"hwmon{number}"
        link = tree.root / real.name
        folder.rename(real)
        link.symlink_to(real)
        return link

    def unbind(link: Path) -> None:
        shutil.rmtree(link.resolve())
        link.unlink()

    links = [bind(0, "4-0040", 5_000_000), bind(1, "4-0041", 4_900_000)]
    with hwmon(tree, "4-0040", "channels=power") as sensor:
        assert list(sensor.read().values[0]) == [5.0]
        for link in links:
            unbind(link)
        bind(0, "4-0041", 4_900_000)
        bind(1, "4-0040", 5_000_000)
        with pytest.raises(SensorLost, match="is gone"):
            sensor.read()
        sensor.open()
        assert list(sensor.read().values[0]) == [5.0]


def test_several_chips_of_one_name(tree):
    tree.ina2xx("ina226", "5-0041", 3.3, 1.0)
    tree.ina2xx("ina226", "4-0040", 1.8, 1.0)
    with pytest.raises(SensorError, match="2 hwmon chips are called 'ina226'"):
        hwmon(tree, "ina226").open()
    for where, volts in (("ina226#1", 1.8), ("ina226#2", 3.3), ("ina226@41", 3.3), ("5-0041", 3.3), ("4-0040", 1.8)):
        with hwmon(tree, where) as sensor:
            assert sensor.read().values[0, 1] == pytest.approx(volts), where
    with pytest.raises(SensorError, match="#1 to #2"):
        hwmon(tree, "ina226#3").open()
    assert [line.url for line in found(str(tree.root))] == [f"hwmon:ina226#{n}?root={tree.root}" for n in (1, 2)]


def test_a_label_of_the_device_tree_is_a_name_too(tree):
    tree.iio_ina226("ina226", label="ina226-u76")
    with hwmon(tree, "ina226-u76") as sensor:
        assert sensor.channels[0].rail == "ina226-u76"


@pytest.mark.fault(7)
@pytest.mark.parametrize("raw", [0xFFFFFFFF, 4294967295000, (1 << 32) - 5, (1 << 64) - 121, 0x7FFFFFFF])
def test_sentinels_are_no_values(tree, raw):
    folder = tree.iio_ina226("ina226_u76")
    with hwmon(tree, "ina226_u76", "channels=power&shunt_ohm=0.005") as sensor:
        (folder / "power1_input").write_text(f"{raw}\n")
        assert math.isnan(sensor.read().values[0, 0])
        (loss,) = sensor.take_losses()
        assert (loss.reason, loss.count) == ("rejected", 1)


@pytest.mark.fault(7)
def test_a_sentinel_inside_a_wide_band_is_no_value(tree):
    folder = tree.add("somechip", {"power1_input": 2000000000})
    with hwmon(tree, "somechip") as sensor:
        assert sensor.read().values[0, 0] == 2000.0
        (folder / "power1_input").write_text(f"{0x7FFFFFFF}\n")
        assert math.isnan(sensor.read().values[0, 0])
        assert "stands for an error" in sensor.take_losses()[0].detail


@pytest.mark.fault(7)
@pytest.mark.parametrize("raw", [-5, -6, -110, -2500000, -3000000, -60500000])
def test_a_negative_errno_of_a_regulator_is_no_value(tree, raw):
    folder = tree.pmbus("irps5401", "4-0043", {1: (0.85, 4.0)})
    with hwmon(tree, "irps5401", "channels=power") as sensor:
        assert one_row(sensor)["irps5401/out1/power"] == pytest.approx(3.4)
        (folder / "power2_input").write_text(f"{raw}\n")
        assert math.isnan(sensor.read().values[0, 0])
        assert sensor.take_losses()[0].reason == "rejected"


def test_negative_power_of_a_shunt_monitor_keeps_its_sign(tree):
    folder = tree.iio_ina226("ina226_u76", volts=5.0, amps=0.01)
    with hwmon(tree, "ina226_u76", "channels=power") as sensor:
        (folder / "power1_input").write_text("-12500\n")
        assert sensor.read().values[0, 0] == -0.0125
        assert not sensor.take_losses()


@pytest.mark.fault(8)
@pytest.mark.fault(13)
@pytest.mark.parametrize("content", ["", "\n", "N/A\n"])
def test_a_failed_read_is_neither_the_value_before_nor_zero(tree, content):
    folder = tree.iio_ina226("ina226_u76")
    with hwmon(tree, "ina226_u76", "channels=power") as sensor:
        assert sensor.read().values[0, 0] > 1
        (folder / "power1_input").write_text(content)
        assert math.isnan(sensor.read().values[0, 0])
        (loss,) = sensor.take_losses()
        assert loss.reason == "failed read" and "ina226_u76/power" in loss.detail
        (folder / "power1_input").write_text("2000000\n")
        assert sensor.read().values[0, 0] == 2.0 and not sensor.take_losses()


@pytest.mark.fault(8)
@pytest.mark.fault(13)
@pytest.mark.parametrize("code", ["EIO", "EAGAIN", "ENXIO", "ETIMEDOUT", "EREMOTEIO"])
def test_errors_of_the_bus_are_failed_reads(tree, monkeypatch, code):
    import errno

    tree.iio_ina226("ina226_u76")
    with hwmon(tree, "ina226_u76") as sensor:
        real = os.read

        def read(handle, size):
            if os.readlink(f"/proc/self/fd/{handle}").endswith("curr1_input"):
                raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))
            return real(handle, size)

        monkeypatch.setattr(hwmon_chip.os, "read", read)
        row = one_row(sensor)
        assert math.isnan(row["ina226_u76/amps"]) and row["ina226_u76/volts"] == 0.85
        assert [loss.reason for loss in sensor.take_losses()] == ["failed read"]


@pytest.mark.fault(25)
def test_milliwatts_in_the_power_file_are_noticed(tree):
    tree.add("ina226_u76", {"in1_input": 8, "in2_input": 850, "curr1_input": 1600, "power1_input": 1360})
    with pytest.raises(SensorError, match="factor of 1e.03 is a mix-up of units.*power=vi"):
        hwmon(tree, "ina226_u76").open()
    with hwmon(tree, "ina226_u76", "power=vi&channels=power") as sensor:
        assert one_row(sensor)["ina226_u76/power"] == pytest.approx(1.36)


@pytest.mark.fault(25)
def test_values_outside_the_band_are_rejected(tree):
    folder = tree.iio_ina226("ina226_u76")
    with hwmon(tree, "ina226_u76", "shunt_ohm=0.005") as sensor:
        (folder / "in2_input").write_text("850000\n")  # mV taken for uV
        assert math.isnan(one_row(sensor)["ina226_u76/volts"])
        assert sensor.take_losses()[0].reason == "rejected"


@pytest.mark.fault(28)
def test_an_off_rail_is_not_used(tree):
    tree.pmbus("irps5401", "4-0044", {1: (3.3, 0.5), 4: (0.156, 10.187)})
    with hwmon(tree, "irps5401", "channels=power") as sensor:
        assert [channel.rail for channel in sensor.channels] == ["irps5401/out1"]
        assert sensor.describe()["not_used"]["irps5401/out4"].startswith("off: 0.156 V")


@pytest.mark.fault(28)
def test_disagreement_of_watts_with_volts_times_amperes_is_said(tree):
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
    with hwmon(tree, "irps5401") as sensor:
        (warning,) = sensor.describe()["rails"]["irps5401/out1"]["warnings"]
        assert "is 3.723 W, its power file says 3.50000 W" in warning


@pytest.mark.fault(26)
def test_a_stated_shunt_corrects_the_drivers(tree):
    tree.ina2xx("ina226", "4-0040", volts=5.0, amps=1.0, shunt_uohm=10000)
    with hwmon(tree, "ina226", "shunt_ohm=0.02") as sensor:  # the "10 mOhm" board with 20 mOhm: everything was twice too high
        row = one_row(sensor)
        assert row["ina226/power"] == pytest.approx(2.5) and row["ina226/amps"] == pytest.approx(0.5)
        warnings = " ".join(sensor.describe()["rails"]["ina226"]["warnings"])
        assert "multiplied by 0.5" in warnings and "calibrate" in warnings


@pytest.mark.fault(26)
def test_a_shunt_that_its_own_voltage_belies_is_suspected(tree):
    folder = tree.ina2xx("ina226", "4-0040", volts=5.0, amps=1.0, shunt_uohm=10000)
    (folder / "in0_input").write_text("20\n")  # 20 mV at 1 A
    with hwmon(tree, "ina226") as sensor:
        (warning,) = sensor.describe()["rails"]["ina226"]["warnings"]
        assert "0.02000 ohm" in warning and "calibrate" in warning


@pytest.mark.fault(32)
def test_what_is_missing_is_said(tree, tmp_path):
    with pytest.raises(SensorError, match="no hwmon chip 'ina226': there are none that measures power"):
        hwmon(tree, "ina226").open()
    tree.iio_ina226("ina226_u76")
    with pytest.raises(SensorError, match="no hwmon chip 'ina260': there are ina226_u76"):
        hwmon(tree, "ina260").open()
    assert "has no hwmon sensors" in found(str(tmp_path / "nowhere"))[0].missing
    with pytest.raises(SensorError, match="name the chip"):
        open_sensor("hwmon")


@pytest.mark.fault(32)
def test_permission_denied_is_an_error_and_not_zero(tree, monkeypatch):
    tree.iio_ina226("ina226_u76")
    real = os.open

    def refuse(path, flags, *more, **options):
        if str(path).endswith("_input"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags, *more, **options)

    monkeypatch.setattr(hwmon_chip.os, "open", refuse)
    with pytest.raises(SensorError, match="may not be read: .*needs other permissions"):
        hwmon(tree, "ina226_u76").open()


def test_one_reader_per_chip(tree):
    tree.iio_ina226("ina226_u76")
    with hwmon(tree, "ina226_u76") as first:
        with pytest.raises(SensorError, match="one reader per chip"):
            hwmon(tree, "ina226_u76").open()
        first.open()  # again: it claims no chip from itself
    with hwmon(tree, "ina226_u76"):
        pass


@pytest.mark.parametrize(
    "options",
    ["shunt_ohm=x", "gain_limit=2", "power=yes", "channels=some", "shunt_limit=-0.1"]
    + [f"{name}=inf" for name in ("shunt_ohm", "period_s", "refresh_s", "averaging_s", "off_v")],
)
def test_bad_options_are_a_sentence(tree, options):
    with pytest.raises(SensorError, match="cannot be had like this"):
        open_sensor(f"hwmon:x?{options}")


@pytest.mark.fault(26)
def test_limits_of_an_ina226_follow_from_its_data_sheet():
    limits = specification(CHIPS["ina226"], "W", volts=0.85, shunt_ohm=0.005, shunt_limit=0.005)
    both = 2 * (1e-3 + 50e-6 * TEMPERATURE_SPAN_K)
    assert limits.gain == pytest.approx(both + (7.5e-3 + 25 * 40e-6) / 0.85)
    assert limits.offset == pytest.approx(0.85 * (10e-6 + 2.5e-6) / 0.005)
    assert limits.shunt == 0.005
    assert limits.quantum == pytest.approx(25 * 2.5e-6 / 0.005)
    assert limits.full_scale == pytest.approx(0.95 * 0.85 * 81.92e-3 / 0.005)
    assert "SBOS547B" in limits.source and "assumed" not in limits.source


@pytest.mark.parametrize("chip, volts", [("ina260", 12.0), ("ina228", 5.0), ("ina226", 30.0)])
def test_watts_move_in_no_finer_steps_than_amperes_at_the_volts(chip, volts):
    """The chip multiplies registers: 1.25 mA are 15 mW at 12 V, whatever a step of the power register is."""
    watts, amps = (specification(CHIPS[chip], unit, volts=volts, shunt_ohm=0.01) for unit in "WA")
    assert watts.quantum == pytest.approx(volts * amps.quantum)


@pytest.mark.fault(26)
def test_an_unstated_shunt_tolerance_is_an_assumption_that_is_said():
    limits = specification(CHIPS["ina226"], "W", volts=5.0, shunt_ohm=0.01)
    assert limits.shunt == SHUNT_LIMIT == 0.01 and "1% assumed" in limits.source
    assert specification(CHIPS["ina260"], "W", volts=5.0).shunt == 0.0
    assert specification(CHIPS["ina260"], "A").offset == pytest.approx(6.25e-3)


def test_without_a_source_there_is_no_gain():
    for name in ("irps5401", "somechip", "power_meter", "ir38060"):
        assert specification(chip_named(name), "W", volts=5.0, shunt_ohm=0.01).gain is None
    assert specification(CHIPS["ina226"], "W", volts=5.0).gain is None  # shunt not known
    stated = specification(chip_named("irps5401"), "W", volts=0.85, gain=0.05)
    assert (stated.gain, stated.shunt) == (0.05, 0.0) and "stated" in stated.source


def test_chips_are_known_by_the_start_of_their_name():
    assert chip_named("ina226_u76") is CHIPS["ina226"] and chip_named("ina260-u14") is CHIPS["ina260"]
