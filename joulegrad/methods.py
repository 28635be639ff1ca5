"""`joulegrad bench methods`: methods on the simulated board, checked bit for bit, and what each saved beside its prediction."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from algo.arithmetic import ARITHMETIC_VERSION
from algo.policies.method import PLAIN
from host.check import Mismatch
from host.run_folder import RECORD, RunFolderError, new_run_dir, read_iterations, read_record, write_atomically
from hw.config import load_config
from joulegrad.bench import run_bench
from joulegrad.packing import Asked, asked, refuse_packed
from joulegrad.screen import Screen
from joulegrad.settings import BenchSettings, MemoryStalls, MethodsSettings, TrainSettings
from joulegrad.train import run_train
from measurements.energy_model import TABLE, load_table
from measurements.processor_time import ProcessorModel
from measurements.recompute import recompute
from measurements.saved import saved
from measurements.table_validity import check_valid

BOARD = "sim"
SIDES = ("predicted", "counted")
SUMMARY, ARITHMETIC = "methods.json", "arithmetic.json"
DECIDED = ("iteration", "images", "gates", "bits")
"""Entries of an iteration's line that a method decides, or that follow from its seed."""


def run_methods(settings: MethodsSettings, screen: Screen) -> dict:
    """Train plainly and by every method, on the board and priced in PyTorch, and return the JSON data of what was saved.

    Runs that the folder holds already are not done again; their simulated joules are, with the energy table that is asked for.

    Raises:
        RunFolderError: the folder holds other runs, ones of an arithmetic with other bits, or ones that were stopped.
        Mismatch: board and PyTorch differ in a bit, a counter or a decision.
        as run_bench, run_train.
    """
    refuse_packed(settings.recipe)
    for method in settings.methods:  # one that cannot be is refused before another is trained
        _asked(method, settings)
    path = settings.out or new_run_dir(f"methods-{Path(settings.recipe).stem}")
    table = load_table(settings.energy_table or TABLE)
    check_valid(table, BOARD, load_config(settings.config), dataclasses.asdict(ProcessorModel()))
    _same(path)
    results = {}
    for method in (PLAIN, *settings.methods):
        screen.say(f"{method}: in PyTorch, then on the board")
        results[method] = _both(method, settings, path, screen)
    screen.facts["run_dir"] = str(path)
    baseline = results.pop(PLAIN)
    found = {
        "schema": 1, "benchmark": "methods", "recipe": settings.recipe, "board": BOARD, "config": baseline["counted"]["config"],
        "seed": baseline["counted"]["seed"], "run_dir": str(path),
        "baseline": {key: baseline["counted"][key] for key in ("accuracy", "time_s", "iterations_executed", "run_energy_j")},
        "methods": {method: saved(both, baseline) for method, both in results.items()},
    }  # fmt: skip
    write_atomically(path / SUMMARY, json.dumps(found, indent=1) + "\n")
    return found


def _same(path: Path) -> None:
    """Note the arithmetic's version in the folder, in which all runs have the same bits.

    Raises:
        RunFolderError: the folder's runs have others, or what would be written is there and somebody else's; or it cannot be
            written.
    """
    noted, here = path / ARITHMETIC, {"arithmetic_version": ARITHMETIC_VERSION}
    there = [name for name in (*SIDES, SUMMARY, ARITHMETIC) if (path / name).exists()]
    try:
        before = json.loads(noted.read_text(encoding="utf-8")) if noted.exists() else None
        if there and before != here:
            found = "nothing says of which arithmetic" if before is None else f"{ARITHMETIC} says {before}"
            raise RunFolderError(f"{path / there[0]} is there already, {found}, not {here}: choose another --out")
        path.mkdir(parents=True, exist_ok=True)
        write_atomically(noted, json.dumps(here))
    except (OSError, ValueError, RecursionError) as error:
        raise RunFolderError(f"{noted} cannot be used: {getattr(error, 'strerror', None) or error}") from None


def wrong(found: dict) -> Iterator[str]:
    """Yield a sentence for everything that is not as predicted."""
    for method, one in found["methods"].items():
        for part, seconds in one["seconds"].items():
            if not seconds["match"]:
                yield (
                    f"method {method} saved {seconds['saved_counted']:.5g} s ({part}) on the board, predicted were "
                    f"{seconds['saved_predicted']:.5g} s"
                )
        joules = one["joules"]
        if joules["match"] is False:
            yield (
                f"method {method} saved {joules['sensed']['value']:.5g} J ({joules['sensed']['label']}), predicted were "
                f"{joules['predicted']['value']:.5g} J: more apart than U, {joules['u95']:.2g} J"
            )


def _both(method: str, settings: MethodsSettings, path: Path, screen: Screen) -> dict:
    """Return a method's results, {"predicted", "counted"}. Raises Mismatch where their decisions differ."""
    name = "".join(c if c.isalnum() else "_" for c in method)
    places = {side: path / side / name for side in SIDES}
    common = dict(method=method, steps=settings.steps, batch_size=settings.batch_size, seed=settings.seed)

    def predict(out: Path) -> dict:
        return run_train(TrainSettings(settings.recipe, out=out, price=settings.config, **common), screen)

    def count(out: Path) -> dict:
        return run_bench(
            BenchSettings(settings.recipe, BOARD, settings.config, out=out, check=True, stalls=MemoryStalls(), **common), screen
        )

    wanted = _asked(method, settings)
    found = {"predicted": _once(places["predicted"], predict, wanted), "counted": _once(places["counted"], count, wanted)}
    decided = [[[line.get(key) for key in DECIDED] for line in read_iterations(places[side])] for side in SIDES]
    if decided[0] != decided[1]:
        raise Mismatch(f"method {method}: the decisions in {places['predicted']} are not those in {places['counted']}")
    table = settings.energy_table or TABLE
    return {side: one | recompute(places[side], need_trace=False, energy_table=table) for side, one in found.items()}


def _asked(method: str, settings: MethodsSettings) -> Asked:
    return asked(settings.recipe, settings.config, settings.steps, settings.batch_size, settings.seed, method)


def _once(place: Path, run: Callable[[Path], dict], wanted: Asked) -> dict:
    """Return the result of a run, from its folder where it is there. Raises RunFolderError where another run is there."""
    if not (place / RECORD).exists():
        return run(place)
    record = read_record(place)
    result = record.get("result")
    if result is None:
        raise RunFolderError(f"the run in {place} is {record['status']}, not finished: remove it, or choose another --out")
    other = wanted.other(record)
    if other:
        raise RunFolderError(f"the run in {place} has {other}: choose another --out")
    return result
