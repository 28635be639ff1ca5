"""A line that damages bytes: some changed, some lost, from a seed."""

from __future__ import annotations

import numpy as np


class NoisyLine:
    """One direction of a line.

    Args:
        share: of the bytes that are damaged, half of them changed and half lost; 0 for none.
        seed: of the noise.

    Attributes:
        carried: bytes that came in.
        changed: bytes that went out as another value.
        lost: bytes that did not go out.
    """

    def __init__(self, share: float, seed: int):
        if not 0 <= share <= 0.5:
            raise ValueError(f"a share of {share} damaged bytes: 0 to 0.5 can be had")
        self._share, self._random = share, np.random.default_rng(seed)
        self.carried = self.changed = self.lost = 0

    def carry(self, data: bytes) -> bytes:
        """Return what is left of bytes at the other end."""
        self.carried += len(data)
        if not data or not self._share:
            return data
        damaged = np.flatnonzero(self._random.random(len(data)) < self._share)
        if not damaged.size:
            return data
        values = np.frombuffer(data, np.uint8).copy()
        values[damaged] ^= self._random.integers(1, 256, damaged.size, dtype=np.uint8)
        gone = damaged[self._random.random(damaged.size) < 0.5]
        self.lost += gone.size
        self.changed += damaged.size - gone.size
        return np.delete(values, gone).tobytes()
