"""`joulegrad bench speed`: how fast the simulator is, and how much of the array's peak whole training iterations reach."""

from __future__ import annotations

from dataclasses import dataclass

from algo.data import Images, load_digits, mini_batch, random_images
from algo.export import export
from algo.models import digits_network, resnet8
from algo.train import digits_sgd
from host.benchmark_sim import simulator_speed
from host.board import open_board
from host.runtime import Runtime
from hw.compile import compile_step
from hw.config import Config, load_config
from joulegrad.peak import peak_share, training_macs
from joulegrad.screen import Screen

SEED = 0


@dataclass(frozen=True)
class Workload:
    """A network, its batch and its images; `iterations` of it are run and the last one is reported."""

    name: str
    module: object
    data: Images
    batch: int
    iterations: int = 2


def workloads() -> list[Workload]:
    """Return the two networks that the project reports: digits at batch 32, ResNet-8 on 32 x 32 images at batch 8."""
    return [
        Workload("digits", digits_network(SEED), load_digits(SEED), 32),
        Workload("ResNet-8 32x32", resnet8(SEED), random_images(SEED, (3, 32, 32), 16, 1), 8),
    ]


def run_speed(config_name: str, screen: Screen) -> dict:
    """Time the simulator and run the workloads on it.

    Returns:
        JSON data: simulated core cycles per second (one thread, operands of all three products), and per network cycles,
        macs, share of peak and counters of one iteration.
    """
    config = load_config(config_name)
    screen.say("timing the simulator")
    speed = simulator_speed(config)
    networks = []
    for workload in workloads():
        screen.say(f"{workload.name}: {workload.iterations} training iterations")
        networks.append(_measure(workload, config))
    return {
        "schema": 1,
        "board": "sim",
        "config": config.name,
        "simulator_cycles_per_s": speed.cycles_per_second,
        "timed_cycles": speed.cycles,
        "timed_s": speed.seconds,
        "networks": networks,
    }


def _measure(workload: Workload, config: Config) -> dict:
    """Return a network's JSON data, of its last iteration."""
    data, batch = workload.data, workload.batch
    batches = []
    for iteration in range(workload.iterations):
        drawn = mini_batch(len(data.train), batch, SEED, iteration)
        batches.append((data.train[drawn], data.train_labels[drawn]))
    exported = export(workload.module, *batches[0], data.exponent, batch, digits_sgd(), SEED)
    program = compile_step(exported.step, config, exported.tensors, exported.state)
    with open_board("sim", config, ddr_bytes=1 << (program.ddr_bytes - 1).bit_length()) as board:
        last = list(Runtime(board, program, exported.state).train(batches))[-1]
    counters = last.total_counters()
    macs = training_macs(program.step, last.images)
    return {
        "network": workload.name,
        "batch_size": batch,
        "cycles_per_iteration": counters["cycles"],
        "macs_per_iteration": macs,
        "array_peak_share": peak_share(macs, counters["cycles"], config.g),
        "counters": counters,
        "counters_by_segment": last.counters,
    }
