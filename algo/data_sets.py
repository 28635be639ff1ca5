"""The data sets that a recipe may name, and how its arguments reach their loaders. No torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from algo.data import DataError, Images, load_digits, random_images
from algo.data_arrays import load_arrays
from algo.data_cifar import load_cifar
from algo.data_pictures import load_image_folder, load_jpeg_edition
from algo.data_split import Split


def load_data(data: dict, seed: int) -> Images:
    """Return the data set of a recipe.

    Args:
        data: its kind, of KINDS, the arguments of that kind's loader, and `split` where only a part is wanted.
        seed: of the run, for what is random in the data set unless `data` has a seed of its own.

    Raises:
        DataError: an argument is unknown or cannot be, or the data set is not where it was looked for.
    """
    loader = KINDS[check_data(data)]
    arguments = {name: value for name, value in data.items() if name not in ("kind", "split")}
    if "seed" in inspect.signature(loader).parameters:
        arguments = {"seed": seed, **arguments}
    images = loader(**arguments)
    return Split.from_json(data["split"]).apply(images) if "split" in data else images


def check_data(data: dict) -> str:
    """Return the kind of a data set; nothing is read. Raises DataError where kind or names of arguments are unknown."""
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise DataError(f"data set {kind!r} is not known; there are {', '.join(KINDS)}")
    parameters = inspect.signature(KINDS[kind]).parameters
    unknown = sorted(set(data) - set(parameters) - {"kind", "split"})
    if unknown:
        raise DataError(f"data set {kind} has no {', '.join(unknown)}; its arguments are {', '.join([*parameters, 'split'])}")
    missing = [name for name, one in parameters.items() if one.default is one.empty and name not in data and name != "seed"]
    if missing:
        raise DataError(f"data set {kind} is given without {', '.join(missing)}; its arguments are {', '.join(parameters)}")
    if type(data.get("seed", 0)) is not int or data.get("seed", 0) < 0:
        raise DataError(f"data set {kind} has seed {data['seed']!r}; a whole number from 0 is needed")
    if "split" in data:
        Split.from_json(data["split"])
    return kind


def _random(seed: int, shape: list[int], train: int, test: int, classes: int = 10) -> Images:
    whole = isinstance(shape, (list, tuple)) and len(shape) == 3
    if not whole or not all(type(size) is int for size in (*shape, train, test, classes)):
        found = f"shape {shape!r}, train {train!r}, test {test!r}, classes {classes!r}"
        raise DataError(f"random images are asked for with {found}; shape is [c, h, w] and all sizes are whole numbers")
    return random_images(seed, tuple(shape), train, test, classes)


def _cifar10(path: str | None = None) -> Images:
    return load_cifar("cifar10", path)


def _cifar100(path: str | None = None) -> Images:
    return load_cifar("cifar100", path)


KINDS: dict[str, Callable[..., Images]] = {
    "digits": load_digits, "random": _random, "cifar10": _cifar10, "cifar100": _cifar100, "cifar10_jpeg": load_jpeg_edition,
    "image_folder": load_image_folder, "arrays": load_arrays,
}  # fmt: skip
"""Name of a data set to its loader: seed and the recipe's arguments to images."""
