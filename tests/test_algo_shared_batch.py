"""A mini-batch that several processes share: the same bits as in one, whatever the shares are."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from algo_networks import Pooled, PreActivation, build
from gated_networks import CLASSES, Gated, Projected, drawn
from gated_networks import SHAPE as GATED_SHAPE

from algo.checkpoint import read_checkpoint
from algo.data import random_images
from algo.emulator import Emulator
from algo.export import export
from algo.gates import Gating
from algo.sgd import Sgd
from algo.shared_batch import Share
from algo.update_rule import UpdateRule
from host.run_folder import read_iterations
from joulegrad.screen import Screen
from joulegrad.settings import TrainSettings
from joulegrad.train import TrainError, run_train

ROOT = Path(__file__).parents[1]


class Meeting:
    """Where threads exchange what processes would send each other."""

    def __init__(self, count: int):
        self.barrier, self.there = threading.Barrier(count, timeout=60), [None] * count

    def exchange(self, rank: int, value: torch.Tensor) -> torch.Tensor:
        self.there[rank] = value.clone()
        self.barrier.wait()
        everything = torch.stack(self.there)
        self.barrier.wait()
        return everything


@dataclass(frozen=True)
class ThreadShare(Share):
    """A share of a mini-batch in a thread: a process's, but for the way in which numbers travel."""

    meeting: Meeting | None = None

    def total(self, sums):
        return self.meeting.exchange(self.rank, sums.long()).sum(0)

    def largest(self, maxima):
        maxima.copy_(self.meeting.exchange(self.rank, maxima).amax(0))


def in_threads(count: int, run) -> list:
    meeting, found = Meeting(count), [None] * count

    def one(rank: int) -> None:
        try:
            found[rank] = run(ThreadShare(rank, count, meeting))
        except BaseException as error:
            found[rank] = error
            meeting.barrier.abort()

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in found:
        if isinstance(each, BaseException) and not isinstance(each, threading.BrokenBarrierError):
            raise each
    return found


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("kind, shape, rule", [
    (Pooled, (3, 11, 11), "gradient"), (PreActivation, (3, 6, 6), "sign"), (Pooled, (3, 11, 11), "psg_abstain"),
    (Pooled, (3, 11, 11), UpdateRule("psg_abstain", g_bits=10, gradient_bits=16)),
])  # fmt: skip
def test_shares_of_any_size_give_the_bits_of_one_process(kind, shape, rule, count):
    """Mini-batches of 8, 5, 2 and 1: uneven shares, and processes without an image."""
    data = random_images(3, shape, 24, 10, 4)
    rule = UpdateRule.of(rule)
    exported = export(build(kind), data.train[:8], data.train_labels[:8], data.exponent, 8, Sgd(weight_decay="1/100"), 5, rule)

    def run(share: Share):
        emulator = Emulator(exported.step, exported.tensors, exported.state, share=share)
        losses = [emulator.train_step(data.train[at : at + n], data.train_labels[at : at + n])
                  for at, n in ((0, 8), (8, 5), (13, 2), (15, 1))]  # fmt: skip
        accuracy = emulator.evaluate(data.test, data.test_labels)
        return emulator.tensors(), emulator.state, [(one.loss, one.correct) for one in losses], accuracy, emulator.maxima

    tensors, *others = run(Share())
    for found, *rest in in_threads(count, run):
        assert rest == others
        for name, value in tensors.items():
            np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_every_image_is_in_one_share():
    for images in range(1, 20):
        for processes in range(1, 6):
            parts = [Share(rank, processes).part(images) for rank in range(processes)]
            assert [image for part in parts for image in range(images)[part]] == list(range(images))
            sizes = [part.stop - part.start for part in parts]
            assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("kind", [Gated, Projected])
