"""A recorded step: the operations of one iteration, repeated on the same tensors, train as the emulator does.

The recorder here stands in for a CUDA graph, which this project has not been run with: it keeps every operation with its operands
and results, and a replay computes each again into the same memory, whatever Python would do by then.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from algo_networks import Pooled, PreActivation, build
from torch.utils._python_dispatch import TorchDispatchMode

from algo import compiled
from algo.checkpoint import read_checkpoint
from algo.data import random_images
from algo.device_batches import DeviceBatches
from algo.emulator import Emulator
from algo.export import export
from algo.graph_capture import Segments
from algo.sgd import Sgd
from algo.update_rule import UpdateRule
from joulegrad.screen import Screen
from joulegrad.settings import TrainSettings
from joulegrad.train import TrainError, run_train

TO_HOST = ("aten::_local_scalar_dense", "aten::item", "aten::nonzero", "aten::is_nonzero", "aten::equal")
FRESH = ("aten::empty", "aten::new_empty", "aten::lift_fresh")


class Recorder(TorchDispatchMode):
    """Notes operations; refuses those that would bring a number to the host."""

    def __init__(self):
        super().__init__()
        self.done = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.name().split(".")[0]
        if name in TO_HOST:
            raise AssertionError(f"{name} in a segment that is recorded: it brings a number to the host")
        result = operation(*args, **(kwargs or {}))
        self.done.append((name, operation, args, kwargs or {}, result))
        return result

    def replay(self) -> None:
        for name, operation, args, kwargs, result in self.done:
            if name.startswith(FRESH):
                continue
            again = operation(*args, **kwargs)
            pairs = zip(again, result, strict=True) if isinstance(result, (tuple, list)) else [(again, result)]
            for new, kept in pairs:
                if isinstance(kept, torch.Tensor) and new.data_ptr() != kept.data_ptr():
                    kept.copy_(new)


def record(work):
    recorder = Recorder()
    with recorder:
        work()
    return recorder.replay


@pytest.fixture
def torch_alone(monkeypatch):
    """The operations that run on a GPU: no compiled loop stands in for them."""
    monkeypatch.setattr(compiled, "library", lambda: None)


@pytest.mark.parametrize("kind, shape, rule", [
    (Pooled, (3, 11, 11), "gradient"), (PreActivation, (3, 6, 6), "sign"), (Pooled, (3, 11, 11), "psg_abstain"),
    (PreActivation, (3, 6, 6), UpdateRule("psg_abstain", g_bits=10, gradient_bits=16)),
])  # fmt: skip
def test_replayed_segments_train_bit_for_bit(torch_alone, kind, shape, rule):
    """With a partial mini-batch and evaluations between them, which are not recorded, or not with the others."""
    data = random_images(2, shape, 32, 12, 4)
    sgd = Sgd(weight_decay="1/100", steps=8)
    exported = export(build(kind), data.train[:6], data.train_labels[:6], data.exponent, 6, sgd, 5, rule)
    one, other = (Emulator(exported.step, exported.tensors, exported.state, record=how) for how in (None, record))
    for at, n in ((0, 6), (6, 6), (12, 6), (18, 2), (20, 6), (26, 6), (4, 6)):
        losses = [each.train_step(data.train[at : at + n], data.train_labels[at : at + n]) for each in (one, other)]
        assert losses[0].loss == losses[1].loss and one.state == other.state
        if at in (12, 20):
            np.testing.assert_array_equal(one.predict(data.test[:6]), other.predict(data.test[:6]))
    for name, value in one.tensors().items():
        np.testing.assert_array_equal(other.value(name), value, err_msg=name)


def test_train_replays_what_it_recorded_to_the_same_checkpoint(tmp_path, monkeypatch):
    """A CPU under the name cuda: partial mini-batches, evaluations, drops and an average put in place come in between."""
    settings = TrainSettings("digits", "smd+psg_abstain+swa", "cuda", steps=60, batch_size=64, evaluate_every=7, graph=True)

    class OnCpu(Emulator):
        def __init__(self, step, tensors, state, device, **more):
            super().__init__(step, tensors, state, "cpu", **more)
            made.append(self._segments)

    made = []
    monkeypatch.setattr(compiled, "runs_on", lambda device: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr("algo.emulator.Emulator", OnCpu)
    monkeypatch.setattr("algo.device_batches.DeviceBatches", lambda batches, device: DeviceBatches(batches, "cpu"))
    monkeypatch.setattr("algo.graph_capture.cuda_graph", record)
    one = run_train(replace(settings, out=tmp_path / "graph"), Screen(True))
    other = run_train(replace(settings, out=tmp_path / "eager", graph=False), Screen(True))
    assert set(made[0]._recorded) == {"forward", "backward", "evaluate"} and not made[1]._recorded
    assert one["accuracy"] == other["accuracy"]
    ends = [read_checkpoint(tmp_path / name / "checkpoint.npz") for name in ("graph", "eager")]
    assert ends[0].state == ends[1].state
    for name, value in ends[0].tensors.items():
        np.testing.assert_array_equal(ends[1].tensors[name], value, err_msg=name)
    with pytest.raises(TrainError, match="--graph with method sd in 1 processes: blocks that samples skip, .* leave it out"):
        run_train(replace(settings, out=tmp_path / "gated", method="sd"), Screen(True))
    assert not (tmp_path / "gated").exists()


def test_the_stand_in_replays_operations_and_no_python():
    values, steps = {"x": torch.tensor([1])}, iter((10, 100, 1000))
    segments = Segments(values, record)

    def work():
        values["y"] = values["x"] * 2 + next(steps)

    found = []
    for x in (1, 2, 3, 4):
        segments.put("x", torch.tensor([x]))
        segments.run("a", work)
        found.append(int(values["y"]))
    assert found == [12, 104, 106, 108], "from the third run on, 100 is what the recorded operation adds"


def test_what_comes_to_the_host_is_refused():
    with pytest.raises(AssertionError, match="brings a number to the host"):
        record(lambda: int(torch.tensor([3]).sum()))


def test_functions_that_are_fused_trace_whole_and_compute_the_same(torch_alone):
    """The compiler that would fuse them is left out; that it sees all of them, and no more variants than it keeps, is tested."""
    data = random_images(2, (1, 8, 8), 12, 4, 4)
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, 1, 1), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    exported = export(module, data.train[:6], data.train_labels[:6], data.exponent, 6, Sgd(steps=8), 5)

    def traced(function):
        return torch.compile(function, backend="eager", fullgraph=True, dynamic=False)

    one, other = (Emulator(exported.step, exported.tensors, exported.state, fuse=how) for how in (None, traced))
    for at in (0, 6):
        losses = [each.train_step(data.train[at : at + 6], data.train_labels[at : at + 6]) for each in (one, other)]
        assert losses[0].loss == losses[1].loss and one.state == other.state
    for name, value in one.tensors().items():
        np.testing.assert_array_equal(other.value(name), value, err_msg=name)
