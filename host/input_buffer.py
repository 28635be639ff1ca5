"""The input tensor in DDR: two halves of a mini-batch each, one computed on while the other is filled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from host.board import Board
from hw import layout
from hw.memory_map import MemoryMap


class InputBuffer:
    """Fills halves of the input region; the image list tells the core which half to gather from.

    Args:
        board: an opened board.
        memory: the program's memory map.
        tensor: name of the input region, (2 * batch, c, h, w).
        image_list: name of the image list's region, (1 + batch,) words.
    """

    def __init__(self, board: Board, memory: MemoryMap, tensor: str, image_list: str):
        self._board = board
        self._memory = memory
        self._input = memory[tensor]
        self._list = memory[image_list]
        self._half = 0
        self._waiting: tuple[int, np.ndarray] | None = None
        self.batch = self._input.shape[0] // 2

    def fill(self, images: np.ndarray) -> int:
        """Copy int8 images (n, c, h, w), n from 1 to batch, into the half that is not in use; return the bytes.

        Raises:
            ValueError: shape or type is not the program's.
        """
        if images.dtype != np.int8 or not 1 <= len(images) <= self.batch or images.shape[1:] != self._input.shape[1:]:
            raise ValueError(
                f"a mini-batch of {images.dtype} {tuple(images.shape)}; the program takes int8 (1 to {self.batch}, "
                f"{', '.join(map(str, self._input.shape[1:]))})"
            )
        half = 1 - self._half
        data = layout.activations_to_ddr(images, self._memory.g)
        image_bytes = self._input.size // self._input.shape[0]
        self._board.write(self._input.offset + half * self.batch * image_bytes, data)
        self._waiting = (half, images)
        return data.size

    def use(self, images: np.ndarray) -> int:
        """Make the image list point to a mini-batch, copying it first if `fill` has not; return the bytes copied."""
        copied = 0
        if self._waiting is None or self._waiting[1] is not images:
            copied = self.fill(images)
        self._half, self._waiting = self._waiting[0], None
        words = np.zeros(self._list.shape, np.int64)
        words[0] = len(images)
        words[1 : 1 + len(images)] = self._half * self.batch + np.arange(len(images))
        data = layout.words_to_ddr(words)
        self._board.write(self._list.offset, data)
        return copied + data.size


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
