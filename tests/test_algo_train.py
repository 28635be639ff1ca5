"""The digits benchmark learns in the integer emulator."""

from __future__ import annotations

import pytest

from algo.emulator import Emulator
from algo.train import DIGITS_STEPS, export_digits, train


@pytest.mark.parametrize("seed", [0])
def test_digits_reach_the_accuracy_that_the_project_promises(seed):
    exported, data = export_digits(seed)
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    losses = []
    train(emulator, data, DIGITS_STEPS, lambda iteration, loss: losses.append(loss.loss))
    assert len(losses) == DIGITS_STEPS == emulator.state.iteration
    assert losses[0] > 2 and max(losses[-5:]) < 0.5
    assert emulator.evaluate(data.test, data.test_labels) >= 0.95
