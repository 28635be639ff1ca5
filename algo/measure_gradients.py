"""How far the integer step's weight gradients are from float64's: of a trained network, on the same mini-batch, layer by layer.

    python -m algo.measure_gradients RECIPE --weights FILE [--seed 0] [--draws 12] [--batches 8]

The mean over draws of the noise is what the integer step moves along; what it lacks in length along float64's gradient slows
learning down, and adds up from the loss to the first layer. Exponents are those that the mini-batch itself needs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from algo.data import DataError
from algo.emulator import Emulator
from algo.export import export
from algo.graph import ExportError
from algo.recipe import RecipeError, load_recipe
from algo.scaling import State
from algo.sgd import Sgd
from algo.start_settings import Start
from algo.step import Step
from algo.weights_file import WeightsError

Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Distance:
    """From float64's gradient of a weight to int8's; all over the length of float64's.

    Attributes:
        along: length of int8's mean along float64's: 1 where none is lost.
        bias: length of the difference of int8's mean and float64's.
        noise: of one draw around the mean, root of the mean square.
        scatter: of float64's from mini-batch to mini-batch, root of the mean square, to compare with; NaN of a single one.
    """

    along: float
    bias: float
    noise: float
    scatter: float


def distance(exact: np.ndarray, draws: np.ndarray, scatter: float) -> Distance:
    """Return the distance of draws (n, ...), at least two, from the exact gradient (...).

    Args:
        scatter: root of the mean square of the exact gradient's scatter, a length.

    Raises:
        ValueError: fewer than two draws.
    """
    if len(draws) < 2:
        raise ValueError(f"{len(draws)} draws; the noise is seen from two on")
    mean, noise2 = draws.mean(0), float(draws.var(0, ddof=1).sum())
    length2 = float((exact**2).sum())
    # The mean of n draws is off by the noise over the root of n, too.
    bias2 = max(float(((mean - exact) ** 2).sum()) - noise2 / len(draws), 0.0)
    lengths = (bias2, noise2, scatter**2)
    return Distance(float((mean * exact).sum()) / length2, *(float(np.sqrt(one / length2)) for one in lengths))


def exact_gradients(module: nn.Module, images: np.ndarray, labels: np.ndarray, exponent: int) -> dict[str, np.ndarray]:
    """Return float64's gradients of the weights of convolutions and linear layers, (k, c, kh, kw) or (k, c).

    Args:
        module: of float64, in training mode; running statistics move.
        images: int8 (n, c, h, w), value = q * 2^exponent.
        labels: (n,).
    """
    module.zero_grad()
    F.cross_entropy(module(torch.tensor(images).double() * 2.0**exponent), torch.tensor(labels)).backward()
    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, (nn.Conv2d, nn.Linear))}
    return {f"{name}.weight": layer.weight.grad.numpy().copy() for name, layer in layers.items()}


def integer_gradients(
    step: Step, tensors: dict[str, np.ndarray], state: State, images: np.ndarray, labels: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the integer step's gradients of the weights, float64, in the module's shapes.

    Args:
        tensors: with momenta of zero, so that the first momentum is the gradient.
        state: without weight decay.
        images, labels: as of `exact_gradients`.
    """
    emulator = Emulator(step, tensors, state)
    emulator.train_step(images, labels)
    names = {name: f"{name}.momentum" for name in step.weights}
    return {name: np.ldexp(emulator.value(one).astype(np.float64), state.exponents[one]) for name, one in names.items()}


def measure(module: nn.Module, batches: Sequence[Batch], exponent: int, seed: int, draws: int) -> dict[str, Distance]:
    """Return the distance of every weight's gradient on the first mini-batch, in the order of the layers.

    Args:
        module: the network that is looked at; it is made one of float64 in training mode.
        batches: (images, labels), as of `exact_gradients`; float64's gradient scatters over all of them.
        exponent: of the images.
        seed: of the first draw of the noise; the others have the numbers after it.
        draws: of the noise, from 2.
    """
    images, labels = batches[0]
    found = export(module, images, labels, exponent, len(images), Sgd(weight_decay=0), seed)
    states = [replace(found.state, seed=seed + number) for number in range(draws)]
    noisy = [integer_gradients(found.step, found.tensors, state, images, labels) for state in states]
    module = module.double().train()
    exact = [exact_gradients(module, *batch, exponent) for batch in batches]
    distances = {}
    for name, gradient in exact[0].items():
        scatter2 = np.var([one[name] for one in exact], 0, ddof=1).sum() if len(exact) > 1 else np.nan
        ours = np.stack([one[name].reshape(gradient.shape) for one in noisy])
        distances[name] = distance(gradient, ours, float(np.sqrt(scatter2)))
    return distances


def table(distances: dict[str, Distance]) -> str:
    """Return the distances as a table of Markdown."""
    lines = ["| weight | along | bias | noise | scatter of mini-batches |", "|---|---|---|---|---|"]
    for name, one in distances.items():
        lines.append(f"| {name} | {one.along:.3f} | {one.bias:.3f} | {one.noise:.3f} | {one.scatter:.3f} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table of a recipe's network with the weights of a file."""
    parser = argparse.ArgumentParser(description="Measure how far int8's weight gradients are from float64's.")
    parser.add_argument("recipe")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draws", type=int, default=12)
    parser.add_argument("--batches", type=int, default=8)
    arguments = parser.parse_args()
    if arguments.draws < 2 or arguments.batches < 1:
        parser.error(f"--draws {arguments.draws} --batches {arguments.batches}: two draws and one mini-batch are the least")
    torch.set_num_threads(1)
    try:
        recipe = replace(load_recipe(arguments.recipe), start=Start(weights=str(arguments.weights)))
        data, module = recipe.load_data(arguments.seed), recipe.make_model(arguments.seed)
    except (DataError, ExportError, RecipeError, WeightsError) as error:
        parser.error(str(error))
    draw = recipe.batches(data, arguments.seed).draw
    batches = [draw(number) for number in range(arguments.batches)]
    print(table(measure(module, batches, data.exponent, arguments.seed, arguments.draws)))


if __name__ == "__main__":
    main()
