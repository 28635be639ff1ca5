"""How far int8's gradients are from float64's: the measure itself, and that a deep network's first layers lose nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from algo.emulator import Emulator
from algo.export import export
from algo.measure_gradients import Distance, distance, main, measure, table
from algo.recipe import load_recipe
from algo.start import begin
from algo.start_settings import Start
from algo.weights_file import weights_of, write_weights


def test_length_bias_and_noise_are_told_apart():
    exact, across = np.array([[3.0, 0.0], [4.0, 0.0]]), np.array([[0.0, 5.0], [0.0, 0.0]])
    found = distance(exact, np.array([0.5 * exact + across, 0.5 * exact - across]), scatter=10.0)
    # Two draws, 5 to either side of their mean: a variance of 50, of which half may be what the mean is off by.
    assert found == Distance(along=0.5, bias=0.0, noise=pytest.approx(math.sqrt(50) / 5), scatter=2.0)
    shrunk = distance(exact, np.stack([0.5 * exact] * 3), scatter=0.0)
    assert (shrunk.along, shrunk.bias, shrunk.noise) == (0.5, 0.5, 0.0)


def test_one_draw_has_no_noise_to_be_seen():
    with pytest.raises(ValueError, match="1 draws; the noise is seen from two on"):
        distance(np.ones(3), np.ones((1, 3)), 0.0)


def outlying(images):
    """Digits of an eighth of their contrast, but for one pixel: steps are as coarse behind it as photographs make them."""
    faint = images // 8
    faint[:, :, 0, 0] = 127
    return faint


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A ResNet-14 after forty iterations of the integer step, the same on every machine; its mini-batches and their exponent."""
    recipe, path = load_recipe("digits-resnet14"), tmp_path_factory.mktemp("weights") / "weights.npz"
    data = recipe.load_data(0)
    drawn = [recipe.batches(data, 0).draw(number) for number in range(40)]
    batches = [(outlying(images), labels) for images, labels in drawn]
    found = export(recipe.make_model(0), *batches[0], data.exponent, recipe.batch, recipe.sgd_for(40))
    emulator = Emulator(found.step, found.tensors, found.state)
    for images, labels in batches:
        emulator.train_step(images, labels)
    write_weights(path, weights_of(found.step, emulator.tensors(), emulator.state.exponents))
    module = recipe.make_model(0)
    begin(module, Start(weights=str(path)))
    return module, batches, data.exponent


def test_gradients_keep_their_length_from_the_loss_to_the_first_layer(trained):
    """A ReLU whose mask has lost the values that round to zero takes some of it away in every layer: of the first three 0.86 are
    left then, and 0.96 as it should be.
    """
    module, batches, exponent = trained
    found = measure(module, batches[:4], exponent, seed=0, draws=6)
    assert len(found) == 16 and list(found)[0] == "conv.weight" and list(found)[-1] == "linear.weight"
    convolutions = [one for name, one in found.items() if name != "linear.weight"]
    assert 0.91 < np.mean([one.along for one in convolutions[:3]]) < 1.1, table(found)
    assert all(one.bias < 1 and one.noise < 1 and one.scatter > 0.1 for one in convolutions)
    assert table(found).count("\n") == 17


@pytest.mark.parametrize(("given", "said"), [
    (["moon", "--weights", "w.npz"], "recipe 'moon' is not known"),
    (["digits", "--weights", "w.npz"], "weights w.npz are not there"),
    (["digits", "--weights", "w.npz", "--draws", "1"], "--draws 1 --batches 8: two draws and one mini-batch are the least"),
])  # fmt: skip
def test_a_mistake_is_one_sentence(given, said, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["measure_gradients", *given])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2 and said in capsys.readouterr().err
