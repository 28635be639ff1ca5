"""SGD with momentum on small parameters in integers: what the processor updates itself, such as the gates of layers."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

PARAMETER_BITS = 30
"""Fraction bits of parameters, momenta and gradients here."""

LIMIT = (1 << 36) - 1
_FACTOR_BITS = 24


class IntegerSgd:
    """Parameters as int64 arrays with PARAMETER_BITS fraction bits, within +-64; m = momentum m + g + decay w, w = w - rate m.

    Attributes:
        parameters, momenta: by name, parts of one array for all.
    """

    def __init__(self, parameters: dict[str, np.ndarray], momentum: Fraction, decay: Fraction):
        self._shapes = {name: value.shape for name, value in parameters.items()}
        self._parameters = np.concatenate([value.ravel() for value in parameters.values()])
        self._momenta = np.zeros_like(self._parameters)
        self.parameters, self.momenta = self._named(self._parameters), self._named(self._momenta)
        self._momentum, self._decay = _factor(momentum), _factor(decay)

    def weights(self, bits: int) -> dict[str, np.ndarray]:
        """Return the parameters with `bits` fraction bits, by name."""
        return self._named(_shifted(self._parameters, bits - PARAMETER_BITS))

    def step(self, gradients: dict[str, np.ndarray], exponent: int, rate: Fraction) -> None:
        """Update all parameters.

        Args:
            gradients: of every parameter by name, in units of 2^exponent.
        """
        gradient = np.concatenate([gradients[name].ravel() for name in self._shapes])
        moved = _shifted(gradient, exponent + PARAMETER_BITS).clip(-LIMIT, LIMIT)
        moved += _scaled(self._momentum, self._momenta)
        if self._decay:
            moved += _scaled(self._decay, self._parameters)
        moved.clip(-LIMIT, LIMIT, out=self._momenta)
        moved = self._parameters - _scaled(_factor(rate), self._momenta)
        moved.clip(-LIMIT, LIMIT, out=self._parameters)

    def state(self) -> dict:
        """Return parameters and momenta."""
        return {kind: {name: value.copy() for name, value in getattr(self, kind).items()} for kind in ("parameters", "momenta")}

    def restore(self, state: dict) -> None:
        """Go on from a checkpoint."""
        for kind in ("parameters", "momenta"):
            for name, value in state[kind].items():
                getattr(self, kind)[name][...] = value

    def _named(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """Return the parts of an array of all."""
        found, start = {}, 0
        for name, shape in self._shapes.items():
            stop = start + math.prod(shape)
            found[name] = values[start:stop].reshape(shape)
            start = stop
        return found


def _factor(value: Fraction) -> int:
    return (2 * value.numerator * (1 << _FACTOR_BITS) + value.denominator) // (2 * value.denominator)


def _scaled(factor: int, value: np.ndarray) -> np.ndarray:
    return (factor * value + (1 << _FACTOR_BITS - 1)) >> _FACTOR_BITS


def _shifted(value: np.ndarray, left: int) -> np.ndarray:
    """value * 2^left, nearest, saturated where it would leave 64 bits."""
    if left > 0:
        largest = LIMIT >> min(left, 40)
        return value.clip(-largest - 1, largest + 1) << min(left, 40)
    right = min(-left, 62)
    return (value + ((1 << right) >> 1)) >> right
