"""What predictive sign gradients would decide on real gradients: a network trained in float32, and the predictors beside it.

    python -m algo.measure_psg --depth 8 --steps 2500 --at 25,800,2500 --seed 0 --out psg-resnet8.json [--data FILE]

At each point the operands of every convolution's weight gradient on the mini-batch to come are quantised as the core does
it: one exponent per tensor, activations to 8 bits and 16-bit gradients to nearest, 8-bit gradients stochastically. FILE is
the JPEG edition of CIFAR-10. Prints the tables of measurements/reports/psg.md; `--out` keeps the counts of every layer.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from algo.arithmetic import dither
from algo.augmentation import Augmentation
from algo.data_batches import Batches
from algo.data_sets import load_data
from algo.models_cifar import cifar_resnet
from algo.psg import BETAS, PREDICTORS, Predictor, decide, msb, whole_blocks

BATCH = 128
SHAPES = ((16, 16), (8, 8), (4, 4), (2, 2), (1, 16), (16, 1), (1, 8), (8, 1), (1, 4), (4, 1))
"""Blocks of one tap: output x input channels."""

TAPS = "1 x 1 x taps"
_LIMITS = {8: 127, 16: 32639}


def quantised(x: torch.Tensor, bits: int, noise: torch.Generator | None = None) -> torch.Tensor:
    """Return the integers of a tensor at the smallest exponent that holds it, int64; stochastic rounding with `noise`."""
    largest = float(x.abs().max())
    exponent = int(np.ceil(np.log2(largest / _LIMITS[bits]))) if largest else 0
    half = torch.rand(x.shape, generator=noise, dtype=torch.float64) if noise else 0.5
    return (torch.ldexp(x.double(), torch.tensor(-exponent)) + half).floor().long().clip(-_LIMITS[bits], _LIMITS[bits])


def operands(
    module: nn.Module, images: torch.Tensor, labels: torch.Tensor
) -> Iterator[tuple[str, nn.Conv2d, torch.Tensor, torch.Tensor]]:
    """Yield name, layer, input and output gradient of every convolution for the mean cross-entropy of a mini-batch."""
    kept: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, nn.Conv2d)}

    def keep(name: str) -> Callable:
        def hook(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            output.retain_grad()
            kept[name] = (inputs[0], output)

        return hook

    handles = [layer.register_forward_hook(keep(name)) for name, layer in layers.items()]
    statistics = {name: value.clone() for name, value in module.state_dict().items()}
    F.cross_entropy(module(images), labels).backward()
    module.zero_grad()
    module.load_state_dict(statistics)
    for handle in handles:
        handle.remove()
    for name, (x, y) in kept.items():
        yield name, layers[name], x.detach(), y.grad


def measure(module: nn.Module, images: torch.Tensor, labels: torch.Tensor, seed: int) -> list[dict]:
    """Return a record per convolution, predictor, kind of most significant bits and beta, on one mini-batch."""
    noise = torch.Generator().manual_seed(seed)
    found = []
    for name, layer, x, g in operands(module, images, labels):
        exact, x8 = _product(layer, x, g), quantised(x, 8)
        for predictor in PREDICTORS:
            g_full = quantised(g, predictor.g_full, noise if predictor.g_full == 8 else None)
            full = _product(layer, x8, g_full)
            for kind, (x_msb, g_msb) in most_significant(x8, g_full, predictor, noise).items():
                p = _product(layer, x_msb, g_msb)
                same = {"layer": name, "predictor": predictor.name, "msb": kind, "full_wrong": _wrong(full, exact)}
                found += [same | _decisions(p, full, beta) for beta in BETAS]
    return found


def most_significant(
    x: torch.Tensor, g: torch.Tensor, predictor: Predictor, noise: torch.Generator
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return the predictor's operands for several meanings of "most significant bits".

    cut: the bits as they stand. rounded: to nearest. unsigned: also, activations without a sign bit where none is negative.
    stochastic, dithered: activations as that, gradients with random bits or with `algo.arithmetic.dither` in the half's place.
    """
    x_bits, g_bits, g_full = predictor.x_bits, predictor.g_bits, predictor.g_full
    shift, limit = g_full - g_bits, (1 << g_bits - 1) - 1
    unsigned, g_rounded = msb(x, x_bits, 8, signed=bool(x.min() < 0)), msb(g, g_bits, g_full)
    kinds = {"cut": (x >> 8 - x_bits, g >> shift), "rounded": (msb(x, x_bits, 8), g_rounded), "unsigned": (unsigned, g_rounded)}
    if shift == 4:
        n, _, h, w = (torch.arange(size) for size in g.shape)
        bits = {
            "stochastic": torch.randint(1 << shift, g.shape, generator=noise),
            "dithered": dither(n.view(-1, 1, 1, 1), h.view(-1, 1), w, shift),
        }
        kinds |= {kind: (unsigned, (g + low >> shift).clip(-limit, limit)) for kind, low in bits.items()}
    return kinds


def _product(layer: nn.Conv2d, x: torch.Tensor, g: torch.Tensor) -> np.ndarray:
    """Return x^T g of a convolution, float64 (k, c, kh, kw); exact for integers, whose sums stay below 2^53."""
    columns = F.unfold(x.double(), layer.kernel_size, padding=layer.padding, stride=layer.stride)
    gradient = g.double().flatten(2).transpose(0, 1).flatten(1)
    return (gradient @ columns.transpose(0, 1).flatten(1).T).reshape(layer.weight.shape).numpy()


