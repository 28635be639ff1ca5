"""Pickles of other people, read without running them: arrays of numbers, texts and plain containers come out, or an error.

The CIFAR "python" folders are Python 2 pickles of protocol 2. Two things keep a hostile one harmless. Before it is unpickled,
its opcodes are read: only those that plain containers, texts, small integers and array reconstruction need may occur, none that
makes an object of a class, asks for a persistent or registered one, points far into the memo, or nests tuples without end.
Then the Unpickler resolves five global names to stand-ins of this file, and no other name: neither numpy's own functions nor
anything importable is reachable, and the stand-ins cannot be changed by what is unpickled. No torch.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from pathlib import Path

import numpy as np

LARGEST_BYTES = 256 << 20
_OPCODES = frozenset(
    "PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT "
    "BINSTRING SHORT_BINSTRING BINUNICODE SHORT_BINUNICODE BINBYTES SHORT_BINBYTES "
    "EMPTY_DICT SETITEM SETITEMS EMPTY_LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 "
    "BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET GLOBAL STACK_GLOBAL REDUCE BUILD".split()
)
_MOST_TUPLES, _MOST_PLACES, _MOST_AXES, _LONGEST_AXIS = 1000, 1 << 20, 4, 1 << 40
_TYPES = {"u1": np.uint8, "i4": np.dtype("<i4"), "i8": np.dtype("<i8")}
_BROKEN = (
    pickle.UnpicklingError, ValueError, TypeError, AttributeError, KeyError, IndexError, EOFError, OverflowError, MemoryError,
    RecursionError,
)  # fmt: skip


class PickleRefused(ValueError):
    """A pickle holds something that an array file has no business holding, or is broken; the message says what."""


def read_pickle(path: Path) -> object:
    """Return what a pickle file holds: dictionaries, lists, tuples, texts, numbers and arrays.

    Texts of Python 2 become str, byte by byte (latin-1).

    Raises:
        PickleRefused: the file is too large, broken, or holds anything else.
        OSError: it cannot be read.
    """
    if not path.is_file():
        raise PickleRefused(f"{path} is no file")
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        raise PickleRefused(f"{path.name} has {size} bytes; up to {LARGEST_BYTES} are read")
    data = path.read_bytes()
    try:
        _check_opcodes(data)
        return _arrays(_Reader(data).load())
    except PickleRefused:
        raise
    except _BROKEN as error:
        raise PickleRefused(f"it is broken ({' '.join(str(error).split()) or type(error).__name__})") from None


def _check_opcodes(data: bytes) -> None:
    """Raise PickleRefused at the first opcode that is not needed.

    The memo is an array as long as its highest place; nested tuples are hashed and compared by recursion: both are bounded.
    """
    stream, tuples, name = io.BytesIO(data), 0, ""
    while name != "STOP":
        position, code = stream.tell(), stream.read(1)
        opcode = pickletools.code2op.get(code.decode("latin-1"))
        name = opcode.name if opcode else repr(code)
        if name not in _OPCODES:
            raise PickleRefused(f"byte {position} is the opcode {name}, which arrays and plain containers do not need")
        argument = opcode.arg.reader(stream) if opcode.arg else None
        tuples += name.startswith("TUPLE")
        if tuples > _MOST_TUPLES:
            raise PickleRefused(f"it holds more than {_MOST_TUPLES} tuples")
        if name == "LONG_BINPUT" and argument >= _MOST_PLACES:
            raise PickleRefused(f"byte {position} uses place {argument} of the memo; {_MOST_PLACES} are enough")


class _StandIn:
    """What a global name of the pickle resolves to: something to call or to name, which nothing can be done to."""

    __slots__ = ("_call",)

    def __init__(self, call):
        object.__setattr__(self, "_call", call)

    def __call__(self, *arguments):
        if self._call is None:
            raise PickleRefused("it calls ndarray, which may only be named")
        return self._call(*arguments)

    def __setattr__(self, name, value):
        raise PickleRefused(f"it sets {name} of a function")

    def __setstate__(self, state):
        raise PickleRefused("it sets the state of a function")


class _Array:
    """An array under reconstruction, filled by its state."""

    __slots__ = ("value", "room")

    def __init__(self, room: list[int]):
        self.value, self.room = None, room

    def __setstate__(self, state):
        if self.value is not None:
            raise PickleRefused("it sets the state of an array twice")
        _, shape, kind, fortran, data = state
        whole = type(shape) is tuple and len(shape) <= _MOST_AXES
        if type(kind) is not _Type or not whole or not all(type(n) is int and 0 <= n <= _LONGEST_AXIS for n in shape):
            raise PickleRefused(f"an array has no element type, or a shape that is not up to {_MOST_AXES} numbers")
        data = data.encode("latin-1") if isinstance(data, str) else data
        _take(self.room, len(data))
        dtype = np.dtype(_TYPES[kind.name])
        if math.prod(shape) * dtype.itemsize != len(data):
            raise PickleRefused(f"an array of shape {shape} and type {kind.name} comes with {len(data)} bytes")
        self.value = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran is True else "C")


class _Type:
    """The element type of an array; its state may only say that it is in the machine's byte order."""

    __slots__ = ("name",)

    def __init__(self, name, *flags):
        if not isinstance(name, str) or name not in _TYPES or not all(type(flag) in (int, bool) for flag in flags):
            found = name[:16] if isinstance(name, str) else type(name).__name__
            raise PickleRefused(f"an array has elements of type {found!r}; there may be {', '.join(_TYPES)}")
        self.name = name

    def __setstate__(self, state):
        if state not in [(3, order, None, None, None, -1, -1, 0) for order in ("|", "<")]:
            raise PickleRefused("an element type has a state that is not that of a plain number")


