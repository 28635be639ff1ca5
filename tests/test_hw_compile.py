"""Compiled training steps on the golden board equal the PyTorch emulator's, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from algo.emulator import Emulator
from algo.export import build_step, export
from algo.models import ResNet
from algo.scaling import State
from algo.sgd import Sgd
from algo.step import Compute, Pass, Product, Record, Step, Tensor, Term, Weight
from algo.update_rule import UpdateRule
from host.board import open_board
from host.check import first_difference
from host.host_table import HostTable
from host.processor_work import ProcessorWork
from host.runtime import Runtime
from hw import isa
from hw.compile import compile_step, node_reads
from hw.compile_table import HOST_TABLE, IMAGE_LIST
from hw.config import load_config
from hw.footprint import SCALAR_REACH
from hw.golden import run_segment
from hw.program import read_program, write_program
from hw.scratchpad import CompileError
from hw.state import CoreState

TINY = load_config("tiny")


def images_of(rng, count, shape):
    """Random int8 images and labels."""
    return rng.normal(0, 40, (count, *shape)).clip(-127, 127).astype(np.int8), rng.integers(0, 10, count)


def train_both(module, shape, batch, counts, config=TINY, update="gradient"):
    """Train on the golden board and in the emulator; compare everything after every iteration.

    Args:
        counts: images of each mini-batch.
        update: rule of the weight updates.

    Returns:
        The counters of the last iteration.
    """
    rng = np.random.default_rng(3)
    images, labels = images_of(rng, batch, shape)
    sgd = Sgd(weight_decay="1/1000")
    exported = export(module, images, labels, -5, batch, sgd, seed=9, update=update)
    step = exported.step
    program = compile_step(step, config, exported.tensors, exported.state)
    emulator = Emulator(step, exported.tensors, exported.state)
    batches = [images_of(rng, count, shape) for count in counts]
    with open_board("golden", config, ddr_bytes=-(-program.ddr_bytes // 4096) * 4096) as board:
        runtime = Runtime(board, program, exported.state)
        for (images, labels), iteration in zip(batches, runtime.train(batches), strict=True):
            assert emulator.train_step(images, labels).loss == iteration.loss
            assert runtime.state == emulator.state
            collected = runtime._maxima(ProcessorWork())
            assert collected == {name: emulator.maxima[name] for name in collected}
            assert first_difference(trained(step, runtime.tensors()), trained(step, emulator.tensors())) is None
            compare_activations(step, runtime, emulator, len(images))
        evaluation = runtime.evaluate(images, labels)
        assert evaluation.accuracy == emulator.evaluate(images, labels)
        assert not board.snapshot().acc.any()
    return iteration.total_counters()


def trained(step, tensors):
    """Weights, masters, momenta and persistent table entries, by the names of Runtime.tensors."""
    found = {name: value for name, value in tensors.items() if name not in step.tables}
    for table in step.tables.values():
        if table.name in tensors:
            for entry in table.persistent:
                found[f"{table.name}.{entry}"] = tensors[table.name][:, table.entries.index(entry)]
    return found


def made_by(node):
    return {p.out for p in node.passes} if isinstance(node, Compute) else set()


def compare_activations(step, runtime, emulator, count):
    """Every tensor of the mini-batch in DDR, padding excluded; what only the node that makes it reads never gets there."""
    passing = {p.out for nodes in step.segments.values() for n in nodes if isinstance(n, Compute) for p in n.passes}
    read = {name for nodes in step.segments.values() for n in nodes for name in node_reads(n) if name not in made_by(n)}
    for name in step.tensors:
        if name != step.input and name in emulator.values and (name in read or name not in passing or name == step.logits):
            expected = emulator.value(name)
            assert np.array_equal(runtime.read(name)[:count], expected.reshape(count, *step.tensors[name].shape)), name


def test_residual_network_with_partial_batches():
    train_both(ResNet(2, (5, 7), 10), (2, 6, 6), 5, (5, 3, 1, 5))


@pytest.mark.parametrize("rule", [UpdateRule(), UpdateRule(gradient_bits=16)], ids=["int8", "gradients of 16 bits"])
@pytest.mark.parametrize("channels", [3, 5], ids=["folded images", "5x5 on the array"])
def test_pools_biases_and_large_kernels(channels, rule):
    """Batch norm behind a convolution with bias: one pass reads one channel table and sums into another."""
    train_both(nn.Sequential(
        nn.Conv2d(channels, 6, 5, 2, 2), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(6, 9, 3, 1, 1), nn.ReLU(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(9 * 2 * 2, 10),
    ), (channels, 14, 14), 5, (5, 2), update=rule)


def test_images_larger_than_an_accumulator_bank():
    """Rows of one image per tile, with masks and halos; odd widths put tile borders at multiples of eight pixels."""
    train_both(nn.Sequential(
        nn.Conv2d(1, 3, 3, 1, 1), nn.ReLU(), nn.Conv2d(3, 5, 3, 2, 1), nn.BatchNorm2d(5), nn.ReLU(), nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 10),
    ), (1, 17, 15), 2, (2, 1))


def test_many_channels():
    """Weights that exceed the scratchpads, and more channel tables than memory C holds at once."""
    train_both(nn.Sequential(
        nn.Conv2d(1, 20, 3, 2, 1, bias=False), nn.BatchNorm2d(20), nn.ReLU(), nn.Conv2d(20, 23, 3, 2, 1, bias=False),
        nn.BatchNorm2d(23), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(23, 10),
    ), (1, 7, 7), 9, (9, 4))


def test_coefficients_are_worked_out_group_by_group():
    """Passes over a group's channels wait for no other group's."""
    step = build_step(nn.Sequential(nn.Conv2d(3, 10, 1), nn.BatchNorm2d(10), nn.Flatten(), nn.Linear(40, 10)), (3, 2, 2), 2)
    code = compile_step(step, TINY, {}).code["forward"]
    found = [isa.decode(code[at : at + isa.INSTRUCTION_BYTES]) for at in range(0, len(code), isa.INSTRUCTION_BYTES)]
    programs = [one.fields for one in found if one.op == "coefficient"]
    assert sorted(one["ch_count"] for one in programs) == sorted([4, 4, 2] * 4)
    raised = {one.fields["c_max"] for one in found if one.op == "vector" and one.fields["max"]}
    assert raised and not any(one["sc_base"] <= at < one["sc_base"] + SCALAR_REACH for one in programs for at in raised)


def test_digits_network_on_z7020():
    counters = train_both(ResNet(1, (16, 32), 10), (1, 8, 8), 8, (8, 5), load_config("z7020"))
    assert counters["weight_blocks"] > 0


X, OUT = (6, 9, 7), (5, 9, 7)


def hand_step(passes, product=None, shape=OUT, more=(), batch=3):
    """A step whose forward segment is one node of passes; tensors named y* are its results."""
    tensors = {"x": Tensor("x", "activation", X), "z": Tensor("z", "activation", OUT)}
    nodes = [Compute("z", OUT, (Pass("acc", "", "z", "r_near"),), Product("forward", "x", "w", (3, 3), 1, (1, 1), X, OUT))]
    for p in passes:
        if p.out:
            tensors[p.out] = Tensor(p.out, "activation", shape)
        if p.mask_out:
            tensors[p.mask_out] = Tensor(p.mask_out, "mask", shape)
    nodes += [Compute("node", shape, tuple(passes), product), *more]
    one, half = Term("one", ("z",)), Term("1/2", ("z",))
    records = {
        "r_near": Record("r_near", "near", Term("1/64", ("z",))), "r_copy": Record("r_copy", "z", one),
        "r_sum": Record("r_sum", "z", one, half), "r_noise": Record("r_noise", "coarse", one, half, noise="noisy"),
        "r_soft": Record("r_soft", "z", one, threshold=9),
    }
    return Step(
        batch=batch, input="x", logits="y", logits_grad="g", tensors=tensors, weights={"w": Weight("w", (5, 6, 3, 3))}, tables={},
        records=records, scalars={}, maxima=(), programs={}, segments={"forward": tuple(nodes)},
    )


@pytest.mark.parametrize("passes", [
    (Pass("z", "", "a", "r_copy", post="relu", mask_out="m"), Pass("a", "z", "b", "r_noise"), Pass("b", "a", "y", "r_sum")),
    (Pass("z", "", "a", "r_soft", post="soft_threshold"), Pass("a", "a", "y", "r_sum", post="sign")),
    (Pass("z", "", "a", "r_copy", mask_out="m"), Pass("z", "z", "y", "r_sum", mask_in="m")),
    (Pass("z", "", "", "r_copy", mask_out="m"), Pass("", "z", "y", "r_noise", mask_in="m")),
])
def test_chains_of_passes(passes):
    """Results that stay in U, that are needed on both sides, masks made and used in one chain."""
    run_by_hand(hand_step(passes))


def test_a_tensor_that_is_written_again_is_loaded_again():
    """The second sum must not find the first z in a scratchpad."""
    again = (
        Compute("z2", OUT, (Pass("z", "a", "z", "r_sum", post="relu"),)), Compute("last", OUT, (Pass("z", "a", "y", "r_sum"),)),
    )
    step = hand_step((Pass("z", "", "a", "r_copy", post="sign"),), more=again, batch=2)
    run_by_hand(replace(step, tensors={**step.tensors, "y": Tensor("y", "activation", OUT)}))


def test_two_results_of_one_product():
    forward = Product("forward", "x", "w", (3, 3), 1, (1, 1), X, OUT)
    run_by_hand(hand_step((Pass("acc", "", "a", "r_near"), Pass("acc", "a", "y", "r_near", post="relu", mask_out="m")), forward))


def run_by_hand(step, config=TINY):
    """Compare all tensors that the board stores with the emulator's."""
    rng = np.random.default_rng(8)
    weights = rng.integers(-60, 60, (5, 6, 3, 3))
    tensors = {"w": weights.astype(np.int8), "w.master": weights.astype(np.int32), "w.momentum": weights.astype(np.int32)}
    exponents = {"x": -5, "z": -5, "near": -5, "coarse": -4, "y": -5, "g": -5, "w": -5}
    state = State(4, 0, exponents, Sgd())
    program = compile_step(step, config, tensors, state)
    emulator = Emulator(step, tensors, state)
    images, _ = images_of(rng, 2, X)
    emulator.forward(images)
    ddr = program.image()
    program.memory.write(ddr, HOST_TABLE, HostTable(step, program.table).words(state, 2))
    program.memory.write(ddr, IMAGE_LIST, np.array([2, 3, 1, 0][: 1 + step.batch]))
    halves = np.zeros((2 * step.batch, *X), np.int8)
    halves[[3, 1]] = images
    program.memory.write(ddr, "x", halves)
    core = CoreState(config, ddr)
    run_segment(core, program.segments["forward"].address, program.segments["forward"].count)
    found, expected = program.memory.read(core.ddr, "y")[:2], emulator.value("y")
    assert np.array_equal(found, expected) and len(np.unique(expected)) > 2


