"""One run of an experiment, wherever it is executed: done already, gone on with, or begun. Results and errors are plain data."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from algo.checkpoint import CheckpointError, read_checkpoint
from algo.fraction_text import read_fraction
from algo.recipe import load_recipe
from host.run_folder import RECORD, RunFolderError, read_record
from joulegrad import errors
from joulegrad.bench import run_bench
from joulegrad.earlier import CHECKPOINT
from joulegrad.experiment import PRICED, Experiment, Run
from joulegrad.experiment_quiet import Quiet, Unwanted
from joulegrad.packing import asked
from joulegrad.settings import BenchSettings, MemoryStalls, TrainSettings
from joulegrad.train import WINDOW, run_train

RUNS = "runs"


@dataclasses.dataclass(frozen=True)
class Task:
    """A run with one seed.

    Attributes:
        experiment, run, seed: which.
        folder: of the experiment.
        device: of joulegrad.settings.DEVICES.
        sensors: URLs of what watches this machine train, or the board.
        board: URL of the board that trains; "" for PyTorch.
    """

    experiment: Experiment
    run: Run
    seed: int
    folder: Path
    device: str = "cpu"
    sensors: tuple[str, ...] = ()
    board: str = ""

    @property
    def place(self) -> Path:
        """Folder of the first attempt; later ones have a number behind it."""
        return self.folder / RUNS / self.run.folder / f"seed-{self.seed}"


def execute(task: Task, needed: Mapping[str, dict]) -> dict:
    """Return the result of a task: what `joulegrad train` gives, or `joulegrad bench` of a board, with "error" in its place where
    it failed for a known reason.

    Args:
        needed: results of the runs that it needs, by name, of the same seed.
    """
    failed = next((name for name, result in needed.items() if "error" in result), None)
    if failed is not None:
        return {"error": f"it needs run {failed!r}, which failed"}
    try:
        _take_gpu(task.device)
        return _trained(task, _steps(task, needed))
    except Unwanted:
        return {"error": "it was stopped"}
    except Exception as error:
        if errors.exit_code(error) is None and not isinstance(error, OSError):
            raise
        return {"error": errors.sentence(error)}


def emulator_energy(result: Mapping) -> Mapping | None:
    """Return what training took of this machine by its first sensor, a window of `joulegrad.measure`; None where none watched,
    or where a part of the run was trained before."""
    if "energy_of_the_emulator" not in result or result["iterations_here"] != result["iterations_executed"]:
        return None
    return next((one for one in result["energy_of_the_emulator"]["windows"] if one["window"]["name"] == WINDOW), None)


def gross_j(result: Mapping) -> float:
    """Return the simulated gross joules of the result of a run that is priced."""
    return result["run_energy_j"]["simulated"]["gross"]["value"]


def _take_gpu(device: str) -> None:
    """Let the worker processes of this machine, which are numbered, have a GPU each, in turn where there are fewer.

    Workers that were started elsewhere have names of their own, and the GPU that they were started with.
    """
    distributed = sys.modules.get("distributed")
    if device != "cuda" or distributed is None:
        return
    import torch

    try:
        number = distributed.get_worker().name
    except ValueError:  # no worker: the command's own process
        return
    if isinstance(number, int) and torch.cuda.device_count():
        torch.cuda.set_device(number % torch.cuda.device_count())


def _steps(task: Task, needed: Mapping[str, dict]) -> int:
    """Return the run's length in drawn iterations; joules of a drawn iteration are those of the run that it is like."""
    run = task.run
    if run.joules_of:
        each_j = gross_j(needed[run.like]) / needed[run.like]["iterations_drawn"]
        return max(2, round(gross_j(needed[run.joules_of]) / each_j))
    steps = task.experiment.steps
    if steps is None:
        recipe = load_recipe(task.experiment.recipe)
        steps = recipe.steps or recipe.iterations(recipe.load_data(task.seed))
    return max(2, round(read_fraction(run.share) * steps))


def _trained(task: Task, steps: int) -> dict:
    """Return the result of an attempt that is done, or make another, from the last one's checkpoint where there is one."""
    attempts, resume = _attempts(task.place), None
    for attempt in attempts:
        record = read_record(attempt)
        if record["status"] == "finished":
            if record["result"]["iterations_drawn"] != steps:
                found = record["result"]["iterations_drawn"]
                raise RunFolderError(f"{attempt} is a run of {found} iterations, not {steps}: choose another --out")
            other = _other(task, steps, record)
            if other:
                raise RunFolderError(f"{attempt} is a run with {other}: choose another --out")
            return record["result"]
        resume = attempt if _resumable(attempt, steps) else resume
    number = len(attempts) + 1
    place = task.place if number == 1 else task.place.with_name(f"{task.place.name}.{number}")
    if task.board:
        return run_bench(_on_board(task, steps, place, resume), Quiet())
    settings = TrainSettings(
        task.experiment.recipe, task.run.method, task.device, steps=steps, seed=task.seed, out=place, resume=resume,
        arithmetic=task.run.arithmetic, price=task.experiment.config if task.run.arithmetic == PRICED else None,
        sensors=task.sensors,
    )  # fmt: skip
    return run_train(settings, Quiet())


def _other(task: Task, steps: int, record: dict) -> str:
    """Return in what a run that is there is another than the experiment's of today, "" where it is the same."""
    arithmetic = record.get("arithmetic", PRICED)  # boards compute nothing else, and do not say so
    if arithmetic != task.run.arithmetic:
        return f"arithmetic {arithmetic}, not {task.run.arithmetic}"
    experiment = task.experiment
    return asked(experiment.recipe, experiment.config, steps, None, task.seed, task.run.method).other(record)


def _on_board(task: Task, steps: int, place: Path, resume: Path | None) -> BenchSettings:
    return BenchSettings(
        task.experiment.recipe, task.board, task.experiment.config, steps, None, task.seed, place, False, MemoryStalls(),
        task.sensors, method=task.run.method, resume=resume,
    )  # fmt: skip


def _attempts(place: Path) -> list[Path]:
    """Return the run folders of a task in the order in which they were made: seed-1, seed-1.2, ..., and not seed-10."""
    there = [path for path in place.parent.glob(f"{place.name}*") if (path / RECORD).is_file()]
    number = {path: re.fullmatch(rf"{re.escape(place.name)}(?:\.(\d+))?", path.name) for path in there}
    return sorted((path for path in there if number[path]), key=lambda path: int(number[path][1] or 1))


def _resumable(attempt: Path, steps: int) -> bool:
    try:
        return read_checkpoint(attempt / CHECKPOINT).about["recipe"]["steps"] == steps
    except (CheckpointError, KeyError):
        return False
