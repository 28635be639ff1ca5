"""`joulegrad bench --method` on the golden board: decisions, iterations drawn and executed, and what is refused."""

from __future__ import annotations

import json

import pytest
from command_line import invoke

from algo.policies.method import Method
from algo.recipe import load_recipe
from host.run_folder import read_iterations, read_record

pytestmark = pytest.mark.usefixtures("few_held_out_images")
SEED, STEPS = 3, 9
BENCH = ["bench", "digits", "--board", "golden", "--batch-size", "2", "--steps", str(STEPS), "--seed", str(SEED), "--json"]
EXECUTED = [i for i in range(STEPS) if Method.from_settings("smd").begin(SEED, STEPS).executes(i)]


def test_dropped_mini_batches_are_drawn_and_not_executed_in_board_and_emulator(tmp_path):
    code, out, err = invoke(*BENCH, "--method", "smd+swa", "--check", "--out", str(tmp_path / "run"))
    assert code == 0, err
    data = json.loads(out)
    assert 0 < len(EXECUTED) < STEPS
    assert (data["iterations_drawn"], data["iterations_executed"]) == (STEPS, len(EXECUTED))
    assert data["bit_exact"] is True and data["counters_exact"] is True and data["method"] == "smd+swa"
    lines = list(read_iterations(tmp_path / "run"))
    assert [line["iteration"] for line in lines] == EXECUTED
    moved = {line["iteration"]: line["processor"]["copied_bytes"] + line["processor"]["streamed_bytes"] for line in lines[1:]}
    averaged = [number for number, size in moved.items() if size > 5 * min(moved.values())]
    assert averaged and min(averaged) >= 3 * STEPS // 4, "reading the weights that are averaged is the processor's work"
    *_, before, replaced = [line["processor"] for line in lines]
    assert replaced["array_calls"] > before["array_calls"] + 50 and replaced["copied_bytes"] > before["copied_bytes"]
    record = read_record(tmp_path / "run")
    assert record["method"]["settings"]["smd"] == {"drop": "1/2"} and record["steps"] == STEPS
    run, each = data["run_energy_j"]["simulated"], data["energy_per_executed_iteration_j"]["simulated"]
    assert run["gross"]["value"] == pytest.approx(len(EXECUTED) * each["gross"]["value"])


def test_a_recipes_precision_schedule_is_followed_bit_for_bit_and_its_ledgers_stay_apart(tmp_path):
    recipe, runs = tmp_path / "cycled.json", {}
    said = load_recipe("digits").to_json() | {"methods": {"cpt": {"lowest": 4, "periods": 1}}}
    recipe.write_text(json.dumps(said))
    for method in ("cpt", "plain"):
        runs[method] = tmp_path / method
        options = ["--board", "golden", "--batch-size", "2", "--steps", "4", "--method", method]
        checked = ["--check"] if method == "cpt" else []
        code, out, err = invoke("bench", str(recipe), *options, *checked, "--out", str(runs[method]), "--json")
        assert code == 0, err
        assert json.loads(out)["bit_exact"] is (True if checked else None) and json.loads(out)["iterations_executed"] == 4
    forward = [line.get("bits", [8, 8])[0] for line in read_iterations(runs["cpt"])]
    assert forward == [4, 5, 6, 7]
    code, out, err = invoke("ledger", str(runs["cpt"]), "--against", str(runs["plain"]), "--json")
    assert code == 0, err
    (run,) = json.loads(out)["runs"]
    assert run["saved"]["macs"] == 0 and run["macs"]["unit"] == "MAC"
    everywhere = 1 - sum(bits * bits + 2 * bits * 8 for bits in forward) / (4 * 3 * 8 * 8)
    assert run["saved"]["bit_scaled_macs"] == pytest.approx(everywhere, abs=0.02)
    # Fewer bits save nothing on an int8 array; when they change, the processor works all words out again.
    assert run["saved"]["joules"]["simulated"] < 0.01
    joules = run["joules"]["simulated"]
    assert joules["total"] == pytest.approx(read_record(runs["cpt"])["result"]["run_energy_j"]["simulated"]["gross"]["value"])
    assert joules["by_layer"]["blocks.0.conv1"]["grad_weight"] > 0
    code, out, err = invoke("ledger", str(runs["cpt"]), "--layers")
    assert code == 0 and "blocks.0.conv1" in out and "simulated J" in out, err


@pytest.mark.parametrize("gated", [True, False])
def test_e2train_gates_what_can_be_gated_and_says_where_nothing_can(gated, tmp_path):
    recipe = tmp_path / "recipe.json"
    found = load_recipe("digits" if gated else "random-resnet8").to_json()
    found |= {"methods": {"slu": {"blocks": "all"}}} if gated else {"model": {"kind": "vgg_small", "width": 1}}
    recipe.write_text(json.dumps(found))
    asked = [BENCH[0], str(recipe), *BENCH[2:], "--out", str(tmp_path / "run")]
    code, out, err = invoke(*asked, "--method", "e2train", "--check")
    assert code == 0 and ("slu has nothing to do" in err) is not gated, err
    data, record = json.loads(out), read_record(tmp_path / "run")
    assert data["bit_exact"] is True and data["iterations_executed"] == len(EXECUTED)
    assert bool(record["notes"]) is not gated and list(record["method"]["settings"]) == ["smd", "slu", "psg_abstain", "swa"]
    decided = [line.get("gates", [""]) for line in read_iterations(tmp_path / "run")]
    assert [len(runs[0]) for runs in decided] == [2 * gated] * len(EXECUTED)
    code, out, err = invoke(*asked[:-2], "--method", "sd")
    assert (code == 0) is gated and ("no block of the network can be gated" in err) is not gated


def test_a_packed_program_keeps_its_method(tmp_path):
    packed = tmp_path / "digits.jg"
    options = ["--batch-size", "2", "--steps", str(STEPS), "--seed", str(SEED), "--method", "smd"]
    code, out, err = invoke("export", "digits", "-o", str(packed), *options, "--json")
    assert code == 0 and json.loads(out)["method"] == "smd", err
    code, _, err = invoke("bench", str(packed), "--board", "golden", "--method", "plain", "--json")
    assert code == 2 and "it holds smd" in err
    code, out, err = invoke("bench", str(packed), "--board", "golden", "--out", str(tmp_path / "run"), "--json")
    assert code == 0, err
    assert json.loads(out)["iterations_executed"] == len(EXECUTED)


@pytest.mark.parametrize(
    ("method", "steps", "said"),
    [
        ("adam", 2, "method 'adam' is not known"),
        ("", 2, "method '' is not known"),
        ("psg", 2, "no executor computes it: use psg_abstain"),
        ("cpt", 2, "32 periods in 2 iterations"),
        ("smd", 1, "drops every mini-batch"),
    ],
)
def test_what_cannot_be_is_one_sentence(method, steps, said, tmp_path):
    dropped = next(seed for seed in range(99) if not Method.from_settings("smd").begin(seed, 1).executes(0))
    options = ["--steps", str(steps), "--seed", str(dropped), "--batch-size", "2"]
    code, out, err = invoke("bench", "digits", "--board", "golden", *options, "--method", method, "--json")
    assert code == 2 and said in err and err.count("\n") <= 3
    assert json.loads(out)["error"]
