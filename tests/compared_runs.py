"""Run folders as a sweep leaves them, without traces: energies made from chosen coefficients, for tests of `compare`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np

from hw import isa
from hw.config import load_config
from measurements.features import ACTIVITY, features
from measurements.processor_time import ProcessorModel

PICOJOULES = {
    "mac_int8": 0.8, "vector_op": 20.0, "scratchpad": 15.0, "ddr_read": 130.0, "ddr_write": 110.0, "busy_cycle": 300.0,
    "processor_byte": 100.0, "operand_toggle": 1.0, "product_toggle": 0.9, "sum_toggle": 1.5, "vector_toggle": 5.0,
}  # fmt: skip
PROCESSOR_W, STATIC_W, TIME_S = 0.2, 1.6, 10.0
RATES_PER_S = {
    "cycles": 8e7, "macs_int8": 1.5e10, "vectors": 4e7, "spad_reads": 6e7, "spad_writes": 6e7, "acc_reads": 3e7,
    "acc_writes": 3e7,
    "ddr_read_bytes": 6e8, "ddr_write_bytes": 4e8, "weight_blocks": 1e5, "drained_rows": 1e5, "scalar_ops": 1e5,
    "operand_toggles": 4e9, "product_toggles": 1e11, "sum_toggles": 1e10, "vector_toggles": 8e9,
    "processor_bytes": 1e7,
}  # fmt: skip
IDLE = "board powered, nothing started"
SCOPE = "board_5v0: all of it"


def counts(workload: int, repeat: int) -> tuple[dict[str, int], dict[str, int], float]:
    """Return counters, activity with the processor's bytes, and its seconds, of a run; repeats of a workload differ by 2 %."""
    drawn, near = np.random.default_rng([7, workload]), np.random.default_rng([8, workload, repeat])
    all_counts = dict.fromkeys(isa.COUNTER_NAMES, 0)
    for name, rate in RATES_PER_S.items():
        share = drawn.choice([0.02, 0.3, 1.0]) * drawn.uniform(0.7, 1.0) * near.uniform(0.98, 1.02)
        all_counts[name] = round(rate * TIME_S * share)
    activity = {name: all_counts.pop(name) for name in list(all_counts) if name not in isa.COUNTER_NAMES}
    return all_counts, activity, TIME_S * drawn.uniform(0.1, 0.5)


def net_j(counters: dict[str, int], activity: dict[str, int], processor_s: float, picojoules: dict[str, float], g: int) -> float:
    """Return the energy of the counts by the chosen coefficients."""
    per = {"event": 1, "lane": g, "word byte": g, "row byte": 4 * g, "block byte": g * g}
    both = {**counters, **activity}
    paid = sum(
        picojoules.get(column.name, 0.0) * 1e-12 * per[column.per] * sum(both[name] for name in column.counts)
        for column in features(ACTIVITY) if column.name != "processor"
    )
    return paid + PROCESSOR_W * processor_s


def write_run(
    path: Path, workload: int, repeat: int = 0, truth: str = "emulated", u95: float = 0.01, noise_j: float = 0.0,
    active: bool = True, **changes,
) -> Path:
    """Write a run's folder and return it.

    Args:
        u95: of net and gross energy, in joules.
        noise_j: added to both.
        active: whether the board counts signal activity.
        changes: entries of run.json, or "net", "gross", "scope" of the energy; "without" names entries to leave out.
    """
    counters, activity, processor_s = counts(workload, repeat)
    config = load_config("z7020")
    net = changes.pop("net", net_j(counters, activity, processor_s, PICOJOULES, config.g)) + noise_j
    gross, scope = changes.pop("gross", net + STATIC_W * TIME_S), changes.pop("scope", SCOPE)
    without = changes.pop("without", ())

    def said(value):
        return {"value": value, "u95": u95, "verdict": "resolved" if abs(value) > u95 else "not resolved", "scope": scope}

    energies = changes.pop("energies", {truth: {"net": said(net), "gross": said(gross)}})
    record = {
        "schema": 1, "status": "finished", "benchmark": "sweep",
        "workload": f"workload {workload}", "family": f"family {workload % 6}", "repeat": repeat,
        "board": "sim", "config": dataclasses.asdict(config), "seed": repeat, "idle_definition": IDLE,
        "energy_assumptions": {"processor_time": dataclasses.asdict(ProcessorModel())},
        "result": {
            "schema": 1, "time_s": TIME_S, "run_energy_j": energies, "counters": counters,
        },
    }  # fmt: skip
    record |= changes
    for name in without:
        (record if name in record else record["result"]).pop(name)
    path.mkdir(parents=True)
    (path / "run.json").write_text(json.dumps(record))
    moved, model = activity.pop("processor_bytes"), ProcessorModel()
    left_s = processor_s - moved / model.copy_bytes_per_s
    work = {"copied_bytes": moved, "register_accesses": round(left_s / model.register_access_s)}
    line = {"counters": {"unit": counters}, "activity": {"unit": activity} if active else {}, "processor": work}
    (path / "iterations.jsonl").write_text(json.dumps(line) + "\n")
    return path


def write_sweep(path: Path, workloads: int = 27, repeats: int = 2, **changes) -> Path:
    """Write a folder of runs."""
    for workload in range(workloads):
        for repeat in range(repeats):
            write_run(path / f"workload{workload}" / str(repeat), workload, repeat, **changes)
    return path
