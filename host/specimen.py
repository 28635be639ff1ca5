"""What the simulated board keeps to itself: the values of this one specimen and of the instruments on it.

They are drawn from SEED, which stands here alone. No run, trace or record holds it or what is drawn from it, and nothing
under measurements/ may import this module or one that leads to it (tests/test_host_specimen.py): the only way to learn about
the board is to measure it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from host.sensor import Specification
from host.virtual_rails import NODES, SUPPLIED, Character, Spread

SEED = 7361904


@dataclass(frozen=True)
class InstrumentErrors:
    """How one channel of one instrument errs: value = true * (1 + gain) + offset, its clock fast by `time_base` (relative)."""

    gain: float
    offset: float
    time_base: float


def board(seed: int = SEED, spread: Spread | None = None) -> Character:
    """Return the specimen of the board; another seed is another board off the same line."""
    spread = spread or Spread()
    rng = _generator(seed, "board")

    def each(names, limits: tuple[float, float]) -> dict[str, float]:
        return {name: float(rng.uniform(*limits)) for name in names}

    node, static, efficiency = each(NODES, spread.node), each(SUPPLIED, spread.static), each(SUPPLIED, spread.efficiency)
    loss = each(SUPPLIED, spread.loss_per_w)
    other, glitches, leakage, room, drift, rise, time = (
        float(rng.uniform(*limits))
        for limits in (
            spread.static, spread.glitches, spread.leakage_per_k, spread.ambient_c, spread.ambient_drift_k_per_s,
            spread.thermal_k_per_w, spread.thermal_s,
        )
    )  # fmt: skip
    return Character(node, static, other, efficiency, loss, glitches, leakage, room, drift, rise, time)


def instrument(channel: str, specification: Specification, number: int, seed: int = SEED) -> InstrumentErrors:
    """Return the errors of a channel of instrument `number`, rectangular within its specification."""
    rng = _generator(seed, "instrument", channel, number)
    gain, shunt, offset, time_base = rng.uniform(-1.0, 1.0, 4)
    return InstrumentErrors(
        float((1 + gain * specification.gain) * (1 + shunt * specification.shunt) - 1),
        float(offset * specification.offset),
        float(time_base * specification.time_base),
    )


def _generator(seed: int, *names) -> np.random.Generator:
    return np.random.default_rng([seed, *(zlib.crc32(str(name).encode()) for name in names)])