class _Reader(pickle.Unpickler):
    """The Unpickler whose global names are stand-ins; `room` is how many bytes arrays and texts may still take."""

    def __init__(self, data: bytes):
        super().__init__(io.BytesIO(data), encoding="latin1", fix_imports=False)
        room = [2 * len(data)]
        self._array_class = _StandIn(None)
        self._names = {("numpy", "ndarray"): self._array_class, ("numpy", "dtype"): _StandIn(_Type)}
        self._names[("_codecs", "encode")] = _StandIn(lambda *arguments: _encoded(room, *arguments))
        for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            self._names[(module, "_reconstruct")] = _StandIn(lambda *arguments: self._reconstruct(room, *arguments))

    def find_class(self, module: str, name: str) -> _StandIn:
        try:
            return self._names[(module, name)]
        except KeyError:
            raise PickleRefused(f"it asks for {module}.{name}; only the reconstruction of arrays is admitted") from None

    def persistent_load(self, identity):
        raise PickleRefused("it asks for an object from outside")

    def _reconstruct(self, room: list[int], *arguments) -> _Array:
        if len(arguments) != 3 or arguments[0] is not self._array_class or arguments[1] != (0,):
            raise PickleRefused("it reconstructs something else than an array")
        return _Array(room)


def _encoded(room: list[int], text: object, encoding: object) -> bytes:
    """What Python 3 writes for bytes in protocol 2."""
    if not isinstance(text, str) or encoding != "latin1":
        raise PickleRefused(f"it encodes a {type(text).__name__}, or not as latin1")
    _take(room, len(text))
    return text.encode("latin-1")


def _take(room: list[int], size: int) -> None:
    room[0] -= size
    if room[0] < 0:
        raise PickleRefused("its arrays and texts together are larger than the file")


def _arrays(value: object) -> object:
    """Put arrays in place of what they were reconstructed in: at the top, or in a dictionary, list or tuple there."""
    if isinstance(value, dict):
        return {key: _finished(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_finished(one) for one in value)
    return _finished(value)


def _finished(value: object) -> object:
    if not isinstance(value, _Array):
        return value
    if value.value is None:
        raise PickleRefused("an array is without content")
    return value.value