def _wrong(a: np.ndarray, b: np.ndarray) -> int:
    return int((np.sign(a) != np.sign(b)).sum())


def _decisions(p: np.ndarray, full: np.ndarray, beta: Fraction) -> dict:
    decided, counts = decide(p, full, beta)
    blocks = {f"{k} x {c}": whole_blocks(decided, k, c) for k, c in SHAPES}
    blocks[TAPS] = whole_blocks(decided, 1, 1, taps=True)
    return {"beta": str(beta), "largest": int(np.abs(p).max()), "blocks": blocks, **vars(counts)}


def train(
    module: nn.Module, batches: Batches, exponent: int, steps: int, at: tuple[int, ...]
) -> Iterator[tuple[int, float, list[dict]]]:
    """Train by SGD (0.1 falling linearly to 0, momentum 0.9, weight decay 1e-4) and measure after the iterations in `at`.

    Args:
        exponent: of the images.

    Yields:
        Iteration, mean loss of the last 20 iterations and the records of `measure` on the next mini-batch.
    """
    optimiser = torch.optim.SGD(module.parameters(), 0.1, 0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: 1 - i / steps)
    losses = []

    def drawn(iteration: int) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = batches.draw(iteration)
        return torch.tensor(images) * 2.0**exponent, torch.tensor(labels)

    for iteration in range(steps):
        images, labels = drawn(iteration)
        loss = F.cross_entropy(module(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if iteration + 1 in at:
            yield iteration + 1, float(np.mean(losses[-20:])), measure(module, *drawn(iteration + 1), batches.seed)


def accuracy(module: nn.Module, images: np.ndarray, labels: np.ndarray, exponent: int) -> float:
    """Return the share of images that the network gets right, batch norm with running statistics."""
    module.eval()
    with torch.no_grad():
        parts = [torch.tensor(images[i : i + 500]) * 2.0**exponent for i in range(0, len(images), 500)]
        found = torch.cat([module(part).argmax(1) for part in parts]).numpy()
    module.train()
    return float((found == labels).mean())


def table(records: list[dict]) -> str:
    """Return a Markdown table of what `measure` found in all layers together."""
    shapes = [f"{k} x {c}" for k, c in SHAPES] + [TAPS]
    head = ["predictor", "bits are", "beta", "decided", "wrong of decided", "wrong without threshold", *shapes]
    lines = [" | ".join(head), "|".join(["---"] * len(head))]
    groups: dict[tuple, list[dict]] = {}
    for record in records:
        groups.setdefault((record["predictor"], record["msb"], record["beta"]), []).append(record)
    for key, found in groups.items():
        entries, decided, wrong, alone = (sum(r[n] for r in found) for n in ("entries", "decided", "wrong", "wrong_alone"))
        shares = [decided / entries, wrong / max(decided, 1), alone / entries]
        whole = [(sum(r["blocks"][s][1] for r in found), sum(r["blocks"][s][0] for r in found)) for s in shapes]
        shares += [some / number for number, some in ((number, some) for some, number in whole)]
        lines.append(" | ".join([*key, *(f"{100 * share:.1f}" for share in shares)]))
    return "\n".join(f"| {line} |" for line in lines)


def main() -> None:
    """Train, measure, print the tables in percent."""
    parser = argparse.ArgumentParser(description="Measure what predictive sign gradients decide on real gradients.")
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--at", type=lambda text: tuple(map(int, text.split(","))), default=(25, 800, 2500))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    start_s = time.monotonic()
    data = load_data({"kind": "cifar10_jpeg", **({"path": str(arguments.data)} if arguments.data else {})}, arguments.seed)
    batches = Batches(data, BATCH, arguments.seed, Augmentation(4, True))
    module = cifar_resnet(arguments.seed, arguments.depth).to(memory_format=torch.channels_last)
    points = []
    for iteration, loss, records in train(module, batches, data.exponent, arguments.steps, arguments.at):
        full = {p.g_full: sum(r["full_wrong"] for r in records if r["predictor"] == p.name) for p in PREDICTORS}
        entries = {p.g_full: sum(r["entries"] for r in records if r["predictor"] == p.name) for p in PREDICTORS}
        shares = ", ".join(f"{bits}-bit gradients {100 * full[bits] / entries[bits]:.2f} %" for bits in full)
        print(f"\niteration {iteration}, loss {loss:.2f}, {time.monotonic() - start_s:.0f} s; ", end="")
        print(f"signs of the full product that differ from float64's: {shares}\n\n{table(records)}", flush=True)
        points.append({"iteration": iteration, "loss": loss, "records": records})
    scored = accuracy(module, data.test, data.test_labels, data.exponent)
    print(f"\n{data.name}, ResNet-{arguments.depth}: {100 * scored:.2f} % of the test images, {time.monotonic() - start_s:.0f} s")
    if arguments.out:
        settings = {name: str(value) for name, value in vars(arguments).items()}
        arguments.out.write_text(json.dumps({"settings": settings, "test_accuracy": scored, "points": points}))


if __name__ == "__main__":
    main()
