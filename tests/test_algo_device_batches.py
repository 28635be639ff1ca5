"""Mini-batches made on the device that trains are those that the host makes, pixel for pixel; a CPU stands in for the device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from algo import device_batches
from algo.augmentation import Augmentation
from algo.data import load_digits, random_images
from algo.data_batches import Batches
from algo.device_batches import DeviceBatches, fold_on_device, on_device
from algo.emulator import Emulator, EmulatorError
from algo.export import export
from algo.input_fold import fold_images
from algo.models import digits_network
from algo.sgd import Sgd
from algo.step import InputFold

augmentations = st.one_of(st.none(), st.builds(Augmentation, st.integers(0, 7), st.booleans()))


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)), augmentation=augmentations,
    seed=st.integers(0, 2**32 - 1), iteration=st.integers(0, 40), resident=st.booleans(),
)  # fmt: skip
def test_images_on_the_device_are_those_of_the_host(shape, augmentation, seed, iteration, resident):
    """Also those of a mini-batch that is not full, and of one that is copied because the data set does not fit."""
    batches = Batches(random_images(1, shape, 11, 1), 4, seed, augmentation)
    with pytest.MonkeyPatch.context() as patched:
        if not resident:
            patched.setattr(device_batches, "_room", lambda device: batches.images.train.nbytes - 1)
        found = DeviceBatches(batches, "cpu")
    assert found.resident is resident
    (images, labels), (expected, expected_labels) = found.draw(iteration), batches.draw(iteration)
    assert images.dtype == torch.int8
    np.testing.assert_array_equal(images.numpy(), expected)
    np.testing.assert_array_equal(labels, expected_labels)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_folding_on_the_device_is_folding_on_the_host(data):
    c, h, w = (data.draw(st.integers(1, high)) for high in (3, 8, 8))
    pad_y, pad_x = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    kernel = data.draw(st.integers(1, h + 2 * pad_y)), data.draw(st.integers(1, w + 2 * pad_x))
    fold = InputFold((c, h, w), kernel, data.draw(st.integers(1, 3)), (pad_y, pad_x))
    images = np.random.default_rng(2).integers(-127, 128, (3, c, h, w)).astype(np.int8)
    folded = fold_on_device(torch.from_numpy(images), fold)
    assert folded.dtype == torch.int8
    np.testing.assert_array_equal(folded.numpy(), fold_images(images, fold))
    assert fold_on_device(folded, None) is folded


def test_the_emulator_takes_tensors_as_it_takes_arrays():
    data = load_digits(0)
    batches = Batches(data, 8, 3, Augmentation(1, True))
    exported = export(digits_network(0), data.train[:32], data.train_labels[:32], data.exponent, 8, Sgd())
    one, other = (Emulator(exported.step, exported.tensors, exported.state) for _ in range(2))
    for iteration in range(3):
        loss = one.train_step(*DeviceBatches(batches, "cpu").draw(iteration)).loss
        assert loss == other.train_step(*batches.draw(iteration)).loss
    ours, theirs = one.tensors(), other.tensors()
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value)
    for wrong in (torch.zeros(8, 1, 8, 8), torch.zeros(8, 1, 8, 7, dtype=torch.int8), np.zeros((8, 1, 8, 8), np.uint8)):
        with pytest.raises(EmulatorError, match="int8 .n, 1, 8, 8. with n from 1 to 8 is needed"):
            one.train_step(wrong, data.train_labels[:8])


def test_arrays_share_their_memory_where_they_can():
    """Read-only and mirrored arrays, which torch does not take, are copied."""
    images = np.arange(24, dtype=np.int8).reshape(2, 1, 3, 4)
    assert on_device(images, "cpu").data_ptr() == images.ctypes.data
    fixed = images.copy()
    fixed.flags.writeable = False
    np.testing.assert_array_equal(on_device(fixed, "cpu").numpy(), images)
    np.testing.assert_array_equal(on_device(images[..., ::-1], "cpu").numpy(), images[..., ::-1])


def test_a_data_set_beyond_half_of_a_gpus_free_memory_stays_on_the_host(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 4000))
    assert device_batches._room(torch.device("cuda", 0)) == 500 and device_batches._room(torch.device("cpu")) == float("inf")


def test_a_cpu_trains_from_the_data_set_itself():
    batches = Batches(load_digits(0), 8, 3)
    found = DeviceBatches(batches, "cpu")
    batches.images.train[:] = 1
    assert (found.draw(0)[0] == 1).all()
