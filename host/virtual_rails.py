"""Virtual rails of the simulated board: what activity in the RTL draws from its supplies over virtual time.

A node's counts times its energy load a rail; a converter with losses feeds every rail from the board's 5 V input, and what
leaks grows with the die's temperature. The rails know what counters do not: how many bits really changed. Equal counters
with quiet data (zeros, repeated pixels) draw less here, so an energy model fitted to counters alone has something to miss;
glitches and the resistance of converters, which grow faster than the counts, leave something to miss to every linear model.

The levels below are an assumption, not a measurement. One specimen of the board differs from them within the stated
spread; how, is drawn in host/specimen.py, and only a sensor's readings tell. Every joule from here is "emulated".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

BOARD = "board_5v0"
SUPPLIED = ("ddr_1v5", "pl_1v0", "ps_1v0")
RAILS = (BOARD, *SUPPLIED)
"""The board's input, which contains all, and the rails behind converters as they are at their loads."""

ACTIVITY = ("operand_toggles", "product_toggles", "sum_toggles", "vector_toggles")
"""Bits that changed on the array's operands, its products, the rows it hands to the accumulators, and the vector unit's
results, as hw/rtl/activity.sv and bus_activity.sv count them."""

LEVELS_SAID = (
    "Assumed, not measured: 1.6 W idle as published for PYNQ-Z2 (MLPerf Tiny v0.7, lowest whole-board figure), divided between "
    "rails by assumption; 0.4 W more for a full 16 x 16 array at 100 MHz on random operands, 0.1 W for the vector unit at one "
    "vector per cycle, 0.2 W for DDR at 1.6 GB/s, 0.2 W for the working processor. The simulated board is one specimen within "
    "the stated spread of these levels, with losses of its converters on top that grow with the square of the load; its own "
    "values are known to its sensors only."
)
IDLE_DEFINITION = "simulated board powered, core configured and clocked, no segment started, processor waiting, sensors sampling"
"""What net energies are above: the state of the board in the windows "idle before" and "idle after"."""

THERMAL_STEP_S = 0.1
"""Longest interval for which the temperature is taken as constant."""


class UnknownActivity(ValueError):
    """The board's activity counts are not those that the rails are made from."""


@dataclass(frozen=True)
class Node:
    """Something in the core or beside it that draws energy by the count.

    Attributes:
        rail: of SUPPLIED.
        watts: at the board's input, at `rate_per_s` counts; the division between nodes is assumed.
        rate_per_s: of a 16 x 16 core at 100 MHz; toggles as simulated on random int8.
        by_side: a count reaches g cells of an array of side g (an operand bit its multipliers, a word its bytes).
    """

    rail: str
    watts: float
    rate_per_s: float
    by_side: bool = False


REFERENCE_G = 16
NODES = {
    "operand_toggles": Node("pl_1v0", 0.08, 64e8, by_side=True),
    "product_toggles": Node("pl_1v0", 0.20, 1904e8),
    "sum_toggles": Node("pl_1v0", 0.05, 265e8),
    "spad_words": Node("pl_1v0", 0.04, 1e8, by_side=True),
    "busy_cycles": Node("pl_1v0", 0.03, 1e8),
    "vector_toggles": Node("pl_1v0", 0.10, 193e8),
    "scalar_ops": Node("pl_1v0", 0.02, 1e8),
    "ddr_read_bytes": Node("ddr_1v5", 0.20, 1.6e9),
    "ddr_write_bytes": Node("ddr_1v5", 0.20, 1.6e9),
    "processor_s": Node("ps_1v0", 0.20, 1.0),
}
"""The first five are what a full array draws. processor_s: seconds for which the processor works."""


@dataclass(frozen=True)
class RailLevels:
    """Idle powers in watts at the board's input, at the temperature an idle board settles at.

    Attributes:
        static_w: by supplied rail.
        other_w: what hangs on the 5 V input directly.
        efficiency: of the converters.
    """

    static_w: dict[str, float] = field(default_factory=lambda: {"ddr_1v5": 0.15, "pl_1v0": 0.15, "ps_1v0": 0.60})
    other_w: float = 0.70
    efficiency: float = 0.88

    def __post_init__(self):
        if set(self.static_w) != set(SUPPLIED):
            raise ValueError(f"idle powers are given for {sorted(self.static_w)}, the supplied rails are {list(SUPPLIED)}")


@dataclass(frozen=True)
class Spread:
    """Rectangular distributions, (lowest, highest), that a specimen of the board is drawn from.

    Attributes:
        node, static: factor on a node's energy and on a rail's idle power, for each on its own.
        efficiency, loss_per_w: of each converter: load P takes P / efficiency + loss_per_w * P^2 from the input.
        glitches: of the multipliers: a product bit costs more by this share at the rate of a full array on random operands than
            at a rate near 0, in proportion between; the level of NODES holds at the full rate.
        leakage_per_k: relative growth of the idle power of pl_1v0 and ps_1v0 per kelvin.
        ambient_c, ambient_drift_k_per_s: temperature of the room at virtual time 0, and its drift.
        thermal_k_per_w, thermal_s: die above room per watt at the board's input, and how fast it gets there.
    """

    node: tuple[float, float] = (0.75, 1.25)
    static: tuple[float, float] = (0.85, 1.15)
    efficiency: tuple[float, float] = (0.85, 0.91)
    loss_per_w: tuple[float, float] = (0.02, 0.10)
    glitches: tuple[float, float] = (0.05, 0.25)
    leakage_per_k: tuple[float, float] = (0.002, 0.01)
    ambient_c: tuple[float, float] = (20.0, 28.0)
    ambient_drift_k_per_s: tuple[float, float] = (-0.003, 0.003)
    thermal_k_per_w: tuple[float, float] = (8.0, 14.0)
    thermal_s: tuple[float, float] = (15.0, 40.0)


