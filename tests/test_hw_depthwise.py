"""Depthwise convolutions on the core: diagonal blocks in DDR, bit for bit on the golden and the simulated board, at 1 / G."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from algo_networks import build
from depthwise_networks import SHAPES, Depthwise, Inverted
from test_hw_compile import images_of, train_both

from algo.emulator import Emulator
from algo.export import build_step, export
from algo.models_cifar import mobilenet_v2
from algo.sgd import Sgd
from algo.step import Compute, Product
from algo.update_rule import KINDS, UpdateRule
from host.board import open_board
from host.checked_run import CheckedRun
from hw import layout
from hw.compile import compile_step
from hw.compile_update import DIAGONAL_MASK, diagonal_mask, update_rows
from hw.config import load_config
from hw.tiling import plan_product
from hw.tiling_weights import WeightTile, plan_grad_weight
from measurements.ledger_macs import product_macs

TINY = load_config("tiny")


@pytest.mark.parametrize("channels, g", [(4, 4), (6, 4), (1, 4), (20, 16)])
@pytest.mark.parametrize("dtype", [np.int8, np.int32])
def test_diagonal_blocks_are_the_dense_weights_of_each_group(channels, g, dtype):
    weights = np.random.default_rng(0).integers(-100, 100, (channels, 1, 3, 2)).astype(dtype)
    data = layout.diagonal_to_ddr(weights, g)
    np.testing.assert_array_equal(layout.diagonal_from_ddr(data, weights.shape, g, dtype), weights)
    blocks = np.frombuffer(data, dtype).reshape(-(-channels // g), 3, 2, g, g)
    for k in range(channels):
        np.testing.assert_array_equal(blocks[k // g, :, :, k % g, k % g], weights[k, 0])
    assert np.count_nonzero(blocks) == np.count_nonzero(weights)


@pytest.mark.parametrize("config", [TINY, load_config("z7020"), replace(TINY, vector_words=512, mask_words=4)])
def test_the_mask_keeps_the_diagonal_of_whole_blocks(config):
    rows, mask = update_rows(config), diagonal_mask(config)
    assert rows % config.g == 0 and 0 < rows <= 4 * config.mask_words and 16 * rows <= config.vector_words
    assert mask.shape == (1, config.g, rows, 1)
    np.testing.assert_array_equal(mask[0, :, :, 0].T.reshape(-1, config.g, config.g), np.broadcast_to(np.eye(config.g), (
        rows // config.g, config.g, config.g)))  # fmt: skip


@pytest.mark.parametrize("update", [*KINDS, UpdateRule("psg_abstain", g_bits=10, gradient_bits=16)], ids=str)
@pytest.mark.parametrize("kind", [Depthwise, Inverted])
def test_training_equals_the_emulator(kind, update):
    train_both(build(kind), SHAPES[kind], 4, (4, 3), update=update)


def test_training_equals_the_emulator_where_everything_is_cut():
    """Accumulators and scratchpads so small that planes are cut in rows and kernels in rows of taps."""
    train_both(build(Depthwise), (3, 9, 8), 3, (3, 2), config=replace(TINY, acc_rows=32, a_words=128, w_words=128))


def test_off_the_diagonal_weights_stay_zero_in_memory():
    module, shape = build(Depthwise), SHAPES[Depthwise]
    images, labels = images_of(np.random.default_rng(1), 4, shape)
    exported = export(module, images, labels, -5, 4, Sgd(weight_decay="1/100"), seed=2)
    program = compile_step(exported.step, TINY, exported.tensors, exported.state)
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    with open_board("golden", TINY, ddr_bytes=-(-program.ddr_bytes // 4096) * 4096) as board:
        run = CheckedRun(board, program, exported.state, emulator)
        assert len(list(run.train([(images, labels)] * 2))) == 2
        for name, dtype in (("weight", np.int8), ("weight.master", np.int32), ("weight.momentum", np.int32)):
            name = f"strided.{name}"
            region = program.memory[name]
            data = np.ascontiguousarray(board.read(region.offset, region.size)).view(dtype)
            kept = layout.diagonal_from_ddr(data.view(np.uint8), region.shape, TINY.g, dtype)
            assert np.count_nonzero(data) == np.count_nonzero(kept) > 60


def test_the_simulated_core_computes_and_counts_the_same():
    """Bit for bit with the emulator; counters as predicted, cycles within 1 %."""
    images, labels = images_of(np.random.default_rng(1), 3, SHAPES[Inverted])
    exported = export(build(Inverted), images, labels, -5, 3, Sgd(), seed=2)
    program = compile_step(exported.step, TINY, exported.tensors, exported.state)
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    with open_board("sim", TINY, ddr_bytes=-(-program.ddr_bytes // 4096) * 4096) as board:
        run = CheckedRun(board, program, exported.state, emulator, cycles_limit=0.01)
        assert len(list(run.train([(images, labels), (images[:2], labels[:2])]))) == 2
        assert run.runtime.state == emulator.state


def test_programs_without_depthwise_weights_have_no_mask():
    from algo.models import digits_network

    program = compile_step(build_step(digits_network(0), (1, 8, 8), 3), TINY, {})
    assert DIAGONAL_MASK not in program.memory.regions


@pytest.mark.parametrize("kind", ["forward", "grad_input"])
def test_a_group_is_a_pass_over_its_taps_at_1_over_g_of_the_peak(kind):
    """A dense product of c channels takes c / G times as many slots as a depthwise one of as many."""
    z7020 = load_config("z7020")
    product = Product(kind, "a", "b", (3, 3), 1, (1, 1), (96, 16, 16), (96, 16, 16), True)
    plan = plan_product(product, 8, False, z7020, "node")
    slots = sum(tile.images * tile.rows * 16 * 9 * n for tile in plan.tiles for _, n in plan.kb_chunks)
    assert slots == 8 * 16 * 16 * 9 * 6
    assert (8 * 96 * 16 * 16 * 9) / (slots * z7020.g**2) == 1 / z7020.g


def test_the_share_of_mobilenet_that_is_depthwise():
    """What algo/README.md says: of multiply-accumulates, and of the slots that a 16 x 16 array takes for them."""
    step = build_step(mobilenet_v2(0), (3, 32, 32), 2)
    products = [node.product for node in step.segments["forward"] if isinstance(node, Compute) and node.product]
    macs, slots = {True: 0, False: 0}, {True: 0, False: 0}
    for one in products:
        if one.kind == "forward":
            macs[one.depthwise] += product_macs(one, 1)
            pairs = layout.groups(one.out_shape[0], 16) * layout.groups(one.channels_each, 16)
            slots[one.depthwise] += pairs * one.out_shape[1] * one.out_shape[2] * one.kernel[0] * one.kernel[1]
    assert sum(macs.values()) == 87_976_448
    assert round(macs[True] / sum(macs.values()), 3) == 0.067
    assert round(slots[True] / sum(slots.values()), 2) == 0.52
    assert round(sum(macs.values()) / sum(slots.values()) / 256, 2) == 0.49


def test_the_gradient_of_weights_takes_one_group_at_a_time():
    product = Product("grad_weight", "a", "b", (3, 3), 1, (1, 1), (40, 8, 8), (40, 8, 8), True)
    plan = plan_grad_weight(product, 8, load_config("z7020"), "node")
    assert plan.tiles == [WeightTile(i, 1, 0, 1, 0, 3) for i in range(3)]


def test_a_depthwise_product_is_counted_as_what_it_is():
    step = build_step(build(Inverted), SHAPES[Inverted], 2)
    kinds = {node.product.kind for nodes in step.segments.values() for node in nodes
             if isinstance(node, Compute) and node.product and node.product.depthwise}  # fmt: skip
    assert kinds == {"forward", "grad_input"}
