"""Images folded for the first convolution: the processor gathers its window's taps as channels while it streams images.

A convolution of 1 or 3 channels leaves most rows of the array empty in every one of its taps; as a 1x1 convolution over
c * kh * kw channels it uses them. The sums are of the same products, so no number changes.
"""

from __future__ import annotations

import numpy as np

from algo.step import InputFold


def fold_images(images: np.ndarray, fold: InputFold | None) -> np.ndarray:
    """Return images as a step's input tensor holds them.

    Args:
        images: (n, c, h, w) of the fold's image shape.
        fold: of the step; None returns the images themselves.

    Returns:
        (n, c * kh * kw, oh, ow): out[n, (c * kh + ky) * kw + kx, y, x] = image[n, c, y * stride + ky - pad_y, x * stride
        + kx - pad_x], zero outside the image.
    """
    if fold is None:
        return images
    (_, oh, ow), (kh, kw), stride, (pad_y, pad_x) = fold.shape, fold.kernel, fold.stride, fold.pad
    n, c, h, w = images.shape
    padded = np.zeros((n, c, h + 2 * pad_y, w + 2 * pad_x), images.dtype)
    padded[:, :, pad_y : pad_y + h, pad_x : pad_x + w] = images
    folded = np.empty((n, c, kh, kw, oh, ow), images.dtype)
    for ky in range(kh):
        for kx in range(kw):
            folded[:, :, ky, kx] = padded[:, :, ky :: stride, kx :: stride][:, :, :oh, :ow]
    return folded.reshape(n, *fold.shape)
