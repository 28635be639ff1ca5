"""Half of a data set, for pre-training on one part and adapting to the other: halves of the images, or of the classes. No torch.

    {"kind": "cifar10", "split": {"kind": "half", "part": "first"}}        a random half of the training images, all test images
    {"kind": "cifar10", "split": {"kind": "classes", "part": "second"}}    the classes of the other half, renumbered from 0

The split has a seed of its own, 0 unless it is given, so that runs of any seed share it: the two parts never overlap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from algo.arithmetic import noise_key
from algo.data import DataError, Images, shuffled

KINDS, PARTS = ("half", "classes"), ("first", "second")


@dataclass(frozen=True)
class Split:
    """Which part of a data set is used.

    Attributes:
        kind: "half" of the training images, or of the "classes".
        part: "first" or "second"; of an odd number the second is larger by one.
        seed: of the draw.
    """

    kind: str
    part: str
    seed: int = 0

    def __post_init__(self):
        if self.kind not in KINDS or self.part not in PARTS or type(self.seed) is not int or self.seed < 0:
            found = f"kind {self.kind!r}, part {self.part!r}, seed {self.seed!r}"
            raise DataError(f"split has {found}; kind is {' or '.join(KINDS)}, part {' or '.join(PARTS)}, seed from 0")

    @staticmethod
    def from_json(data: object) -> Split:
        """Rebuild a split. Raises DataError where the data is not one."""
        if not isinstance(data, dict) or not {"kind", "part"} <= set(data) <= {"kind", "part", "seed"}:
            found = f"the settings {', '.join(map(str, data))}" if isinstance(data, dict) else repr(data)
            raise DataError(f"split is given as {found}; an object with kind and part, and with seed if need be, is needed")
        return Split(**data)

    def apply(self, images: Images) -> Images:
        """Return that part of a data set, images in their order. Raises DataError where a part would be empty."""
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

    def _numbers(self, count: int, what: str) -> np.ndarray:
        """The numbers below `count` in this part, rising."""
        order = shuffled(count, noise_key(self.seed, 0, f"{what} split"))
        kept = np.sort(order[: count // 2] if self.part == "first" else order[count // 2 :])
        if not len(kept):
            raise DataError(f"the {self.part} half of {count} images is empty; at least 2 are needed")
        return kept
