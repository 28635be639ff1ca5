"""The input tensor in DDR: two halves of a mini-batch each, one computed on while the other is filled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from algo.input_fold import fold_images
from algo.step import InputFold
from host.board import Board
from hw import layout
from hw.memory_map import MemoryMap

GATHER_ARRAY_CALLS = 6
"""numpy calls that lay a mini-batch out: room for it behind a zero, a copy into that, a gather, and shapes."""


@dataclass(frozen=True)
class Copied:
    """The processor's work of putting images into DDR: bytes that it moves, and numpy calls."""

    size: int
    array_calls: int = 0


class InputBuffer:
    """Fills halves of the input region; the image list tells the core which half to gather from.

    Args:
        board: an opened board.
        memory: the program's memory map.
        tensor: name of the input region, (2 * batch, c, h, w).
        image_list: name of the image list's region, (1 + batch,) words.
        fold: how images become what the region holds; None where it holds them as they are.

    Attributes:
        batch: images of a half.
        image_shape: (c, h, w) that `fill` takes.
    """

    def __init__(self, board: Board, memory: MemoryMap, tensor: str, image_list: str, fold: InputFold | None = None):
        self._board = board
        self._memory = memory
        self._input = memory[tensor]
        self._list = memory[image_list]
        self._half = 0
        self._waiting: tuple[int, np.ndarray] | None = None
        self._lists: dict[tuple[int, int], np.ndarray] = {}
        self._places = _places(fold, self._input.shape[1:], memory.g)
        self.batch = self._input.shape[0] // 2
        self.image_shape = fold.image_shape if fold else self._input.shape[1:]

    @property
    def first_image(self) -> int:
        """Number of the first image of the half in use."""
        return self._half * self.batch

    def fill(self, images: np.ndarray) -> Copied:
        """Fold int8 images (n, c, h, w), n from 1 to batch, and write them into the half that is not in use.

        Raises:
            ValueError: shape or type is not the program's.
        """
        if images.dtype != np.int8 or not 1 <= len(images) <= self.batch or images.shape[1:] != self.image_shape:
            raise ValueError(
                f"a mini-batch of {images.dtype} {tuple(images.shape)}; the program takes int8 (1 to {self.batch}, "
                f"{', '.join(map(str, self.image_shape))})"
            )
        half = 1 - self._half
        flat = np.zeros((len(images), 1 + images[0].size), np.int8)
        flat[:, 1:] = images.reshape(len(images), -1)
        data = flat.take(self._places, axis=1).view(np.uint8).reshape(-1)
        self._board.write(self._input.offset + half * self.batch * len(self._places), data)
        self._waiting = (half, images)
        return Copied(data.size + flat.size, GATHER_ARRAY_CALLS)

    def holds(self, images: np.ndarray) -> bool:
        """Whether `fill` has copied that mini-batch, and it has not been in use yet."""
        return self._waiting is not None and self._waiting[1] is images

    def use(self, images: np.ndarray) -> Copied:
        """Make the image list point to a mini-batch, copying it first if `fill` has not; return what was copied."""
        copied = Copied(0)
        if not self.holds(images):
            copied = self.fill(images)
        self._half, self._waiting = self._waiting[0], None
        key = self._half, len(images)
        if key not in self._lists:
            words = np.zeros(self._list.shape, np.int64)
            words[0] = len(images)
            words[1 : 1 + len(images)] = self.first_image + np.arange(len(images))
            self._lists[key] = layout.words_to_ddr(words)
        data = self._lists[key]
        self._board.write(self._list.offset, data)
        return Copied(copied.size + data.size, copied.array_calls)


def _places(fold: InputFold | None, shape: tuple[int, int, int], g: int) -> np.ndarray:
    """Return which number of an image stands at each place of it in DDR, from 1; 0 where none does and a zero stands."""
    image_shape = fold.image_shape if fold else shape
    numbers = np.arange(1, 1 + np.prod(image_shape), dtype=np.intp).reshape(1, *image_shape)
    return layout.activations_to_ddr(fold_images(numbers, fold), g).view(np.intp)


def with_following(batches: Iterable) -> Iterator[tuple]:
    """Yield (batch, the batch after it or None)."""
    iterator = iter(batches)
    try:
        now = next(iterator)
    except StopIteration:
        return
    for following in iterator:
        yield now, following
        now = following
    yield now, None
