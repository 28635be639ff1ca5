"""The learned gate: fixed point against autograd in float64, usage steered to its target, resumable, evaluated without draws."""

from __future__ import annotations

import json
import zlib
from fractions import Fraction

import numpy as np
import pytest
import slu_reference
import torch

from algo.policies import slu_cell
from algo.policies.checkpoint import packed, unpacked
from algo.policies.decision import Decision, MethodError, Setting
from algo.policies.integer_sgd import PARAMETER_BITS, IntegerSgd
from algo.policies.method import Method
from algo.policies.slu import Selecting, Slu, gate_macs
from algo.policies.slu_cell import HIDDEN, VALUE_BITS, WEIGHT_BITS

RNG = np.random.default_rng(0)


def real(values: np.ndarray, bits: int) -> torch.Tensor:
    return torch.tensor(values.astype(np.float64) / 2.0**bits, requires_grad=True)


def random_gate(channels: list[int], scale: float = 0.5):
    """Weights of blocks, cell and output with WEIGHT_BITS fraction bits."""
    shapes = [(HIDDEN, c + 1) for c in channels], slu_cell.CELL_SHAPE, slu_cell.OUT_SHAPE
    draw = lambda shape: RNG.integers(-(1 << WEIGHT_BITS), 1 << WEIGHT_BITS, shape) * int(scale * 64) >> 6  # noqa: E731
    return [draw(shape) for shape in shapes[0]], draw(shapes[1]), draw(shapes[2])


def passed(weights, pooled: list[np.ndarray], pixels: int, exponent: int, gradients: list[np.ndarray]):
    """Return the pass of a mini-batch, its gradients, and the means of what blocks saw."""
    found = slu_cell.Pass(*weights, len(pooled[0]))
    for one in pooled:
        found.forward(one, pixels, exponent)
    return found, found.backward(np.array(gradients)), [slu_reference.mean(one, pixels, exponent) for one in pooled]


def test_forward_and_gradients_follow_autograd():
    channels, images = [16, 16, 32, 64, 64], 12
    weights = projects, cell, out = random_gate(channels)
    pooled = [RNG.integers(0, 128 * 64, (images, c)) for c in channels]
    gradients = [RNG.integers(-(1 << 18), 1 << 18, images) for _ in channels]
    seen, found, inputs = passed(weights, pooled, 64, -6, gradients)

    floats = [real(project, WEIGHT_BITS) for project in projects], real(cell, WEIGHT_BITS), real(out, WEIGHT_BITS)
    lstm = torch.nn.LSTMCell(HIDDEN, HIDDEN).double()
    hidden = memory = torch.zeros(images, HIDDEN, dtype=torch.float64)
    total = 0
    for mine, project, x, gradient in zip(seen.probabilities, floats[0], inputs, gradients, strict=True):
        projected = real(x, VALUE_BITS) @ project[:, :-1].T + project[:, -1]
        own = {
            "weight_ih": floats[1][:, :HIDDEN], "weight_hh": floats[1][:, HIDDEN:-1], "bias_ih": floats[1][:, -1],
            "bias_hh": torch.zeros(4 * HIDDEN, dtype=torch.float64),
        }
        hidden, memory = torch.func.functional_call(lstm, own, (projected, (hidden, memory)))
        p = torch.sigmoid(hidden @ floats[2][0, :-1] + floats[2][0, -1])
        np.testing.assert_allclose(mine / 2**VALUE_BITS, p.detach().numpy(), atol=2e-5)
        total = total + (p * torch.tensor(gradient, dtype=torch.float64)).sum()
    total.backward()
    expected = [one.grad.numpy() for one in floats[0]], floats[1].grad.numpy(), floats[2].grad.numpy()
    for mine, reference in zip([*found[0], *found[1:]], [*expected[0], *expected[1:]], strict=True):
        error = np.linalg.norm(mine / 2.0**VALUE_BITS - reference)
        assert error <= 1e-3 * np.linalg.norm(reference)


