"""The emulator: passes element by element, partial batches, repeatability, state."""

from __future__ import annotations

import json

import numpy as np
import pytest
from algo_networks import Pooled, PreActivation, build

from algo import scaling
from algo.arithmetic import affine, noise16, to_operand
from algo.data import random_images
from algo.emulator import Emulator, EmulatorError
from algo.export import export
from algo.scaling import State
from algo.sgd import Sgd
from algo.step import Step

SHAPE = {Pooled: (3, 11, 11), PreActivation: (3, 6, 6)}


def _exported(kind, batch, count=None, **sgd):
    data = random_images(3, SHAPE[kind], 24, 8, 4)
    count = count or batch
    exported = export(build(kind), data.train[:count], data.train_labels[:count], data.exponent, batch, Sgd(**sgd), seed=5)
    return exported, data


@pytest.mark.parametrize("kind", [Pooled, PreActivation])
def test_a_partial_batch_equals_a_step_of_that_batch(kind):
    full, data = _exported(kind, 8, count=5, weight_decay="1/100")
    exact, _ = _exported(kind, 5, weight_decay="1/100")
    assert full.state == exact.state
    one, other = (Emulator(e.step, e.tensors, e.state) for e in (full, exact))
    for at in (0, 5, 10):
        images, labels = data.train[at : at + 5], data.train_labels[at : at + 5]
        assert one.train_step(images, labels).loss == other.train_step(images, labels).loss
    assert one.state == other.state
    for name, value in one.tensors().items():
        np.testing.assert_array_equal(value, other.value(name), err_msg=name)


def test_partial_batches_differ_from_full_ones():
    exported, data = _exported(Pooled, 8)
    one, other = (Emulator(exported.step, exported.tensors, exported.state) for _ in range(2))
    one.train_step(data.train[:8], data.train_labels[:8])
    other.train_step(data.train[:7], data.train_labels[:7])
    assert (one.value("conv2.weight.momentum") != other.value("conv2.weight.momentum")).any()


def test_training_continues_from_stored_step_state_and_tensors():
    exported, data = _exported(PreActivation, 8)
    whole = Emulator(exported.step, exported.tensors, exported.state)
    whole.train_step(data.train[:8], data.train_labels[:8])
    step = Step.from_json(json.loads(json.dumps(exported.step.to_json())))
    state = State.from_json(json.loads(json.dumps(whole.state.to_json())))
    assert step == exported.step and state == whole.state
    parts = Emulator(step, whole.tensors(), state)
    for emulator in (whole, parts):
        emulator.train_step(data.train[8:16], data.train_labels[8:16])
    for name, value in whole.tensors().items():
        np.testing.assert_array_equal(value, parts.value(name), err_msg=name)
    np.testing.assert_array_equal(whole.predict(data.test), parts.predict(data.test))


def test_a_stochastic_pass_element_by_element():
    exported, data = _exported(PreActivation, 4)
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    words = scaling.records(exported.step, exported.state)
    emulator.forward(data.train[:4])
    emulator.loss(data.train_labels[:4])
    emulator.backward()
    nodes = [n for n in exported.step.segments["backward"] if getattr(n, "product", None) and n.product.kind == "grad_input"]
    node = next(n for n in nodes if n.name == "bn1.grad")
    one = node.passes[0]
    g, w = emulator.value(node.product.a).astype(np.int64), exported.tensors[node.product.b].astype(np.int64)
    word, d, shift_key, _ = words[one.record]
    a, b = scaling.unpack_coefficients(word)
    expected = np.zeros((4, *node.shape), np.int64)
    for n, c, y, x in np.ndindex(expected.shape):
        acc = 0
        for ky in range(3):
            for kx in range(3):
                oy, ox = y + 1 - ky, x + 1 - kx
                if 0 <= oy < g.shape[2] and 0 <= ox < g.shape[3]:
                    acc += int(g[n, :, oy, ox] @ w[:, c, ky, kx])
        noise = noise16(shift_key & 0xFFFFFFFF, (n * node.shape[1] + y) * node.shape[2] + x, c)
        value = affine(int(to_operand(np.int64(acc), one.su)), 0, a, b, d, shift_key >> 32, noise)
        expected[n, c, y, x] = value * emulator.value(one.mask_in)[n, c, y, x]
    np.testing.assert_array_equal(emulator.value("bn1.grad"), expected.clip(-127, 127))
    assert emulator.maxima["bn1.grad"] == abs(expected).max()


def test_sums_and_maxima_reach_the_tables():
    exported, data = _exported(Pooled, 6)
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    emulator.forward(data.train[:6])
    conv = emulator.value("conv2").astype(np.int64)
    table = emulator.value("bn2.channels")
    np.testing.assert_array_equal(table[:, 0], conv.sum((0, 2, 3)))
    np.testing.assert_array_equal(table[:, 1], (conv**2).sum((0, 2, 3)))
    assert 64 <= emulator.maxima["conv2"] <= 127


def test_what_does_not_fit_is_refused():
    exported, data = _exported(Pooled, 4)
    emulator = Emulator(exported.step, exported.tensors, exported.state)
    with pytest.raises(EmulatorError, match=r"images are int8 \(5, 3, 11, 11\); int8 \(n, 3, 11, 11\) with n from 1 to 4"):
        emulator.forward(data.train[:5])
    for images, labels in ((4, data.train_labels[:4, None]), (4, data.train_labels[:3]), (0, [])):
        with pytest.raises(EmulatorError, match=f"{images} images and labels .* at least one"):
            emulator.evaluate(data.train[:images], labels)
    tensors = dict(exported.tensors)
    tensors["conv2.weight"] = tensors["conv2.weight"][:1]
    with pytest.raises(EmulatorError, match=r"conv2.weight has shape \(1, 6, 3, 3\); \(9, 6, 3, 3\)"):
        Emulator(exported.step, tensors, exported.state)
    del tensors["conv2.weight"]
    with pytest.raises(EmulatorError, match="conv2.weight is missing"):
        Emulator(exported.step, tensors, exported.state)