GLITCHING = "product_toggles"
LEAKING = ("pl_1v0", "ps_1v0")
REFERENCE_C = 42.0
"""Die temperature at which the levels hold: a room of 24 degrees and 11 kelvin per watt at 1.6 W."""


@dataclass(frozen=True)
class Character:
    """One specimen's own values; see Spread. Dictionaries are by node and by supplied rail; `other` is a factor likewise."""

    node: dict[str, float]
    static: dict[str, float]
    other: float
    efficiency: dict[str, float]
    loss_per_w: dict[str, float]
    glitches: float
    leakage_per_k: float
    ambient_c: float
    ambient_drift_k_per_s: float
    thermal_k_per_w: float
    thermal_s: float


def core_counts(counters: dict[str, int], activity: dict[str, int]) -> dict[str, float]:
    """Return counts by node from a segment's counters and activity.

    Raises:
        UnknownActivity: `activity` lacks a count of ACTIVITY.
    """
    missing = [name for name in ACTIVITY if name not in activity]
    if missing:
        raise UnknownActivity(f"the board counts activity {sorted(activity)}, the virtual rails also need {missing}")
    counts = {name: activity[name] for name in ACTIVITY}
    counts["spad_words"] = counters.get("spad_reads", 0) + counters.get("spad_writes", 0)
    counts["busy_cycles"] = counters.get("cycles", 0)
    return counts | {name: counters.get(name, 0) for name in ("scalar_ops", "ddr_read_bytes", "ddr_write_bytes")}


@dataclass(frozen=True)
class Interval:
    """A stretch of virtual time in which every rail's power is constant.

    Attributes:
        start_s, end_s: on the virtual clock (core cycles at the configuration's clock plus modelled processor time).
        power_w: by rail of RAILS, idle included.
    """

    start_s: float
    end_s: float
    power_w: dict[str, float]

    def energy_j(self, start_s: float = -math.inf, end_s: float = math.inf) -> dict[str, float]:
        """Return joules by rail of the part that lies in the window."""
        seconds = max(0.0, min(self.end_s, end_s) - max(self.start_s, start_s))
        return {rail: power * seconds for rail, power in self.power_w.items()}


class VirtualRails:
    """Rails of one simulated board.

    Args:
        g: side of the array.
        character: of the specimen.
        levels: that the character's factors apply to.

    Attributes:
        now_s: virtual time that has passed.
    """

    def __init__(self, g: int, character: Character, levels: RailLevels | None = None):
        self.g = g
        self.now_s = 0.0
        self._levels = levels or RailLevels()
        self._character = character
        self._temperature_c = self._settled_c()

    def advance(self, duration_s: float, counts: dict[str, float] | None = None) -> Iterator[Interval]:
        """Let virtual time pass and yield it in intervals; time passes as they are taken.

        Args:
            duration_s: above 0.
            counts: by node of NODES, spread evenly over the duration; None while everything rests.

        Raises:
            UnknownActivity: a count of no node.
            ValueError: time would not go forward.
        """
        if not 0 < duration_s < math.inf:
            raise ValueError(f"virtual time advances by {duration_s} s: it can only go forward")
        load_w = self._load_w(counts or {}, duration_s)
        start_s, steps = self.now_s, math.ceil(duration_s / THERMAL_STEP_S)
        for step in range(1, steps + 1):
            before_s, self.now_s = self.now_s, start_s + duration_s * step / steps
            power_w = self._power_w(load_w)
            self._warm(power_w[BOARD], self.now_s - before_s)
            yield Interval(before_s, self.now_s, power_w)

    def _load_w(self, counts: dict[str, float], duration_s: float) -> dict[str, float]:
        """Return what the counts load the supplied rails with."""
        load_w = dict.fromkeys(SUPPLIED, 0.0)
        for name, count in counts.items():
            if name not in NODES:
                raise UnknownActivity(f"virtual rails have no node {name!r}: there are {', '.join(NODES)}")
            node = NODES[name]
            joules = node.watts / node.rate_per_s * (self.g / REFERENCE_G if node.by_side else 1.0) * self._character.node[name]
            if name == GLITCHING:
                joules *= 1 + self._character.glitches * (count / duration_s / node.rate_per_s - 1)
            load_w[node.rail] += count * joules * self._levels.efficiency / duration_s
        return load_w

    def _power_w(self, load_w: dict[str, float]) -> dict[str, float]:
        character, levels = self._character, self._levels
        leakage = 1.0 + character.leakage_per_k * (self._temperature_c - REFERENCE_C)
        power_w = {BOARD: levels.other_w * character.other}
        for rail in SUPPLIED:
            static_w = levels.static_w[rail] * levels.efficiency * character.static[rail]
            power_w[rail] = load_w[rail] + static_w * (leakage if rail in LEAKING else 1.0)
            power_w[BOARD] += power_w[rail] / character.efficiency[rail] + character.loss_per_w[rail] * power_w[rail] ** 2
        return power_w

    def _room_c(self) -> float:
        return self._character.ambient_c + self._character.ambient_drift_k_per_s * self.now_s

    def _warm(self, board_w: float, seconds: float) -> None:
        target_c = self._room_c() + self._character.thermal_k_per_w * board_w
        self._temperature_c += (target_c - self._temperature_c) * -math.expm1(-seconds / self._character.thermal_s)

    def _settled_c(self) -> float:
        """Return the temperature of a board that has been idle for long."""
        self._temperature_c = REFERENCE_C
        for _ in range(20):
            idle_w = self._power_w(dict.fromkeys(SUPPLIED, 0.0))[BOARD]
            self._temperature_c = self._room_c() + self._character.thermal_k_per_w * idle_w
        return self._temperature_c
