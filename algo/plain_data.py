"""Dataclasses from plain JSON data: every field is of the kind that its annotation says, or one sentence names the field."""

from __future__ import annotations

import dataclasses
import reprlib
import types
from collections.abc import Callable
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

_SAID = {int: "a whole number", str: "a text", bool: "true or false"}


def rebuilt(kind: Any, data: object, of: str) -> Any:
    """Return a dataclass with its fields, and theirs, from what `dataclasses.asdict` gave.

    Kinds are int, str, bool, tuples of a length or of any, dictionaries by name, dataclasses, and one of these or None. Where a
    field may be one of several dataclasses, its data says which under "node".

    Args:
        of: what the data is of, for the message.

    Raises:
        ValueError: a field is missing, unknown, or of another kind.
    """
    try:
        return _reader(kind)(data)
    except _OtherKind as error:
        raise ValueError(f"{'.'.join([of, *reversed(error.path)])} is {error}") from None


class _OtherKind(Exception):
    """What was found and what is needed; `path` leads there, innermost name first."""

    def __init__(self, found: object, needed: str):
        super().__init__(f"{reprlib.repr(found)}; {needed} is needed")
        self.path: list[str] = []


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """Return the function that takes plain data of a kind."""
    if kind in _SAID:
        return lambda data: _plain(kind, data)
    if dataclasses.is_dataclass(kind):
        return lambda data: _one(kind, data)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        return lambda data: _tuple(inner, data)
    if origin is dict:
        return lambda data: _each(inner[1], _needed(dict, data).items())
    if isinstance(kind, types.UnionType):
        return lambda data: _either(inner, data)
    raise TypeError(f"no plain data stands for {kind}")


def _needed(kind: type, data: object) -> Any:
    if not isinstance(data, kind):
        raise _OtherKind(data, {dict: "an object", (list, tuple): "a list"}[kind])
    return data


def _plain(kind: type, data: object) -> Any:
    if type(data) is not kind:
        raise _OtherKind(data, _SAID[kind])
    return data


def _tuple(inner: tuple, data: object) -> tuple:
    """A tuple of one kind and any length, tuple[int, ...], or of a kind for each place."""
    data = _needed((list, tuple), data)
    if inner[-1] is ...:
        inner = (inner[0],) * len(data)
    if len(data) != len(inner):
        raise _OtherKind(data, f"a list of {len(inner)}")
    return tuple(_read(one, value, str(at)) for at, (one, value) in enumerate(zip(inner, data, strict=True)))


def _each(kind: Any, items) -> dict:
    return {name: _read(kind, value, name) for name, value in items}


def _either(kinds: tuple, data: object) -> Any:
    """None, where it may be; else the kind beside it, or the dataclass that "node" names."""
    if data is None and types.NoneType in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not types.NoneType)
    if len(kinds) == 1:
        return _reader(kinds[0])(data)
    by_name = {kind.__name__: kind for kind in kinds}
    data = dict(_needed(dict, data))
    name = data.pop("node", None)
    if not isinstance(name, str) or name not in by_name:
        raise _OtherKind(name, f"a node that is one of {', '.join(by_name)}")
    return _one(by_name[name], data)


def _one(kind: type, data: object) -> Any:
    hints, data = _hints(kind), _needed(dict, data)
    unknown = next((name for name in data if name not in hints), None)
    if unknown is not None:
        raise _OtherKind(unknown, f"one of the fields {', '.join(hints)} of {kind.__name__}")
    missing = next((name for name in _without_default(kind) if name not in data), None)
    if missing is not None:
        raise _OtherKind(data, f"{missing} of {kind.__name__}")
    return kind(**{name: _read(hints[name], value, name) for name, value in data.items()})


@cache
def _hints(kind: type) -> dict[str, Any]:
    found = get_type_hints(kind)
    return {one.name: found[one.name] for one in dataclasses.fields(kind)}


@cache
def _without_default(kind: type) -> tuple[str, ...]:
    nothing = dataclasses.MISSING
    return tuple(one.name for one in dataclasses.fields(kind) if one.default is nothing and one.default_factory is nothing)


def _read(kind: Any, data: object, name: str) -> Any:
    try:
        return _reader(kind)(data)
    except _OtherKind as error:
        error.path.append(name)
        raise
