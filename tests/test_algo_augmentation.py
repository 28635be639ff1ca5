"""Crops and flips: every one of them possible, equally likely, keyed by image, iteration and seed alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from algo.augmentation import Augmentation, AugmentationError
from algo.data import random_images
from algo.data_batches import Batches

BOTH = Augmentation(crop_padding=4, flip=True)
IMAGES = random_images(7, (3, 9, 6), 40, 8, 4)


def test_every_image_is_the_window_that_was_drawn():
    numbers = np.arange(40)
    dy, dx, mirrored = BOTH.draws(numbers, seed=5, iteration=3)
    changed = BOTH.apply(IMAGES.train, numbers, 5, 3)
    assert changed.shape == IMAGES.train.shape and changed.dtype == np.int8
    for image, y, x, mirror, result in zip(IMAGES.train, dy, dx, mirrored, changed, strict=True):
        window = np.pad(image, ((0, 0), (4, 4), (4, 4)))[:, y : y + 9, x : x + 6]
        np.testing.assert_array_equal(result, window[..., ::-1] if mirror else window)


def test_offsets_and_flips_are_equally_likely_and_independent():
    """Chi-square of 2 * 81 cells over 162,000 draws: mean 161, standard deviation 17.9; six of them are allowed."""
    dy, dx, mirrored = BOTH.draws(np.arange(162_000), seed=0, iteration=0)
    cells = np.bincount((dy * 9 + dx) * 2 + mirrored, minlength=162)
    assert len(cells) == 162
    assert ((cells - 1000) ** 2 / 1000).sum() < 161 + 6 * 17.9


def test_draws_depend_on_image_iteration_and_seed_alone():
    numbers = np.array([7, 3, 30])
    whole = BOTH.apply(IMAGES.train, np.arange(40), 1, 2)
    np.testing.assert_array_equal(BOTH.apply(IMAGES.train[numbers], numbers, 1, 2), whole[numbers])
    for other in ((2, 2), (1, 3)):
        assert (BOTH.apply(IMAGES.train, np.arange(40), *other) != whole).mean() > 0.5


def test_the_draws_of_a_seed_are_written_down():
    """Fixed for all time: runs on other machines and boards draw these."""
    dy, dx, mirrored = BOTH.draws(np.array([0, 1, 2, 49_999]), seed=0, iteration=0)
    assert [dy.tolist(), dx.tolist(), mirrored.tolist()] == DRAWN


DRAWN = [[3, 1, 1, 0], [5, 2, 6, 8], [False, True, False, True]]


def test_no_augmentation_leaves_images_alone():
    plain = Augmentation()
    np.testing.assert_array_equal(plain.apply(IMAGES.train, np.arange(40), 0, 0), IMAGES.train)


@pytest.mark.parametrize("settings", [{"crop_padding": 65}, {"crop_padding": True}, {"crop_padding": "4"}, {"flip": "yes"}])
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(AugmentationError, match="crop_padding is|flip is"):
        Augmentation(**settings)


def test_batches_draw_what_mini_batch_says_and_touch_nothing_before():
    class Watched:
        def __init__(self, array):
            self.array, self.read = array, []

        def __len__(self):
            return len(self.array)

        def __getitem__(self, numbers):
            self.read.append(numbers)
            return self.array[numbers]

    watched = Watched(IMAGES.train)
    batches = Batches(replace(IMAGES, train=watched), 16, seed=3, augmentation=BOTH)
    assert batches.per_epoch == 3 and len(batches.numbers(2)) == 8 and watched.read == []
    images, labels = batches.draw(5)
    assert len(watched.read) == 1
    drawn = batches.numbers(5)
    np.testing.assert_array_equal(labels, IMAGES.train_labels[drawn])
    np.testing.assert_array_equal(images, BOTH.apply(IMAGES.train[drawn], drawn, 3, 5))
    np.testing.assert_array_equal(Batches(IMAGES, 16, 3).draw(5)[0], IMAGES.train[drawn])
