"""Policies and methods: what they draw, decide and remember; what contradicts itself is refused in one sentence."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from algo.policies.checkpoint import packed, unpacked
from algo.policies.decision import LOSS_BITS, Decision, MethodError
from algo.policies.draws import below, draws, happens
from algo.policies.method import METHODS, Course, Method, drawn_batches
from algo.policies.precision import Cpt
from algo.policies.stochastic_depth import StochasticDepth
from algo.update_rule import UpdateRule

BLOCKS = (("blocks.1", 16), ("blocks.2", 16), ("blocks.4", 32), ("blocks.5", 32))


def course(name: str, settings: dict | None = None, iterations: int = 1000, epoch: int = 50, seed: int = 3) -> Course:
    return Method.from_settings(name, settings).begin(seed, iterations, epoch, BLOCKS)


def loss(nats: float) -> float:
    """As algo.loss rounds it."""
    return int(nats * (1 << LOSS_BITS)) / (1 << LOSS_BITS)


@pytest.mark.parametrize("seed", [0, 1, 2, 2**32 - 1])
def test_smd_executes_half_of_ten_thousand_draws(seed):
    executed = [course("smd", seed=seed, iterations=10_000).executes(i) for i in range(10_000)]
    assert sum(executed) / 10_000 == pytest.approx(0.5, abs=0.015)
    together = sum(a and b for a, b in zip(executed, executed[1:], strict=False))
    assert together / 10_000 == pytest.approx(0.25, abs=0.02), "neighbours are independent"


def test_smd_drops_with_the_probability_asked_for_and_never_with_none():
    third = course("smd", {"smd": {"drop": "1/3"}}, iterations=10_000)
    assert sum(third.executes(i) for i in range(10_000)) / 10_000 == pytest.approx(2 / 3, abs=0.015)
    assert all(course("smd", {"smd": {"drop": 0}}).executes(i) for i in range(1000))


def test_a_dropped_mini_batch_is_not_loaded():
    loaded = []

    def draw(iteration):
        loaded.append(iteration)
        return np.zeros(1), np.zeros(1)

    run = course("smd", iterations=100)
    executed = [number for _, _, number in drawn_batches(draw, run)]
    assert executed == loaded == [i for i in range(100) if run.executes(i)] and 30 < len(loaded) < 70


def test_draws_are_uniform_and_independent_of_the_mini_batchs_size():
    found = np.stack([draws(0, i, "slu.a", 128) for i in range(400)]) / 2**32
    assert found.mean() == pytest.approx(0.5, abs=0.005) and found.std() == pytest.approx(12**-0.5, abs=0.005)
    between_images = np.corrcoef(found.T) - np.eye(128)
    assert np.abs(between_images).max() < 0.25
    np.testing.assert_array_equal(draws(5, 9, "b", 128)[:7], draws(5, 9, "b", 7))
    assert (draws(5, 9, "b", 7) != draws(5, 10, "b", 7)).all()


def test_happens_is_exact_at_the_edges():
    assert not happens(0, Fraction(0)) and happens(2**32 - 1, Fraction(1))
    assert happens(2**31 - 1, Fraction(1, 2)) and not happens(2**31, Fraction(1, 2))
    assert happens(np.array([2**32 - 1]), Fraction(2**30 - 1, 2**30)).tolist() == [False]


def test_stochastic_depth_survives_linearly_or_equally():
    assert StochasticDepth("1/2").survivals(4) == (Fraction(7, 8), Fraction(3, 4), Fraction(5, 8), Fraction(1, 2))
    assert set(StochasticDepth("1/2", "constant").survivals(4)) == {Fraction(1, 2)}
    run = course("sd", {"sd": {"survival": "1/2"}})
    shares = np.zeros(4)
    for iteration in range(100):
        gates = run.gates(run.decide(iteration))
        shares += [gates.decide(block, 64).mean() for block in range(4)]
    np.testing.assert_allclose(shares / 100, [7 / 8, 3 / 4, 5 / 8, 1 / 2], atol=0.02)
    assert run.evaluation_gates().decide(3, 5).all()
    assert course("plain").gates(Decision(0)) is None


def test_decisions_of_stochastic_depth_that_are_made_ahead_are_those_of_each_iteration():
    """Mini-batches may be dropped in between, be smaller, and come again after a checkpoint: nothing but the number decides."""
    run = Method.from_settings("sd", {"sd": {"survival": "3/7"}}).begin(5, 100, None, BLOCKS)
    survivals, made = StochasticDepth("3/7").survivals(len(BLOCKS)), []
    for iteration, images in ((0, 6), (1, 6), (7, 6), (8, 6), (9, 5), (10, 6), (31, 6), (64, 6), (65, 6)):
        gates = run.gates(Decision(iteration))
        for block, (name, _) in enumerate(BLOCKS):
            alone = happens(draws(5, iteration, f"sd.{name}", images), survivals[block])
            np.testing.assert_array_equal(gates.decide(block, images), alone)
        made.append(gates.processor_work()[0] > len(BLOCKS))
    assert made == [True, False, False, True, True, True, True, True, False]


def test_what_a_draw_is_below_is_exact():
    assert below(Fraction(0)) == 0
    for probability in (Fraction(1), Fraction(1, 2), Fraction(1, 3), Fraction(12345, (1 << 30) - 1)):
        assert happens(below(probability) - 1, probability) and not happens(below(probability), probability)


def test_cpt_follows_its_formula():
    run = course("cpt", iterations=3200)
    bits = [run.decide(i) for i in range(3200)]
    for i, decision in enumerate(bits):
        exact = 3 + 2.5 * (1 - np.cos(np.pi * (i % 100) / 100))
        assert abs(decision.forward_bits - exact) <= 0.5 + 1e-9 and decision.backward_bits == 8
    assert [bits[i].forward_bits for i in (0, 50, 99, 100)] == [3, 6, 8, 3], "ties go up"
    assert Cpt(4, 6, 6, 1).bits(100, 300) == 5, "cos of 60 degrees is exact, so 4.5 is a tie"


def test_fractrain_waits_for_the_loss_to_rest():
    settings = {"fractrain": {"forward": [3, 6, 8], "backward": [6, 6, 8], "epsilon": "1/10", "shrink": "1/2", "window": 3}}
    run, stages = course("fractrain", settings, iterations=1000, epoch=5), []
    falls = [2.0 - 0.25 * min(epoch, 4) for epoch in range(40)]  # at rest from epoch 4 on
    for iteration in range(100):
        decision = run.decide(iteration)
        stages.append((decision.forward_bits, decision.backward_bits))
        run.executed(decision, loss(falls[iteration // 5]))
    per_epoch = stages[::5]
    assert stages == [stage for stage in per_epoch for _ in range(5)], "stages change between epochs only"
    # Epochs 4 to 7 are level: the switch follows epoch 7. The next stage has its own four epochs, 8 to 11.
    assert per_epoch == [(3, 6)] * 8 + [(6, 6)] * 4 + [(8, 8)] * 8


def test_fractrains_threshold_shrinks():
    def switches(shrink):
        settings = {"fractrain": {"forward": [3, 6, 8], "backward": [6, 6, 8], "epsilon": "1/2", "shrink": shrink, "window": 2}}
        run = course("fractrain", settings, epoch=1)
        for iteration in range(40):
            decision = run.decide(iteration)
            run.executed(decision, loss(1.0 + 0.2 * (iteration % 2)))
        return decision.forward_bits

    assert switches("1") == 8 and switches("1/10") == 6


@pytest.mark.parametrize(("stages", "window", "first"), [((3, 6, 8), 2, 30), ((3, 8), 4, 25), ((8,), 3, 0)])
def test_fractrain_in_a_run_too_short_for_its_last_stage_says_so(stages, window, first):
    settings = {"fractrain": {"forward": stages, "backward": [8] * len(stages), "window": window}}

    def last_bits(iterations):
        run = course("fractrain", settings, iterations, epoch=5)
        for iteration in range(iterations):
            decision = run.decide(iteration)
            run.executed(decision, loss(1.0))  # it rests all the time, so every stage is as short as can be
        return decision.forward_bits, run.notes

    assert last_bits(first + 1) == (stages[-1], ())
    if first:
        bits, (note,) = last_bits(first)
        assert bits == stages[-2] and f"iteration {first} at the earliest, and the run has {first}" in note


def test_swa_is_the_exact_mean():
    run = course("swa", {"swa": {"start": "1/2", "every": 10}}, iterations=100)
    added, rng = [], np.random.default_rng(0)
    for iteration in range(100):
        decision = run.decide(iteration)
        if decision.average:
            added.append(rng.integers(-(1 << 23), 1 << 23, (3, 2)))
            run.average.add({"w": added[-1].astype(np.int32)})
        assert decision.average == (iteration in (50, 60, 70, 80, 90))
        assert decision.replace == (iteration == 95) and decision.settles == (iteration >= 95)
    expected = [(2 * sum(map(int, column)) + 5) // 10 for column in zip(*(one.ravel() for one in added), strict=True)]
    assert run.average.mean()["w"].ravel().tolist() == expected


def test_dropped_iterations_lose_no_average():
    run = course("smd+swa", {"smd": {"drop": "3/4"}, "swa": {"start": "0", "every": 20}}, iterations=400)
    taken = []
    for iteration in range(400):
        decision = run.decide(iteration)
        assert decision.execute or not decision.average
        if decision.average:
            taken.append(iteration)
            run.average.add({"w": np.zeros(1, np.int64)})
    assert [iteration // 20 for iteration in taken] == list(range(19)), "the last twenty settle"


@pytest.mark.parametrize("seed", range(8))
def test_one_settling_iteration_is_executed_whatever_is_dropped(seed):
    run = course("smd+swa", {"smd": {"drop": "9/10"}, "swa": {"start": "0", "every": 1, "settle": 1}}, 60, seed=seed)
    decisions = []
    for iteration in range(60):
        decisions.append(run.decide(iteration))
        if decisions[-1].average:
            run.average.add({"w": np.zeros(1, np.int64)})
    assert sum(one.replace for one in decisions) == 1 and [one for one in decisions if one.execute][-1].settles


def test_a_run_in_which_nothing_can_be_averaged_says_so():
    few = course("smd+swa", {"smd": {"drop": "9/10"}}, 12, seed=1)
    assert not any(few.executes(iteration) for iteration in range(9, few.average.settles_from))
    assert few.notes == ("swa averages nothing: no iteration from 9 on is executed before the last; a longer run, an earlier "
                         "start or fewer drops would leave some",)  # fmt: skip
    assert not course("smd+swa", {"smd": {"drop": "9/10"}}, 200, seed=1).notes


def everything(run: Course, start: int, stop: int) -> list:
    found, rng = [], np.random.default_rng(start)
    for iteration in range(start, stop):
        decision = run.decide(iteration)
        found.append(decision)
        if decision.execute:
            run.executed(decision, loss(float(rng.random() / 100 + 1)))
        if decision.average:
            run.average.add({"w": rng.integers(-5, 5, 4)})
    return found


def test_a_course_goes_on_from_a_checkpoint_bit_for_bit(tmp_path):
    name, settings = "smd+fractrain+swa+signsgd", {"fractrain": {"window": 2}, "swa": {"start": "1/10", "every": 7}}
    whole, first, second = (course(name, settings, epoch=10) for _ in range(3))
    assert everything(whole, 0, 200) == everything(first, 0, 200)
    data, arrays = packed(first.state())
    np.savez(tmp_path / "arrays.npz", **arrays)
    with np.load(tmp_path / "arrays.npz") as stored:
        second.restore(unpacked(json.loads(json.dumps(data)), dict(stored)))
    assert everything(whole, 200, 400) == everything(second, 200, 400)
    assert (whole.drawn, whole.executed_count) == (second.drawn, second.executed_count)
    np.testing.assert_array_equal(whole.average.mean()["w"], second.average.mean()["w"])


def test_a_checkpoint_of_another_method_is_refused():
    with pytest.raises(MethodError, match="they must agree"):
        course("smd").restore(course("swa").state())


def test_methods_compose_and_come_back_from_json():
    method = Method.from_settings("smd+swa", {"smd": {"drop": 0.25}, "cpt": {"lowest": 4}})
    assert [policy.name for policy in method.policies] == ["smd", "swa"], "settings of other policies are checked and left out"
    assert method["smd"].drop == Fraction(1, 4)
    for name in METHODS:
        assert Method.from_json(json.loads(json.dumps(Method.from_settings(name).to_json()))) == Method.from_settings(name)
    assert Method.from_settings("signsgd").update == "signsgd" and Method.from_settings("smd").update == "sgd"


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("adam", {}, "method 'adam' is not known; there are plain"),
        ("smd", {"smdd": {}}, "no such policy"),
        ("smd", {"smd": {"p": 0.5}}, "smd has no setting p; its settings are drop"),
        ("smd", {"smd": {"drop": 1}}, "no mini-batch would ever be executed"),
        ("smd", {"smd": {"drop": "x"}}, 'a fraction such as "1/2"'),
        ("smd", {"smd": {"drop": -1}}, "it is 0 to 1"),
        ("plain", {"smd": {"drop": 2}}, "it is 0 to 1"),
        ("sd", {"sd": {"survival": 0}}, "would never run"),
        ("sd", {"sd": {"rule": "square"}}, "there are linear, constant"),
        ("cpt", {"cpt": {"lowest": 8, "highest": 3}}, "lowest is at most highest"),
        ("cpt", {"cpt": {"backward": 16}}, "2 to 8"),
        ("static", {"static": {"forward": 1}}, "2 to 8"),
        ("smd+swa+smd", {}, "joins policies that differ; plain is none"),
        ("plain+smd", {}, "joins policies that differ; plain is none"),
        ("cpt+fractrain", {}, "which decide the same"),
        ("static+cpt", {}, "which decide the same"),
        ("signsgd+psg", {}, "which decide the same"),
        ("psg_abstain+psg", {}, "which decide the same"),
        ("psg_abstain", {"psg_abstain": {"beta": 1}}, "0 to below 1"),
        ("signsgd", {"signsgd": {"lr": 0}}, "no weight would ever move"),
        ("psg+cpt", {}, "psg predicts from the most significant of 8 bits, and there are 3 at times"),
        ("psg_abstain+static", {"static": {"backward": 6}}, "there are 6 at times"),
        ("static", {"static": {"backward": 12}}, "static backward is 12; a whole number 2 to 8 is needed, or 16"),
        ("static", {"static": {"backward": 17}}, "static backward is 17; a whole number 2 to 8 is needed, or 16"),
        ("static", {"static": {"backward": 16.0}}, "static backward is 16.0; a whole number 2 to 8 is needed, or 16"),
        ("psg_abstain", {"psg_abstain": {"g_bits": 10}}, "2 to 8 is needed, or up to 16 beside gradient_bits 16"),
        ("psg_abstain", {"psg_abstain": {"gradient_bits": 16, "g_bits": 17}}, "g_bits is 17; a whole number 2 to 16 is needed"),
        ("psg_abstain", {"psg_abstain": {"gradient_bits": 16.0}}, "gradient_bits is 16.0; gradients have 8 or 16 bits, a whole"),
        ("psg_abstain", {"psg_abstain": {"gradient_bits": 9}}, "gradients have 8 or 16 bits"),
        ("psg", {"psg": {"gradient_bits": 12}}, "8 or 16"),
        ("psg", {"psg": {"gradient_bits": 8}}, "2 to 8"),
        ("fractrain", {"fractrain": {"forward": [3]}}, "as many of both"),
        ("fractrain", {"fractrain": {"forward": 3}}, "a list of bits"),
        ("slu", {"slu": {"blocks": "some"}}, "slu blocks is 'some'; there are all, identity"),
        ("sd", {"sd": {"blocks": ["blocks.1"]}}, "there are all, identity"),
        ("swa", {"swa": {"start": "1"}}, "no iteration left"),
        ("swa", {"swa": {"every": -1}}, "from 0 is needed"),
        ("swa", {"swa": {"settle": "x"}}, "from 0 is needed"),
    ],
)
def test_what_cannot_be_is_refused(name, settings, said):
    with pytest.raises(MethodError) as found:
        Method.from_settings(name, settings)
    assert said in str(found.value) and "\n" not in str(found.value)


def test_update_rules_and_their_learning_rate():
    assert Method.from_settings("smd").update_rule == UpdateRule() and Method.from_settings("smd").rate is None
    signs = Method.from_settings("signsgd", {"signsgd": {"lr": "1/50"}})
    assert signs.update_rule == UpdateRule("sign") and signs.rate == Fraction(1, 50)
    abstains = Method.from_settings("e2train", {"psg_abstain": {"beta": "1/10", "x_bits": 3}})
    assert abstains.update_rule == UpdateRule("psg_abstain", x_bits=3, beta=Fraction(1, 10)) and abstains.rate == Fraction(3, 100)
    paper = Method.from_settings("psg_abstain", {"psg_abstain": {"g_bits": 10, "gradient_bits": 16}})
    assert paper.update_rule == UpdateRule("psg_abstain", g_bits=10, gradient_bits=16)
    two_bytes = Method.from_settings("signsgd+static", {"static": {"forward": 6, "backward": 16}})
    assert two_bytes.update_rule == UpdateRule("sign", gradient_bits=16)
    assert two_bytes.begin(0, 10).decide(0).bits == (6, 16) and paper.begin(0, 10).decide(0).bits == (8, 16)
    decisions = [abstains.begin(0, 100, 50, BLOCKS).decide(iteration) for iteration in range(20)]
    assert {one.update for one in decisions if one.execute} == {"psg_abstain"}


def test_a_combination_leaves_out_gates_that_have_nothing_to_gate():
    run = Method.from_settings("e2train").begin(0, 100)
    assert run.notes == ("slu has nothing to do: the network has no block that may be skipped",)
    assert run.gates(run.decide(0)) is None
    identity = Method.from_settings("e2train", {"slu": {"blocks": "identity"}})
    (note,) = identity.begin(0, 100).notes
    assert note.startswith("slu has nothing to do") and note.endswith("its setting blocks asks for those alone")
    assert (identity.gates_projections, Method.from_settings("e2train").gates_projections) == (False, True)
    assert Method.from_json(identity.to_json()) == identity and identity.to_json()["settings"]["slu"]["blocks"] == "identity"
    assert "blocks" not in Method.from_settings("sd").to_json()["settings"]["sd"]
    assert Method.from_settings("e2train").begin(0, 100, 50, BLOCKS).notes == ()


def test_what_does_not_fit_the_run_the_network_or_the_unit_is_refused():
    with pytest.raises(MethodError, match="this network has none"):
        Method.from_settings("sd").begin(0, 10)
    with pytest.raises(MethodError, match="32 periods in 10 iterations"):
        Method.from_settings("cpt").begin(0, 10)
    with pytest.raises(MethodError, match="none is left to average"):
        Method.from_settings("swa", {"swa": {"start": "9/10"}}).begin(0, 5)
    with pytest.raises(MethodError, match="averages the last 5 iterations and settles for 7"):
        Method.from_settings("swa", {"swa": {"start": "1/2", "settle": 7}}).begin(0, 10)
    with pytest.raises(MethodError, match="no executor computes it: use psg_abstain"):
        _ = Method.from_settings("psg").update_rule
    run = course("smd")
    run.decide(5)
    with pytest.raises(MethodError, match="decisions are taken in order"):
        run.decide(5)
