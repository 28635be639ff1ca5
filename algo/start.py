"""Where a run starts that does not start from fresh weights: a file of weights put into the module, layers held as they are."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import nn

from algo.start_settings import Start
from algo.weights_file import WeightsError, read_weights

_TORCH_SUFFIXES = (".pt", ".pth", ".tar")
_COUNTER = "num_batches_tracked"


def begin(module: nn.Module, start: Start) -> None:
    """Put weights into a module and mark what is held, in place.

    Raises:
        WeightsError: the file is not there, is of another network, or holds a number that is not finite.
    """
    head = _head(module)
    if start.weights:
        _load(module, Path(start.weights), f"{head}." if start.new_head else "")
    if start.train == "head":
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(name.startswith(f"{head}."))


def _head(module: nn.Module) -> str:
    """Name of the last linear layer."""
    linear = [name for name, layer in module.named_modules() if isinstance(layer, nn.Linear)]
    if not linear:
        raise WeightsError(f"{type(module).__name__} has no linear layer; one is wanted as its head")
    return linear[-1]


def _load(module: nn.Module, path: Path, head: str) -> None:
    """Copy every parameter and running statistic from the file, those of the head left out where it begins anew."""
    found = _from_torch(path) if path.suffix in _TORCH_SUFFIXES else _from_arrays(path)
    found = {name: value for name, value in found.items() if not name.endswith(_COUNTER)}
    wanted = {name: value for name, value in module.state_dict().items() if not name.endswith(_COUNTER)}
    if head:
        found, wanted = ({name: v for name, v in one.items() if not name.startswith(head)} for one in (found, wanted))
    missing, surplus = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    if missing or surplus:
        said = [f"no {_few(missing)}"] if missing else []
        said += [f"{_few(surplus)}, which this has not"] if surplus else []
        raise WeightsError(f"weights {path} are of another network: they hold {' and '.join(said)}")
    for name, value in wanted.items():
        if value.dim() == 2 and found[name].dim() == 4:  # our files hold a linear layer as the convolution that it is on the core
            found[name] = found[name].flatten(1)
        if found[name].shape != value.shape:
            shapes = f"{tuple(found[name].shape)} and {tuple(value.shape)}"
            raise WeightsError(f"weights {path} are of another network: {name} has {shapes} there and here")
        if not torch.isfinite(found[name]).all():
            raise WeightsError(f"weights {path} hold a number in {name} that is not finite")
    module.load_state_dict({**module.state_dict(), **found})


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _from_arrays(path: Path) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in read_weights(path).items()}


def _from_torch(path: Path) -> dict[str, torch.Tensor]:
    """A state dictionary that torch saved, or one under the key state_dict; names may begin with module."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"weights {path} are not there; an .npz or .pt file is wanted") from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        first = " ".join(str(error).split())[:120] or type(error).__name__
        raise WeightsError(f"weights {path} cannot be read as tensors alone ({first})") from None
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    whole = isinstance(found, dict) and all(isinstance(key, str) for key in found)
    if not whole or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise WeightsError(f"weights {path} are not a dictionary of tensors by name; a module's state_dict() is wanted")
    return {name.removeprefix("module."): value for name, value in found.items()}
