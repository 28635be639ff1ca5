"""One run of a sweep: its units on virtual time under a power sensor, its folder, its numbers."""

from __future__ import annotations

import dataclasses
import math
import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path

from host import provenance
from host.processor_work import ProcessorWork
from host.run_folder import RunFolder
from host.trace_file import TRACE
from host.virtual_rails import IDLE_DEFINITION, LEVELS_SAID, RailLevels, Spread, core_counts
from host.virtual_run import Stretch
from hw.config import Config
from joulegrad.emulation import Emulation
from joulegrad.settings import SweepSettings
from joulegrad.watch import Plan
from joulegrad.workloads import Unit, Workload
from measurements.energy_model import TABLE, EnergyTable
from measurements.processor_time import ProcessorModel, processor_time
from measurements.recompute import ENERGY_TABLE, recompute
from measurements.run_energy import EnergyMeter

BLOCK_S = 0.02
"""A run is as many units as come to about this: within, its parts are laid together, which is below a refresh of the sensor."""

CONTROL = "activity of another run, per cycle"


@dataclass(frozen=True)
class Planned:
    """A run to be: a workload and which repeat of it, keyed by `seed`."""

    workload: Workload
    repeat: int
    seed: int

    def __str__(self):
        return f"{self.workload.name}, repeat {self.repeat}"


def stretches(unit: Unit, times: int, model: ProcessorModel) -> list[Stretch]:
    """Return `times` units, one after the other, as stretches of virtual time: the core's, the processor's, rest."""
    spent = processor_time(unit.work, model)
    serial_s = spent.added_s(unit.core_s)
    late_s = serial_s - spent.serial_s
    core = core_counts(unit.counters, unit.activity) if unit.core_s else {}
    core |= {"processor_s": spent.overlapped_s - late_s}
    core["ddr_write_bytes"] = core.get("ddr_write_bytes", 0) + unit.work.overlapped_bytes
    parts = (
        (unit.core_s, core, "other"),
        (serial_s, {"processor_s": serial_s, "ddr_write_bytes": unit.work.copied_bytes}, "other"),
        (unit.rest_s, {}, "idle"),
    )
    return [
        Stretch(seconds * times, {name: count * times for name, count in counts.items()}, phase)
        for seconds, counts, phase in parts if seconds > 0
    ]


@dataclass(frozen=True)
class Recorder:
    """Makes the run folders of a sweep, each with its trace."""

    settings: SweepSettings
    config: Config
    sensors: tuple[str, ...]
    model: ProcessorModel
    table: EnergyTable
    path: Path

    def record(self, planned: Planned, unit: Unit, drawn: Unit) -> dict:
        """Record one run and return its result.

        Args:
            unit: as it was simulated: its counts are what the run's record says.
            drawn: what the board drew power for; the same unit, except in a control.
        """
        unit_s = math.fsum(stretch.duration_s for stretch in stretches(unit, 1, self.model))
        times = max(1, round(BLOCK_S / unit_s))
        path = self.path / planned.workload.name / str(planned.repeat)
        with RunFolder(path, self._record(planned, unit, times)) as folder:
            shutil.copyfile(self.settings.energy_table or TABLE, path / ENERGY_TABLE)
            folder.append(self._line(unit, times))
            known = {"run": f"{planned.workload.name}/{planned.repeat}", "commit": folder.record["commit"],
                     "board": self.settings.board, "idle_definition": IDLE_DEFINITION}  # fmt: skip
            with Emulation(path / TRACE, self._sensors(planned), self.config, known, Plan(self.settings.windows)) as emulation:
                emulation.before()
                emulation.iteration(stretches(drawn, times, self.model))
                emulation.after()
            replayed = {**emulation.replayed, "units_in_a_run": times, "simulated": unit.simulated, "spread_evenly_s": BLOCK_S}
            result = recompute(path) | {"benchmark": "sweep", "workload": planned.workload.name, "run_dir": str(path)}
            folder.update(result=result, replayed=replayed)
        return result

    def _sensors(self, planned: Planned) -> tuple[str, ...]:
        """Return the sensors of a run: the same instruments as in all others, with noise of its own."""
        seed = 1 + zlib.crc32(f"{planned.workload.name} {planned.seed}".encode())
        return tuple(f"{url}{'&' if '?' in url else '?'}noise_seed={seed}" for url in self.sensors)

    def _record(self, planned: Planned, unit: Unit, times: int) -> dict:
        return {
            "benchmark": "sweep",
            "workload": planned.workload.name,
            "family": planned.workload.family,
            "says": planned.workload.says,
            "repeat": planned.repeat,
            "control": CONTROL if self.settings.shuffle_toggles else None,
            "commit": provenance.commit(),
            "versions": provenance.versions(),
            "board": self.settings.board,
            "config": dataclasses.asdict(self.config),
            "config_hash": f"{self.config.config_hash:08x}",
            "seed": planned.seed,
            "steps": 1,
            "units": times,
            "training_iterations": unit.iterations * times,
            "sensors": list(self._sensors(planned)),
            "trace": TRACE,
            "idle_definition": IDLE_DEFINITION,
            "energy_assumptions": {
                "simulated": {"table": self.table.name, "validity": self.table.validity},
                "emulated": {
                    "levels": dataclasses.asdict(RailLevels()), "spread": dataclasses.asdict(Spread()), "said": LEVELS_SAID,
                },
                "processor_time": dataclasses.asdict(self.model),
            },
        }

    def _line(self, unit: Unit, times: int) -> dict:
        """Return the run's only line: all units together."""
        counters, activity = ({name: count * times for name, count in part.items()} for part in (unit.counters, unit.activity))
        work = ProcessorWork(**{name: count * times for name, count in dataclasses.asdict(unit.work).items()})
        energy = EnergyMeter(self.config, self.table, self.model).add(counters, activity, work, unit.rest_s * times)
        return {
            "iteration": 0, "images": 0, "units": times, "rest_s": unit.rest_s * times, "counters": {"unit": counters},
            "activity": {"unit": activity}, "processor": dataclasses.asdict(work), "energy": energy.to_json(),
        }  # fmt: skip
