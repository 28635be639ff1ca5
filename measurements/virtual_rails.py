"""Emulated joules: virtual rails of the simulated board, driven by signal activity counted in the RTL.

The rails know what the counters do not: how many operand and product bits really changed. Equal counters with
quiet data (zeros, repeated pixels) draw less here, so an energy model fitted to counters has something to miss.

The levels are an assumption, not a measurement: 1.6 W idle as published for PYNQ-Z2 (MLPerf Tiny v0.7), and for a
full array with DDR 0.4 to 0.8 W more, of which the middle is taken: 0.4 W for a z7020 array on random operands and
0.2 W for DDR at 1.6 GB/s. The label of every number from here is "emulated".
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

LABEL = "emulated"
LEVELS_SAID = (
    "Assumed, not measured: 1.6 W idle as published for PYNQ-Z2 (MLPerf Tiny v0.7, lowest whole-board figure), divided between "
    "rails by assumption; 0.4 W more for a full 16 x 16 array at 100 MHz on random operands and 0.2 W for DDR at 1.6 GB/s."
)
RAILS = ("board_5v0", "ddr_1v5", "pl_1v0", "ps_1v0")
SCOPE = "virtual rails: " + ", ".join(RAILS)
ACTIVITY = ("operand_toggles", "product_toggles")
"""Bits that changed on the array's operands and in the products of its multipliers, as hw/rtl/activity.sv counts them."""

REFRESH_S = 0.0352
GAIN_LIMIT = 0.001
MINIMUM_S = 10.0
"""The sensor that the window is judged for: INA226 with driver defaults (16 averages of 2.2 ms, gain within 0.1 %), and
the shortest run that MLPerf Tiny's energy mode accepts."""


class UnknownActivity(ValueError):
    """The board's activity counts are not those that the rails are made from."""


@dataclass(frozen=True)
class RailLevels:
    """Levels of the virtual rails. Watts are above idle unless said otherwise.

    Attributes:
        idle_w: rail to its idle power; together 1.6 W. The division between rails is assumed.
        operand_w, product_w: on pl_1v0, of a full array of side reference_g at reference_clk_hz, weight-stationary, random int8.
            The division between the two is assumed.
        operand_toggles_per_cycle, product_toggles_per_cycle: counts of that array, from its simulation. Output-stationary they
            are 128 and 2007, which comes to 0.52 W.
        ddr_w: on ddr_1v5 at ddr_bytes_per_s.
        processor_w: on ps_1v0 while the processor works.
        reference_g, reference_clk_hz: side and clock of that array.
    """

    idle_w: dict[str, float] = field(default_factory=lambda: {"board_5v0": 0.70, "ddr_1v5": 0.15, "pl_1v0": 0.15, "ps_1v0": 0.60})
    operand_w: float = 0.1
    product_w: float = 0.3
    operand_toggles_per_cycle: float = 64.0
    product_toggles_per_cycle: float = 1904.0
    ddr_w: float = 0.2
    ddr_bytes_per_s: float = 1.6e9
    processor_w: float = 0.2
    reference_g: int = 16
    reference_clk_hz: float = 100e6

    def __post_init__(self):
        if set(self.idle_w) != set(RAILS):
            raise ValueError(f"idle powers are given for {sorted(self.idle_w)}, the rails are {list(RAILS)}")

    @property
    def total_idle_w(self) -> float:
        """Idle power of all rails."""
        return math.fsum(self.idle_w.values())

    def joules_above_idle(self, activity: dict[str, int], g: int, ddr_bytes: int, processor_s: float) -> dict[str, float]:
        """Return joules above idle by rail for counted activity of an array of side g.

        An operand bit reaches g multipliers, so its energy goes with g; a product bit belongs to one multiplier.

        Raises:
            UnknownActivity: `activity` lacks a count of ACTIVITY.
        """
        missing = [name for name in ACTIVITY if name not in activity]
        if missing:
            raise UnknownActivity(f"the board counts activity {sorted(activity)}, the virtual rails also need {missing}")
        operand_j = self.operand_w / (self.operand_toggles_per_cycle * self.reference_clk_hz) * g / self.reference_g
        product_j = self.product_w / (self.product_toggles_per_cycle * self.reference_clk_hz)
        return {
            "board_5v0": 0.0,
            "ddr_1v5": ddr_bytes * self.ddr_w / self.ddr_bytes_per_s,
            "pl_1v0": activity["operand_toggles"] * operand_j + activity["product_toggles"] * product_j,
            "ps_1v0": self.processor_w * processor_s,
        }


