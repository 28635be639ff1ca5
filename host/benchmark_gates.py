"""What gated blocks cost and save: work and cycles of a training iteration by usage, predicted from the instructions.

`python -m host.benchmark_gates z7020 --depth 14 --batch 8`: a recipe's CIFAR ResNet, every block of which that can be gated is
run by the same share of the samples, against the network without gates. Needs torch for the export; nothing runs on a board:
cycles are those of the simulated one, and the processor's time is left out. Prints a line of JSON per row.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

import numpy as np

from algo.gates import Gating, Route
from algo.recipe import load_recipe
from host.predictions import Predictions
from hw.compile import compile_step
from hw.config import load_config
from hw.program import Program

COUNTED = ("macs_int8", "vectors", "ddr_read_bytes", "ddr_write_bytes", "instructions")


class Share:
    """Gates that let a number of samples through, drawn anew for every block."""

    def __init__(self, runs: int, seed: int = 1):
        self._runs, self._rng = runs, np.random.default_rng(seed)

    def decide(self, block: int, images: int, pooled: np.ndarray | None, pixels: int, exponent: int) -> np.ndarray:
        """Return who runs a block."""
        return self._rng.permutation(images) < self._runs


def work_of(program: Program, predictions: Predictions, gates: Share | None) -> dict[str, int]:
    """Return cycles and counters of an iteration with given gates, summed over the segments that run."""
    step = program.step
    route, total = Route(step, step.batch), dict.fromkeys(("cycles", *COUNTED), 0)
    for number, part in enumerate(step.sequence):
        if not route.enter(number, gates, {}):
            continue
        chosen = tuple(route.lists[number].tolist())
        for segment in (part.forward, part.backward):
            total["cycles"] += predictions.cycles(segment, len(chosen), chosen)
            counters = predictions.counters(segment, len(chosen))
            for name in COUNTED:
                total[name] += counters[name]
    return total


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("--recipe", default="random-resnet8")
    parser.add_argument("--depth", type=int, default=14, help="of the recipe's CIFAR ResNet")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--usage", type=float, nargs="+", default=[1.0, 0.625, 0.375, 0.25, 0.0])
    asked = parser.parse_args()
    recipe = load_recipe(asked.recipe)
    recipe = replace(recipe, model={**recipe.model, "depth": asked.depth}, batch=asked.batch)
    config, plain = load_config(asked.config), None
    kinds = {"ungated": None, "gated": Gating(), "gated, with means and gradients": Gating(pooled=True, gradients=True)}
    for kind, gating in kinds.items():
        exported, _ = recipe.export(0, gated=gating)
        program = compile_step(exported.step, config, exported.tensors, exported.state)
        predictions = Predictions(program, config)
        for usage in asked.usage if gating else (1.0,):
            runs = round(usage * asked.batch)
            found = work_of(program, predictions, Share(runs) if gating else None)
            plain = plain or found
            shares = {name: round(value / plain[name], 3) for name, value in found.items()}
            row = {"step": kind, "samples": runs, "of": asked.batch, "cycles": found["cycles"], "shares": shares}
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
