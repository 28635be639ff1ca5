"""Data sets on disk: official CIFAR folders in both forms, the JPEG edition, folders of pictures; and what is wrong with them."""

from __future__ import annotations

import io
import os

import cifar_folders
import numpy as np
import pytest
from PIL import Image

from algo import data_pictures
from algo.data import DataError, centred
from algo.data_places import VARIABLE
from algo.data_sets import load_data

KINDS = ("cifar10", "cifar100")


@pytest.fixture(autouse=True)
def no_place(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


def test_pixels_are_centred_on_zero_and_symmetric():
    pixels = np.arange(256, dtype=np.uint8)
    expected = np.maximum(pixels.astype(int) - 128, -127)
    np.testing.assert_array_equal(centred(pixels), expected)
    assert centred(pixels).dtype == np.int8


@pytest.mark.parametrize("kind", KINDS)
def test_both_forms_of_the_official_folder_are_the_same_images(kind, tmp_path, monkeypatch):
    cifar_folders.few(monkeypatch)
    files = cifar_folders.files_of(kind)
    binary = load_data({"kind": kind, "path": str(cifar_folders.write_binary(tmp_path, kind, files))}, 0)
    python = load_data({"kind": kind, "path": str(cifar_folders.write_python(tmp_path, kind, files))}, 1)
    pixels, labels = np.concatenate([p for p, _ in files]), np.concatenate([one for _, one in files])
    for found in (binary, python):
        assert found.name == {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}[kind] and found.exponent == -6
        assert found.classes == {"cifar10": 10, "cifar100": 100}[kind] and len(found.test) == 20
        np.testing.assert_array_equal(np.concatenate([found.train, found.test]), centred(pixels).reshape(-1, 3, 32, 32))
        np.testing.assert_array_equal(np.concatenate([found.train_labels, found.test_labels]), labels)
        assert found.train_labels.dtype == np.int64 and found.train.flags.c_contiguous


def test_the_folder_above_and_the_environment_are_places_too(tmp_path, monkeypatch):
    cifar_folders.few(monkeypatch)
    cifar_folders.write_python(tmp_path, "cifar10", cifar_folders.files_of("cifar10"))
    one = load_data({"kind": "cifar10", "path": str(tmp_path)}, 0)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    np.testing.assert_array_equal(load_data({"kind": "cifar10"}, 0).train, one.train)


@pytest.mark.parametrize("kind, wanted", [("cifar10", "cifar-10-batches-py"), ("cifar100", "cifar-100-binary")])
def test_a_missing_data_set_says_where_it_was_looked_for_and_what_is_wanted(kind, wanted, tmp_path, monkeypatch):
    with pytest.raises(DataError, match=f"neither does the recipe give its path nor JOULEGRAD_DATA.*{wanted}"):
        load_data({"kind": kind}, 0)
    with pytest.raises(DataError, match=f"{tmp_path}, the recipe's path.*{wanted} with"):
        load_data({"kind": kind, "path": str(tmp_path)}, 0)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    with pytest.raises(DataError, match=f"{tmp_path / 'none'}, JOULEGRAD_DATA; .*{wanted} with"):
        load_data({"kind": kind}, 0)
    with pytest.raises(DataError, match="has path 3; a text is needed"):
        load_data({"kind": kind, "path": 3}, 0)


def _cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def _wrong_label(path):
    data = bytearray(path.read_bytes())
    data[3 * 3073] = 10
    path.write_bytes(data)


@pytest.mark.parametrize("spoil, sentence", [(_cut, "has 92189 bytes; 92190 are needed"), (_wrong_label, "from 0 to 9")])
def test_a_spoilt_binary_file_is_refused(spoil, sentence, tmp_path, monkeypatch):
    cifar_folders.few(monkeypatch)
    folder = cifar_folders.write_binary(tmp_path, "cifar10", cifar_folders.files_of("cifar10"))
    spoil(folder / "data_batch_4.bin")
    with pytest.raises(DataError, match=f"data_batch_4.bin .*{sentence}"):
        load_data({"kind": "cifar10", "path": str(folder)}, 0)


PLANES = cifar_folders.array(np.zeros((30, 3072), np.uint8))


@pytest.mark.parametrize("entries, sentence", [
    ({"data": b"cos\nsystem\n", "labels": b"]"}, "asks for os.system; only"),
    ({"labels": b"]"}, "a dictionary with the array data and the list labels"),
    ({"data": b"]", "labels": b"]"}, "a dictionary with the array data"),
    ({"data": PLANES, "labels": b"](" + b"K\x01" * 29 + b"e"}, "30 images of 3072 bytes and as many labels"),
    ({"data": PLANES, "labels": b"](" + b"K\x0a" * 30 + b"e"}, "from 0 to 9"),
    ({"data": PLANES, "labels": b"](" + b"N" * 30 + b"e"}, "labels that are not small whole numbers"),
    ({"data": cifar_folders.array(np.zeros((30, 3), np.uint8)), "labels": b"](" + b"K\x01" * 30 + b"e"}, "of 3072 bytes"),
])  # fmt: skip
def test_a_spoilt_python_file_is_refused(entries, sentence, tmp_path, monkeypatch):
    cifar_folders.few(monkeypatch)
    folder = cifar_folders.write_python(tmp_path, "cifar10", cifar_folders.files_of("cifar10"))
    (folder / "data_batch_2").write_bytes(cifar_folders.pickled(entries))
    with pytest.raises(DataError, match=f"data_batch_2 .*{sentence}"):
        load_data({"kind": "cifar10", "path": str(folder)}, 0)


def _picture(colour, size=(32, 32), form="JPEG", mode="RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, colour).save(file, form)
    return file.getvalue()


def _edition(path, **changes):
    arrays = {}
    for part, count in (("train", 12), ("test", 5)):
        files = [_picture((10 * number, 100, 200)) for number in range(count)]
        arrays |= {
            f"{part}_jpeg": np.frombuffer(b"".join(files), np.uint8), f"{part}_end": np.cumsum([len(one) for one in files]),
            f"{part}_label": np.arange(count, dtype=np.uint8) % 10,
        }  # fmt: skip
    np.savez(path, **{name: value for name, value in (arrays | changes).items() if value is not None})
    return path


def test_the_jpeg_edition_is_read_and_says_what_it_is(tmp_path, monkeypatch):
    path = _edition(tmp_path / "cifar10_jpeg.npz")
    data = load_data({"kind": "cifar10_jpeg", "path": str(path)}, 0)
    assert data.name == "CIFAR-10 (JPEG)" and data.train.shape == (12, 3, 32, 32) and len(data.test) == 5
    brightness = data.train.astype(int).mean((2, 3)) + 128
    assert abs(brightness - [[10 * number, 100, 200] for number in range(12)]).max() < 4
    np.testing.assert_array_equal(data.train_labels, np.arange(12) % 10)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    np.testing.assert_array_equal(load_data({"kind": "cifar10_jpeg"}, 0).test, data.test)


@pytest.mark.parametrize("changes, sentence", [
    ({"train_label": None}, "has no train_label as a list of whole numbers"),
    ({"train_label": np.array([None] * 12)}, "cannot be read as an npz file"),
    ({"train_label": np.arange(12)}, "do not belong together"),
    ({"test_end": np.arange(5)}, "do not belong together"),
    ({"test_end": np.array([1e3] * 5)}, "has no test_end"),
    ({"test_jpeg": np.frombuffer(_picture(3, form="PNG"), np.uint8), "test_label": np.zeros(1, np.uint8),
      "test_end": np.array([len(_picture(3, form="PNG"))])}, "test image 0 of .* cannot be decoded .*it may be JPEG"),
])  # fmt: skip
def test_a_spoilt_edition_is_refused(changes, sentence, tmp_path):
    path = _edition(tmp_path / "mine.npz", **changes)
    with pytest.raises(DataError, match=sentence):
        load_data({"kind": "cifar10_jpeg", "path": str(path)}, 0)


def test_an_edition_that_is_none_or_unpacks_too_far_is_refused(tmp_path, monkeypatch):
    (tmp_path / "text.npz").write_text("x")
    with pytest.raises(DataError, match="text.npz cannot be read as an npz file"):
        load_data({"kind": "cifar10_jpeg", "path": str(tmp_path / "text.npz")}, 0)
    path = _edition(tmp_path / "cifar10_jpeg.npz")
    monkeypatch.setattr(data_pictures, "_LARGEST_EDITION_BYTES", 100)
    with pytest.raises(DataError, match="unpacks to .* bytes; up to 100"):
        load_data({"kind": "cifar10_jpeg", "path": str(path)}, 0)
    with pytest.raises(DataError, match="CIFAR-10 .JPEG. is not found.*wanted is cifar10_jpeg.npz, with the arrays"):
        load_data({"kind": "cifar10_jpeg", "path": str(tmp_path / "none")}, 0)


def _folders(root, names, count=3, **picture):
    for label, name in enumerate(names):
        (root / name / "deeper").mkdir(parents=True)
        for number in range(count):
            form = ("PNG", "BMP", "PPM")[number % 3]
            colour = (40 * label, 10 * number, 0)
            place = root / name / ("deeper" if number else "")
            (place / f"{number}.{form.lower()}").write_bytes(_picture(colour, form=form, **picture))
        (root / name / "notes.txt").write_text("not a picture")
    return root


def test_a_folder_of_pictures_has_its_own_split(tmp_path):
    _folders(tmp_path / "train", ["cat", "ant", "bee"], size=(40, 20))
    _folders(tmp_path / "val", ["cat", "ant", "bee"], count=2)
    (tmp_path / "train" / ".hidden").mkdir()
    data = load_data({"kind": "image_folder", "path": str(tmp_path), "size": 16}, 0)
    assert data.train.shape == (9, 3, 16, 16) and data.test.shape == (6, 3, 16, 16) and data.classes == 3
    np.testing.assert_array_equal(data.train_labels, [0, 0, 0, 1, 1, 1, 2, 2, 2])
    # Classes by name: ant (made second, colour 40), bee (80), cat (0); flat colours survive scaling exactly.
    expected = np.array([[red, green, 0] for red in (40, 80, 0) for green in (0, 10, 20)])
    np.testing.assert_array_equal(np.sort(data.train[:, :, 0, 0], 0), np.sort(centred(expected.astype(np.uint8)), 0))
    assert (data.train == data.train[:, :, :1, :1]).all()


def test_a_folder_without_a_split_holds_a_fifth_out_by_seed(tmp_path):
    _folders(tmp_path / "pictures", ["a", "b"], count=10)
    asked = {"kind": "image_folder", "path": str(tmp_path / "pictures"), "size": 8, "channels": 1}
    one, same, other = (load_data(asked, seed) for seed in (1, 1, 2))
    assert one.train.shape == (16, 1, 8, 8) and one.test.shape == (4, 1, 8, 8) and one.name == "pictures (8 pixels)"
    np.testing.assert_array_equal(one.test, same.test)
    assert (one.test != other.test).any()


@pytest.mark.parametrize("size", [(20, 40), (41, 20), (7, 5), (16, 16), (1, 300)])
def test_the_middle_of_a_picture_is_kept(size, tmp_path):
    """Columns of a rising ramp: the middle of the result is the middle of the picture."""
    width, height = size
    ramp = np.linspace(0, 255, max(size)).round().astype(np.uint8)
    pixels = np.broadcast_to(ramp[None, :] if width >= height else ramp[:, None], (height, width))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(5):
            Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / name / f"{number}.png")
    data = load_data({"kind": "image_folder", "path": str(tmp_path), "size": 16, "channels": 1}, 0)
    assert abs(data.train.astype(int).mean()) < 5
    if max(size) > 2 * min(size):
        assert abs(data.train.astype(int)).max() < 128 * min(size) / max(size) + 8


def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path, monkeypatch):
    root = _folders(tmp_path / "one", ["a"])
    asked = {"kind": "image_folder", "path": str(root), "size": 8}
    with pytest.raises(DataError, match="1 classes, .*at least 2 classes"):
        load_data(asked, 0)
    with pytest.raises(DataError, match="not found in .*none, the recipe's path; wanted is a folder for each class"):
        load_data(asked | {"path": str(tmp_path / "none")}, 0)
    for wrong in ({"size": 0}, {"size": "8"}, {"channels": 2}, {"channels": [3]}):
        with pytest.raises(DataError, match="size is 1 to 1024 pixels, channels 1 or 3"):
            load_data(asked | wrong, 0)
    with pytest.raises(DataError, match="is given without size"):
        load_data({"kind": "image_folder"}, 0)
    _folders(tmp_path / "two" / "train", ["a", "b"])
    _folders(tmp_path / "two" / "test", ["a", "c"])
    with pytest.raises(DataError, match="have different classes"):
        load_data(asked | {"path": str(tmp_path / "two")}, 0)
    _folders(root, ["b"], count=8)
    (root / "b" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(DataError, match="0.png cannot be decoded"):
        load_data(asked, 0)
    monkeypatch.setattr(data_pictures, "LARGEST_BYTES", 1000)
    with pytest.raises(DataError, match="would take 2112 bytes of memory at 8 pixels; up to 1000"):
        load_data(asked, 0)


@pytest.mark.parametrize("limit", [500, 600])
def test_a_picture_that_unpacks_too_far_is_refused(limit, tmp_path, monkeypatch):
    """Pillow raises above twice its limit and only warns between."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    root = _folders(tmp_path, ["a", "b"])
    with pytest.raises(DataError, match="cannot be decoded .*exceeds limit of"):
        load_data({"kind": "image_folder", "path": str(root), "size": 8}, 0)


def test_a_file_that_may_not_be_read_is_one_sentence(tmp_path, monkeypatch):
    cifar_folders.few(monkeypatch)
    folder = cifar_folders.write_binary(tmp_path, "cifar10", cifar_folders.files_of("cifar10"))
    monkeypatch.setattr(np, "fromfile", _refused)
    with pytest.raises(DataError, match="data_batch_1.bin cannot be read: Permission denied"):
        load_data({"kind": "cifar10", "path": str(folder)}, 0)


def _refused(*_):
    raise PermissionError(13, os.strerror(13))


def _npz(path, **changes):
    rng = np.random.default_rng(0)
    arrays = {
        "train_images": rng.integers(0, 256, (12, 2, 5, 4), dtype=np.uint8), "train_labels": np.arange(12) % 3,
        "test_images": rng.integers(0, 256, (4, 2, 5, 4), dtype=np.uint8), "test_labels": np.arange(4) % 3,
    } | changes  # fmt: skip
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return arrays


def test_arrays_of_ones_own_are_brightness_or_int8_with_an_exponent(tmp_path):
    path = tmp_path / "mine.npz"
    arrays = _npz(path)
    data = load_data({"kind": "arrays", "path": str(path)}, 0)
    np.testing.assert_array_equal(data.train, centred(arrays["train_images"]))
    np.testing.assert_array_equal(data.test_labels, arrays["test_labels"])
    assert (data.exponent, data.classes, data.name) == (-6, 3, "mine") and data.train_labels.dtype == np.int64
    grey = np.random.default_rng(1).integers(-127, 128, (12, 5, 4), dtype=np.int8)
    _npz(path, train_images=grey, test_images=grey[:4])
    data = load_data({"kind": "arrays", "path": str(path), "exponent": -3}, 0)
    np.testing.assert_array_equal(data.train, grey[:, None])
    assert data.exponent == -3 and data.test.shape == (4, 1, 5, 4)


@pytest.mark.parametrize("changes, asked, sentence", [
    ({"test_labels": None}, {}, "has no test_labels; its arrays are"),
    ({"train_images": np.zeros((12, 2, 5, 4))}, {}, "train_images of float64 .* brightness, or int8 from -127"),
    ({"train_images": np.zeros((), np.uint8)}, {}, r"train_images of uint8 \(\); images are"),
    ({"train_images": np.zeros((12, 0, 4), np.uint8)}, {}, r"train_images of uint8 \(12, 1, 0, 4\)"),
    ({"train_images": np.array([None] * 12)}, {}, "cannot be read as an npz file"),
    ({"train_labels": np.arange(11)}, {}, r"12 train_images and train_labels of int64 \(11,\); a whole number"),
    ({"train_labels": np.arange(12) - 1}, {}, "a whole number from 0 is needed for each image"),
    ({"train_labels": np.ones(12)}, {}, "train_labels of float64"),
    ({"train_labels": np.zeros(12, int), "test_labels": np.zeros(4, int)}, {}, "the same classes, 2 or more"),
    ({"test_labels": np.array([0, 1, 2, 3])}, {}, "labels up to 2 to train on and .* labels up to 3 for the test"),
    ({"test_images": np.zeros((4, 2, 5, 5), np.uint8)}, {}, "the same shape"),
    ({}, {"exponent": -5}, "train_images of uint8 from 0, and exponent -5; images are uint8"),
    ({"train_images": np.zeros((12, 2, 5, 4), np.int8)}, {}, "train_images of int8 from 0, and exponent None"),
    ({"train_images": np.zeros((12, 2, 5, 4), np.int8)}, {"exponent": 17}, "and exponent 17; .*from -16 to 16"),
    ({"train_images": np.full((12, 2, 5, 4), -128, np.int8)}, {"exponent": -5}, "train_images of int8 from -128"),
])  # fmt: skip
def test_arrays_that_cannot_be_are_refused(changes, asked, sentence, tmp_path):
    _npz(tmp_path / "mine.npz", **changes)
    with pytest.raises(DataError, match=sentence):
        load_data({"kind": "arrays", "path": str(tmp_path / "mine.npz"), **asked}, 0)


def test_arrays_that_are_not_there_say_what_is_wanted(tmp_path):
    with pytest.raises(DataError, match="is not found in .*none.npz, the recipe's path; wanted is an npz file with the arrays"):
        load_data({"kind": "arrays", "path": str(tmp_path / "none.npz")}, 0)
