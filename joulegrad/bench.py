"""`joulegrad bench WHAT`: train on a board, optionally checked bit for bit, and report what was learned and what it cost.

A PROGRAM.jg is trained with numpy alone. PyTorch is imported where a recipe has to be exported first, or a run is checked.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from algo.policies.method import Course, Method, drawn_batches
from host import provenance
from host.board import Board, open_board
from host.check import CounterMismatch, Mismatch
from host.checked_run import CheckedRun
from host.iteration import Iteration
from host.packed_program import PackedProgram
from host.predictions import Predictions
from host.readings import HOST_CLOCK, VIRTUAL_CLOCK
from host.run_folder import RunFolder, RunFolderError, check_vacant, new_run_dir
from host.runtime import Runtime, check_identity
from host.trace_file import TRACE
from host.virtual_rails import LEVELS_SAID, RailLevels, Spread
from hw.compile import weight_shapes
from hw.config import Config
from hw.program import Program, write_program
from joulegrad import virtual_time
from joulegrad.board_checkpoints import BoardCheckpoints
from joulegrad.earlier import read_earlier
from joulegrad.emulation import Emulation
from joulegrad.learned import Learned, iteration_of, line_of
from joulegrad.packing import Asked, asked
from joulegrad.peak import peak_share
from joulegrad.real_time import Again, RealTime
from joulegrad.screen import Screen
from joulegrad.settings import BenchSettings, SettingError
from joulegrad.watch import Watch, sensors_for
from joulegrad.watched import INTERPRETER, idle_definition, watched
from measurements.energy_model import TABLE, load_table
from measurements.pictures import PictureError, RunCurves, draw_run, draw_shares
from measurements.recompute import ENERGY_TABLE, recompute
from measurements.run_energy import EnergyMeter
from measurements.table_validity import check_valid

PROGRAM = "program.zip"
SMALLEST_DDR = 1 << 20
SIGNATURE_DDR = 1 << 18
CYCLES_LIMIT = 0.01
"""Relative error of predicted cycles that --check allows a segment on the simulated board without random stalls: room for
divisions and roots, whose times follow from their operands. With random stalls the error is reported only."""


def run_bench(settings: BenchSettings, screen: Screen) -> dict:
    """Train what is asked for and return the run's JSON data; the run folder holds the same and more.

    Raises:
        ConfigError, CompileError, RecipeError, ProgramError, BoardError, SensorError, SamplerError, SettingError,
        MethodError, EnergyTableError, RunFolderError, CheckpointError, TraceError, Mismatch, ToolError: each with one sentence.
    """
    if settings.check:
        _need_torch()
    wanted = asked(settings.what, settings.config, settings.steps, settings.batch_size, settings.seed, settings.method)
    earlier = read_earlier(settings.resume, _about(settings, wanted)) if settings.resume else None
    options = settings.stalls.options(settings.board)
    board = open_board(settings.board, wanted.config, **options)  # one that cannot be had is refused before the work
    sensors = sensors_for(settings.board, board.clock, settings.sensors)
    settings.check_watched(bool(sensors), board.clock == VIRTUAL_CLOCK)
    _meter(settings, wanted.config)
    path = settings.out or new_run_dir(f"{wanted.recipe.name}-{settings.board.partition('?')[0]}")
    check_vacant(path)
    packed = wanted.pack()
    _executed(packed)
    with open_board(settings.board, wanted.config, ddr_bytes=_ddr_bytes(packed.program), **options) as board:
        check_identity(board, packed.program)
        meter = _meter(settings, dataclasses.replace(wanted.config, clk_hz=round(board.clk_hz)))
        with RunFolder(path, _record(settings, wanted, packed, board, meter, sensors)) as folder:
            screen.facts["run_dir"] = str(folder.path)
            shutil.copyfile(settings.energy_table or TABLE, folder.path / ENERGY_TABLE)
            _keep(packed.program, folder.path / PROGRAM)
            checkpoints = BoardCheckpoints(folder, _about(settings, wanted), earlier, settings.checkpoint_every)
            learned, checked = _on_board(settings, packed, board, meter, sensors, checkpoints, screen)
            result = _result(settings, packed, learned, len(checkpoints.lines), folder.path) | checked
            folder.update(result=result, versions=provenance.versions())
            _draw(folder.path, settings, packed, learned, meter, screen)
    return result


def _on_board(
    settings: BenchSettings, packed: PackedProgram, board: Board, meter: EnergyMeter, sensors: tuple[str, ...],
    checkpoints: BoardCheckpoints, screen: Screen,
) -> tuple[Learned, dict]:  # fmt: skip
    """Train, measure where sensors watch, and evaluate; return what was learned and what was checked."""
    folder = checkpoints.folder
    with watched(settings, sensors, board, packed.program, folder, screen) as watch:
        run = _runner(board, packed, settings, checkpoints)
        runtime = _runtime(run)
        course = checkpoints.course(packed, runtime)
        for note in course.notes:
            screen.say(note)
        folder.update(notes=list(course.notes))
        learned = _train(run, packed, course, meter, checkpoints, screen, watch)
        if watch:
            _measure(watch, runtime, packed, settings, screen)
    if watch:
        folder.update(replayed=watch.replayed, planned=watch.planned, calibrations=watch.calibrations)
        screen.say(f"planned: {watch.planned['said']}")
    images = packed.images
    screen.say(f"evaluating {len(images.test)} held-out images")
    learned.evaluation = runtime.evaluate(images.test, images.test_labels, course.evaluation_gates())
    if isinstance(run, CheckedRun):
        return learned, {"counters_exact": True, "cycles_predicted_error": run.cycles_error}
    return learned, {"counters_exact": None, "cycles_predicted_error": None}


def _need_torch() -> None:
    """Raise SettingError where there is nothing that a run could be checked against."""
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        raise SettingError(
            "--check compares every iteration with PyTorch, which is not installed here: leave it out, or check on a computer "
            "that has it"
        ) from None


def _meter(settings: BenchSettings, config: Config) -> EnergyMeter:
    """Return the meter of simulated energies. Raises EnergyTableError, also where the table is another board's."""
    meter = EnergyMeter(config, load_table(settings.energy_table or TABLE))
    check_valid(meter.table, settings.board, config, dataclasses.asdict(meter.processor))
    return meter


