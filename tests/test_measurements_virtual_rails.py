"""Emulated joules: levels as stated, integration over virtual time, sensitivity to activity that counters miss."""

from __future__ import annotations

import math

import pytest

from measurements import virtual_rails
from measurements.virtual_rails import ACTIVITY, RAILS, RailLevels, UnknownActivity, VirtualRails

SECOND = 100_000_000


def busy(share: float) -> dict[str, int]:
    levels = RailLevels()
    return {
        "operand_toggles": round(share * SECOND * levels.operand_toggles_per_cycle),
        "product_toggles": round(share * SECOND * levels.product_toggles_per_cycle),
    }


def test_idle_is_the_published_power():
    rails = VirtualRails(16)
    rails.advance(2.0)
    assert math.fsum(rails.energy_j().values()) == pytest.approx(3.2, rel=1e-12)
    assert RailLevels().total_idle_w == pytest.approx(1.6, rel=1e-12)


def test_a_full_array_with_ddr_draws_what_is_stated():
    rails = VirtualRails(16)
    rails.advance(1.0, busy(1.0), ddr_bytes=1_600_000_000)
    energy = rails.energy_j()
    assert energy["pl_1v0"] == pytest.approx(0.15 + 0.4, rel=1e-12)
    assert energy["ddr_1v5"] == pytest.approx(0.15 + 0.2, rel=1e-12)
    assert 0.4 <= math.fsum(energy.values()) - 1.6 <= 0.8


def test_an_operand_bit_of_a_small_array_reaches_fewer_multipliers():
    energies = []
    for g in (16, 4):
        rails = VirtualRails(g)
        rails.advance(1.0, busy(1.0))
        energies.append(rails.energy_j()["pl_1v0"] - 0.15)
    assert energies == pytest.approx([0.1 + 0.3, 0.025 + 0.3], rel=1e-12)


def test_an_output_stationary_array_stays_within_the_stated_range():
    rails = VirtualRails(16)
    rails.advance(1.0, {"operand_toggles": 128 * SECOND, "product_toggles": 2007 * SECOND}, 1_600_000_000)
    assert 0.4 <= math.fsum(rails.energy_j().values()) - 1.6 <= 0.8


def test_windows_add_up_and_cut_intervals():
    rails = VirtualRails(16)
    rails.advance(0.5, busy(0.25), 1000)
    rails.advance(0.25, None, 0, 0.25)
    rails.advance(0.5, busy(0.125), 500)
    parts = [rails.energy_j(0.0, 0.1), rails.energy_j(0.1, 0.6), rails.energy_j(0.6, 1.25)]
    whole = rails.energy_j()
    for rail in RAILS:
        assert math.fsum(part[rail] for part in parts) == pytest.approx(whole[rail], rel=1e-12)
    assert rails.energy_j(2.0, 3.0) == dict.fromkeys(RAILS, 0.0)
    assert rails.now_s == 1.25
    assert rails.intervals[1].power_w["ps_1v0"] == pytest.approx(0.8)


def test_quiet_data_draw_less_at_equal_counters():
    loud, quiet = VirtualRails(16), VirtualRails(16)
    loud.advance(0.01, {"operand_toggles": 6_000_000, "product_toggles": 200_000_000})
    quiet.advance(0.01, {"operand_toggles": 600_000, "product_toggles": 20_000_000})
    assert quiet.energy_j()["pl_1v0"] < loud.energy_j()["pl_1v0"]


@pytest.mark.parametrize("absent", ACTIVITY)
def test_missing_activity_is_refused_by_name(absent):
    activity = {name: 1 for name in ACTIVITY if name != absent}
    with pytest.raises(UnknownActivity, match=absent):
        VirtualRails(16).advance(1.0, activity)


def test_time_goes_forward():
    with pytest.raises(ValueError, match="forward"):
        VirtualRails(16).advance(0.0)


def test_a_short_window_is_said_to_be_short():
    assert "shorter than 10 s" in virtual_rails.why_too_short(1.0)
    assert "28 values" in virtual_rails.why_too_short(1.0)
    assert virtual_rails.why_too_short(10.0) == ""


def test_uncertainty_by_hand():
    # gain 0.1 % of 20 J rectangular, two edges of 0.5 W * 35.2 ms
    u = math.sqrt((0.02 / math.sqrt(3)) ** 2 + (0.5 * 0.0352 / math.sqrt(6)) ** 2)
    assert virtual_rails.u95_j(20.0, 0.5) == pytest.approx(2 * u, rel=1e-12)