def test_program_with_a_step_survives_its_file(tmp_path):
    module = ResNet(1, (4,), 10)
    rng = np.random.default_rng(0)
    exported = export(module, *images_of(rng, 2, (1, 4, 4)), -5, 2, Sgd())
    program = compile_step(exported.step, TINY, exported.tensors, exported.state)
    write_program(program, tmp_path / "step.jgp")
    found = read_program(tmp_path / "step.jgp")
    assert found.step == exported.step and found.state == exported.state
    assert np.array_equal(found.image(), program.image())


def test_errors():
    step = build_step(ResNet(1, (4,), 10), (1, 4, 4), 2)
    with pytest.raises(CompileError, match="batch of 600 images"):
        compile_step(replace(step, batch=600), TINY, {})
    with pytest.raises(CompileError, match="'nothing' is not in the step"):
        compile_step(step, TINY, {"nothing": np.zeros(1)})
    with pytest.raises(CompileError, match="conv.weight has shape"):
        compile_step(step, TINY, {"conv.weight": np.zeros((1, 1, 3, 3), np.int8)})
    with pytest.raises(CompileError, match="channel table .* does not fit"):
        compile_step(step, replace(TINY, table_words=128), {})
    with pytest.raises(CompileError, match="records, scalars and maxima of a segment take more than the 64 words"):
        compile_step(step, replace(TINY, table_words=64), {})
    with pytest.raises(CompileError, match="more operands at once"):
        chain = [Pass("z" if i == 0 else f"t{i - 1}", "", f"t{i}", "r_copy") for i in range(40)]
        compile_step(hand_step((*chain, Pass("t39", "", "y", "r_copy"))), TINY, {})
    with pytest.raises(CompileError, match="no pass reads the accumulators"):
        forward = Product("forward", "x", "w", (3, 3), 1, (1, 1), X, OUT)
        compile_step(hand_step((Pass("z", "", "y", "r_copy"),), forward), TINY, {})


@pytest.mark.parametrize(("layers", "said"), [
    ((nn.Conv2d(4, 4, 16, 1, 8), nn.AdaptiveAvgPool2d(1)), "forward of layer 1: a weight block of 256 taps takes 1024 words"),
    ((nn.AvgPool2d((31, 4), 1), nn.AdaptiveAvgPool2d(1)), "sum_forward of layer 1: 1 rows of one image do not fit"),
    ((nn.MaxPool2d((31, 4), 1), nn.AdaptiveAvgPool2d(1)), "max_forward of layer 1: 1 rows of one image do not fit"),
], ids=["conv", "average", "max"])  # fmt: skip
def test_what_does_not_fit_is_named_by_its_layer(layers, said):
    module = nn.Sequential(nn.Conv2d(1, 4, 1), *layers, nn.Flatten(), nn.Linear(4, 3))
    size = (29, 29) if isinstance(layers[0], nn.Conv2d) else (31, 34)
    with pytest.raises(CompileError) as caught:
        compile_step(build_step(module, (1, *size), 1), TINY, {})
    assert str(caught.value).startswith(said)
