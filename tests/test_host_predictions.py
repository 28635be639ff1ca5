"""Counters and cycles of a run against their predictions: exact ones, the error of cycles, and what a difference says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from algo.data import random_images
from algo.emulator import Emulator
from algo.export import export
from algo.models import residual_network
from algo.sgd import Sgd
from host import predictions
from host.board import open_board
from host.check import CounterMismatch
from host.checked_run import CheckedRun
from host.kernel import run_kernel
from hw import isa
from hw.compile import compile_step
from hw.compile_kernel import compile_kernel
from hw.config import load_config

TINY = load_config("tiny")
BATCH = 3


def thin(seed):
    """Return a thin residual network for random 8 x 8 images, exported, and the images."""
    data = random_images(seed, (1, 8, 8), BATCH, 0)
    return export(residual_network(seed, 1, (4, 8)), data.train, data.train_labels, data.exponent, BATCH, Sgd(), seed), data


@pytest.fixture(scope="module")
def network():
    exported, data = thin(2)
    return exported, data, compile_step(exported.step, TINY, exported.tensors)


def checked(network, board, **options):
    """Return a checked run, and the iterations of two full mini-batches and a smaller one."""
    exported, data, program = network
    run = CheckedRun(
        board, program, exported.state, Emulator(exported.step, exported.tensors, exported.state), inspect=False, **options
    )
    sizes = (BATCH, BATCH, BATCH - 1)
    return run, run.train((data.train[:size], data.train_labels[:size]) for size in sizes)


@pytest.fixture
def made(monkeypatch):
    """Return a list that takes up segment and number of images of every prediction that is worked out; none is known before."""
    made, true = [], predictions.predict_counters
    monkeypatch.setattr(predictions, "predict_counters", lambda *arguments: made.append(arguments[1:3]) or true(*arguments))
    predictions._worked_out.cache_clear()
    return made


def test_predictions_are_made_once_per_segment_and_number_of_images(network, made):
    with open_board("golden", TINY, ddr_bytes=network[2].ddr_bytes) as board:
        run, iterations = checked(network, board)
        assert len(list(iterations)) == 3
    assert made == [(segment, size) for size in (BATCH, BATCH - 1) for segment in ("forward", "backward")]
    assert run.cycles_error is None


def test_programs_that_differ_in_weights_alone_share_their_predictions(network, made):
    exported, _, program = network
    other, _ = thin(3)
    other = compile_step(other.step, TINY, other.tensors)
    assert any((other.tensors[name] != weights).any() for name, weights in program.tensors.items())
    shorter = replace(program, code=program.code | {"forward": program.code["forward"][: -isa.INSTRUCTION_BYTES]}, owners={})
    found = [predictions.Predictions(one, TINY).counters("forward", BATCH) for one in (program, other, shorter)]
    assert found[0] == found[1] and made == [("forward", BATCH)] * 2
    assert found[2]["instructions"] < found[0]["instructions"]


def test_a_counter_that_differs_is_named_with_its_segment(network, monkeypatch):
    with open_board("golden", TINY, ddr_bytes=network[2].ddr_bytes) as board:
        run, iterations = checked(network, board)
        next(iterations)
        true = board.wait
        monkeypatch.setattr(board, "wait", lambda timeout_s=None: true() | {"vectors": 1})
        with pytest.raises(CounterMismatch, match=r"iteration 1: counter vectors of segment forward is 1, predicted \d+"):
            next(iterations)


def test_cycles_of_the_rtl_are_as_predicted_and_a_limit_is_enforced(network, monkeypatch):
    """Equal but for divisions and roots, whose operands the prediction does not know; another memory is beyond the limit."""
    first_images = []
    true = predictions.predict_cycles
    monkeypatch.setattr(predictions, "predict_cycles", lambda *a, **k: first_images.append(k["first_image"]) or true(*a, **k))
    with open_board("sim", TINY, ddr_bytes=network[2].ddr_bytes) as board:
        run, iterations = checked(network, board, cycles_limit=0.001)
        assert len(list(iterations)) == 3
        assert run.cycles_error is not None
    assert first_images == [BATCH, BATCH, 0, 0, BATCH, BATCH]  # the halves of the input region in turn
    with open_board("sim", TINY, ddr_bytes=network[2].ddr_bytes, latency_cycles=80) as board:
        _, iterations = checked(network, board, cycles_limit=0.01)
        with pytest.raises(CounterMismatch, match=r"segment \w+ took \d+ cycles, predicted \d+: \d\.\d\d % off, at most 1 %"):
            next(iterations)


def test_a_kernel_knows_its_predictions(monkeypatch):
    kernel = compile_kernel("forward", 2, 8, 8, 6, 6, 3, 1, 1, TINY)
    with open_board("golden", TINY, ddr_bytes=1 << 18) as board:
        done = run_kernel(board, kernel)
        assert done.counter_difference is None and done.predicted_cycles > 0
        true = board.wait
        monkeypatch.setattr(board, "wait", lambda timeout_s=None: true() | {"macs_int8": 1})
        assert "counter macs_int8 of segment kernel is 1, predicted" in run_kernel(board, kernel).counter_difference
