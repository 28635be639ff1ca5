"""What a method saves, counted beside predicted: seconds within 2 % of what is saved, joules within U."""

from __future__ import annotations

import pytest

from measurements.saved import saved


def result(time_s, processor_s, simulated, sensed=None, idle_w=1.6):
    def quantity(value, u95):
        return {"value": value, "u95": u95, "verdict": "resolved", "scope": "board"}

    energies = {"simulated": {"gross": quantity(*simulated)}} | ({"emulated": {"gross": quantity(*sensed)}} if sensed else {})
    return {
        "iterations_drawn": 40, "iterations_executed": 20, "accuracy": 0.9, "time_s": time_s, "run_energy_j": energies,
        "shares": {"time_s": {"processor": processor_s}, "simulated_j": {"idle": idle_w * time_s}},
    }  # fmt: skip


BASELINE = {"counted": result(1.0, 0.6, (1.9, 0.03), (2.0, 0.012)), "predicted": result(1.0, 0.6, (1.9, 0.03))}


def compared(time_s=0.5, processor_s=0.3, simulated=(0.95, 0.02), sensed=(1.0, 0.005), predicted_s=0.5):
    return saved(
        {
            "counted": result(time_s, processor_s, simulated, sensed),
            "predicted": result(predicted_s, processor_s + predicted_s - time_s, simulated),
        }, BASELINE,
    )  # fmt: skip


def test_what_is_saved_stands_beside_its_prediction():
    found = compared(predicted_s=0.504)
    seconds = found["seconds"]
    assert seconds["all"]["saved_counted"] == 0.5 and seconds["all"]["difference"] == pytest.approx(-0.008)
    assert seconds["core"]["saved_counted"] == pytest.approx(0.2) == seconds["core"]["saved_predicted"]
    assert seconds["processor"]["saved_predicted"] == pytest.approx(0.296)
    assert all(one["match"] for one in seconds.values())
    joules = found["joules"]
    assert joules["sensed"] == {"label": "emulated", "baseline": 2.0, "value": 1.0, "u95": pytest.approx(0.013)}
    assert joules["predicted"]["value"] == pytest.approx(0.95) and joules["predicted"]["from_idle"] == pytest.approx(1.6 * 0.496)
    assert joules["difference"] == pytest.approx(-0.05) and joules["u95"] == pytest.approx((0.013**2 + 0.03**2 + 0.02**2) ** 0.5)
    assert joules["match"] is False


def test_two_percent_are_of_what_is_saved_and_a_thousandth_of_the_run_is_nothing():
    assert not compared(predicted_s=0.511)["seconds"]["all"]["match"]
    little = compared(time_s=0.99, processor_s=0.5895, predicted_s=0.9895)["seconds"]
    assert little["all"]["match"] and little["all"]["difference"] is not None and little["core"]["difference"] is None
    assert not compared(time_s=0.99, processor_s=0.59, predicted_s=0.9885)["seconds"]["all"]["match"]


def test_without_u_nothing_is_said_of_joules():
    assert compared(simulated=(0.95, None))["joules"]["match"] is None
    assert compared(sensed=None)["joules"]["sensed"] is None
    assert compared(simulated=(0.91, 0.02))["joules"]["match"] is True
