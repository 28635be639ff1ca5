"""Allocation of the on-chip memories: rings that remember what they hold.

Words are handed out in a circle, so that what was used last is overwritten last and the next tile's loads find
room beside the tile that is being computed. An entry stays known by its key until something is put on top of it; a
tile that is still there is not loaded again. Tokens (hw.tokens) keep overwriting safe.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass


class CompileError(ValueError):
    """The step cannot be compiled for this configuration; one sentence says what was found and what would fit."""


@dataclass(eq=False)
class Buffer:
    """Words [base, base + words) of a memory; `pinned` while instructions that use it are still being written.

    `steps` are those of a tile in it: words per group and per image.
    """

    memory: str
    base: int
    words: int
    key: Hashable = None
    pinned: bool = True
    steps: tuple[int, int] = (0, 0)


class Ring:
    """One on-chip memory of `words` words."""

    def __init__(self, memory: str, words: int):
        self.memory = memory
        self.words = words
        self._next = 0
        self._entries: list[Buffer] = []
        self._of: dict[Hashable, dict[Hashable, Buffer]] = {}  # tensor to its entries by key

    def find(self, key: tuple) -> Buffer | None:
        """Return the buffer that still holds `key`, pinned, or None."""
        entry = self._of.get(key[0], {}).get(key)
        if entry is not None:
            entry.pinned = True
        return entry

    def allocate(self, words: int, key: tuple | None = None) -> Buffer:
        """Return a pinned buffer of `words` words, forgetting what it covers.

        Args:
            key: what it will hold, of which there is no buffer yet: (tensor, ...).

        Raises:
            CompileError: what is pinned leaves no room.
        """
        base = self._place(words)
        kept = []
        for entry in self._entries:
            if entry.base >= base + words or base >= entry.base + entry.words:
                kept.append(entry)
            elif entry.key is not None:
                del self._of[entry.key[0]][entry.key]
        buffer = Buffer(self.memory, base, words, key)
        self._entries = [*kept, buffer]
        if key is not None:
            self._of.setdefault(key[0], {})[key] = buffer
        self._next = base + words
        return buffer

    def _place(self, words: int) -> int:
        pinned = sorted((e.base, e.base + e.words) for e in self._entries if e.pinned)
        for start in (self._next, 0):
            base = start
            for low, high in pinned:
                if high > base and low < base + words:
                    base = high
            if base + words <= self.words:
                return base
        used = sum(high - low for low, high in pinned)
        raise CompileError(f"memory {self.memory} of {self.words} words cannot hold {words} more beside {used} in use")

    def forget(self, tensor: str) -> None:
        """Drop what was loaded from `tensor`, which is about to change in DDR."""
        for entry in self._of.pop(tensor, {}).values():
            entry.key = None
