"""Calibration against known loads: right within its own uncertainty, for one sensor and scope, suspicious of wrong shunts."""

import datetime
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hwmon_tree import HwmonTree
from typer.testing import CliRunner

from host.readings import HOST_CLOCK, Readings
from host.sensor import Channel, Specification
from host.trace import Mark, SensorRecord, Trace, windows
from joulegrad.cli import app
from joulegrad.load_calibration import CalibrationSettings, run, share
from measurements import calibration as kept
from measurements.calibrate import WINDOW, calibrate, resistor, stated, suspicion
from measurements.calibration import Calibration, CalibrationError, chosen, identity_of
from measurements.joules import joules

INA226 = Specification(0.002, offset=0.005, quantum=1.25e-3, shunt=0.01, source="data sheet")
URL, SAID = "serial:/dev/ttyACM0?protocol=lines", {"make": "TI", "model": "INA226", "serial": "A1", "shunt_ohm": 0.01}
SCOPE = "whole board at its 5 V input"
DATE = datetime.datetime(2026, 3, 1, 12, 0, 0, tzinfo=datetime.timezone.utc)
WATTS = Channel("5V/power", "W", "5V", SCOPE, "point", INA226, refresh_s=0.01)


def recorded(
    powers_w, gain=1.0, offset_w=0.0, noise_w=0.002, seed=0, channels=(WATTS,), seconds=1.0, volts=5.0, label="measured"
):
    """Return a trace with one window per load; the sensor says (P - offset) / gain."""
    rng = np.random.default_rng(seed)
    t_s = np.arange(0, (seconds + 0.4) * len(powers_w) + 0.4, 0.01)
    number = np.minimum((t_s / (seconds + 0.4)).astype(int), len(powers_w) - 1)
    said_w = (np.asarray(powers_w, float)[number] - offset_w) / gain + rng.normal(0, noise_w, len(t_s))
    columns = {"W": said_w, "V": np.full(len(t_s), volts), "A": said_w / volts, "J": np.cumsum(said_w) * 0.01}
    values = np.stack([columns[channel.unit] for channel in channels], 1)
    marks = []
    for i in range(len(powers_w)):
        at = i * (seconds + 0.4) + 0.2
        marks += [Mark(at, HOST_CLOCK, "begin", WINDOW, number=i), Mark(at + seconds, HOST_CLOCK, "end", WINDOW, number=i)]
    record = SensorRecord(URL, HOST_CLOCK, label, tuple(channels), SAID, 0.01, Readings.of(t_s, values))
    return Trace("finished", {}, (record,), tuple(marks), ())


def made(**changes):
    found = calibrate(recorded([0.0, 2.5, 5.0], 0.98, 0.02), [stated(p, 1e-3) for p in (0.0, 2.5, 5.0)], date=DATE)
    return replace(found, **changes)


def test_gain_and_offset_are_found():
    found = made()
    assert found.gain == pytest.approx(0.98, abs=5e-4) and found.offset_w == pytest.approx(0.02, abs=2e-3)
    assert abs(found.gain - 0.98) < 3 * found.u_gain and abs(found.offset_w - 0.02) < 3 * found.u_offset_w
    assert {term.name for term in found.budget} == {"stated power", "reading 1", "reading 2", "reading 3", "stability"}
    assert found.u_gain == pytest.approx(math.sqrt(sum(t.u_gain**2 for t in found.budget)))
    assert found.date == "2026-03-01T12:00:00+00:00" and found.scope == SCOPE and found.sensor == SAID
    assert found.low_w < 0 < 5.0 < found.high_w and all(100 <= p.samples <= 101 for p in found.points)


