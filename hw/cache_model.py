"""A processor's data cache in front of memory that a device reads and writes behind its back, as badly as it may behave.

The processor sees a line as it was when it was last fetched, and what it writes stays with it until the line is cleaned; a
line that is written in part keeps the rest as it was fetched. Now and then, from a seed, a dirty line is evicted, which
overwrites what a device has put there, and a clean one fetched again.
"""

from __future__ import annotations

import threading

import numpy as np


class CacheModel:
    """The cache of one processor over a memory.

    Args:
        memory: uint8 (n,), n a multiple of the line; what devices read and write.
        line_bytes: 32 for a Cortex-A9, 64 for a Cortex-A53.
        seed: of the evictions.
        evicted: lines of each kind that are disturbed at a time; 0 for a cache that keeps all it has.

    Attributes:
        seen: uint8 (n,), the memory as the processor sees it; who writes into it says so with `written`.
        lock: held over a write and its `written`.
    """

    def __init__(self, memory: np.ndarray, line_bytes: int, seed: int, evicted: int = 1):
        self.seen = memory.copy()
        self.lock = threading.RLock()
        self._line_bytes = line_bytes
        self._memory, self._lines = memory.reshape(-1, line_bytes), self.seen.reshape(-1, line_bytes)
        self._dirty = np.zeros(len(self._lines), bool)
        self._evicted = evicted
        self._random = np.random.default_rng(seed)

    def written(self, start: int, stop: int) -> None:
        """Note that the processor has written these bytes of `seen`."""
        if stop > start:
            self._dirty[self._range(start, stop)] = True

    def clean(self, start: int, stop: int) -> None:
        """Write the dirty lines that hold any of these bytes back to memory."""
        with self.lock:
            self.disturb()
            lines = self._range(start, stop)
            dirty = np.flatnonzero(self._dirty[lines]) + lines.start
            self._memory[dirty] = self._lines[dirty]
            self._dirty[lines] = False

    def invalidate(self, start: int, stop: int) -> None:
        """Forget the lines that hold any of these bytes; what was written there and not cleaned is lost."""
        with self.lock:
            lines = self._range(start, stop)
            self._lines[lines] = self._memory[lines]
            self._dirty[lines] = False

    def disturb(self) -> None:
        """Evict some dirty lines, and fetch some clean ones again."""
        with self.lock:
            dirty = np.flatnonzero(self._dirty)
            if dirty.size:
                dirty = self._random.choice(dirty, min(self._evicted, dirty.size), replace=False)
                self._memory[dirty] = self._lines[dirty]
                self._dirty[dirty] = False
            others = self._random.integers(0, len(self._lines), self._evicted)
            others = others[~self._dirty[others]]
            self._lines[others] = self._memory[others]

    def _range(self, start: int, stop: int) -> slice:
        return slice(start // self._line_bytes, -(-stop // self._line_bytes))
