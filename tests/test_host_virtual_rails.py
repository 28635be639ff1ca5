"""Virtual rails: levels as stated, sensitivity to activity that counters miss, converters, leakage with temperature."""

from __future__ import annotations

import dataclasses
import math

import pytest

from host import specimen
from host.virtual_rails import (
    ACTIVITY,
    BOARD,
    NODES,
    RAILS,
    SUPPLIED,
    Character,
    RailLevels,
    Spread,
    UnknownActivity,
    VirtualRails,
    core_counts,
)

SECOND = 100_000_000
NOMINAL = Character(
    node=dict.fromkeys(NODES, 1.0), static=dict.fromkeys(SUPPLIED, 1.0), other=1.0, efficiency=dict.fromkeys(SUPPLIED, 0.88),
    loss_per_w=dict.fromkeys(SUPPLIED, 0.0), glitches=0.0, leakage_per_k=0.0, ambient_c=24.0, ambient_drift_k_per_s=0.0,
    thermal_k_per_w=11.0, thermal_s=30.0,
)  # fmt: skip
FULL_ARRAY = {
    "operand_toggles": 64 * SECOND, "product_toggles": 1904 * SECOND, "sum_toggles": 265 * SECOND, "spad_words": SECOND,
    "busy_cycles": SECOND,
}  # fmt: skip
COUNTERS = {"cycles": 1000, "spad_reads": 300, "spad_writes": 200, "ddr_read_bytes": 4096, "ddr_write_bytes": 51, "scalar_ops": 7}


def energy_j(rails: VirtualRails, duration_s: float, counts=None) -> dict[str, float]:
    parts = [interval.energy_j() for interval in rails.advance(duration_s, counts)]
    return {rail: math.fsum(part[rail] for part in parts) for rail in RAILS}


def test_idle_is_the_published_power():
    assert energy_j(VirtualRails(16, NOMINAL), 2.0)[BOARD] == pytest.approx(3.2, rel=1e-12)


def test_a_full_array_with_ddr_draws_what_is_stated():
    spent = energy_j(VirtualRails(16, NOMINAL), 1.0, FULL_ARRAY | {"ddr_read_bytes": 1.6e9})
    assert spent["pl_1v0"] == pytest.approx((0.15 + 0.4) * 0.88, rel=1e-12)
    assert spent["ddr_1v5"] == pytest.approx((0.15 + 0.2) * 0.88, rel=1e-12)
    assert spent[BOARD] == pytest.approx(1.6 + 0.6, rel=1e-12)


def test_an_output_stationary_array_stays_within_the_stated_range():
    counts = {"operand_toggles": 128 * SECOND, "product_toggles": 2007 * SECOND, "spad_words": 2 * SECOND, "busy_cycles": SECOND}
    assert 0.4 <= energy_j(VirtualRails(16, NOMINAL), 1.0, counts | {"ddr_read_bytes": 1.6e9})[BOARD] - 1.6 <= 0.8


@pytest.mark.parametrize("node", NODES)
def test_a_node_draws_its_watts_at_its_rate_on_its_rail_and_by_the_arrays_side(node):
    quiet = energy_j(VirtualRails(16, NOMINAL), 1.0)
    for g in (16, 4):
        loud = energy_j(VirtualRails(g, NOMINAL), 1.0, {node: NODES[node].rate_per_s})
        watts = NODES[node].watts * (g / 16 if NODES[node].by_side else 1)
        assert loud[BOARD] - quiet[BOARD] == pytest.approx(watts, rel=1e-9)
        for rail in SUPPLIED:
            expected = watts * 0.88 if rail == NODES[node].rail else 0.0
            assert loud[rail] - quiet[rail] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_the_board_is_the_sum_behind_its_converters():
    character = dataclasses.replace(NOMINAL, efficiency={"ddr_1v5": 0.85, "pl_1v0": 0.9, "ps_1v0": 0.87}, other=1.1)
    spent = energy_j(VirtualRails(16, character), 1.0, FULL_ARRAY)
    assert spent[BOARD] == pytest.approx(0.7 * 1.1 + spent["ddr_1v5"] / 0.85 + spent["pl_1v0"] / 0.9 + spent["ps_1v0"] / 0.87)


def test_a_converter_loses_more_than_in_proportion():
    character = dataclasses.replace(NOMINAL, loss_per_w={"ddr_1v5": 0.0, "pl_1v0": 0.1, "ps_1v0": 0.0})
    plain, lossy = (energy_j(VirtualRails(16, each), 1.0, FULL_ARRAY) for each in (NOMINAL, character))
    assert lossy["pl_1v0"] == plain["pl_1v0"]
    assert lossy[BOARD] - plain[BOARD] == pytest.approx(0.1 * plain["pl_1v0"] ** 2, rel=1e-9)


def test_glitches_make_a_product_bit_dearer_at_a_higher_rate_and_the_level_holds_at_the_full_one():
    character = dataclasses.replace(NOMINAL, glitches=0.2)
    idle_j = energy_j(VirtualRails(16, NOMINAL), 1.0)[BOARD]
    for share, factor in ((1.0, 1.0), (0.5, 0.9), (0.001, 0.8002)):
        counts = {"product_toggles": share * 1904 * SECOND}
        assert energy_j(VirtualRails(16, character), 1.0, counts)[BOARD] - idle_j == pytest.approx(0.2 * share * factor, rel=1e-6)


