"""What an int8-emulated training step costs beside a plain float32 step of the same network, on this machine.

    python -m algo.benchmark_step --depth 74 --batch 128 --device cuda          CIFAR ResNet-74
    python -m algo.benchmark_step --depth 8 --batch 64 --device cpu --json

Both train the same ResNet on the same random images with SGD, momentum and weight decay. The plain step is channels_last, its
images on the device; the int8 step brings its images there and numbers to the processor, as in training. Rounds alternate between
the two, and the median of each is printed; on a CPU it is of processor time, in which other programs do not count. On a GPU both
run operation by operation and as CUDA graphs, the plain one with and without TF32, the int8 one with its passes fused by
torch.compile and not; int8 variants must agree bit for bit, or it stops. What is for a GPU alone here has not been run on one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from algo import compiled
from algo.data import random_images
from algo.emulator import Emulator
from algo.export import Exported, export
from algo.graph_capture import cuda_graph, fused
from algo.int8_matmul import has_exact
from algo.models_cifar import cifar_resnet
from algo.sgd import Sgd

CLASSES, SHAPE, STEPS = 10, (3, 32, 32), 1 << 16
CALIBRATION = 8
SGD = Sgd(lr="1/10", momentum="9/10", weight_decay="1/10000", steps=STEPS)


@dataclass(frozen=True)
class Variant:
    """A step to time.

    Attributes:
        name: for the table.
        step: one iteration.
        emulator: of an int8 step; None of a plain one.
    """

    name: str
    step: Callable[[], object]
    emulator: Emulator | None = None


def plain(module: nn.Module, images: np.ndarray, labels: np.ndarray, device: str, tf32: bool, graph: bool) -> Variant:
    """Return a float32 step of a module, channels_last.

    Args:
        tf32: whether a GPU may multiply with 10-bit mantissas.
        graph: whether it is one CUDA graph.
    """
    module = module.to(device).to(memory_format=torch.channels_last).train()
    x = torch.tensor(images, device=device).float().mul_(2.0**-6).contiguous(memory_format=torch.channels_last)
    y = torch.tensor(labels, device=device)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)

    def work() -> None:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        optimiser.zero_grad(set_to_none=not graph)
        F.cross_entropy(module(x), y).backward()
        optimiser.step()

    words = [f"TF32 {'on' if tf32 else 'off'}"] * (device == "cuda") + ["graph" if graph else "eager"]
    name = f"float32, {', '.join(words)}"
    if not graph:
        return Variant(name, work)
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    return Variant(name, cuda_graph(work))


def int8(exported: Exported, images: np.ndarray, labels: np.ndarray, device: str, fuse: bool, graph: bool) -> Variant:
    """Return the emulator's step, its passes fused or not, its segments recorded as graphs or not."""
    emulator = Emulator(
        exported.step, exported.tensors, exported.state, device, threads=None, record=cuda_graph if graph else None,
        fuse=fused if fuse else None,
    )  # fmt: skip
    how = f"{'graph' if graph else 'eager'}{', fused' if fuse else ''}" if device == "cuda" else ("torch", "compiled")[
        compiled.runs_on(torch.device(device))]  # fmt: skip
    on_device = torch.tensor(images, device=device)
    return Variant(f"int8, {how}", lambda: emulator.train_step(on_device, labels), emulator)


def variants(depth: int, batch: int, device: str) -> list[Variant]:
    """Return the steps that are compared on a device, all of one network, freshly initialised."""
    data = random_images(0, SHAPE, batch, 0, CLASSES)
    images, labels = data.train, data.train_labels
    exported = export(cifar_resnet(0, depth), images[:CALIBRATION], labels[:CALIBRATION], data.exponent, batch, SGD)
    both = (False, True) if device == "cuda" else (False,)
    plains = [plain(cifar_resnet(0, depth), images, labels, device, tf32, graph) for tf32 in both for graph in both]
    return plains + [int8(exported, images, labels, device, fuse, graph) for fuse in both for graph in both]


def measure(found: list[Variant], device: str, rounds: int) -> dict[str, float]:
    """Return the median seconds of a step by variant; each takes its turn in every round, the first three being left out."""
    clock = time.perf_counter if device == "cuda" else time.process_time
    seconds = {one.name: [] for one in found}
    for number in range(rounds + 3):
        for one in found:
            _wait(device)
            start_s = clock()
            one.step()
            _wait(device)
            if number >= 3:
                seconds[one.name].append(clock() - start_s)
    _check_equal([one.emulator for one in found if one.emulator])
    return {name: statistics.median(times) for name, times in seconds.items()}


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _check_equal(emulators: list[Emulator]) -> None:
    """Raise SystemExit where int8 variants have trained to different weights."""
    first, *others = (one.tensors() for one in emulators)
    for other in others:
        wrong = [name for name, value in first.items() if not np.array_equal(value, other[name])]
        if wrong:
            raise SystemExit(f"int8 variants differ in {len(wrong)} tensors, {wrong[0]} first; they must be equal")


def report(depth: int, batch: int, device: str, rounds: int) -> dict:
    """Return the measurement as JSON data; `ratios` are of every int8 variant to every plain one."""
    seconds = measure(variants(depth, batch, device), device, rounds)
    ratios = {f"{one} / {other}": seconds[one] / seconds[other]
              for one in seconds for other in seconds if one.startswith("int8") and other.startswith("float32")}  # fmt: skip
    name = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} CPU threads"
    return {
        "schema": 1, "network": f"CIFAR ResNet-{depth}", "batch_size": batch, "device": device, "on": name, "rounds": rounds,
        "clock": "wall" if device == "cuda" else "processor time", "torch": torch.__version__,
        "int8_products": "int8" if has_exact(device) else "float64", "step_s": seconds, "ratios": ratios,
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time an int8-emulated training step beside a plain float32 one.")
    parser.add_argument("--depth", type=int, default=74, help="of the CIFAR ResNet: 6 n + 2")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="of a CPU")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.device == "cuda" and not torch.cuda.is_available():
        parser.error(f"--device cuda: PyTorch {torch.__version__} finds no CUDA device here; use --device cpu")
    torch.set_num_threads(asked.threads)
    found = report(asked.depth, asked.batch, asked.device, asked.rounds)
    if asked.json:
        print(json.dumps(found, indent=1))
        return
    print(f"{found['network']}, batch {asked.batch}, {found['on']}, torch {found['torch']}, {found['int8_products']} products")
    for name, step_s in found["step_s"].items():
        print(f"  {name:28} {1000 * step_s:10.2f} ms")
    for name, ratio in found["ratios"].items():
        print(f"  {name:58} {ratio:6.2f}")


if __name__ == "__main__":
    main()
