"""Which images of a mini-batch run which residual block: what executors ask, block by block in order of depth."""

from __future__ import annotations

import numpy as np


class Gates:
    """The gates of one mini-batch. This one lets all images run.

    Attributes:
        needs_pooled: whether `decide` looks at the block's input.
        needs_gradients: whether `learn` wants the gates' gradients.
        runs: decisions so far, block number to bool (images,).
    """

    needs_pooled = False
    needs_gradients = False

    def __init__(self):
        self.runs: dict[int, np.ndarray] = {}

    def decide(
        self, block: int, images: int, pooled: np.ndarray | None = None, pixels: int = 0, exponent: int = 0
    ) -> np.ndarray:
        """Return which images run a block, bool (images,).

        Args:
            block: number from 0; blocks are asked in order.
            images: of the mini-batch.
            pooled: int64 (images, c), sums of the block's int8 input over `pixels` pixels; None where not needed.
            exponent: of the block's input.
        """
        self.runs[block] = self._decide(block, images, pooled, pixels, exponent)
        return self.runs[block]

    def learn(self, gradients: dict[int, np.ndarray], exponents: dict[int, int]) -> None:
        """Take the loss's derivative by every gate, once all blocks have been asked; called in training only.

        Args:
            gradients: block number to int64 (images,), 0 where the block did not run.
            exponents: block number to the exponent of these: value = q * 2^e.
        """

    def processor_work(self) -> tuple[int, int, int, int]:
        """Return what the processor has spent so far: numpy calls and elements of deciding, and numpy calls and elements of
        learning, as measurements.processor_time counts both."""
        return len(self.runs), 0, 0, 0

    def _decide(self, block: int, images: int, pooled: np.ndarray | None, pixels: int, exponent: int) -> np.ndarray:
        return np.ones(images, bool)
