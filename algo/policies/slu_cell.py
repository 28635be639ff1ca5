"""The gate of selective layer update in fixed point: pooled block input -> projection -> LSTM over depth -> probability to run.

    u = P [x, 1]     z = C [u, h, 1] = (i, f, g, o)     c' = s(f) c + s(i) tanh(g)     h' = s(o) tanh(c')     p = s(O [h', 1])

with s the sigmoid, x the block's input averaged over the plane, P a projection of the block's own, C and O shared by all blocks.
Values are int64 with VALUE_BITS fraction bits; weights enter products with WEIGHT_BITS. Gradients are int64 with one exponent for
all of them, saturated, so that no sum leaves 64 bits: |weight| < 64, |value| < 64, |gradient| <= 2^23, 2^13 images times blocks.

On arrays as small as these a numpy call costs the processor more than what it computes. So all blocks' values lie in the same
arrays, beside each other as products need them; functions are one line of a table, base + rise * x, chosen by the argument's
upper bits; constants that are added before a shift carry whatever else is to be added; and what backward needs of all blocks
at once it works out at once.
"""

from __future__ import annotations

import numpy as np

from algo.function_table import BITS, SIGMOID_END, SIGMOID_STEPS
from algo.functions import sigmoid

HIDDEN = 10
VALUE_BITS, WEIGHT_BITS = 20, 24
ONE = 1 << VALUE_BITS
VALUE_MAX = 63 * ONE
GRADIENT_MAX = 1 << 23
CELL_SHAPE, OUT_SHAPE = (4 * HIDDEN, 2 * HIDDEN + 1), (1, HIDDEN + 1)

I, F, G, O, BEFORE, TANH = range(6)  # noqa: E741
"""Where a block's values lie: i, f, g and o behind their functions, c, tanh(c')."""

_KNOT = VALUE_BITS - SIGMOID_STEPS.bit_length() + 1
_ZERO = SIGMOID_END * SIGMOID_STEPS + 1
"""The sigmoid's knots are 2^_KNOT apart; so many lie below 0, one of them for all that is below the table."""

_LINE_BITS = _KNOT + BITS - VALUE_BITS
"""Of base + rise * x as the sigmoid's value, beyond VALUE_BITS; as that of 2 s - 1, which is tanh, it has one bit less."""


def _lines() -> tuple[np.ndarray, np.ndarray]:
    """Return base and rise of the sigmoid between knots, x being the argument plus _ZERO knots.

    They hold both roundings, to the nearest of functions.BITS, of |x| where x is below 0, and then of VALUE_BITS.
    """
    knots = np.arange(-_ZERO, _ZERO + 1)
    at = sigmoid(knots << _KNOT, VALUE_BITS)
    low, rise = at[:-1], np.diff(at)
    half = (1 << _KNOT - 1) - (knots[:-1] < 0)
    narrowing = 1 << BITS - VALUE_BITS - 1
    return ((low + narrowing) << _KNOT) + half - rise * (np.arange(2 * _ZERO) << _KNOT), rise


def _constant(*values: int) -> np.ndarray:
    """Return numbers as an array: numpy takes it in less time than a Python integer."""
    return np.array(values[0] if len(values) == 1 else values, np.int64)


def _of_gates(sigmoids: int, tanh: int) -> np.ndarray:
    """Return constants of a row of z: i, f, g, o."""
    return np.repeat(_constant(sigmoids, sigmoids, tanh, sigmoids), HIDDEN)


_BASE, _RISE = _lines()
_TO_TANH = -((1 << BITS - VALUE_BITS - 2) + (1 << BITS - 1) << _KNOT)
"""What 2 s - 1 has beside s, one bit of both left away, rounding included."""
_TANH_BASE, _TANH_RISE = _BASE + _TO_TANH, 2 * _RISE

_WEIGHT_SHIFT, _VALUE_SHIFT, _KNOT_SHIFT, _LINE_SHIFT = (_constant(n) for n in (WEIGHT_BITS, VALUE_BITS, _KNOT, _LINE_BITS))
_TANH_KNOT_SHIFT, _TANH_LINE_SHIFT, _TANH_ZERO = (_constant(n) for n in (_KNOT - 1, _LINE_BITS - 1, _ZERO << _KNOT - 1))
_WEIGHT_HALF, _VALUE_HALF = _constant(1 << WEIGHT_BITS - 1), _constant(ONE >> 1)
_OUT_ADDED = _constant((1 << WEIGHT_BITS - 1) + (_ZERO << _KNOT + WEIGHT_BITS))
_GATES_ADDED = _of_gates(int(_OUT_ADDED), (1 << WEIGHT_BITS - 1) + (_ZERO << _KNOT - 1 + WEIGHT_BITS))
_GATES_LEFT, _GATES_SHIFT, _GATES_TO_TANH = _of_gates(0, 1), _of_gates(_LINE_BITS, _LINE_BITS - 1), _of_gates(0, _TO_TANH)
_WEIGHT_HALVES, _VALUE_HALVES = _constant(15), _constant(13)
_LARGEST_VALUE, _LOWEST_VALUE = _constant(VALUE_MAX), _constant(-VALUE_MAX)
_LARGEST_GRADIENT, _LOWEST_GRADIENT = _constant(GRADIENT_MAX), _constant(-GRADIENT_MAX)

