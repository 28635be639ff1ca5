"""Data sets in npz files: arrays of one's own, and the reader that trusts none. No torch."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from algo.data import EXPONENTS, PIXEL_EXPONENT, DataError, Images, centred
from algo.data_places import find

LARGEST_BYTES = 4 << 30
_ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
_NEEDED = "images are uint8 (n, c, h, w) of brightness, or int8 from -127 to 127 with an exponent from -16 to 16"


def load_arrays(path: object = None, exponent: object = None) -> Images:
    """Return images and labels as an npz file has them.

    Args:
        path: of the file. Its arrays are train_images, test_images, (n, c, h, w) or of one channel (n, h, w), and train_labels,
            test_labels, whole numbers from 0. Images of uint8 are brightness, 0 to 255, and become p - 128, -127 for 0.
        exponent: of images that are int8 already, from -16 to 16: value = q * 2^exponent.

    Raises:
        DataError: it is not there, or its arrays are others or do not belong together.
    """
    wanted = f"an npz file with the arrays {', '.join(_ARRAYS)}"
    file = find("data set of arrays", path, wanted, lambda place: place if place.is_file() else None)
    arrays = read_arrays(file, _ARRAYS, LARGEST_BYTES)
    (train, train_labels), (test, test_labels) = (_part(file, part, arrays, exponent) for part in ("train", "test"))
    classes = int(train_labels.max()) + 1
    if train.shape[1:] != test.shape[1:] or classes < 2 or test_labels.max() >= classes:
        found = f"images of {train.shape[1:]} with labels up to {classes - 1} to train on"
        other = f"of {test.shape[1:]} with labels up to {test_labels.max()} for the test"
        raise DataError(f"{file} has {found} and {other}; both need the same shape and the same classes, 2 or more")
    chosen = PIXEL_EXPONENT if exponent is None else exponent
    return Images(train, train_labels, test, test_labels, chosen, classes, file.stem)


def read_arrays(file: Path, names: Sequence[str], largest: int) -> dict[str, np.ndarray]:
    """Return the named arrays that an npz file has; nothing is unpickled.

    Args:
        largest: bytes that all of the file may unpack to.

    Raises:
        DataError: it cannot be read, or unpacks to more.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > largest:
            raise DataError(f"{file} unpacks to {size} bytes; up to {largest} are read")
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in names if name in archive.files}
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise DataError(f"{file} cannot be read as an npz file ({' '.join(str(error).split())})") from None


def _part(file: Path, part: str, arrays: dict[str, np.ndarray], exponent: object) -> tuple[np.ndarray, np.ndarray]:
    """Return the images, int8 (n, c, h, w), and labels, int64 (n,), to train on or to test with."""
    missing = [name for name in _ARRAYS if name.startswith(part) and name not in arrays]
    if missing:
        raise DataError(f"{file} has no {', '.join(missing)}; its arrays are {', '.join(_ARRAYS)}")
    images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
    images = images[:, None] if images.ndim == 3 else images
    if images.ndim != 4 or images.dtype not in (np.uint8, np.int8) or not images.size:
        raise DataError(f"{file} has {part}_images of {images.dtype} {images.shape}; {_NEEDED}")
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu" or labels.min() < 0:
        found = f"{len(images)} {part}_images and {part}_labels of {labels.dtype} {labels.shape}"
        raise DataError(f"{file} has {found}; a whole number from 0 is needed for each image")
    if images.dtype == np.uint8 and exponent is None:
        return centred(images), labels.astype(np.int64)
    if images.dtype == np.uint8 or type(exponent) is not int or exponent not in EXPONENTS or images.min() < -127:
        found = f"{images.dtype} from {images.min()}, and exponent {exponent!r}"
        raise DataError(f"{file} has {part}_images of {found}; {_NEEDED}")
    return images, labels.astype(np.int64)
