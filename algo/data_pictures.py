"""Picture files decoded with Pillow: the JPEG edition of CIFAR-10, and folders of pictures by class. No torch.

How a JPEG decodes is the library's: editions of libjpeg may differ by a level of brightness, so images from JPEG files are the
same on two machines only where their Pillow is.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np

from algo.arithmetic import noise_key
from algo.data import PIXEL_EXPONENT, DataError, Images, centred, shuffled
from algo.data_arrays import LARGEST_BYTES, read_arrays
from algo.data_places import find

FORMATS = ("PNG", "JPEG", "BMP", "PPM")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm")
_LARGEST_EDITION_BYTES = 1 << 30
_EDITION = "cifar10_jpeg.npz"
_ARRAYS = ("train_jpeg", "train_end", "train_label", "test_jpeg", "test_end", "test_label")
_MODES = {1: "L", 3: "RGB"}


def load_jpeg_edition(path: object = None) -> Images:
    """Return CIFAR-10 from quality-75 JPEGs, lossy, shuffled once: accuracies are a little below those on the original pixels.

    Args:
        path: of the npz file; None for cifar10_jpeg.npz in the folder that JOULEGRAD_DATA names. Its arrays are train_jpeg,
            test_jpeg (uint8, files back to back), train_end, test_end (where each file ends), train_label, test_label.

    Raises:
        DataError: it is not there, or not such a file.
    """
    wanted = f"{_EDITION}, with the arrays {', '.join(_ARRAYS)}"
    file = find("CIFAR-10 (JPEG)", path, wanted, lambda place: next(filter(Path.is_file, (place, place / _EDITION)), None))
    arrays = _arrays(file)
    parts = []
    for part in ("train", "test"):
        jpeg, end, label = (arrays[f"{part}_{name}"] for name in ("jpeg", "end", "label"))
        ends = end.astype(np.int64)
        begins = np.concatenate([[0], ends[:-1]])
        if len(end) != len(label) or not len(end) or (begins > ends).any() or ends[-1] != len(jpeg) or label.max() > 9:
            raise DataError(f"{file} holds {part} files whose ends, labels or number do not belong together")
        data = jpeg.tobytes()
        pixels = np.empty((len(end), 3, 32, 32), np.uint8)
        for number, (begin, finish) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
            pixels[number] = _decoded(io.BytesIO(data[begin:finish]), f"{part} image {number} of {file}", 3, (32, 32), ("JPEG",))
        parts.append((centred(pixels), label.astype(np.int64)))
    (train, train_labels), (test, test_labels) = parts
    return Images(train, train_labels, test, test_labels, PIXEL_EXPONENT, 10, "CIFAR-10 (JPEG)")


def _arrays(file: Path) -> dict[str, np.ndarray]:
    arrays = read_arrays(file, _ARRAYS, _LARGEST_EDITION_BYTES)
    wrong = [name for name in _ARRAYS if name not in arrays or arrays[name].ndim != 1 or arrays[name].dtype.kind not in "iu"]
    if wrong:
        raise DataError(f"{file} has no {', '.join(wrong)} as a list of whole numbers; its arrays are {', '.join(_ARRAYS)}")
    return arrays


def load_image_folder(seed: int, size: object, path: object = None, channels: object = 3) -> Images:
    """Return a folder of pictures, one folder below it for each class, classes in the order of their names.

    With the folders train and test (or val) in it, these are the parts; else a fifth of all pictures, drawn from the seed, is
    the test. A picture is scaled until its shorter side is that of `size`, and its middle is kept.

    Args:
        seed: of the split, where the folder has none.
        size: side of the images in pixels.
        path: of the folder; None for the one that JOULEGRAD_DATA names.
        channels: 3 for colour, 1 for grey.

    Raises:
        DataError: it is not there, a picture cannot be decoded, or there are too few or too many.
    """
    if type(size) is not int or not 1 <= size <= 1024 or channels not in (1, 3):
        raise DataError(f"image folder with size {size!r} and channels {channels!r}: size is 1 to 1024 pixels, channels 1 or 3")
    wanted = f"a folder for each class with {', '.join(SUFFIXES)} files, or train and test with such folders"
    root = find("image folder", path, wanted, lambda place: place if _classes(place) else None)
    held_out = next((root / name for name in ("test", "val") if (root / name).is_dir()), None)
    if (root / "train").is_dir() and held_out:
        classes = _classes(root / "train")
        if len(classes) < 2 or _classes(held_out) != classes:
            raise DataError(f"{root / 'train'} and {held_out} have different classes, or less than two; both need the same")
        train, test = ([(file, label) for label, name in enumerate(classes) for file in _files(part / name)]
                       for part in (root / "train", held_out))  # fmt: skip
    else:
        classes = _classes(root)
        files = [(file, label) for label, name in enumerate(classes) for file in _files(root / name)]
        order = shuffled(len(files), noise_key(seed, 0, "split"))
        test, train = ([files[number] for number in part] for part in (order[: len(files) // 5], order[len(files) // 5 :]))
    if len(classes) < 2 or not train or not test:
        raise DataError(f"{root} has {len(classes)} classes, {len(train)} pictures to train on and {len(test)} for the test; "
                        "at least 2 classes and a picture of each kind are needed")  # fmt: skip
    needed = (len(train) + len(test)) * channels * size * size
    if needed > LARGEST_BYTES:
        raise DataError(f"{root} would take {needed} bytes of memory at {size} pixels; up to {LARGEST_BYTES} are possible")
    (train, train_labels), (test, test_labels) = (_pictures(part, size, channels) for part in (train, test))
    return Images(train, train_labels, test, test_labels, PIXEL_EXPONENT, len(classes), f"{root.name} ({size} pixels)")


def _classes(folder: Path) -> list[str]:
    """Names of the folders in a folder, hidden ones left out."""
    if not folder.is_dir():
        return []
    return sorted(one.name for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    return sorted(one for one in folder.rglob("*") if one.suffix.lower() in SUFFIXES and one.is_file())


def _pictures(files: list[tuple[Path, int]], size: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    pixels = np.empty((len(files), channels, size, size), np.uint8)
    for number, (file, _) in enumerate(files):
        pixels[number] = _decoded(file, str(file), channels, (size, size), FORMATS)
    return centred(pixels), np.array([label for _, label in files], np.int64)


def _decoded(source: Path | io.BytesIO, what: str, channels: int, size: tuple[int, int], formats: tuple[str, ...]) -> np.ndarray:
    """Pixels, uint8 (channels, h, w), of a picture; scaled and cut only where its size is another."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(source, formats=formats) as picture:
                picture = _fitted(picture.convert(_MODES[channels]), size)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{what} cannot be decoded ({' '.join(str(error).split())}); it may be {', '.join(formats)}") from None
    return np.asarray(picture, np.uint8).reshape(*size, channels).transpose(2, 0, 1)


def _fitted(picture, size: tuple[int, int]):
    """The middle of a picture scaled, antialiased, so that it just covers (h, w)."""
    from PIL import Image

    height, width = size
    if picture.size == (width, height):
        return picture
    if picture.width * height < picture.height * width:
        scaled = (width, max(height, (picture.height * width * 2 + picture.width) // (2 * picture.width)))
    else:
        scaled = (max(width, (picture.width * height * 2 + picture.height) // (2 * picture.height)), height)
    picture = picture.resize(scaled, Image.Resampling.BILINEAR)
    left, top = (scaled[0] - width) // 2, (scaled[1] - height) // 2
    return picture.crop((left, top, left + width, top + height))
