"""`joulegrad bench digits`: train on a board, optionally checked bit for bit, and report what was learned and what it cost."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from algo.data import Images, mini_batch
from algo.emulator import Emulator
from algo.export import Exported
from algo.train import DIGITS_STEPS, export_digits
from host import provenance
from host.board import open_board
from host.check import CounterMismatch, Mismatch
from host.checked_run import CheckedRun
from host.run_folder import RunFolder, RunFolderError
from host.runtime import Evaluation, Iteration, Runtime, summed
from hw.compile import compile_step
from hw.config import Config, load_config
from hw.program import Program, write_program
from joulegrad.peak import peak_share, training_macs
from joulegrad.screen import Screen
from joulegrad.settings import BenchSettings
from measurements.pictures import PictureError, RunCurves, draw_run, draw_shares
from measurements.processor_time import ProcessorModel, ProcessorWork
from measurements.run_energy import EnergyMeter
from measurements.virtual_rails import LEVELS_SAID, RailLevels

RUNS = Path("runs")
SMALLEST_DDR = 1 << 20
CYCLES_LIMIT, CYCLES_LIMIT_FROM = 0.01, 8
"""Relative error of predicted cycles that --check allows a segment, on the simulated board as z7020 without random stalls and
with a mini-batch of at least so many images. Elsewhere the error is reported only: another memory takes other times, and with
few images the weight updates, where transfers and vector unit meet at one scratchpad, set the pace (2 % off at 2 images)."""


@dataclass
class Learned:
    """What a run has seen so far.

    Attributes:
        losses, right: mean cross-entropy in nats and share of right answers, per mini-batch.
        macs: multiply-accumulates asked for.
        counters: of all iterations together.
        evaluation: on the held-out images, once made.
    """

    losses: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    macs: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    evaluation: Evaluation | None = None


def run_bench(settings: BenchSettings, screen: Screen) -> dict:
    """Train the digits network and return the run's JSON data; the run folder holds the same and more.

    Raises:
        ConfigError, CompileError, BoardError, RunFolderError, Mismatch, ToolError: each with one sentence.
    """
    config = load_config(settings.config)
    options = settings.stalls.options(settings.board)
    open_board(settings.board, config, **options)  # a board that cannot be had is refused before anything is made
    steps = settings.steps or DIGITS_STEPS
    meter = EnergyMeter(config)
    with RunFolder(settings.out or new_run_dir(settings.board), _record(settings, config, steps, meter)) as folder:
        screen.facts["run_dir"] = str(folder.path)
        exported, data = export_digits(settings.seed, steps, settings.batch_size)
        program = compile_step(exported.step, config, exported.tensors, exported.state)
        _keep(program, folder.path / "program.zip")
        with open_board(settings.board, config, ddr_bytes=_ddr_bytes(program), **options) as board:
            run = _runner(board, program, exported, settings)
            learned = _train(run, data, steps, program, meter, folder, screen)
            runtime = run.runtime if isinstance(run, CheckedRun) else run
            screen.say(f"evaluating {len(data.test)} held-out images")
            learned.evaluation = runtime.evaluate(data.test, data.test_labels)
            checked = {"counters_exact": None, "cycles_predicted_error": None}
            if isinstance(run, CheckedRun):
                checked = {"counters_exact": True, "cycles_predicted_error": run.cycles_error}
        result = _result(settings, config, steps, learned, meter, folder.path) | checked
        folder.update(result=result, versions=provenance.versions())
        _draw(folder.path, settings, learned, meter, screen)
    return result


def new_run_dir(board: str, now: time.struct_time | None = None) -> Path:
    """Return the path of a run folder that is not there yet: runs/digits-<board>-<date>-<time>, numbered if need be."""
    stamp = time.strftime("%Y%m%d-%H%M%S", now or time.localtime())
    path, number = RUNS / f"digits-{board.replace(':', '-').replace('/', '-')}-{stamp}", 1
    while path.exists():
        number += 1
        path = path.with_name(f"{path.name.split('.')[0]}.{number}")
    return path


def _record(settings: BenchSettings, config: Config, steps: int, meter: EnergyMeter) -> dict:
    """Return what run.json says from the start."""
    return {
        "benchmark": "digits",
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        "board": settings.board,
        "config": dataclasses.asdict(config),
        "config_hash": f"{config.config_hash:08x}",
        "seed": settings.seed,
        "batch_size": settings.batch_size,
        "steps": steps,
        "check": settings.check,
        "stall_probability": settings.stalls.probability,
        "energy_assumptions": {
            "simulated": {"table": meter.table.name, "validity": meter.table.validity},
            "emulated": {"levels": dataclasses.asdict(RailLevels()), "said": LEVELS_SAID},
            "processor_time": dataclasses.asdict(ProcessorModel()),
        },
    }


def _keep(program: Program, path: Path) -> None:
    try:
        write_program(program, path)
    except OSError as error:
        raise RunFolderError(f"{path} cannot be written: {error.strerror or error}") from None


def _ddr_bytes(program: Program) -> int:
    return max(SMALLEST_DDR, 1 << (program.ddr_bytes - 1).bit_length())


def _runner(board, program: Program, exported: Exported, settings: BenchSettings) -> CheckedRun | Runtime:
    if not settings.check:
        return Runtime(board, program, exported.state)
    limited = (
        settings.board == "sim" and settings.config == "z7020" and not settings.stalls.probability
        and settings.batch_size >= CYCLES_LIMIT_FROM
    )  # fmt: skip
    return CheckedRun(
        board, program, exported.state, Emulator(exported.step, exported.tensors, exported.state),
        cycles_limit=CYCLES_LIMIT if limited else None,
    )


def _batches(data: Images, steps: int, batch: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for iteration in range(steps):
        drawn = mini_batch(len(data.train), batch, seed, iteration)
        yield data.train[drawn], data.train_labels[drawn]


def _train(
    run: CheckedRun | Runtime, data: Images, steps: int, program: Program, meter: EnergyMeter, folder: RunFolder, screen: Screen
) -> Learned:
    learned = Learned()
    state = (run.runtime if isinstance(run, CheckedRun) else run).state
    try:
        with screen.progress("iteration", steps) as step:
            for iteration in run.train(_batches(data, steps, program.step.batch, state.seed)):
                folder.append(_line(iteration, meter))
                learned.losses.append(iteration.loss)
                learned.right.append(iteration.correct / iteration.images)
                learned.macs += training_macs(program.step, iteration.images)
                learned.counters = summed([learned.counters, iteration.total_counters()])
                step(f"loss {iteration.loss:.4f}")
    except Mismatch as error:
        screen.facts["counters_exact" if isinstance(error, CounterMismatch) else "bit_exact"] = False
        raise
    return learned


def _line(iteration: Iteration, meter: EnergyMeter) -> dict:
    """Add the iteration to the meter and return its line for the run folder."""
    work = ProcessorWork(**dataclasses.asdict(iteration.processor))
    energy = meter.add(iteration.total_counters(), iteration.total_activity(), work)
    return {
        "iteration": iteration.number,
        "loss": iteration.loss,
        "correct": iteration.correct,
        "images": iteration.images,
        "counters": iteration.counters,
        "activity": iteration.activity,
        "processor": dataclasses.asdict(work),
        "energy": energy.to_json() if energy else None,
    }


def _result(settings: BenchSettings, config: Config, steps: int, learned: Learned, meter: EnergyMeter, run_dir: Path) -> dict:
    executed, cycles = len(learned.losses), learned.counters.get("cycles", 0)
    joules, seconds = meter.shares()
    return {
        **meter.run_energies(steps, executed).to_json(),
        "benchmark": "digits",
        "board": settings.board,
        "config": config.name,
        "batch_size": settings.batch_size,
        "seed": settings.seed,
        "stall_probability": settings.stalls.probability,
        "accuracy": learned.evaluation.accuracy,
        "test_images": learned.evaluation.images,
        "test_loss": learned.evaluation.loss,
        "loss": learned.losses[-1],
        "cycles_per_iteration": cycles / executed if cycles else None,
        "array_peak_share": peak_share(learned.macs, cycles, config.g) if cycles else None,
        "bit_exact": True if settings.check else None,
        "shares": {"simulated_j": joules.to_json(), "time_s": seconds.to_json()} if cycles else None,
        "counters": learned.counters,
        "run_dir": str(run_dir),
    }


def _draw(path: Path, settings: BenchSettings, learned: Learned, meter: EnergyMeter, screen: Screen) -> None:
    """Draw the run's pictures; without matplotlib the run stands and the message says what is missing."""
    title = f"digits on {settings.board} ({settings.config}), batch {settings.batch_size}, seed {settings.seed}"
    energies = [iteration.to_json() for iteration in meter.iterations]
    labels = [label for label in ("simulated", "emulated") if energies and all(label in one for one in energies)]
    curves = RunCurves(
        title,
        learned.losses,
        learned.right,
        [(len(learned.losses), learned.evaluation.accuracy)],
        {label: [one[label]["gross_j"] for one in energies] for label in labels},
        [iteration.energy_j for iteration in meter.iterations],
    )
    try:
        draw_run(curves, path / "run.png")
        if meter.iterations:
            draw_shares(title, *meter.shares(), path / "shares.png")
    except PictureError as error:
        screen.say(f"no pictures: {error}")
