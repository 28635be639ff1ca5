"""The training loop on the PyTorch emulator, and the settings of the digits benchmark that every board shares.

    python -m algo.train --seed 0 --steps 100
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

from algo.data import Images, mini_batch
from algo.emulator import Emulator
from algo.export import Exported
from algo.loss import Loss
from algo.recipe import load_recipe
from algo.sgd import Sgd
from algo.update_rule import KINDS, UpdateRule

DIGITS = load_recipe("digits")
DIGITS_STEPS, DIGITS_BATCH = DIGITS.steps, DIGITS.batch
SIGN_RATE = "3/100"
"""Learning rate of updates by signs."""


def digits_sgd(steps: int = DIGITS_STEPS) -> Sgd:
    """Return the hyper-parameters of the digits benchmark for a number of iterations."""
    return DIGITS.sgd_for(steps)


def export_digits(
    seed: int, steps: int = DIGITS_STEPS, batch: int = DIGITS_BATCH, update: UpdateRule | str = "gradient"
) -> tuple[Exported, Images]:
    """Return the digits benchmark: network, calibrated on its first mini-batch, and data.

    Args:
        update: rule of the weight updates; with signs, the learning rate is `SIGN_RATE`.
    """
    rule = UpdateRule.of(update)
    sgd = DIGITS.sgd if rule.kind == "gradient" else {**DIGITS.sgd, "lr": SIGN_RATE}
    return replace(DIGITS, steps=steps, batch=batch, sgd=sgd).export(seed, rule)


def train(emulator: Emulator, data: Images, steps: int, report: Callable[[int, Loss], None] | None = None) -> None:
    """Train for a number of iterations from the emulator's present one.

    Args:
        report: called after every iteration with its number and its loss.
    """
    for _ in range(steps):
        iteration = emulator.state.iteration
        drawn = mini_batch(len(data.train), emulator.step.batch, emulator.state.seed, iteration)
        loss = emulator.train_step(data.train[drawn], data.train_labels[drawn])
        if report:
            report(iteration, loss)


def main() -> None:
    """Train on the digits and print loss and test accuracy."""
    parser = argparse.ArgumentParser(description="Train the digits network in the integer emulator.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=DIGITS_STEPS)
    parser.add_argument("--batch-size", type=int, default=DIGITS_BATCH)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--update", choices=KINDS, default="gradient")
    arguments = parser.parse_args()
    start_s = time.monotonic()
    exported, data = export_digits(arguments.seed, arguments.steps, arguments.batch_size, arguments.update)
    emulator = Emulator(exported.step, exported.tensors, exported.state, arguments.device)
    print(f"exported in {time.monotonic() - start_s:.1f} s")

    def report(iteration: int, loss: Loss) -> None:
        if iteration % 10 == 0:
            print(f"iteration {iteration:4d}  loss {loss.loss:.4f}  correct {loss.correct}")

    start_s = time.monotonic()
    train(emulator, data, arguments.steps, report)
    print(f"trained in {time.monotonic() - start_s:.1f} s")
    print(f"test accuracy {emulator.evaluate(data.test, data.test_labels):.4f}")


if __name__ == "__main__":
    main()
