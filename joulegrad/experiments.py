"""`joulegrad experiments`: runs of an experiment, in PyTorch or on boards, here or on a Dask cluster; table, pictures, page."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

from algo.arithmetic import ARITHMETIC_VERSION
from algo.recipe import load_recipe
from host import provenance
from host.board import open_board
from host.run_folder import new_run_dir, write_atomically
from hw.config import load_config
from joulegrad.experiment import PRICED, Experiment, ExperimentError, Run, load_experiment
from joulegrad.experiment_cluster import on_cluster
from joulegrad.experiment_lock import only_here
from joulegrad.experiment_report import PICTURE, compared, draw, page, table
from joulegrad.experiment_run import RUNS, Task, execute
from joulegrad.measurement import measure
from joulegrad.screen import Screen
from joulegrad.settings import ExperimentSettings
from joulegrad.train import check_device
from joulegrad.watch import sensors_for

RESULTS, REPORT, ASKED = "experiment.json", "report.md", "asked.json"


def run_experiments(settings: ExperimentSettings, screen: Screen) -> dict:
    """Execute what is not done yet and return the experiment's JSON data, which its folder holds as well.

    Raises:
        ExperimentError, MethodError, RecipeError, ConfigError, TrainError, BoardError, SensorError, SettingError: what is
            asked for cannot be.
        ModuleNotFoundError: there is no Dask.
    """
    experiment = _asked(settings)
    folder = settings.out or new_run_dir(f"experiment-{experiment.name}")
    folder.mkdir(parents=True, exist_ok=True)
    _check_own(folder)
    with only_here(folder, screen):
        try:
            return _run(experiment, folder, settings, screen)
        except KeyboardInterrupt as error:
            raise type(error)(f"what is done is kept, --out {folder} given again goes on") from None


def _run(experiment: Experiment, folder: Path, settings: ExperimentSettings, screen: Screen) -> dict:
    _same(experiment, folder, bool(settings.boards))
    screen.facts["run_dir"] = str(folder)
    start_s = time.monotonic()
    with screen.progress("run", len(experiment.runs) * experiment.seeds) as step:
        results = _executed(experiment, folder, settings, lambda name, seed: step(f"{name}, seed {seed}"))
    found = {
        "schema": 1, "experiment": experiment.to_json(), "device": settings.device, "boards": list(settings.boards),
        "commit": provenance.commit(), "versions": provenance.versions(), "host_s": time.monotonic() - start_s,
        "rows": table(experiment, results), **compared(experiment, results), "errors": _errors(results), "run_dir": str(folder),
    }  # fmt: skip
    write_atomically(folder / RESULTS, json.dumps(found, indent=1))
    draw(found, folder, screen)
    write_atomically(folder / REPORT, page(found))
    return found


def _asked(settings: ExperimentSettings) -> Experiment:
    experiment = load_experiment(settings.experiment)
    changes = {
        name: value for name, value in (
            ("recipe", settings.recipe), ("config", settings.config), ("seeds", settings.seeds), ("steps", settings.steps)
        ) if value is not None
    }  # fmt: skip
    experiment = dataclasses.replace(experiment, **changes)
    load_recipe(experiment.recipe)  # what is not there fails before any run does
    config = load_config(experiment.config)
    if not settings.scheduler:
        check_device(settings.device)
        for url in settings.boards:
            sensors_for(url, open_board(url, config).clock, settings.sensors_of(url))
        if settings.sensors and not settings.boards:
            measure(settings.sensors)
    return experiment.only(settings.runs) if settings.runs else experiment


def _check_own(folder: Path) -> None:
    """Raise ExperimentError where files that an experiment writes are there, and no experiment left them."""
    foreign = next((name for name in (RESULTS, REPORT, PICTURE, RUNS) if (folder / name).exists()), None)
    if foreign and not (folder / ASKED).exists():
        raise ExperimentError(f"{folder / foreign} is there already, and {folder} holds no experiment: choose another --out")


def _same(experiment: Experiment, folder: Path, on_boards: bool = False) -> None:
    """Raise ExperimentError where the folder holds runs of another experiment, or of an arithmetic with other bits, which have no
    place in one table with those to come; runs may have been added or left out."""
    path = folder / ASKED
    asked = {"recipe": experiment.recipe, "config": experiment.config, "steps": experiment.steps}
    asked |= {"trained": "on boards"} if on_boards else {}
    asked["arithmetic_version"] = ARITHMETIC_VERSION
    if path.is_file() and (folder / RUNS).is_dir():
        before = _json(path)
        if before != asked:
            raise ExperimentError(f"{folder} holds an experiment with {before}, this one has {asked}: choose another --out")
    write_atomically(path, json.dumps(asked))


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ExperimentError(f"{path} is damaged ({error}): choose another --out") from None


def _executed(experiment: Experiment, folder: Path, settings: ExperimentSettings, step) -> dict[str, list[dict]]:
    """Return results by run and seed; a single worker is this process."""
    tasks = [
        _task(experiment, run, seed, folder.absolute(), settings)
        for seed in range(experiment.seeds) for run in experiment.ordered()
    ]  # fmt: skip
    if settings.scheduler or settings.workers > 1 or len(settings.boards) > 1:
        done = on_cluster(tasks, settings, step)
    else:
        done = _here(tasks, step)
    return {run.name: [done[run.name, seed] for seed in range(experiment.seeds)] for run in experiment.runs}


def _task(experiment: Experiment, run: Run, seed: int, folder: Path, settings: ExperimentSettings) -> Task:
    """Return what is to be done of a run with a seed; all that boards compute of a seed is on one, since boards differ."""
    if not settings.boards:
        return Task(experiment, run, seed, folder, settings.device, settings.sensors)
    if run.arithmetic != PRICED:
        return Task(experiment, run, seed, folder, settings.device)
    board = settings.boards[seed % len(settings.boards)]
    return Task(experiment, run, seed, folder, settings.device, settings.sensors_of(board), board)


def _here(tasks: list[Task], step) -> dict[tuple[str, int], dict]:
    done: dict[tuple[str, int], dict] = {}
    for task in tasks:
        done[task.run.name, task.seed] = execute(task, {name: done[name, task.seed] for name in task.run.needs})
        step(task.run.name, task.seed)
    return done


def _errors(results: dict[str, list[dict]]) -> list[str]:
    return [
        f"{name}, seed {seed}: {result['error']}"
        for name, row in results.items() for seed, result in enumerate(row) if "error" in result
    ]  # fmt: skip
