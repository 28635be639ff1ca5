"""Updates by signs in all executors: golden and RTL against the PyTorch emulator, counters and cycles as predicted."""

from __future__ import annotations

import pytest
from test_hw_compile import train_both
from torch import nn

from algo.emulator import Emulator
from algo.models import ResNet
from algo.train import export_digits
from algo.update_rule import UpdateRule
from host.board import open_board
from host.checked_run import CheckedRun
from hw.compile import compile_step
from hw.config import load_config

TINY = load_config("tiny")
BATCH = 3


RULES = {
    "sign": UpdateRule("sign"), "sign, linear": UpdateRule("sign", linear=True), "psg_abstain": UpdateRule("psg_abstain"),
    "4/8 bits": UpdateRule("psg_abstain", x_bits=4, g_bits=8, beta="1/10"),
    "predicted": UpdateRule("psg_abstain", linear=True, x_bits=5, g_bits=3, beta=0),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_residual_network_with_partial_batches(rule):
    train_both(ResNet(2, (5, 7), 10), (2, 6, 6), 5, (5, 3, 5), update=rule)


@pytest.mark.parametrize("rule", ["sign", "psg_abstain"])
def test_weights_of_several_tiles_and_pieces(rule):
    """More weights than an accumulator bank and than U and V hold at once."""
    train_both(nn.Sequential(
        nn.Conv2d(1, 20, 3, 2, 1, bias=False), nn.BatchNorm2d(20), nn.ReLU(), nn.Conv2d(20, 23, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(23, 10),
    ), (1, 7, 7), 9, (9, 4), update=rule)  # fmt: skip


@pytest.mark.parametrize("rule", ["sign", "psg_abstain"])
def test_digits_on_the_rtl_with_counters_and_cycles_as_predicted(rule):
    exported, data = export_digits(seed=2, steps=8, batch=BATCH, update=rule)
    program = compile_step(exported.step, TINY, exported.tensors)
    with open_board("sim", TINY, ddr_bytes=-(-program.ddr_bytes // 4096) * 4096) as board:
        reference = Emulator(exported.step, exported.tensors, exported.state)
        run = CheckedRun(board, program, exported.state, reference, inspect=False, cycles_limit=0.01)
        sizes = (BATCH, BATCH, BATCH - 1)
        iterations = list(run.train((data.train[:size], data.train_labels[:size]) for size in sizes))
    assert len(iterations) == 3 and run.cycles_error < 0.01


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
