"""Remembered scalars equal those that are worked out anew, whatever moves, and few are worked out."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import pytest

from algo import known_scalars, scaling
from algo.data import random_images
from algo.delayed_scaling import DelayedScaling
from algo.export import export
from algo.known_scalars import KnownScalars
from algo.models import digits_network
from algo.sgd import Sgd


@pytest.fixture(scope="module")
def exported():
    data = random_images(1, (1, 8, 8), 8, 0, 10)
    return export(digits_network(0), data.train, data.train_labels, data.exponent, 8, Sgd(weight_decay="1/1000", steps=100))


def test_words_are_those_worked_out_anew(exported):
    """Exponents that move a little, iterations that are dropped, other images, another rate, and a return to what was."""
    rng, step, state = random.Random(2), exported.step, exported.state
    known, scaled = KnownScalars(step), DelayedScaling(step)
    first = state
    for number in range(60):
        images = rng.choice((8, 8, 8, 5, 1))
        assert known(state, images) == scaling.scalars(step, state, images)
        maxima = {name: rng.choice((40, 50, 100, 126, 130)) for name in scaled.names}
        state = scaled.advance(state, maxima)
        if rng.random() < 0.3:
            state = scaled.at(state, state.iteration + rng.randint(1, 4))
        if number == 30:
            state = replace(state, sgd=replace(state.sgd, momentum=Fraction(1, 2)))
        if number == 45:
            state = first


def test_what_has_not_changed_is_not_worked_out(exported, monkeypatch):
    step, state, asked = exported.step, exported.state, []
    monkeypatch.setattr(known_scalars, "scalar", lambda one, *of: asked.append(one) or scaling.scalar(one, *of))
    known = KnownScalars(step)
    known(state, 8)
    everything = len(asked)
    assert everything == len({one for block in step.scalars.values() for one in block})
    known(state, 8)
    assert len(asked) == everything
    name = "blocks.0.conv1"
    known(replace(state, exponents=state.exponents | {name: state.exponents[name] + 1}), 8)
    assert 0 < len(asked) - everything < everything // 4
    assert all(f"{name} " in f"{one} " or f"{name}." in one for one in asked[everything:])


def test_after_an_error_nothing_passes_for_known(exported):
    step, state = exported.step, exported.state
    known = KnownScalars(step)
    known(state, 8)
    far = replace(state, exponents={name: 60 if name == "bn.grad" else e + 1 for name, e in state.exponents.items()})
    with pytest.raises(scaling.OutOfRange):
        known(far, 8)
    assert known(state, 8) == scaling.scalars(step, state, 8)
