"""The structure of exported steps: fusions, order, names, first tensors, calibrated exponents."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from algo_networks import Pooled, PreActivation, build
from torch import nn

from algo.calibrate import weight_exponent
from algo.data import load_digits, random_images
from algo.emulator import Emulator
from algo.export import build_step, export
from algo.float_check import cosine
from algo.models import digits_network, resnet8
from algo.scaling import MASTER_BELOW
from algo.sgd import Sgd
from algo.step import Coefficient, Compute, Step, Update
from algo.update_rule import UpdateRule

STEPS = {
    "digits": build_step(digits_network(0), (1, 8, 8), 32),
    "resnet8": build_step(resnet8(0), (3, 32, 32), 8),
    "pooled": build_step(build(Pooled), (3, 11, 11), 4),
    "preactivation": build_step(build(PreActivation), (3, 6, 6), 4),
}
every_step = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)


def _passes(step, segment):
    return [one for node in step.segments[segment] if isinstance(node, Compute) for one in node.passes]


@every_step
def test_json_round_trip(step):
    assert Step.from_json(json.loads(json.dumps(step.to_json()))) == step


@every_step
def test_everything_named_exists_and_is_made_before_it_is_read(step):
    made = {step.input}
    for segment in ("forward", "backward"):
        if segment == "backward":
            made.add(step.logits_grad)
        for node in step.segments[segment]:
            product = getattr(node, "product", None)
            if product:
                assert {product.a, product.b} - {""} <= made | set(step.weights)
            if isinstance(node, Coefficient):
                assert len(step.scalars[node.scalars]) and step.programs[node.program] and node.table in step.tables
            for one in node.passes if isinstance(node, Compute) else ():
                assert {one.u, one.v, one.mask_in} - {"", "acc", "acc_max_value", "acc_max_index"} <= made
                assert one.record in step.records and one.table in {"", *step.tables}
                assert one.maximum in {"", *step.maxima}
                made |= {one.out, one.mask_out} - {""}
    assert set(step.maxima) | {step.logits_grad} >= {t for t in made if step.tensors[t].role == "gradient"}


@every_step
def test_every_weight_is_updated_once_after_its_last_use(step):
    nodes = step.segments["backward"]
    for weight in step.weights:
        (update,) = [i for i, node in enumerate(nodes) if isinstance(node, Update) and node.weight == weight]
        uses = [i for i, node in enumerate(nodes) if isinstance(node, Compute) and node.product and node.product.b == weight]
        assert all(use < update for use in uses)


@every_step
def test_every_parameter_table_is_updated(step):
    nodes = [node for node in step.segments["backward"] if isinstance(node, Coefficient)]
    assert {node.table for node in nodes if node.program.endswith("_update")} == set(step.tables)


@every_step
def test_evaluation_keeps_no_traces_of_training(step):
    for one in _passes(step, "eval"):
        assert not (one.maximum or one.mask_out or one.sums)
        assert not step.records[one.record].noise
    programs = {node.program for node in step.segments["eval"] if isinstance(node, Coefficient)}
    assert programs <= {"bn_eval", "bias_forward"}


def test_digits_has_no_more_passes_than_it_needs():
    step = STEPS["digits"]
    forward, backward = _passes(step, "forward"), _passes(step, "backward")
    assert len(forward) == 7 + 6 + 1
    assert sum(bool(one.sums) for one in forward) == 6
    assert [one.out for one in forward if one.v] == ["blocks.0.bn2", "blocks.1.bn2"]
    assert len(backward) == 17
    assert sum(not one.out for one in backward) == 4
    products = [n.product.kind for n in step.segments["backward"] if isinstance(n, Compute) and n.product]
    assert products == ["grad_input", "sum_backward", *["grad_input"] * 5]


def test_branches_take_turns_forward():
    """A projection's product comes behind the first one of the branch beside it, whose batch norm it gives time to."""
    made = [one.out for one in _passes(STEPS["digits"], "forward") if one.out.startswith("blocks.1.")]
    assert made == [f"blocks.1.{name}" for name in ("conv1", "shortcut.0", "bn1", "shortcut.1", "conv2", "bn2")]


def test_sums_are_gathered_by_the_node_that_makes_a_gradient():
    """A gradient to which an addition and a product contribute, or which two batch norms sum, is not read again for that."""
    nodes = [node for node in STEPS["digits"].segments["backward"] if isinstance(node, Compute)]
    alone = [node.name for node in nodes if not any(one.out for one in node.passes)]
    assert alone == ["linear.grad.sums"]
    (node,) = [node for node in nodes if node.name == "blocks.1.bn2.grad"]
    assert [(one.v, bool(one.sums)) for one in node.passes] == [("blocks.1.conv2", True), ("blocks.1.shortcut.0", True)]


def test_updates_fill_the_time_in_which_an_operand_is_made():
    """A block's first convolution is updated when both branches' products are out: the next product waits for passes."""
    names = [node.name for node in STEPS["digits"].segments["backward"]]
    update, after = names.index("blocks.1.conv1.weight.update"), names.index("blocks.0.bn1.grad")
    assert names.index("blocks.0.bn2.grad") < names.index("blocks.0.conv2.grad") < update < after


