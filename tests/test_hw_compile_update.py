"""Updates by signs in all executors: golden and RTL against the PyTorch emulator, counters and cycles as predicted."""

from __future__ import annotations

import gated_networks
import numpy as np
import pytest
from algo_networks import build
from test_hw_compile import train_both
from torch import nn

from algo.data import random_images
from algo.emulator import Emulator
from algo.export import build_step, export
from algo.gates import Gating
from algo.models import ResNet
from algo.policies.decision import Decision
from algo.sgd import Sgd
from algo.train import export_digits
from algo.trainer import Trainer
from algo.update_rule import UpdateRule
from host.board import open_board
from host.checked_run import CheckedRun
from hw.compile import compile_step
from hw.config import load_config
from hw.scratchpad import CompileError

TINY = load_config("tiny")
BATCH = 3
SKIPPED = tuple(f"blocks.{number}." for number in gated_networks.GATED)


RULES = {
    "sign": UpdateRule("sign"), "sign, linear": UpdateRule("sign", linear=True), "psg_abstain": UpdateRule("psg_abstain"),
    "4/8 bits": UpdateRule("psg_abstain", x_bits=4, g_bits=8, beta="1/10"),
    "predicted": UpdateRule("psg_abstain", linear=True, x_bits=5, g_bits=3, beta=0),
    "16 bits": UpdateRule(gradient_bits=16), "sign of 16 bits": UpdateRule("sign", gradient_bits=16),
    "4/10 of 16 bits": UpdateRule("psg_abstain", g_bits=10, gradient_bits=16),
    "4/16 of 16 bits": UpdateRule("psg_abstain", linear=True, g_bits=16, beta=0, gradient_bits=16),
    "4/4 of 16 bits": UpdateRule("psg_abstain", gradient_bits=16),
}
PAPERS = RULES["4/10 of 16 bits"]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_residual_network_with_partial_batches(rule):
    train_both(ResNet(2, (5, 7), 10), (2, 6, 6), 5, (5, 3, 5), update=rule)


@pytest.mark.parametrize("rule", ["sign", "psg_abstain", RULES["16 bits"], PAPERS], ids=str)
def test_weights_of_several_tiles_and_pieces(rule):
    """More weights than an accumulator bank and than U and V hold at once."""
    train_both(nn.Sequential(
        nn.Conv2d(1, 20, 3, 2, 1, bias=False), nn.BatchNorm2d(20), nn.ReLU(), nn.Conv2d(20, 23, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(23, 10),
    ), (1, 7, 7), 9, (9, 4), update=rule)  # fmt: skip


@pytest.mark.parametrize(("convolution", "shape", "product", "said"), [
    (nn.Conv2d(5, 4, 3, 1, 1), (5, 13, 13), "sum_backward of 4.grad", "8 rows of one image do not fit the memories"),
    (nn.Conv2d(5, 4, (1, 25), 1, (0, 12)), (5, 8, 8), "grad_weight of layer 2",
     "25 kernel columns take 100 accumulator rows; 64 are there"),
], ids=["pixels", "weights"])  # fmt: skip
def test_a_network_that_16_bits_alone_make_too_large_is_told_why(convolution, shape, product, said):
    module = nn.Sequential(
        nn.Conv2d(5, 5, 1), nn.ReLU(), convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)
    )
    compile_step(build_step(module, shape, 2), TINY, {})
    halved = "whose gradient's low bytes take half of each accumulator bank"
    with pytest.raises(CompileError, match=f"^{product}, {halved}: {said}"):
        compile_step(build_step(module, shape, 2, update=RULES["16 bits"]), TINY, {})


def test_the_dither_of_images_in_several_tiles():
    """An image whose gradient does not fit W at once: tiles begin at other rows, too."""
    train_both(nn.Sequential(
        nn.Conv2d(1, 5, 3, 1, 1, bias=False), nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 4, 3, 1, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10),
    ), (1, 18, 18), 2, (2, 1), update=UpdateRule("psg_abstain", beta=0))  # fmt: skip


@pytest.mark.parametrize("rule", ["sign", "psg_abstain", PAPERS], ids=str)
def test_digits_on_the_rtl_with_counters_and_cycles_as_predicted(rule):
    exported, data = export_digits(seed=2, steps=8, batch=BATCH, update=rule)
    program = compile_step(exported.step, TINY, exported.tensors)
    with open_board("sim", TINY, ddr_bytes=-(-program.ddr_bytes // 4096) * 4096) as board:
        reference = Emulator(exported.step, exported.tensors, exported.state)
        run = CheckedRun(board, program, exported.state, reference, inspect=False, cycles_limit=0.01)
        sizes = (BATCH, BATCH, BATCH - 1)
        iterations = list(run.train((data.train[:size], data.train_labels[:size]) for size in sizes))
    assert len(iterations) == 3 and run.cycles_error < 0.01


class Given:
    """A course of given decisions of blocks."""

    def __init__(self, decisions):
        self.decisions = decisions

    def decide(self, iteration):
        return Decision(iteration)

    def gates(self, decision):
        return gated_networks.Fixed(self.decisions[decision.iteration])

    def executed(self, decision, loss):
        """Nothing is learned from it."""


@pytest.mark.parametrize("rule", ["sign", "psg_abstain"])
def test_blocks_that_samples_skip(rule):
    """Levels of blocks that nobody ran stay, those of others move; everything equal on the golden board."""
    data = random_images(3, gated_networks.SHAPE, 24, 8, gated_networks.CLASSES)
    batch = (data.train[:5], data.train_labels[:5])
    exported = export(build(gated_networks.Gated), *batch, data.exponent, 5, Sgd(), seed=5, update=rule, gated=Gating())
    program = compile_step(exported.step, TINY, exported.tensors, exported.state)
    some, none = gated_networks.drawn(1, 5).decisions, np.zeros((len(SKIPPED), 5))
    batches = [batch, batch, (data.train[5:8], data.train_labels[5:8])]
    with open_board("golden", TINY, ddr_bytes=program.ddr_bytes) as board:
        reference = Trainer(Emulator(exported.step, exported.tensors, exported.state), Given([some, none, some]))
        run = CheckedRun(board, program, exported.state, reference)
        assert len(list(run.train(batches, Given([some, none, some])))) == 3
        assert run.runtime.state.levels.keys() == exported.step.levels.keys()
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    emulator.train_step(*batch, gated_networks.Fixed(none))
    moved = {name.split(".weight")[0] for name, level in emulator.state.levels.items() if level != exported.state.levels[name]}
    run_blocks = {name.split(".weight")[0] for name in exported.step.levels if not name.startswith(SKIPPED)}
    assert moved <= run_blocks and bool(moved) == (rule == "psg_abstain")


def test_a_sign_costs_one_narrow_pass_more():
    counted = []
    for update in ("gradient", "sign"):
        exported, _ = export_digits(seed=2, steps=8, batch=BATCH, update=update)
        program = compile_step(exported.step, TINY, exported.tensors)
        vectors = [i for i in program.instructions("backward") if i.op == "vector"]
        counted.append(sum(i["n_img"] * i["img_px"] for i in vectors))
    tiles = sum(
        -(-w.stored_shape[0] // 4) * -(-w.stored_shape[1] // 4) * w.stored_shape[2] * w.stored_shape[3] * 4
        for w in exported.step.weights.values() if w.name != "linear.weight"
    )
    assert counted[1] - counted[0] == tiles