def _about(settings: BenchSettings, wanted: Asked) -> dict:
    """What a checkpoint must agree on. The board's kind is part of it: what it cost is that board's."""
    return {
        "recipe": wanted.recipe.to_json(), "seed": wanted.seed,
        "method": Method.from_settings(wanted.method, wanted.recipe.methods).to_json(), "arithmetic": "int8",
        "board": settings.board.partition(":")[0].partition("?")[0], "stalls": settings.stalls.probability,
        "config": wanted.config.name, "config_hash": f"{wanted.config.config_hash:08x}",
    }  # fmt: skip


def _record(
    settings: BenchSettings, wanted: Asked, packed: PackedProgram, board: Board, meter: EnergyMeter, sensors: tuple[str, ...]
) -> dict:
    """Return what run.json says from the start."""
    facts = board.facts()
    return {
        "benchmark": wanted.recipe.name,
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        "recipe": wanted.recipe.to_json(),
        "packed": {"path": wanted.path, "sha256": wanted.digest, "made": wanted.packed.made} if wanted.packed else None,
        "program": PROGRAM,
        "board": settings.board,
        "clock": board.clock,
        **({"board_facts": facts} if facts else {}),
        "config": dataclasses.asdict(meter.config),
        "config_hash": f"{wanted.config.config_hash:08x}",
        "seed": wanted.seed,
        "method": _about(settings, wanted)["method"],
        "resumed_from": str(settings.resume) if settings.resume else None,
        "batch_size": wanted.recipe.batch,
        "steps": packed.iterations,
        "check": settings.check,
        "stall_probability": settings.stalls.probability,
        "sensors": list(sensors),
        "watched": INTERPRETER if sensors and board.clock is None else "",
        "trace": TRACE if sensors else None,
        "idle_definition": idle_definition(board.clock) if sensors else None,
        "energy_assumptions": {
            "simulated": {"table": meter.table.name, "validity": meter.table.validity},
            "emulated": {"levels": dataclasses.asdict(RailLevels()), "spread": dataclasses.asdict(Spread()), "said": LEVELS_SAID},
            "processor_time": dataclasses.asdict(meter.processor),
        },
    }


