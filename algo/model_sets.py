"""The networks that a recipe may name, and how its arguments reach the functions that make them."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from torch import nn

from algo.graph import ExportError
from algo.models import digits_network, resnet8
from algo.models_cifar import cifar_resnet, mobilenet_v2, vgg_small

MODELS: dict[str, Callable[..., nn.Module]] = {
    "digits_network": digits_network, "resnet8": resnet8, "cifar_resnet": cifar_resnet, "vgg_small": vgg_small,
    "mobilenet_v2": mobilenet_v2,
}  # fmt: skip
"""Name of a network to the function that makes it from a seed and the recipe's arguments."""
MOST = 65535
"""Of any argument of a network: noise has 16 bits for the number of a channel."""


def make_model(model: dict, seed: int) -> nn.Module:
    """Return the network that a recipe names, initialised from the seed.

    Args:
        model: its kind, of MODELS, and the arguments of that function.

    Raises:
        ExportError: kind or arguments cannot be.
    """
    kind = model.get("kind")
    if not isinstance(kind, str) or kind not in MODELS:
        raise ExportError(f"model {kind!r} is not known; there are {', '.join(MODELS)}")
    arguments = {name: value for name, value in model.items() if name != "kind"}
    parameters = dict(list(inspect.signature(MODELS[kind]).parameters.items())[1:])
    unknown = sorted(set(arguments) - set(parameters))
    if unknown:
        raise ExportError(f"model {kind} has no {', '.join(unknown)}; its arguments are {', '.join(parameters) or 'none'}")
    missing = [name for name, one in parameters.items() if one.default is one.empty and name not in arguments]
    if missing:
        raise ExportError(f"model {kind} is given without {', '.join(missing)}; its arguments are {', '.join(parameters)}")
    wrong = [f"{name} {value!r}" for name, value in arguments.items() if type(value) is not int or not 1 <= value <= MOST]
    if wrong:
        raise ExportError(f"model {kind} is asked for with {', '.join(wrong)}; whole numbers from 1 to {MOST} are needed")
    return MODELS[kind](seed, **arguments)
