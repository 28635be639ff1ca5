"""A batch norm that made nothing but zeros, or rounding, until now: executors stay equal, and its beta reaches the output."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from algo.coefficient_programs import BN_ENTRIES, LOWEST_NORMALISED, PROGRAMS, run_program
from algo.emulator import Emulator
from algo.export import export
from algo.scaling import scalars, settle
from algo.sgd import Sgd
from host.board import open_board
from host.checked_run import CheckedRun
from hw.compile import compile_step
from hw.config import load_config

BATCH, SHAPE = 8, (3, 2, 7)
IMAGES = np.full((BATCH, *SHAPE), -128, np.int8)


def exported(seed: int, gamma: float = 1.0):
    """Return a batch norm and a linear layer, calibrated on images without any difference, and labels."""
    torch.manual_seed(seed)
    module = nn.Sequential(nn.BatchNorm2d(3, momentum=0.5), nn.Flatten(), nn.Linear(42, 10, bias=False))
    nn.init.constant_(module[0].weight, gamma)
    labels = np.random.default_rng(seed).integers(0, 10, (3, BATCH))
    return export(module, IMAGES, labels[0], -7, BATCH, Sgd(lr="1/100", momentum=0), seed), labels


def test_executors_are_equal_where_the_output_was_rounding_and_beta_moves():
    one, labels = exported(464)
    config = load_config("tiny")
    program = compile_step(one.step, config, one.tensors, one.state)
    with open_board("golden", config, ddr_bytes=1 << 20) as board:
        run = CheckedRun(board, program, one.state, Emulator(one.step, one.tensors, one.state))
        assert len(list(run.train([(IMAGES, target) for target in labels]))) == 3


def test_the_largest_beta_reaches_the_output_at_the_smallest_exponent():
    one, _ = exported(0, gamma=0.0)
    assert one.state.exponents["0"] == LOWEST_NORMALISED
    low = settle(one.step, replace(one.state, exponents=one.state.exponents | {"0": -60}))
    assert low.exponents["0"] == LOWEST_NORMALISED
    program = PROGRAMS["bn_forward"]
    table = np.zeros((2, len(BN_ENTRIES)), np.int64)
    table[:, BN_ENTRIES.index("BETA")] = (1 << 30) - 1, 1 - (1 << 30)
    words = np.array(scalars(one.step, low, BATCH)["0.forward"])
    found = run_program(program.words, table, words)[:, BN_ENTRIES.index("D")]
    exact = ((1 << 30) - 1) * 2 ** (7 - LOWEST_NORMALISED) / 2**15
    assert np.abs(found - np.array([exact, -exact])).max() <= 1 and np.abs(found).max() < 1 << 47
