"""Learning-rate schedules in exact fractions, indexed by drawn iterations."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import pytest

from algo.fraction_text import read_fraction
from algo.sgd import Sgd

TENTH = Fraction(1, 10)
MILESTONES = Sgd(lr=TENTH, warmup=3, steps=64, schedule="milestones", milestones=(32, 48), factor=TENTH)
COSINE = Sgd(lr=TENTH, warmup=4, steps=40, schedule="cosine")


def test_linear_rises_and_falls():
    sgd = Sgd(lr=TENTH, warmup=4, steps=10)
    assert [sgd.rate(i) / sgd.lr for i in (0, 3, 4, 7, 9, 10, 99)] == [
        Fraction(1, 5), Fraction(4, 5), 1, Fraction(1, 2), Fraction(1, 6), 0, 0,
    ]  # fmt: skip
    assert Sgd(lr=TENTH).rate(10**9) == TENTH


def test_milestones():
    rates = [MILESTONES.rate(i) for i in (2, 3, 31, 32, 47, 48, 63, 10**6)]
    assert rates == [TENTH * 3 / 4, TENTH, TENTH, TENTH**2, TENTH**2, TENTH**3, TENTH**3, TENTH**3]


def test_every_milestone_of_a_run_of_nominal_length_fires():
    sgd = Sgd(lr=TENTH, steps=64_000, schedule="milestones", milestones=(32_000, 48_000))
    assert len({sgd.rate(i) for i in range(0, 64_000, 1000)}) == 3


def test_cosine_is_the_wave_and_exact_at_its_quarters():
    for i in range(4, 40):
        assert float(COSINE.rate(i)) == pytest.approx(0.05 * (1 + math.cos(math.pi * (i - 4) / 36)), abs=1e-7)
    assert [COSINE.rate(i) for i in (4, 16, 22, 28, 40)] == [TENTH, TENTH * 3 / 4, TENTH / 2, TENTH / 4, 0]
    assert COSINE.rate(1) == TENTH * 2 / 5


def test_constant_does_not_end():
    assert Sgd(lr=TENTH, steps=5, schedule="constant").rate(100) == TENTH


def test_json_of_linear_is_as_it_was_and_every_schedule_comes_back():
    linear = Sgd(lr=TENTH, warmup=4, steps=10)
    assert linear.to_json() == {"lr": "1/10", "momentum": "9/10", "weight_decay": "0", "warmup": 4, "steps": 10}
    for sgd in (linear, MILESTONES, COSINE, Sgd(schedule="constant")):
        assert Sgd.from_json(json.loads(json.dumps(sgd.to_json()))) == sgd


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"schedule": "step"}, "none of linear"),
        ({"schedule": "milestones"}, "needs at least one milestone"),
        ({"milestones": (1,)}, "has no milestones"),
        ({"schedule": "milestones", "milestones": (3, 2)}, "do not fall"),
        ({"schedule": "milestones", "milestones": (3, 4.5)}, "whole numbers"),
        ({"schedule": "milestones", "milestones": (3,), "factor": 2}, "at most 1"),
        ({"schedule": "cosine"}, "number of iterations"),
        ({"lr": "1/0"}, "such as 1/10"),
    ],
)
def test_what_cannot_be_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        Sgd(**wrong)


def test_fractions_are_read_as_they_are_meant():
    for written, meant in ((0.1, TENTH), ("0.1", TENTH), ("1/10", TENTH), (" 1e-1 ", TENTH), (3, Fraction(3)), (TENTH, TENTH)):
        assert read_fraction(written) == meant
    assert read_fraction("1e999") == 10**999


@pytest.mark.parametrize("written", ["1e999999999", "1E+1_000", "1e-99999", "1" * 300, "nan", "inf", "", True, None, "1/x"])
def test_a_number_that_cannot_be_meant_is_refused_before_it_fills_the_memory(written):
    with pytest.raises(ValueError):
        read_fraction(written)
    with pytest.raises(ValueError, match="lr is .*; it must be a number or a fraction such as 1/10"):
        Sgd(lr=written)


def test_a_rate_beyond_all_floats_is_named():
    with pytest.raises(ValueError, match="lr is beyond what a float holds; it must be above 0 and at most 16"):
        Sgd(lr="1e999")
