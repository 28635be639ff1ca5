"""Softmax cross-entropy of int8 logits and its int8 gradient, in integers: the processor's part of an iteration. No torch.

exp is a table of integers from the series in long integers, so no last bit depends on a floating-point library.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from algo import exact
from algo.arithmetic import INT8_MAX, SPLIT_MAX, SPLIT_MIN, name_hash, noise16, noise_keys, pow2, split16
from algo.functions import log_of_sums

EXP_BITS = 24
"""exp(0) is 2^24 in the table, and a probability has as many fraction bits."""

NOISE_AHEAD = 8
"""Drawn iterations whose noise is made at once: a numpy call costs more than what it computes of so few."""

_FORMATS = {8: (-INT8_MAX, INT8_MAX, np.int8), 16: (SPLIT_MIN, SPLIT_MAX, np.int16)}
"""Smallest and largest number of a gradient, and its type, by its bits."""

_LEVELS = 255
_WIDEST_SHIFT = 36
"""Losses of logits with larger exponents, above a million nats, are cut off so that sums fit 64 bits."""


class LossError(ValueError):
    """The loss cannot be computed; the message says what was found and what would be right."""


@dataclass(frozen=True)
class Loss:
    """What the processor knows after the forward pass.

    Attributes:
        loss: mean cross-entropy over the images, in nats: a multiple of 2^-EXP_BITS, equal in all executors.
        correct: images whose largest logit (the first of equals) is the label's.
        gradient: int8 (n, classes), of the mean loss, at the gradient's exponent; int16 in 2^-8 of that unit.
        maximum: max |gradient| before saturation, in the same unit.
    """

    loss: float
    correct: int
    gradient: np.ndarray
    maximum: int

    @property
    def bytes(self) -> tuple[np.ndarray, ...]:
        """The gradient as int8 arrays: itself, or high and low bytes, see algo.arithmetic.split16."""
        return gradient_bytes(self.gradient)


@dataclass(frozen=True)
class Gradient:
    """The part of a loss that the core waits for; `finished` tells the rest, which it can do beside the backward pass.

    Attributes:
        gradient, maximum: as of `Loss`.
    """

    gradient: np.ndarray
    maximum: int
    _logits: np.ndarray
    _below: np.ndarray
    _labels: np.ndarray
    _exponent: int
    _total: np.ndarray

    @property
    def bytes(self) -> tuple[np.ndarray, ...]:
        """As of `Loss`."""
        return gradient_bytes(self.gradient)

    def finished(self) -> Loss:
        """Return the loss."""
        images = len(self._labels)
        below = self._below.take(self._labels + np.arange(0, self._below.size, self._below.shape[1]))
        left = min(EXP_BITS + self._exponent, _WIDEST_SHIFT)
        below = below << left if left >= 0 else below >> min(-left, 63)
        # A whole number of 2^-EXP_BITS nats, which a float holds exactly.
        summed = int((log_of_sums(self._total, EXP_BITS) + below).sum())
        loss = math.ldexp((2 * summed + images) // (2 * images), -EXP_BITS)
        return Loss(loss, int(np.count_nonzero(self._logits.argmax(axis=1) == self._labels)), self.gradient, self.maximum)


class LogitsNoise:
    """The noise that rounds the gradient of the logits, made for some drawn iterations at once.

    Args:
        name: of the gradient.
        images: of a whole mini-batch.

    Attributes:
        size: numbers of an iteration.
    """

    def __init__(self, name: str, images: int, classes: int):
        self._name, self._images, self._classes = name, images, classes
        self._of, self._noise, self.size = (0, -1), np.zeros(0), images * classes

    def holds(self, seed: int, iteration: int) -> bool:
        """Whether the noise of an iteration is there."""
        return self._of == (seed, iteration // NOISE_AHEAD)

    def make(self, seed: int, iteration: int) -> bool:
        """Make the noise of an iteration and of those around it, in place of what was made; return whether there was none yet."""
        if self.holds(seed, iteration):
            return False
        first = iteration // NOISE_AHEAD
        numbers = np.arange(first * NOISE_AHEAD, (first + 1) * NOISE_AHEAD)
        keys = noise_keys(seed, numbers, name_hash(self._name)).astype(np.uint32)[:, None, None]
        images, classes = np.arange(self._images, dtype=np.uint32)[:, None], np.arange(self._classes, dtype=np.uint32)
        self._noise, self._of = noise16(keys, images, classes), (seed, first)
        return True

    def of(self, seed: int, iteration: int) -> np.ndarray:
        """Return the noise of an iteration, as `noise16` gives it, uint32 (images, classes)."""
        self.make(seed, iteration)
        return self._noise[iteration % NOISE_AHEAD]


@lru_cache(maxsize=64)
def exp_table(exponent: int) -> np.ndarray:
    """Return round(2^EXP_BITS * exp(-d * 2^exponent)) for d = 0 to 254, int64."""
    unit = pow2(exponent)
    table = np.array([exact.rounded(exact.exp_minus(d * unit), EXP_BITS) for d in range(_LEVELS)], np.int64)
    table.flags.writeable = False
    return table


def cross_entropy(
    logits: np.ndarray, labels: np.ndarray, exponent: int, gradient_exponent: int, key: int | None, gradient_bits: int = 8
) -> Loss:
    """Return the loss of a mini-batch and its gradient.

    Args:
        logits: int8 (n, classes), at `exponent`.
        labels: (n,) whole numbers from 0 to classes - 1.
        exponent: of the logits.
        gradient_exponent: of the gradient.
        key: 32-bit noise key for stochastic rounding; None rounds to nearest.
        gradient_bits: 8 or 16.

    Raises:
        LossError: shapes disagree, no images, too many classes, or a label is no whole number or out of range.
    """
    noise = None
    if key is not None:
        images, classes = np.shape(logits)
        noise = noise16(key, np.arange(images)[:, None], np.arange(classes))
    return gradient_of(logits, labels, exponent, gradient_exponent, noise, gradient_bits).finished()


def gradient_bytes(gradient: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return a gradient of the logits as the int8 arrays that the core reads, the high bytes first where it has 16 bits."""
    if gradient.dtype == np.int8:
        return (gradient,)
    return tuple(byte.astype(np.int8) for byte in split16(gradient.astype(np.int32)))


