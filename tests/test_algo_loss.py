"""The integer cross-entropy against float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from algo.arithmetic import noise16, noise_key
from algo.loss import NOISE_AHEAD, LogitsNoise, LossError, cross_entropy, exp_table, gradient_of


@pytest.mark.parametrize("exponent", [-70, -30, -8, -3, 0, 3, 9])
def test_exp_table_is_rounded_correctly(exponent):
    for d, value in enumerate(exp_table(exponent)):
        assert abs(value - 2**24 * math.exp(-d * 2.0**exponent)) < 0.5001


@given(st.integers(1, 9), st.integers(2, 12), st.integers(-8, 1), st.integers(0, 2**31))
def test_loss_and_gradient(images, classes, exponent, seed):
    rng = np.random.default_rng(seed)
    logits = rng.integers(-127, 128, (images, classes)).astype(np.int8)
    labels = rng.integers(0, classes, images)
    real = torch.tensor(np.ldexp(logits.astype(float), exponent), requires_grad=True)
    expected = F.cross_entropy(real, torch.tensor(labels))
    expected.backward()
    result = cross_entropy(logits, labels, exponent, -14, None)
    assert result.loss == pytest.approx(float(expected.detach()), abs=1e-5)
    in_steps = real.grad.numpy() * 2**14
    np.testing.assert_allclose(result.gradient, in_steps.clip(-127, 127), atol=0.52)
    assert abs(result.maximum - np.abs(in_steps).max()) < 0.52
    assert result.correct == int((logits.argmax(1) == labels).sum())


def test_stochastic_rounding_keeps_the_mean():
    logits, labels = np.array([[20, 0, -20]], np.int8), np.array([1])
    nearest = cross_entropy(logits, labels, -4, -30, None).gradient
    exact = np.array([F.softmax(torch.tensor([1.25, 0, -1.25], dtype=torch.float64), 0).numpy() - [0, 1, 0]])[0] * 2**6
    found = np.mean([cross_entropy(logits, labels, -4, -6, key).gradient for key in range(2000)], axis=0)[0]
    np.testing.assert_allclose(found, exact, atol=5 * 0.5 / math.sqrt(2000))
    assert (np.abs(nearest) == 127).all()


def test_a_certain_network_has_no_gradient():
    result = cross_entropy(np.array([[127, -127]], np.int8), np.array([0]), 3, -20, None)
    assert (result.gradient == 0).all() and result.maximum == 0 and result.loss == pytest.approx(0)


@pytest.mark.parametrize(
    ("shape", "labels", "message"),
    [((2, 3), [0], "labels of shape"), ((2, 1), [0, 0], "1 classes"), ((2, 3), [0, 3], "labels from 0 to 3"),
     ((0, 3), [], "n > 0")],
)
def test_wrong_input_is_refused(shape, labels, message):
    with pytest.raises(LossError, match=message):
        cross_entropy(np.zeros(shape, np.int8), np.array(labels, int), -4, -12, None)


def test_labels_are_whole_numbers():
    """1.7 is no class, and was taken for 1."""
    logits = np.array([[3, -5, 8]], np.int8)
    for labels in (np.array([True]), np.array([1], ">u2"), [1]):
        assert cross_entropy(logits, labels, -4, -12, None).loss == cross_entropy(logits, np.array([1]), -4, -12, None).loss
    with pytest.raises(LossError, match="labels are float64; whole numbers are needed"):
        cross_entropy(logits, np.array([1.7]), -4, -12, None)


def test_an_exponent_out_of_reach_is_refused():
    with pytest.raises(LossError, match="exponent -60; the smallest is -46"):
        cross_entropy(np.zeros((1, 2), np.int8), np.array([0]), -4, -60, None)


def test_the_loss_is_a_whole_number_of_steps_so_that_policies_may_look_at_it():
    rng = np.random.default_rng(3)
    for exponent in (-9, -4, 0, 3, 40):
        logits, labels = rng.integers(-127, 128, (7, 10)).astype(np.int8), rng.integers(0, 10, 7)
        steps = cross_entropy(logits, labels, exponent, -14, None).loss * 2**24
        assert steps == int(steps) >= 0


def test_noise_made_ahead_is_that_of_each_iteration():
    noise, rng, made = LogitsNoise("logits.loss_grad", 5, 7), np.random.default_rng(2), []
    for seed, iteration in ((3, 0), (3, 1), (3, NOISE_AHEAD), (4, NOISE_AHEAD), (4, 2 * NOISE_AHEAD - 1)):
        made.append(not noise.holds(seed, iteration))
        assert noise.make(seed, iteration) == made[-1] and noise.holds(seed, iteration)
        key, ahead = noise_key(seed, iteration, "logits.loss_grad"), noise.of(seed, iteration)
        np.testing.assert_array_equal(ahead, noise16(key, np.arange(5)[:, None], np.arange(7)))
        logits, labels = rng.integers(-127, 128, (3, 7)).astype(np.int8), rng.integers(0, 7, 3)
        found, expected = gradient_of(logits, labels, -4, -16, ahead[:3]), cross_entropy(logits, labels, -4, -16, key)
        np.testing.assert_array_equal(found.gradient, expected.gradient)
        finished = found.finished()
        assert (finished.loss, finished.correct, finished.maximum) == (expected.loss, expected.correct, expected.maximum)
    assert sum(made) == 3, "once for all of a stretch, once for another seed"
