"""A run's energies: labels kept, net = gross - idle, time model, verdicts, the JSON's shape and order."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from host.processor_work import ProcessorWork
from hw.config import load_config
from measurements.energy_model import load_table
from measurements.processor_time import ProcessorModel, ProcessorTime, iteration_time_s, processor_time
from measurements.quantities import LabelError, Quantity, RunEnergies, invalid, judged
from measurements.run_energy import EnergyMeter

COUNTERS = {
    "cycles": 500_000, "slots_forward": 100_000, "slots_grad_weight": 90_000, "stall_array_load": 50_000,
    "stall_array_vector": 30_000, "macs_int8": 40_000_000, "vectors": 30_000, "spad_reads": 300_000, "acc_writes": 200_000,
    "ddr_read_bytes": 2_000_000, "ddr_write_bytes": 1_000_000, "instructions": 700,
}  # fmt: skip
ACTIVITY = {"operand_toggles": 9_000_000, "product_toggles": 200_000_000}
WORK = ProcessorWork(
    register_accesses=20, array_calls=30, elements=320, records=100, exponents=50, copied_bytes=20_000, streamed_bytes=2048,
    streamed_array_calls=4, lookups=40, beside_array_calls=7, beside_elements=9, beside_bytes=512,
)  # fmt: skip


def run(iterations: int, activity=ACTIVITY, counters=COUNTERS) -> EnergyMeter:
    meter = EnergyMeter(load_config("z7020"))
    for _ in range(iterations):
        meter.add(counters, activity, WORK)
    return meter


def test_processor_time_by_hand():
    spent = processor_time(WORK, ProcessorModel())
    serial_s = 20 * 3e-6 + 30 * 18e-6 + 320 * 1.3e-6 + 100 * 54e-6 + 40 * 10e-6 + 50 * 7e-6 + 20_000 / 200e6
    streamed_s, last_s = 2048 / 200e6 + 4 * 18e-6, 512 / 200e6 + 7 * 18e-6 + 9 * 1.3e-6
    assert spent.serial_s == pytest.approx(serial_s, rel=1e-12)
    assert spent.overlapped_s == pytest.approx(streamed_s + last_s, rel=1e-12)
    assert spent.added_s(1e-3) == pytest.approx(serial_s, rel=1e-12)
    narrow = processor_time(dataclasses.replace(WORK, first_cycles=20, last_cycles=10, core_cycles=100), ProcessorModel())
    assert narrow.added_s(1e-3) == pytest.approx(serial_s + last_s - 1e-4, rel=1e-12), "the last segment is too short for it"
    assert narrow.added_s(1e-4) == pytest.approx(serial_s + streamed_s - 2e-5 + last_s - 1e-5, rel=1e-12)
    assert iteration_time_s(1_000_000, 100_000_000, ProcessorTime(2e-3, 3e-3)) == pytest.approx(12e-3)
    assert iteration_time_s(100_000, 100_000_000, ProcessorTime(2e-3, 3e-3)) == pytest.approx(5e-3)


SENSED = {"emulated": (judged(0.5, 0.01, "all"), judged(0.1, 0.02, "all"))}


def test_net_is_gross_without_idle():
    meter = run(3)
    energies = meter.run_energies(3, 3)
    idle_simulated = load_table().board_idle_w * meter.time_s
    assert energies.gross["simulated"].value - energies.net["simulated"].value == pytest.approx(idle_simulated, rel=1e-9)
    joules, seconds = meter.shares()
    assert joules.total == pytest.approx(energies.gross["simulated"].value, rel=1e-12)
    assert seconds.total == pytest.approx(meter.time_s, rel=1e-12)


def test_json_shape_order_and_division():
    data = run(4).run_energies(8, 4, SENSED).to_json()
    assert list(data) == [
        "schema", "iterations_drawn", "iterations_executed", "time_s", "run_energy_j", "energy_per_executed_iteration_j",
    ]  # fmt: skip
    assert data["schema"] == 1
    assert list(data["run_energy_j"]) == ["simulated", "emulated"] == list(data["energy_per_executed_iteration_j"])
    for label, both in data["run_energy_j"].items():
        assert list(both) == ["gross", "net"]
        for kind, quantity in both.items():
            assert list(quantity) == ["value", "u95", "verdict", "scope"]
            each = data["energy_per_executed_iteration_j"][label][kind]
            assert each["value"] == pytest.approx(quantity["value"] / 4, rel=1e-12)
    json.dumps(data, allow_nan=False)


def test_what_was_sensed_is_reported_as_it_is_and_the_table_says_that_it_is_not_fitted():
    data = run(2).run_energies(2, 2, SENSED).to_json()
    assert data["run_energy_j"]["emulated"]["gross"] == {"value": 0.5, "u95": 0.01, "verdict": "resolved", "scope": "all"}
    each = data["energy_per_executed_iteration_j"]["emulated"]["net"]
    assert each == {"value": 0.05, "u95": 0.01, "verdict": "resolved", "scope": "all"}
    for kind in ("gross", "net"):
        assert data["run_energy_j"]["simulated"][kind]["verdict"].startswith("invalid: the energy table")


def test_only_labels_that_exist():
    assert list(run(2, activity={}).run_energies(2, 2).to_json()["run_energy_j"]) == ["simulated"]
    with pytest.raises(LabelError, match="guessed"):
        run(2).run_energies(2, 2, {"guessed": SENSED["emulated"]})
    golden = run(2, counters={**COUNTERS, "cycles": 0}).run_energies(2, 2).to_json()
    assert golden["time_s"] is None
    assert golden["run_energy_j"] == {} == golden["energy_per_executed_iteration_j"]


def test_an_iteration_keeps_its_labels():
    meter = run(1)
    data = meter.iterations[0].to_json()
    assert set(data) == {"time_s", "seconds", "simulated"}
    assert math.fsum(data["simulated"]["shares_j"].values()) == pytest.approx(data["simulated"]["gross_j"], rel=1e-12)
    assert math.fsum(data["seconds"].values()) == pytest.approx(data["time_s"], rel=1e-12)


def test_labels_cannot_be_lost_or_invented():
    q = invalid(1.0, "no reason", "all")
    with pytest.raises(LabelError, match="guessed"):
        RunEnergies(1, 1, 1.0, {"guessed": q}, {"guessed": q})
    with pytest.raises(LabelError, match="net energies are"):
        RunEnergies(1, 1, 1.0, {}, {"emulated": q})


@pytest.mark.parametrize(
    "arguments",
    [
        (1.0, None, "resolved", "all"), (1.0, 0.1, "invalid: short", "all"), (1.0, None, "invalid: ", "all"),
        (1.0, 0.1, "fine", "all"), (math.nan, 0.1, "resolved", "all"), (1.0, -0.1, "resolved", "all"), (1.0, 0.1, "resolved", ""),
    ],
)  # fmt: skip
def test_a_quantity_that_says_nothing_is_refused(arguments):
    with pytest.raises(ValueError, match="J|verdict|scope"):
        Quantity(*arguments)


def test_verdict_of_a_known_uncertainty():
    assert judged(1.0, 0.5, "all").verdict == "resolved"
    assert judged(-0.2, 0.5, "all").verdict == "not resolved"
    assert judged(4.0, 2.0, "all").divided(4) == judged(1.0, 0.5, "all")