def _measure(watch: Watch, runtime: Runtime, packed: PackedProgram, settings: BenchSettings, screen: Screen) -> None:
    """Have the run repeated and measured, on virtual time or in real time."""
    if isinstance(watch, Emulation):
        screen.say("idle, signatures and repeats are fast-forwarded on virtual time")
        watch.after()
        return
    again = Again(
        lambda: runtime.restart(packed.program.state), lambda: [done.loss for done in _follow(runtime, packed)]
    )
    watch.after(again, pilot=not settings.check)


def _keep(program: Program, path: Path) -> None:
    try:
        write_program(program, path)
    except OSError as error:
        raise RunFolderError(f"{path} cannot be written: {error.strerror or error}") from None


def _ddr_bytes(program: Program) -> int:
    return max(SMALLEST_DDR, 1 << (program.ddr_bytes + SIGNATURE_DDR - 1).bit_length())


def _runner(board: Board, packed: PackedProgram, settings: BenchSettings, checkpoints: BoardCheckpoints) -> CheckedRun | Runtime:
    """Return what trains, where the run begins or goes on."""
    program = packed.program
    tensors, state = checkpoints.begins(first_tensors(program), program.state)
    if not settings.check:
        runtime = Runtime(board, program, program.state)
        checkpoints.put_back(runtime)
        return runtime
    from algo.emulator import Emulator
    from algo.trainer import Trainer

    limited = settings.board == "sim" and not settings.stalls.probability
    checked = CheckedRun(
        board, program, program.state, Trainer(Emulator(program.step, tensors, state), checkpoints.course(packed)),
        cycles_limit=CYCLES_LIMIT if limited else None,
    )  # fmt: skip
    checkpoints.put_back(checked.runtime)
    return checked


def first_tensors(program: Program) -> dict[str, np.ndarray]:
    """Return the tensors that training starts from, in the module's shapes, as they were exported."""
    shapes = weight_shapes(program.step)
    tables = {name: program.memory[name].shape for name in program.step.tables}
    return {name: program.tensors[name].reshape(shape) for name, shape in {**shapes, **tables}.items() if name in program.tensors}


def _follow(run: CheckedRun | Runtime, packed: PackedProgram, course: Course | None = None) -> Iterator[Iteration]:
    """Train from where the board's state is to the end of the method's course and yield the executed iterations.

    Args:
        course: to follow; by default a new one.
    """
    course, state = course or packed.course(), _runtime(run).state
    draw = packed.recipe.batches(packed.images, packed.seed).draw
    return run.train(drawn_batches(draw, course, state.iteration), course)


def _runtime(run: CheckedRun | Runtime) -> Runtime:
    return run.runtime if isinstance(run, CheckedRun) else run


def _executed(packed: PackedProgram) -> int:
    """Return how many of the drawn iterations will be executed. Raises SettingError where none is."""
    course = packed.course()
    executed = sum(course.executes(iteration) for iteration in range(packed.iterations))
    if not executed:
        asked_for = f"method {packed.method} with {packed.iterations} iterations and seed {packed.seed}"
        raise SettingError(f"{asked_for} drops every mini-batch: draw more iterations")
    return executed


