"""Budget: quantiles of t, degrees of freedom, errors that are one and the same, and a budget worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import trace_cases as made
from scipy import stats

from host.sensor import Specification
from measurements.budget import Source, Term, combined, effective_dof, of_terms, student_t
from measurements.error_sources import quantisation
from measurements.joules import joules


@pytest.mark.parametrize("dof", [1, 1.5, 2, 3.7, 9, 28.3, 250, 1e4, 3e7, math.inf])
@pytest.mark.parametrize("p", [0.5, 0.6, 0.9, 0.975, 0.97725, 0.9999, 0.02])
def test_quantile_of_t_is_that_of_scipy(p, dof):
    assert student_t(p, dof) == pytest.approx(float(stats.t.ppf(p, dof)), rel=1e-9, abs=1e-12)


def test_no_quantile_where_there_is_none():
    with pytest.raises(ValueError, match="degrees"):
        student_t(0.975, 0)
    with pytest.raises(ValueError, match="p = 1"):
        student_t(1, 5)


def test_effective_degrees_of_freedom_by_welch_and_satterthwaite():
    assert effective_dof([(3.0, 4.0)]) == pytest.approx(4.0)
    assert effective_dof([(1.0, 5.0), (1.0, 5.0)]) == pytest.approx(10.0)
    assert effective_dof([(1.0, math.inf), (1.0, 5.0)]) == pytest.approx(4 / (1 / 5))
    assert math.isinf(effective_dof([(1.0, math.inf)]))


def test_coverage_factor_is_two_for_many_degrees_of_freedom_and_more_for_few():
    assert of_terms([Term("gain", 1.0, math.inf, True, 1.0)]).k == pytest.approx(2.0, abs=1e-9)
    assert of_terms([Term("noise", 1.0, 4.0, False, 0.5)]).k == pytest.approx(2.87, abs=0.005)  # GUM table G.2, 95.45 %


def test_errors_with_one_key_add_with_their_signs_and_others_in_squares():
    sources = [Source("offset", ("a",), 3.0), Source("offset", ("a",), -3.0)]
    sources += [Source("gain", ("a",), 3.0), Source("gain", ("b",), -4.0)]
    terms = {term.name: term.u_j for term in combined(sources).terms}
    assert terms == {"offset": 0.0, "gain": pytest.approx(5.0)}


@pytest.mark.parametrize("lasting_first", [True, False])
def test_a_line_lasts_and_grows_as_the_worst_of_its_sources(lasting_first):
    sources = [Source("offset", ("a",), 1.0, systematic=True, grows=1.0), Source("offset", ("b",), 1.0)]
    (line,) = combined(sources if lasting_first else sources[::-1]).terms
    assert line.systematic and line.grows == 1.0


def test_the_budget_worked_by_hand():
    """1.551 W for 10 s above 4.809 W, shunt within 1 %, chip within 0.1 %, values every 35.2 ms: the sheet says 0.60 %."""
    spans = {"idle before": (0.0, 20.0), "run": (20.0, 30.0), "idle after": (30.0, 50.0)}
    t_s = np.arange(-1, 51, 0.0352) + 0.011
    watts = made.step_load(t_s, 4.809, 6.360, spans)
    limits = Specification(0.001, offset=0.012, shunt=0.01)
    trace = made.trace(made.record(made.power(limits=limits), t_s, watts), spans=spans)
    found = joules(trace, made.of(trace), idle=made.idle(trace))
    terms = {term.name: term.u_j for term in found.budget_net.terms}
    assert found.net.value == pytest.approx(15.51, abs=0.03)
    assert terms["shunt"] == pytest.approx(0.0895, abs=0.0003)
    assert terms["gain"] == pytest.approx(0.00895, abs=0.0001)
    assert terms["edges"] == pytest.approx(1.551 * 0.0352 / math.sqrt(6), rel=0.01)
    assert terms["offset"] == pytest.approx(0.0, abs=1e-12)
    assert found.budget_net.u_j / found.net.value == pytest.approx(0.0060, abs=0.0001)
    gross = {term.name: term.u_j for term in found.budget_gross.terms}
    assert gross["offset"] == pytest.approx(0.012 * 10 / math.sqrt(3), rel=1e-9)
    assert gross["shunt"] == pytest.approx(0.01 * found.gross.value / math.sqrt(3), rel=1e-9)


def test_quantisation_of_levels_flicker_and_ramps():
    ones = np.full(1000, 0.01)
    still = 0.1 / math.sqrt(12)
    assert quantisation(np.full(1000, 1.6), ones, 0.1) == pytest.approx(10 * still)
    assert quantisation(np.repeat([1.6, 2.4], 500), ones, 0.1) == pytest.approx(10 * still * math.sqrt(0.5))
    assert quantisation(np.repeat([1.6, 1.7], 500), ones, 0.1) == 0.0
    assert quantisation(np.repeat([1.6, 1.7], [900, 100]), ones, 0.1) == pytest.approx(10 * still * 0.8)
    assert quantisation(np.rint(np.linspace(1, 3, 1000) * 10) / 10, ones, 0.1) < 0.02 * 10 * still
    assert quantisation(np.full(1000, 1.6), ones, 0.0) == 0.0
