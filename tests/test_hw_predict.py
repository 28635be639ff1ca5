"""Predicted counters equal those that the golden model counts while it computes."""

from __future__ import annotations

import numpy as np
import pytest
from core_programs import instruction
from torch import nn

from algo import scalar_ops
from algo.export import export
from algo.sgd import Sgd
from hw import isa
from hw.compile import compile_step
from hw.compile_kernel import KINDS, SEGMENT, compile_kernel
from hw.compile_table import IMAGE_LIST
from hw.config import load_config
from hw.golden import run_segment
from hw.predict import count, predict_counters
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
        for size in (5, 2):
            assert predict_counters(program, segment, size, TINY) == golden(program, segment, size)


def test_scalar_programs_in_groups_and_masks_of_odd_images():
    words = [scalar_ops.encode(op, rd=1, ra=1, rb=1, imm=imm) for op, imm in (("ldc", 0), ("add", 0), ("stc", 1), ("lds", 2))]
    program = [
        instruction("load", mem="P", addr=0x100, n_img=2, img_stride=0x80, n_grp=2, grp_stride=0x40, run=1),
        instruction("coefficient", length=4, ch_count=3, ch_stride=2, sc_base=8),
        instruction("vector", u_src=1, dst=1, mask_in=1, mask_out=1, n_img=3, img_px=11),
        instruction("vector", u_src=1, sums=1, mask_in=1, n_img=3, img_px=11, slot=1, clip=1, c_stride=2),
    ]
    ddr = np.zeros(1 << 12, np.uint8)
    for at, word in zip((0x100, 0x140, 0x180, 0x1C0), words, strict=True):
        ddr[at : at + 8] = np.array([word], "<u8").view(np.uint8)
    code = np.frombuffer(b"".join(isa.encode(one) for one in program), np.uint8)
    ddr[0x800 : 0x800 + code.size] = code
    state = CoreState(TINY, ddr)
    state.mem["IL"][0] = 2
    run_segment(state, 0x800, len(program))
    assert count(program, TINY, 2, ddr) == {k: v for k, v in state.counters.items() if k not in isa.TIMING_COUNTERS}
