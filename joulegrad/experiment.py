"""An experiment: runs of one recipe under several methods and seeds, and what is compared with what. A JSON file."""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path

from algo.fraction_text import read_fraction
from algo.policies.method import Method
from joulegrad.settings import ARITHMETICS

SCHEMA = 1
PRICED = ARITHMETICS[0]
EXPERIMENTS = Path(__file__).parent / "experiments"


class ExperimentError(ValueError):
    """An experiment is not there or says something that cannot be; the message says what can be."""


@dataclass(frozen=True)
class Run:
    """One row of the table, which every seed trains once.

    Attributes:
        name: of the row.
        method: training method.
        arithmetic: of joulegrad.settings.ARITHMETICS; one in float32 has no joules, no core computes it.
        share: of the recipe's iterations.
        joules_of: name of a run; this one is cut to its simulated run joules, seed by seed, its schedule rescaled.
        like: name of the run, of the same method, that says what a drawn iteration costs.
    """

    name: str
    method: str = "plain"
    arithmetic: str = "int8"
    share: str = "1"
    joules_of: str = ""
    like: str = ""

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return "".join(c if c.isalnum() else "_" for c in self.name)

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the runs that have to be done before."""
        return (self.joules_of, self.like) if self.joules_of else ()


@dataclass(frozen=True)
class Experiment:
    """What is run, and what of it is compared.

    Attributes:
        name, says: of the experiment.
        recipe: its name or path.
        config: of the core that runs are priced on.
        seeds: how many, from 0.
        runs: rows, in the order of the table.
        baseline: names of runs; the cheapest whose mean accuracy is within half a point of the best of them is the baseline.
        comparisons: (ours, other) names of runs whose accuracies are compared seed by seed.
        steps: drawn iterations of a run of share 1; None for the recipe's.
    """

    name: str
    says: str
    recipe: str
    config: str
    seeds: int
    runs: tuple[Run, ...]
    baseline: tuple[str, ...] = ()
    comparisons: tuple[tuple[str, str], ...] = ()
    steps: int | None = None

    def __post_init__(self):
        names, folders = [run.name for run in self.runs], [run.folder for run in self.runs]
        twice = next((run.name for run in self.runs if folders.count(run.folder) > 1), None)
        if twice or not names:
            found = f"two runs called like {twice!r}" if twice else "no runs"
            raise ExperimentError(f"experiment {self.name!r} has {found}; runs need names that differ in letters or digits")
        if self.seeds < 1:
            raise ExperimentError(f"experiment {self.name!r} has {self.seeds} seeds; at least one is needed")
        asked = [*self.baseline, *(name for pair in self.comparisons for name in pair)]
        for run in self.runs:
            asked += run.needs
            self._check(run)
        unknown = next((name for name in asked if name not in names), None)
        if unknown is not None:
            raise ExperimentError(f"experiment {self.name!r} refers to a run {unknown!r}; there are {', '.join(names)}")
        priced = [*self.baseline, *(name for run in self.runs for name in run.needs)]
        free = next((run.name for run in self.runs if run.arithmetic != PRICED and run.name in priced), None)
        if free is not None:
            raise ExperimentError(f"experiment {self.name!r} asks what run {free!r} costs; only runs in {PRICED} have joules")
        self.ordered()

    def _check(self, run: Run) -> None:
        where = f"run {run.name!r} of experiment {self.name!r}"
        Method.from_settings(run.method)
        try:
            share = read_fraction(run.share)
        except (ValueError, ZeroDivisionError):
            raise ExperimentError(f"{where} has share {run.share!r}; a fraction such as 1/2 is needed") from None
        if not 0 < share <= 1:
            raise ExperimentError(f"{where} has share {run.share}; it is above 0 and at most 1")
        if run.arithmetic not in ARITHMETICS:
            raise ExperimentError(f"{where} has arithmetic {run.arithmetic!r}; there are {', '.join(ARITHMETICS)}")
        if bool(run.joules_of) != bool(run.like):
            raise ExperimentError(f"{where} has joules_of {run.joules_of!r} and like {run.like!r}; both are needed, or none")

    def ordered(self) -> list[Run]:
        """Return the runs, each behind those it needs. Raises ExperimentError where they need each other."""
        left, done = list(self.runs), []
        while left:
            ready = [run for run in left if all(name in [one.name for one in done] for name in run.needs)]
            if not ready:
                raise ExperimentError(f"experiment {self.name!r}: {', '.join(run.name for run in left)} need each other")
            done += ready
            left = [run for run in left if run not in ready]
        return done

    def only(self, names: tuple[str, ...]) -> Experiment:
        """Return the experiment with only these runs and those that they need. Raises ExperimentError for unknown names."""
        wanted = set(names)
        for run in reversed(self.ordered()):
            if run.name in wanted:
                wanted |= set(run.needs)
        unknown = sorted(wanted - {run.name for run in self.runs})
        if unknown:
            raise ExperimentError(f"there is no run {unknown[0]!r}; there are {', '.join(run.name for run in self.runs)}")
        return replace(
            self, runs=tuple(run for run in self.runs if run.name in wanted),
            baseline=tuple(name for name in self.baseline if name in wanted),
            comparisons=tuple(pair for pair in self.comparisons if wanted.issuperset(pair)),
        )  # fmt: skip

    def to_json(self) -> dict:
        """Return plain data."""
        return {"schema": SCHEMA, **asdict(self)}


def experiment_names() -> list[str]:
    """Return the names of the experiments that come with the project."""
    return sorted(path.stem for path in EXPERIMENTS.glob("*.json"))


def load_experiment(name_or_path: str) -> Experiment:
    """Return an experiment by its name, or from a file whose path ends in .json.

    Raises:
        ExperimentError: there is none, or it says something that cannot be.
        MethodError: a run's method is unknown.
    """
    path = Path(name_or_path) if name_or_path.endswith(".json") else EXPERIMENTS / f"{name_or_path}.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(experiment_names())
        raise ExperimentError(f"experiment {name_or_path!r} is not known; there are {known}, or give a .json file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ExperimentError(f"experiment {name_or_path} cannot be read as JSON ({error})") from None
    if not isinstance(data, dict) or data.pop("schema", None) != SCHEMA:
        raise ExperimentError(f"experiment {name_or_path} is no object with schema {SCHEMA}")
    pairs = [_made(_Pair, pair, "a comparison of an experiment") for pair in _list("comparisons", data)]
    return _made(Experiment, data | {
        "runs": tuple(_made(Run, run, "a run of an experiment") for run in _list("runs", data)),
        "comparisons": tuple((pair.ours, pair.other) for pair in pairs), "baseline": tuple(_list("baseline", data)),
    }, "an experiment")  # fmt: skip


@dataclass(frozen=True)
class _Pair:
    """A comparison as the file has it."""

    ours: str
    other: str


_TYPES = {"str": ((str,), "a text"), "int": ((int,), "a whole number"), "int | None": ((int, type(None)), "a whole number")}
"""Annotation of a field that a file gives as it is to the types it may have; a truth value is no number."""


def _list(name: str, data: dict) -> list:
    found = data.get(name, [])
    if not isinstance(found, list):
        raise ExperimentError(f"{name} of an experiment is {found!r}; a list is needed")
    return found


def _made(kind: type, data: object, what: str):
    """Return a dataclass of this file from its fields, once all are there, known and of their types."""
    known = {one.name: one for one in fields(kind)}
    if not isinstance(data, dict):
        raise ExperimentError(f"{what} is {data!r}; an object is needed")
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise ExperimentError(f"{what} has no {unknown[0]!r}; it may have {', '.join(known)}")
    for name, one in known.items():
        if name not in data and one.default is MISSING:
            raise ExperimentError(f"{what} is given without {name}; it needs one")
        types, needed = _TYPES.get(one.type, ((), ""))
        if name in data and types and type(data[name]) not in types:
            raise ExperimentError(f"{name} of {what} is {data[name]!r}; {needed} is needed")
    return kind(**data)
