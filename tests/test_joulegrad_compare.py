"""`joulegrad compare` on written runs: recovery, figures, control, calibrated tables, and what may not be compared."""

from __future__ import annotations

import dataclasses
import functools
import json
from datetime import date

import command_line
import numpy as np
import pytest
from compared_runs import PICOJOULES, PROCESSOR_W, SCOPE, STATIC_W, counts, net_j, write_run, write_sweep

from hw.config import load_config
from joulegrad.compare import run_compare
from measurements.comparison import CALIBRATED, CONTROL, COUNTERS_ONLY, FITTED_BEFORE, UNCALIBRATED, compare
from measurements.energy_model import EnergyTableError, energy_shares, load_table
from measurements.null_models import NULL_MODELS
from measurements.observations import ComparisonError, load_run, load_runs
from measurements.processor_time import ProcessorModel
from measurements.table_validity import check_valid, quantities

Z7020 = load_config("z7020")

invoke = functools.partial(command_line.invoke, "compare")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return write_sweep(tmp_path_factory.mktemp("sweep") / "runs")


@pytest.fixture(scope="module")
def result(sweep):
    code, out, err = invoke(sweep, "--json")
    assert code == 0, err
    return json.loads(out)


def test_coefficients_come_back(result):
    assert (result["runs"], result["workloads"], result["model"]) == (54, 27, "activity")
    assert result["families"] == {f"family {i}": 5 if i < 3 else 4 for i in range(6)}
    found = {one["name"]: one for one in result["coefficients"]}
    for name, value in {**PICOJOULES, "processor": PROCESSOR_W, "accumulator": 0.0}.items():
        assert found[name]["determined"] and found[name]["value"] == pytest.approx(value, rel=0.01, abs=0.02)
        assert found[name]["low"] - 0.02 <= value <= found[name]["high"] + 0.02
    assert found["processor"]["unit"] == "W while the processor works"
    assert result["static_w"]["value"] == pytest.approx(STATIC_W, rel=1e-6)
    assert 1 < result["condition_number"] < 1000


def test_figures_of_every_model(result):
    for kind in ("net", "gross"):
        figures = result["figures"][kind]
        assert list(figures) == [CALIBRATED, COUNTERS_ONLY, CONTROL, UNCALIBRATED, *NULL_MODELS]
        for one in figures.values():
            assert set(one) == {"runs", "resolved", "mape", "bias", "worst", "r2", "kendall_tau", "over_u", "within_u"}
    net = {name: one["mape"] for name, one in result["figures"]["net"].items()}
    assert net[CALIBRATED] < 1e-3
    assert net[CALIBRATED] < min(net[name] for name in NULL_MODELS) / 2
    assert net[CONTROL] > 2 * net[CALIBRATED] and net[COUNTERS_ONLY] > 2 * net[CALIBRATED]
    assert result["best_null"] == min(NULL_MODELS, key=net.get)


def test_truth_is_named_and_what_it_says(result, sweep):
    assert result["truth"] == "emulated" and result["scope"] == SCOPE
    assert "nothing about a board" in result["said"] and "same authors" in result["said"]
    assert set(result["each_run"][0]) == {"run", "workload", "family", "time_s", "emulated", "simulated"}
    code, out, _ = invoke(sweep)
    assert code == 0 and "emulated" in out and "nothing about a board" in " ".join(out.split())


