"""Part of a data set: half of its images or classes, to pre-train on one and adapt to the other, or few images. No torch.

    {"kind": "cifar10", "split": {"kind": "half", "part": "first"}}        a random half of the training images, all test images
    {"kind": "cifar10", "split": {"kind": "classes", "part": "second"}}    the classes of the other half, renumbered from 0
    {"kind": "cifar10", "split": {"kind": "few", "images": 5000}}          so many training images at random, all test images

The split has a seed of its own, 0 unless it is given, so that runs of any seed share it: two halves never overlap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from algo.arithmetic import noise_key
from algo.data import DataError, Images, shuffled

SETTINGS = {"half": "part", "classes": "part", "few": "images"}
PARTS = ("first", "second")


@dataclass(frozen=True)
class Split:
    """Which part of a data set is used.

    Attributes:
        kind: "half" of the training images, or of the "classes", or a "few" training images.
        part: "first" or "second" half; of an odd number the second is larger by one.
        images: how many, of a few.
        seed: of the draw.
    """

    kind: str
    part: str = ""
    images: int = 0
    seed: int = 0

    def __post_init__(self):
        if not isinstance(self.kind, str) or self.kind not in SETTINGS or type(self.seed) is not int or self.seed < 0:
            found = f"kind {self.kind!r}, seed {self.seed!r}"
            raise DataError(f"split has {found}; kind is {', '.join(SETTINGS)}, seed from 0")
        if self.kind == "few" and (type(self.images) is not int or self.images < 1):
            raise DataError(f"split few has images {self.images!r}; a whole number from 1 is needed")
        if self.kind != "few" and self.part not in PARTS:
            raise DataError(f"split {self.kind} has part {self.part!r}; it is {' or '.join(PARTS)}")

    @staticmethod
    def from_json(data: object) -> Split:
        """Rebuild a split. Raises DataError where the data is not one."""
        kind = data.get("kind") if isinstance(data, dict) else None
        setting = SETTINGS.get(kind, "part") if isinstance(kind, str) else "part"
        if not isinstance(data, dict) or not {"kind", setting} <= set(data) <= {"kind", setting, "seed"}:
            found = f"the settings {', '.join(map(str, data))}" if isinstance(data, dict) else repr(data)
            raise DataError(f"split is given as {found}; an object with kind and {setting}, and with seed if need be, is needed")
        return Split(**data)

    def apply(self, images: Images) -> Images:
        """Return that part of a data set, images in their order. Raises DataError where there are not as many as that takes."""
        if self.kind == "few":
            return self._few(images)
        name = f"{images.name}, {self.part} half" + (" of the classes" if self.kind == "classes" else "")
        if self.kind == "half":
            kept = self._numbers(len(images.train), "half")
            return replace(images, train=images.train[kept], train_labels=images.train_labels[kept], name=name)
        kept = self._numbers(images.classes, "classes")
        if len(kept) < 2:
            raise DataError(f"{images.name}: {images.classes} classes; halves of them need at least two each")
        train, test = (np.isin(labels, kept) for labels in (images.train_labels, images.test_labels))
        return replace(
            images, train=images.train[train], train_labels=np.searchsorted(kept, images.train_labels[train]),
            test=images.test[test], test_labels=np.searchsorted(kept, images.test_labels[test]), classes=len(kept), name=name,
        )  # fmt: skip

    def _few(self, images: Images) -> Images:
        """That many training images, whatever their classes."""
        if self.images > len(images.train):
            raise DataError(f"{images.name}: {self.images} training images are asked for; there are {len(images.train)}")
        order = shuffled(len(images.train), noise_key(self.seed, 0, "few split"))
        kept = np.sort(order[: self.images])
        name = f"{images.name}, {self.images} training images"
        return replace(images, train=images.train[kept], train_labels=images.train_labels[kept], name=name)

    def _numbers(self, count: int, what: str) -> np.ndarray:
        """The numbers below `count` in this part, rising."""
        order = shuffled(count, noise_key(self.seed, 0, f"{what} split"))
        kept = np.sort(order[: count // 2] if self.part == "first" else order[count // 2 :])
        if not len(kept):
            raise DataError(f"the {self.part} half of {count} images is empty; at least 2 are needed")
        return kept
