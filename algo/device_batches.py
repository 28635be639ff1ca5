"""Mini-batches on the device that trains: the data set lies there, and is drawn, cropped, mirrored and folded there.

For an iteration the host sends four numbers an image: which one it is, where its window begins, whether it is mirrored. They come
from the same hashes as algo.data_batches, and so do the pixels, bit for bit.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from algo.data_batches import Batches
from algo.step import InputFold


class DeviceBatches:
    """The mini-batches of a run, by the number of the drawn iteration.

    Attributes:
        batches: what is drawn.
        resident: whether the training images lie on the device; else each mini-batch is copied there.
    """

    def __init__(self, batches: Batches, device: torch.device | str):
        self.batches, self._device = batches, torch.device(device)
        self.resident = batches.images.train.nbytes <= _room(self._device)
        self._train = on_device(batches.images.train, self._device if self.resident else "cpu")
        _, c, h, w = self._train.shape
        self._channels, self._rows, self._columns = (torch.arange(size, device=self._device) for size in (c, h, w))

    def draw(self, iteration: int) -> tuple[torch.Tensor, np.ndarray]:
        """Return the mini-batch of an iteration, counted from 0: int8 images (n, c, h, w) on the device, and labels (n,)."""
        drawn = self.batches.numbers(iteration)
        labels, augmentation = self.batches.images.train_labels[drawn], self.batches.augmentation
        images, at = self._train, drawn
        if not self.resident:
            images, at = self._train[on_device(drawn, "cpu")].to(self._device), np.arange(len(drawn))
        if augmentation is None:
            return images[on_device(at, self._device)], labels
        sent = np.stack([at, *augmentation.draws(drawn, self.batches.seed, iteration)])
        return self._window(images, on_device(sent, self._device)), labels

    def _window(self, images: torch.Tensor, sent: torch.Tensor) -> torch.Tensor:
        """Return each image's window of itself with zeros around it, mirrored where it is to be.

        Args:
            sent: int64 (4, n): number in `images`, row and column at which the window begins, in the padded image, whether it
                is mirrored.
        """
        padding, flip = self.batches.augmentation.crop_padding, self.batches.augmentation.flip
        number, row, column, mirrored = sent.unsqueeze(-1)
        rows = self._rows + row - padding
        columns = (torch.where(mirrored > 0, self._columns.flip(0), self._columns) if flip else self._columns) + column - padding
        inside = _within(rows, len(self._rows))[:, None, :, None] & _within(columns, len(self._columns))[:, None, None, :]
        found = images[
            number[:, None, None], self._channels[None, :, None, None], rows.clamp(0, len(self._rows) - 1)[:, None, :, None],
            columns.clamp(0, len(self._columns) - 1)[:, None, None, :],
        ]  # fmt: skip
        return found * inside


def on_device(values: np.ndarray | torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """Return values as a tensor of a device, which shares the memory of an array where it can."""
    if isinstance(values, np.ndarray):
        values = torch.from_numpy(np.require(values, requirements=("C", "W")))
    return values.to(device)


def fold_on_device(images: torch.Tensor, fold: InputFold | None) -> torch.Tensor:
    """Return what algo.input_fold.fold_images does, of and as a tensor on any device."""
    if fold is None:
        return images
    (_, oh, ow), (kh, kw), stride, (pad_y, pad_x) = fold.shape, fold.kernel, fold.stride, fold.pad
    padded = F.pad(images, (pad_x, pad_x, pad_y, pad_y))
    taps = [padded[:, :, ky::stride, kx::stride][:, :, :oh, :ow] for ky in range(kh) for kx in range(kw)]
    return torch.stack(taps, 2).reshape(len(images), *fold.shape)


def _within(at: torch.Tensor, size: int) -> torch.Tensor:
    return (at >= 0) & (at < size)


def _room(device: torch.device) -> float:
    """Return the bytes that a data set may take: half of what is free on a GPU, the other half being the network's."""
    return torch.cuda.mem_get_info(device)[0] / 2 if device.type == "cuda" else float("inf")