@pytest.mark.parametrize(
    ("channels", "images", "scale", "pixels", "exponent"),
    [
        ([16, 16, 32, 64, 64], 12, 0.5, 64, -5), ([8] * 3, 5, 3, 49, -1), ([64] * 14, 40, 20, 1, 2), ([3], 1, 63, 64, -30),
        ([1, 5] * 20, 7, 8, 16, -4), ([64] * 6, 128, 63, 64, 0),
    ],
)  # fmt: skip
def test_the_gate_has_the_bits_of_its_equations(channels, images, scale, pixels, exponent):
    """Backward against integers of any size: with the largest weights, values and gradients nothing leaves 64 bits."""
    weights = projects, cell, out = random_gate(channels, scale)
    pooled = [RNG.integers(-128 * pixels, 127 * pixels + 1, (images, c)) for c in channels]
    pooled[-1][:] = 127 * pixels
    gradients = [RNG.integers(-slu_cell.GRADIENT_MAX, slu_cell.GRADIENT_MAX + 1, images) for _ in channels]
    gradients[-1][:] = slu_cell.GRADIENT_MAX
    seen, found, inputs = passed(weights, pooled, pixels, exponent, gradients)
    reference = slu_reference.forward(projects, cell, out, inputs)
    np.testing.assert_array_equal(seen.probabilities, [one["probability"] for one in reference])
    for one, project in zip(reference, projects, strict=True):
        for values, factors in ((one["inputs"], project), (one["joined"], cell), (one["behind"], out)):
            assert (np.abs(values).astype(float) @ np.abs(factors).T.astype(float)).max() < 1 << 62
    unlimited = [{name: value.astype(object) for name, value in one.items()} for one in reference]
    exact = slu_reference.backward(unlimited, cell.astype(object), out.astype(object), [one.astype(object) for one in gradients])
    for mine, expected in zip([*found[0], *found[1:]], [*exact[0], *exact[1:]], strict=True):
        assert (mine == expected).all()


def test_gradients_that_saturate_on_their_way_through_depth_have_the_bits_too():
    """Cells that forget nothing add up the gradients of twelve blocks."""
    weights = projects, cell, out = random_gate([8] * 12, 0.02)
    cell[:, -1] += np.repeat([-5, 6, 0, 5], HIDDEN) << WEIGHT_BITS
    out[0, :-1] = 60 << WEIGHT_BITS
    pooled = [RNG.integers(-100, 100, (6, 8)) for _ in projects]
    gradients = [np.full(6, slu_cell.GRADIENT_MAX)] * len(projects)
    _, found, inputs = passed(weights, pooled, 1, -8, gradients)
    exact = slu_reference.backward(slu_reference.forward(projects, cell, out, inputs), cell, out, gradients)
    for mine, expected in zip([*found[0], *found[1:]], [*exact[0], *exact[1:]], strict=True):
        np.testing.assert_array_equal(mine, expected)


@pytest.mark.parametrize("at", [-64, -16, -8, -1, 0, 1, 8, 16, 64])
def test_a_gate_has_the_functions_bits_at_and_between_knots(at):
    """z that is x and a bias: i, f, o and p as the sigmoid, g and tanh(c') as tanh, where tables begin, end and turn."""
    near = np.concatenate([at * slu_cell.ONE + np.arange(-40, 41), at * slu_cell.ONE + RNG.integers(-(1 << 20), 1 << 20, 400)])
    x = near.clip(-slu_cell.VALUE_MAX, slu_cell.VALUE_MAX)[:, None]
    project, cell, out = (np.zeros(shape, np.int64) for shape in ((HIDDEN, 2), slu_cell.CELL_SHAPE, slu_cell.OUT_SHAPE))
    project[0, 0] = cell[::HIDDEN, 0] = out[0, 0] = 1 << WEIGHT_BITS
    cell[:, -1], out[0, -1] = RNG.integers(-3, 3, 4 * HIDDEN) << WEIGHT_BITS - 1, 5
    found = slu_cell.Pass([project] * 3, cell, out, len(x))
    for _ in range(3):
        found.forward(x, 1, -VALUE_BITS)
    expected = slu_reference.forward([project] * 3, cell, out, [x] * 3)
    np.testing.assert_array_equal(found.probabilities, [one["probability"] for one in expected])


