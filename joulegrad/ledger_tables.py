"""Ledgers for people: one table per run and ledger, and what was saved against a baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from joulegrad.screen import Screen, table
from measurements.ledger import Ledger
from measurements.ledger_run import RunLedgers

if TYPE_CHECKING:
    from rich.table import Table


def show_ledgers(runs: list[RunLedgers], saved: list[dict] | None, layers: bool, screen: Screen) -> None:
    """Print the ledgers of runs by work, or by layer and work, and the shares saved."""
    for number, run in enumerate(runs):
        done = f"{run.executed} iterations executed of {run.drawn} drawn, method {run.method}"
        screen.out.print(f"{run.name}: {done}", markup=False)
        for ledger in (run.macs, run.bit_scaled, *run.energies.values()):
            screen.out.print(_table(ledger, layers))
        if saved:
            screen.out.print(_saved(saved[number]))


def _table(ledger: Ledger, layers: bool) -> Table:
    made = table(ledger.kind, ["layer", "work"] if layers else ["work"], ["amount", "%"])
    rows = ledger.amounts if layers else {(work,): amount for work, amount in ledger.by_work().items()}
    for key, amount in rows.items():
        made.add_row(*key, f"{float(amount):.5g}", f"{100 * float(amount / ledger.total):.2f}" if ledger.total else "")
    made.add_row("together", *[""] * layers, f"{float(ledger.total):.5g}", "")
    return made


def _saved(saved: dict) -> Table:
    made = table("saved against the baseline, each ledger by itself", ["ledger"], ["%"])
    flat = {"MAC": saved["macs"], "bit-scaled MAC": saved["bit_scaled_macs"]}
    flat |= {f"{label} J": share for label, share in saved["joules"].items()}
    for name, share in flat.items():
        made.add_row(name, f"{100 * share:.2f}")
    return made
