"""What a comparison is made of: runs with their counts and the energy that stands for truth, refused where they do not match.

An energy read from virtual rails is "emulated", one from a physical sensor is "measured". Runs of both, of different
rails, idle definitions, boards or configurations are never put into one comparison.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from host.processor_work import ProcessorWork
from host.run_folder import RECORD, RunFolderError, became, read_iterations, read_record
from hw.config import Config
from measurements.energy_model import PROCESSOR_BYTES, PROCESSOR_S
from measurements.processor_time import ProcessorModel, processor_time
from measurements.quantities import LABELS, Quantity

TRUTHS = tuple(label for label in LABELS if label != "simulated")


class ComparisonError(ValueError):
    """The runs cannot stand in one comparison, or a run lacks what it needs; the message says which run and what."""


@dataclass(frozen=True)
class Observation:
    """One run as a comparison sees it.

    Attributes:
        run: its folder, or another name.
        workload: runs of one workload are repeats and are left out of a fit together.
        family: of the workload.
        truth: label of `net` and `gross`, "emulated" or "measured".
        net, gross: energy of the window by the sensor; net is above idle.
        time_s: length of the window.
        counters: of the core over the window.
        activity: signal activity over the window; empty where the board counts none.
        processor_s: time the processor worked in the window; processor_bytes: what it copied.
        board, config, idle, processor: name of the board; the core's configuration; what idle is; the model of the
            processor's time. The same for all runs of a comparison.
        control: what was made wrong on purpose, "" for nothing; also the same.
    """

    run: str
    workload: str
    family: str
    truth: str
    net: Quantity
    gross: Quantity
    time_s: float
    counters: Mapping[str, int]
    activity: Mapping[str, int]
    processor_s: float
    processor_bytes: int
    board: str
    config: Config
    idle: str
    processor: Mapping[str, float]
    control: str = ""

    @property
    def counts(self) -> dict[str, float]:
        """All that a coefficient can pay for, by name: counters, activity, and the processor's seconds and bytes."""
        processor = {PROCESSOR_S: self.processor_s, PROCESSOR_BYTES: self.processor_bytes}
        return {**self.counters, **self.activity, **processor}

    @property
    def idle_w(self) -> float:
        """Power that was taken off: gross less net over time, in watts."""
        return (self.gross.value - self.net.value) / self.time_s


def load_runs(paths: Iterable[Path | str]) -> list[Observation]:
    """Return the runs in folders; a folder that holds runs (a sweep) stands for all of them, at any depth.

    A run that is named twice counts once.

    Raises:
        RunFolderError: a path is neither a run nor a folder with runs.
        ComparisonError: a run has not finished, or lacks an energy with an uncertainty.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        folders = [file.parent for file in sorted(path.rglob(RECORD))] if not (path / RECORD).exists() else [path]
        if not folders:
            raise RunFolderError(f"{path} is no run and holds none: there is no {RECORD} in it")
        for folder in folders:
            found.setdefault(folder.resolve(), folder)
    return [load_run(folder) for folder in found.values()]


def _positive(name: str, value: float) -> float:
    if not 0 < float(value) < math.inf:
        raise ValueError(f"{name}, which is {value} and has to be above 0")
    return float(value)


def load_run(path: Path | str) -> Observation:
    """Return one run. Raises RunFolderError or ComparisonError."""
    record = read_record(path)
    if record.get("status") != "finished" or "result" not in record:
        raise ComparisonError(f"run {path} is {became(record)}: only finished runs can be compared")
    result = record["result"]
    try:
        truth = _truth(path, result["run_energy_j"])
        energies = result["run_energy_j"][truth]
        if energies["net"] is None:
            raise ComparisonError(f"run {path} cannot be compared: it has no energy above idle, since no idle power was taken")
        net, gross = Quantity(**energies["net"]), Quantity(**energies["gross"])
        processor = record["energy_assumptions"]["processor_time"]
        activity, processor_s, processor_bytes = _work(path, ProcessorModel(**processor))
        config = Config(**record["config"])
        observation = Observation(
            run=str(path),
            workload=record.get("workload") or f"{record['benchmark']} batch {record['batch_size']} seed {record['seed']}",
            family=record.get("family", record["benchmark"]),
            truth=truth, net=net, gross=gross,
            time_s=_positive("time_s", result["time_s"]),
            counters=result["counters"],
            activity=activity,
            processor_s=processor_s,
            processor_bytes=processor_bytes,
            board=record["board"],
            config=config,
            idle=record["idle_definition"],
            processor=processor,
            control=record.get("control") or "",
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, ComparisonError):
            raise
        raise ComparisonError(f"run {path} cannot be compared: run.json lacks or garbles {error}") from None
    for name, quantity in {"net": net, "gross": gross}.items():
        if quantity.u95 is None:
            raise ComparisonError(f"run {path} cannot be compared: its {name} {truth} energy is {quantity.verdict}")
    return observation


def _truth(path: Path | str, energies: dict) -> str:
    labels = [label for label in TRUTHS if label in energies]
    if len(labels) != 1:
        found = " and ".join(labels) or f"only {' and '.join(sorted(energies))} energy" if energies else "no energies at all"
        raise ComparisonError(f"run {path} has {found}: a comparison needs runs with either an emulated or a measured energy")
    return labels[0]


def _work(path: Path | str, model: ProcessorModel) -> tuple[dict[str, int], float, int]:
    """Return activity, the processor's busy time and the bytes it copied, summed over the run's iterations."""
    activity: dict[str, int] = {}
    busy_s, copied = 0.0, 0
    for line in read_iterations(path):
        work = ProcessorWork(**line["processor"])
        busy_s += processor_time(work, model).busy_s
        copied += work.moved_bytes
        for segment in line["activity"].values():
            for name, count in segment.items():
                activity[name] = activity.get(name, 0) + count
    return activity, busy_s, copied


def check_alike(observations: list[Observation]) -> None:
    """Raise ComparisonError unless all runs have one truth, scope, idle definition, board, configuration and processor model."""
    if not observations:
        raise ComparisonError("no runs to compare: name run folders or a sweep")
    first = observations[0]
    for other in observations[1:]:
        for what, one, two in (
            ("truths", first.truth, other.truth),
            ("scopes", first.gross.scope, other.gross.scope),
            ("scopes above idle", first.net.scope, other.net.scope),
            ("idle definitions", first.idle, other.idle),
            ("boards", first.board, other.board),
            ("configurations", _said(first.config), _said(other.config)),
            ("controls", first.control, other.control),
            ("models of the processor's time", _json(first.processor), _json(other.processor)),
        ):
            if one != two:
                raise ComparisonError(
                    f"runs of different {what} cannot stand in one comparison: {first.run} has {one!r}, {other.run} has {two!r}"
                )


def _said(config: Config) -> str:
    return f"{config.name} ({config.config_hash:08x}), {config.clk_hz / 1e6:g} MHz"


def _json(data) -> str:
    return json.dumps(dataclasses.asdict(data) if dataclasses.is_dataclass(data) else data, sort_keys=True)
