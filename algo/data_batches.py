"""The mini-batches of a run: which images, how changed. Nothing is read from the data set before `draw`. No torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from algo.augmentation import Augmentation
from algo.data import Images, mini_batch


@dataclass(frozen=True)
class Batches:
    """The mini-batches of a run, by the number of the drawn iteration.

    Attributes:
        images: the data set.
        batch: images in a full mini-batch; the last one of an epoch is smaller where it does not divide their number.
        seed: of the order and the augmentation.
        augmentation: of the images that are trained on, or None.
    """

    images: Images
    batch: int
    seed: int
    augmentation: Augmentation | None = None

    @property
    def per_epoch(self) -> int:
        """Mini-batches in which every training image is drawn once."""
        return -(-len(self.images.train) // self.batch)

    def numbers(self, iteration: int) -> np.ndarray:
        """Return the numbers of an iteration's images; no image is touched."""
        return mini_batch(len(self.images.train), self.batch, self.seed, iteration)

    def draw(self, iteration: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the mini-batch of an iteration, counted from 0: int8 images (n, c, h, w) and labels (n,)."""
        drawn = self.numbers(iteration)
        images = self.images.train[drawn]
        if self.augmentation:
            images = self.augmentation.apply(images, drawn, self.seed, iteration)
        return images, self.images.train_labels[drawn]