def gradient_of(
    logits: np.ndarray, labels: np.ndarray, exponent: int, gradient_exponent: int, noise: np.ndarray | None,
    gradient_bits: int = 8,
) -> Gradient:
    """Return the gradient of a mini-batch's loss; as `cross_entropy`, with the noise (n, classes) in place of its key."""
    logits, labels = np.asarray(logits, np.int64), np.asarray(labels)
    if labels.dtype.kind not in "iub":
        raise LossError(f"labels are {labels.dtype}; whole numbers are needed")
    labels = labels.astype(np.int64, copy=False)
    _check(logits, labels)
    images, classes = logits.shape
    below = logits.max(axis=1, keepdims=True) - logits
    powers = exp_table(exponent).take(below)
    total = powers.sum(axis=1, keepdims=True)
    rows = np.arange(images)
    powers[rows, labels] -= total[:, 0]
    powers <<= EXP_BITS
    powers //= total
    rounded = _scaled(powers, images, gradient_exponent + 8 - gradient_bits)
    rounded += 0x8000 if noise is None else noise
    rounded >>= 16
    maximum = max(int(rounded.max()), -int(rounded.min()))
    low, high, kind = _FORMATS[gradient_bits]
    if maximum > high:
        rounded.clip(low, high, out=rounded)
    return Gradient(rounded.astype(kind), maximum, logits, below, labels, exponent, total[:, 0])


def lowest_exponent(gradient_bits: int = 8) -> int:
    """Return the smallest exponent of a logits' gradient: with a smaller one, its ratios would pass 64 bits."""
    return 16 - 62 + gradient_bits - 8


def _scaled(ratio: np.ndarray, images: int, gradient_exponent: int) -> np.ndarray:
    """Make ratio itself ratio / images, from EXP_BITS fraction bits to 16 fraction bits of a gradient step, and return it."""
    shift = 16 - EXP_BITS - gradient_exponent
    if gradient_exponent < lowest_exponent():
        raise LossError(f"the logits' gradient has exponent {gradient_exponent}; the smallest is {lowest_exponent()}")
    if shift >= 0:
        ratio <<= shift
    else:
        ratio >>= min(-shift, 63)
    ratio //= images
    return ratio


def _check(logits: np.ndarray, labels: np.ndarray) -> None:
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels):
        found = f"logits of shape {logits.shape} and labels of shape {labels.shape}"
        raise LossError(f"{found}; expected (n, classes) and (n,), n > 0")
    if not 1 < logits.shape[1] <= 4096:
        raise LossError(f"{logits.shape[1]} classes; from 2 to 4096 are supported")
    if labels.view(np.uint64).max() >= logits.shape[1]:  # where one is negative, that is a large number
        raise LossError(f"labels from {labels.min()} to {labels.max()} with {logits.shape[1]} classes; expected 0 to classes - 1")
