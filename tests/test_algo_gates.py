"""Gated blocks in the emulator: samples that skip, blocks that nobody runs, gradients against autograd of the gated network."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from algo_networks import build
from gated_networks import CLASSES, GATED, SEEN, SHAPE, Biased, Fixed, Gated, Projected, drawn
from torch import nn

from algo import emulator as emulator_module
from algo.data import random_images
from algo.emulator import Emulator
from algo.export import build_step, export, lower
from algo.float_check import _Check
from algo.gates import GateError, Gating, Route
from algo.graph import ExportError
from algo.models import digits_network, residual_network
from algo.models_cifar import cifar_resnet
from algo.scaling import State
from algo.sgd import Sgd
from algo.step import Step
from algo.update_rule import UpdateRule

BATCH = 6
INT8, TWO_BYTES = UpdateRule(), UpdateRule(gradient_bits=16)
RULES = pytest.mark.parametrize("rule", [INT8, TWO_BYTES], ids=["int8", "16 bits"])
WHOLE = Gating(pooled=True, gradients=True)
STREAMS = ("blocks.0.bn2.stream", "blocks.3.shortcut.1.stream")


@pytest.fixture(scope="module")
def data():
    return random_images(3, SHAPE, 24, 8, CLASSES)


def exported(data, module=None, gated=None, rule=INT8, **sgd):
    images, labels = data.train[:BATCH], data.train_labels[:BATCH]
    return export(module or build(Gated), images, labels, data.exponent, BATCH, Sgd(**sgd), 5, rule, gated)


def train(found, data, gates=None, count=BATCH, **options):
    emulator = Emulator(found.step, found.tensors, found.state, **options)
    emulator.train_step(data.train[:count], data.train_labels[:count], gates)
    return emulator


def with_exponents_of(plain, gated, removed=()):
    """The plain export with the gated one's exponents and tensors: every version of a stream has the stream's exponent.

    Args:
        removed: block number of the plain network to that of the gated one, where it has fewer.
    """
    names = dict(removed)

    def there(name):
        parts = name.split(".")
        return ".".join([parts[0], str(names.get(int(parts[1]), parts[1])), *parts[2:]]) if parts[0] == "blocks" else name

    step, exponents, found = gated.step, gated.state.exponents, {}
    for name in plain.state.exponents:
        other = there(name)
        tensor = step.tensors.get(other)
        if other.endswith(".grad.0") and other not in exponents:
            other = f"{other.removesuffix('.grad.0')}.copy.through.grad"
        found[name] = exponents[tensor.stream if tensor and tensor.stream else other]
    tensors = {name: gated.tensors[there(name)] for name in plain.tensors}
    return replace(plain, tensors=tensors, state=replace(plain.state, exponents=found)), there


def assert_same(emulator, other, there=lambda name: name):
    """Logits, weights, masters, momenta and what batch norm keeps of `emulator` are those of the gated `other`."""
    np.testing.assert_array_equal(emulator.value("linear"), other.value("linear"))
    for name in emulator.step.weights:
        for kind in ("", ".master", ".momentum"):
            np.testing.assert_array_equal(emulator.value(name + kind), other.value(there(name) + kind), err_msg=name + kind)
    for name in emulator.step.tables:
        np.testing.assert_array_equal(emulator.value(name)[:, 4:], other.value(there(name))[:, 4:], err_msg=name)


@RULES
def test_with_every_sample_running_a_step_is_the_plain_one(data, rule):
    """Given the same exponents, one iteration has the same bits, stochastic rounding included."""
    gated = exported(data, gated=WHOLE, rule=rule)
    gated.state.exponents["blocks.2.bn2.copy"] = gated.state.exponents[STREAMS[0]]
    plain, _ = with_exponents_of(exported(data, rule=rule), gated)
    assert_same(train(plain, data), train(gated, data, Fixed(np.ones((len(GATED), BATCH)))))
    assert_same(train(plain, data, count=4), train(gated, data, count=4))


def test_with_every_sample_skipping_a_step_is_that_of_the_network_without_the_blocks(data):
    whole = build(Gated)
    gated = exported(data, whole, WHOLE)
    short = build(Gated)
    shortcut = nn.Sequential(OrderedDict(shortcut=whole.blocks[3].shortcut))
    short.blocks = nn.Sequential(whole.blocks[0], shortcut)
    for name in ("conv", "bn", "linear"):
        setattr(short, name, getattr(whole, name))
    plain, there = with_exponents_of(exported(data, short), gated, {1: 3})
    other = train(gated, data, Fixed(np.zeros((len(GATED), BATCH))), stochastic=False)
    assert_same(train(plain, data, stochastic=False), other, there)
    assert [len(other.route.samples[number]) for number in range(8)] == [BATCH, 0, 0, BATCH, 0, 0, 0, BATCH]


@pytest.mark.parametrize("number", [2, 3])
def test_a_block_that_no_sample_runs_stays_as_it_is(data, number):
    """No momentum step, no decay, no new statistics, exponents as they were; the others move on, a projection beside it, too."""
    found = exported(data, gated=WHOLE, weight_decay="1/100")
    emulator = Emulator(found.step, found.tensors, found.state)
    decisions = np.ones((len(GATED), BATCH), bool)
    for at in range(3):
        emulator.train_step(data.train[at : at + BATCH], data.train_labels[at : at + BATCH], Fixed(decisions))
    before, exponents = emulator.tensors(), emulator.state.exponents
    decisions[number - 1] = False
    emulator.train_step(data.train[:BATCH], data.train_labels[:BATCH], Fixed(decisions))
    skipped = tuple(f"blocks.{number}.{layer}" for layer in ("conv1", "bn1", "conv2", "bn2"))
    after = emulator.tensors()
    for name, value in before.items():
        entries = slice(4, None) if name in found.step.tables and "GAMMA" in found.step.tables[name].entries else slice(None)
        same = np.array_equal(value[..., entries], after[name][..., entries])
        assert same if name.startswith(skipped) else not same or name.endswith(".weight"), name
    own = [name for name in exponents if name.startswith(skipped) and "stream" not in name and "copy" not in name]
    assert len(own) > 12
    for name in own:
        assert emulator.state.exponents[name] == exponents[name], name


def test_exponents_of_a_block_that_ran_follow_its_maxima(data):
    """Tensors come down by one; what follows another exponent, as stored weights do, takes it only where the block ran."""
    found = exported(data, gated=WHOLE)
    exponents, step = found.state.exponents, found.step
    blocks = ("blocks.1.", "blocks.2.")
    raised = {name: exponents[name] + 3 for name in step.maxima if name.startswith(blocks) and "weight" not in name}
    ahead = {leader: exponents[leader] + 1 for name, leader in step.followers.items() if leader.startswith(blocks)}
    found = replace(found, state=replace(found.state, exponents=exponents | ahead | raised))
    before = found.state.exponents
    decisions = np.ones((len(GATED), BATCH), bool)
    decisions[0] = False
    after = train(found, data, Fixed(decisions)).state.exponents
    assert [after[name] - before[name] for name in raised] == [0 if name.startswith("blocks.1.") else -1 for name in raised]
    followers = [name for name in step.followers if name.startswith(blocks)]
    assert len(followers) == 2 * 6 and all(before[name] != before[step.followers[name]] for name in followers)
    for name in followers:
        assert after[name] == before[name if name.startswith("blocks.1.") else step.followers[name]], name


def test_what_pytorch_launches_falls_with_the_samples_that_run(data, monkeypatch):
    """Operands of products and elements of vector passes are in proportion to the samples in gated blocks; none runs, none is."""
    found, done = exported(data, gated=WHOLE), []

    def count(module, name):
        true = getattr(module, name)

        def counted(*of, **options):
            done.append((name, of[1].numel()))
            return true(*of, **options)

        monkeypatch.setattr(module, name, counted)

    count(emulator_module.products, "compute")
    count(emulator_module.compiled, "vector_pass")
    taken = []
    for samples in (0, 2, 6):
        done.clear()
        train(found, data, Fixed(np.tile(np.arange(BATCH) < samples, (len(GATED), 1))))
        taken.append({kind: sum(size for one, size in done if one == kind) for kind in ("compute", "vector_pass")})
        taken[-1]["launches"] = len(done)
    none, some, every = taken
    assert none["launches"] < some["launches"] == every["launches"]
    for kind in ("compute", "vector_pass"):
        assert (some[kind] - none[kind]) * 6 == (every[kind] - none[kind]) * 2 > 0


def test_skipped_samples_do_not_reach_sums_and_gradients(data):
    """A mini-batch whose skipping samples are exchanged for others gives a block the same numbers."""
    found = exported(data, gated=WHOLE)
    decisions = np.zeros((len(GATED), BATCH), bool)
    decisions[0, [1, 4]] = True
    one, other = (Emulator(found.step, found.tensors, found.state) for _ in range(2))
    images = data.train[:BATCH].copy()
    one.forward(images, Fixed(decisions))
    images[[0, 2, 3, 5]] = images[[5, 3, 2, 0]]  # batch norms before the block see the same images
    other.forward(images, Fixed(decisions))
    for name in ("blocks.1.conv1", "blocks.1.bn1", "blocks.1.conv2", "blocks.1.bn2"):
        np.testing.assert_array_equal(one.value(name), other.value(name))
    conv = one.value("blocks.1.conv2").astype(np.int64)
    assert len(conv) == 2
    np.testing.assert_array_equal(one.value("blocks.1.bn2.channels")[:, 0], conv.sum((0, 2, 3)))
    stream = one.values["blocks.0.bn2.stream"]
    assert not stream[BATCH + 2 :].any() and stream[BATCH : BATCH + 2].any()


def reference(kind, emulator, tensors, images, labels, decisions, exponent):
    """The gated network in float64 with the weights of `tensors`; returns it and the decisions as leaves."""
    module, exponents = build(kind).double(), emulator.state.exponents
    with torch.no_grad():
        for name in emulator.step.weights:
            parameter = module.get_parameter(name)
            parameter.copy_(torch.tensor(np.ldexp(tensors[name].astype(float), exponents[name])).view(parameter.shape))
    module.train()
    x = torch.tensor(np.ldexp(images.astype(float), exponent))
    x, leaves, at = module.relu(module.bn(module.conv(x))), {}, 0
    for number, block in enumerate(module.blocks):
        if not number:
            x = block(x)
            continue
        samples, shortcut = np.flatnonzero(decisions[at]), block.shortcut(x)
        gate = leaves[at] = torch.ones(len(samples), 1, 1, 1, dtype=torch.float64, requires_grad=True)
        if len(samples):
            beside = block.bn2(block.conv2(block.relu(block.bn1(block.conv1(x[samples])))))
            ran = gate * block.relu(beside + shortcut[samples]) + (1 - gate) * shortcut[samples]
            shortcut = shortcut.index_copy(0, torch.tensor(samples), ran)
        x, at = shortcut, at + 1
    F.cross_entropy(module.linear(module.flatten(module.pool(x))), torch.tensor(labels)).backward()
    return module, leaves


def cosine(a, b):
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


class GatedCheck(_Check):
    """Every layer of a gated step against float64 autograd, for the samples that ran it.

    Args:
        gates: decide who that is.
    """

    def __init__(self, lowering, exported, images, labels, gates):
        self.lowering, self.labels = lowering, torch.as_tensor(labels)
        self.exponents, self.before, self.found = exported.state.exponents, exported.tensors, {}
        self.emulator = Emulator(exported.step, exported.tensors, exported.state, stochastic=False)
        self.emulator.forward(images, gates)
        self.emulator.loss(labels)
        self.emulator.backward()

    def run(self):
        """Return the cosines. A part's gradient of a stream has since been masked where its maker has a ReLU."""
        lowering, emulator = self.lowering, self.emulator
        arriving = {lowering.logits: self._real(lowering.logits_grad)}
        for number in reversed(range(len(lowering.parts))):
            part, samples = emulator.enter(number), emulator.route.samples[number]
            if part.reads:
                arriving[part.reads] = torch.zeros(emulator.values[part.reads].shape, dtype=torch.float64)
            if not len(samples):
                continue
            reads = arriving.pop(part.reads, None)
            for op in reversed([op for op in lowering.ops if lowering.part(op) == part]):
                if lowering.exponent(op.out) in lowering.streams:
                    arriving[op.out] = self._real(f"{op.out}.grad")
                self._op(op, arriving)
            if part.gathers in lowering.streams:
                mask = self._masks(part.gathers)[emulator.route.lists[number]]
                self._compare(f"{part.backward} gradient", self._real(f"{part.gathers}.grad"), arriving.pop(part.gathers) * mask)
            if part.reads:
                self._compare(part.reads_gradient, self._real(part.reads_gradient), arriving[part.reads])
                arriving[part.reads] = reads.index_copy(0, torch.as_tensor(samples), arriving[part.reads])
        return self.found

    def _masks(self, stream):
        masks = torch.ones(self.emulator.values[stream].shape, dtype=torch.bool)
        for name, (of, version) in self.lowering.cut.views.items():
            if of == stream and f"{name}.mask" in self.emulator.values:
                mask = torch.as_tensor(self.emulator.value(f"{name}.mask"))
                masks[version * self.lowering.batch :][: len(mask)] = mask
        return masks


