"""Fits of energy models: exact recovery, what is not determined, weights, intervals, workloads left out, error figures."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import kendalltau

from measurements.error_figures import error_figures, kendall_tau
from measurements.fit import FitError, fit, left_out
from measurements.null_models import NULL_MODELS, best_factor, null_left_out

TRUE = np.array([2.0, 0.5, 0.0, 7.0])
NAMES = [f"workload {i // 3}" for i in range(30)]


def amounts(seed=0, runs=30, columns=4):
    """Return amounts of which the three repeats of a workload are nearly the same."""
    rng = np.random.default_rng(seed)
    of_workload = rng.gamma(0.7, 1.0, (runs // 3, columns)).repeat(3, axis=0)
    return of_workload * rng.uniform(0.98, 1.02, (runs, columns))


def test_exact_energies_give_the_coefficients_back():
    counts = amounts()
    found = fit(counts, counts @ TRUE, np.full(30, 0.01), NAMES)
    assert found.coefficients == pytest.approx(TRUE, abs=1e-9)
    assert found.tau == 0 and found.determined.all() and 1 < found.condition < 20
    assert np.all(found.low <= TRUE + 1e-9) and np.all(found.high >= TRUE - 1e-9)
    assert left_out(counts, counts @ TRUE, np.full(30, 0.01), NAMES) == pytest.approx(counts @ TRUE, rel=1e-9)


def test_coefficients_are_never_negative():
    counts = amounts()
    found = fit(counts, counts @ [2.0, 0.5, -1.0, 7.0], np.full(30, 0.01))
    assert found.coefficients.min() == 0 and np.isnan(found.low).all()


def test_a_column_without_amounts_is_not_determined():
    counts = amounts()
    counts[:, 1] = 0
    found = fit(counts, counts @ TRUE, np.full(30, 0.01), NAMES)
    assert list(found.determined) == [True, False, True, True]
    assert found.coefficients == pytest.approx([2.0, 0.0, 0.0, 7.0], abs=1e-9)
    assert np.isnan(found.low[1]) and np.isnan(found.high[1]) and np.isfinite(found.condition)


def test_columns_that_depend_on_each_other_have_no_condition_but_a_sum():
    counts = amounts()
    counts[:, 1] = 3 * counts[:, 0]
    energy = counts @ TRUE
    found = fit(counts, energy, np.full(30, 0.01), NAMES)
    assert found.condition == float("inf") or found.condition > 1e12
    assert found.predict(counts) == pytest.approx(energy, rel=1e-9)


def test_fewer_runs_than_columns_have_no_condition():
    counts = amounts()[:3]
    assert fit(counts, counts @ TRUE, np.full(3, 0.01)).condition == float("inf")


def test_negative_net_energies_are_kept():
    energy = np.array([-1.0, 1.0, 1.0, 1.0])
    found = fit(np.ones((4, 1)), energy, np.full(4, 10.0))
    assert found.coefficients == pytest.approx([0.5])


def test_a_run_weighs_by_its_uncertainty():
    found = fit(np.ones((2, 1)), np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    assert found.coefficients == pytest.approx([(1.0 + 2.0 / 4) / (1 + 1 / 4)])


def test_scatter_beyond_the_uncertainties_is_found():
    rng = np.random.default_rng(1)
    counts = amounts(2, runs=300)
    energy = counts @ TRUE * rng.normal(1.0, 0.2, 300)
    found = fit(counts, energy, 1e-6 * energy)
    assert found.tau == pytest.approx(0.2, rel=0.25)
    assert found.coefficients == pytest.approx(TRUE, abs=0.5)


def test_intervals_hold_the_truth_and_draw_whole_workloads():
    covered, widths = [], []
    for trial in range(40):
        rng = np.random.default_rng(trial)
        counts = amounts(trial, runs=75)
        names = [f"workload {i // 3}" for i in range(75)]
        energy = counts @ TRUE * np.repeat(rng.normal(1.0, 0.1, 25), 3)  # repeats of a workload are off together
        found = fit(counts, energy, 0.001 * energy, names, trial)
        covered.append((found.low <= TRUE) & (TRUE <= found.high))
        alone = fit(counts, energy, 0.001 * energy, [str(i) for i in range(75)], trial)
        widths.append((found.high - found.low)[[0, 3]] / (alone.high - alone.low)[[0, 3]])
    assert np.mean(covered) > 0.85  # percentiles of 25 workloads are a little narrow
    assert np.median(widths) > 1.3  # drawn one by one, repeats would pretend to know three times as much


def test_all_repeats_of_a_workload_are_left_out_together():
    counts = np.zeros((6, 2))
    counts[:4, 0], counts[4:, 1] = 1, 1
    energy = np.array([2.0, 2.0, 2.0, 2.0, 5.0, 5.0])
    predicted = left_out(counts, energy, np.full(6, 0.1), ["a", "a", "b", "b", "only here", "only here"])
    assert predicted == pytest.approx([2, 2, 2, 2, 0, 0])


@pytest.mark.parametrize(("change", "said"), [
    (lambda c, e, u: (c, e, u * 0), "positive"), (lambda c, e, u: (c * 0, e, u), "no run has an amount"),
    (lambda c, e, u: (c, e, u * np.nan), "finite"),
])  # fmt: skip
def test_impossible_fits(change, said):
    with pytest.raises(FitError, match=said):
        fit(*change(np.ones((3, 1)), np.ones(3), np.ones(3)))


def test_one_workload_cannot_be_left_out():
    with pytest.raises(FitError, match="at least 2"):
        left_out(np.ones((3, 1)), np.ones(3), np.ones(3), ["a"] * 3)


def test_error_figures_by_hand():
    truth, u95 = np.array([10.0, 20.0, 40.0, 4.9]), np.array([1.0, 1.0, 1.0, 1.0])
    found = error_figures(np.array([11.0, 19.0, 44.0, 9.8]), truth, u95)
    assert (found.runs, found.resolved) == (4, 3)
    assert found.mape == pytest.approx((0.1 + 0.05 + 0.1) / 3)
    assert found.bias == pytest.approx((0.1 - 0.05 + 0.1) / 3)
    assert found.worst == pytest.approx(0.1)
    spread = np.sum((truth - truth.mean()) ** 2)
    assert found.r2 == pytest.approx(1 - (1 + 1 + 16 + 4.9**2) / spread)
    assert found.kendall_tau == pytest.approx(1.0)
    assert found.over_u == pytest.approx((1 + 4) / 2) and found.within_u == pytest.approx(0.5)


def test_figures_without_a_resolved_run():
    found = error_figures(np.ones(3), np.ones(3), np.full(3, 1.0))
    assert found.resolved == 0 and found.mape is found.bias is found.worst is found.r2 is found.kendall_tau is None


@pytest.mark.parametrize("truth_j", [0.1, 0.3, 0.7])
def test_truths_that_do_not_differ_have_no_spread(truth_j):
    found = error_figures(truth_j * np.arange(1, 4), np.full(3, truth_j), np.full(3, 0.01))
    assert found.r2 is found.kendall_tau is None


def test_kendall_tau_is_that_of_scipy():
    rng = np.random.default_rng(3)
    for _ in range(20):
        a, b = rng.integers(0, 6, 15), rng.integers(0, 6, 15)
        assert kendall_tau(a, b) == pytest.approx(kendalltau(a, b).statistic)


def test_a_null_model_does_its_best_on_the_figure():
    rng = np.random.default_rng(4)
    times, energy = rng.uniform(1, 3, 41), rng.uniform(1, 9, 41)
    found = best_factor(times, energy, np.ones(41, bool))

    def error(factor):
        return np.mean(np.abs(factor * times - energy) / energy)

    assert all(error(found) <= error(factor) + 1e-12 for factor in np.linspace(0, 9, 500))
    counted = np.array([True, True, False])
    assert best_factor(np.array([1.0, 1.0, 1.0]), np.array([2.0, 2.0, 900.0]), counted) == 2.0
    assert best_factor(np.zeros(3), np.ones(3), counted) == 0.0


def test_the_null_model_of_multiply_accumulates_counts_those_of_few_bits_too():
    amount = NULL_MODELS["multiply-accumulates only"]
    assert amount(SimpleNamespace(counters={"cycles": 5, "macs_int8": 20, "macs_int4": 3})) == 23.0
    assert amount(SimpleNamespace(counters={})) == 0.0


def test_a_null_model_is_left_out_like_the_others():
    energy = np.array([2.0, 2.0, 6.0, 6.0])
    assert null_left_out(np.ones(4), energy, np.ones(4, bool), ["a", "a", "b", "b"]) == pytest.approx([6, 6, 2, 2])