def test_images_get_no_gradient():
    for step in STEPS.values():
        assert not any(name.startswith(f"{step.input}.grad") for name in step.tensors)


def test_max_pool_stores_its_index_in_a_second_pass():
    passes = _passes(STEPS["pooled"], "forward")
    assert [(one.u, one.out) for one in passes if one.u.startswith("acc_max")] == [
        ("acc_max_value", "pool1"), ("acc_max_index", "pool1.index"),
    ]


@pytest.mark.parametrize("largest", [1e-9, 0.01, 0.992, 1.0, 127.0, 127.5, 3e4])
def test_weight_exponent_is_the_smallest(largest):
    exponent = weight_exponent(np.array([largest, -largest / 2]))
    assert 63.5 * 2.0**exponent < largest <= 127 * 2.0**exponent


def test_first_tensors_are_the_modules_parameters():
    data, module = load_digits(0), digits_network(0)
    exported = export(module, data.train[:32], data.train_labels[:32], data.exponent, 32, Sgd())
    tensors, exponents = exported.tensors, exported.state.exponents
    for name in exported.step.weights:
        real = module.get_parameter(name).detach().numpy().astype(float).reshape(tensors[name].shape)
        step = 2.0 ** exponents[name]
        np.testing.assert_allclose(tensors[name] * step, real, atol=0.51 * step)
        np.testing.assert_allclose(tensors[f"{name}.master"] * step / 2**MASTER_BELOW, real, atol=0.51 * step / 2**MASTER_BELOW)
        assert np.abs(tensors[name]).max() >= 63
        assert not tensors[f"{name}.momentum"].any()
    np.testing.assert_allclose(tensors["linear.channels"][:, 4] / 2**20, module.linear.bias.detach().numpy(), atol=2**-20)


def test_calibrated_exponents_use_the_range():
    data = random_images(0, (3, 11, 11), 8, 0, 4)
    exported = export(build(Pooled), data.train, data.train_labels, data.exponent, 8, Sgd())
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    emulator.train_step(data.train, data.train_labels)
    tensors = [name for name in (*exported.step.maxima, exported.step.logits_grad) if name in exported.step.tensors]
    assert len(tensors) >= 12
    for name in tensors:
        assert 60 <= emulator.maxima[name] <= 127, name


WHOLE = 0.97
"""Cosine with the float network over all layers: int8 noise of a chain of ten tensors leaves more, a wrong edge far less."""


@pytest.mark.parametrize(("kind", "shape"), [(Pooled, (3, 11, 11)), (PreActivation, (3, 6, 6))])
def test_the_whole_network_is_the_modules(kind, shape):
    """Evaluation with given running statistics, then the gradients of a training step, against the module in float64."""
    data, module = random_images(1, shape, 16, 8, 4), build(kind).double()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.constant_(layer.running_mean, 0.2)
            nn.init.constant_(layer.running_var, 0.5)
    exported = export(module, data.train, data.train_labels, data.exponent, 16, Sgd())
    emulator = Emulator(exported.step, exported.tensors, exported.state, stochastic=False)
    real = module.eval()(torch.tensor(np.ldexp(data.test.astype(float), data.exponent))).detach()
    assert cosine(torch.tensor(emulator.predict(data.test).astype(float)), real) > WHOLE
    emulator.train_step(data.train, data.train_labels)
    images = torch.tensor(np.ldexp(data.train.astype(float), data.exponent))
    nn.functional.cross_entropy(module.train()(images), torch.tensor(data.train_labels)).backward()
    for name in exported.step.weights:
        found = torch.tensor(emulator.value(f"{name}.momentum").astype(float))
        assert cosine(found, module.get_parameter(name).grad) > WHOLE, name


@pytest.mark.parametrize("seed", range(3))
def test_gradients_of_which_only_rounding_is_left_have_exponents(seed):
    """Behind a batch norm over two values of a channel, the true gradient is zero."""
    norms = [layer for _ in range(2) for layer in (nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), *norms, nn.Flatten(), nn.Linear(8, 3))
        module.apply(lambda layer: layer.reset_parameters() if hasattr(layer, "reset_parameters") else None)
    data = random_images(seed, (3, 8, 8), 2, 0, 3)
    exported = export(module, data.train, data.train_labels, -6, 2, Sgd())
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    for _ in range(20):
        emulator.train_step(data.train, data.train_labels)
    assert min(emulator.state.exponents.values()) > -70


@pytest.mark.parametrize("update", ["gradient", UpdateRule(gradient_bits=16)], ids=["8 bits", "16 bits"])
def test_images_that_are_all_told_apart_already_calibrate(update):
    """The loss has no gradient at all, and exponents of gradients begin where the smallest one would show."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        module[1].weight.copy_(torch.tensor([[1.0], [-1.0]]).expand(2, 4))
    images = np.full((2, 1, 2, 2), 100, np.int8)
    exported = export(module, images, [0, 0], 0, 2, Sgd(), update=update)
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    assert emulator.train_step(images, [0, 0]).loss == 0 and emulator.train_step(images, [1, 1]).loss > 100
    assert emulator.train_step(images, [1, 1]).maximum
