"""Simulated joules: a case by hand, completeness and sources of the table, shares that sum to the total."""

from __future__ import annotations

import json
import math

import pytest

from host.processor_work import ProcessorWork
from hw import isa
from hw.config import load_config
from measurements import energy_model
from measurements.energy_model import SHARES, EnergyTableError, energy_shares, load_table, time_shares
from measurements.run_energy import EnergyMeter

COUNTERS = {name: 1000 + 7 * i for i, name in enumerate(isa.COUNTER_NAMES)}


def edited(tmp_path, change):
    data = json.loads(energy_model.TABLE.read_text())
    change(data)
    path = tmp_path / "table.json"
    path.write_text(json.dumps(data))
    return path


def test_a_case_by_hand():
    config, table = load_config("z7020"), load_table()
    counters = {"macs_int8": 1_000_000, "spad_reads": 1000, "ddr_read_bytes": 2000}
    shares = energy_shares(counters, config, table, time_s=2e-3, processor_s=1e-3)
    # 1e6 * (0.2 * 7 + 0.1 * 14) * 0.7682 pJ; 1000 words of 16 bytes at 1.25 * 0.7682 * 7 pJ; 2000 bytes at 118.8 pJ
    assert shares.array == pytest.approx(2.15096e-6, rel=1e-12)
    assert shares.memory == pytest.approx(16000 * 6.72175e-12 + 2.376e-7, rel=1e-12)
    assert shares.vector == 0
    assert shares.processor == pytest.approx(2.03e-4, rel=1e-12)
    assert shares.idle == pytest.approx(3.2e-3, rel=1e-12)
    assert shares.net == pytest.approx(shares.array + shares.memory + shares.processor, rel=1e-12)


def test_units_by_hand():
    table, process = load_table(), 0.7682
    soft, hard = 14 * process, 7 * process
    expected = {
        "macs_int8": 0.2 * hard + 0.1 * soft,
        "macs_int4": 0.0625 * hard + 0.053 * soft,
        "weight_blocks": 256 * 0.03 * soft,
        "drained_rows": 16 * 0.1 * soft,
        "vectors": 16 * (2.7246 * hard + 0.45 * soft),
        "vectors_wide": 16 * 0.1 * soft,
        "scalar_ops": 0.2 * soft + 10 * hard,
        "spad_reads": 16 * 1.25 * hard,
        "spad_writes": 16 * 1.25 * hard,
        "acc_reads": 64 * 1.25 * hard,
        "acc_writes": 64 * 1.25 * hard,
        "table_reads": 10 * hard,
        "table_writes": 10 * hard,
        "ddr_read_bytes": 118.8,
        "ddr_write_bytes": 97.7,
        "instructions": 160 * hard,
    }
    assert {counter: table.picojoules(counter, 16) for counter in table.event_pj} == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("counter", sorted(load_table().event_pj))
def test_every_paid_counter_raises_its_own_share_only(counter):
    config, table = load_config("tiny"), load_table()
    before = energy_shares(COUNTERS, config, table, 1.0, 0.5)
    after = energy_shares({**COUNTERS, counter: COUNTERS[counter] + 10**9}, config, table, 1.0, 0.5)
    moved = {name for name in SHARES if getattr(after, name) != getattr(before, name)}
    assert moved == {table.share[counter]}
    assert after.total > before.total


def test_every_counter_is_paid_or_free_with_a_reason():
    data = json.loads(energy_model.TABLE.read_text())
    paid = {entry["counter"] for entry in data["events"].values()}
    assert paid | set(data["free_counters"]) == set(isa.COUNTER_NAMES)
    assert not paid & set(data["free_counters"])
    assert all(reason for reason in data["free_counters"].values())
    assert {name for name in data["free_counters"]} >= isa.TIMING_COUNTERS


