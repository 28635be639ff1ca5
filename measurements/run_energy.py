"""Energies of a run on the simulated board, iteration by iteration: simulated from counters, emulated from rails.

Feed every iteration once; ask for the run at the end. A board without a clock (golden) has neither time nor energy,
and its run carries no label at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hw.config import Config
from measurements import virtual_rails
from measurements.energy_model import NOTHING, EnergyTable, Shares, energy_shares, load_table, time_shares
from measurements.processor_time import ProcessorModel, ProcessorTime, ProcessorWork, iteration_time_s, processor_time
from measurements.quantities import Quantity, RunEnergies, invalid, judged
from measurements.virtual_rails import VirtualRails

SIMULATED_SCOPE = "whole board, counters times energy table {table}"
NOT_FITTED = "the energy table {table} is not fitted to a measured board, so its uncertainty is unknown"


@dataclass(frozen=True)
class IterationEnergy:
    """What one iteration cost.

    Attributes:
        time_s: emulated duration.
        energy_j: simulated joules by share.
        seconds: time by share; their sum is time_s.
        rails_j: emulated gross joules by rail; None where the board counts no activity.
        emulated_net_j: of these, above idle, all rails; None likewise.
    """

    time_s: float
    energy_j: Shares
    seconds: Shares
    rails_j: dict[str, float] | None
    emulated_net_j: float | None

    def to_json(self) -> dict:
        """Return plain data for the run folder; labels are keys."""
        data = {
            "time_s": self.time_s,
            "seconds": self.seconds.to_json(),
            "simulated": {"gross_j": self.energy_j.total, "net_j": self.energy_j.net, "shares_j": self.energy_j.to_json()},
        }
        if self.rails_j is not None:
            gross = math.fsum(self.rails_j.values())
            data["emulated"] = {"gross_j": gross, "net_j": self.emulated_net_j, "rails_j": dict(self.rails_j)}
        return data


class EnergyMeter:
    """Adds up the iterations of one run.

    Args:
        config: of the core; gives clock and word sizes.
        table: energies per counter; the project's own by default.
        processor: model of the processor's time.
        rails: virtual rails, from time 0.
    """

    def __init__(
        self,
        config: Config,
        table: EnergyTable | None = None,
        processor: ProcessorModel | None = None,
        rails: VirtualRails | None = None,
    ):
        self.config = config
        self.table = table or load_table()
        self.processor = processor or ProcessorModel()
        self.rails = rails or VirtualRails(config.g)
        self.iterations: list[IterationEnergy] = []

    def add(self, counters: dict[str, int], activity: dict[str, int], work: ProcessorWork) -> IterationEnergy | None:
        """Add an iteration.

        Args:
            counters: of the core, summed over the iteration's segments.
            activity: of the RTL, summed likewise; empty where the board has none.
            work: what the processor did.

        Returns:
            What it cost, or None where the board has no clock (counter cycles is 0).
        """
        if not counters.get("cycles", 0):
            return None
        spent = processor_time(work, self.processor)
        core_s = counters["cycles"] / self.config.clk_hz
        time_s = iteration_time_s(counters["cycles"], self.config.clk_hz, spent)
        energy = energy_shares(counters, self.config, self.table, time_s, spent.busy_s)
        seconds = time_shares(counters, self.config, spent.added_s(core_s))
        rails_j, net_j = self._emulate(counters, activity, work, spent, core_s) if activity else (None, None)
        iteration = IterationEnergy(time_s, energy, seconds, rails_j, net_j)
        self.iterations.append(iteration)
        return iteration

    def _emulate(self, counters, activity, work: ProcessorWork, spent: ProcessorTime, core_s: float):
        """Let the core's part and the rest of the iteration pass on the rails; return joules by rail and those above idle."""
        first = len(self.rails.intervals)
        ddr_bytes = counters["ddr_read_bytes"] + counters["ddr_write_bytes"]
        beside_s = min(spent.overlapped_s, core_s)
        self.rails.advance(core_s, activity, ddr_bytes + work.streamed_bytes, beside_s)
        rest_s = spent.added_s(core_s)
        if rest_s > 0:
            self.rails.advance(rest_s, None, work.copied_bytes, rest_s)
        rails_j = virtual_rails.summed(interval.energy_j() for interval in self.rails.intervals[first:])
        return rails_j, math.fsum(rails_j.values()) - self.rails.levels.total_idle_w * (core_s + rest_s)

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

    def run_energies(self, drawn: int, executed: int) -> RunEnergies:
        """Return the run's energies with only the labels that it has.

        Args:
            drawn, executed: mini-batches drawn from the data, and of these executed.
        """
        gross: dict[str, Quantity] = {}
        net: dict[str, Quantity] = {}
        if not self.iterations:
            return RunEnergies(drawn, executed, None, gross, net)
        joules, _ = self.shares()
        scope, why = SIMULATED_SCOPE.format(table=self.table.name), NOT_FITTED.format(table=self.table.name)
        gross["simulated"] = invalid(joules.total, why, scope)
        net["simulated"] = invalid(joules.net, why, scope)
        if all(iteration.rails_j is not None for iteration in self.iterations):
            all_j = math.fsum(math.fsum(iteration.rails_j.values()) for iteration in self.iterations)
            above_j = math.fsum(iteration.emulated_net_j for iteration in self.iterations)
            gross["emulated"], net["emulated"] = self._judged(all_j, above_j)
        return RunEnergies(drawn, executed, self.time_s, gross, net)

    def _judged(self, gross_j: float, net_j: float) -> tuple[Quantity, Quantity]:
        """Return gross and net emulated energy with what the sensor could say about them."""
        scope = virtual_rails.SCOPE
        why = virtual_rails.why_too_short(self.time_s)
        if why:
            return invalid(gross_j, why, scope), invalid(net_j, why, scope)
        u95 = virtual_rails.u95_j(gross_j, net_j / self.time_s)
        return judged(gross_j, u95, scope), judged(net_j, u95, scope)
