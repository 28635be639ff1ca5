"""The workloads of `joulegrad bench sweep`: kinds of work that excite the parts of the board separately, and training itself.

A unit is what is simulated once, cycle by cycle: one launch of a program, or the mean of a few training iterations. A
run replays its unit for as long as the measurement takes. Repeats of a workload draw other operands.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from host.board import Board, BoardError, open_board
from host.processor_work import ProcessorWork
from host.virtual_rails import ACTIVITY
from hw import isa
from hw.config import Config
from hw.program import Program

FAMILIES = ("forward", "grad_input", "grad_weight", "predictor", "memory", "vector", "training", "idle")
"""Array-bound by product, memory-bound, bound by the vector unit, whole training steps, and a core that rests."""

UNIT_CYCLES = 1 << 17
"""Length aimed at for a launch: the processor's start and end of it are a tenth of its time."""

TRAINING_ITERATIONS = 2

EXPORTING = threading.Lock()
"""Torch seeds and traces modules through globals, so only one thread at a time makes and exports a network."""

REST_S = 0.01
COPIED_BYTES = 1 << 20
DDR_BYTES = 1 << 20


@dataclass(frozen=True)
class Unit:
    """What one unit of a workload does; see Workload.

    Attributes:
        core_s: time of the core, 0 where it rests.
        rest_s: time in which core and processor rest.
        counters, activity: of the core; all 0 where it rests.
        work: of the processor.
        iterations: training iterations in it, 0 elsewhere.
        simulated: how often it was simulated, for the record of what is replayed.
    """

    core_s: float
    rest_s: float
    counters: dict[str, int]
    activity: dict[str, int]
    work: ProcessorWork
    iterations: int
    simulated: int


@dataclass(frozen=True)
class Workload:
    """A named kind of work.

    Attributes:
        name: unique.
        family: of FAMILIES.
        says: what it is, in words.
        simulate: (configuration, seed) to its unit. Raises BoardError, CompileError.
    """

    name: str
    family: str
    says: str
    simulate: Callable[[Config, int], Unit]


def workloads() -> list[Workload]:
    """Return all workloads, by family."""
    found = [_product(kind, *shape) for kind in FAMILIES[:4] for shape in SHAPES]
    found += [_exercise("memory", kind, statistic) for kind, statistic in MEMORY]
    found += [_exercise("vector", kind, statistic) for kind, statistic in VECTOR]
    found += [_training(*network) for network in TRAINING]
    return found + [Workload(f"idle_{name}", "idle", says, simulate) for name, says, simulate in IDLE]


SHAPES = (
    ("random", "3x3", dict(n=8, c=2, k=2, h=16, w=16, r=3, stride=1, pad=1)),
    ("quiet", "3x3 deep", dict(n=16, c=4, k=2, h=8, w=8, r=3, stride=1, pad=1)),
    ("sparse", "1x1", dict(n=24, c=4, k=4, h=16, w=16, r=1, stride=1, pad=0)),
    ("small", "3x3 stride 2", dict(n=24, c=2, k=4, h=16, w=16, r=3, stride=2, pad=1)),
)
"""Statistic of the operands, name, and sizes; c and k in groups of the array's side."""

MEMORY = (("read", "random"), ("write", "quiet"), ("copy", "sparse"), ("gather", "random"))
VECTOR = (("scale", "random"), ("add", "quiet"), ("normalise", "sparse"), ("update", "small"))


def _product(kind: str, statistic: str, says: str, sizes: dict[str, int]) -> Workload:
    def simulate(config: Config, seed: int) -> Unit:
        from host.check import first_difference
        from hw.compile_kernel import compile_kernel

        scaled = sizes | {"c": sizes["c"] * config.g, "k": sizes["k"] * config.g}
        kernel = compile_kernel(kind, **scaled, config=config, seed=seed, statistic=statistic)
        memory = kernel.program.memory
        unit, ddr = _launched(kernel.program, config)
        difference = first_difference({kernel.result: memory.read(ddr, kernel.result)}, {kernel.result: kernel.expected})
        if difference is not None:
            raise BoardError(f"workload {kind}_{statistic} computed {difference}: its energy would be that of an error")
        return unit

    return Workload(f"{kind}_{statistic}", kind, f"{kind} {says}, {statistic} operands", simulate)