@dataclass(frozen=True)
class Interval:
    """A stretch of virtual time in which every rail's power is constant.

    Attributes:
        start_s, end_s: on the virtual clock (core cycles at the configuration's clock plus modelled processor time).
        power_w: rail to watts, idle included.
    """

    start_s: float
    end_s: float
    power_w: dict[str, float]

    def energy_j(self, start_s: float = -math.inf, end_s: float = math.inf) -> dict[str, float]:
        """Return joules by rail of the part that lies in the window."""
        seconds = max(0.0, min(self.end_s, end_s) - max(self.start_s, start_s))
        return {rail: power * seconds for rail, power in self.power_w.items()}


class VirtualRails:
    """Rails of one simulated board: fed activity as it runs, they hold the power over virtual time.

    Args:
        g: side of the array.
        levels: of the rails; the stated assumption by default.

    Attributes:
        intervals: everything so far, without gaps, from time 0.
    """

    def __init__(self, g: int, levels: RailLevels | None = None):
        self.g = g
        self.levels = levels or RailLevels()
        self.intervals: list[Interval] = []

    @property
    def now_s(self) -> float:
        """End of the last interval on the virtual clock."""
        return self.intervals[-1].end_s if self.intervals else 0.0

    def advance(
        self, duration_s: float, activity: dict[str, int] | None = None, ddr_bytes: int = 0, processor_s: float = 0.0
    ) -> None:
        """Let `duration_s` of virtual time pass with the given activity spread evenly over it.

        Args:
            activity: counts of ACTIVITY; None while the core rests.
            ddr_bytes: read and written by core and processor.
            processor_s: time the processor works in it.
        """
        if not duration_s > 0:
            raise ValueError(f"virtual time advances by {duration_s} s: it can only go forward")
        joules = self.levels.joules_above_idle(activity or dict.fromkeys(ACTIVITY, 0), self.g, ddr_bytes, processor_s)
        power_w = {rail: self.levels.idle_w[rail] + joules[rail] / duration_s for rail in RAILS}
        self.intervals.append(Interval(self.now_s, self.now_s + duration_s, power_w))

    def energy_j(self, start_s: float = -math.inf, end_s: float = math.inf) -> dict[str, float]:
        """Return gross joules by rail in a window of virtual time."""
        return summed(interval.energy_j(start_s, end_s) for interval in self.intervals)


def summed(parts: Iterable[dict[str, float]]) -> dict[str, float]:
    """Return the sum by rail."""
    parts = list(parts)
    return {rail: math.fsum(part[rail] for part in parts) for rail in RAILS}


def why_too_short(duration_s: float) -> str:
    """Return why a window cannot be resolved by the sensor it is judged for, or "" where it can."""
    if duration_s >= MINIMUM_S:
        return ""
    values = int(duration_s / REFRESH_S)
    return (
        f"the emulated window of {duration_s:.3g} s is shorter than {MINIMUM_S:.0f} s and holds {values} values of a sensor "
        f"that renews every {REFRESH_S * 1e3:.1f} ms: run more iterations"
    )


def u95_j(energy_j: float, power_step_w: float) -> float:
    """Return the expanded uncertainty (k = 2) of an emulated energy read by that sensor.

    Gain within GAIN_LIMIT, rectangular (a / sqrt(3)), and both window edges, dP * dt / sqrt(6).
    """
    gain = GAIN_LIMIT * abs(energy_j) / math.sqrt(3)
    edges = power_step_w * REFRESH_S / math.sqrt(6)
    return 2 * math.hypot(gain, edges)