@pytest.mark.parametrize("ohms", [(10.0,), (math.inf, 10.0, 5.0), (10.0, 5.0)], ids=["one load", "three", "two"])
def test_the_uncertainty_covers_the_error(ohms):
    """All errors redrawn from their stated distributions; a power of 3 W is asked for, where gain and offset act together."""
    limit, volts_limit, inside, wide, errors = 0.002, 0.001, [], [], []
    for seed in range(250):
        rng = np.random.default_rng([seed, 7])
        gain, offset_w = 1 + rng.uniform(-0.012, 0.012), rng.uniform(-INA226.offset, INA226.offset)
        wrong = {ohm: 1 + rng.uniform(-limit, limit) for ohm in ohms}
        volts = 5.0 * (1 + rng.uniform(-volts_limit, volts_limit))
        powers_w = [0.0 if math.isinf(ohm) else volts**2 / (ohm * wrong[ohm]) for ohm in ohms]
        trace = recorded(powers_w, gain, offset_w, seed=seed)
        found = calibrate(trace, [resistor(ohm, limit, 5.0, volts_limit) for ohm in ohms], stability=0.0)
        reading = (3.0 - offset_w) / gain
        error, u_w = found.power_w(reading) - 3.0, found.u_energy_j(reading, 1.0)
        inside.append(abs(error) <= 1.96 * u_w)
        wide.append(1.96 * u_w)
        errors.append(abs(error))
    assert np.mean(inside) >= 0.93
    assert np.median(wide) <= 1.5 * np.quantile(errors, 0.95)


def test_one_resistor_errs_in_all_its_points_together():
    shared = calibrate(recorded([1.0, 4.0], noise_w=0), [replace(resistor(10, 0.01), power_w=p) for p in (1.0, 4.0)], stability=0)
    assert shared.u_gain == pytest.approx(0.01 / math.sqrt(3), rel=0.01)
    two = [replace(resistor(ohm, 0.01), power_w=power_w) for ohm, power_w in ((25, 1.0), (6, 4.0))]
    apart = calibrate(recorded([1.0, 4.0], noise_w=0), two, stability=0)
    assert apart.u_gain == pytest.approx(math.hypot(1, 4) / 3 * 0.01 / math.sqrt(3), rel=0.01)


def test_one_load_leaves_the_offset_to_the_data_sheet():
    found = calibrate(recorded([2.5], 0.99), [resistor(10.0, 1e-3, 5.0, 1e-3)])
    assert found.offset_w == 0.0 and found.u_offset_w == pytest.approx(INA226.offset / math.sqrt(3))
    assert found.covariance < 0
    # At the load itself the offset is in the gain already: what is left is what is not known of the load.
    load = math.hypot(1e-3, 2e-3) / math.sqrt(3) * 2.5
    assert found.u_energy_j(2.5 / 0.99, 1.0) == pytest.approx(load, rel=0.1)
    assert found.u_energy_j(0.0, 1.0) == pytest.approx(found.u_offset_w)


def test_a_load_that_is_added_gives_the_gain_whatever_the_board_draws():
    loads = [resistor(math.inf, 0.0), resistor(10.0, 1e-3, 5.0, 0.0), resistor(math.inf, 0.0)]
    found = calibrate(recorded([4.8, 7.3, 4.82], 0.97), loads, added=True)
    assert found.gain == pytest.approx(0.97, abs=0.006)
    assert abs(found.gain - 0.97) < 3 * found.u_gain  # the board's own drift of 20 mW is in it
    assert found.offset_w == 0.0 and found.covariance == 0.0
    with pytest.raises(CalibrationError, match="needs a reading without it"):
        calibrate(recorded([4.8]), [resistor(10.0, 0.001, 5.0)], added=True)


def test_the_sensors_own_volts_do_where_their_limits_are_known():
    volts = Channel("5V/volts", "V", "5V", SCOPE, "point", Specification(0.001, offset=0.005))
    trace = recorded([2.5], channels=(volts, WATTS))
    found = calibrate(trace, [resistor(10.0, 0.0)], stability=0)
    assert next(t for t in found.budget if t.name == "volts of the sensor").u_gain == pytest.approx(
        2 * 0.002 / math.sqrt(3), rel=0.01
    )
    with pytest.raises(CalibrationError, match="has no volts of its own: say with --voltage"):
        calibrate(recorded([2.5]), [resistor(10.0, 0.0)])
    unknown = replace(volts, specification=Specification(None))
    with pytest.raises(CalibrationError, match="nobody states how far the volts"):
        calibrate(recorded([2.5], channels=(unknown, WATTS)), [resistor(10.0, 0.0)])


