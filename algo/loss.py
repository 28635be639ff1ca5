"""Softmax cross-entropy of int8 logits and its int8 gradient, in integers: the processor's part of an iteration. No torch.

exp is a table of integers from the series in long integers, so no last bit depends on a floating-point library.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from algo import exact
from algo.arithmetic import noise16, pow2, saturate
from algo.functions import log

EXP_BITS = 24
"""exp(0) is 2^24 in the table, and a probability has as many fraction bits."""

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
        gradient: int8 (n, classes), of the mean loss, at the gradient's exponent.
        maximum: max |gradient| before saturation.
    """

    loss: float
    correct: int
    gradient: np.ndarray
    maximum: int


@lru_cache(maxsize=64)
def exp_table(exponent: int) -> tuple[int, ...]:
    """Return round(2^EXP_BITS * exp(-d * 2^exponent)) for d = 0 to 254."""
    unit = pow2(exponent)
    return tuple(exact.rounded(exact.exp_minus(d * unit), EXP_BITS) for d in range(_LEVELS))


def cross_entropy(
    logits: np.ndarray, labels: np.ndarray, exponent: int, gradient_exponent: int, key: int | None
) -> Loss:
    """Return the loss of a mini-batch and its gradient.

    Args:
        logits: int8 (n, classes), at `exponent`.
        labels: (n,) from 0 to classes - 1.
        exponent: of the logits.
        gradient_exponent: of the gradient.
        key: 32-bit noise key for stochastic rounding; None rounds to nearest.

    Raises:
        LossError: shapes disagree, no images, too many classes, or a label is out of range.
    """
    logits, labels = np.asarray(logits, np.int64), np.asarray(labels, np.int64)
    _check(logits, labels)
    images, classes = logits.shape
    table = np.array(exp_table(exponent), np.int64)
    powers = table[logits.max(axis=1, keepdims=True) - logits]
    total = powers.sum(axis=1, keepdims=True)
    rows = np.arange(images)
    difference = powers.copy()
    difference[rows, labels] -= total[:, 0]
    ratio = (difference << EXP_BITS) // total
    noise = np.int64(0x8000) if key is None else noise16(key, rows[:, None], np.arange(classes)[None, :])
    rounded = (_scaled(ratio, images, gradient_exponent) + noise) >> 16
    return Loss(
        loss=_mean_loss(logits, labels, exponent, total[:, 0]),
        correct=int((logits.argmax(axis=1) == labels).sum()),
        gradient=saturate(rounded, 127).astype(np.int8),
        maximum=int(np.abs(rounded).max()),
    )


def _scaled(ratio: np.ndarray, images: int, gradient_exponent: int) -> np.ndarray:
    """ratio / images, from EXP_BITS fraction bits to 16 fraction bits of a gradient step."""
    shift = 16 - EXP_BITS - gradient_exponent
    if shift > 63 - EXP_BITS - 1:
        raise LossError(f"the logits' gradient has exponent {gradient_exponent}; the smallest is {16 - 62}")
    return (ratio << shift) // images if shift >= 0 else (ratio >> min(-shift, 63)) // images


def _mean_loss(logits: np.ndarray, labels: np.ndarray, exponent: int, total: np.ndarray) -> float:
    """Mean of log(sum of exp) - the label's logit: a whole number of 2^-EXP_BITS nats, which a float holds exactly."""
    below = logits.max(axis=1) - logits[np.arange(len(labels)), labels]
    left = min(EXP_BITS + exponent, _WIDEST_SHIFT)
    below = below << left if left >= 0 else below >> min(-left, 63)
    summed = int((log(total, EXP_BITS) + below).sum())
    return math.ldexp((2 * summed + len(labels)) // (2 * len(labels)), -EXP_BITS)


def _check(logits: np.ndarray, labels: np.ndarray) -> None:
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels):
        found = f"logits of shape {logits.shape} and labels of shape {labels.shape}"
        raise LossError(f"{found}; expected (n, classes) and (n,), n > 0")
    if not 1 < logits.shape[1] <= 4096:
        raise LossError(f"{logits.shape[1]} classes; from 2 to 4096 are supported")
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise LossError(f"labels from {labels.min()} to {labels.max()} with {logits.shape[1]} classes; expected 0 to classes - 1")
