"""A run's numbers again, from what its folder holds: iterations with their counters, the energy table, the raw trace.

`joulegrad bench` takes its own joules from here, too, so that there is one way from raw data to a number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from host.iteration import summed
from host.processor_work import ProcessorWork
from host.readings import HOST_CLOCK, VIRTUAL_CLOCK
from host.run_folder import RunFolderError, read_iterations, read_record
from host.trace import Trace
from host.trace_file import read_trace
from hw.config import Config
from measurements.alignment import Alignment, AlignmentError
from measurements.calibration import Calibration
from measurements.energy_model import load_table
from measurements.measured_run import alignment_of, by_sensor, measured
from measurements.processor_time import ProcessorModel, processor_time
from measurements.run_energy import EnergyMeter
from measurements.sensed import Sensed, sensed_run

MEASURE = "measure"
"""What run.json calls a run of `joulegrad.measure`."""

ENERGY_TABLE = "energy_table.json"
KEYS = ("schema", "iterations_drawn", "iterations_executed", "time_s", "run_energy_j", "energy_per_executed_iteration_j",
        "shares", "counters", "activity", "processor_s", "sensors")  # fmt: skip
"""What `recompute` returns and a run's result holds as well."""


class RecomputeError(RuntimeError):
    """The run's numbers cannot be had again, or are not those that the run reported; the message says why."""


def recompute(path: Path | str, need_trace: bool = True, energy_table: Path | None = None) -> dict:
    """Return the JSON data of a run's energies (the keys of KEYS).

    Args:
        path: run folder.
        need_trace: refuse a run that no sensor watched; without, it has the labels that it has.
        energy_table: for the simulated joules, None for the one that the run had.

    Raises:
        RunFolderError: no run folder, or a damaged one.
        TraceError: its trace is missing, no trace, or damaged.
        RecomputeError: no sensor watched the run, or the record lacks what is needed.
        EnergyTableError, NoEnergy: the table is no table; the trace has no energy of the run.
    """
    path = Path(path)
    record = _checked(read_record(path), path)
    name = record.get("trace")
    if need_trace and not name:
        raise RecomputeError(f"run {path} has no trace: no sensor watched it")
    if record.get("benchmark") == MEASURE:
        return _measured(path / name, record)
    meter, totals = _replayed(path, record, energy_table or path / ENERGY_TABLE)
    executed = len(totals["images"])
    if not executed:
        raise RecomputeError(f"run {path} has executed no iteration: it has no energy")
    drawn = record.get("steps") or 0
    if drawn < executed:
        raise RunFolderError(f"run {path} is damaged: it drew {drawn} iterations and executed {executed}")
    found = sensed(path / name, record) if name else []
    energies = meter.run_energies(drawn, executed, {one.label: (one.gross, one.net) for one in reversed(found)})
    joules, seconds = meter.shares()
    timed = bool(meter.iterations)
    return {
        **energies.to_json(),
        "shares": {"simulated_j": joules.to_json(), "time_s": seconds.to_json()} if timed else None,
        "counters": totals["counters"],
        "activity": totals["activity"],
        "processor_s": totals["processor_s"] if timed else None,
        "sensors": [one.to_json() for one in found],
    }


def _checked(record: dict, path: Path) -> dict:
    """Return the record. Raises RunFolderError where an entry that is read here is of no kind that it can be."""
    for name, kind in {"steps": int, "trace": str, "sensors": list, "calibrations": list}.items():
        if not isinstance(record.get(name), (kind, type(None))):
            raise RunFolderError(f"run {path} is damaged: {name} in its run.json is {str(record[name])[:40]!r}")
    return record


def _measured(path: Path, record: dict) -> dict:
    """Return the JSON data of `joulegrad.measure` again, with the calibrations that it used."""
    used = [Calibration.from_json(one, str(path.parent)) for one in record.get("calibrations") or ()]
    return measured(_whole(path, len(record.get("sensors") or ())), used).to_json()


