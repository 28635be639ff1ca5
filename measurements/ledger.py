"""Three ledgers of what training cost: multiply-accumulates, bit-scaled multiply-accumulates, and joules by label.

None is ever turned into another: they are different types, and adding them, comparing them or taking one as a share of
another is an error. An entry belongs to a layer and to what is done for it: "forward", "grad_input", "grad_weight", ...
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from measurements.quantities import LABELS, LabelError

Key = tuple[str, str]
"""(layer, work)."""


class LedgerError(TypeError):
    """Ledgers of different kinds were put together; the message says which."""


@dataclass(frozen=True)
class Ledger:
    """Amounts by layer and work.

    Attributes:
        amounts: (layer, work) to a number of `unit`.
        method: of training, "" where there is none.
    """

    amounts: Mapping[Key, Fraction | int | float] = field(default_factory=dict)
    method: str = ""

    unit = ""

    @property
    def kind(self) -> str:
        """What is counted, in words."""
        return self.unit

    def __add__(self, other: Ledger) -> Ledger:
        self._check(other, "added to")
        total = dict(self.amounts)
        for key, amount in other.amounts.items():
            total[key] = total.get(key, 0) + amount
        return replace(self, amounts=total, method=self.method if self.method == other.method else "")

    def times(self, factor: Fraction | int) -> Ledger:
        """Return the ledger of so many times the same."""
        return replace(self, amounts={key: amount * factor for key, amount in self.amounts.items()})

    @property
    def total(self) -> Fraction | int | float:
        """All amounts together."""
        return sum(self.amounts.values())

    def by_layer(self) -> dict[str, Fraction | int | float]:
        """Return the amounts by layer."""
        return self._by(0)

    def by_work(self) -> dict[str, Fraction | int | float]:
        """Return the amounts by what was done: product, or phase."""
        return self._by(1)

    def saved_against(self, baseline: Ledger) -> float:
        """Return 1 - total / the baseline's total. Raises LedgerError of another kind, ZeroDivisionError of nothing."""
        self._check(baseline, "compared with")
        return float(1 - self.total / baseline.total)

    def to_json(self) -> dict:
        """Return unit, method, total, and the amounts by work and by layer and work."""
        layers: dict[str, dict[str, float]] = {}
        for (layer, work), amount in self.amounts.items():
            layers.setdefault(layer, {})[work] = _plain(amount)
        by_work = {work: _plain(amount) for work, amount in self.by_work().items()}
        return {"unit": self.unit, "method": self.method, "total": _plain(self.total), "by_work": by_work, "by_layer": layers}

    def _by(self, part: int) -> dict[str, Fraction | int | float]:
        found: dict[str, Fraction | int | float] = {}
        for key, amount in self.amounts.items():
            found[key[part]] = found.get(key[part], 0) + amount
        return found

    def _check(self, other: Ledger, verb: str) -> None:
        if type(other) is not type(self) or other.kind != self.kind:
            found = other.kind if isinstance(other, Ledger) else f"a {type(other).__name__}"
            raise LedgerError(f"{self.kind} cannot be {verb} {found}: a ledger is put together with its own kind only")


@dataclass(frozen=True)
class MacLedger(Ledger):
    """Multiply-accumulates, whatever their width."""

    unit = "MAC"


@dataclass(frozen=True)
class BitScaledLedger(Ledger):
    """Multiply-accumulates, each counted as (bits of a / 32) (bits of b / 32); not a prediction of joules."""

    unit = "MAC * (bits_a / 32) * (bits_b / 32)"


@dataclass(frozen=True)
class EnergyLedger(Ledger):
    """Joules of one label.

    Attributes:
        label: of measurements.quantities.LABELS.
    """

    label: str = ""

    unit = "J"

    def __post_init__(self):
        if self.label not in LABELS:
            raise LabelError(f"label {self.label!r} is none of {list(LABELS)}")

    @property
    def kind(self) -> str:
        """What is counted, in words."""
        return f"{self.label} J"

    def to_json(self) -> dict:
        """Return what every ledger has, and the label."""
        return super().to_json() | {"label": self.label}


def _plain(amount: Fraction | int | float) -> int | float:
    return amount if isinstance(amount, int) else float(amount)
