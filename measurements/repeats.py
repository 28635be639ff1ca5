"""Several runs of the same work: what their scatter says, and how many of which length a wanted uncertainty needs.

Type A evaluation is for repeats of the same program with the same seed from the same checkpoint: their scatter is that of the
measurement. Runs with different seeds do different work; their spread is a property of the work and never part of U.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from measurements.budget import Budget, Term, of_terms
from measurements.joules import Joules
from measurements.quantities import Quantity, judged

PILOT = "pilot"


class NotPooled(RuntimeError):
    """Energies that do not belong together were put together; the message says in what they differ."""


@dataclass(frozen=True)
class Pooled:
    """Mean energy of repeats.

    Attributes:
        gross, net: energy of one repeat, with U from scatter and from what all repeats share; net is None where one has none.
        values_gross_j, values_net_j: of the repeats in their order.
        budget_gross, budget_net: with the term "repeats" for the scatter, in place of each repeat's own noise.
        iterations: of each repeat.
        label, conditions: that all share.
    """

    gross: Quantity
    net: Quantity | None
    values_gross_j: tuple[float, ...]
    values_net_j: tuple[float, ...]
    budget_gross: Budget
    budget_net: Budget | None
    iterations: int
    label: str
    conditions: dict[str, Any]

    @property
    def n(self) -> int:
        """Number of repeats."""
        return len(self.values_gross_j)

    def to_json(self) -> dict:
        """Return JSON data."""
        return {
            "n": self.n, "label": self.label, "iterations": self.iterations,
            "gross": self.gross.to_json(), "net": self.net.to_json() if self.net else None,
            "values_j": {"gross": list(self.values_gross_j), "net": list(self.values_net_j)},
            "budget": {"gross": self.budget_gross.to_json(), "net": self.budget_net.to_json() if self.budget_net else None},
            "conditions": self.conditions,
        }  # fmt: skip


def pool(repeats: Sequence[Joules]) -> Pooled:
    """Return the mean of repeats of the same work.

    Raises:
        NotPooled: fewer than two, one that is invalid or the pilot, or repeats under different conditions.
    """
    repeats = list(repeats)
    _check(repeats)
    if len({(each.iterations, tuple(each.rails)) for each in repeats}) > 1:
        counts = ", ".join(str(each.iterations) for each in repeats)
        raise NotPooled(f"the repeats have {counts} iterations on rails {repeats[0].rails}: they must do the same work")
    gross_j = [each.gross.value for each in repeats]
    budget_gross = _pooled(gross_j, [each.budget_gross for each in repeats])
    gross = judged(math.fsum(gross_j) / len(repeats), budget_gross.u95_j, repeats[0].gross.scope)
    net, budget_net, net_j = None, None, []
    if all(each.net is not None and each.net.u95 is not None for each in repeats):
        net_j = [each.net.value for each in repeats]
        budget_net = _pooled(net_j, [each.budget_net for each in repeats])
        net = judged(math.fsum(net_j) / len(repeats), budget_net.u95_j, repeats[0].net.scope)
    return Pooled(gross, net, tuple(gross_j), tuple(net_j), budget_gross, budget_net, repeats[0].iterations, repeats[0].label,
                  repeats[0].conditions)  # fmt: skip


def _pooled(values_j: list[float], budgets: list[Budget]) -> Budget:
    """Return the budget of a mean: its scatter, and the largest of what each repeat has in common with the others."""
    n = len(values_j)
    shared: dict[str, Term] = {}
    for budget in budgets:
        for term in budget.terms:
            if term.systematic and (term.name not in shared or term.u_j > shared[term.name].u_j):
                shared[term.name] = term
    return of_terms([*shared.values(), Term("repeats", statistics.stdev(values_j) / math.sqrt(n), n - 1, False, 0.0)])


def _check(several: list[Joules]) -> None:
    """Raise NotPooled unless the energies are valid and share their conditions."""
    if len(several) < 2:
        raise NotPooled(f"{len(several)} run has no scatter: at least two are needed")
    for each in several:
        if each.window.name == PILOT:
            raise NotPooled("the pilot was among the runs: it set their length and number, so it is not used in the result")
        if each.gross.u95 is None:
            name = f"{each.window.name!r} number {each.window.number}"
            raise NotPooled(f"run {name} is {each.gross.verdict}: only valid runs are pooled")
    first = several[0].conditions
    for each in several[1:]:
        for key in sorted({*first, *each.conditions}):
            if first.get(key) != each.conditions.get(key):
                raise NotPooled(f"runs with different {_NAMES.get(key, key)} are not pooled: {first.get(key)!r} and "
                                f"{each.conditions.get(key)!r}")  # fmt: skip


_NAMES = {"clk_hz": "clocks of the board", "idle": "definitions of idle", "scope": "scopes", "label": "labels", "seed": "seeds",
          "program": "programs", "checkpoint": "checkpoints", "sensor": "kinds of sensors", "clock": "clocks"}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What a pilot says about the runs to make.

    Attributes:
        reachable: whether the wanted relative U can be had.
        requested: relative U asked for; expected: what the plan should give; floor: what no length and no number goes below.
        time_s: length of the window; iterations: in it, 0 where the pilot has none; repeats: number of runs.
        dominates: the term that makes the floor, or, where it is reachable, most of the expected U.
        said: the plan, or why there is none, in one sentence.
    """

    reachable: bool
    requested: float
    expected: float
    floor: float
    time_s: float
    iterations: int
    repeats: int
    dominates: str
    said: str

    def to_json(self) -> dict:
        """Return JSON data."""
        return dict(vars(self))


