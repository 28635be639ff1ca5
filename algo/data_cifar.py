"""CIFAR-10 and CIFAR-100 from their official folders, binary or python, in the official split. No torch.

    cifar-10-batches-bin    data_batch_1.bin to data_batch_5.bin, test_batch.bin: per image a label, 3 planes of 32 x 32 bytes
    cifar-10-batches-py     data_batch_1 to data_batch_5, test_batch: pickles of `data` and `labels`
    cifar-100-binary        train.bin, test.bin: per image a coarse label, a fine label, the planes
    cifar-100-python        train, test: pickles of `data` and `fine_labels`

Both forms hold the same images in the same order. A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from algo.data import PIXEL_EXPONENT, DataError, Images, centred
from algo.data_pickle import PickleRefused, read_pickle
from algo.data_places import find

SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class CifarFormat:
    """One of the four official folders.

    Attributes:
        folder: its name.
        train, test: names of its files.
        per_file: images in a training file; a test file has 10,000.
        labels: bytes before an image's pixels, the last of which is the label (binary); the key of the labels (python).
    """

    folder: str
    train: tuple[str, ...]
    test: str
    per_file: int
    labels: int | str

    @property
    def files(self) -> tuple[str, ...]:
        """Names of all files."""
        return (*self.train, self.test)


_FIVE = tuple(f"data_batch_{number}" for number in range(1, 6))
PER_TEST = 10_000
FORMATS = {
    "cifar10": (
        CifarFormat("cifar-10-batches-bin", tuple(f"{name}.bin" for name in _FIVE), "test_batch.bin", 10_000, 1),
        CifarFormat("cifar-10-batches-py", _FIVE, "test_batch", 10_000, "labels"),
    ),
    "cifar100": (
        CifarFormat("cifar-100-binary", ("train.bin",), "test.bin", 50_000, 2),
        CifarFormat("cifar-100-python", ("train",), "test", 50_000, "fine_labels"),
    ),
}
NAMES = {"cifar10": ("CIFAR-10", 10), "cifar100": ("CIFAR-100", 100)}
"""Kind of the data set to its name and number of classes."""


def load_cifar(kind: str, path: object = None) -> Images:
    """Return CIFAR-10 or CIFAR-100: 50,000 images to train on, 10,000 for the test.

    Args:
        kind: "cifar10" or "cifar100".
        path: an official folder or the one above it; None for the folder that JOULEGRAD_DATA names.

    Raises:
        DataError: it is not there, or a file is not what it should be.
    """
    name, classes = NAMES[kind]
    wanted = " or ".join(f"the folder {one.folder} with {', '.join(one.files)}" for one in FORMATS[kind])
    folder = find(name, path, wanted, lambda place: _folder(place, kind))
    one = next(one for one in FORMATS[kind] if _complete(folder, one))
    parts = [_read(folder / file, one, one.per_file if file in one.train else PER_TEST, classes) for file in one.files]
    images = np.concatenate([centred(pixels) for pixels, _ in parts]).reshape(-1, *SHAPE)
    labels = np.concatenate([labels for _, labels in parts]).astype(np.int64)
    held_out = len(images) - PER_TEST
    return Images(
        images[:held_out], labels[:held_out], images[held_out:], labels[held_out:], PIXEL_EXPONENT, classes, name
    )


def _folder(place: Path, kind: str) -> Path | None:
    """The official folder at a path or right below it."""
    for one in FORMATS[kind]:
        for folder in (place, place / one.folder):
            if _complete(folder, one):
                return folder
    return None


def _complete(folder: Path, one: CifarFormat) -> bool:
    return all((folder / file).is_file() for file in one.files)


def _read(path: Path, one: CifarFormat, count: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels, uint8 (count, 3072), and labels of a file."""
    try:
        pixels, labels = _binary(path, one.labels, count) if isinstance(one.labels, int) else _python(path, one.labels)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    if pixels.shape != (count, _PIXELS) or pixels.dtype != np.uint8 or labels.shape != (count,):
        found = f"{pixels.dtype} pixels {pixels.shape} and {len(labels)} labels"
        raise DataError(f"{path} holds {found}; {count} images of {_PIXELS} bytes and as many labels are needed")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"{path} holds labels that are not whole numbers from 0 to {classes - 1}")
    return pixels, labels


def _binary(path: Path, before: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    found, needed = path.stat().st_size, count * (before + _PIXELS)
    if found != needed:
        raise DataError(f"{path} has {found} bytes; {needed} are needed: it is cut off, or of another data set")
    records = np.fromfile(path, np.uint8).reshape(count, before + _PIXELS)
    return records[:, before:], records[:, before - 1]


def _python(path: Path, key: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        batch = read_pickle(path)
    except PickleRefused as error:
        raise DataError(f"{path} is not an official batch: {error}") from None
    if not isinstance(batch, dict) or not isinstance(batch.get("data"), np.ndarray) or not isinstance(batch.get(key), list):
        raise DataError(f"{path} is not an official batch: a dictionary with the array data and the list {key} is needed")
    if not all(type(label) is int and 0 <= label < 256 for label in batch[key]):
        raise DataError(f"{path} holds {key} that are not small whole numbers")
    return batch["data"], np.array(batch[key], np.int64)