def test_gated_blocks_are_shared_too(kind, count):
    """Every process decides for all samples, from all their means; a block may be run by samples of other shares alone."""
    data = random_images(3, GATED_SHAPE, 16, 10, CLASSES)
    rule, gating = UpdateRule.of("psg_abstain"), Gating(pooled=True, gradients=True)
    exported = export(build(kind), data.train[:8], data.train_labels[:8], data.exponent, 8, Sgd(), 5, rule, gated=gating)
    blocks, none_of_two = len(exported.step.gated_blocks), np.arange(8) < 3

    def run(share: Share):
        emulator, asked = Emulator(exported.step, exported.tensors, exported.state, share=share), []
        for seed, (at, n) in enumerate(((0, 8), (8, 5), (13, 2))):
            gates = drawn(seed, n, blocks=blocks)
            gates.decisions[0] &= none_of_two[:n]
            emulator.train_step(data.train[at : at + n], data.train_labels[at : at + n], gates)
            asked.append((gates.asked, gates.learned, emulator.route.decisions()))
        accuracy = emulator.evaluate(data.test, data.test_labels, drawn(7, 8, blocks=blocks))
        return emulator.tensors(), asked, (emulator.state, accuracy, emulator.maxima)

    tensors, asked, others = run(Share())
    for found, told, rest in in_threads(count, run):
        assert rest == others
        np.testing.assert_equal(told, asked)
        for name, value in tensors.items():
            np.testing.assert_array_equal(found[name], value, err_msg=name)


DIGITS = TrainSettings("digits", "smd+psg_abstain+swa", steps=9, batch_size=7, checkpoint_every=2)


def test_two_processes_of_torchrun_leave_the_run_of_one(tmp_path):
    """Weights, state, losses, decisions of policy and gates, averages: lines and checkpoint are the same."""
    recipe = json.loads((ROOT / "algo" / "recipes" / "digits.json").read_text()) | {"methods": {"slu": {"blocks": "all"}}}
    (tmp_path / "gated.json").write_text(json.dumps(recipe))
    settings = dataclasses.replace(DIGITS, recipe=str(tmp_path / "gated.json"), method="e2train", out=tmp_path / "two")
    asked = ["train", settings.recipe, "--method", settings.method, "--steps", "9", "--batch-size", "7"]
    asked += ["--checkpoint-every", "2"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, "-m", "joulegrad.cli", *asked, "--out", str(settings.out), "--json"], cwd=ROOT, text=True,
        capture_output=True, timeout=240, env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)  # one object: the other process is silent
    one = run_train(dataclasses.replace(settings, out=tmp_path / "one"), Screen(True))
    changing = ("host_s", "run_dir")
    assert {name: said[name] for name in one if name not in changing} == {name: one[name] for name in one if name not in changing}
    folders = [tmp_path / name for name in ("one", "two")]
    assert len({json.dumps(list(read_iterations(folder))) for folder in folders}) == 1
    first, second = (read_checkpoint(folder / "checkpoint.npz") for folder in folders)
    assert (first.about, first.state) == (second.about, second.state)
    np.testing.assert_equal(first.course, second.course)
    for name, value in first.tensors.items():
        np.testing.assert_array_equal(second.tensors[name], value, err_msg=name)
    assert [json.loads((folder / "run.json").read_text())["processes"] for folder in folders] == [1, 2]


def test_idle_power_is_not_taken_while_other_gpus_wait_at_work(monkeypatch):
    @contextmanager
    def first_of_two(device):
        yield Share(0, 2)

    monkeypatch.setattr("algo.shared_batch.shared", first_of_two)
    monkeypatch.setattr("joulegrad.train.check_device", lambda device: None)
    with pytest.raises(TrainError, match="--sensor in 2 processes: .* start one, or give --idle 0 for gross joules alone"):
        run_train(dataclasses.replace(DIGITS, device="cuda", sensors=("nvml",)), Screen(False))


def test_float32_is_not_shared(monkeypatch):
    @contextmanager
    def second_of_two(device):
        yield Share(1, 2)

    monkeypatch.setattr("algo.shared_batch.shared", second_of_two)
    with pytest.raises(TrainError, match="--arithmetic float32 in 2 processes: only int8 is shared, bit for bit; start one"):
        run_train(dataclasses.replace(DIGITS, method="plain", arithmetic="float32"), Screen(False))
