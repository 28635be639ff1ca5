"""Gated blocks: which samples run which part of a step, and where each sample's latest value lies. No torch.

Emulator and runtime both walk a mini-batch through `Route`, so that no decision and no list is worked out twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from algo.step import Compute, Part, Step, Update


class GateError(ValueError):
    """A policy's decisions do not fit the step; the message says which block and what would be right."""


@dataclass(frozen=True)
class Gating:
    """What an export with gated blocks makes for the policy that decides.

    Attributes:
        pooled: plane means of every gated block's input.
        gradients: the gradient of every decision.
        projections: whether blocks beside a projection are gated, too, not only those beside an identity shortcut.
    """

    pooled: bool = False
    gradients: bool = False
    projections: bool = True


class Gates(Protocol):
    """The policy of one iteration."""

    def decide(self, block: int, images: int, pooled: np.ndarray | None, pixels: int, exponent: int) -> np.ndarray:
        """Return for every sample whether it runs a block, bool (images,); blocks are asked for in order of execution.

        Args:
            pooled: int64 (images, c), the sums over `pixels` values of the block's input in units of 2^exponent; None where
                the step was exported without.
        """

    def learn(self, gradients: dict[int, np.ndarray], exponents: dict[int, int]) -> None:
        """Take the gradients of the decisions: block to int64 (images,), in units of 2^exponents[block].

        Of x_{l+1} = G F_l(x_l) + (1 - G) s_l(x_l) it is sum g (F_l(x_l) - s_l(x_l)), g the gradient of x_{l+1}; s_l is the
        shortcut, the identity or a projection, F_l the block with it. Samples that did not run the block have 0.
        """

    def processor_work(self) -> tuple[int, int, int, int]:
        """Return what the processor has spent so far: numpy calls and elements of deciding, and numpy calls and elements of
        learning, as measurements.processor_time counts both."""


class Route:
    """One mini-batch on its way through a step's parts.

    Args:
        step: the training step.
        images: in the mini-batch.

    Attributes:
        samples: part number to the samples that ran it, rising; a part that was left out has none.
        lists: part number to the images of the tensor that it gathers, one for each of these samples.
    """

    def __init__(self, step: Step, images: int):
        self.step, self.images, self._all = step, images, np.arange(images)
        self.samples: dict[int, np.ndarray] = {}
        self.lists: dict[int, np.ndarray] = {}
        self._at: dict[str, np.ndarray] = {}
        self._pooled: dict[str, tuple[np.ndarray, int]] = {}

    def enter(self, number: int, gates: Gates | None, exponents: dict[str, int]) -> bool:
        """Decide who runs a part, the parts being entered in order; return whether any sample does.

        Args:
            gates: the policy; None lets every sample run.
            exponents: of this iteration.
        """
        part, samples = self.step.sequence[number], self._all
        if gates is not None and not self.step.parts:
            raise GateError("the method lets samples skip blocks, but the step was exported without gated ones; it needs them")
        if part.block >= 0 and gates is not None:
            samples = np.flatnonzero(self._decision(part, gates, exponents))
        return self.let(number, samples)

    def let(self, number: int, samples: np.ndarray) -> bool:
        """Have these samples, rising, run a part, the parts being entered in order; return whether there are any."""
        part = self.step.sequence[number]
        if part.gathers:
            self.lists[number] = self._at[part.gathers][samples] if part.gathers in self._at else samples
        self.samples[number] = samples
        if part.stream:
            if part.stream not in self._at:
                self._at[part.stream] = np.zeros(self.images, np.int64)
            self._at[part.stream][samples] = self._all[: len(samples)] + part.version * self.step.batch
        return len(samples) > 0

    def keep_pooled(self, number: int, name: str, values: np.ndarray) -> None:
        """Note the plane means `name` (m, c, h, w) that a part made, m its samples, for the decisions behind it."""
        pixels = values.shape[2] * values.shape[3]
        held, _ = self._pooled.setdefault(name, (np.zeros((self.images, values.shape[1]), np.int64), pixels))
        held[self.samples[number]] = values.astype(np.int64).sum((2, 3))

    def gate_gradients(
        self, sums: Callable[[Part], np.ndarray], exponents: dict[str, int]
    ) -> tuple[dict[int, np.ndarray], dict[int, int]]:
        """Return the gradients of the decisions and their exponents, as Gates.learn takes them.

        Args:
            sums: of a part, the result of its GateSum for the samples that ran it.
            exponents: of this iteration.
        """
        gradients, units = {}, {}
        for number, part in enumerate(self.step.sequence):
            if part.gate_sum:
                gradients[part.block] = np.zeros(self.images, np.int64)
                if len(self.samples[number]):
                    gradients[part.block][self.samples[number]] = sums(part)
                units[part.block] = exponents[f"{part.stream}.grad"] + exponents[part.stream]
        return gradients, units

    def kept(self) -> frozenset[str]:
        """Return the exponents that stay as they are, because no sample ran the block that they belong to."""
        left_out = [part for number, part in enumerate(self.step.sequence) if not len(self.samples[number])]
        return frozenset().union(*(own_exponents(self.step, part) for part in left_out))

    def decisions(self) -> np.ndarray:
        """Return who ran which gated block, bool (blocks, images)."""
        found = np.zeros((sum(part.block >= 0 for part in self.step.parts), self.images), bool)
        for number, part in enumerate(self.step.sequence):
            if part.block >= 0:
                found[part.block, self.samples[number]] = True
        return found

    def _decision(self, part: Part, gates: Gates, exponents: dict[str, int]) -> np.ndarray:
        pooled, pixels, exponent, means = None, 0, 0, pooled_name(part.looked_at)
        if means in self._pooled:
            pooled, pixels = self._pooled[means]
            pooled, exponent = pooled.copy(), exponents[means]
        for needs, there in (("needs_pooled", pooled is not None), ("needs_gradients", part.gate_sum)):
            if getattr(gates, needs, False) and not there:
                raise GateError(f"the method's gates set {needs}, but the step was exported without; algo.gates.Gating has it")
        found = np.asarray(gates.decide(part.block, self.images, pooled, pixels, exponent))
        if found.dtype != bool or found.shape != (self.images,):
            asked = f"bool ({self.images},), one for each sample, is needed"
            raise GateError(f"the decisions for gated block {part.block} are {found.dtype} {found.shape}; {asked}")
        return found


def pooled_name(name: str) -> str:
    """Return the name of the tensor that holds the plane means of a tensor, or of a stream's latest version."""
    return f"{name}.pooled"


def own_exponents(step: Step, part: Part) -> frozenset[str]:
    """Return the exponents that only a part's segments change: those of its maxima, and what follows its results."""
    own = _changed(step, part)
    for other in step.sequence:
        if other != part:
            own -= _changed(step, other)
    return frozenset(own)


def _changed(step: Step, part: Part) -> set[str]:
    found: set[str] = set()
    for segment in (part.forward, part.backward):
        for node in step.segments[segment]:
            if isinstance(node, Compute):
                found |= {one.maximum for one in node.passes}
            elif isinstance(node, Update):
                found |= {node.maximum, node.maximum_w8, node.weight, f"{node.weight}.momentum.previous"}
            elif hasattr(node, "table"):
                found.add(f"{node.table}.running")
    return found - {""}
