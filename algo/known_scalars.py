"""The scalars of one iteration after the other: only those are worked out whose exponents, learning rate or images have changed.

Of a deep network they are thousands, of which most stay: on a GPU, which waits meanwhile, that is a good part of an iteration. No
torch.
"""

from __future__ import annotations

from algo.delayed_scaling import State
from algo.scaling import scalar, scalar_inputs
from algo.step import Step


class KnownScalars:
    """algo.scaling.scalars of a step, remembered from call to call.

    Args:
        step: the training step.
    """

    def __init__(self, step: Step):
        self._step, self._words = step, {}
        self._inputs = {one: scalar_inputs(one, step) for block in step.scalars.values() for one in block}
        self._following: dict[str, list[str]] = {}
        for one, inputs in self._inputs.items():
            for name in {term[1:] for terms in inputs.sums for term in terms}:
                self._following.setdefault(name, []).append(one)
        self._seen: tuple[State, int] | None = None

    def __call__(self, state: State, images: int) -> dict[str, tuple[int, ...]]:
        """Return all blocks' words, as algo.scaling.scalars does. Raises OutOfRange likewise."""
        due = self._due(state, images)
        self._seen = None  # where one does not fit, none passes for known
        for one in due:
            self._words[one] = scalar(one, self._step, state, images)
        self._seen = state, images
        return {block: tuple(map(self._words.__getitem__, ones)) for block, ones in self._step.scalars.items()}

    def _due(self, state: State, images: int) -> list[str]:
        """Return the specifications that have to be worked out."""
        if self._seen is None or _fixed(self._seen[0]) != _fixed(state):
            return list(self._inputs)
        before, images_before = self._seen
        moved = {
            "rate": before.sgd.rate(before.iteration) != state.sgd.rate(state.iteration), "images": images_before != images,
            "iteration": before.iteration != state.iteration,
        }  # fmt: skip
        changed = [name for name, exponent in state.exponents.items() if before.exponents.get(name) != exponent]
        due = [one for name in changed for one in self._following.get(name, ())]
        kinds = [kind for kind, has_moved in moved.items() if has_moved]
        due += [one for one, inputs in self._inputs.items() if any(getattr(inputs, kind) for kind in kinds)] if kinds else []
        return list(dict.fromkeys(due))


def _fixed(state: State) -> tuple:
    return state.sgd.momentum, state.sgd.weight_decay
