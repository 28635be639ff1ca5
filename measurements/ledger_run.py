"""The three ledgers of a run folder: what its iterations recorded, and the joules that it reported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from algo.policies.method import PLAIN, Method
from host.run_folder import became, read_iterations, read_record
from hw.program import ProgramError, read_program
from measurements.energy_model import load_table
from measurements.ledger import BitScaledLedger, EnergyLedger, MacLedger
from measurements.ledger_macs import run_ledgers
from measurements.quantities import LABELS
from measurements.recompute import ENERGY_TABLE
from measurements.report_energy import PROGRAM, simulated_by_layer
from measurements.report_parts import ReportError
from measurements.report_run import ReportedRun, load_run, quantity

WHOLE = "whole run"
"""Layer of joules that nothing tells apart by layer."""

CONDITIONS = ("config_hash", "clock", "idle_definition")
"""Entries of run.json that must be equal where joules of two runs are compared, besides the processor's model."""


@dataclass(frozen=True)
class RunLedgers:
    """The ledgers of one run.

    Attributes:
        name: of its folder.
        method: of its training.
        drawn, executed: iterations.
        macs, bit_scaled: of all its training iterations.
        energies: by label, gross; simulated joules by layer and work, others as a whole.
        conditions: under which the joules hold.
    """

    name: str
    method: str
    drawn: int
    executed: int
    macs: MacLedger
    bit_scaled: BitScaledLedger
    energies: dict[str, EnergyLedger]
    conditions: dict

    def to_json(self) -> dict:
        """Return everything but the conditions."""
        return {
            "run": self.name, "method": self.method, "iterations_drawn": self.drawn, "iterations_executed": self.executed,
            "macs": self.macs.to_json(), "bit_scaled_macs": self.bit_scaled.to_json(),
            "joules": {label: ledger.to_json() for label, ledger in self.energies.items()},
        }  # fmt: skip

    def saved_against(self, baseline: RunLedgers) -> dict:
        """Return what this run saved in every ledger that both have, each against its own kind.

        Raises:
            ReportError: the joules of the two runs hold under different conditions.
        """
        for name, value in self.conditions.items():
            if value != baseline.conditions[name]:
                found = f"{name} is {value} in run {self.name} and {baseline.conditions[name]} in {baseline.name}"
                raise ReportError(f"{found}: joules are compared between runs that share it")
        return {
            "macs": self.macs.saved_against(baseline.macs),
            "bit_scaled_macs": self.bit_scaled.saved_against(baseline.bit_scaled),
            "joules": {
                label: ledger.saved_against(baseline.energies[label])
                for label, ledger in self.energies.items() if label in baseline.energies
            },
        }  # fmt: skip


def ledgers_of(path) -> RunLedgers:
    """Return the ledgers of a run folder.

    Raises:
        RunFolderError, ReportError, TraceError, ProgramError, EnergyTableError: the run is missing, damaged or unfinished, or
            holds no training program.
    """
    record = read_record(path)
    if not record.get("result"):
        raise ReportError(f"run {path} is {became(record)}: ledgers are of runs that have finished training")
    if not (Path(path) / PROGRAM).is_file():
        raise ReportError(f"run {path} holds no program to count: ledgers are of 'joulegrad bench' and 'joulegrad train --price'")
    run = load_run(path)
    if run.work is None:
        raise ReportError(f"run {path} has no iterations that could be counted: its iterations.jsonl is empty or damaged")
    program = read_program(run.path / PROGRAM)
    if program.step is None:
        raise ProgramError(f"{run.path / PROGRAM} holds no training step: it has no ledgers")
    method = Method.from_json(run.record.get("method") or {"name": PLAIN, "settings": {}})
    macs, bit_scaled = run_ledgers(program.step, read_iterations(run.path), method)
    assumptions = run.record["energy_assumptions"]
    conditions = {name: run.record.get(name) for name in CONDITIONS} | {"processor model": assumptions["processor_time"]}
    return RunLedgers(
        run.name, method.name, run.result["iterations_drawn"], run.result["iterations_executed"], macs, bit_scaled,
        _energies(run, method.name), conditions,
    )  # fmt: skip


def _energies(run: ReportedRun, method: str) -> dict[str, EnergyLedger]:
    found = {}
    for label in LABELS:
        gross = quantity(run, label, "gross")
        if gross is None:
            continue
        amounts = {(WHOLE, "all"): gross["value"]}
        if label == "simulated":
            layers = simulated_by_layer(run, load_table(run.path / ENERGY_TABLE))
            amounts = layers | {(WHOLE, "processor and idle"): gross["value"] - sum(layers.values())}
        found[label] = EnergyLedger(amounts, method, label)
    return found