def _train(
    run: CheckedRun | Runtime, packed: PackedProgram, course: Course, meter: EnergyMeter, checkpoints: BoardCheckpoints,
    screen: Screen, watch: Watch | None,
) -> Learned:  # fmt: skip
    """Take note of the iterations behind a run that goes on, and train the others; checkpoints on the way and at the end."""
    runtime, learned, program = _runtime(run), Learned(), packed.program
    predictions = Predictions(program, runtime.board.config) if runtime.board.clock is None else None
    real_time = runtime.board.clock == HOST_CLOCK

    def note(line: dict) -> None:
        energy = meter.add_line(line, real_time)
        checkpoints.folder.append(line | {"energy": energy.to_json() if energy else None})
        learned.add(line, program.step)

    for line in checkpoints.lines:
        note(line)
    if watch and checkpoints.lines:
        _behind(watch, checkpoints.lines, meter)
    checkpoints.keep(runtime, course)
    try:
        with screen.progress("iteration", _executed(packed) - len(checkpoints.lines)) as step:
            for iteration in _follow(run, packed, course):
                note(line_of(iteration, predictions))
                if isinstance(watch, Emulation):
                    watch.iteration(virtual_time.iteration(iteration, meter.config, meter.processor))
                elif isinstance(watch, RealTime):
                    watch.iteration(iteration)
                checkpoints.executed(runtime, course)
                step(f"loss {iteration.loss:.4f}{_power(watch)}")
    except Mismatch as error:
        screen.facts["counters_exact" if isinstance(error, CounterMismatch) else "bit_exact"] = False
        raise
    checkpoints.keep(runtime, course)
    return learned


def _behind(watch: Watch, lines: Sequence[dict], meter: EnergyMeter) -> None:
    """Tell what watches of iterations that an earlier run executed: on virtual time they are laid down again as recorded."""
    if isinstance(watch, RealTime):
        watch.behind([line["loss"] for line in lines], sum(line["host_s"] for line in lines))
    elif isinstance(watch, Emulation):
        watch.behind([virtual_time.iteration(iteration_of(line), meter.config, meter.processor) for line in lines])


def _power(watch: Watch | None) -> str:
    """Return what the board draws at the moment, for the progress line."""
    power_w = watch.power_w() if watch else None
    return "" if power_w is None else f", {power_w:.3f} W {watch.label}"


def _result(settings: BenchSettings, packed: PackedProgram, learned: Learned, behind: int, run_dir: Path) -> dict:
    """Return the run's result; all that is joules comes from the run folder, as `joulegrad recompute` takes it from there.

    Args:
        behind: iterations that an earlier run executed.
    """
    executed, cycles = len(learned.losses), learned.counters.get("cycles", 0)
    predicted = learned.predicted_cycles
    return {
        **recompute(run_dir, need_trace=False),
        "benchmark": packed.recipe.name,
        "data": packed.images.name,
        "board": settings.board,
        "config": packed.config.name,
        "batch_size": packed.recipe.batch,
        "seed": packed.seed,
        "method": packed.method,
        "stall_probability": settings.stalls.probability,
        "accuracy": learned.evaluation.accuracy,
        "test_images": learned.evaluation.images,
        "test_loss": learned.evaluation.loss,
        "loss": learned.losses[-1],
        "host_s": learned.host_s,
        "iterations_here": executed - behind,
        "cycles_per_iteration": cycles / executed if cycles else None,
        "predicted_cycles_per_iteration": predicted / executed if predicted else None,
        "array_peak_share": peak_share(learned.macs, cycles, packed.config.g) if cycles else None,
        "bit_exact": True if settings.check else None,
        "run_dir": str(run_dir),
    }


def _draw(
    path: Path, settings: BenchSettings, packed: PackedProgram, learned: Learned, meter: EnergyMeter, screen: Screen
) -> None:
    """Draw the run's pictures; without matplotlib the run stands and the message says what is missing."""
    title = f"{packed.recipe.name} on {settings.board} ({packed.config.name}), batch {packed.recipe.batch}, seed {packed.seed}"
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