@RULES
@pytest.mark.parametrize(("kind", "blocks"), [(Gated, 5), (Projected, 2), (Biased, 2)])
def test_every_layer_is_right_for_the_samples_that_ran_it(data, kind, blocks, rule):
    found = exported(data, build(kind), WHOLE, rule)
    gates = drawn(3, BATCH, 0.6, blocks)
    gates.decisions[-1] = [False, True, True, False, True, False]
    lowering = lower(build(kind), SHAPE, BATCH, rule, WHOLE)
    cosines = GatedCheck(lowering, found, data.train[:BATCH], data.train_labels[:BATCH], gates).run()
    assert len(cosines) > 16 * blocks
    assert min(cosines.values()) > 0.985, sorted(cosines.items(), key=lambda item: item[1])[:5]
    far = [name for name, cosine in cosines.items() if "gradient" in name and 1 - cosine > 1e-6]
    assert (len(far) <= 2) == (rule == TWO_BYTES), far  # two masks of numbers near zero differ from float64's


@RULES
@pytest.mark.parametrize(("kind", "blocks"), [(Gated, 5), (Projected, 2)])
def test_gradients_are_those_of_the_gated_network(data, kind, blocks, rule):
    """Whole-network float64 autograd with the same decisions: weights' gradients and those of the decisions.

    Through a dozen layers rounding errors add up, so that the cosine is lower than a layer's own, and differs from draw to draw
    of so few images: of eight draws the lowest is 0.76 for a weight and 0.84 for a block's decisions. With every sample running
    every block it is the same.
    """
    count = len(data.train)
    images, labels = data.train, data.train_labels
    found = export(build(kind), images, labels, data.exponent, count, Sgd(), 5, rule, WHOLE)
    gates = drawn(3, count, 0.6, blocks)
    emulator = Emulator(found.step, found.tensors, found.state, stochastic=False)
    emulator.forward(images, gates)
    emulator.loss(labels)
    emulator.backward()
    module, leaves = reference(kind, emulator, found.tensors, images, labels, gates.decisions, data.exponent)
    cosines = {}
    for name in found.step.weights:
        gradient = module.get_parameter(name).grad.numpy()
        ours = emulator.value(f"{name}.momentum").reshape(gradient.shape) * 2.0 ** emulator.state.exponents[f"{name}.momentum"]
        cosines[name] = cosine(ours, gradient), np.sqrt((ours**2).sum() / (gradient**2).sum())
    gradients, exponents = emulator.gate_gradients()
    for block, leaf in leaves.items():
        expected = np.zeros(count)
        expected[gates.decisions[block]] = leaf.grad.numpy().ravel()
        ours = np.ldexp(gradients[block].astype(float), exponents[block])
        assert not ours[~gates.decisions[block]].any()
        cosines[block] = cosine(ours, expected), np.sqrt((ours**2).sum() / (expected**2).sum())
    assert min(value for name, (value, _) in cosines.items() if name in found.step.weights) > 0.7, cosines
    assert min(cosines[block][0] for block in leaves) > 0.8, cosines
    assert all(0.7 < ratio < 1.4 for _, ratio in cosines.values()), cosines


