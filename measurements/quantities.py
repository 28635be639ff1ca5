"""Reported numbers: a value that cannot lose its uncertainty, verdict, scope or label, and the energies of a run.

Three labels exist. simulated: counters times an energy model. emulated: virtual rails of a simulated board. measured:
a physical sensor. A run carries only those it has, and nothing turns one into another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

LABELS = ("simulated", "emulated", "measured")
SCHEMA = 1
RESOLVED = "resolved"
NOT_RESOLVED = "not resolved"


class LabelError(ValueError):
    """A label that does not exist, or two numbers of different labels put together."""


@dataclass(frozen=True)
class Quantity:
    """A number of joules as it is reported.

    Attributes:
        value: joules.
        u95: expanded uncertainty (95 %) in joules, None where it cannot be stated.
        verdict: "resolved", "not resolved" or "invalid: <why>".
        scope: which rails or parts are inside.
    """

    value: float
    u95: float | None
    verdict: str
    scope: str

    def __post_init__(self):
        if not math.isfinite(self.value):
            raise ValueError(f"an energy of {self.value} J is no number")
        invalid = self.verdict.startswith("invalid: ") and len(self.verdict) > len("invalid: ")
        if self.verdict not in (RESOLVED, NOT_RESOLVED) and not invalid:
            raise ValueError(f"verdict {self.verdict!r}: it is 'resolved', 'not resolved' or 'invalid: <why>'")
        if (self.u95 is None) != invalid:
            raise ValueError(f"verdict {self.verdict!r} with u95 {self.u95}: only an invalid verdict has no uncertainty")
        if self.u95 is not None and not 0 <= self.u95 < math.inf:
            raise ValueError(f"an uncertainty of {self.u95} J: it is at least 0 and finite")
        if not self.scope:
            raise ValueError("a quantity without a scope: say which rails or parts are inside")

    def to_json(self) -> dict:
        """Return {"value", "u95", "verdict", "scope"}, in that order."""
        return {"value": self.value, "u95": self.u95, "verdict": self.verdict, "scope": self.scope}

    def of(self, said: str) -> Quantity:
        """Return the quantity with a scope that says so besides; itself where there is nothing to say."""
        return Quantity(self.value, self.u95, self.verdict, f"{self.scope}; {said}") if said else self

    def divided(self, n: int) -> Quantity:
        """Return the quantity per one of n; n is exact, so value and uncertainty shrink alike."""
        return Quantity(self.value / n, None if self.u95 is None else self.u95 / n, self.verdict, self.scope)


def judged(value: float, u95: float, scope: str) -> Quantity:
    """Return a quantity with a known uncertainty: resolved when its interval leaves out zero."""
    return Quantity(value, u95, RESOLVED if abs(value) > u95 else NOT_RESOLVED, scope)


def invalid(value: float, why: str, scope: str) -> Quantity:
    """Return a quantity whose uncertainty cannot be stated, and why."""
    return Quantity(value, None, f"invalid: {why}", scope)


@dataclass(frozen=True)
class RunEnergies:
    """Energies of one run.

    Attributes:
        iterations_drawn: mini-batches drawn from the data.
        iterations_executed: of these, executed (a method may drop some).
        time_s: duration on the board's clock; None where the board has no clock (golden).
        gross, net: label to energy; net is above idle, and absent where no idle power was taken.
    """

    iterations_drawn: int
    iterations_executed: int
    time_s: float | None
    gross: dict[str, Quantity]
    net: dict[str, Quantity]

    def __post_init__(self):
        for label in (*self.gross, *self.net):
            if label not in LABELS:
                raise LabelError(f"label {label!r} is none of {list(LABELS)}")
        if not set(self.net) <= set(self.gross):
            raise LabelError(f"net energies are {sorted(self.net)}, gross energies only {sorted(self.gross)}")
        if not 0 <= self.iterations_executed <= self.iterations_drawn:
            raise ValueError(f"{self.iterations_executed} of {self.iterations_drawn} iterations executed: it is 0 to all of them")

    def to_json(self) -> dict:
        """Return the run's JSON, keys always in this order; energies per iteration only where one was executed.

        "net" is null where no idle power was taken.
        """
        run, each = {}, {}
        for label in LABELS:
            if label in self.gross:
                both = {"gross": self.gross[label], "net": self.net.get(label)}
                run[label] = {kind: one and one.to_json() for kind, one in both.items()}
                if self.iterations_executed:
                    n = self.iterations_executed
                    each[label] = {kind: one and one.divided(n).to_json() for kind, one in both.items()}
        return {
            "schema": SCHEMA,
            "iterations_drawn": self.iterations_drawn,
            "iterations_executed": self.iterations_executed,
            "time_s": self.time_s,
            "run_energy_j": run,
            "energy_per_executed_iteration_j": each,
        }
