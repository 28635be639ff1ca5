"""`joulegrad train`: runs that go on from a checkpoint give the same bits; what cannot be is refused, and nothing is lost."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from stopped_runs import stopped_after

from algo.arithmetic import ARITHMETIC_VERSION
from algo.checkpoint import Checkpoint, CheckpointError, read_checkpoint, write_checkpoint
from algo.data import DataError, load_digits
from algo.float_training import Diverged, FloatLearner
from algo.models import digits_network
from algo.policies.decision import MethodError
from algo.policies.method import Method
from algo.recipe import Recipe, load_recipe
from algo.sgd import Sgd
from algo.weights_file import read_weights
from host.run_folder import read_iterations, read_record
from joulegrad.bench import run_bench
from joulegrad.cli_train import _show
from joulegrad.measurement import MeasureError
from joulegrad.screen import Screen
from joulegrad.settings import BenchSettings, MemoryStalls, SettingError, TrainSettings
from joulegrad.train import TrainError, run_train
from measurements.energy_model import load_table
from measurements.ledger_run import ledgers_of
from measurements.processor_time import ProcessorModel
from tests.hwmon_tree import HwmonTree

DIGITS = TrainSettings("digits", steps=12, batch_size=8, checkpoint_every=4)


def _stopped(settings, iteration):
    with stopped_after(iteration):
        run_train(settings, Screen(True))


def _trained(settings, out, **changes):
    return run_train(dataclasses.replace(settings, out=out, **changes), Screen(True))


def _same(one, other):
    assert one.keys() == other.keys()
    return all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("arithmetic", ["int8", "float32"])
@pytest.mark.parametrize("method", ["plain", "smd+swa"])
def test_a_run_that_goes_on_from_a_checkpoint_ends_with_the_same_bits(tmp_path, method, arithmetic):
    settings = dataclasses.replace(DIGITS, method=method, arithmetic=arithmetic, steps=16)
    whole = _trained(settings, tmp_path / "whole")
    _stopped(dataclasses.replace(settings, out=tmp_path / "stopped"), 9)
    assert read_record(tmp_path / "stopped")["status"] == "aborted"
    resumed = _trained(settings, tmp_path / "resumed", resume=tmp_path / "stopped")
    ends = [read_checkpoint(tmp_path / name / "checkpoint.npz") for name in ("whole", "resumed")]
    assert _same(ends[0].tensors, ends[1].tensors) and ends[0].state == ends[1].state
    assert json.dumps(ends[0].course, default=np.ndarray.tolist) == json.dumps(ends[1].course, default=np.ndarray.tolist)
    assert resumed["accuracy"] == whole["accuracy"] and resumed["iterations_executed"] == whole["iterations_executed"]
    assert 0 < resumed["iterations_here"] < whole["iterations_here"]
    assert list(read_iterations(tmp_path / "resumed")) == list(read_iterations(tmp_path / "whole"))


def test_dropped_iterations_are_counted_and_have_no_line(tmp_path):
    result = _trained(DIGITS, tmp_path / "run", method="smd", steps=20)
    executed = [line["iteration"] for line in read_iterations(tmp_path / "run")]
    assert result["iterations_drawn"] == 20 and result["iterations_executed"] == len(executed) < 20


def test_parts_of_a_method_that_have_nothing_to_do_are_said(tmp_path, capfd):
    _trained(DIGITS, tmp_path / "run", method="slu+swa")
    (note,) = read_record(tmp_path / "run")["notes"]
    assert note.startswith("slu has nothing to do") and note in capfd.readouterr().err


def test_a_run_that_would_execute_nothing_is_refused(tmp_path):
    seed = next(seed for seed in range(99) if not Method.from_settings("smd").begin(seed, 1).executes(0))
    with pytest.raises(SettingError, match=f"method smd with 1 iterations and seed {seed} drops every mini-batch"):
        _trained(DIGITS, tmp_path / "run", method="smd", steps=1, seed=seed, price="tiny")
    assert not (tmp_path / "run").exists()


def test_tests_on_the_way_stand_in_the_lines(tmp_path):
    _trained(DIGITS, tmp_path / "run", evaluate_every=5)
    assert [line["iteration"] for line in read_iterations(tmp_path / "run") if "accuracy" in line] == [4, 9]


@pytest.mark.parametrize("arithmetic", ["int8", "float32"])
def test_the_weights_file_has_the_modules_names(tmp_path, arithmetic):
    _trained(DIGITS, tmp_path / "run", arithmetic=arithmetic, steps=1)
    module = load_recipe("digits").make_model(0)
    wanted = {name for name in module.state_dict() if not name.endswith("num_batches_tracked")}
    assert read_weights(tmp_path / "run" / "weights.npz").keys() == wanted


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": 13}, "recipe steps 12, this run has 13"),
        ({"batch_size": 16}, "recipe batch 8, this run has 16"),
        ({"seed": 5}, "seed 0, this run has 5"),
        ({"method": "smd"}, "method name plain, this run has smd"),
        ({"arithmetic": "float32"}, "arithmetic int8, this run has float32"),
        ({"recipe": "random-resnet8"}, "the checkpoint is of a run with recipe"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, changes, said):
    _trained(DIGITS, tmp_path / "run", steps=12, checkpoint_every=100)
    with pytest.raises(CheckpointError, match=said):
        _trained(DIGITS, tmp_path / "other", resume=tmp_path / "run", **changes)
    assert not (tmp_path / "other").exists()


def test_a_checkpoint_of_a_board_has_what_this_run_has_not(tmp_path):
    _trained(DIGITS, tmp_path / "run", steps=4)
    checkpoint = read_checkpoint(tmp_path / "run" / "checkpoint.npz")
    of_board = dataclasses.replace(checkpoint, about=checkpoint.about | {"board": "sim"})
    with pytest.raises(CheckpointError, match="is of a run with board sim, this run has none: they must agree"):
        of_board.check(checkpoint.about)


@pytest.mark.parametrize(("version", "said"), [(4, "arithmetic version 4"), (None, "no arithmetic version, .* before version 5")])
def test_a_checkpoint_of_another_arithmetic_is_refused(tmp_path, version, said):
    """It would go on with other bits than it began with."""
    _trained(DIGITS, tmp_path / "run", steps=2)
    path = tmp_path / "run" / "checkpoint.npz"
    with np.load(path) as archive:
        arrays = dict(archive)
    data = json.loads(bytes(arrays["checkpoint.json"]))
    assert data.pop("arithmetic_version") == ARITHMETIC_VERSION
    data |= {"arithmetic_version": version} if version else {}
    np.savez(path, **arrays | {"checkpoint.json": np.frombuffer(json.dumps(data).encode(), np.uint8)})
    with pytest.raises(CheckpointError, match=f"{said}, this software computes with version {ARITHMETIC_VERSION} .*: go on"):
        _trained(DIGITS, tmp_path / "other", steps=2, resume=tmp_path / "run")
    assert not (tmp_path / "other").exists()


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "checkpoint.npz"
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        read_checkpoint(path)
    np.savez(path, **{"checkpoint.json": np.array([{"schema": 1}], object)})
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        read_checkpoint(path)
    write_checkpoint(path, Checkpoint({}, {}, {"w": np.zeros(3)}, {}))
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        read_checkpoint(path)
    entry = whole.index(b"PK\x01\x02")
    for byte, bit in ((6, 7), (8, 0), (8, 6), (10, 0)):  # version, encryption twice, compression
        damaged = bytearray(whole)
        damaged[entry + byte] ^= 1 << bit
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
            read_checkpoint(path)


def test_a_checkpoint_with_a_damaged_bit_is_refused_or_whole(tmp_path):
    """Also where the bit makes an array shorter than it was written."""
    path, values = tmp_path / "checkpoint.npz", np.arange(6000)
    write_checkpoint(path, Checkpoint({}, {}, {"w": values}, {"sums": values}))
    whole = path.read_bytes()
    shapes = [whole.index(b"'shape': (6000"), whole.rindex(b"'shape': (6000")]
    for at, bit in [(at, bit) for shape in shapes for at in range(shape - 60, shape + 60) for bit in range(8)]:
        damaged = bytearray(whole)
        damaged[at] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            found = read_checkpoint(path)
        except CheckpointError:
            continue
        np.testing.assert_array_equal(found.tensors["w"], values)
        np.testing.assert_array_equal(found.course["sums"], values)


@pytest.mark.parametrize("changes, error, says", [
    ({"recipe": "cifar10-resnet8"}, DataError, "CIFAR-10"), ({"sensors": ("sim",)}, MeasureError, "virtual time"),
    ({"recipe": "digits", "resume": "nowhere"}, CheckpointError, "nowhere"),
])  # fmt: skip
def test_what_is_not_there_leaves_no_folder(changes, error, says, tmp_path, monkeypatch):
    monkeypatch.setenv("JOULEGRAD_DATA", str(tmp_path))
    changes = {name: Path(value) if name == "resume" else value for name, value in changes.items()}
    with pytest.raises(error, match=says):
        _trained(DIGITS, tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_training_that_diverges_stops_and_names_the_last_good_checkpoint(tmp_path, monkeypatch):
    step = FloatLearner.train_step

    def diverging(learner, images, labels, gates=None):
        if learner.state.iteration == 6:
            with torch.no_grad():
                learner.module.linear.weight.fill_(float("nan"))
        return step(learner, images, labels, gates)

    monkeypatch.setattr(FloatLearner, "train_step", diverging)
    with pytest.raises(TrainError, match="stopped in iteration 6: .* nan; .* last good checkpoint, before iteration 4, is"):
        _trained(DIGITS, tmp_path / "run", arithmetic="float32")
    assert read_record(tmp_path / "run")["status"] == "failed"
    kept = read_checkpoint(tmp_path / "run" / "checkpoint.npz").tensors
    assert all(np.isfinite(value).all() for value in kept.values())


@pytest.mark.parametrize("last", [6, 11], ids=["on the way", "in the last iteration"])
def test_weights_that_are_no_numbers_never_take_the_place_of_a_good_checkpoint(tmp_path, monkeypatch, last):
    """The loss of an iteration is finite, and its step spoils a weight: a checkpoint follows before another loss does."""
    step = FloatLearner.train_step

    def diverging(learner, images, labels, gates=None):
        loss = step(learner, images, labels, gates)
        if learner.state.iteration == last + 1:
            with torch.no_grad():
                learner.module.linear.weight[0, 0] = float("inf")
        return loss

    monkeypatch.setattr(FloatLearner, "train_step", diverging)
    said = f"stopped before iteration {last + 1}: linear.weight holds .* not finite; .* checkpoint, before iteration {last}, is"
    with pytest.raises(TrainError, match=said):
        _trained(DIGITS, tmp_path / "run", arithmetic="float32", checkpoint_every=1)
    assert read_record(tmp_path / "run")["status"] == "failed" and not (tmp_path / "run" / "weights.npz").exists()
    kept = read_checkpoint(tmp_path / "run" / "checkpoint.npz")
    assert kept.state["iteration"] == last and all(np.isfinite(value).all() for value in kept.tensors.values())


def test_float32_is_torchs_own_training():
    """Two steps beside torch.optim.SGD written out, with the recipe's momentum and weight decay."""
    data, sgd = load_digits(0), Sgd(lr="1/10", momentum="9/10", weight_decay="1/100", steps=4)
    learner = FloatLearner(digits_network(0), data.exponent, sgd, 8)
    module = digits_network(0)
    momenta = [torch.zeros_like(parameter) for parameter in module.parameters()]
    for iteration in range(2):
        images, labels = data.train[8 * iteration : 8 * iteration + 8], data.train_labels[8 * iteration : 8 * iteration + 8]
        learner.train_step(images, labels)
        loss = torch.nn.functional.cross_entropy(module(torch.tensor(images).float() / 32), torch.tensor(labels))
        gradients = torch.autograd.grad(loss, list(module.parameters()))
        with torch.no_grad():
            for parameter, momentum, gradient in zip(module.parameters(), momenta, gradients, strict=True):
                momentum.mul_(0.9).add_(gradient + 0.01 * parameter)
                parameter -= 0.1 * (1 - iteration / 4) * momentum
    for ours, theirs in zip(learner.module.parameters(), module.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_float32_takes_the_same_algorithms_on_every_gpu_run(monkeypatch):
    for name, value in {"deterministic": False, "benchmark": True, "allow_tf32": True}.items():
        monkeypatch.setattr(torch.backends.cudnn, name, value)
    FloatLearner(digits_network(0), load_digits(0).exponent, Sgd(), 8)
    cudnn = torch.backends.cudnn
    assert cudnn.deterministic and not cudnn.benchmark and not cudnn.allow_tf32


def test_an_infinite_loss_leaves_the_weights_alone():
    data = load_digits(0)
    learner = FloatLearner(digits_network(0), data.exponent, Sgd(), 8)
    with torch.no_grad():
        learner.module.linear.bias[0] = float("inf")
    before = [parameter.clone() for parameter in learner.module.parameters()]
    with pytest.raises(Diverged, match="loss of iteration 0 is"):
        learner.train_step(data.train[:8], data.train_labels[:8])
    assert all(torch.equal(one, other) for one, other in zip(before, learner.module.parameters(), strict=True))


def test_the_energy_of_this_machine_is_said_to_be_the_emulators(tmp_path):
    monitor = HwmonTree(tmp_path / "sys")
    monitor.set_power(5.0)
    result = _trained(DIGITS, tmp_path / "run", steps=3, sensors=(monitor.url(),), idle_s=0.2)
    energy = result["energy_of_the_emulator"]
    assert list(energy["run_energy_j"]) == ["measured"] and "run_energy_j" not in result
    assert "energy of the emulator" in read_record(tmp_path / "run" / "energy")["measured"]
    assert energy["iterations_executed"] == 3
    assert result["host_s"] <= energy["windows"][0]["window"]["time_s"], "rest for the idle power is no training"
    screen = Screen(False)
    with screen.out.capture() as said:
        _show(result, screen)
    assert "energy of the emulator" in said.get() and "gross J" in said.get()
    assert read_record(tmp_path / "run")["versions"]["loops"].startswith("compiled C")


@pytest.mark.parametrize("method", ["smd", "smd+slu+swa+cpt"])
def test_a_priced_run_takes_what_the_same_run_takes_on_a_board(tmp_path, method, monkeypatch):
    """Counters, cycles and the processor's work exactly, in the first and the last iteration, too."""
    load, recipe = Recipe.load_data, "digits"

    def few(self, seed):
        images = load(self, seed)
        return dataclasses.replace(images, test=images.test[:4], test_labels=images.test_labels[:4])

    monkeypatch.setattr(Recipe, "load_data", few)
    if method != "smd":
        recipe = str(tmp_path / "thin.json")
        found = load_recipe("digits-resnet14").to_json()
        found |= {"model": found["model"] | {"width": 4}, "methods": {"cpt": {"lowest": 5, "periods": 2}}}
        (tmp_path / "thin.json").write_text(json.dumps(found))
    settings = dataclasses.replace(DIGITS, recipe=recipe, method=method, price="tiny", batch_size=4)
    trained = _trained(settings, tmp_path / "train")
    bench = BenchSettings(recipe, "golden", "tiny", 12, 4, None, tmp_path / "bench", False, MemoryStalls(), method=method)
    on_board = run_bench(bench, Screen(True))
    assert trained["counters"] == {name: on_board["counters"][name] for name in trained["counters"]}
    lines = [list(read_iterations(tmp_path / name)) for name in ("train", "bench")]
    assert [one["predicted_cycles"] for one in lines[0]] == [one["predicted_cycles"] for one in lines[1]]
    for one, other in zip(*lines, strict=True):
        accesses = 4 * len(other["counters"])
        assert one["processor"] == other["processor"] | {"register_accesses": accesses}, "the golden board has no registers"
    joules, expected = (one["run_energy_j"]["simulated"]["gross"]["value"] for one in (trained, on_board))
    table, accesses = load_table(), sum(line["processor"]["register_accesses"] for line in lines[0])
    driven = accesses * ProcessorModel().register_access_s * (table.board_idle_w + table.processor_busy_w)
    assert joules - driven == pytest.approx(expected, rel=1e-9)
    assert list(trained["run_energy_j"]) == ["simulated"]


def test_a_priced_run_that_goes_on_tells_of_the_whole_run(tmp_path):
    settings = dataclasses.replace(DIGITS, price="tiny")
    whole = _trained(settings, tmp_path / "whole")
    _stopped(dataclasses.replace(settings, out=tmp_path / "stopped"), 9)
    resumed = _trained(settings, tmp_path / "resumed", resume=tmp_path / "stopped")
    assert resumed["iterations_executed"] == 12 and resumed["iterations_here"] == 4
    assert resumed["counters"] == whole["counters"]


@pytest.mark.parametrize(("priced", "said"), [(None, "not priced, .* without --price"), ("z7020", "z7020, .* --price z7020")])
def test_a_run_goes_on_at_the_price_it_began_with(tmp_path, priced, said):
    """Else joules of two cores would be added up, or training end without any."""
    _stopped(dataclasses.replace(DIGITS, price=priced, out=tmp_path / "stopped"), 9)
    with pytest.raises(TrainError, match=f"--price tiny with --resume .*stopped: that run was .*{said}"):
        _trained(DIGITS, tmp_path / "resumed", price="tiny", resume=tmp_path / "stopped")
    assert not (tmp_path / "resumed").exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"price": "z7020", "arithmetic": "float32"}, "--price z7020 with --arithmetic float32: a core computes int8 only"),
        ({"graph": True}, "--graph with --device cpu and int8: it is for int8 training on cuda"),
        ({"device": "tpu"}, "--device tpu: there are cpu, cuda"),
        ({"arithmetic": "int4"}, "--arithmetic int4: there are int8, float32"),
        ({"checkpoint_every": 0}, "--checkpoint-every 0: it is at least 1"),
    ],
)
def test_settings_that_cannot_be(settings, said):
    with pytest.raises(SettingError, match=said):
        TrainSettings("digits", **settings)


