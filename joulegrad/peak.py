"""How much of the array's peak is used: multiply-accumulates that the mathematics asks for, over those that the cycles offer."""

from __future__ import annotations

from collections.abc import Mapping

from algo.step import Step
from measurements.ledger_macs import mac_ledger


def training_macs(step: Step, images: int | Mapping[str, int]) -> int:
    """Return the multiply-accumulates of one training iteration.

    Args:
        images: of the mini-batch; or, of a step with gated blocks, segment to the images that it ran for.
    """
    return mac_ledger(step, images).total


def peak_share(macs: int, cycles: int, g: int) -> float:
    """Return macs / (cycles * g * g)."""
    return macs / (cycles * g * g)
