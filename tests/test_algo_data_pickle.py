"""Pickles of other people: the forms that real files have come through, and nothing that a hostile one asks for happens."""

from __future__ import annotations

import os
import pickle
import struct

import cifar_folders as forms
import numpy as np
import pytest

from algo import data_pickle
from algo.data_pickle import PickleRefused, read_pickle

PIXELS = np.arange(6 * 7, dtype=np.uint8).reshape(6, 7) * 6


def _read(tmp_path, data: bytes):
    path = tmp_path / "batch"
    path.write_bytes(data)
    return read_pickle(path)


@pytest.mark.parametrize("order", [b"\x89", b"\x88"])
def test_what_python_2_wrote_is_read(tmp_path, order):
    data = forms.pickled({"data": forms.array(PIXELS, order=order), "labels": forms.numbers([3, 0, 9])})
    assert pickle.loads(data, encoding="bytes")[b"labels"] == [3, 0, 9]
    found = _read(tmp_path, data)
    assert found["labels"] == [3, 0, 9]
    np.testing.assert_array_equal(found["data"], PIXELS)


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_what_python_3_writes_is_read(tmp_path, protocol, dtype):
    value = {"data": PIXELS.astype(dtype), "more": [1, -5, "x", None, True, 2**40, (1, 2), {"a": 0.5}], "bytes": b"\xff\x00"}
    found = _read(tmp_path, pickle.dumps(value, protocol))
    np.testing.assert_array_equal(found.pop("data"), value.pop("data"))
    assert found == value


class Runs:
    """Makes a folder when it is unpickled; arguments come from the class that `_hostile` makes."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def _globals(module: str, name: str, arguments: bytes = b")") -> bytes:
    return b"c" + f"{module}\n{name}\n".encode() + arguments + b"R"


FUNCTION = b"cnumpy.core.multiarray\n_reconstruct\n"
HOSTILE = {
    "dtype of objects": forms.array(PIXELS, kind=b"U\x01O"),
    "dtype of text": forms.array(PIXELS, kind=b"U\x04|S42"),
    "dtype of fields": forms.array(PIXELS, kind=b"](U\x01aU\x02u1e"),
    "state of fields": forms.array(PIXELS, state=b"(K\x03U\x01|N(U\x01at}q\x0dJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"),
    "other byte order": forms.array(PIXELS, state=b"(K\x03U\x01>NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"),
    "larger than its bytes": forms.array(PIXELS, shape=b"K\x06K\x08"),
    "smaller than its bytes": forms.array(PIXELS, shape=b"K\x06K\x06"),
    "negative": forms.array(PIXELS, shape=b"J\xfa\xff\xff\xffJ\xf9\xff\xff\xff"),
    "many axes": forms.array(PIXELS, shape=b"K\x01" * 30 + b"K\x06K\x07"),
    "huge numbers in the shape": forms.array(PIXELS, shape=(b"\x8a\xff" + b"\x7f" * 255) * 3),
    "filled twice": b"](" + forms.array(PIXELS) + b"h\x09(K\x01)h\x0c\x89U\x00tbe",
    "without content": FUNCTION + b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R",
    "ndarray called": b"cnumpy\nndarray\n(\x8a\x06\x00\x00\x00\x00\x00\x01t\x85R",
    "a subclass": FUNCTION + b"cnumpy\nmemmap\nK\x00\x85U\x01b\x87R",
    "reconstruct of a list": FUNCTION + b"]K\x00\x85U\x01b\x87R",
    "reconstruct with room": FUNCTION + b"cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85U\x01b\x87R",
    "scalar": _globals("numpy.core.multiarray", "scalar", b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87RU\x01a\x86"),
    "scalar of objects": _globals("numpy.core.multiarray", "scalar", b"cnumpy\ndtype\nU\x01OK\x00K\x01\x87R]\x86"),
    "frombuffer": _globals("numpy.core.multiarray", "_frombuffer"),
    "attribute of a function": b"\x8c\x15numpy.core.multiarray\x8c\x18_reconstruct.__globals__\x93",
    "state of a function": FUNCTION + b"N}U\x0c__defaults__)s\x86b",
    "dictionary of a function": FUNCTION + b"}U\x01aK\x01sb",
    "other encodings": b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x04\x00\x00\x00zlib\x86R",
    "decode": _globals("_codecs", "decode", b"U\x01aU\x06pickle\x86"),
    "reconstructor": _globals("copy_reg", "_reconstructor", b"cnumpy\nndarray\nc__builtin__\nobject\nN\x87"),
    "getattr": _globals("builtins", "getattr", b"]U\x09__class__\x86"),
    "new object": b"cnumpy\ndtype\n)\x81",
    "instance": b"(ios\nsystem\n",
    "object": b"(cos\nsystem\nU\x04trueo",
    "registered object": b"\x82\x01",
    "persistent object": b"P1\n",
    "persistent object on the stack": b"K\x01Q",
    "far memo": b"K\x01r\xff\xff\xff\x7f",
    "memo that is not there": b"h\x63",
    "long text number": b"I" + b"9" * 6000 + b"\n",
    "deep tuples": b")" + b"\x85" * 200_000,
    "deep tuples as a key": b"})" + b"\x85" * 100_000 + b"Ns",
    "cut off": forms.array(PIXELS)[:-30],
    "unhashable key": b"}]Ns",
    "empty stack": b"R",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_pickle_is_refused(tmp_path, what):
    with pytest.raises(PickleRefused):
        _read(tmp_path, forms.pickled({"data": HOSTILE[what]}))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [os.mkdir, eval, exec, pickle.loads, np.load, np.fromfile, getattr, __import__])
def test_nothing_importable_is_reached(tmp_path, protocol, function):
    made = tmp_path / "made"
    argument = str(made) if function is os.mkdir else f"__import__('os').mkdir({str(made)!r})"
    for value in (Runs(function, argument), {"data": np.array([Runs(function, argument)], object)}):
        with pytest.raises(PickleRefused):
            _read(tmp_path, pickle.dumps(value, protocol))
    assert not made.exists()


def test_a_text_is_not_copied_without_end(tmp_path):
    """Each encode makes a copy of a memoised text of 1 MB; 1000 of them are 4 kB of opcodes."""
    size = 1 << 20
    text = b"X" + struct.pack("<I", size) + b"a" * size + b"q\x63"
    bomb = b"](" + text + b"c_codecs\nencode\nq\x64" + b"h\x64h\x63X\x06\x00\x00\x00latin1\x86R" * 1000 + b"e."
    with pytest.raises(PickleRefused, match="arrays and texts together are larger than the file"):
        _read(tmp_path, b"\x80\x02" + bomb)


def test_a_file_that_is_too_large_or_none_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(data_pickle, "LARGEST_BYTES", 100)
    with pytest.raises(PickleRefused, match="batch has 101 bytes; up to 100"):
        _read(tmp_path, b"." * 101)
    with pytest.raises(PickleRefused, match="is no file"):
        read_pickle(tmp_path)


def test_the_machinery_is_left_as_it_was(tmp_path):
    """What a hostile pickle did to the stand-ins would stay for the next file."""
    for what in ("state of a function", "dictionary of a function", "filled twice"):
        with pytest.raises(PickleRefused, match="sets the state of"):
            _read(tmp_path, forms.pickled({"data": HOSTILE[what]}))
    np.testing.assert_array_equal(_read(tmp_path, forms.pickled({"data": forms.array(PIXELS)}))["data"], PIXELS)
