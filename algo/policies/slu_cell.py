"""The gate of selective layer update in fixed point: pooled block input -> projection -> LSTM over depth -> probability to run.

    u = P [x, 1]     z = C [u, h, 1] = (i, f, g, o)     c' = s(f) c + s(i) tanh(g)     h' = s(o) tanh(c')     p = s(O [h', 1])

with s the sigmoid, x the block's input averaged over the plane, P a projection of the block's own, C and O shared by all blocks.
Values are int64 with VALUE_BITS fraction bits; weights enter products with WEIGHT_BITS. Gradients are int64 with one exponent for
all of them, saturated, so that no sum leaves 64 bits: |weight| < 64, |value| < 64, |gradient| <= 2^23, 2^13 images times blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from algo.functions import BITS, sigmoid, tanh

HIDDEN = 10
VALUE_BITS, WEIGHT_BITS = 20, 24
ONE = 1 << VALUE_BITS
VALUE_MAX = 63 * ONE
GRADIENT_MAX = 1 << 23
CELL_SHAPE, OUT_SHAPE = (4 * HIDDEN, 2 * HIDDEN + 1), (1, HIDDEN + 1)


@dataclass(frozen=True)
class Seen:
    """What backward needs of one block's forward pass, and the probability, (images,) with VALUE_BITS fraction bits."""

    inputs: np.ndarray
    joined: np.ndarray
    gates: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    cell_before: np.ndarray
    cell_tanh: np.ndarray
    hidden: np.ndarray
    probability: np.ndarray


def mean_input(pooled: np.ndarray, pixels: int, exponent: int) -> np.ndarray:
    """Return sums over `pixels` int8 values in units of 2^exponent as their mean, in the gate's format, saturated."""
    shift = VALUE_BITS + exponent
    scaled = pooled << min(shift, 40) if shift >= 0 else pooled >> min(-shift, 63)
    return ((2 * scaled + pixels) // (2 * pixels)).clip(-VALUE_MAX, VALUE_MAX)


def start(images: int) -> tuple[np.ndarray, np.ndarray]:
    """Return hidden state and cell before the first block."""
    return np.zeros((images, HIDDEN), np.int64), np.zeros((images, HIDDEN), np.int64)


def forward(
    project: np.ndarray, cell: np.ndarray, out: np.ndarray, x: np.ndarray, state: tuple[np.ndarray, np.ndarray]
) -> tuple[Seen, tuple[np.ndarray, np.ndarray]]:
    """Run the gate of one block.

    Args:
        project: (HIDDEN, c + 1), cell: CELL_SHAPE, out: OUT_SHAPE, with WEIGHT_BITS fraction bits.
        x: (images, c) from `mean_input`.
        state: hidden state and cell behind the block before.

    Returns:
        What backward needs, and the state behind this block.
    """
    hidden, memory = state
    inputs = _with_one(x)
    projected = _product(inputs, project).clip(-VALUE_MAX, VALUE_MAX)
    joined = _with_one(np.concatenate([projected, hidden], axis=1))
    i, f, g, o = np.split(_product(joined, cell), 4, axis=1)
    i, f, o = (_narrowed(sigmoid(part, VALUE_BITS)) for part in (i, f, o))
    g = _narrowed(tanh(g, VALUE_BITS))
    following = _times(f, memory) + _times(i, g)
    cell_tanh = _narrowed(tanh(following, VALUE_BITS))
    behind = _with_one(_times(o, cell_tanh))
    probability = _narrowed(sigmoid(_product(behind, out)[:, 0], VALUE_BITS))
    return Seen(inputs, joined, (i, f, g, o), memory, cell_tanh, behind, probability), (behind[:, :HIDDEN], following)


def backward(
    seen: list[Seen], projects: list[np.ndarray], cell: np.ndarray, out: np.ndarray, gradients: list[np.ndarray]
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Propagate gradients of the probabilities through depth.

    Args:
        seen: of every block, in order.
        gradients: of every block's probability, (images,), at most GRADIENT_MAX, in units of 2^e for one e.

    Returns:
        Gradients of projects, cell and out, in units of 2^(e - VALUE_BITS).
    """
    images = len(gradients[0])
    above_hidden, above_cell = start(images)
    d_projects, d_cell, d_out = [], np.zeros(CELL_SHAPE, np.int64), np.zeros(OUT_SHAPE, np.int64)
    for one, gradient in zip(reversed(seen), reversed(gradients), strict=True):
        d_logit = _limited(_times(gradient, _times(one.probability, ONE - one.probability)))[:, None]
        d_out = d_out + d_logit.T @ one.hidden
        d_hidden = _limited(_product(d_logit, out[:, :HIDDEN].T) + above_hidden)
        d_z, above_cell = _through_cell(one, d_hidden, above_cell)
        d_cell = d_cell + d_z.T @ one.joined
        d_joined = _limited(_product(d_z, cell.T))
        above_hidden = d_joined[:, HIDDEN : 2 * HIDDEN]
        d_projects.append(d_joined[:, :HIDDEN].T @ one.inputs)
    return d_projects[::-1], d_cell, d_out


def _through_cell(one: Seen, d_hidden: np.ndarray, above_cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of z and of the cell before this block."""
    i, f, g, o = one.gates
    d_memory = _limited(_times(_times(d_hidden, o), ONE - _times(one.cell_tanh, one.cell_tanh)) + above_cell)
    parts = [
        _times(_times(d_memory, g), _times(i, ONE - i)),
        _times(_limited(_times(d_memory, one.cell_before)), _times(f, ONE - f)),
        _times(_times(d_memory, i), ONE - _times(g, g)),
        _times(_times(d_hidden, one.cell_tanh), _times(o, ONE - o)),
    ]
    return _limited(np.concatenate(parts, axis=1)), _times(d_memory, f)


def forward_macs(channels: int) -> int:
    """Return the multiply-accumulates of one gate for one image, forward; backward takes twice as many."""
    return HIDDEN * (channels + 1) + CELL_SHAPE[0] * CELL_SHAPE[1] + OUT_SHAPE[1]


def _with_one(x: np.ndarray) -> np.ndarray:
    """Append a column of ones, which biases multiply."""
    return np.concatenate([x, np.full((len(x), 1), ONE, np.int64)], axis=1)


def _product(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """x @ weights.T, in the format of x."""
    return (x @ weights.T + (1 << WEIGHT_BITS - 1)) >> WEIGHT_BITS


def _times(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x * y, y with VALUE_BITS fraction bits."""
    return (x * y + (ONE >> 1)) >> VALUE_BITS


def _narrowed(x: np.ndarray) -> np.ndarray:
    """From the fraction bits of functions to VALUE_BITS."""
    return (x + (1 << BITS - VALUE_BITS - 1)) >> (BITS - VALUE_BITS)


def _limited(x: np.ndarray) -> np.ndarray:
    return x.clip(-GRADIENT_MAX, GRADIENT_MAX)
