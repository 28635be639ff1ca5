"""Data sets and the order in which their images are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from algo.arithmetic import noise_key
from algo.data import HELD_OUT, DataError, load_digits, mini_batch, random_images, shuffled


def test_digits_are_split_once_and_quantised_exactly():
    data = load_digits(0)
    assert data.train.shape == (1797 - HELD_OUT, 1, 8, 8) and data.test.shape == (HELD_OUT, 1, 8, 8)
    assert data.train.dtype == np.int8
    values = np.unique(np.concatenate([data.train.ravel(), data.test.ravel()]))
    assert set(values.tolist()) == {8 * p - 64 for p in range(17)}
    assert set(data.test_labels) == set(range(10))
    assert np.bincount(data.test_labels).min() > 20


def test_the_split_depends_on_the_seed_alone():
    one, same, other = load_digits(1), load_digits(1), load_digits(2)
    np.testing.assert_array_equal(one.test, same.test)
    assert (one.test != other.test).any()
    total = sum(int(part.astype(int).sum()) for part in (one.train, one.test))
    assert total == sum(int(part.astype(int).sum()) for part in (other.train, other.test))


def test_an_epoch_draws_every_image_once_and_ends_with_a_remainder():
    epoch = [mini_batch(100, 32, seed=3, iteration=i) for i in range(4)]
    assert [len(part) for part in epoch] == [32, 32, 32, 4]
    np.testing.assert_array_equal(np.sort(np.concatenate(epoch)), np.arange(100))
    following = np.concatenate([mini_batch(100, 32, seed=3, iteration=i) for i in range(4, 8)])
    np.testing.assert_array_equal(np.sort(following), np.arange(100))
    assert (following != np.concatenate(epoch)).mean() > 0.9
    np.testing.assert_array_equal(mini_batch(100, 32, seed=3, iteration=0), epoch[0])  # whatever was drawn between
    np.testing.assert_array_equal(np.concatenate(epoch), shuffled(100, noise_key(3, 0, "shuffle")))
    with pytest.raises(ValueError, match="read-only"):
        epoch[0][0] = 1


def test_random_images_fill_the_range():
    data = random_images(0, (3, 4, 5), 50, 10, 4)
    assert data.train.shape == (50, 3, 4, 5) and data.test.shape == (10, 3, 4, 5)
    assert data.train.min() == -127 and data.train.max() == 127 and set(data.train_labels) == {0, 1, 2, 3}


@pytest.mark.parametrize("arguments", [((0, 4, 4), 1, 1), ((1, 4, 4), 0, 1), ((1, 4, 4), 1, -1)])
def test_wrong_sizes_are_refused(arguments):
    with pytest.raises(DataError, match="must be positive"):
        random_images(0, *arguments)


def test_wrong_draws_are_refused():
    with pytest.raises(DataError, match="iteration -1"):
        mini_batch(10, 4, 0, -1)
