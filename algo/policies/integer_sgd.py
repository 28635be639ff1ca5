"""SGD with momentum on small parameters in integers: what the processor updates itself, such as the gates of layers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

PARAMETER_BITS = 30
"""Fraction bits of parameters, momenta and gradients here."""

LIMIT = (1 << 36) - 1
_FACTOR_BITS = 24


class IntegerSgd:
    """Parameters as int64 arrays with PARAMETER_BITS fraction bits, within +-64; m = momentum m + g + decay w, w = w - rate m.

    Attributes:
        parameters, momenta: by name.
    """

    def __init__(self, parameters: dict[str, np.ndarray], momentum: Fraction, decay: Fraction):
        self.parameters = parameters
        self.momenta = {name: np.zeros_like(value) for name, value in parameters.items()}
        self._momentum, self._decay = _factor(momentum), _factor(decay)

    def weights(self, name: str, bits: int) -> np.ndarray:
        """Return a parameter with `bits` fraction bits."""
        return _shifted(self.parameters[name], bits - PARAMETER_BITS)

    def step(self, gradients: dict[str, np.ndarray], exponent: int, rate: Fraction) -> None:
        """Update all parameters.

        Args:
            gradients: by name, in units of 2^exponent.
        """
        factor = _factor(rate)
        for name, gradient in gradients.items():
            scaled = _shifted(gradient, exponent + PARAMETER_BITS)
            decayed = _scaled(self._decay, self.parameters[name])
            moved = _scaled(self._momentum, self.momenta[name]) + scaled.clip(-LIMIT, LIMIT) + decayed
            self.momenta[name] = moved.clip(-LIMIT, LIMIT)
            self.parameters[name] = (self.parameters[name] - _scaled(factor, self.momenta[name])).clip(-LIMIT, LIMIT)

    def state(self) -> dict:
        """Return parameters and momenta."""
        return {kind: {name: value.copy() for name, value in getattr(self, kind).items()} for kind in ("parameters", "momenta")}

    def restore(self, state: dict) -> None:
        """Go on from a checkpoint."""
        for kind in ("parameters", "momenta"):
            setattr(self, kind, {name: np.array(value, np.int64) for name, value in state[kind].items()})


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