def test_a_machine_without_cuda_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainError, match="finds no CUDA device here; use --device cpu"):
        _trained(DIGITS, tmp_path / "run", device="cuda")


def test_processes_that_cannot_share_are_told_so(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(TrainError, match="WORLD_SIZE is 2 and RANK, .*: start the processes with torchrun, or unset"):
        _trained(DIGITS, tmp_path / "run")
    for name, value in {"RANK": "1", "LOCAL_RANK": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(TrainError, match="process 1 of this machine finds 1 GPUs, .* start fewer processes"):
        _trained(DIGITS, tmp_path / "run", device="cuda")


def test_methods_of_the_integer_step_are_not_trained_in_float32(tmp_path):
    with pytest.raises(MethodError, match="bits, which float32 training does not; use int8"):
        _trained(DIGITS, tmp_path / "bits", method="cpt", arithmetic="float32", steps=64)
    with pytest.raises(TrainError, match="method signsgd exists for the integer step only"):
        _trained(DIGITS, tmp_path / "run", method="signsgd", arithmetic="float32")
    two_bytes = tmp_path / "two_bytes.json"
    two_bytes.write_text(json.dumps(load_recipe("digits").to_json() | {"methods": {"static": {"backward": 16}}}))
    with pytest.raises(TrainError, match="method static exists for the integer step only"):
        _trained(DIGITS, tmp_path / "run", recipe=str(two_bytes), method="static", arithmetic="float32")


def test_a_priced_run_has_ledgers(tmp_path):
    """Half of the mini-batches dropped, half of the multiply-accumulates."""
    plain = _trained(DIGITS, tmp_path / "plain", price="tiny", steps=12)
    smd = _trained(DIGITS, tmp_path / "smd", price="tiny", steps=12, method="smd")
    ledgers = {name: ledgers_of(tmp_path / name) for name in ("plain", "smd")}
    saved = ledgers["smd"].saved_against(ledgers["plain"])
    assert saved["macs"] == pytest.approx(1 - smd["iterations_executed"] / plain["iterations_executed"])