@pytest.mark.parametrize("pixels", [64, 49, 1])
def test_the_mean_of_a_plane(pixels):
    pooled = RNG.integers(-127 * pixels, 127 * pixels, (5, 7))
    for exponent in (-30, -9, -3, -2, -1, 0, 30):
        found = np.empty_like(pooled)
        slu_cell.mean_input(pooled, pixels, exponent, found)
        np.testing.assert_array_equal(found, slu_reference.mean(pooled, pixels, exponent))
        np.testing.assert_allclose(found / 2**VALUE_BITS, (pooled / pixels * 2.0**exponent).clip(-63, 63), atol=2e-6)


LEARNED = [
    ([16, 16, 32, 64, 64], 12, 64, -5, {}, (3420704242, 2675037438, 8278429, 1431653, 572725868794, 303489463)),
    ([8] * 12, 5, 49, -1, {"usage": "2/5", "decay": "1/1000"}, (2901875435, 2291947737, 1561211, 648720, 191718848379, 68323592)),
    (
        [3], 16, 1, 2, {"rate": 4, "momentum": 0, "evaluation": "drawn"},
        (636388808, 770937757, 10268304, 5, 360244764420, 3138743115),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("channels", "images", "pixels", "exponent", "settings", "expected"), LEARNED)
def test_forty_iterations_have_the_bits_that_they_always_had(channels, images, pixels, exponent, settings, expected):
    """Decisions, parameters and momenta, what steers, and decisions of an evaluation, by their check sums."""
    seed = [one[0] for one in LEARNED].index(channels)
    blocks = range(len(channels))
    running = Slu(**settings).begin(Setting(seed, 1000, 1000, tuple((f"blocks.{i}", c) for i, c in enumerate(channels))))
    rng = np.random.default_rng(seed)
    asked = lambda block: rng.integers(-100 * pixels, 100 * pixels, (images, channels[block]))  # noqa: E731
    runs = []
    for iteration in range(40):
        gates = running.gates(Decision(iteration))
        now = [gates.decide(block, images, asked(block), pixels, exponent) for block in blocks]
        gradients = {block: rng.integers(-1 << 20, 1 << 20, images) * now[block] for block in blocks}
        gates.learn(gradients, {block: -24 - block for block in blocks})
        runs += now
    gates = running.evaluation_gates()
    evaluated = [gates.decide(block, images, asked(block), pixels, exponent) for block in blocks]
    state = running.sgd.state()
    learned = b"".join(value.tobytes() for kind in state.values() for value in kind.values())
    sums = [zlib.crc32(data) for data in (np.array(runs).tobytes(), learned, np.array(evaluated).tobytes())]
    assert (sums[0], sums[1], running.usage, running.alpha, running.scale, sums[2]) == expected


def test_integer_sgd_follows_torch():
    start = RNG.integers(-(1 << 29), 1 << 29, (3, 4))
    mine = IntegerSgd({"w": start.copy()}, Fraction(9, 10), Fraction(1, 1000))
    w = torch.nn.Parameter(torch.tensor(start / 2.0**PARAMETER_BITS))
    theirs = torch.optim.SGD([w], 0.05, 0.9, weight_decay=1e-3)
    for _ in range(20):
        gradient = RNG.integers(-(1 << 20), 1 << 20, (3, 4))
        w.grad = torch.tensor(gradient * 2.0**-22)
        theirs.step()
        mine.step({"w": gradient}, -22, Fraction(1, 20))
    np.testing.assert_allclose(mine.parameters["w"] / 2.0**PARAMETER_BITS, w.detach().numpy(), atol=1e-5)


class Task:
    """Blocks that help images on one side of a plane and hurt the others, by `size`, with as much noise."""

    def __init__(self, running: Selecting, images: int, size: float = 1.0):
        self.running, self.images, self.size = running, images, size
        self.rng = np.random.default_rng(1)
        self.normal = self.rng.normal(size=16)
        self.blocks = range(len(running.setting.blocks))

    def iterate(self, iteration: int) -> tuple[np.ndarray, np.ndarray]:
        """Return who ran, bool (blocks, images), and which images are the hard ones."""
        gates = self.running.gates(Decision(iteration))
        x = self.rng.normal(size=(self.images, 16))
        hard, runs, gradients = x @ self.normal > 0, [], {}
        for block in self.blocks:
            runs.append(gates.decide(block, self.images, np.round(x * 64 * 32).astype(np.int64), 64, -5))
            wanted = np.where(hard, -1.0, 0.3) + self.rng.normal(size=self.images)
            gradients[block] = np.where(runs[-1], np.round(self.size * wanted / self.images * 2**30), 0).astype(np.int64)
        gates.learn(gradients, dict.fromkeys(self.blocks, -30))
        return np.array(runs), hard


def begun(blocks: int = 5, seed: int = 0, **settings) -> Selecting:
    return Slu(**settings).begin(Setting(seed, 1000, 1000, tuple((f"blocks.{i}", 16) for i in range(blocks))))


@pytest.mark.parametrize("usage", ["4/5", "3/5", "2/5"])
def test_usage_comes_to_its_target(usage):
    task = Task(begun(usage=usage), images=16)
    used = [task.iterate(iteration)[0].mean() for iteration in range(300)]
    assert used[0] > 0.8, "gates are open at first"
    assert np.mean(used[100:]) == pytest.approx(float(Fraction(usage)), abs=0.02)


@pytest.mark.parametrize("size", [1e-4, 50.0])
def test_the_size_of_the_gradients_does_not_matter(size):
    one, other = Task(begun(), 16), Task(begun(), 16, size)
    same = [np.mean(one.iterate(iteration)[0] == other.iterate(iteration)[0]) for iteration in range(40)]
    assert np.mean(same) > 0.99 and abs(one.running.alpha - other.running.alpha) < 1 << 18


def test_gates_learn_who_needs_the_blocks():
    task = Task(begun(blocks=2, usage="2/5"), images=16)
    last = [task.iterate(iteration) for iteration in range(1200)][-200:]
    share = {kind: np.mean([runs[:, hard == kind].mean() for runs, hard in last]) for kind in (True, False)}
    assert share[True] > share[False] + 0.3
    assert np.mean([runs.mean() for runs, _ in last]) == pytest.approx(0.4, abs=0.02)


def test_a_run_goes_on_from_a_checkpoint_bit_for_bit():
    whole, second = Task(begun(), 8), Task(begun(), 8)
    for iteration in range(20):
        whole.iterate(iteration)
    data, arrays = packed(whole.running.state())
    second.running.restore(unpacked(json.loads(json.dumps(data)), arrays))
    second.rng = np.random.default_rng()
    second.rng.bit_generator.state = whole.rng.bit_generator.state
    second.normal = whole.normal
    for iteration in range(20, 40):
        np.testing.assert_array_equal(whole.iterate(iteration)[0], second.iterate(iteration)[0])
    for name, value in whole.running.sgd.parameters.items():
        np.testing.assert_array_equal(value, second.running.sgd.parameters[name])


def test_evaluation_is_deterministic_and_learns_nothing():
    task = Task(begun(), 16)
    for iteration in range(60):
        task.iterate(iteration)
    before, x = task.running.state(), np.round(RNG.normal(size=(9, 16)) * 2048).astype(np.int64)
    gates = task.running.evaluation_gates()
    first, second = ([gates.decide(block, 9, x, 64, -5) for block in range(5)] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(second, gates.seen.probabilities >= 1 << VALUE_BITS - 1)
    assert str(before) == str(task.running.state()) and not gates.needs_gradients


@pytest.mark.parametrize(("below", "runs"), [(0, True), (1, False)])
def test_a_probability_of_exactly_half_runs_in_evaluation(below, runs):
    running = begun(blocks=1)
    for value in running.sgd.parameters.values():
        value[:] = 0
    running.sgd.parameters["out"][0, -1] = -4 * below << PARAMETER_BITS - VALUE_BITS
    gates = running.evaluation_gates()
    assert (gates.decide(0, 3, np.ones((3, 16), np.int64), 64, -5) == runs).all()
    assert (gates.seen.probabilities == (1 << VALUE_BITS - 1) - below).all()


@pytest.mark.parametrize(("target", "evaluated"), [("7/10", 1.0), ("3/10", 0.0)])
def test_gates_that_tell_no_images_apart_are_evaluated_as_all_or_none_or_drawn(target, evaluated):
    """The threshold of 1/2 makes a usage above it all, and one below it none; drawn, it is that of training."""
    usages = {}
    for evaluation in ("threshold", "drawn"):
        task = Task(begun(usage=target, evaluation=evaluation), 16, 0.0)
        trained = [task.iterate(iteration)[0].mean() for iteration in range(300)][150:]
        assert np.mean(trained) == pytest.approx(float(Fraction(target)), abs=0.02)
        found = []
        for _ in range(2):
            gates, rng = task.running.evaluation_gates(), np.random.default_rng(5)
            inputs = [np.round(rng.normal(size=(32, 16)) * 2048).astype(np.int64) for _ in range(40)]
            found.append([[gates.decide(block, 32, x, 64, -5) for block in range(5)] for x in inputs])
        np.testing.assert_array_equal(*found)
        usages[evaluation] = np.mean(found)
    assert usages["threshold"] == evaluated and usages["drawn"] == pytest.approx(float(Fraction(target)), abs=0.06)
    one, other = (np.array(found[0][at]) for at in (0, 1))
    assert (one != other).any(), "mini-batches draw anew"


def test_gates_of_resnet_74_cost_less_than_0_04_percent():
    blocks = tuple((str(i), c) for c in (16, 32, 64) for i in range(12))[:35]
    forward = 168.2e6
    macs = gate_macs(blocks, 1)
    assert macs["forward"] < 0.0004 * forward and sum(macs.values()) < 0.0004 * 3 * forward


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"usage": 0}, "no gated block would ever run"),
        ({"usage": 1}, "leave slu out"),
        ({"usage": "60 %"}, "a fraction such as"),
        ({"momentum": 1}, "0 to below 1"),
        ({"rate": 17}, "it is 0 to 16"),
        ({"evaluation": "half"}, "there are threshold, drawn"),
    ],
)
def test_what_cannot_be_is_refused(settings, said):
    with pytest.raises(MethodError, match=said):
        Method.from_settings("slu", {"slu": settings})


def test_settings_say_how_they_evaluate_where_it_is_not_by_the_threshold():
    assert "evaluation" not in Slu().to_json() and Slu(evaluation="drawn").to_json()["evaluation"] == "drawn"
    for settings in ({}, {"evaluation": "drawn"}):
        method = Method.from_settings("slu", {"slu": settings})
        assert Method.from_json(json.loads(json.dumps(method.to_json()))) == method


def test_blocks_are_asked_in_order_with_their_inputs():
    gates = begun().gates(Decision(0))
    with pytest.raises(MethodError, match="in order of depth"):
        gates.decide(1, 4, np.zeros((4, 16), np.int64), 64, -5)
    with pytest.raises(MethodError, match="plane means"):
        gates.decide(0, 4)
    with pytest.raises(MethodError, match="slu and sd, which decide the same"):
        Method.from_settings("slu+sd")
    with pytest.raises(MethodError, match="this network has none"):
        Method.from_settings("slu").begin(0, 10)