def sensed(path: Path, record: dict) -> list[Sensed]:
    """Return what every sensor of a run's trace says of the run, in the trace's order.

    Raises:
        TraceError, NoEnergy, RecomputeError, CalibrationError: there is no such number.
    """
    trace = _whole(path, len(record.get("sensors") or ()))
    return [sensed_by(trace, sensor, record, str(path.parent)) for sensor in range(len(trace.sensors))]


def sensed_by(trace: Trace, sensor: int, record: dict, where: str = "this") -> Sensed:
    """Return what one sensor of a run says of it: a meter's own clock is aligned, calibrations that the run used are applied.

    Args:
        record: run.json.
        where: whose calibrations they are, for messages.

    Raises:
        TraceError, NoEnergy, CalibrationError: there is no such number.
    """
    used = [Calibration.from_json(one, where) for one in record.get("calibrations") or ()]
    alignment, notes = _aligned(trace, sensor)
    return sensed_run(trace, sensor, alignment, notes, by_sensor(trace, used)[sensor], record.get("watched", ""))


def _aligned(trace: Trace, sensor: int) -> tuple[Alignment | None, tuple[str, ...]]:
    """Return how a meter's clock stands to the host's, and why that is not known where it is not."""
    if trace.sensors[sensor].clock == VIRTUAL_CLOCK:
        return None, ()
    try:
        return alignment_of(trace, sensor), ()
    except AlignmentError as error:
        return None, (f"values are stamped on arrival, the signatures cannot be used: {error}",)


def _whole(path: Path, sensors: int) -> Trace:
    """Return the trace of a run with so many sensors. Raises TraceError, RecomputeError where it is not all there."""
    trace = read_trace(path)
    if trace.damaged_blocks:
        raise RecomputeError(f"{path} is damaged: {trace.damaged_blocks} blocks do not fit their checksums, samples are missing")
    if len(trace.sensors) != sensors:
        raise RecomputeError(f"{path} holds {len(trace.sensors)} sensors, but the run had {sensors}")
    return trace


def differences(found: dict, reported: dict, relative: float = 1e-9) -> list[str]:
    """Return which numbers of `found` are not those reported, within a relative difference, one sentence each."""
    return list(_differences("", found, {key: reported.get(key) for key in found}, relative))


def _differences(where: str, found, reported, relative: float) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(reported, dict) and set(found) == set(reported):
        for key in found:
            yield from _differences(f"{where}.{key}".lstrip("."), found[key], reported[key], relative)
    elif isinstance(found, list) and isinstance(reported, list) and len(found) == len(reported):
        for index, (one, other) in enumerate(zip(found, reported, strict=True)):
            yield from _differences(f"{where}[{index}]", one, other, relative)
    elif _is_number(found) and _is_number(reported):
        if not math.isclose(found, reported, rel_tol=relative, abs_tol=0.0):
            yield f"{where} is {found!r}, the run reported {reported!r}"
    elif found != reported:
        yield f"{where} is {found!r}, the run reported {reported!r}"


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _replayed(path: Path, record: dict, energy_table: Path) -> tuple[EnergyMeter, dict]:
    """Return the meter fed with all iterations, and their sums."""
    table = load_table(energy_table)
    try:
        config = Config(**record["config"])
        model = ProcessorModel(**record["energy_assumptions"]["processor_time"])
        meter = EnergyMeter(config, table, model)
        totals = {"images": [], "counters": {}, "activity": {}, "processor_s": 0.0}
        real_time = record.get("clock") == HOST_CLOCK
        for line in read_iterations(path):
            meter.add_line(line, real_time)
            totals["images"].append(line["images"])
            totals["processor_s"] += processor_time(ProcessorWork(**line["processor"]), model).busy_s
            for name in ("counters", "activity"):
                totals[name] = summed([totals[name], *line[name].values()])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        said = f"{type(error).__name__} {error}"
        raise RunFolderError(f"run {path} is damaged or was written by another version of this software: {said}") from None
    return meter, totals
