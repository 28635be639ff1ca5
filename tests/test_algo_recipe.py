"""Recipes: what a file may say, what it makes, and that reading one needs no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from algo.augmentation import Augmentation
from algo.data import load_digits, mini_batch
from algo.export import export
from algo.models import digits_network
from algo.recipe import Recipe, RecipeError, load_recipe, recipe_names
from algo.sgd import Sgd

MILESTONES = {"kind": "milestones", "at": ["1/2", "3/4"], "factor": "1/10"}
GOOD = load_recipe("digits").to_json()


def _written(tmp_path, **changes):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({name: value for name, value in (GOOD | changes).items() if value != "gone"}))
    return path


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_survives_json(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


def test_a_recipe_is_read_without_torch():
    code = "import sys; from algo.recipe import *; [load_recipe(n) for n in recipe_names()]; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize("steps, warmup", [(100, 5), (12, 3), (1, 0)])
def test_digits_is_the_benchmark_it_was(steps, warmup):
    exported, images = replace(load_recipe("digits"), steps=steps, batch=16).export(seed=3)
    data, drawn = load_digits(3), mini_batch(1437, 16, 3, 0)
    sgd = Sgd(lr="1/10", momentum="9/10", warmup=warmup, steps=steps)
    expected = export(digits_network(3), data.train[drawn], data.train_labels[drawn], data.exponent, 16, sgd, 3)
    assert exported.step == expected.step and exported.state == expected.state
    for name, value in expected.tensors.items():
        np.testing.assert_array_equal(exported.tensors[name], value)
    np.testing.assert_array_equal(images.train, data.train)


def test_first_exponents_come_from_the_first_batch_as_it_is_drawn():
    """A crop of the digits shifts their pixels, so the calibration sees other maxima; fewer images give fewer."""
    recipe = replace(load_recipe("digits"), batch=16, augmentation=Augmentation(3, True))
    cropped, images = recipe.export(seed=1)
    assert cropped.state != replace(recipe, augmentation=None).export(seed=1)[0].state
    first, labels = recipe.batches(images, 1).draw(0)
    one = replace(recipe, calibration_images=1).export(seed=1)[0]
    expected = export(digits_network(1), first[:1], labels[:1], images.exponent, 16, recipe.sgd_for(100), 1)
    assert one.state == expected.state


def test_epochs_that_are_more_iterations_than_can_be_numbered_are_refused():
    recipe = replace(load_recipe("digits"), steps=None, epochs=1 << 27)
    with pytest.raises(RecipeError, match="is 134217728, which is 6039797760 iterations; at most 4294967296"):
        recipe.iterations(recipe.load_data(0))


def test_epochs_become_iterations():
    recipe = replace(load_recipe("digits"), steps=None, epochs=3)
    assert recipe.iterations(recipe.load_data(0)) == 3 * 45
    assert recipe.sgd_for(135).steps == 135


def test_milestones_are_shares_of_the_run():
    recipe = replace(load_recipe("digits"), sgd={"lr": "1/10", "schedule": MILESTONES})
    sgd = recipe.sgd_for(64_000)
    assert sgd.milestones == (32_000, 48_000)
    rates = [sgd.rate(at) for at in (0, 31_999, 32_000, 47_999, 48_000, 63_999)]
    assert rates == [Fraction(1, 10 ** power) for power in (1, 1, 2, 2, 3, 3)]
    assert recipe.sgd_for(7).milestones == (4, 6)
    constant = replace(recipe, sgd={"lr": "1/10", "warmup": 2, "schedule": {"kind": "constant"}}).sgd_for(100)
    assert [constant.rate(at) for at in (0, 2, 99)] == [Fraction(1, 30), Fraction(1, 10), Fraction(1, 10)]


@pytest.mark.parametrize("changes, sentence", [
    ({"schema": 2}, "holds schema 2; an object with schema 1"),
    ({"learning_rate": 1}, "a recipe has no learning_rate; it may have schema, name, says, model"),
    ({"model": "gone"}, "a recipe has no model; it needs name"),
    ({"model": {"depth": 20}}, "it needs a kind"),
    ({"says": 4}, "says of recipe 'digits' is 4; a text is needed"),
    ({"batch": 1}, "batch of recipe 'digits' is 1; a whole number from 2"),
    ({"batch": True}, "batch of recipe 'digits' is True"),
    ({"steps": 0}, "steps of recipe 'digits' is 0; a whole number from 1"),
    ({"steps": 10.0}, "steps of recipe 'digits' is 10.0"),
    ({"steps": 1 << 33}, "steps of recipe 'digits' is 8589934592; it is at most 4294967296"),
    ({"seed": 1 << 32}, "seed of recipe 'digits' is 4294967296; it is at most 4294967295"),
    ({"epochs": 4}, "steps 100 and epochs 4; exactly one"),
    ({"steps": "gone"}, "steps None and epochs None; exactly one"),
    ({"data": {"kind": "mnist"}}, "data set 'mnist' is not known; there are digits"),
    ({"data": {"kind": ["digits"]}}, "is not known; there are digits"),
    ({"data": {"kind": "digits", "path": "x"}}, "data set digits has no path; its arguments are seed"),
    ({"data": {"kind": "digits", "seed": "x"}}, "has seed 'x'; a whole number"),
    ({"data": {"kind": "random"}}, "is given without shape, train, test"),
    ({"sgd": {"nesterov": True}}, "sgd has no nesterov; its settings are lr, momentum"),
    ({"sgd": {"lr": "fast"}}, "lr is 'fast'; it must be a number"),
    ({"sgd": {"lr": "1/0"}}, "1/0"),
    ({"sgd": {"lr": "1e999"}}, "lr is beyond what a float holds"),
    ({"sgd": {"warmup": -1}}, "warmup is -1; a number of iterations from 0"),
    ({"sgd": {"schedule": {"kind": "cosine", "at": 3}}}, "schedule cosine has kind, at; it needs kind"),
    ({"sgd": {"schedule": {"kind": "steps"}}}, "a kind of constant, linear, cosine, milestones"),
    ({"sgd": {"schedule": MILESTONES | {"at": "1/2"}}}, "milestones are at '1/2'; a list of shares"),
    ({"sgd": {"schedule": MILESTONES | {"at": [32000]}}}, "a milestone is at 32000; it is a share"),
    ({"sgd": {"schedule": MILESTONES | {"at": ["3/4", "1/2"]}}}, "milestones are [750, 500]"),
    ({"sgd": {"schedule": MILESTONES | {"factor": 2}}}, "factor is 2; it must be above 0"),
    ({"sgd": {"schedule": "linear"}}, "schedule is 'linear'; an object"),
    ({"augmentation": {"rotate": 3}}, "augmentation has no rotate; it may have crop_padding, flip"),
    ({"augmentation": {"crop_padding": -1}}, "crop_padding is -1; it must be from 0"),
    ({"augmentation": {"flip": 1}}, "flip is 1; it is true or false"),
    ({"augmentation": True}, "augmentation of a recipe is True; an object or null"),
    ({"methods": {"smd": 0.5}}, "methods of recipe 'digits' has smd: 0.5; an object is needed"),
    ({"calibration_images": 0}, "calibration_images of recipe 'digits' is 0"),
])  # fmt: skip
def test_what_a_recipe_may_not_say_is_one_sentence(tmp_path, changes, sentence):
    with pytest.raises(RecipeError) as caught:
        load_recipe(_written(tmp_path, **changes))
    assert sentence in str(caught.value) and "mine.json" in str(caught.value)


def test_a_recipe_that_is_not_there_names_those_that_are(tmp_path):
    with pytest.raises(RecipeError, match="recipe 'digit' is not known; there are .*digits"):
        load_recipe("digit")
    with pytest.raises(RecipeError, match="is not there; give one of"):
        load_recipe(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(RecipeError, match="broken.json cannot be read as JSON"):
        load_recipe(tmp_path / "broken.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(RecipeError, match="a recipe holds a list; an object"):
        load_recipe(tmp_path / "list.json")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(_folder(tmp_path))


def _folder(tmp_path):
    (tmp_path / "folder.json").mkdir()
    return tmp_path / "folder.json"


@pytest.mark.parametrize("model, sentence", [
    ({"kind": "lenet"}, "model 'lenet' is not known; there are digits_network"),
    ({"kind": "random"}, "model 'random' is not known"),
    ({"kind": "digits_network", "depth": 3}, "model digits_network has no depth; its arguments are classes"),
    ({"kind": "digits_network", "classes": 10**30}, "asked for with classes 10+; whole numbers from 1 to 65535"),
])  # fmt: skip
def test_an_unknown_model_is_one_sentence(model, sentence):
    from algo.graph import ExportError

    with pytest.raises(ExportError, match=sentence):
        replace(load_recipe("digits"), model=model).export(seed=0)


def test_a_model_of_too_few_classes_is_refused_before_anything_is_computed():
    recipe = replace(load_recipe("digits"), model={"kind": "digits_network", "classes": 4})
    with pytest.raises(RecipeError, match="tells apart 4 classes and its data set, digits, has 10; give the model classes 10"):
        recipe.export(seed=0)
    half = replace(recipe, data={"kind": "digits", "split": {"kind": "classes", "part": "first"}}, batch=8)
    with pytest.raises(RecipeError, match="digits, first half of the classes, has 5"):
        half.export(seed=0)
    step = replace(half, model={"kind": "digits_network", "classes": 5}).export(seed=0)[0].step
    assert step.tensors[step.logits].shape == (5, 1, 1)
