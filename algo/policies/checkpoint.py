"""A course's state as JSON and arrays, which is how checkpoints are stored: no pickles."""

from __future__ import annotations

import numpy as np

_ARRAY = "array:"


def packed(state: object, place: str = "course") -> tuple[object, dict[str, np.ndarray]]:
    """Return JSON data and the arrays that it names.

    Args:
        state: dicts with text keys, lists, numbers, text and arrays, nested.
        place: prefix of the arrays' names.
    """
    if isinstance(state, np.ndarray):
        return _ARRAY + place, {place: state}
    if isinstance(state, dict):
        parts = {key: packed(value, f"{place}/{key}") for key, value in state.items()}
        return {key: data for key, (data, _) in parts.items()}, _joined(arrays for _, arrays in parts.values())
    if isinstance(state, (list, tuple)):
        parts = [packed(value, f"{place}/{i}") for i, value in enumerate(state)]
        return [data for data, _ in parts], _joined(arrays for _, arrays in parts)
    return state, {}


def unpacked(data: object, arrays: dict[str, np.ndarray]) -> object:
    """Return the state that `packed` was given. Raises KeyError where an array is missing."""
    if isinstance(data, str) and data.startswith(_ARRAY):
        return arrays[data.removeprefix(_ARRAY)]
    if isinstance(data, dict):
        return {key: unpacked(value, arrays) for key, value in data.items()}
    return [unpacked(value, arrays) for value in data] if isinstance(data, list) else data


def _joined(parts) -> dict[str, np.ndarray]:
    return {name: array for part in parts for name, array in part.items()}
