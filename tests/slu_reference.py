"""The gate of slu written as its equations are, one step after the other: the reference of `algo.policies.slu_cell`.

Takes any kind of integers, also Python's in arrays of objects, which never overflow.
"""

from __future__ import annotations

import numpy as np

from algo.functions import BITS, sigmoid, tanh
from algo.policies.slu_cell import GRADIENT_MAX, HIDDEN, ONE, VALUE_BITS, VALUE_MAX, WEIGHT_BITS


def mean(pooled: np.ndarray, pixels: int, exponent: int) -> np.ndarray:
    """Return sums over `pixels` values in units of 2^exponent as their mean, nearest, saturated."""
    shift = VALUE_BITS + exponent
    scaled = pooled << min(shift, 40) if shift >= 0 else pooled >> min(-shift, 63)
    return ((2 * scaled + pixels) // (2 * pixels)).clip(-VALUE_MAX, VALUE_MAX)


def forward(projects: list[np.ndarray], cell: np.ndarray, out: np.ndarray, inputs: list[np.ndarray]) -> list[dict]:
    """Return what every block's gate computes from means (images, c)."""
    hidden = memory = np.zeros((len(inputs[0]), HIDDEN), np.int64)
    found = []
    for project, x in zip(projects, inputs, strict=True):
        one = {"inputs": _with_one(x), "before": memory}
        projected = _shifted(one["inputs"] @ project.T, WEIGHT_BITS).clip(-VALUE_MAX, VALUE_MAX)
        one["joined"] = _with_one(np.concatenate([projected, hidden], axis=1))
        z = np.split(_shifted(one["joined"] @ cell.T, WEIGHT_BITS), 4, axis=1)
        names = {"i": sigmoid, "f": sigmoid, "g": tanh, "o": sigmoid}
        one |= {name: _function(what, part) for (name, what), part in zip(names.items(), z, strict=True)}
        memory = _times(one["f"], memory) + _times(one["i"], one["g"])
        one["tanh"] = _function(tanh, memory)
        hidden = _times(one["o"], one["tanh"])
        one["behind"] = _with_one(hidden)
        one["probability"] = _function(sigmoid, _shifted(one["behind"] @ out.T, WEIGHT_BITS)[:, 0])
        found.append(one)
    return found


def backward(
    seen: list[dict], cell: np.ndarray, out: np.ndarray, gradients: list[np.ndarray]
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Return gradients of projects, cell and out."""
    above_hidden = above_cell = 0
    d_projects, d_cell, d_out = [], 0, 0
    for one, gradient in zip(reversed(seen), reversed(gradients), strict=True):
        i, f, g, o = (one[name] for name in "ifgo")
        d_logit = _limited(_times(gradient, _times(one["probability"], ONE - one["probability"])))[:, None]
        d_out = d_out + d_logit.T @ one["behind"]
        d_hidden = _limited(_shifted(d_logit @ out[:, :HIDDEN], WEIGHT_BITS) + above_hidden)
        d_memory = _limited(_times(_times(d_hidden, o), ONE - _times(one["tanh"], one["tanh"])) + above_cell)
        parts = [
            _times(_times(d_memory, g), _times(i, ONE - i)),
            _times(_limited(_times(d_memory, one["before"])), _times(f, ONE - f)),
            _times(_times(d_memory, i), ONE - _times(g, g)),
            _times(_times(d_hidden, one["tanh"]), _times(o, ONE - o)),
        ]
        d_z, above_cell = _limited(np.concatenate(parts, axis=1)), _times(d_memory, f)
        d_cell = d_cell + d_z.T @ one["joined"]
        d_joined = _limited(_shifted(d_z @ cell, WEIGHT_BITS))
        above_hidden = d_joined[:, HIDDEN : 2 * HIDDEN]
        d_projects.append(d_joined[:, :HIDDEN].T @ one["inputs"])
    return d_projects[::-1], d_cell, d_out


def _with_one(x: np.ndarray) -> np.ndarray:
    return np.concatenate([x, np.full((len(x), 1), ONE, np.int64)], axis=1)


def _shifted(x: np.ndarray, bits: int) -> np.ndarray:
    return (x + (1 << bits - 1)) >> bits


def _times(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _shifted(x * y, VALUE_BITS)


def _function(what, x: np.ndarray) -> np.ndarray:
    return _shifted(what(x, VALUE_BITS), BITS - VALUE_BITS)


def _limited(x: np.ndarray) -> np.ndarray:
    return x.clip(-GRADIENT_MAX, GRADIENT_MAX)