def test_tables_are_read_in_80_columns(sweep, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = invoke(sweep)
    assert code == 0
    rows = [line.split() for line in out.splitlines() if len(line) <= 80]
    for words, count in {"calibrated": 8, "uncalibrated table": 8, "multiply-accumulates": 8, "ddr_read pJ per byte": 3}.items():
        first = words.split()
        found = [row for row in rows if row[: len(first)] == first and len(row) == len(first) + count]
        assert found, f"no row of the tables holds '{words}' and its {count} numbers"


def test_measured_truth_is_called_measured(tmp_path):
    found = run_compare([write_sweep(tmp_path / "runs", truth="measured", repeats=1)], None, None, None)
    assert found["truth"] == "measured" and "same authors" not in found["said"] and "measured" in found["each_run"][0]


def test_counters_alone(sweep):
    found = run_compare([sweep], "counters", None, None)
    assert CONTROL not in found["figures"]["net"] and not any("toggle" in one["name"] for one in found["coefficients"])


def test_runs_without_activity_take_the_counters(tmp_path):
    path = write_sweep(tmp_path / "runs", repeats=1, active=False)
    assert run_compare([path], None, None, None)["model"] == "counters"
    with pytest.raises(ComparisonError, match="does not count operand_toggles"):
        run_compare([path], "activity", None, None)


def test_a_negative_net_energy_is_kept(tmp_path):
    path = write_sweep(tmp_path / "runs", repeats=1)
    write_run(path / "rest", 99, net=-0.004, gross=15.996, u95=0.01)
    observation = load_run(path / "rest")
    assert observation.net.value == -0.004
    found = run_compare([path], None, None, None)
    assert found["figures"]["net"][CALIBRATED]["resolved"] == 27 and found["figures"]["net"][CALIBRATED]["runs"] == 28


def test_noise_within_u_is_agreement(tmp_path):
    rng = np.random.default_rng(0)
    for workload in range(27):
        write_run(tmp_path / "runs" / str(workload), workload, u95=0.04, noise_j=rng.normal(0, 0.02))
    figures = run_compare([tmp_path / "runs"], None, None, None)["figures"]["net"][CALIBRATED]
    assert figures["within_u"] > 0.7 and figures["over_u"] < 1


@pytest.mark.parametrize(("change", "said"), [
    ({"truth": "measured"}, "different truths"),
    ({"scope": "pl_1v0: logic alone"}, "different scopes"),
    ({"idle_definition": "bitstream absent"}, "different idle definitions"),
    ({"board": "pynq"}, "different boards"),
    ({"config": dataclasses.asdict(load_config("tiny"))}, "different configurations"),
    ({"config": {**dataclasses.asdict(Z7020), "clk_hz": 50_000_000}}, "different configurations"),
    ({"control": "activity of another run, per cycle"}, "different controls"),
    ({"energy_assumptions": {"processor_time": dataclasses.asdict(ProcessorModel(record_s=1e-3))}}, "processor's time"),
])  # fmt: skip
def test_runs_that_do_not_belong_together_are_refused(tmp_path, sweep, change, said):
    other = write_run(tmp_path / "other", 50, **change)
    code, out, err = invoke(sweep, other, "--json")
    assert code == 1 and "Traceback" not in err
    message = json.loads(out)["error"]
    assert said in message and str(other) in message and "cannot stand in one comparison" in message
    assert (other / "run.json").exists()


@pytest.mark.parametrize(("change", "said"), [
    ({"status": "aborted"}, "is aborted: only finished runs"),
    ({"without": ["idle_definition"]}, "lacks or garbles 'idle_definition'"),
    ({"without": ["counters"]}, "lacks or garbles 'counters'"),
    ({"energies": {}}, "no energies at all"),
    ({"energies": {"emulated": {"net": None, "gross": None}}}, "no energy above idle"),
    ({"energies": {"emulated": {"net": {"value": 1.0}, "gross": None}}}, "lacks or garbles"),
    ({"config": {**dataclasses.asdict(Z7020), "g": 5}}, "lacks or garbles configuration z7020"),
    ({"energies": {"simulated": {}}}, "only simulated energy"),
    ({"energies": {"emulated": {}, "measured": {}}}, "emulated and measured"),
    ({"energies": {"emulated": dict.fromkeys(("net", "gross"), {"value": 1.0, "u95": None, "verdict": "invalid: too short",
                                                                "scope": "all"})}}, "invalid: too short"),
])  # fmt: skip
def test_a_run_that_cannot_be_compared(tmp_path, change, said):
    code, out, err = invoke(write_run(tmp_path / "run", 0, **change), "--json")
    assert code == 1 and said in json.loads(out)["error"] and str(tmp_path) in json.loads(out)["error"]


def test_a_run_of_no_time_cannot_be_compared(tmp_path):
    path = write_run(tmp_path / "run", 0)
    record = json.loads((path / "run.json").read_text())
    record["result"]["time_s"] = 0
    (path / "run.json").write_text(json.dumps(record))
    code, out, err = invoke(path, "--json")
    assert code == 1 and "time_s, which is 0 and has to be above 0" in json.loads(out)["error"] and "Traceback" not in err


def test_no_runs_at_all(tmp_path):
    for path in (tmp_path, tmp_path / "absent"):
        code, out, _ = invoke(path, "--json")
        assert code == 1 and "is no run and holds none" in json.loads(out)["error"]


def test_too_few_workloads(tmp_path):
    code, out, _ = invoke(write_sweep(tmp_path / "runs", workloads=2), "--json")
    assert code == 1 and "at least 3 are needed" in json.loads(out)["error"]


def test_a_run_named_twice_counts_once(sweep, monkeypatch):
    monkeypatch.chdir(sweep.parent)
    assert len(load_runs([sweep, sweep.name, sweep / "workload0" / "0", "runs/workload1/1"])) == 54


@pytest.fixture(scope="module")
def table(sweep, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "calibrated.json"
    run_compare([sweep], None, None, path, on=date(2026, 1, 2))
    return load_table(path)


def test_a_calibrated_table_predicts_what_the_fit_does(table):
    counters, activity, processor_s = counts(500, 0)
    shares = energy_shares(counters, Z7020, table, 10.0, processor_s, activity)
    assert shares.net == pytest.approx(net_j(counters, activity, processor_s, PICOJOULES, Z7020.g), rel=1e-3)
    assert shares.idle == pytest.approx(10 * STATIC_W, rel=1e-6)
    assert table.name == "calibrated-sim-z7020-emulated-activity-2026-01-02"
    assert "emulated" in table.validity and "nothing about a board" in table.validity


def test_a_table_fitted_before_stands_beside_the_fit_by_that_name(sweep, tmp_path):
    run_compare([sweep], None, None, tmp_path / "calibrated.json")
    net = run_compare([sweep], None, tmp_path / "calibrated.json", None)["figures"]["net"]
    assert FITTED_BEFORE in net and UNCALIBRATED not in net
    assert net[FITTED_BEFORE]["mape"] < 1e-3
    tiny = dataclasses.asdict(load_config("tiny"))
    with pytest.raises(EnergyTableError, match="was fitted to configuration z7020"):
        run_compare([write_sweep(tmp_path / "tiny", repeats=1, config=tiny)], None, tmp_path / "calibrated.json", None)


def test_a_calibrated_table_says_what_its_predictions_are_worth(table):
    counters, activity, processor_s = counts(3, 5)
    shares = energy_shares(counters, Z7020, table, 10.0, processor_s, activity)
    gross, net = quantities(table, shares, 10.0, {**counters, **activity}, processor_s)
    assert net.verdict == gross.verdict == "resolved" and 0 < net.u95 < 0.05 * net.value
    assert "fitted to emulated runs" in net.scope and SCOPE in net.scope
    more = {**counters, **activity, "vectors": 1.04 * 10.0 * table.calibration.most_per_s["vectors"]}
    _, doubtful = quantities(table, shares, 10.0, more, processor_s)
    assert net.u95 < doubtful.u95 < 2 * net.u95 and doubtful.verdict == "resolved"
    counters["vectors"] *= 100
    _, beyond = quantities(table, shares, 10.0, {**counters, **activity}, processor_s)
    assert beyond.u95 is None and "vectors per second" in beyond.verdict and "extrapolate" in beyond.verdict


def test_what_no_run_had_cannot_be_predicted(tmp_path):
    path = write_sweep(tmp_path / "runs", repeats=1)
    for file in path.rglob("run.json"):
        record = json.loads(file.read_text())
        record["result"]["counters"]["drained_rows"] = 0
        file.write_text(json.dumps(record))
    found = run_compare([path], None, None, tmp_path / "table.json")
    assert not next(one for one in found["coefficients"] if one["name"] == "drained_row")["determined"]
    table = load_table(tmp_path / "table.json")
    counters, activity, processor_s = counts(3, 5)
    shares = energy_shares(counters, Z7020, table, 10.0, processor_s, activity)
    _, net = quantities(table, shares, 10.0, {**counters, **activity}, processor_s)
    assert "drained_rows per second" in net.verdict and "is 0: it would extrapolate" in net.verdict


def test_the_projects_own_table_says_that_it_is_not_fitted():
    counters, activity, processor_s = counts(3, 5)
    own = load_table()
    gross, net = quantities(own, energy_shares(counters, Z7020, own, 10.0, processor_s), 10.0, counters, processor_s)
    assert net.u95 is gross.u95 is None and "not fitted" in net.verdict


def test_a_calibrated_table_holds_for_its_board_alone(table):
    model = dataclasses.asdict(ProcessorModel())
    check_valid(table, "sim", Z7020, model)
    for board, config, processor, said in (
        ("pynq", Z7020, model, "board sim"), ("sim", load_config("tiny"), model, "configuration z7020"),
        ("sim", dataclasses.replace(Z7020, clk_hz=50_000_000), model, "clock"),
        ("sim", Z7020, model | {"record_s": 1.0}, "processor"),
    ):  # fmt: skip
        with pytest.raises(EnergyTableError, match=said):
            check_valid(table, board, config, processor)


def test_a_table_of_activity_needs_activity(table):
    with pytest.raises(EnergyTableError, match="does not count"):
        energy_shares(counts(0, 0)[0], Z7020, table, 10.0, 0.0)
    assert energy_shares({"cycles": 0}, Z7020, table, 10.0, 0.0).net == 0


@pytest.mark.parametrize(("change", "said"), [
    (lambda d: d["calibration"].update(truth="simulated"), "they are 'emulated' or 'measured'"),
    (lambda d: d["calibration"].update(net_u95=-1), "net_u95"),
    (lambda d: d["calibration"].pop("board"), "board"),
    (lambda d: d["activity"].update(cycles=d["activity"]["sum_toggles"]), "no counter's name"),
    (lambda d: d["activity"]["sum_toggles"].update(pj="much"), "'much'"),
])  # fmt: skip
def test_a_damaged_calibrated_table_is_refused(tmp_path, sweep, change, said):
    path = tmp_path / "calibrated.json"
    run_compare([sweep], None, None, path)
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(EnergyTableError, match=said):
        load_table(path)


def test_a_control_is_not_written_as_a_table(tmp_path):
    path = write_sweep(tmp_path / "runs", repeats=1, control="activity of another run, per cycle")
    code, out, _ = invoke(path, "--out", tmp_path / "table.json", "--json")
    assert code == 1 and "are a control" in json.loads(out)["error"] and not (tmp_path / "table.json").exists()


def test_a_table_that_cannot_be_written(sweep, tmp_path):
    code, out, _ = invoke(sweep, "--out", tmp_path / "no" / "table.json", "--json")
    assert code == 1 and "cannot be written" in json.loads(out)["error"]


def test_runs_of_nothing_but_rest_give_no_table(tmp_path):
    for i in range(4):
        write_run(tmp_path / "runs" / str(i), i, net=1e-4, gross=16.0, u95=0.01)
    found = run_compare([tmp_path / "runs"], None, None, None)
    assert found["figures"]["net"][CALIBRATED]["mape"] is None and found["predicted_relative_u95"]["net"] is None
    assert found["each_run"][0]["simulated"]["net"]["u95"] is None
    with pytest.raises(EnergyTableError, match="worth nothing"):
        run_compare([tmp_path / "runs"], None, None, tmp_path / "table.json")


def test_the_same_runs_give_the_same_numbers(sweep):
    first, second = (compare(load_runs([sweep]), load_table()).to_json() for _ in range(2))
    assert first == second
