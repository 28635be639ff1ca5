"""Trained weights as a file of plain arrays under the module's names: what fine-tuning and adaptation start from. No torch.

    write_weights(path, weights_of(step, tensors, exponents))      after training, on any machine
    {"start": {"weights": "pretrained.npz", "train": "head"}}      in a recipe: start there, and train the last layer alone
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from algo.coefficient_programs import PARAMETER_FRACTION, RUNNING_MEAN_FRACTION, RUNNING_VARIANCE_FRACTION
from algo.step import Step

_LARGEST_BYTES = 1 << 30
_PARAMETERS = {"GAMMA": "weight", "BETA": "bias", "BIAS": "bias"}
_BROKEN = (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile)


class WeightsError(ValueError):
    """A file of weights is not there, or does not fit; the message says what would."""


def weights_of(step: Step, tensors: dict[str, np.ndarray], exponents: dict[str, int]) -> dict[str, np.ndarray]:
    """Return the trained numbers as float64 arrays under the names of the module that was exported.

    Args:
        step: the training step.
        tensors: masters and channel tables, as they are after training.
        exponents: of the same moment.
    """
    found = {}
    for name in step.weights:
        found[name] = np.ldexp(tensors[f"{name}.master"].astype(np.float64), exponents[f"{name}.master"])
    for name, table in step.tables.items():
        module, values = name.removesuffix(".channels"), tensors[name].astype(np.float64)
        for entry, parameter in _PARAMETERS.items():
            if entry in table.entries:
                found[f"{module}.{parameter}"] = np.ldexp(values[:, table.entries.index(entry)], -PARAMETER_FRACTION)
        if "RMEAN" in table.entries:
            exponent = exponents[f"{name}.running"]
            mean, variance = (values[:, table.entries.index(entry)] for entry in ("RMEAN", "RVAR"))
            found[f"{module}.running_mean"] = np.ldexp(mean, exponent - RUNNING_MEAN_FRACTION)
            found[f"{module}.running_var"] = np.ldexp(variance, 2 * exponent - RUNNING_VARIANCE_FRACTION)
    return found


def write_weights(path: Path, weights: dict[str, np.ndarray]) -> None:
    """Write an npz file. Raises WeightsError where it cannot be written."""
    try:
        with path.open("wb") as file:
            np.savez(file, **weights)
    except OSError as error:
        raise WeightsError(f"weights cannot be written to {path}: {error.strerror or error}") from None


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an npz file of floating-point numbers. Raises WeightsError where it is not one."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > _LARGEST_BYTES:
            raise WeightsError(f"{path} unpacks to {size} bytes; up to {_LARGEST_BYTES} are read")
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise WeightsError(f"weights {path} are not there; an .npz or .pt file is wanted") from None
    except WeightsError:
        raise
    except _BROKEN as error:
        raise WeightsError(f"weights {path} cannot be read as an npz file ({' '.join(str(error).split())})") from None
    wrong = [name for name, value in found.items() if value.dtype.kind != "f"]
    if wrong:
        raise WeightsError(f"weights {path} hold {wrong[0]} as {found[wrong[0]].dtype}; floating-point numbers are wanted")
    return found
