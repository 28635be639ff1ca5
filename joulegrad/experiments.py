"""`joulegrad experiments`: all runs of an experiment, on this machine or on a Dask cluster; a table, a picture, a page."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path

from algo.recipe import load_recipe
from host import provenance
from host.run_folder import new_run_dir, write_atomically
from hw.config import load_config
from joulegrad.experiment import Experiment, ExperimentError, load_experiment
from joulegrad.experiment_report import compared, draw, page, table
from joulegrad.experiment_run import RUNS, Task, execute
from joulegrad.screen import Screen
from joulegrad.settings import ExperimentSettings
from joulegrad.train import check_device

RESULTS, REPORT, PICTURE = "experiment.json", "report.md", "energy-accuracy.png"


def run_experiments(settings: ExperimentSettings, screen: Screen) -> dict:
    """Execute what is not done yet and return the experiment's JSON data, which its folder holds as well.

    Raises:
        ExperimentError, MethodError, RecipeError, ConfigError, TrainError: what is asked for cannot be.
        ModuleNotFoundError: there is no Dask.
    """
    experiment = _asked(settings)
    folder = settings.out or new_run_dir(f"experiment-{experiment.name}")
    folder.mkdir(parents=True, exist_ok=True)
    _same(experiment, folder)
    screen.facts["run_dir"] = str(folder)
    start_s = time.monotonic()
    with screen.progress("run", len(experiment.runs) * experiment.seeds) as step, _client(settings):
        results = _executed(experiment, folder, settings, lambda name, seed: step(f"{name}, seed {seed}"))
    found = {
        "schema": 1, "experiment": experiment.to_json(), "device": settings.device, "commit": provenance.commit(),
        "versions": provenance.versions(), "host_s": time.monotonic() - start_s, "rows": table(experiment, results),
        **compared(experiment, results), "errors": _errors(results), "run_dir": str(folder),
    }  # fmt: skip
    write_atomically(folder / RESULTS, json.dumps(found, indent=1))
    draw(found, folder / PICTURE, screen)
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
    load_recipe(experiment.recipe), load_config(experiment.config)  # one that is not there fails before any run does
    if not settings.scheduler:
        check_device(settings.device)
    return experiment.only(settings.runs) if settings.runs else experiment


def _same(experiment: Experiment, folder: Path) -> None:
    """Raise ExperimentError where the folder holds runs of another experiment; runs may have been added or left out."""
    path = folder / "asked.json"
    asked = {"recipe": experiment.recipe, "config": experiment.config, "steps": experiment.steps}
    if path.is_file() and (folder / RUNS).is_dir():
        before = _json(path)
        if before != asked:
            raise ExperimentError(f"{folder} holds an experiment with {before}, this one has {asked}: choose another --out")
    write_atomically(path, json.dumps(asked))


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ExperimentError(f"{path} is damaged ({error}): choose another --out") from None


@contextlib.contextmanager
def _client(settings: ExperimentSettings) -> Iterator[None]:
    """Join the cluster that is asked for, or start one of worker processes here; a single worker is this process."""
    if not settings.scheduler and settings.workers == 1:
        yield
        return
    from distributed import Client

    made = {"address": settings.scheduler} if settings.scheduler else {"n_workers": settings.workers, "threads_per_worker": 1}
    try:
        client = Client(**made, timeout="20s")
    except (OSError, TimeoutError, ValueError) as error:
        if not settings.scheduler:
            raise ExperimentError(f"--workers {settings.workers}: no worker processes can be started ({error})") from None
        raise ExperimentError(
            f"--scheduler {settings.scheduler}: no Dask scheduler answers there ({error}); an address is such as tcp://host:8786"
        ) from None
    with client:
        yield


def _executed(experiment: Experiment, folder: Path, settings: ExperimentSettings, step) -> dict[str, list[dict]]:
    """Return results by run and seed, a task being started when those that it needs are done."""
    tasks = [
        Task(experiment, run, seed, folder.absolute(), settings.device, settings.sensors)
        for seed in range(experiment.seeds) for run in experiment.ordered()
    ]  # fmt: skip
    if not settings.scheduler and settings.workers == 1:
        done = _here(tasks, step)
    else:
        done = _on_cluster(tasks, step)
    return {run.name: [done[run.name, seed] for seed in range(experiment.seeds)] for run in experiment.runs}


def _here(tasks: list[Task], step) -> dict[tuple[str, int], dict]:
    done: dict[tuple[str, int], dict] = {}
    for task in tasks:
        done[task.run.name, task.seed] = execute(task, {name: done[name, task.seed] for name in task.run.needs})
        step(task.run.name, task.seed)
    return done


def _on_cluster(tasks: list[Task], step) -> dict[tuple[str, int], dict]:
    from distributed import as_completed, get_client

    client, futures = get_client(), {}
    for task in tasks:
        needed = {name: futures[name, task.seed] for name in task.run.needs}
        futures[task.run.name, task.seed] = client.submit(execute, task, needed, pure=False)
    keys = {future: key for key, future in futures.items()}
    done = {}
    for future, result in as_completed(futures.values(), with_results=True):
        done[keys[future]] = result
        step(*keys[future])
    return done


def _errors(results: dict[str, list[dict]]) -> list[str]:
    return [
        f"{name}, seed {seed}: {result['error']}"
        for name, row in results.items() for seed, result in enumerate(row) if "error" in result
    ]  # fmt: skip
