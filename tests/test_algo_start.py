"""Starting from trained weights, with all layers or the head alone: through files, and to the board's bits."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_hw_compile import train_both

from algo.emulator import Emulator
from algo.export import build_step
from algo.graph import ExportError
from algo.models import digits_network
from algo.recipe import Recipe, RecipeError, load_recipe
from algo.start import begin
from algo.start_settings import Start, StartError
from algo.step import Coefficient, Update
from algo.train import export_digits, train
from algo.weights_file import WeightsError, read_weights, weights_of, write_weights

RECIPE = replace(load_recipe("digits"), batch=8, steps=8)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A digits run of five iterations: emulator, and its weights as a file."""
    exported, data = export_digits(1, 8, 8)
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    train(emulator, data, 5)
    path = tmp_path_factory.mktemp("weights") / "five.npz"
    write_weights(path, weights_of(exported.step, emulator.tensors(), emulator.state.exponents))
    return emulator, path


def test_trained_weights_survive_the_file_and_the_export(trained):
    emulator, path = trained
    module = digits_network(5).double()
    begin(module, Start(str(path)))
    for name, value in weights_of(emulator.step, emulator.tensors(), emulator.state.exponents).items():
        np.testing.assert_array_equal(module.state_dict()[name].numpy(), value.reshape(module.state_dict()[name].shape))
    exported, data = replace(RECIPE, start=Start(str(path))).export(seed=5)
    for weight in emulator.step.weights:
        exponent, other = exported.state.exponents[f"{weight}.master"], emulator.state.exponents[f"{weight}.master"]
        before, after = (np.ldexp(t[f"{weight}.master"].astype(float), e)
                         for t, e in ((emulator.tensors(), other), (exported.tensors, exponent)))  # fmt: skip
        assert abs(before - after).max() <= np.ldexp(0.5, exponent)
    entries = emulator.step.tables["bn.channels"].entries
    for entry in ("GAMMA", "BETA"):
        column = entries.index(entry)
        np.testing.assert_array_equal(exported.tensors["bn.channels"][:, column], emulator.tables["bn.channels"][:, column])
    moved = exported.state.exponents["bn.channels.running"] - emulator.state.exponents["bn.channels.running"]
    for entry, powers in (("RMEAN", 1), ("RVAR", 2)):
        column = entries.index(entry)
        expected = np.ldexp(emulator.tables["bn.channels"][:, column].astype(float), -powers * moved)
        # The module holds float32: 24 of these numbers' bits.
        np.testing.assert_allclose(exported.tensors["bn.channels"][:, column], expected, rtol=2.0**-24, atol=0.5)
        assert abs(expected).max() > 1000
    again = Emulator(exported.step, exported.tensors, exported.state)
    assert abs(again.evaluate(data.test, data.test_labels) - emulator.evaluate(data.test, data.test_labels)) < 0.15


def test_a_start_from_torch_is_the_same(trained, tmp_path):
    _, path = trained
    module = digits_network(0)
    begin(module, Start(str(path)))
    plain, wrapped = tmp_path / "plain.pt", tmp_path / "wrapped.pth"
    torch.save(module.state_dict(), plain)
    torch.save({"state_dict": {f"module.{name}": value for name, value in module.state_dict().items()}, "epoch": 3}, wrapped)
    for file in (plain, wrapped):
        other = digits_network(9)
        begin(other, Start(str(file)))
        assert all(torch.equal(value, module.state_dict()[name]) for name, value in other.state_dict().items())


def test_a_new_head_is_fresh_and_all_else_is_loaded(trained):
    _, path = trained
    fresh, module, loaded = digits_network(4), digits_network(4), digits_network(0)
    begin(module, Start(str(path), new_head=True))
    begin(loaded, Start(str(path)))
    for name, value in module.state_dict().items():
        source = fresh if name.startswith("linear.") else loaded
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(value, source.state_dict()[name])


def test_the_head_alone_is_trained():
    exported, data = replace(RECIPE, start=Start(train="head")).export(seed=2)
    nodes = exported.step.segments["backward"]
    assert [node.weight for node in nodes if isinstance(node, Update)] == ["linear.weight"]
    assert [node.name for node in nodes if isinstance(node, Coefficient)] == ["linear.update"]
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    train(emulator, data, 3)
    after = emulator.tensors()
    for weight in exported.step.weights:
        moved = (after[f"{weight}.master"] != exported.tensors[f"{weight}.master"]).any()
        assert moved == (weight == "linear.weight")
    entries = exported.step.tables["bn.channels"].entries
    for entry, moves in (("GAMMA", False), ("BETA", False), ("RMEAN", True)):
        column = entries.index(entry)
        assert (after["bn.channels"][:, column] != exported.tensors["bn.channels"][:, column]).any() == moves