_ONE = _constant(ONE)
_ONE_LESS = _constant((ONE >> 1) + (ONE << VALUE_BITS))
"""From it y^2 is taken: the nearest of 1 - y^2, there being no ties, as no square ends in 2^(VALUE_BITS - 1)."""
_SLOPE_OF = _constant(ONE, ONE, 0, ONE)[:, None]
_SLOPE_ADDED = _constant(*(int(_ONE_LESS if at == G else _VALUE_HALF) for at in (I, F, G, O)))[:, None]
_MULTIPLIED = [F, G, BEFORE, I]
"""The derivative by c' is multiplied by these for those by c, i, f and g."""


class Pass:
    """The gates of all blocks for one mini-batch.

    Args:
        projects: of every block (HIDDEN, c + 1), cell: CELL_SHAPE, out: OUT_SHAPE, with WEIGHT_BITS fraction bits.

    Attributes:
        images: in the mini-batch.
        blocks: whose gates have been run.
        probabilities: of these, (blocks, images) with VALUE_BITS fraction bits.
    """

    def __init__(self, projects: list[np.ndarray], cell: np.ndarray, out: np.ndarray, images: int):
        self._projects, self._out, self.images = projects, out[0], images
        self._cell_halves = _halves(cell, _WEIGHT_HALVES)
        self.blocks, self._inputs = 0, []
        self.probabilities = np.empty((len(projects), images), np.int64)
        self._joined = np.zeros((len(projects) + 1, images, 2 * HIDDEN + 1), np.int64)
        self._joined[:, :, -1] = ONE
        self._values = np.zeros((len(projects) + 1, images, 6, HIDDEN), np.int64)

    def forward(self, pooled: np.ndarray, pixels: int, exponent: int) -> np.ndarray:
        """Run the gate of the next block on what `mean_input` takes, and return the probabilities, (images,)."""
        block, following = self.blocks, self.blocks + 1
        joined, values, behind = self._joined[block], self._values[block], self._joined[following, :, HIDDEN:]
        inputs = np.empty((self.images, pooled.shape[1] + 1), np.int64)
        inputs[:, -1] = _ONE
        mean_input(pooled, pixels, exponent, inputs[:, :-1])
        projected = _product(inputs, self._projects[block])
        np.minimum(projected, _LARGEST_VALUE, out=projected)
        np.maximum(projected, _LOWEST_VALUE, out=joined[:, :HIDDEN])
        self._gates(joined, values[:, :BEFORE].reshape(self.images, 4 * HIDDEN))
        terms = values[:, I : F + 1] * values[:, G : BEFORE + 1 : BEFORE - G]
        terms += _VALUE_HALF
        terms >>= _VALUE_SHIFT
        x = np.add(terms[:, 0], terms[:, 1], out=self._values[following, :, BEFORE]) + _TANH_ZERO
        np.right_shift(_line(_TANH_BASE, _TANH_RISE, x, _TANH_KNOT_SHIFT), _TANH_LINE_SHIFT, out=values[:, TANH])
        hidden = values[:, O] * values[:, TANH]
        hidden += _VALUE_HALF
        np.right_shift(hidden, _VALUE_SHIFT, out=behind[:, :HIDDEN])
        x = behind @ self._out
        x += _OUT_ADDED
        x >>= _WEIGHT_SHIFT
        np.right_shift(_line(_BASE, _RISE, x, _KNOT_SHIFT), _LINE_SHIFT, out=self.probabilities[block])
        self._inputs.append(inputs)
        self.blocks = following
        return self.probabilities[block]

    def backward(self, gradients: np.ndarray) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        """Propagate gradients of the probabilities through depth, once every block's gate has been run.

        Args:
            gradients: (blocks, images), at most GRADIENT_MAX, in units of 2^e for one e.

        Returns:
            Gradients of projects, cell and out, in units of 2^(e - VALUE_BITS).
        """
        kept, behind = self._values[:-1], self._joined[1:, :, HIDDEN:]
        d_logits = _limited(_times(gradients, _times(self.probabilities, _ONE - self.probabilities)))
        d_out = d_logits.reshape(1, -1) @ behind.reshape(-1, HIDDEN + 1)
        d_behind = d_logits[:, :, None] * self._out[:HIDDEN]
        d_behind += _WEIGHT_HALF
        d_behind >>= _WEIGHT_SHIFT
        slopes = kept[:, :, :BEFORE] * (_SLOPE_OF - kept[:, :, :BEFORE])
        slopes += _SLOPE_ADDED
        slopes >>= _VALUE_SHIFT
        tanh_slopes = (_ONE_LESS - kept[:, :, TANH] * kept[:, :, TANH]) >> _VALUE_SHIFT
        multiplied, d_z = kept[:, :, _MULTIPLIED], np.empty_like(slopes)
        above_hidden, above_cell, d_projects = 0, 0, []
        for block in reversed(range(self.blocks)):
            d_both = _times(_limited(d_behind[block] + above_hidden)[:, None], kept[block, :, O :: TANH - O])
            d_memory = _times(d_both[:, 0], tanh_slopes[block])
            d_memory += above_cell
            d_parts = _limited(_times(_limited(d_memory)[:, None], multiplied[block]))
            above_cell = d_parts[:, 0]
            d_parts = np.concatenate([d_parts[:, 1:], d_both[:, 1:]], 1)
            d_parts *= slopes[block]
            d_parts += _VALUE_HALF
            np.right_shift(d_parts, _VALUE_SHIFT, out=d_z[block])
            d_joined = d_z[block].reshape(self.images, -1).astype(np.float64) @ self._cell_halves[:, :, : 2 * HIDDEN]
            d_joined = _joined(d_joined, _WEIGHT_HALVES)
            d_joined += _WEIGHT_HALF
            d_joined >>= _WEIGHT_SHIFT
            _limited(d_joined)
            above_hidden = d_joined[:, HIDDEN:]
            d_projects.append(d_joined[:, :HIDDEN].T @ self._inputs[block])
        halves = _halves(self._joined[:-1].reshape(-1, 2 * HIDDEN + 1), _VALUE_HALVES)
        d_cell = _joined(d_z.reshape(-1, 4 * HIDDEN).T.astype(np.float64) @ halves, _VALUE_HALVES)
        return d_projects[::-1], d_cell, d_out

    def _gates(self, joined: np.ndarray, out: np.ndarray) -> None:
        """Write i, f, g and o behind their functions, (images, 4 * HIDDEN)."""
        x = _joined(joined.astype(np.float64) @ self._cell_halves.swapaxes(1, 2), _WEIGHT_HALVES)
        x += _GATES_ADDED
        x >>= _WEIGHT_SHIFT
        x <<= _GATES_LEFT
        line = _line(_BASE, _RISE, x, _KNOT_SHIFT)
        line += _GATES_TO_TANH
        np.right_shift(line, _GATES_SHIFT, out=out)