def test_every_number_names_a_source_and_says_how():
    data = json.loads(energy_model.TABLE.read_text())
    terms = [term for entry in data["events"].values() for term in entry["terms"]]
    for entry in [*terms, *data["factors"].values(), *data["powers"].values()]:
        assert all(source.strip() in data["sources"] for source in entry["source"].split(","))
        assert entry.get("what") or entry.get("how")
    assert "Not fitted" in data["validity"]
    assert data["factors"]["process"]["value"] == pytest.approx(28 / 45 * (1 / 0.9) ** 2, abs=5e-5)


def test_ddr_entries_follow_from_the_quoted_currents():
    data = json.loads(energy_model.TABLE.read_text())["events"]
    standby_a = 0.820 / 18
    for name, module_a in (("ddr_read_byte", 1.278), ("ddr_write_byte", 1.143)):
        device_a = (module_a - 9 * 0.216 / 18) / 9
        pj = (device_a - standby_a) * 1.5 / 1.066e9 * 1e12
        assert data[name]["terms"][0]["base_pj"] == pytest.approx(pj, abs=0.05)


def test_shares_sum_to_the_total_and_seconds_to_the_time():
    config, table = load_config("z7020"), load_table()
    shares = energy_shares(COUNTERS, config, table, 1e-3, 2e-4)
    assert shares.total == pytest.approx(math.fsum(shares.to_json().values()), rel=1e-12)
    assert shares.total - shares.idle == pytest.approx(shares.net, rel=1e-12)
    assert list(shares.to_json()) == list(SHARES)
    seconds = time_shares({**COUNTERS, "cycles": 10**6}, config, 2e-4)
    assert seconds.total == pytest.approx(1e6 / config.clk_hz + 2e-4, rel=1e-12)
    assert seconds.processor == 2e-4
    working = ("slots_forward", "slots_grad_input", "slots_grad_weight", "slots_pool", "stall_array_gap")
    assert seconds.array == pytest.approx(sum(COUNTERS[name] for name in working) / config.clk_hz)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d["events"].pop("mac_int8"), "macs_int8"),
        (lambda d: d["events"]["mac_int8"]["terms"][0].update(source="hearsay"), "hearsay"),
        (lambda d: d["events"]["mac_int8"]["terms"][0].pop("source"), "mac_int8"),
        (lambda d: d["events"]["mac_int8"].update(counter="macs_int9"), "macs_int9"),
        (lambda d: d["events"]["mac_int8"]["terms"][0].update(base_pj=-1), "-1"),
        (lambda d: d["events"]["mac_int8"]["terms"][0].update(base_pj="0.2"), "'0.2'"),
        (lambda d: d["events"]["mac_int8"].update(per="dozen"), "dozen"),
        (lambda d: d.update(label="measured"), "measured"),
        (lambda d: d["free_counters"].update(macs_int8="twice"), "macs_int8"),
        (lambda d: d.pop("powers"), "powers"),
    ],
)
def test_a_faulty_table_is_refused_by_name(tmp_path, change, says):
    with pytest.raises(EnergyTableError, match=says):
        load_table(edited(tmp_path, change))


def test_no_table(tmp_path):
    with pytest.raises(EnergyTableError, match="no energy table"):
        load_table(tmp_path / "absent.json")


def test_rest_is_idle_time_and_costs_idle_power_alone():
    config, table = load_config("z7020"), load_table()
    seconds = time_shares(COUNTERS, config, 1e-3, 0.5)
    assert seconds.total == pytest.approx(COUNTERS["cycles"] / config.clk_hz + 1e-3 + 0.5)
    assert seconds.idle - time_shares(COUNTERS, config, 1e-3).idle == pytest.approx(0.5)
    meter = EnergyMeter(config, table)
    resting = meter.add(dict.fromkeys(isa.COUNTER_NAMES, 0), {}, ProcessorWork(), rest_s=2.0)
    assert (resting.time_s, resting.energy_j.net) == (2.0, 0.0) and resting.energy_j.idle == pytest.approx(2 * table.board_idle_w)
    assert meter.add(dict.fromkeys(isa.COUNTER_NAMES, 0), {}, ProcessorWork()) is None
