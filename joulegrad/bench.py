"""`joulegrad bench digits`: train on a board, optionally checked bit for bit, and report what was learned and what it cost."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from algo.data import Images, mini_batch
from algo.emulator import Emulator
from algo.export import Exported
from algo.train import DIGITS_STEPS, export_digits
from host import provenance
from host.board import Board, open_board
from host.check import CounterMismatch, Mismatch
from host.checked_run import CheckedRun
from host.run_folder import RunFolder, RunFolderError
from host.runtime import Evaluation, Iteration, Runtime, summed
from host.signature import Busy, SignaturePlayer
from host.trace_file import TRACE
from host.virtual_rails import IDLE_DEFINITION, LEVELS_SAID, RailLevels, Spread
from hw.compile import compile_step
from hw.config import Config, load_config
from hw.program import Program, write_program
from joulegrad import virtual_time
from joulegrad.emulation import Emulation, Plan, sensors_for
from joulegrad.peak import peak_share, training_macs
from joulegrad.screen import Screen
from joulegrad.settings import BenchSettings
from measurements.energy_model import TABLE, load_table
from measurements.pictures import PictureError, RunCurves, draw_run, draw_shares
from measurements.processor_time import ProcessorWork
from measurements.recompute import ENERGY_TABLE, recompute
from measurements.run_energy import EnergyMeter
from measurements.table_validity import check_valid

RUNS = Path("runs")
PROGRAM = "program.zip"
SMALLEST_DDR = 1 << 20
SIGNATURE_DDR = 1 << 18
CYCLES_LIMIT = 0.01
"""Relative error of predicted cycles that --check allows a segment on the simulated board without random stalls: room for
divisions and roots, whose times follow from their operands. With random stalls the error is reported only."""


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
        ConfigError, CompileError, BoardError, SensorError, SamplerError, SettingError, EnergyTableError, RunFolderError,
        TraceError, Mismatch, ToolError: each with one sentence.
    """
    config = load_config(settings.config)
    options = settings.stalls.options(settings.board)
    board = open_board(settings.board, config, **options)  # one that cannot be had is refused before anything is made
    sensors = sensors_for(settings.board, board.clock, settings.sensors)
    steps = settings.steps or DIGITS_STEPS
    meter = EnergyMeter(config, load_table(settings.energy_table or TABLE))
    check_valid(meter.table, settings.board, config, dataclasses.asdict(meter.processor))
    with RunFolder(settings.out or new_run_dir(settings.board), _record(settings, config, steps, meter, sensors)) as folder:
        screen.facts["run_dir"] = str(folder.path)
        shutil.copyfile(settings.energy_table or TABLE, folder.path / ENERGY_TABLE)
        exported, data = export_digits(settings.seed, steps, settings.batch_size)
        program = compile_step(exported.step, config, exported.tensors, exported.state)
        _keep(program, folder.path / PROGRAM)
        with open_board(settings.board, config, ddr_bytes=_ddr_bytes(program), **options) as board:
            busy = _busy(board, program) if sensors else None
            run = _runner(board, program, exported, settings)
            with _emulation(settings, sensors, config, folder, busy) as emulation:
                learned = _train(run, data, steps, program, meter, folder, screen, emulation)
                if emulation:
                    screen.say("idle, signatures and repeats are fast-forwarded on virtual time")
                    emulation.after()
            if emulation:
                folder.update(replayed=emulation.replayed, planned=emulation.planned)
                screen.say(f"planned: {emulation.planned['said']}")
            runtime = run.runtime if isinstance(run, CheckedRun) else run
            screen.say(f"evaluating {len(data.test)} held-out images")
            learned.evaluation = runtime.evaluate(data.test, data.test_labels)
            checked = {"counters_exact": None, "cycles_predicted_error": None}
            if isinstance(run, CheckedRun):
                checked = {"counters_exact": True, "cycles_predicted_error": run.cycles_error}
        result = _result(settings, config, learned, folder.path) | checked
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


def _record(settings: BenchSettings, config: Config, steps: int, meter: EnergyMeter, sensors: tuple[str, ...]) -> dict:
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
        "sensors": list(sensors),
        "trace": TRACE if sensors else None,
        "idle_definition": IDLE_DEFINITION if sensors else None,
        "energy_assumptions": {
            "simulated": {"table": meter.table.name, "validity": meter.table.validity},
            "emulated": {"levels": dataclasses.asdict(RailLevels()), "spread": dataclasses.asdict(Spread()), "said": LEVELS_SAID},
            "processor_time": dataclasses.asdict(meter.processor),
        },
    }