def test_pooled_means_follow_every_samples_latest_value(data):
    found = exported(data, gated=WHOLE)
    gates = drawn(1, BATCH)
    emulator = train(found, data, gates)
    assert [(block, images, pixels) for block, images, _, pixels, _ in gates.asked] == [(b, BATCH, 1) for b in range(len(GATED))]
    block, _, pooled, _, exponent = gates.asked[1]
    stream = emulator.values[STREAMS[0]].numpy()
    latest = np.stack([stream[BATCH + list(emulator.route.samples[1]).index(i)] if gates.decisions[0, i] else stream[i]
                       for i in range(BATCH)])  # fmt: skip
    means = latest.mean((2, 3)) * 2.0 ** (found.state.exponents[STREAMS[0]] - exponent)
    np.testing.assert_allclose(pooled, means, atol=0.51)
    assert pooled.max() > 60
    *_, pooled, _, exponent = gates.asked[2]
    copied = emulator.value("blocks.2.bn2.copy")
    assert copied.shape == (BATCH, 8, 8, 8)
    np.testing.assert_allclose(
        pooled, copied.mean((2, 3)) * 2.0 ** (found.state.exponents["blocks.2.bn2.copy"] - exponent), atol=0.51
    )
    assert (gates.asked[3][2] < 0).any(), "what a projection makes passes no ReLU where its block is skipped"
    assert gates.learned[0].keys() == gates.learned[1].keys() == set(range(len(GATED)))


