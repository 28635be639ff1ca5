"""Predicted counters equal those that the golden model counts while it computes."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from algo.export import export
from algo.sgd import Sgd
from hw import isa
from hw.compile import compile_step
from hw.compile_kernel import KINDS, SEGMENT, compile_kernel
from hw.compile_table import IMAGE_LIST
from hw.config import load_config
from hw.golden import run_segment
from hw.predict import predict_counters
from hw.state import CoreState

TINY = load_config("tiny")


def golden(program, segment, images):
    """Counters of the golden model on a mini-batch of so many images."""
    ddr = program.image()
    shape = program.memory[IMAGE_LIST].shape
    program.memory.write(ddr, IMAGE_LIST, np.array([images, *range(shape[0] - 1)]))
    state = CoreState(TINY, ddr)
    entry = program.segments[segment]
    run_segment(state, entry.address, entry.count)
    return {name: value for name, value in state.counters.items() if name not in isa.TIMING_COUNTERS}


@pytest.mark.parametrize("kind", KINDS)
def test_kernels(kind):
    program = compile_kernel(kind, 3, 9, 6, 12, 9, 3, 2, 1, TINY).program
    for images in (3, 1):
        assert predict_counters(program, SEGMENT, images, TINY) == golden(program, SEGMENT, images)


def test_training_step_with_pools_and_partial_batches():
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3, 1, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(6 * 2 * 2, 10),
    )
    images = np.random.default_rng(0).integers(-99, 99, (5, 3, 8, 8), np.int8)
    exported = export(module, images, np.arange(5), -5, 5, Sgd())
    program = compile_step(exported.step, TINY, exported.tensors)
    for segment in ("clear", "forward", "backward", "eval"):
        for count in (5, 2):
            assert predict_counters(program, segment, count, TINY) == golden(program, segment, count)