def test_quiet_data_draw_less_at_equal_counters():
    loud = core_counts(COUNTERS, dict.fromkeys(ACTIVITY, 100_000))
    quiet = core_counts(COUNTERS, dict.fromkeys(ACTIVITY, 10_000))
    assert energy_j(VirtualRails(16, NOMINAL), 1e-5, quiet)["pl_1v0"] < energy_j(VirtualRails(16, NOMINAL), 1e-5, loud)["pl_1v0"]


def test_a_warm_board_leaks_more_and_gets_there_with_its_time_constant():
    character = dataclasses.replace(NOMINAL, leakage_per_k=0.01)
    rails = VirtualRails(16, character)
    cold_w = next(rails.advance(0.1)).power_w[BOARD]
    load = {"processor_s": 200.0}  # 0.2 W for 200 s
    powers_w = [interval.power_w[BOARD] for interval in rails.advance(200.0, load)]
    rise_w = powers_w[-1] - powers_w[0]
    # 0.75 W of leaking rails, 1 % per kelvin, 11 K per watt: 0.2 W of load make 2.2 K or more
    assert 0.2 * 11 * 0.01 * 0.75 * 0.95 < rise_w < 0.2 * 11 * 0.01 * 0.75 * 1.15
    after_30_s = powers_w[300] - powers_w[0]
    assert after_30_s / rise_w == pytest.approx(1 - math.exp(-1), abs=0.06)
    assert next(rails.advance(0.1)).power_w[BOARD] - cold_w == pytest.approx(rise_w, rel=0.02)
    assert powers_w[0] - cold_w == pytest.approx(0.2, rel=1e-3)


def test_a_room_that_warms_up_shows_in_idle_power():
    rails = VirtualRails(16, dataclasses.replace(NOMINAL, leakage_per_k=0.01, ambient_drift_k_per_s=0.003))
    powers_w = [interval.power_w[BOARD] for interval in rails.advance(300.0)]
    assert 0.5 * 0.9 * 0.01 * 0.75 < powers_w[-1] - powers_w[0] < 0.9 * 0.01 * 0.75 * 1.15


def test_intervals_are_contiguous_short_and_cut_by_windows():
    rails = VirtualRails(16, NOMINAL)
    intervals = [*rails.advance(0.25, FULL_ARRAY), *rails.advance(0.001), *rails.advance(1.0)]
    assert intervals[0].start_s == 0.0 and rails.now_s == intervals[-1].end_s == pytest.approx(1.251)
    assert all(a.end_s == b.start_s for a, b in zip(intervals, intervals[1:], strict=False))
    assert max(interval.end_s - interval.start_s for interval in intervals) <= 0.1 + 1e-12
    one = intervals[0]
    halves = [one.energy_j(end_s=0.03), one.energy_j(start_s=0.03)]
    for rail in RAILS:
        assert halves[0][rail] + halves[1][rail] == pytest.approx(one.energy_j()[rail], rel=1e-12)
    assert one.energy_j(2.0, 3.0) == dict.fromkeys(RAILS, 0.0)


def test_counts_by_node():
    counts = core_counts(COUNTERS, {name: number for number, name in enumerate(ACTIVITY)})
    assert counts["spad_words"] == 500 and counts["busy_cycles"] == 1000 and counts["vector_toggles"] == 3
    assert set(counts) == set(NODES) - {"processor_s"}


@pytest.mark.parametrize("absent", ACTIVITY)
def test_missing_activity_is_refused_by_name(absent):
    with pytest.raises(UnknownActivity, match=absent):
        core_counts(COUNTERS, {name: 1 for name in ACTIVITY if name != absent})


def test_unknown_nodes_and_time_that_stands_still_are_refused():
    with pytest.raises(UnknownActivity, match="sparks"):
        list(VirtualRails(16, NOMINAL).advance(1.0, {"sparks": 1}))
    for duration_s in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="forward"):
            list(VirtualRails(16, NOMINAL).advance(duration_s))
    with pytest.raises(ValueError, match="idle powers"):
        RailLevels(static_w={"pl_1v0": 1.0})


def test_every_specimen_lies_within_the_spread_and_they_differ():
    spread, boards = Spread(), [specimen.board(seed) for seed in range(50)]
    for board in boards:
        for name in ("node", "static", "efficiency", "loss_per_w"):
            low, high = getattr(spread, name)
            assert all(low <= value <= high for value in getattr(board, name).values())
        for name in ("glitches", "leakage_per_k", "ambient_c", "ambient_drift_k_per_s", "thermal_k_per_w", "thermal_s"):
            low, high = getattr(spread, name)
            assert low <= getattr(board, name) <= high
    assert len({board.node["product_toggles"] for board in boards}) == 50
    assert specimen.board() == specimen.board(specimen.SEED)
    idle_w = [next(VirtualRails(16, board).advance(0.1)).power_w[BOARD] for board in boards]
    assert 1.3 < min(idle_w) < 1.55 and 1.65 < max(idle_w) < 1.9