@pytest.mark.parametrize("units", [("V", "A"), ("J",)], ids=["volts x amperes", "joules"])
def test_products_and_running_totals_are_calibrated_too(units):
    kinds = {"J": "accumulated"}
    channels = tuple(
        Channel(f"5V/{u}", u, "5V", SCOPE, kinds.get(u, "point"), Specification(0.001, time_base=0.005), refresh_s=0.01)
        for u in units
    )
    trace = recorded([1.0, 5.0], 0.95, noise_w=0.001, channels=channels)
    found = calibrate(trace, [stated(1.0, 1e-3), stated(5.0, 1e-3)])
    assert found.gain == pytest.approx(0.95, abs=2e-3)
    assert found.channel == ("5V/V x 5V/A" if units == ("V", "A") else "5V/J")
    assert found.specification(channels[0].specification).time_base == (0.0 if units == ("J",) else 0.005)


def test_one_load_leaves_the_offset_of_the_power_that_a_total_adds_up():
    limits = Specification(0.001, offset=0.005, quantum=0.01)
    total = Channel("5V/J", "J", "5V", SCOPE, "accumulated", limits, refresh_s=0.01)
    found = calibrate(recorded([2.5], noise_w=0.001, channels=(total,)), [stated(2.5, 1e-3)])
    assert found.u_offset_w == pytest.approx(0.005 / math.sqrt(3))


@pytest.mark.fault(26)
@pytest.mark.parametrize("reads,said", [(2.02, "twice"), (0.5, "half"), (1.8, "twice")])
def test_a_factor_of_two_raises_suspicion_of_the_shunt(reads, said):
    found = calibrate(recorded([2.5], 1 / reads), [resistor(10.0, 1e-3, 5.0, 1e-3)])
    [warning] = found.warnings
    assert f"reads {reads:.2f} times the load's power: its shunt is probably about {said} the resistance that is set" in warning


@pytest.mark.fault(26)
def test_smaller_deviations_are_told_without_blaming_the_shunt():
    assert suspicion(1.0) == suspicion(0.9) == suspicion(3.0) == ""
    [warning] = calibrate(recorded([2.5], 0.9), [resistor(10.0, 1e-3, 5.0, 1e-3)]).warnings
    assert "lies outside the 1.20% that are specified (data sheet)" in warning
    assert made(gain=1.0).warnings != () and not calibrate(recorded([2.5], 0.995), [resistor(10.0, 1e-3, 5.0, 0)]).warnings


@pytest.mark.parametrize(
    "powers,loads,said",
    [
        ([0.0], [resistor(math.inf, 0)], "all loads are 0 W"),
        ([2.5, 2.55], [stated(2.5, 0), stated(2.55, 0)], "must differ by a tenth or more"),
        ([0.0], [stated(2.5, 0.01)], "the reading rises by .* W: it must rise clearly"),
        ([-2.5], [stated(2.5, 0.01)], "which way round the shunt is"),
        ([2.5], [stated(2.5, 0), stated(5.0, 0)], "1 windows were recorded for 2 loads"),
    ],
)
def test_readings_that_give_no_calibration_are_refused(powers, loads, said):
    with pytest.raises(CalibrationError, match=said):
        calibrate(recorded(powers), loads)


def test_sensors_that_cannot_be_calibrated_are_refused():
    with pytest.raises(CalibrationError, match="is emulated: no load can be attached"):
        calibrate(recorded([2.5], label="emulated"), [stated(2.5, 0)])
    with pytest.raises(CalibrationError, match="saturated under load 1"):
        full = replace(WATTS, specification=replace(INA226, full_scale=2.0))
        calibrate(recorded([2.5], channels=(full,)), [stated(2.5, 0)])
    with pytest.raises(CalibrationError, match="1. values in the 0.1 s of load 1: 20 or more"):
        calibrate(recorded([2.5], seconds=0.1), [stated(2.5, 0)])
    two = replace(WATTS, name="1V0/power", rail="1V0")
    with pytest.raises(CalibrationError, match="has the rails 5V, 1V0: say with --rail"):
        calibrate(recorded([2.5], channels=(WATTS, two)), [stated(2.5, 0)])
    assert calibrate(recorded([2.5], channels=(WATTS, two)), [stated(2.5, 0)], rail="1V0").channel == "1V0/power"