def mean_input(pooled: np.ndarray, pixels: int, exponent: int, out: np.ndarray) -> None:
    """Write sums over `pixels` int8 values in units of 2^exponent as their mean, in the gate's format, saturated.

    Args:
        pooled: int64 (images, c); out: the same.
    """
    shift = VALUE_BITS + exponent
    doubled = pooled << min(shift, 40) + 1 if shift >= 0 else (pooled >> min(-shift, 63)) << 1
    doubled += pixels
    if pixels & (pixels - 1):
        np.floor_divide(doubled, 2 * pixels, out=out)
    else:
        np.right_shift(doubled, pixels.bit_length(), out=out)
    if exponent >= -1:  # below, an int8's mean is less than 63
        np.clip(out, -VALUE_MAX, VALUE_MAX, out=out)


def forward_macs(channels: int) -> int:
    """Return the multiply-accumulates of one gate for one image, forward; backward takes twice as many."""
    return HIDDEN * (channels + 1) + CELL_SHAPE[0] * CELL_SHAPE[1] + OUT_SHAPE[1]


def _halves(x: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Return x as upper bits and `low` lower ones, (2, ...) in float64.

    A fast library makes their products. These are exact, and with them those of x, while no sum is above 2^53: values below 2^26
    by half a weight, 2^15, leave room for 2^12 terms, and gradients up to 2^23 by half a value, 2^13, for 2^17.
    """
    halves = np.empty((2, *x.shape))
    np.right_shift(x, low, out=halves[0])
    np.bitwise_and(x, (1 << low) - 1, out=halves[1])
    return halves


def _joined(products: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Return products with `_halves` as those with the whole, int64."""
    high, found = products.astype(np.int64)
    high <<= low
    found += high
    return found


def _product(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """x @ weights.T, in the format of x."""
    found = x @ weights.T
    found += _WEIGHT_HALF
    found >>= _WEIGHT_SHIFT
    return found


def _times(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x * y, y with VALUE_BITS fraction bits."""
    found = x * y
    found += _VALUE_HALF
    found >>= _VALUE_SHIFT
    return found


def _line(base: np.ndarray, rise: np.ndarray, x: np.ndarray, knot_shift: np.ndarray) -> np.ndarray:
    """Return base + rise * x, both of the knot below x."""
    knot = x >> knot_shift
    found = rise.take(knot, mode="clip")
    found *= x
    found += base.take(knot, mode="clip")
    return found


def _limited(x: np.ndarray) -> np.ndarray:
    """Saturate x itself, and return it."""
    np.minimum(x, _LARGEST_GRADIENT, out=x)
    return np.maximum(x, _LOWEST_GRADIENT, out=x)
