"""Halves of a data set: disjoint, together everything, the same for every run. A few images: so many of the training images."""

from __future__ import annotations

import numpy as np
import pytest

from algo.data import DataError, load_digits, random_images
from algo.data_sets import load_data
from algo.data_split import Split


def _part(part: str, kind: str, seed: int = 0, split_seed: int = 0):
    return load_data({"kind": "digits", "seed": 3, "split": {"kind": kind, "part": part, "seed": split_seed}}, seed)


def _rows(images: np.ndarray) -> list[bytes]:
    return sorted(image.tobytes() for image in images)


def test_two_halves_are_the_whole_and_keep_the_test():
    whole, first, second = load_digits(3), _part("first", "half"), _part("second", "half")
    assert (len(first.train), len(second.train)) == (718, 719)
    assert _rows(np.concatenate([first.train, second.train])) == _rows(whole.train)
    for half in (first, second):
        np.testing.assert_array_equal(half.test, whole.test)
        assert half.classes == 10 and abs(np.bincount(half.train_labels) - 71.85).max() < 20
    labelled = {image.tobytes(): label for image, label in zip(whole.train, whole.train_labels, strict=True)}
    assert all(labelled[image.tobytes()] == label for image, label in zip(first.train, first.train_labels, strict=True))
    assert first.name == "digits, first half"


def test_the_classes_fall_in_two_and_are_renumbered():
    whole, first, second = load_digits(3), _part("first", "classes"), _part("second", "classes")
    assert first.classes == second.classes == 5
    assert len(first.train) + len(second.train) == len(whole.train) and len(first.test) + len(second.test) == len(whole.test)
    seen = []
    for half in (first, second):
        assert set(half.train_labels.tolist()) == set(half.test_labels.tolist()) == set(range(5))
        by_image = {image.tobytes(): label for image, label in zip(half.test, half.test_labels, strict=True)}
        pairs = {(label, by_image[image.tobytes()]) for image, label in zip(whole.test, whole.test_labels, strict=True)
                 if image.tobytes() in by_image}  # fmt: skip
        assert len(pairs) == 5 and [new for _, new in sorted(pairs)] == list(range(5))
        seen += [old for old, _ in pairs]
    assert sorted(seen) == list(range(10))


@pytest.mark.parametrize("kind", ["half", "classes"])
def test_a_split_is_its_own_seeds_alone(kind):
    one = _part("first", kind)
    np.testing.assert_array_equal(one.train, _part("first", kind, seed=7).train)
    assert _rows(one.train) != _rows(_part("first", kind, split_seed=1).train)


def test_few_images_are_training_images_as_they_are():
    whole = load_digits(3)
    few = load_data({"kind": "digits", "seed": 3, "split": {"kind": "few", "images": 300}}, 5)
    labels = {image.tobytes(): label for image, label in zip(whole.train, whole.train_labels, strict=True)}
    assert len(few.train) == len(few.train_labels) == len(set(_rows(few.train))) == 300
    assert all(labels[image.tobytes()] == label for image, label in zip(few.train, few.train_labels, strict=True))
    np.testing.assert_array_equal(few.test, whole.test)
    assert (few.classes, few.name) == (10, "digits, 300 training images")
    other = Split("few", images=300, seed=1).apply(whole)
    assert _rows(other.train) != _rows(few.train)


@pytest.mark.parametrize("split, sentence", [
    ("half", "split is given as 'half'; an object with kind and part"),
    ({"kind": "half"}, "given as the settings kind; an object"),
    ({"kind": "half", "part": "first", "share": 0.3}, "given as the settings kind, part, share"),
    ({"kind": "third", "part": "first"}, "kind 'third', seed 0; kind is half, classes, few"),
    ({"kind": [], "part": "first"}, "kind .., seed 0"),
    ({"kind": "half", "part": 1}, "half has part 1; it is first or second"),
    ({"kind": "half", "part": "first", "seed": "0"}, "seed '0'; .*seed from 0"),
    ({"kind": "few", "part": "first"}, "given as the settings kind, part; an object with kind and images"),
    ({"kind": "few", "images": 0}, "few has images 0; a whole number from 1"),
    ({"kind": "few", "images": 2000}, "digits: 2000 training images are asked for; there are 1437"),
])  # fmt: skip
def test_a_split_that_cannot_be_is_one_sentence(split, sentence):
    with pytest.raises(DataError, match=sentence):
        load_data({"kind": "digits", "split": split}, 0)


def test_parts_that_would_be_too_small_are_refused():
    with pytest.raises(DataError, match="first half of 1 images is empty"):
        Split("half", "first").apply(random_images(0, (1, 2, 2), 1, 1))
    with pytest.raises(DataError, match="random images: 3 classes; halves of them need at least two"):
        Split("classes", "first").apply(random_images(0, (1, 2, 2), 9, 9, 3))