def test_a_value_that_stands_still_hides_its_quantum():
    still = calibrate(recorded([2.5], noise_w=0), [stated(2.5, 0)], stability=0)
    assert still.points[0].u_reading_w == pytest.approx(INA226.quantum / math.sqrt(12))


@pytest.mark.parametrize(
    "changes,said",
    [
        ({"serial": "B2"}, "another sensor: serial A1; here it is serial B2"),
        ({"shunt_ohm": 0.02}, "another sensor: shunt_ohm 0.01; here it is shunt_ohm 0.02"),
        ({"serial": ""}, "serial A1.*; here it is serial not given"),
    ],
)
def test_a_calibration_of_another_sensor_is_refused(changes, said):
    with pytest.raises(CalibrationError, match=said):
        chosen([made()], URL, {**SAID, **changes}, "5V/power", SCOPE)


def test_a_calibration_counts_for_its_channel_and_scope_only():
    newest = made(date="2026-04-01T00:00:00+00:00", gain=0.97)
    assert chosen([made(), newest, made()], URL, SAID, "5V/power", SCOPE) is newest
    assert chosen([made()], URL, SAID, "1V0/power", "logic") is None
    with pytest.raises(CalibrationError, match="made for the scope 'whole board at its 5 V input', here it is 'SOM'"):
        chosen([made()], URL, SAID, "5V/power", "SOM")


def test_without_a_serial_number_the_place_stands_for_it():
    assert identity_of("hwmon:ina226?period_s=0.1", {"make": None}) == {"url": "hwmon:ina226"}
    assert identity_of("hwmon:ina226", {}) != identity_of("hwmon:ina260_u14", {})
    assert identity_of("hwmon:ina226", {"serial": "7"}) == identity_of("serial:x", {"serial": "7"}) == {"serial": "7"}


def test_joules_have_the_calibrations_uncertainty_instead_of_the_shunts():
    trace = recorded([3.0], 0.98, 0.02, seconds=20.0)
    [window] = windows(trace, WINDOW)
    plain, better = joules(trace, window), joules(trace, window, calibrations=[made()])
    assert abs(plain.gross.value - 60.0) > 0.8
    assert better.gross.value == pytest.approx(60.0, abs=better.gross.u95) and better.gross.u95 < 0.3 * plain.gross.u95
    with pytest.raises(CalibrationError, match="another sensor"):
        joules(trace, window, calibrations=[made(sensor={"serial": "C3"})])


def test_joules_say_how_old_the_calibration_was_and_whether_it_reaches_so_far():
    trace = recorded([3.0], seconds=20.0)
    began_s = (DATE + datetime.timedelta(days=31)).timestamp()
    trace = replace(trace, provenance={"clocks": {"wall_unix_s": began_s}})
    [window] = windows(trace, WINDOW)
    said = joules(trace, window, calibrations=[made()]).warnings
    assert any(note.startswith("rail 5V is calibrated 2026-03-01 (31 days old): gain 0.9") for note in said)
    assert not any("calibrated from" in note for note in said)
    far = joules(trace, window, calibrations=[made(low_w=0.0, high_w=1.0)]).warnings
    assert any("W, but was calibrated from 0 to 1 W: calibrate with loads around" in note for note in far)


def test_energies_follow_gain_and_offset_with_their_covariance():
    found = made(gain=2.0, offset_w=0.5, u_gain=0.02, u_offset_w=0.03, covariance=-0.0005)
    assert found.power_w(3.0) == 6.5 and found.energy_j(30.0, 10.0) == 65.0
    assert found.u_energy_j(30.0, 10.0) == pytest.approx(math.sqrt(0.6**2 + 0.3**2 - 2 * 0.0005 * 300))
    assert found.u_energy_j(30.0, 0.0) == pytest.approx(0.6)
    limits = found.specification(INA226)
    assert (limits.gain, limits.shunt, limits.offset, limits.quantum) == (0.0, 0.0, 0.0, INA226.quantum)
    assert "calibration of 2026-03-01" in limits.source
    assert found.covers(5.0) and found.covers(0.0) and not found.covers(7.0)


