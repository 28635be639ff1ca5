"""A run folder as a report sees it: record, work, trace, joules with budgets, and a sentence for all that is missing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from host.processor_work import ProcessorWork
from host.readings import HOST_CLOCK
from host.run_folder import RECORD, RunFolderError, became, read_iterations, read_record
from host.trace import TraceError
from host.trace_file import read_trace
from hw.config import Config
from measurements.calibration import Calibration
from measurements.joules import Joules
from measurements.measured_run import Measured, measured
from measurements.processor_time import ProcessorModel, iteration_time_s, processor_time
from measurements.recompute import MEASURE, sensed_by
from measurements.repeats import NotPooled, Pooled
from measurements.report_parts import ReportError, plain
from measurements.report_trace import TraceView, view_trace
from measurements.sensed import Sensed
from measurements.series import NoEnergy

RUNS_MOST = 2000
MEMORY_BYTES = 1 << 30
"""Of samples: budgets and coverage of a longer trace are not worked out again for its page."""


@dataclass
class Work:
    """What a run's iterations counted.

    Attributes:
        counters, activity: segment to counts, all iterations together.
        images: (segment, images in the mini-batch) to the number of iterations.
        processor_s, processor_bytes: busy time of the processor; what it copied.
        time_s: of all iterations.
        iterations: executed.
    """

    counters: dict[str, Counter] = field(default_factory=dict)
    activity: dict[str, Counter] = field(default_factory=dict)
    images: Counter = field(default_factory=Counter)
    processor_s: float = 0.0
    processor_bytes: int = 0
    time_s: float = 0.0
    iterations: int = 0


@dataclass(eq=False)
class ReportedRun:
    """One run.

    Attributes:
        path, name: of the folder; name as it is shown.
        record: run.json; result: its result, {} of a run that has none.
        config: of the core, None of a run without one.
        work: of its iterations, None where they were not counted.
        trace: its pictures; None without a trace.
        sensed: by sensor, of a bench run.
        measured: of a run of `joulegrad measure`.
        missing: what the page cannot show and why, one sentence each.
    """

    path: Path
    name: str
    record: dict
    result: dict
    config: Config | None = None
    work: Work | None = None
    trace: TraceView | None = None
    sensed: list[Sensed] = field(default_factory=list)
    measured: Measured | None = None
    missing: list[str] = field(default_factory=list)

    @property
    def counted(self) -> bool:
        """Whether there are counts that an energy model can be applied to."""
        return isinstance(self.record.get("config"), dict)

    @property
    def joules(self) -> list[Joules]:
        """Joules that stand for the run, one of each sensor: the first repeat, or the whole block."""
        if self.measured is not None:
            return list(self.measured.run())
        return [one.repeats[0] for one in self.sensed if one.repeats]

    @property
    def every(self) -> list[Joules]:
        """All joules that were taken from the trace: of every window, or of every repeat."""
        if self.measured is not None:
            return [one for found in self.measured.joules for one in found]
        return [one for sensed in self.sensed for one in sensed.repeats]

    @property
    def pooled(self) -> list[Pooled | None]:
        """Repeats put together, of each sensor in the order of `joules`."""
        return [one.pooled for one in self.sensed if one.repeats]


def find_runs(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """Return the run folders named, and those found in folders that hold runs (sweeps), each once.

    Raises:
        RunFolderError: a path is neither.
        ReportError: more than RUNS_MOST.
    """
    named, held, seen = [], [], set()
    for path in map(Path, paths):
        single = (path / RECORD).exists()
        folders = [path] if single else [file.parent for file in sorted(path.rglob(RECORD))]
        if not folders:
            raise RunFolderError(f"{path} is no run and holds none: there is no {RECORD} in it")
        for folder in folders:
            if folder.resolve() not in seen:
                seen.add(folder.resolve())
                (named if single else held).append(folder)
    if len(seen) > RUNS_MOST:
        raise ReportError(f"{len(seen)} runs: a page takes at most {RUNS_MOST}, name fewer")
    return named, held


def load_record(path: Path) -> ReportedRun:
    """Return a run with its record alone, for tables and figures over runs. Raises RunFolderError, ReportError."""
    record = read_record(path)
    result = record.get("result")
    run = ReportedRun(path, plain(path.resolve().name, 80), record, result if isinstance(result, dict) else {})
    with_workload = record.get("workload")
    if isinstance(with_workload, str):
        run.name = plain(f"{with_workload}/{record.get('repeat', 0)}", 80)
    energies = run.result.get("run_energy_j", {})
    if not isinstance(energies, dict) or not all(isinstance(one, dict) for one in energies.values()):
        raise ReportError(f"run {path} is damaged: the energies in its {RECORD} are none")
    if not run.result:
        why = f": {plain(record['reason'], 200)}" if record.get("reason") else ""
        run.missing.append(f"The run is {plain(became(record), 40)}{why}; it has no result.")
    return run


def load_run(path: Path) -> ReportedRun:
    """Return a run with all that its page shows.

    Raises:
        RunFolderError: no run folder, or a damaged one.
        TraceError: its trace is damaged, or the record names one that is not there.
        ReportError: the record is damaged.
    """
    run = load_record(path)
    with reading(run):
        _load_work(run)
    name = run.record.get("trace")
    if not name:
        said = f" (board {plain(run.record['board'], 40)!r})" if run.record.get("board") else ""
        run.missing.append(f"No power sensor watched this run{said}: there is no power trace, and no emulated or measured "
                           "joules.")  # fmt: skip
        return run
    if not isinstance(name, str) or Path(name).name != name:
        raise ReportError(f"run {path} is damaged: its trace is called {plain(name, 60)!r}, which is no file in its folder")
    run.trace = view_trace(path / name)
    if run.trace.damaged_blocks:
        raise TraceError(f"{path / name} is damaged: {run.trace.damaged_blocks} blocks do not fit their checksums, samples are "
                         "missing")  # fmt: skip
    if run.trace.bytes > MEMORY_BYTES:
        run.missing.append(f"The trace has {run.trace.rows:,} rows, too many to work budgets and coverage out again here; the "
                           "energies are those that the run reported.")  # fmt: skip
        return run
    with reading(run):
        _load_joules(run, path / name)
    return run


class reading:
    """Turns what a damaged record raises while it is read into one sentence."""

    def __init__(self, run: ReportedRun):
        self._run = run

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None and issubclass(kind, (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)):
            raise ReportError(f"run {self._run.path} is damaged or was written by another version of this software: "
                              f"{kind.__name__} {plain(error, 120)}") from None  # fmt: skip


def _load_joules(run: ReportedRun, path: Path) -> None:
    trace = read_trace(path)
    if run.record.get("benchmark") == MEASURE:
        used = [Calibration.from_json(one, str(run.path)) for one in run.record.get("calibrations", [])]
        found = measured(trace, used)
        _try(run, found.run)
        if any(found.joules):
            run.measured = found if any(w.name == "run" and j for w, j in zip(found.windows, found.joules, strict=True)) else None
        return
    for sensor in range(len(trace.sensors)):
        one = _try(run, lambda sensor=sensor: sensed_by(trace, sensor, run.record, str(run.path)))
        if one is not None:
            run.sensed.append(one)


def _try(run: ReportedRun, work: Callable):
    try:
        return work()
    except (NoEnergy, NotPooled, TraceError) as error:
        run.missing.append(f"No joules from the trace: {plain(error)}.")
        return None


def _load_work(run: ReportedRun) -> None:
    record = run.record
    if not isinstance(record.get("config"), dict):
        return
    run.config = Config(**record["config"])
    model = ProcessorModel(**record["energy_assumptions"]["processor_time"])
    work = Work()
    for line in read_iterations(run.path):
        done = ProcessorWork(**line["processor"])
        spent = processor_time(done, model)
        cycles = 0
        for segment, counts in line["counters"].items():
            work.counters.setdefault(segment, Counter()).update(counts)
            work.images[segment, line.get("images_by_segment", {}).get(segment, line["images"])] += 1
            cycles += counts.get("cycles", 0)
        for segment, counts in line["activity"].items():
            work.activity.setdefault(segment, Counter()).update(counts)
        work.processor_s += spent.busy_s
        work.processor_bytes += done.moved_bytes
        modelled_s = iteration_time_s(line.get("predicted_cycles", cycles), run.config.clk_hz, spent)
        modelled_s += line.get("rest_s") or 0.0
        work.time_s += line["host_s"] if record.get("clock") == HOST_CLOCK else modelled_s
        work.iterations += 1
    if not work.iterations:
        run.missing.append("No iteration was executed: there is nothing to count.")
    elif not sum(counts.get("cycles", 0) for counts in work.counters.values()) and run.record.get("board") == "golden":
        run.missing.append("The golden board computes without time: its cycles are predicted from the instructions.")
        run.work = work
    else:
        run.work = work


def quantity(run: ReportedRun, label: str, kind: str, each: bool = False) -> dict | None:
    """Return value, u95, verdict and scope of a run's energy, or per executed iteration; None where it has none.

    Raises:
        ReportError: the record is damaged.
    """
    by_label = run.result.get("energy_per_executed_iteration_j" if each else "run_energy_j") or {}
    found = (by_label.get(label) or {}).get(kind) if isinstance(by_label.get(label), (dict, type(None))) else "damaged"
    if found is None:
        return None
    fine = isinstance(found, dict) and "u95" in found and _is_number(found.get("value"))
    fine = fine and (found["u95"] is None or _is_number(found["u95"]))
    if not fine or not isinstance(found.get("verdict"), str) or not isinstance(found.get("scope"), str):
        raise ReportError(f"run {run.path} is damaged: its {label} {kind} energy is {plain(found, 80)}")
    return found


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
