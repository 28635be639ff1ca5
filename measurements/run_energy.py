"""Energies of a run, added up iteration by iteration: simulated from counters, and beside them what a sensor's trace gave.

Feed every iteration once; ask for the run at the end. A board without a clock (golden) has neither time nor energy
of its own; what is fed for it are predicted cycles, and `said` says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from host.iteration import summed
from host.processor_work import ProcessorWork
from hw.config import Config
from measurements.energy_model import NOTHING, PROCESSOR_BYTES, EnergyTable, Shares, energy_shares, load_table, time_shares
from measurements.processor_time import ProcessorModel, iteration_time_s, processor_time
from measurements.quantities import Quantity, RunEnergies
from measurements.table_validity import quantities

CYCLES_PREDICTED = "cycles predicted from the instructions, not counted by a core"
"""What a simulated energy says of itself where nothing counted cycles: the golden board, or PyTorch."""


@dataclass(frozen=True)
class IterationEnergy:
    """What one iteration cost.

    Attributes:
        time_s: duration on the board's clock, the processor's part modelled.
        energy_j: simulated joules by share.
        seconds: time by share; their sum is time_s.
    """

    time_s: float
    energy_j: Shares
    seconds: Shares

    def to_json(self) -> dict:
        """Return plain data for the run folder; labels are keys."""
        return {
            "time_s": self.time_s,
            "seconds": self.seconds.to_json(),
            "simulated": {"gross_j": self.energy_j.total, "net_j": self.energy_j.net, "shares_j": self.energy_j.to_json()},
        }


class EnergyMeter:
    """Adds up the iterations of one run.

    Args:
        config: of the core; gives clock and word sizes.
        table: energies per counter; the project's own by default.
        processor: model of the processor's time.

    Attributes:
        said: what the scope of the simulated energy has to say besides; "" for nothing.
    """

    def __init__(self, config: Config, table: EnergyTable | None = None, processor: ProcessorModel | None = None):
        self.config = config
        self.table = table or load_table()
        self.processor = processor or ProcessorModel()
        self.iterations: list[IterationEnergy] = []
        self._counts: dict[str, int] = {}
        self._processor_s = 0.0
        self.said = ""

    def add(
        self, counters: dict[str, int], activity: dict[str, int], work: ProcessorWork, rest_s: float | None = None,
        time_s: float | None = None,
    ) -> IterationEnergy | None:
        """Add an iteration.

        Args:
            counters: of the core, summed over the iteration's segments.
            activity: of the RTL, summed likewise; empty where the board has none.
            work: what the processor did.
            rest_s: time in which core and processor rested besides, of a workload that has such; None elsewhere.
            time_s: that the iteration took by a real clock; None where the processor's time is modelled.

        Returns:
            What it cost, or None where the board has no clock (counter cycles is 0, and nothing is said of rest).
        """
        if not counters.get("cycles", 0) and rest_s is None:
            return None
        spent = processor_time(work, self.processor)
        beside = {**activity, PROCESSOR_BYTES: work.moved_bytes}
        core_s = counters.get("cycles", 0) / self.config.clk_hz
        added_s = spent.added_s(core_s)
        if time_s is None:
            time_s = iteration_time_s(counters.get("cycles", 0), self.config.clk_hz, spent) + (rest_s or 0.0)
        else:
            added_s = max(0.0, time_s - core_s)
        energy = energy_shares(counters, self.config, self.table, time_s, spent.busy_s, beside)
        seconds = time_shares(counters, self.config, added_s, rest_s or 0.0)
        iteration = IterationEnergy(time_s, energy, seconds)
        self.iterations.append(iteration)
        self._processor_s += spent.busy_s
        for name, count in (*counters.items(), *beside.items()):
            self._counts[name] = self._counts.get(name, 0) + count
        return iteration

    def add_line(self, line: Mapping, real_time: bool) -> IterationEnergy | None:
        """Add an iteration as its line in a run folder tells of it.

        Args:
            real_time: whether the board's time is the host's, and the line's host_s what the iteration took.

        Raises:
            KeyError, TypeError, AttributeError: it is no such line.
        """
        counters, activity = summed(line["counters"].values()), summed(line["activity"].values())
        if "predicted_cycles" in line:
            counters["cycles"], self.said = line["predicted_cycles"], CYCLES_PREDICTED
        time_s = line["host_s"] if real_time else None
        return self.add(counters, activity, ProcessorWork(**line["processor"]), line.get("rest_s"), time_s)

    @property
    def time_s(self) -> float:
        """Emulated duration of the run so far."""
        return math.fsum(iteration.time_s for iteration in self.iterations)

    def shares(self) -> tuple[Shares, Shares]:
        """Return the run's simulated joules and its seconds, both by share."""
        joules, seconds = NOTHING, NOTHING
        for iteration in self.iterations:
            joules, seconds = joules + iteration.energy_j, seconds + iteration.seconds
        return joules, seconds

    def run_energies(
        self, drawn: int, executed: int, sensed: Mapping[str, tuple[Quantity, Quantity]] | None = None
    ) -> RunEnergies:
        """Return the run's energies with only the labels that it has.

        Args:
            drawn, executed: mini-batches drawn from the data, and of these executed.
            sensed: label of a sensor to the run's gross and net energy, as its trace gave them.
        """
        gross: dict[str, Quantity] = {}
        net: dict[str, Quantity] = {}
        if not self.iterations:
            return RunEnergies(drawn, executed, None, gross, net)
        joules, _ = self.shares()
        simulated = quantities(self.table, joules, self.time_s, self._counts, self._processor_s)
        gross["simulated"], net["simulated"] = (one.of(self.said) for one in simulated)
        for label, (all_of_it, above_idle) in (sensed or {}).items():
            gross[label], net[label] = all_of_it, above_idle
        return RunEnergies(drawn, executed, self.time_s, gross, net)