def test_the_age_is_shown():
    now = DATE + datetime.timedelta(days=40)
    assert made().age_days(now) == 40
    assert made().described(now).startswith("calibrated 2026-03-01 (40 days old): gain 0.9")


def test_files_are_kept_and_read_again(tmp_path):
    found = made()
    path = tmp_path / "deep" / kept.file_name(found)
    kept.write(found, path)
    assert kept.read(path) == found
    with pytest.raises(CalibrationError, match="is there already"):
        kept.write(found, path)
    other, older = made(sensor={"serial": "Z"}), made(date="2025-01-01T00:00:00+00:00")
    for calibration in (other, older):
        kept.write(calibration, path.parent / kept.file_name(calibration))
    assert kept.stored(URL, SAID, [WATTS], path.parent) == [found]
    assert kept.stored(URL, SAID, [replace(WATTS, scope="SOM")], path.parent) == []


@pytest.mark.parametrize(
    "text,said",
    [
        ("{", "it is not JSON"),
        ("[]", "no calibration of schema 1"),
        ('{"kind": "calibration", "schema": 2}', "no calibration of schema 1"),
        ('{"kind": "calibration", "schema": 1}', "damaged calibration"),
    ],
)
def test_files_that_are_no_calibration_are_refused(tmp_path, text, said):
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(CalibrationError, match=said):
        kept.read(path)
    with pytest.raises(CalibrationError, match="No such file"):
        kept.read(tmp_path / "none.json")


@pytest.mark.parametrize(
    "changes,said",
    [
        ({"gain": -1.0}, "a gain is a number above 0"),
        ({"covariance": 1.0}, "covariance is at most"),
        ({"date": "yesterday"}, "a date reads like"),
    ],
)
def test_impossible_calibrations_cannot_be_made(changes, said):
    with pytest.raises(CalibrationError, match=said):
        made(**changes)
    with pytest.raises(CalibrationError):
        Calibration.from_json({**made().to_json(), **changes})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (dict(power=(5.0,), power_limit=0.01, load_limit=0.01), "are of --load-ohm: --power states the watts"),
        (dict(power=(5.0,), power_limit=0.01, voltage=5.0, voltage_limit=0.01), "are of --load-ohm"),
        (dict(load_ohm=(5.0,), load_limit=0.01, power_limit=0.01), "is of --power: with --load-ohm give --load-limit alone"),
        (dict(load_ohm=(5.0,), load_limit=0.01, voltage_limit=0.01), "give both"),
        (dict(power=(5.0,), power_limit=0.01, temperature_c=math.nan), "from -273.15"),
        (dict(power=(5.0,), power_limit=0.01, temperature_c=-400.0), "from -273.15"),
        (dict(power=(5.0,), power_limit=0.01, out=Path()), "--out . is a folder: name a file in it"),
    ],
)
def test_what_would_be_taken_for_nothing_is_refused_before_anything_is_recorded(tmp_path, monkeypatch, asked, said):
    monkeypatch.chdir(tmp_path)
    connected = []
    with pytest.raises(CalibrationError, match=said):
        run(CalibrationSettings(HwmonTree(tmp_path / "sys").url(), **asked), lambda *load: connected.append(load))
    assert not connected and [path.name for path in tmp_path.iterdir()] == ["sys"]


def test_a_sensor_is_recorded_calibrated_and_kept(tmp_path):
    tree = HwmonTree(tmp_path / "hwmon")
    powers = iter([0.0, 2.5, 5.0])
    settings = CalibrationSettings(
        tree.url(),
        load_ohm=(math.inf, 10.0, 5.0),
        load_limit=0.001,
        voltage=5.0,
        voltage_limit=0.0,
        seconds=0.6,
        settle_s=0.1,
        out=tmp_path / "c.json",
    )
    found, path = run(settings, lambda number, count, text: tree.set_power(next(powers) * 1.02 + 0.01))
    assert kept.read(path) == found and found.gain == pytest.approx(1 / 1.02, rel=1e-3)
    assert found.offset_w == pytest.approx(-0.01 / 1.02, rel=0.05)
    assert found.trace == "c.trace.sqlite" and (tmp_path / "c.trace.sqlite").exists()
    assert found.sensor["url"] == "hwmon:ina226"
    with pytest.raises(CalibrationError, match="c.trace.sqlite is there already"):
        run(settings, lambda *load: None)


