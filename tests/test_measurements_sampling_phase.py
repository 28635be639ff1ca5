"""Samples locked to the iterations are found, those nearly in step are covered by U, those that fall evenly cost nothing."""

from __future__ import annotations

import numpy as np
import pytest
import trace_cases as made

from host.sensor import Specification
from measurements.coverage_cases import locked
from measurements.joules import joules


def test_pulses_locked_to_the_samples_are_invalid():
    case = locked(np.random.default_rng(1))
    found = joules(case.trace, case.window, idle=case.idle, alignment=case.alignment)
    assert found.gross.verdict.startswith("invalid: locked")
    assert found.net.verdict.startswith("invalid: locked")


@pytest.mark.parametrize("samples", [1, 2, 0.5, 3])
@pytest.mark.parametrize("marked", [True, False])
def test_a_whole_number_of_samples_per_iteration_or_the_other_way_round_is_locked(samples, marked):
    each = np.arange(20.0, 50.0001, 0.05 * samples)
    t_s = np.arange(-0.5, 70.5, 0.05) + 0.013
    watts = np.where((t_s > 20) & (t_s < 50), 1.6 + 0.5 * (((t_s - 20) / (0.05 * samples)) % 1 < 0.4), 1.6)
    trace = made.trace(made.record(made.power(limits=Specification(0.001)), t_s, watts), iterations=len(each) - 1,
                       each=each if marked else ())  # fmt: skip
    assert joules(trace, made.of(trace)).gross.verdict.startswith("invalid: locked to the iterations")


@pytest.mark.parametrize("period_s", [0.0371, 0.0618, 0.0814, 0.1732, 1.234])
def test_samples_that_wander_over_the_iterations_are_not_locked(period_s):
    each = np.arange(20.0, 50.0, period_s)
    t_s = np.arange(-0.5, 70.5, 0.05) + 0.013
    trace = made.trace(made.record(made.power(limits=Specification(0.001)), t_s, made.step_load(t_s)), each=each)
    found = joules(trace, made.of(trace))
    assert found.gross.verdict == "resolved"
    assert found.lock.period_s == pytest.approx(period_s, rel=0.01)


@pytest.mark.parametrize("harmonic", [1, 2])
def test_u_covers_samples_that_beat_slowly_with_the_iterations(harmonic):
    inside, rng = [], np.random.default_rng(8)
    for _ in range(60):
        period_s = 0.05 / harmonic * rng.uniform(0.98, 1.02)
        end_s = 20 + period_s * int(30 / period_s)
        t_s = np.arange(-0.5 + rng.uniform(0, 0.05), 70.5, 0.05)
        on = (t_s > 20) & (t_s < end_s) & ((t_s - 20) / period_s % 1 < 0.4)
        watts = 1.6 + 0.5 * on + 1e-4 * rng.standard_normal(len(t_s))
        trace = made.trace(made.record(made.power(), t_s, watts), spans={**made.RUN, "run": (20.0, end_s)},
                           iterations=round((end_s - 20) / period_s))  # fmt: skip
        found = joules(trace, made.of(trace)).gross
        if found.u95 is not None:
            inside.append(abs(found.value - (1.6 + 0.5 * 0.4) * (end_s - 20)) <= found.u95)
    assert len(inside) > 50 and np.mean(inside) >= 0.88


def test_an_average_over_whole_iterations_is_not_locked():
    t_s = np.arange(-0.5, 70.5, 0.05)
    channel = made.power(kind="average", limits=Specification(0.001), refresh_s=0.05, averaging_s=0.05)
    trace = made.trace(made.record(channel, t_s, made.step_load(t_s)), each=np.arange(20.0, 50.0, 0.05))
    assert joules(trace, made.of(trace)).gross.verdict == "resolved"


def test_an_average_over_whole_iterations_takes_no_slow_change_for_theirs():
    t_s = np.arange(-0.5, 70.5, 0.05)
    channel = made.power(kind="average", limits=Specification(0.001), refresh_s=0.05, averaging_s=0.05)
    watts = made.step_load(t_s) + np.where((t_s > 20) & (t_s < 50), 0.02 * (t_s - 20), 0.0)
    u95s = []
    for each in ((), np.arange(20.0, 50.0001, 0.05)):
        trace = made.trace(made.record(channel, t_s, watts), each=each)
        u95s.append(joules(trace, made.of(trace)).gross.u95)
    assert u95s[1] <= 1.001 * u95s[0]