def test_planes_beyond_the_arrays_taps_are_pooled_in_squares():
    step = build_step(build(Gated), (3, 32, 32), 2, gated=WHOLE)
    assert step.tensors[f"{STREAMS[0]}.pooled"].shape == (8, 4, 4) and step.tensors[f"{STREAMS[1]}.pooled"].shape == (12, 1, 1)
    assert step.tensors["blocks.2.bn2.copy.pooled"].shape == (8, 4, 4)
    with pytest.raises(ExportError, match="37 x 37 pixels"):
        build_step(build(Gated), (3, 37, 37), 2, gated=WHOLE)
    assert build_step(build(Gated), (3, 37, 37), 2, gated=Gating()).gated_blocks


def test_without_a_policy_every_sample_runs_and_evaluation_is_deterministic(data):
    found = exported(data, gated=Gating())
    one, other = train(found, data), train(found, data, Fixed(np.ones((len(GATED), BATCH))))
    assert_same(one, other)
    assert one.gate_gradients() == ({}, {}) and one.route.decisions().all()
    gates = drawn(8, BATCH)
    first, again = (one.predict(data.test[:BATCH], gates) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (first != one.predict(data.test[:BATCH])).any()


def test_the_step_says_what_is_gated_and_survives_json(data):
    step = exported(data, gated=WHOLE).step
    assert step.gated_blocks == tuple(zip(GATED, SEEN, strict=True))
    stored = json.loads(json.dumps(step.to_json()))
    assert Step.from_json(stored) == step
    stored["parts"] = [{**part, "pooled": part["pooled"][0] if part["pooled"] else ""} for part in stored["parts"]]
    assert Step.from_json(stored).parts[1] == step.parts[1], "files from before projections were gated"
    assert build_step(digits_network(0), (1, 8, 8), 2).sequence[0].forward == "forward"


def test_a_network_without_blocks_to_skip_and_wrong_decisions_are_refused(data):
    with pytest.raises(ExportError, match="no block of the network can be gated"):
        build_step(residual_network(0, 1, (16,)), (1, 8, 8), 2, gated=Gating())
    wider = build(Projected)
    for block in wider.blocks[1:]:
        block.shortcut[0] = nn.Conv2d(block.conv1.in_channels, 12, 3, 2, 1, bias=False)
    with pytest.raises(ExportError, match="no block of the network can be gated"):
        build_step(wider, SHAPE, 2, gated=Gating())
    found = exported(data, gated=Gating())
    gates = Fixed(np.ones((len(GATED), BATCH)))
    gates.decisions = gates.decisions[:, :3]
    with pytest.raises(GateError, match=r"gated block 0 are bool \(3,\); bool \(6,\)"):
        train(found, data, gates)


def test_route_lists_select_the_latest_version(data):
    step = exported(data, gated=Gating()).step
    route = Route(step, 4)
    decided = [[1, 0, 1, 0], [0, 0, 1, 1], [0, 1, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0]]
    gates = Fixed(decided)
    entered = [route.enter(number, gates, State(0, 0, {}, Sgd()).exponents) for number in range(8)]
    assert entered == [True, True, True, True, True, False, True, True]
    lists = {number: found.tolist() for number, found in route.lists.items()}
    latest = {3: [6, 1, 12, 13], 4: [1, 2], 5: [], 6: [0, 7], 7: [18, 6, 19, 3]}
    assert lists == {0: [0, 1, 2, 3], 1: [0, 2], 2: [7, 3]} | latest
    assert route.decisions().astype(int).tolist() == decided


@pytest.mark.parametrize(("depth", "gated"), [(8, 2), (14, 5), (74, 35)])
def test_every_residual_block_but_the_first_can_be_skipped(depth, gated):
    blocks = build_step(cifar_resnet(0, depth), (3, 32, 32), 2, gated=Gating()).gated_blocks
    assert len(blocks) == gated == (depth - 2) // 2 - 1
    assert [c for _, c in blocks].count(16) == (depth - 2) // 6, "the gate sees what goes into a block"