def plan(
    pilot: Joules, requested: float, *, net: bool = True, shortest_s: float = 10.0, longest_s: float = 3600.0, repeats: int = 5,
    most_repeats: int = 30,
) -> Plan:  # fmt: skip
    """Return window length and number of repeats for a relative U, from a pilot that is not used in the result.

    Args:
        pilot: its window may be shorter than a valid one: evaluate it with minimum_s=0 and requested=1.
        requested: U over the energy.
        net: of the net energy, else of the gross one.
        shortest_s, longest_s: of a window.
        repeats, most_repeats: least and largest number.

    Raises:
        NotPooled: the pilot is invalid, has no net energy, or no error is known of it.
    """
    quantity, budget = (pilot.net, pilot.budget_net) if net else (pilot.gross, pilot.budget_gross)
    if not requested > 0:
        raise NotPooled(f"a relative uncertainty of {requested} is asked for: it is above 0")
    if quantity is None or quantity.u95 is None or budget is None:
        raise NotPooled(f"the pilot cannot be used: {'it has no idle' if quantity is None else quantity.verdict}")
    which = "net" if net else "gross"
    if not budget.u_j > 0:
        raise NotPooled(f"the pilot cannot be used: U of its {which} energy is 0, since nothing varied under a sensor whose "
                        "limits of error are all 0: state its limits, or calibrate it")  # fmt: skip
    energy_j, forever = abs(quantity.value), [term for term in budget.terms if term.systematic and term.grows == 1 and term.u_j]
    if energy_j <= budget.u95_j:
        return Plan(False, requested, math.inf, math.inf, 0.0, 0, 0, budget.terms[0].name,
                    f"the pilot does not resolve {which} energy ({quantity.value:.3g} J, U {budget.u95_j:.3g} J, mostly "
                    f"{budget.terms[0].name}): take a longer pilot or a better sensor")  # fmt: skip
    floor = of_terms(forever).u95_j / energy_j if forever else 0.0
    each_s = pilot.time_s / pilot.iterations if pilot.iterations else 0.0

    def expected(time_s: float, n: int) -> float:
        return _scaled(budget, time_s / pilot.time_s, n).u95_j / (energy_j * time_s / pilot.time_s)

    if floor >= requested:
        return Plan(False, requested, floor, floor, 0.0, 0, 0, forever[0].name,
                    f"U of {requested:.2%} of the {which} energy cannot be reached: {forever[0].name} above all leaves "
                    f"{floor:.2%} however long and often one measures; {_REMEDY.get(forever[0].name, CALIBRATE)}")  # fmt: skip
    for n in range(repeats, most_repeats + 1):
        if expected(longest_s, n) <= requested:
            time_s = _shortest(lambda time_s, n=n: expected(time_s, n) <= requested, shortest_s, longest_s)
            iterations = math.ceil(time_s / each_s - 1e-9) if each_s else 0
            largest = _scaled(budget, time_s / pilot.time_s, n).terms[0].name
            return Plan(True, requested, expected(time_s, n), floor, time_s, iterations, n, largest,
                        f"{n} runs of {time_s:.3g} s{f' ({iterations} iterations)' if iterations else ''} for U of "
                        f"{requested:.2%} of the {which} energy")  # fmt: skip
    best, largest = expected(longest_s, most_repeats), _scaled(budget, longest_s / pilot.time_s, most_repeats).terms[0].name
    return Plan(False, requested, best, floor, longest_s, 0, most_repeats, largest,
                f"U of {requested:.2%} of the {which} energy is not reached with {most_repeats} runs of {longest_s:.0f} s: they "
                f"come to {best:.2%}, mostly {largest}; no length and number to less than {floor:.2%}")  # fmt: skip


CALIBRATE = "calibrate the sensor or use a better one"
_REMEDY = {"idle noise": "measure idle for longer", "idle drift": "let the board warm up, and measure idle closer to the run"}


def _scaled(budget: Budget, longer: float, n: int) -> Budget:
    """Return the budget of the mean of n windows that are so many times longer; what repeats do not share is known from n - 1."""
    scaled = [replace(term, u_j=term.u_j * longer**term.grows) for term in budget.terms]
    if n == 1:
        return of_terms(scaled)
    own_j = math.sqrt(math.fsum(term.u_j**2 for term in scaled if not term.systematic))
    return of_terms([*(term for term in scaled if term.systematic), Term("repeats", own_j / math.sqrt(n), n - 1, False, 0.0)])


def _shortest(enough, low_s: float, high_s: float) -> float:
    """Return the shortest time that is enough, within 0.1 %; `high_s` is."""
    if enough(low_s):
        return low_s
    while high_s / low_s > 1.001:
        middle_s = math.sqrt(low_s * high_s)
        low_s, high_s = (low_s, middle_s) if enough(middle_s) else (middle_s, high_s)
    return high_s

