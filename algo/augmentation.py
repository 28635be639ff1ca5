"""Random crops and flips from the counter-based hash: the same pixels on every executor, whatever was drawn before. No torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from algo.arithmetic import MASK32, mix32, noise_key

_MAX_PADDING = 64


class AugmentationError(ValueError):
    """A setting of the augmentation cannot be; the message says which and what can be."""


@dataclass(frozen=True)
class Augmentation:
    """What happens to an image each time it is drawn; never to one that is scored.

    Attributes:
        crop_padding: zeros put around the image, of which a window of the image's size is cut at random; 0 for no crop.
        flip: whether every other image is mirrored from left to right, at random.
    """

    crop_padding: int = 0
    flip: bool = False

    def __post_init__(self):
        if isinstance(self.crop_padding, bool) or not isinstance(self.crop_padding, int):
            raise AugmentationError(f"crop_padding is {self.crop_padding!r}; 0 to {_MAX_PADDING} pixels are possible")
        if not 0 <= self.crop_padding <= _MAX_PADDING:
            raise AugmentationError(f"crop_padding is {self.crop_padding}; it must be from 0 to {_MAX_PADDING} pixels")
        if not isinstance(self.flip, bool):
            raise AugmentationError(f"flip is {self.flip!r}; it is true or false")

    def apply(self, images: np.ndarray, numbers: np.ndarray, seed: int, iteration: int) -> np.ndarray:
        """Return the images of a mini-batch as they are trained on, a new array where anything may change.

        Args:
            images: int8 (n, c, h, w). Zero, of the padding, is the grey in the middle of the range.
            numbers: (n,) the images' numbers in the training set, which key their hashes.
            seed: of the run; iteration: drawn iterations before this one.
        """
        dy, dx, mirrored = self.draws(numbers, seed, iteration)
        if self.crop_padding:
            images = _cropped(images, self.crop_padding, dy, dx)
        if self.flip:
            images = np.where(mirrored[:, None, None, None], images[..., ::-1], images)
        return images

    def draws(self, numbers: np.ndarray, seed: int, iteration: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return row and column, from 0 to 2 * crop_padding, at which each image's window begins, and whether it is mirrored."""
        key = noise_key(seed, iteration, "augmentation")
        bits = mix32(mix32((np.asarray(numbers, np.int64) ^ key) & MASK32) ^ (key >> 7))
        offsets = 2 * self.crop_padding + 1
        return ((bits >> 16) * offsets) >> 16, (((bits >> 1) & 0x7FFF) * offsets) >> 15, (bits & 1).astype(bool)


def _cropped(images: np.ndarray, padding: int, dy: np.ndarray, dx: np.ndarray) -> np.ndarray:
    n, c, h, w = images.shape
    padded = np.zeros((n, c, h + 2 * padding, w + 2 * padding), images.dtype)
    padded[:, :, padding : padding + h, padding : padding + w] = images
    return sliding_window_view(padded, (h, w), axis=(2, 3))[np.arange(n), :, dy, dx]
