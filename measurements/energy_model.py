"""Simulated joules: counters times an energy table, split in shares that sum to the total.

    E = sum over events of count * pJ  +  processor_busy_w * busy time  +  board_idle_w * time

The first two terms are what the work costs above idle (net); all three are gross. The label of every number
from here is "simulated".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hw import isa
from hw.config import Config

LABEL = "simulated"
SHARES = ("array", "memory", "vector", "processor", "idle")
"""Array: products; memory: scratchpads, accumulators, tables, DDR, instructions; vector: vector and coefficient unit."""
TABLE = Path(__file__).parent / "energy_table.json"

PROCESSOR_S, PROCESSOR_BYTES = "processor_s", "processor_bytes"
"""What a fitted table pays for besides the core's counts: seconds that the processor works, bytes that it copies."""

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
class Calibration:
    """Where a fitted table comes from and how far it reaches (measurements.calibrated_table writes it).

    Attributes:
        truth: label of the energies that it was fitted to, "emulated" or "measured".
        board, config, config_hash, clk_hz, scope, idle, processor_time: of the runs; it holds for these alone.
        date: ISO date of the fit.
        workloads, runs: it was fitted to.
        net_u95, gross_u95: relative expanded uncertainty of a predicted energy of a workload that was not among them.
        most_per_s: count or activity to the largest rate in those runs; beyond it the table extrapolates.
        high_j: count or activity to joules per count at the upper end of the interval: what a count beyond may cost.
    """

    truth: str
    board: str
    config: str
    config_hash: str
    clk_hz: int
    scope: str
    idle: str
    processor_time: dict[str, float]
    date: str
    workloads: int
    runs: int
    net_u95: float
    gross_u95: float
    most_per_s: dict[str, float]
    high_j: dict[str, float]


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
        activity: names in `event_pj` that are no counters of the core: signal activity, bytes that the processor copies.
        calibration: of a table that was fitted to runs; None for one that was not.
    """

    name: str
    validity: str
    event_pj: dict[str, float]
    unit: dict[str, str]
    share: dict[str, str]
    board_idle_w: float
    processor_busy_w: float
    activity: frozenset[str] = frozenset()
    calibration: Calibration | None = None

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
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        return _checked(data)
    except OSError as error:
        raise EnergyTableError(f"{path} is no energy table that can be read: {error.strerror or error}") from None
    except KeyError as error:
        raise EnergyTableError(f"{path} is no energy table: it has no entry {error}") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, EnergyTableError):
            raise
        raise EnergyTableError(f"{path} is no energy table: {error}") from None


def _checked(data: dict) -> EnergyTable:
    if not isinstance(data, dict):
        raise ValueError(f"it holds a {type(data).__name__}, not an object")
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
    activity = data.get("activity", {})
    for name, entry in activity.items():
        if name in isa.COUNTER_NAMES or entry["per"] not in UNITS or entry["share"] not in SHARES:
            raise EnergyTableError(f"activity {name} has per {entry['per']!r} and share {entry['share']!r}: known are "
                                   f"{sorted(UNITS)} and {list(SHARES)}, and it is no counter's name")
        _check_source(data, name, entry)
        event_pj[name] = _number(name, entry["pj"])
        unit[name], share[name] = entry["per"], entry["share"]
    paid, free = set(event_pj) - set(activity), set(data["free_counters"])
    if paid | free != set(isa.COUNTER_NAMES) or paid & free:
        odd = sorted((paid | free) ^ set(isa.COUNTER_NAMES) | paid & free)
        raise EnergyTableError(f"counters {odd} need exactly one place in the energy table: events or free_counters")
    powers = {name: _number(name, entry["value"]) for name, entry in data["powers"].items()}
    calibration = _calibration(data["calibration"]) if "calibration" in data else None
    return EnergyTable(
        data["name"], data["validity"], event_pj, unit, share, **powers, activity=frozenset(activity), calibration=calibration,
    )


def _calibration(data: dict) -> Calibration:
    found = Calibration(**data)
    if found.truth not in ("emulated", "measured"):
        raise EnergyTableError(f"the energy table was fitted to {found.truth!r} energies: they are 'emulated' or 'measured'")
    for name in ("net_u95", "gross_u95"):
        _number(name, getattr(found, name))
    for entries in (found.most_per_s, found.high_j):
        for name, value in entries.items():
            _number(name, value)
    if set(found.high_j) - set(found.most_per_s):
        raise EnergyTableError(f"the energy table has no largest rate of {sorted(set(found.high_j) - set(found.most_per_s))}")
    return found


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


def energy_shares(
    counters: Mapping[str, int], config: Config, table: EnergyTable, time_s: float, processor_s: float,
    activity: Mapping[str, int] | None = None,
) -> Shares:
    """Return the joules of a run, or a part of it, by share.

    Args:
        counters: of the core, summed over the segments concerned.
        time_s: duration on the board, idle power is paid for all of it.
        processor_s: time the processor worked for the run, overlapped with the core or not.
        activity: signal activity, summed likewise, and PROCESSOR_BYTES; a fitted table may need them.

    Raises:
        EnergyTableError: the table is made from counts that are not given, while the core worked.
    """
    counts = {**counters, **(activity or {})}
    missing = sorted(table.activity - set(counts))
    if missing and counters.get("cycles", 0):
        raise EnergyTableError(
            f"energy table {table.name} is made from {', '.join(missing)}, which this board does not count: fit a table with "
            f"compare --model counters"
        )
    joules = dict.fromkeys(SHARES, 0.0)
    for counter in table.event_pj:
        joules[table.share[counter]] += counts.get(counter, 0) * table.picojoules(counter, config.g) * 1e-12
    joules["processor"] = table.processor_busy_w * processor_s
    joules["idle"] = table.board_idle_w * time_s
    return Shares(**joules)


def time_shares(counters: Mapping[str, int], config: Config, processor_s: float, rest_s: float = 0.0) -> Shares:
    """Return the seconds of a run, or a part of it, by what the array did or waited for.

    array: slots issued and gaps inside an instruction; memory: waiting for the load engine; vector: waiting for the
    vector unit, the coefficient unit or the store engine behind them; processor: core stopped, the processor works;
    idle: the array has nothing to do while the core runs, or all rest. They sum to cycles / clk_hz + processor_s + rest_s.
    """
    def seconds(*names: str) -> float:
        return sum(counters.get(name, 0) for name in names) / config.clk_hz

    array = seconds("slots_forward", "slots_grad_input", "slots_grad_weight", "slots_pool", "stall_array_gap")
    memory = seconds("stall_array_load")
    vector = seconds("stall_array_vector", "stall_array_other")
    rest = seconds("cycles") - array - memory - vector
    return Shares(array, memory, vector, processor_s, rest + rest_s)
