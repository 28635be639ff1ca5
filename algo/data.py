"""Images as int8 with one exponent: scikit-learn's digits, random images, and the order in which they are drawn. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from algo.arithmetic import MASK32, mix32, noise_key

HELD_OUT = 360
"""Digits kept for the test, a fifth."""

PIXEL_EXPONENT = -6
"""Of the data sets with 256 levels of brightness: about one standard deviation of natural images is then 1."""
EXPONENTS = range(-16, 17)
"""Of images. Far larger ones pass the range of shifts, far smaller ones vanish beside the epsilon of batch norm."""


class DataError(ValueError):
    """A data set cannot be made or drawn from as asked; the message says what would be right."""


@dataclass(frozen=True)
class Images:
    """Labelled images.

    Attributes:
        train, test: int8 (n, c, h, w).
        train_labels, test_labels: int64 (n,).
        exponent: value = q * 2^exponent.
        classes: number of labels.
        name: of the data set and its edition, as it stands beside every figure.
    """

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    exponent: int
    classes: int
    name: str = ""


def load_digits(seed: int) -> Images:
    """Return the 1797 handwritten digits of 8 x 8 pixels that scikit-learn ships, 360 of them held out for the test.

    Pixels 0 to 16 become (8 p - 64) * 2^-5, so that the mean of all is near zero.

    Args:
        seed: of the split.
    """
    from sklearn.datasets import load_digits as shipped

    data = shipped()
    images = (8 * data.images.astype(np.int64) - 64).astype(np.int8)[:, None]
    labels = data.target.astype(np.int64)
    order = shuffled(len(images), noise_key(seed, 0, "split"))
    test, train = order[:HELD_OUT], order[HELD_OUT:]
    return Images(images[train], labels[train], images[test], labels[test], -5, 10, "digits")


def random_images(seed: int, shape: tuple[int, int, int], train: int, test: int, classes: int = 10) -> Images:
    """Return images of independent random pixels with random labels, for measuring time where content does not matter.

    Args:
        shape: (c, h, w).
        train, test: number of images.
    """
    if min(shape) < 1 or train < 1 or test < 0 or classes < 2:
        asked = f"shape {shape}, {train} and {test} images, {classes} classes"
        raise DataError(f"{asked}; sizes must be positive, classes at least 2")
    rng = np.random.default_rng(seed)
    images = rng.integers(-127, 128, (train + test, *shape), dtype=np.int8)
    labels = rng.integers(0, classes, train + test)
    return Images(images[:train], labels[:train], images[train:], labels[train:], -6, classes, "random images")


def centred(pixels: np.ndarray) -> np.ndarray:
    """Return brightness 0 to 255, uint8, as int8: p - 128, but -127 for 0; value = q * 2^PIXEL_EXPONENT, from -2 to 2."""
    return np.maximum((pixels ^ 0x80).view(np.int8), np.int8(-127))


def shuffled(count: int, key: int) -> np.ndarray:
    """Return 0 to count - 1 in the order of their hashes under a key."""
    hashes = mix32(mix32((np.arange(count, dtype=np.int64) ^ key) & MASK32) ^ (key >> 7))
    return np.argsort(hashes, kind="stable")


def mini_batch(count: int, batch: int, seed: int, iteration: int) -> np.ndarray:
    """Return the image numbers of an iteration.

    Every epoch is a new order of all images; its last mini-batch is smaller where the batch does not divide the count.

    Args:
        count: training images.
        iteration: from 0.
    """
    if count < 1 or batch < 1 or iteration < 0:
        asked = f"count {count}, batch {batch}, iteration {iteration}"
        raise DataError(f"{asked}; count and batch must be positive, iteration not negative")
    per_epoch = -(-count // batch)
    epoch, position = divmod(iteration, per_epoch)
    return _order(count, seed, epoch)[position * batch : (position + 1) * batch]


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    """The order of an epoch; sorting 50,000 hashes takes longer than drawing a mini-batch, so the last two are kept."""
    order = shuffled(count, noise_key(seed, epoch, "shuffle"))
    order.flags.writeable = False
    return order