def test_held_layers_are_held_bit_for_bit_on_the_board():
    """Held at the front, in the middle of the network, and batch norm with or without its convolution."""
    module = digits_network(0)
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name.startswith(("blocks.0.bn2", "blocks.1.conv1", "blocks.1.shortcut.1", "linear")))
    train_both(module, (1, 8, 8), 3, (3, 2))
    step = build_step(module, (1, 8, 8), 3)
    updates = {node.name for node in step.segments["backward"] if isinstance(node, (Update, Coefficient))}
    assert {name.removesuffix(".update") for name in updates if name.endswith(".update")} == {
        "blocks.0.bn2", "blocks.1.conv1.weight", "blocks.1.shortcut.1", "linear", "linear.weight",
    }  # fmt: skip


def test_what_cannot_be_held_is_refused():
    module = digits_network(0)
    module.bn.bias.requires_grad_(False)
    with pytest.raises(ExportError, match="bn trains one of its parameters and holds another"):
        build_step(module, (1, 8, 8), 2)
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(ExportError, match="ResNet holds all of its parameters; at least one layer"):
        build_step(module, (1, 8, 8), 2)


def _spoilt(path, tmp_path, **changes):
    arrays = read_weights(path) | changes
    spoilt = tmp_path / "spoilt.npz"
    np.savez(spoilt, **{name: value for name, value in arrays.items() if value is not None})
    return spoilt


@pytest.mark.parametrize("changes, sentence", [
    ({"bn.weight": None}, "are of another network: they hold no bn.weight"),
    ({"other": np.zeros(3)}, "hold other, which this has not"),
    ({"linear.bias": np.zeros(7)}, r"linear.bias has \(7,\) and \(10,\) there and here"),
    ({"linear.bias": np.full(10, np.nan)}, "a number in linear.bias that is not finite"),
    ({"linear.bias": np.zeros(10, int)}, "hold linear.bias as int64; floating-point"),
    ({"linear.bias": np.array([None] * 10)}, "cannot be read as an npz file"),
])  # fmt: skip
def test_weights_that_do_not_fit_are_one_sentence(changes, sentence, trained, tmp_path):
    with pytest.raises(WeightsError, match=sentence):
        begin(digits_network(0), Start(str(_spoilt(trained[1], tmp_path, **changes))))


class Runs:
    def __reduce__(self):
        return print, ("run",)


def test_files_that_are_none_or_hostile_are_one_sentence(tmp_path, capsys):
    (tmp_path / "text.npz").write_text("x")
    (tmp_path / "text.pt").write_text("x")
    torch.save({"a": Runs()}, tmp_path / "hostile.pt")
    torch.save([torch.zeros(3)], tmp_path / "list.pt")
    for name, sentence in [
        ("none.npz", "are not there; an .npz or .pt file"), ("none.pt", "are not there; an .npz or .pt file"),
        ("text.npz", "cannot be read as an npz file"), ("text.pt", "cannot be read as tensors alone"),
        ("hostile.pt", "cannot be read as tensors alone"), ("list.pt", "are not a dictionary of tensors by name"),
    ]:  # fmt: skip
        with pytest.raises(WeightsError, match=sentence):
            begin(digits_network(0), Start(str(tmp_path / name)))
    assert capsys.readouterr().out == ""
    with pytest.raises(WeightsError, match="cannot be written to .*: Is a directory"):
        write_weights(tmp_path, {})
    with pytest.raises(WeightsError, match="has no linear layer"):
        begin(torch.nn.Sequential(torch.nn.ReLU()), Start(train="head"))


def test_a_recipe_says_where_it_starts(tmp_path):
    recipe = replace(RECIPE, start=Start("here.npz", new_head=True, train="head"))
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    path = tmp_path / "mine.json"
    for start, sentence in [
        ({"from": "x"}, "start is given as the settings from; an object that may have weights, new_head, train"),
        ("x.npz", "start is given as 'x.npz'; an object"),
        ({"train": "none"}, "train 'none'; .* train all or head"),
        ({"weights": 3}, "weights 3, .*weights is a path"),
        ({"new_head": True}, "new_head without weights"),
    ]:  # fmt: skip
        path.write_text(json.dumps(RECIPE.to_json() | {"start": start}))
        with pytest.raises(RecipeError, match=sentence):
            load_recipe(path)
    with pytest.raises(StartError):
        Start(train="none")