def _busy(board: Board, program: Program) -> Busy:
    """Run what signatures are made of, behind the program in DDR, before the program is loaded."""
    return SignaturePlayer(board, base=program.ddr_bytes).busy()


@contextlib.contextmanager
def _emulation(
    settings: BenchSettings, sensors: tuple[str, ...], config: Config, folder: RunFolder, busy: Busy | None
) -> Iterator[Emulation | None]:
    """Give the run's trace under way, or None where no sensor watches."""
    if not sensors:
        yield None
        return
    known = {
        "run": folder.path.name, "idle_definition": IDLE_DEFINITION, "clk_hz": config.clk_hz, "configuration": config.name,
        "program": f"{zlib.crc32((folder.path / PROGRAM).read_bytes()):08x}",
        "checkpoint": "iteration 0",
        **{name: folder.record[name] for name in ("commit", "board", "seed")},
    }  # fmt: skip
    plan = Plan(settings.repeats, requested=settings.relative_u)
    with Emulation(folder.path / TRACE, sensors, config, known, plan) as emulation:
        emulation.before(busy)
        yield emulation


def _keep(program: Program, path: Path) -> None:
    try:
        write_program(program, path)
    except OSError as error:
        raise RunFolderError(f"{path} cannot be written: {error.strerror or error}") from None


def _ddr_bytes(program: Program) -> int:
    return max(SMALLEST_DDR, 1 << (program.ddr_bytes + SIGNATURE_DDR - 1).bit_length())


def _runner(board, program: Program, exported: Exported, settings: BenchSettings) -> CheckedRun | Runtime:
    if not settings.check:
        return Runtime(board, program, exported.state)
    limited = settings.board == "sim" and not settings.stalls.probability
    return CheckedRun(
        board, program, exported.state, Emulator(exported.step, exported.tensors, exported.state),
        cycles_limit=CYCLES_LIMIT if limited else None,
    )


def _batches(data: Images, steps: int, batch: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for iteration in range(steps):
        drawn = mini_batch(len(data.train), batch, seed, iteration)
        yield data.train[drawn], data.train_labels[drawn]


def _train(
    run: CheckedRun | Runtime, data: Images, steps: int, program: Program, meter: EnergyMeter, folder: RunFolder, screen: Screen,
    emulation: Emulation | None,
) -> Learned:  # fmt: skip
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
                if emulation:
                    emulation.iteration(virtual_time.iteration(iteration, meter.config, meter.processor))
                step(f"loss {iteration.loss:.4f}{_power(emulation)}")
    except Mismatch as error:
        screen.facts["counters_exact" if isinstance(error, CounterMismatch) else "bit_exact"] = False
        raise
    return learned


def _power(emulation: Emulation | None) -> str:
    """Return what the board draws at the moment, for the progress line."""
    power_w = emulation.power_w() if emulation else None
    return "" if power_w is None else f", {power_w:.3f} W emulated"


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


def _result(settings: BenchSettings, config: Config, learned: Learned, run_dir: Path) -> dict:
    """Return the run's result; all that is joules comes from the run folder, as `joulegrad recompute` takes it from there."""
    executed, cycles = len(learned.losses), learned.counters.get("cycles", 0)
    return {
        **recompute(run_dir, need_trace=False),
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
        "run_dir": str(run_dir),
    }


def _draw(path: Path, settings: BenchSettings, learned: Learned, meter: EnergyMeter, screen: Screen) -> None:
    """Draw the run's pictures; without matplotlib the run stands and the message says what is missing."""
    title = f"digits on {settings.board} ({settings.config}), batch {settings.batch_size}, seed {settings.seed}"
    energies = [iteration.to_json() for iteration in meter.iterations]
    curves = RunCurves(
        title,
        learned.losses,
        learned.right,
        [(len(learned.losses), learned.evaluation.accuracy)],
        {"simulated": [one["simulated"]["gross_j"] for one in energies]} if energies else {},
        [iteration.energy_j for iteration in meter.iterations],
    )
    try:
        draw_run(curves, path / "run.png")
        if meter.iterations:
            draw_shares(title, *meter.shares(), path / "shares.png")
    except PictureError as error:
        screen.say(f"no pictures: {error}")
