"""Simulated joules: counters times an energy table, split in shares that sum to the total.

    E = sum over events of count * pJ  +  processor_busy_w * busy time  +  board_idle_w * time

The first two terms are what the work costs above idle (net); all three are gross. The label of every number
from here is "simulated".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from hw import isa
from hw.config import Config

LABEL = "simulated"
SHARES = ("array", "memory", "vector", "processor", "idle")
"""Array: products; memory: scratchpads, accumulators, tables, DDR, instructions; vector: vector and coefficient unit."""
TABLE = Path(__file__).parent / "energy_table.json"

UNITS = {
    "event": lambda g: 1,
    "lane": lambda g: g,
    "word byte": lambda g: g,
    "row byte": lambda g: 4 * g,
    "block byte": lambda g: g * g,
}
"""How often an event's energy is paid per count, by the array's side."""


class EnergyTableError(ValueError):
    """The energy table lacks an entry or a source, or names something unknown; the message says which."""


@dataclass(frozen=True)
class EnergyTable:
    """A checked energy table.

    Attributes:
        name: identifies the table in results.
        validity: one paragraph on what the numbers may be used for.
        event_pj: counter name to picojoule per unit, all factors applied.
        unit: counter name to its key in UNITS.
        share: counter name to its share.
        board_idle_w: power that is drawn all the time.
        processor_busy_w: power of the processor above idle while it works for the run.
    """

    name: str
    validity: str
    event_pj: dict[str, float]
    unit: dict[str, str]
    share: dict[str, str]
    board_idle_w: float
    processor_busy_w: float

    def picojoules(self, counter: str, g: int) -> float:
        """Return the energy of one count of a counter in picojoules on an array of side g."""
        return self.event_pj[counter] * UNITS[self.unit[counter]](g)


@dataclass(frozen=True)
class Shares:
    """Joules or seconds by share, in the order of SHARES."""

    array: float
    memory: float
    vector: float
    processor: float
    idle: float

    @property
    def total(self) -> float:
        """Sum of all shares: gross joules, or seconds of the run."""
        return self.net + self.idle

    @property
    def net(self) -> float:
        """Sum of all shares but idle: joules above idle."""
        return self.array + self.memory + self.vector + self.processor

    def to_json(self) -> dict[str, float]:
        """Return the shares by name in the order of SHARES."""
        return {name: getattr(self, name) for name in SHARES}

    def __add__(self, other: Shares) -> Shares:
        return Shares(*(getattr(self, name) + getattr(other, name) for name in SHARES))


NOTHING = Shares(0.0, 0.0, 0.0, 0.0, 0.0)


def load_table(path: Path = TABLE) -> EnergyTable:
    """Read and check an energy table.

    Raises:
        EnergyTableError: unreadable, or an entry is missing, unknown, negative or without a source.
    """
    try:
        data = json.loads(Path(path).read_text())
        return _checked(data)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, EnergyTableError):
            raise
        raise EnergyTableError(f"{path} is no energy table: {type(error).__name__} {error}") from None


def _checked(data: dict) -> EnergyTable:
    if data["label"] != LABEL:
        raise EnergyTableError(f"the energy table has label {data['label']!r}, but its numbers can only be {LABEL!r}")
    factors = {name: _number(name, entry["value"]) for name, entry in data["factors"].items()}
    for kind in ("factors", "powers"):
        for name, entry in data[kind].items():
            _check_source(data, name, entry)
    event_pj, unit, share = {}, {}, {}
    for name, entry in data["events"].items():
        counter = entry["counter"]
        if counter not in isa.COUNTER_NAMES:
            raise EnergyTableError(f"entry {name} is about counter {counter!r}, which the core does not have")
        if entry["per"] not in UNITS or entry["share"] not in SHARES:
            raise EnergyTableError(f"entry {name} has per {entry['per']!r} and share {entry['share']!r}: known are "
                                   f"{sorted(UNITS)} and {list(SHARES)}")
        if not entry["terms"]:
            raise EnergyTableError(f"entry {name} has no terms")
        event_pj[counter] = sum(_term_pj(data, name, term, factors) for term in entry["terms"])
        unit[counter], share[counter] = entry["per"], entry["share"]
    covered = set(event_pj) | set(data["free_counters"])
    if covered != set(isa.COUNTER_NAMES) or set(event_pj) & set(data["free_counters"]):
        odd = sorted(covered ^ set(isa.COUNTER_NAMES) | set(event_pj) & set(data["free_counters"]))
        raise EnergyTableError(f"counters {odd} need exactly one place in the energy table: events or free_counters")
    powers = {name: _number(name, entry["value"]) for name, entry in data["powers"].items()}
    return EnergyTable(data["name"], data["validity"], event_pj, unit, share, **powers)


def _term_pj(data: dict, name: str, term: dict, factors: dict[str, float]) -> float:
    _check_source(data, name, term)
    value = _number(name, term["base_pj"])
    for factor in term["factors"]:
        if factor not in factors:
            raise EnergyTableError(f"entry {name} is scaled by {factor!r}, which is none of {sorted(factors)}")
        value *= factors[factor]
    return value


def _check_source(data: dict, name: str, entry: dict) -> None:
    named = [source.strip() for source in entry.get("source", "").split(",")]
    unknown = [source for source in named if source not in data["sources"]]
    if unknown:
        raise EnergyTableError(f"entry {name} names source {unknown[0]!r}, which is none of {sorted(data['sources'])}")


def _number(name: str, value) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < float("inf"):
        raise EnergyTableError(f"entry {name} has value {value!r}, not a number of at least 0")
    return float(value)


def energy_shares(counters: dict[str, int], config: Config, table: EnergyTable, time_s: float, processor_s: float) -> Shares:
    """Return the joules of a run, or a part of it, by share.

    Args:
        counters: of the core, summed over the segments concerned.
        time_s: duration on the board, idle power is paid for all of it.
        processor_s: time the processor worked for the run, overlapped with the core or not.
    """
    joules = dict.fromkeys(SHARES, 0.0)
    for counter in table.event_pj:
        joules[table.share[counter]] += counters.get(counter, 0) * table.picojoules(counter, config.g) * 1e-12
    joules["processor"] = table.processor_busy_w * processor_s
    joules["idle"] = table.board_idle_w * time_s
    return Shares(**joules)


def time_shares(counters: dict[str, int], config: Config, processor_s: float) -> Shares:
    """Return the seconds of a run, or a part of it, by what the array did or waited for.

    array: slots issued and gaps inside an instruction; memory: waiting for the load engine; vector: waiting for the
    vector unit, the coefficient unit or the store engine behind them; processor: core stopped, the processor works;
    idle: the array has nothing to do while the core runs. They sum to cycles / clk_hz + processor_s.
    """
    def seconds(*names: str) -> float:
        return sum(counters.get(name, 0) for name in names) / config.clk_hz

    array = seconds("slots_forward", "slots_grad_input", "slots_grad_weight", "slots_pool", "stall_array_gap")
    memory = seconds("stall_array_load")
    vector = seconds("stall_array_vector", "stall_array_other")
    rest = seconds("cycles") - array - memory - vector
    return Shares(array, memory, vector, processor_s, rest)
