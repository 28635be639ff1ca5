"""Wraps, holes, disorder and reboots of a meter's counters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.meter_counters import MeterCounters

TURN_S = 2**32 * 1e-6


def added(counters, sequence, time_us, arrival_s):
    return counters.add(np.array(sequence, np.int64), np.array(time_us, np.int64), np.array(arrival_s, np.float64))


def total(losses, reason):
    return sum(loss.count for loss in losses if loss.reason == reason)


@pytest.mark.fault(11)
def test_clock_and_number_that_wrap_go_on():
    counters = MeterCounters(32, 32)
    number = 2**32 - 50 + np.arange(100)
    time_us = 2**32 - 50_000 + 1000 * np.arange(100)
    found = added(counters, number % 2**32, time_us % 2**32, 10 + 1e-3 * np.arange(100))
    assert found.losses == []
    assert np.diff(found.sequence).tolist() == [1] * 99
    assert np.allclose(np.diff(found.device_t_s), 1e-3)


@pytest.mark.fault(11)
def test_a_silence_of_several_turns_is_measured_with_the_hosts_clock():
    counters = MeterCounters(32, 32)
    added(counters, [0, 1], [0, 1000], [5.0, 5.001])
    silence_s = 3.4 * TURN_S
    found = added(counters, [2], [int(round((1e-3 + silence_s) * 1e6)) % 2**32], [5.001 + silence_s])
    assert found.device_t_s[0] == pytest.approx(1e-3 + silence_s, abs=1e-3)
    assert not [loss for loss in found.losses if loss.reason == "counter reset"]


@pytest.mark.fault(11)
@pytest.mark.parametrize("drift", [-0.005, 0.005])
def test_days_of_a_meter_whose_clock_is_off_hold_no_reset_and_no_extra_turn(drift):
    counters = MeterCounters(32, 32)
    true_s = np.arange(0, 14 * 86400, 60.0)  # 0.5 % of two weeks is more than a turn
    device_us = np.round(true_s * (1 + drift) * 1e6).astype(np.int64)
    for part in np.array_split(np.arange(len(true_s)), 500):
        found = added(counters, part, device_us[part] % 2**32, true_s[part] + 0.01)
        assert found.losses == []
        assert np.allclose(found.device_t_s, device_us[part] * 1e-6)


@pytest.mark.fault(12)
def test_a_reboot_is_no_wrap_and_begins_a_new_segment():
    counters = MeterCounters(32, 32)
    number = np.arange(5000)
    added(counters, number, 1000 * number, 50 + 1e-3 * number)
    again = added(counters, number[:100], 1000 * number[:100] + 20_000, 58 + 1e-3 * number[:100])
    assert [loss.reason for loss in again.losses] == ["counter reset"]
    assert again.sequence[0] == 5000, "numbers go on upwards"
    assert again.device_t_s[0] == pytest.approx(4.999 + (58 - 54.999), abs=1e-3), "the host's clock bridges the reboot"
    assert np.allclose(np.diff(again.device_t_s), 1e-3)


@pytest.mark.fault(12)
def test_a_reset_of_a_clock_without_numbers_is_told_from_its_wrap():
    counters = MeterCounters(0, 32)
    counters.add(None, np.array([5_000_000]), np.array([1.0]))
    found = counters.add(None, np.array([1_000]), np.array([2.0]))
    assert [loss.reason for loss in found.losses] == ["counter reset"]
    near = MeterCounters(0, 32)
    near.add(None, np.array([2**32 - 500_000]), np.array([1.0]))
    found = near.add(None, np.array([500_000]), np.array([2.0]))
    assert found.losses == [] and found.device_t_s[0] == pytest.approx(TURN_S + 0.5)


@pytest.mark.fault(16)
def test_rows_out_of_order_are_sorted_within_a_batch_and_rejected_beyond():
    counters = MeterCounters(32, 32)
    found = added(counters, [0, 1, 3, 2, 4], [0, 10, 30, 20, 40], [1, 1, 1, 1, 1])
    assert found.sequence.tolist() == [0, 1, 2, 3, 4] and found.losses == []
    assert (np.diff(found.device_t_s) > 0).all()
    late = added(counters, [2, 6, 6, 5], [20, 60, 60, 50], [2, 2, 2, 2])
    assert late.sequence.tolist() == [5, 6]
    assert total(late.losses, "out of order") == 2 and total(late.losses, "dropped") == 0


@pytest.mark.fault(21)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_missing_row_is_counted_wherever_the_stream_is_cut(data):
    n = data.draw(st.integers(2, 300))
    first = data.draw(st.sampled_from([0, 7, 2**31 - 20, 2**32 - 40]))
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    kept[[0, -1]] = True
    numbers = np.arange(n)[kept]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(numbers)), max_size=6)))
    counters, missing, rows = MeterCounters(32, 32), 0, []
    for part in np.split(numbers, cuts):
        found = added(counters, (first + part) % 2**32, part * 50 % 2**32, 3 + part * 5e-5)
        missing += total(found.losses, "dropped")
        rows += found.sequence.tolist()
    assert missing == n - len(numbers)
    assert np.array_equal(np.array(rows) - rows[0], numbers)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.floats(0, 1e5)), max_size=40), st.integers(0, 40)
)
def test_any_counters_give_rising_numbers_and_nothing_invented(rows, cut):
    counters, last = MeterCounters(32, 32), -1
    arrival = np.sort([row[2] for row in rows])
    for part in (slice(0, cut), slice(cut, None)):
        chunk = rows[part]
        found = added(counters, [row[0] for row in chunk], [row[1] for row in chunk], arrival[part])
        assert len(set(found.kept.tolist())) == len(found.kept) <= len(chunk)
        assert len(found.kept) + total(found.losses, "out of order") == len(chunk)
        for number in found.sequence.tolist():
            assert number > last or last == -1
            last = number