def _exercise(family: str, kind: str, statistic: str) -> Workload:
    def simulate(config: Config, seed: int) -> Unit:
        from hw.compile_exercise import compile_exercise

        times = max(1, min(UNIT_CYCLES // config.vector_words, 256))
        return _launched(compile_exercise(kind, times, config, seed, statistic), config)[0]

    return Workload(f"{family}_{kind}", family, f"{kind}, {statistic} data", simulate)


def _launched(program: Program, config: Config) -> tuple[Unit, np.ndarray]:
    """Run a program's segment once; return the unit, with the registers that starting and ending it took, and the DDR it left."""
    from hw.compile import CLEAR
    from hw.compile_kernel import SEGMENT

    with open_board("sim", config, ddr_bytes=_power_of_two(program.ddr_bytes)) as board:
        board.write(0, program.image())
        for name in (CLEAR, SEGMENT):
            before = board.register_accesses
            board.start(program.segments[name].address, program.segments[name].count)
            counters = board.wait()
        work = ProcessorWork(register_accesses=board.register_accesses - before)
        unit = Unit(counters["cycles"] / config.clk_hz, 0.0, counters, board.activity(), work, 0, 1)
        return unit, board.read(0, program.ddr_bytes)


TRAINING = (
    ("digits_32", "digits network, batch 32", 1, (16, 32), 8, 32),
    ("digits_8", "digits network, batch 8", 1, (16, 32), 8, 8),
    ("narrow_16", "digits network of half the width, batch 16", 1, (8, 16), 8, 16),
    ("colour_8", "two residual blocks on random 16 x 16 colour images, batch 8", 3, (16, 32), 16, 8),
)
"""Name, what it is, image channels, widths, side of the images, images of a mini-batch (fewer on an array below 16 x 16)."""


def _training(name: str, says: str, channels: int, widths: tuple[int, ...], side: int, batch: int) -> Workload:
    def simulate(config: Config, seed: int) -> Unit:
        from algo.data import load_digits, mini_batch, random_images
        from algo.export import export
        from algo.models import residual_network
        from algo.train import digits_sgd
        from hw.compile import compile_step

        images = max(2, batch * min(config.g, 16) // 16)
        data = load_digits(seed) if channels == 1 else random_images(seed, (channels, side, side), 4 * batch, 1)
        batches = []
        for iteration in range(TRAINING_ITERATIONS):
            drawn = mini_batch(len(data.train), images, seed, iteration)
            batches.append((data.train[drawn], data.train_labels[drawn]))
        with EXPORTING:
            module = residual_network(seed, channels, widths)
            exported = export(module, *batches[0], data.exponent, images, digits_sgd(), seed)
        program = compile_step(exported.step, config, exported.tensors, exported.state)
        with open_board("sim", config, ddr_bytes=_power_of_two(program.ddr_bytes)) as board:
            return _trained(board, program, exported.state, batches)

    return Workload(f"training_{name}", "training", says, simulate)


def _trained(board: Board, program, state, batches) -> Unit:
    from host.iteration import summed
    from host.runtime import Runtime

    iterations = list(Runtime(board, program, state).train(batches))
    counters = summed(one.total_counters() for one in iterations)
    work = summed(dataclasses.asdict(one.processor) for one in iterations)
    activity = summed(one.total_activity() for one in iterations)
    n = len(iterations)
    return Unit(counters["cycles"] / board.clk_hz, 0.0, counters, activity, ProcessorWork(**work), n, n)


def _at_rest(rest_s: float, work: ProcessorWork) -> Unit:
    """Return a unit in which the core rests and counts nothing."""
    return Unit(0.0, rest_s, dict.fromkeys(isa.COUNTER_NAMES, 0), dict.fromkeys(ACTIVITY, 0), work, 0, 0)


def _rests(config: Config, seed: int) -> Unit:
    return _at_rest(REST_S, ProcessorWork())


def _naps(config: Config, seed: int) -> Unit:
    return _at_rest(REST_S, ProcessorWork(register_accesses=50))


def _polls(config: Config, seed: int) -> Unit:
    return _at_rest(0.0, ProcessorWork(register_accesses=1000))


def _copies(config: Config, seed: int) -> Unit:
    return _at_rest(0.0, ProcessorWork(copied_bytes=COPIED_BYTES))


def _fills(config: Config, seed: int) -> Unit:
    return _at_rest(REST_S, ProcessorWork(copied_bytes=COPIED_BYTES))


IDLE = (
    ("rest", "core and processor at rest, as in the idle windows", _rests),
    ("nap", "core at rest; the processor looks at its registers now and then", _naps),
    ("poll", "core at rest; the processor polls its registers", _polls),
    ("copy", "core at rest; the processor copies memory", _copies),
    ("fill", "core at rest; the processor copies memory a third of the time", _fills),
)


def _power_of_two(nbytes: int) -> int:
    return max(DDR_BYTES, 1 << (nbytes - 1).bit_length())