@pytest.mark.fault(26)
def test_a_wrong_shunt_is_not_kept_unless_accepted(tmp_path):
    tree = HwmonTree(tmp_path / "hwmon")
    tree.set_power(5.05)
    arguments = [
        "sensors",
        "calibrate",
        tree.url(),
        "--power",
        "2.5",
        "--power-limit",
        "0.2%",
        "--seconds",
        "0.5",
        "--settle",
        "0.1",
        "--json",
        "--out",
    ]
    refused = CliRunner().invoke(app, [*arguments, str(tmp_path / "no.json")])
    assert refused.exit_code == 1 and not (tmp_path / "no.json").exists() and (tmp_path / "no.trace.sqlite").exists()
    error = json.loads(refused.stdout)["error"]
    assert error.startswith("not kept: the sensor reads 2.02 times the load's power: its shunt is probably about twice")
    assert "raw readings" in error
    taken = CliRunner().invoke(app, [*arguments, str(tmp_path / "yes.json"), "--accept"])
    assert taken.exit_code == 0, taken.output
    assert json.loads(taken.stdout)["calibration"]["gain"] == pytest.approx(2.5 / 5.05, rel=1e-3)
    assert kept.read(tmp_path / "yes.json").warnings


@pytest.mark.parametrize(
    "options,said",
    [
        ([], "which load is connected"),
        (["--load-ohm", "10"], "how well are the ohms known"),
        (["--power", "3"], "how well are the watts known"),
        (["--load-ohm", "10", "--load-limit", "1%", "--voltage", "5"], "how well is the voltage known"),
        (["--load-ohm", "10", "--load-limit", "a bit"], "'a bit' is no relative limit"),
        (["--load-ohm", "-3", "--load-limit", "1%"], "ohms and volts are above 0"),
        (["--power", "3", "--power", "1", "--power-limit", "1%"], "several loads need someone who connects them"),
    ],
)
def test_what_is_missing_is_asked_for_in_one_sentence(tmp_path, options, said):
    tree = HwmonTree(tmp_path / "hwmon")
    done = CliRunner().invoke(app, ["sensors", "calibrate", tree.url(), *options, "--out", str(tmp_path / "c.json"), "--json"])
    assert done.exit_code == 1 and said in json.loads(done.stdout)["error"]


def test_a_simulated_sensor_is_refused_before_anything_is_recorded(tmp_path):
    options = ["sim", "--power", "3", "--power-limit", "1%", "--seconds", "3600", "--out", str(tmp_path / "c.json"), "--json"]
    done = CliRunner().invoke(app, ["sensors", "calibrate", *options])
    assert done.exit_code == 1 and "'sim' is emulated" in json.loads(done.stdout)["error"]
    assert not list(tmp_path.iterdir())


def test_a_rail_that_is_not_there_is_refused_before_anything_is_recorded(tmp_path):
    tree, out = HwmonTree(tmp_path / "hwmon"), tmp_path / "kept" / "c.json"
    options = ["--power", "3", "--power-limit", "1%", "--rail", "12V", "--seconds", "3600", "--out", str(out), "--json"]
    done = CliRunner().invoke(app, ["sensors", "calibrate", tree.url(), *options])
    error = json.loads(done.stdout)["error"]
    assert done.exit_code == 1 and error.startswith("rail '12V' is not one of sensor 'hwmon:ina226") and "there are " in error
    assert not list(out.parent.iterdir())


def test_a_sensor_that_is_not_there_is_one_sentence(tmp_path):
    HwmonTree(tmp_path / "hwmon")
    done = CliRunner().invoke(
        app,
        [
            "sensors",
            "calibrate",
            f"hwmon:none?root={tmp_path}/hwmon",
            "--power",
            "3",
            "--power-limit",
            "1%",
            "--out",
            str(tmp_path / "c.json"),
            "--json",
        ],
    )
    assert done.exit_code == 1 and "'none'" in json.loads(done.stdout)["error"]
    assert not (tmp_path / "c.json").exists()


def test_limits_are_shares_or_per_cent():
    assert share("0.1%") == pytest.approx(share("0.001")) and share(None) is None
