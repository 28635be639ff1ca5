"""`joulegrad bench sweep`: many small workloads, each recorded as a run under a power sensor, for `joulegrad compare`.

A unit of every workload is simulated once, cycle by cycle. Its run is a block of repeated units, and the measurement repeats
that block on virtual time as `bench digits` repeats its iterations; every run says what was laid down without being simulated.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from host.board import open_board
from host.readings import VIRTUAL_CLOCK
from host.run_folder import RunFolderError, new_run_dir, write_atomically
from hw.config import Config, load_config
from joulegrad.screen import Screen
from joulegrad.settings import SettingError, SweepSettings
from joulegrad.sweep_run import CONTROL, Planned, Recorder
from joulegrad.watch import sensors_for
from joulegrad.workloads import FAMILIES, Unit, workloads
from measurements.energy_model import TABLE, load_table
from measurements.processor_time import ProcessorModel
from measurements.table_validity import check_valid

RECORD = "sweep.json"


def run_sweep(settings: SweepSettings, screen: Screen) -> dict:
    """Simulate and record all workloads; return the sweep's JSON data, which its sweep.json holds as well.

    Raises:
        SettingError, ConfigError, CompileError, BoardError, SensorError, SamplerError, EnergyTableError, RunFolderError,
        TraceError, ToolError: each with one sentence.
    """
    config = load_config(settings.config)
    clock = open_board(settings.board, config).clock
    if clock != VIRTUAL_CLOCK:
        raise SettingError(f"--board {settings.board}: a sweep replays simulated work on virtual time, which board sim has")
    sensors, model = sensors_for(settings.board, clock, settings.sensors), ProcessorModel()
    table = load_table(settings.energy_table or TABLE)
    check_valid(table, settings.board, config, dataclasses.asdict(model))
    planned = plan(settings)
    path = _made(settings.out or new_run_dir(f"sweep-{Path(settings.config).stem}"))
    screen.facts["run_dir"] = str(path)
    with _kept(path, _known(settings, config, planned, path)) as summary:
        units = simulate(planned, config, settings.jobs, screen)
        recorder = Recorder(settings, config, sensors, model, table, path)
        results = record(recorder, planned, units, screen)
        summary["runs"] = _said(planned, results)
    return summary


def simulate(planned: list[Planned], config: Config, jobs: int, screen: Screen) -> list[Unit]:
    """Return a unit of every run, simulated cycle by cycle, `jobs` at a time. Raises BoardError, CompileError, ToolError."""
    return _in_parallel(lambda one: one.workload.simulate(config, one.seed), planned, jobs, screen, "workload", str)


def record(recorder: Recorder, planned: list[Planned], units: list[Unit], screen: Screen) -> list[dict]:
    """Make every run's folder and return their results. Raises RunFolderError, SamplerError, TraceError."""
    settings = recorder.settings
    drawn = shuffled(units, settings.seed) if settings.shuffle_toggles else units
    jobs = list(zip(planned, units, drawn, strict=True))
    return _in_parallel(lambda job: recorder.record(*job), jobs, settings.jobs, screen, "run", lambda job: str(job[0]))


def plan(settings: SweepSettings) -> list[Planned]:
    """Return the runs, workload by workload. Raises SettingError for a family that does not exist."""
    for family in settings.families:
        if family not in FAMILIES:
            raise SettingError(f"--family {family}: there are {', '.join(FAMILIES)}")
    chosen = [one for one in workloads() if not settings.families or one.family in settings.families]
    return [
        Planned(one, repeat, settings.seed * settings.repeats + repeat) for one in chosen for repeat in range(settings.repeats)
    ]


def shuffled(units: list[Unit], seed: int) -> list[Unit]:
    """Return the units with the activity per cycle of another one each, where the array works: a control for `compare`."""
    active = [i for i, unit in enumerate(units) if any(unit.activity.values())]
    result = list(units)
    for to, taken in zip(active, np.random.default_rng(seed).permutation(active), strict=True):
        scale = units[to].counters["cycles"] / units[taken].counters["cycles"]
        activity = {name: round(count * scale) for name, count in units[taken].activity.items()}
        result[to] = dataclasses.replace(units[to], activity=activity)
    return result


def _made(path: Path) -> Path:
    """Make the sweep's folder. Raises RunFolderError where something is in it, or it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise RunFolderError(f"the sweep folder {path} is not empty: runs are not overwritten, name another folder")
    except OSError as error:
        raise RunFolderError(f"the sweep folder {path} cannot be made: {error.strerror or error}") from None
    return path


def _in_parallel(work: Callable, jobs: list, workers: int, screen: Screen, what: str, called: Callable) -> list:
    """Return work(job) of every job in order, done by so many threads; the first error, or Ctrl-C, ends what has not begun."""
    failed = threading.Event()

    def one(job):
        if failed.is_set():
            return None
        try:
            return work(job)
        except BaseException:
            failed.set()
            raise

    results = []
    pool = ThreadPoolExecutor(workers)
    try:
        with screen.progress(what, len(jobs)) as step:
            for job, result in zip(jobs, pool.map(one, jobs), strict=True):
                results.append(result)
                step(called(job))
    finally:
        failed.set()
        pool.shutdown(cancel_futures=True)
    return results


@contextlib.contextmanager
def _kept(path: Path, summary: dict) -> Iterator[dict]:
    """Keep the sweep's record in its folder: running, then finished, aborted or failed, whatever ends the block."""

    def keep(status: str) -> None:
        summary["status"] = status
        try:
            write_atomically(path / RECORD, json.dumps(summary, indent=1) + "\n")
        except OSError as error:
            raise RunFolderError(f"{path / RECORD} cannot be written: {error.strerror or error}") from None

    keep("running")
    try:
        yield summary
    except BaseException as error:
        keep("aborted" if isinstance(error, KeyboardInterrupt) else "failed")
        raise
    keep("finished")


def _known(settings: SweepSettings, config: Config, planned: list[Planned], path: Path) -> dict:
    """Return what the sweep's record says from the start."""
    return {
        "schema": 1,
        "benchmark": "sweep",
        "status": "running",
        "board": settings.board,
        "config": config.name,
        "seed": settings.seed,
        "repeats": settings.repeats,
        "control": CONTROL if settings.shuffle_toggles else None,
        "workloads": len({one.workload.name for one in planned}),
        "families": sorted({one.workload.family for one in planned}, key=FAMILIES.index),
        "run_dir": str(path),
        "runs": [],
    }


def _said(planned: list[Planned], results: list[dict]) -> list[dict]:
    """Return what the sweep's record says of its runs."""
    return [
        {
            "workload": one.workload.name, "family": one.workload.family, "repeat": one.repeat, "time_s": result["time_s"],
            "run_energy_j": result["run_energy_j"], "run_dir": result["run_dir"],
        }
        for one, result in zip(planned, results, strict=True)
    ]  # fmt: skip
