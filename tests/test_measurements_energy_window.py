"""Energy in a window: trapezoid, spans of averages, running totals, and their weights."""

from __future__ import annotations

import numpy as np
import pytest
import trace_cases as made

from host.sensor import Channel, Specification
from measurements.energy_window import window_energy
from measurements.series import NoEnergy, channels_of, rail_series


def series(channels, t_s, values, **more):
    record = made.record(channels, t_s, values, **more)
    return rail_series(record, channels_of(record, record.channels[0].rail))


def test_trapezoid_on_uneven_stamps_with_edges_interpolated():
    found = window_energy(series(made.power(), [0.0, 1.0, 1.5, 4.0], [2.0, 4.0, 1.0, 6.0]), 0.5, 3.5)
    # 0.5 to 1: 3 to 4 W; 1 to 1.5: 4 to 1 W; 1.5 to 3.5: 1 to 5 W
    assert found.energy_j == pytest.approx(1.75 + 1.25 + 6.0)
    assert found.weights @ found.used == pytest.approx(found.energy_j)
    assert found.weights.sum() == pytest.approx(3.0)


def test_windows_side_by_side_add_up():
    rng = np.random.default_rng(3)
    t_s = np.cumsum(rng.uniform(0.01, 0.2, 400))
    for kind in ("point", "average"):
        here = series(made.power(kind=kind, averaging_s=0.05 if kind == "average" else 0.0), t_s, rng.uniform(1, 3, 400))
        whole = window_energy(here, 5.0, 25.0).energy_j
        parts = [window_energy(here, a, a + 2.5).energy_j for a in np.arange(5.0, 25.0, 2.5)]
        assert sum(parts) == pytest.approx(whole, rel=1e-12)


@pytest.mark.fault(17)
def test_two_values_with_one_stamp_are_both_kept_and_the_stretch_between_them_has_no_weight():
    here = series(made.power(), [0.0, 1.0, 1.0, 2.0], [1.0, 1.0, 3.0, 3.0])
    assert window_energy(here, 0.0, 2.0).energy_j == pytest.approx(4.0)
    assert list(here.same_stamp_s) == [1.0]


@pytest.mark.fault(16)
def test_rows_out_of_order_are_sorted_and_counted():
    here = series(made.power(), [0.0, 2.0, 1.0, 3.0], [1.0, 3.0, 2.0, 4.0])
    assert window_energy(here, 0.0, 3.0).energy_j == pytest.approx(7.5)
    assert len(here.bad_s["out of order"]) == 1


def test_an_average_stands_for_the_span_before_its_arrival():
    averages = made.power(kind="average", refresh_s=1.0, averaging_s=1.0)
    here = series(averages, [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0])
    # 0.5 to 1 lies in the first span, 2.25 is a quarter of the third one
    assert window_energy(here, 0.5, 2.25).energy_j == pytest.approx(0.5 * 1 + 2 + 0.25 * 3)


def test_a_running_total_is_end_minus_start():
    total = Channel("e", "J", "board", "board", "accumulated", Specification(0.0), wrap=100.0)
    here = series(total, [0.0, 1.0, 2.0, 3.0, 4.0], [90.0, 95.0, 99.0, 4.0, 10.0])
    found = window_energy(here, 0.5, 3.5)
    assert found.energy_j == pytest.approx((4.0 + 3.0 + 100) - (92.5))
    assert found.weights.sum() == pytest.approx(0.0)


def test_volts_times_amperes_where_there_are_no_watts():
    volts = Channel("v", "V", "rail", "rail", "point", Specification(0.001, offset=0.01))
    amperes = Channel("a", "A", "rail", "rail", "point", Specification(0.002, offset=0.003))
    here = series((volts, amperes), [0.0, 1.0, 2.0], [[2.0, 1.0], [2.0, 3.0], [1.0, 2.0]])
    assert window_energy(here, 0.0, 2.0).energy_j == pytest.approx(4.0 + 4.0)


@pytest.mark.fault(34)
def test_no_number_without_samples_or_without_length():
    here = series(made.power(), [0.0, 1.0], [1.0, 1.0])
    with pytest.raises(NoEnergy, match="no samples in the window"):
        window_energy(here, 5.0, 9.0)
    with pytest.raises(NoEnergy, match="no length"):
        window_energy(here, 0.5, 0.5)
    with pytest.raises(NoEnergy, match="0 valid samples of 2"):
        series(made.power(), [0.0, 1.0], [np.nan, np.nan])
