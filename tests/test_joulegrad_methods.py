"""`joulegrad bench methods` on the simulated board: decisions, seconds and joules of checked runs beside their predictions."""

from __future__ import annotations

import functools
import json

import command_line
import pytest

from algo.arithmetic import ARITHMETIC_VERSION
from algo.recipe import load_recipe
from host.run_folder import read_iterations
from joulegrad import methods

pytestmark = pytest.mark.usefixtures("few_held_out_images")
STEPS, SEED = 8, 3

invoke = functools.partial(command_line.invoke, "bench", "methods")


def test_what_methods_save_is_what_was_predicted(tmp_path, monkeypatch):
    """Dropped mini-batches, gated blocks, predicted signs, averaged weights: seconds within 2 % of what is saved."""
    recipe = tmp_path / "thin.json"
    thin = load_recipe("digits-resnet14").to_json()
    recipe.write_text(json.dumps(thin | {"model": thin["model"] | {"width": 4}}))
    options = [str(recipe), "--config", "tiny", "--batch-size", "2", "--steps", str(STEPS), "--out", str(tmp_path / "all")]
    options += ["--method", "e2train", "--seed"]
    code, out, err = invoke(*options, str(SEED), "--json")
    assert code == 0, err
    one = json.loads(out)["methods"]["e2train"]
    assert 0 < one["iterations_executed"] < STEPS
    for seconds in one["seconds"].values():
        assert seconds["match"]
        assert seconds["difference"] == pytest.approx(0, abs=0.02)
    assert one["seconds"]["core"]["saved_counted"] > 0.2 * one["seconds"]["core"]["baseline"]
    joules = one["joules"]
    assert joules["match"] is None, "the project's table is fitted to no board, so U is not known"
    assert joules["predicted"]["value"] == pytest.approx(joules["simulated"]["value"], rel=0.02)
    assert joules["sensed"]["label"] == "emulated" and joules["sensed"]["u95"] < 0.02 * joules["sensed"]["baseline"]

    code, out, _ = invoke(*options, str(SEED))
    assert code == 0 and "e2train" in out and "unknown" in out, "what is there is not done again"
    code, _, err = invoke(*options, "4")
    assert code == 1 and "has seed 3, not 4" in err
    for other, said in ((["--config", "ecp5"], "has configuration tiny ("), (["--batch-size", "4"], "has batch 2, not 4")):
        code, _, err = invoke(*options, str(SEED), *other)
        assert code == 1 and said in err, "runs of two kinds are not compared with each other"
    code, _, err = invoke(*options[:-1])
    assert code == 1 and "has seed 3, not 0" in err, "the recipe's seed is another one, too"
    noted = tmp_path / "all" / "arithmetic.json"
    for version, said in ((ARITHMETIC_VERSION - 1, f"says {{'arithmetic_version': {ARITHMETIC_VERSION - 1}}}, not"),
                          (None, "nothing says of which arithmetic")):  # fmt: skip
        noted.write_text(json.dumps({"arithmetic_version": version})) if version else noted.unlink()
        code, _, err = invoke(*options, str(SEED))
        assert code == 1 and said in err, "of two versions of the arithmetic neither"
    noted.write_text(json.dumps({"arithmetic_version": ARITHMETIC_VERSION}))

    lines = list(read_iterations(tmp_path / "all" / "counted" / "e2train"))
    monkeypatch.setattr(methods, "read_iterations", lambda place: lines[:-1] if place.parent.name == "counted" else lines)
    code, _, err = invoke(*options, str(SEED))
    assert code == 1 and "are not those in" in err


@pytest.mark.parametrize(
    ("recipe", "method", "said"),
    [("nothing", "smd", "neither a recipe"), ("digits", "smb", "'smb' is not known"), ("digits", "plain", "runs anyway")],
)
def test_what_cannot_be_is_refused_before_anything_is_trained(tmp_path, recipe, method, said):
    code, _, err = invoke(recipe, "--method", "swa", "--method", method, "--out", str(tmp_path / "all"))
    assert code == 2 and said in err and not (tmp_path / "all").exists()


@pytest.mark.parametrize("name", ["methods.json", "arithmetic.json"])
def test_files_of_others_are_not_replaced(tmp_path, name):
    (tmp_path / name).write_text("[]")
    code, _, err = invoke("digits", "--method", "swa", "--steps", "2", "--out", str(tmp_path))
    assert code == 1 and f"{name} is there already" in err and "choose another --out" in err
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "[]")]


def test_what_is_not_as_predicted_fails_in_a_sentence():
    seconds = {"match": False, "saved_counted": 0.5, "saved_predicted": 0.4}
    joules = {"match": False, "sensed": {"value": 1.0, "label": "emulated"}, "predicted": {"value": 0.9}, "u95": 0.01}
    found = {"methods": {"smd": {"seconds": {"core": seconds, "all": {"match": True}}, "joules": joules}}}
    first, second = methods.wrong(found)
    assert first == "method smd saved 0.5 s (core) on the board, predicted were 0.4 s"
    assert "1 J (emulated), predicted were 0.9 J: more apart than U, 0.01 J" in second
