"""Repeats and seeds: what may be put together, Student's t over repeats, and what a pilot says."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import trace_cases as made
from scipy import stats

from host.sensor import Channel, Specification
from measurements.budget import of_terms
from measurements.joules import joules
from measurements.repeats import NotPooled, plan, pool

KNOWN = {"clk_hz": 100e6, "program": "a1", "checkpoint": "c1", "seed": 7}


def run(seed=0, run_w=2.1, provenance=None, **more):
    whole = replace(made.measured(seed=seed, run_w=run_w, **more), provenance={**KNOWN, **(provenance or {})})
    return joules(whole, made.of(whole), idle=made.idle(whole))


def test_the_mean_of_repeats_has_the_t_of_their_scatter_and_what_they_share():
    values = [2.09, 2.10, 2.12, 2.10, 2.11]
    pooled = pool([run(i, watts, limits=Specification(0.002)) for i, watts in enumerate(values)])
    scatter = np.std(pooled.values_net_j, ddof=1) / math.sqrt(5)
    terms = {term.name: term for term in pooled.budget_net.terms}
    assert pooled.n == 5
    assert pooled.net.value == pytest.approx(np.mean(pooled.values_net_j))
    assert terms["repeats"].u_j == pytest.approx(scatter)
    assert terms["repeats"].dof == 4
    assert terms["gain"].u_j == pytest.approx(0.002 * 15.15 / math.sqrt(3), rel=0.05)
    assert "noise" not in terms
    u = pooled.budget_net.u_j
    assert pooled.net.u95 == pytest.approx(stats.t.ppf(0.97725, pooled.budget_net.dof) * u, rel=1e-4)
    assert pooled.budget_net.dof == pytest.approx(4 * (u / scatter) ** 4, rel=0.01)
    assert pooled.to_json()["values_j"]["net"] == list(pooled.values_net_j)


def total(limits, step_j, **more):
    """Return the joules of a meter that adds energy up in steps."""
    t_s = np.arange(-0.5, 70.5, 0.01)
    energy_j = np.floor(np.concatenate([[0.0], np.cumsum(0.01 * made.step_load(t_s)[:-1])]) / step_j) * step_j
    channel = Channel("board/energy", "J", "board", "board", "accumulated", limits)
    whole = made.trace(made.record(channel, t_s, energy_j, **more), iterations=100)
    return joules(whole, made.of(whole), idle=made.idle(whole))


def test_repeats_that_all_read_the_same_step_are_not_exact():
    one = total(Specification(0.0, quantum=1.0), 1.0, period_s=0.01)
    pooled = pool([one] * 3)
    terms = {term.name: term.u_j for term in pooled.budget_net.terms}
    assert terms["repeats"] == 0.0
    assert terms["quantisation"] == pytest.approx(1 / math.sqrt(6))
    assert terms["idle quantisation"] == pytest.approx(math.hypot(0.5, 0.5) * 30 / one.idle.parts[0][0].time_s / math.sqrt(6))
    assert pooled.net.u95 == pytest.approx(one.net.u95)


def test_what_repeats_share_with_their_idle_is_not_averaged_out():
    """Samples that are missing in idle are missing for every repeat."""
    t_s = np.arange(-0.5, 70.5, 0.002)
    keep = np.abs(t_s - 10.0) > 0.0049
    runs = []
    for seed in range(5):
        watts = made.step_load(t_s) + 0.02 * np.random.default_rng(seed).standard_normal(len(t_s))
        whole = made.trace(made.record(made.power(), t_s[keep], watts[keep]))
        runs.append(joules(whole, made.of(whole), idle=made.idle(whole)))
    alone = [{term.name: term.u_j for term in run.budget_net.terms}["idle missing samples"] for run in runs]
    pooled = {term.name: term for term in pool(runs).budget_net.terms}
    assert pooled["idle missing samples"].u_j == pytest.approx(max(alone)) and pooled["idle missing samples"].systematic


@pytest.mark.fault(37)
def test_blocks_of_different_clocks_are_not_pooled_and_a_clock_unlike_the_request_is_said():
    with pytest.raises(NotPooled, match="different clocks of the board are not pooled: 100000000.0 and 199998000.0"):
        pool([run(0), run(1, provenance={"clk_hz": 199.998e6})])
    throttled = run(0, provenance={"clk_hz": 199.998e6, "clk_hz_requested": 300e6})
    assert any("199.998 MHz, 300 MHz were asked for" in warning for warning in throttled.warnings)
    assert not run(0, provenance={"clk_hz_requested": 100e6}).warnings


@pytest.mark.parametrize(
    ("key", "value", "said"), [("seed", 8, "seeds"), ("program", "b", "programs"), ("checkpoint", "d", "checkpoints")]
)
def test_repeats_are_of_the_same_work(key, value, said):
    with pytest.raises(NotPooled, match=f"different {said}"):
        pool([run(0), run(1, provenance={key: value})])


def test_what_is_invalid_or_alone_or_the_pilot_or_of_another_idle_or_scope_is_not_pooled():
    one = run(0)
    with pytest.raises(NotPooled, match="at least two"):
        pool([one])
    with pytest.raises(NotPooled, match="the pilot"):
        pool([one, replace(one, window=replace(one.window, name="pilot"))])
    with pytest.raises(NotPooled, match="only valid"):
        pool([one, run(1, limits=Specification(None))])
    with pytest.raises(NotPooled, match="definitions of idle"):
        pool([one, replace(one, conditions={**one.conditions, "idle": ["bitstream absent"]})])
    with pytest.raises(NotPooled, match="scopes"):
        pool([one, replace(one, conditions={**one.conditions, "scope": "12 V input"})])
    with pytest.raises(NotPooled, match="labels"):
        pool([one, replace(one, conditions={**one.conditions, "label": "emulated"})])
    with pytest.raises(NotPooled, match="100, 50 iterations"):
        pool([one, replace(one, iterations=50)])


def pilot(limits, noise_w=0.05):
    spans = {"idle before": (0.0, 20.0), "pilot": (20.0, 25.0), "idle after": (25.0, 45.0)}
    t_s = np.arange(-0.5, 46, 0.05)
    watts = np.where((t_s >= 20) & (t_s < 25), 2.1, 1.6) + noise_w * np.random.default_rng(3).standard_normal(len(t_s))
    whole = made.trace(made.record(made.power(limits=limits), t_s, watts), spans=spans, iterations=53)
    return joules(whole, made.of(whole, "pilot"), idle=made.idle(whole), minimum_s=0.0, requested=1.0)


def test_a_pilot_says_how_long_and_how_often():
    said = plan(pilot(Specification(0.0005)), 0.009)
    assert said.reachable
    assert said.floor < said.expected <= 0.009 * (1 + 1e-9)
    assert said.iterations == math.ceil(said.time_s / (5 / 53) - 1e-9)
    assert said.time_s >= 10
    longer = plan(pilot(Specification(0.0005)), 0.0085)
    assert longer.time_s > said.time_s or longer.repeats > said.repeats
    spans = {"idle before": (0.0, 20.0), "run": (20.0, 20 + said.time_s), "idle after": (20 + said.time_s, 40 + said.time_s)}
    t_s = np.arange(-0.5, 41 + said.time_s, 0.05)
    runs = []
    for seed in range(said.repeats):
        watts = made.step_load(t_s, spans=spans) + 0.05 * np.random.default_rng(seed).standard_normal(len(t_s))
        whole = made.trace(made.record(made.power(limits=Specification(0.0005)), t_s, watts), spans=spans)
        runs.append(joules(whole, made.of(whole), idle=made.idle(whole)))
    pooled = pool(runs)
    assert pooled.net.u95 / pooled.net.value == pytest.approx(said.expected, rel=0.5)


def test_a_single_window_that_is_longer_has_the_u_that_was_expected_of_it():
    said = plan(pilot(Specification(0.0005)), 0.0085, repeats=1, most_repeats=1)
    assert said.reachable and said.repeats == 1 and said.time_s > 20
    spans = {"idle before": (0.0, 20.0), "run": (20.0, 20 + said.time_s), "idle after": (20 + said.time_s, 40 + said.time_s)}
    t_s = np.arange(-0.5, 41 + said.time_s, 0.05)
    watts = made.step_load(t_s, spans=spans) + 0.05 * np.random.default_rng(3).standard_normal(len(t_s))
    whole = made.trace(made.record(made.power(limits=Specification(0.0005)), t_s, watts), spans=spans)
    found = joules(whole, made.of(whole), idle=made.idle(whole))
    assert found.net.u95 / found.net.value == pytest.approx(said.expected, rel=0.25)


def test_what_no_length_reaches_is_said_with_the_floor_and_the_term_that_makes_it():
    said = plan(pilot(Specification(0.001, shunt=0.05)), 0.01)
    assert not said.reachable
    assert said.dominates == "shunt"
    assert said.floor == pytest.approx(2 * 0.05 / math.sqrt(3), rel=0.05)
    assert "cannot be reached: shunt" in said.said
    with pytest.raises(NotPooled, match="cannot be used"):
        plan(pilot(Specification(None)), 0.1)
    with pytest.raises(NotPooled, match="above 0"):
        plan(pilot(Specification(0.001)), 0.0)


@pytest.mark.parametrize("kind", ["point", "accumulated"])
def test_a_pilot_without_any_error_plans_nothing(kind):
    """A load that never changes under a sensor that is said to be exact leaves nothing to plan by, however often it is read."""
    t_s = np.arange(-0.5, 46, 0.05)
    values, unit = (np.full(len(t_s), 2.0), "W") if kind == "point" else (2.0 * t_s, "J")
    channel = Channel("board/all", unit, "board", "board", kind, Specification(0.0))
    whole = made.trace(made.record(channel, t_s, values), spans={"pilot": (20.0, 25.0)})
    found = joules(whole, made.of(whole, "pilot"), minimum_s=0.0, requested=1.0)
    for repeats in (1, 5):
        with pytest.raises(NotPooled, match="U of its gross energy is 0, .*: state its limits, or calibrate it"):
            plan(replace(found, budget_gross=of_terms(())), 0.01, net=False, repeats=repeats)
        with pytest.raises(NotPooled, match="U of its gross energy is 0"):
            plan(found, 0.01, net=False, repeats=repeats)


def test_a_pilot_that_resolves_nothing_plans_nothing():
    said = plan(pilot(Specification(0.001), noise_w=5.0), 0.1)
    assert not said.reachable
    assert "does not resolve net energy" in said.said
