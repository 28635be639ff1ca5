"""Power monitor chips: what their data sheets promise, and the limits of error that follow for volts, amperes and watts.

One table for every driver that meets these chips (hwmon, PMBus, a micro-controller on a serial port). A chip that is not in
the table, or whose maker states no accuracy, has gain None, and then no uncertainty can be stated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from host.sensor import Specification

TEMPERATURE_SPAN_K = 25.0
"""Drift is added for a board up to this far from the 25 degrees Celsius of the data sheets: an assumption."""

SHUNT_LIMIT = 0.01
"""Relative error of a shunt whose tolerance nobody states: an assumption, common parts being 1 % or better."""


@dataclass(frozen=True)
class PowerChip:
    """A chip. Limits are the data sheet's maxima, relative where they are gains, in the unit of their name else.

    Attributes:
        amps_gain, volts_gain: None where nobody states one.
        amps_drift, volts_drift: of the gains, per kelvin.
        shunt_offset_v, amps_offset_a: of the current path; the second where the shunt is inside the chip.
        volts_offset_v: of the bus voltage.
        shunt_step_v, amps_step_a, volts_step_v: one step of the converter.
        power_factor: watts per step of power over amperes per step of current; 0 where that is finer than volts times amperes.
        shunt_range_v, amps_range_a, volts_range_v: full scale.
        internal_shunt: the shunt is inside and its error in `amps_gain`.
        pmbus: a regulator that reports through PMBus; its outputs never deliver negative volts.
        time_base: relative error of its own clock, for energy that the chip itself accumulates.
        source: where the figures come from.
    """

    amps_gain: float | None = None
    volts_gain: float | None = None
    amps_drift: float = 0.0
    volts_drift: float = 0.0
    shunt_offset_v: float = 0.0
    amps_offset_a: float = 0.0
    volts_offset_v: float = 0.0
    shunt_step_v: float = 0.0
    amps_step_a: float = 0.0
    volts_step_v: float = 0.0
    power_factor: float = 0.0
    shunt_range_v: float = math.inf
    amps_range_a: float = math.inf
    volts_range_v: float = math.inf
    internal_shunt: bool = False
    pmbus: bool = False
    time_base: float = 0.0
    source: str = ""


_INA219 = dict(
    amps_gain=0.01,
    volts_gain=0.01,
    shunt_offset_v=200e-6 + TEMPERATURE_SPAN_K * 0.1e-6,
    shunt_step_v=10e-6,
    volts_step_v=4e-3,
    power_factor=20.0,
    shunt_range_v=0.32,
    volts_range_v=26.0,
)
_REGULATOR = PowerChip(pmbus=True, source="no accuracy of the telemetry is published: calibrate, or state gain_limit=")

CHIPS = {
    "ina219": PowerChip(**_INA219, source="TI SBOS448G 7.5, A grade over -25 to 85 degC, PGA /8 as Linux sets it"),
    "ina220": PowerChip(**_INA219, source="TI SBOS459, A grade 1 % over temperature; offset as INA219 at PGA /8"),
    "ina226": PowerChip(
        amps_gain=1e-3,
        volts_gain=1e-3,
        amps_drift=50e-6,
        volts_drift=50e-6,
        shunt_offset_v=10e-6 + TEMPERATURE_SPAN_K * 0.1e-6,
        volts_offset_v=7.5e-3 + TEMPERATURE_SPAN_K * 40e-6,
        shunt_step_v=2.5e-6,
        volts_step_v=1.25e-3,
        power_factor=25.0,
        shunt_range_v=81.92e-3,
        volts_range_v=36.0,
        source="TI SBOS547B electrical characteristics, maxima; drift over 25 K",
    ),
    "ina228": PowerChip(
        amps_gain=0.5e-3,
        volts_gain=1e-3,
        amps_drift=20e-6,
        volts_drift=25e-6,
        shunt_offset_v=1e-6 + TEMPERATURE_SPAN_K * 0.01e-6,
        volts_offset_v=5e-3 + TEMPERATURE_SPAN_K * 40e-6,
        shunt_step_v=312.5e-9,
        volts_step_v=195.3125e-6,
        power_factor=3.2,
        shunt_range_v=163.84e-3,
        volts_range_v=85.0,
        time_base=5e-3,
        source="TI INA228: current 0.05 %, 1 uV, clock 0.5 %; bus voltage bounded by the INA238's 0.1 %, 5 mV",
    ),
    "ina238": PowerChip(
        amps_gain=1e-3,
        volts_gain=1e-3,
        amps_drift=25e-6,
        volts_drift=25e-6,
        shunt_offset_v=5e-6 + TEMPERATURE_SPAN_K * 0.02e-6,
        volts_offset_v=5e-3 + TEMPERATURE_SPAN_K * 40e-6,
        shunt_step_v=5e-6,
        volts_step_v=3.125e-3,
        shunt_range_v=163.84e-3,
        volts_range_v=85.0,
        source="TI INA238 electrical characteristics, maxima; drift over 25 K",
    ),
    "ina260": PowerChip(
        amps_gain=1.5e-3,
        volts_gain=1e-3,
        amps_drift=60e-6,
        volts_drift=50e-6,
        amps_offset_a=5e-3 + TEMPERATURE_SPAN_K * 50e-6,
        volts_offset_v=7.5e-3 + TEMPERATURE_SPAN_K * 40e-6,
        amps_step_a=1.25e-3,
        volts_step_v=1.25e-3,
        power_factor=8.0,
        amps_range_a=15.0,
        volts_range_v=36.0,
        internal_shunt=True,
        source="TI SBOS656C: 0.15 % with its shunt, 5 mA, bus 0.1 %; drift bounded by the INA226's 50 ppm/K + shunt 10 ppm/K",
    ),
    "irps5401": _REGULATOR,
    "ir38060": _REGULATOR,
    "ir38063": _REGULATOR,
    "ir38064": _REGULATOR,
}

UNKNOWN = PowerChip(source="no data sheet in host/power_chips.py: calibrate, or state gain_limit=")


def chip_named(name: str) -> PowerChip:
    """Return the chip behind a driver's name ("ina226", "ina260_u14", "ir38060-i2c-6-45"), UNKNOWN where it is none of CHIPS."""
    part = name.lower().replace("-", "_").split("_")[0]
    return CHIPS.get(part, UNKNOWN)


def amps_step(chip: PowerChip, shunt_ohm: float | None) -> float:
    """Return one step of the current in amperes, 0 where it is not known."""
    if chip.internal_shunt:
        return chip.amps_step_a
    return chip.shunt_step_v / shunt_ohm if shunt_ohm else 0.0


def specification(
    chip: PowerChip,
    unit: str,
    *,
    volts: float = math.nan,
    shunt_ohm: float | None = None,
    shunt_limit: float | None = None,
    gain: float | None = None,
    least_step: float = 0.0,
) -> Specification:
    """Return the limits of error of one channel of a chip.

    Args:
        chip: the chip.
        unit: "V", "A", "W" or "J".
        volts: at the channel as found; offsets of amperes weigh by them.
        shunt_ohm: value of the shunt; None where it is not known or inside the chip.
        shunt_limit: its relative error; None: SHUNT_LIMIT is assumed, and the source says so.
        gain: relative error that the user states instead of the data sheet's.
        least_step: coarsest step that the way to the chip adds (hwmon files hold whole mV and mA).
    """
    shunt = 0.0 if chip.internal_shunt or unit == "V" else (SHUNT_LIMIT if shunt_limit is None else shunt_limit)
    source = "gain as stated when the sensor was opened" if gain is not None else chip.source
    if shunt and shunt_limit is None and gain is None:
        source += f"; shunt {SHUNT_LIMIT:.0%} assumed, state shunt_limit= or calibrate"
    if gain is not None and shunt_limit is None:
        shunt = 0.0  # a stated gain without a shunt is that of the whole instrument
    step_a = amps_step(chip, shunt_ohm)
    offset_a = chip.amps_offset_a if chip.internal_shunt else (chip.shunt_offset_v / shunt_ohm if shunt_ohm else 0.0)
    range_a = chip.amps_range_a if chip.internal_shunt else (chip.shunt_range_v / shunt_ohm if shunt_ohm else math.inf)
    if unit == "V":
        found = _gain(chip.volts_gain, chip.volts_drift)
        return Specification(
            found if gain is None else gain,
            chip.volts_offset_v,
            max(least_step, chip.volts_step_v),
            0.0,
            0.0,
            chip.volts_range_v,
            source,
        )
    amps_gain = _gain(chip.amps_gain, chip.amps_drift)
    if not chip.internal_shunt and not shunt_ohm and amps_gain is not None:
        amps_gain, source = None, f"{chip.source}; the shunt's value is not known: state shunt_ohm="
    if unit == "A":
        return Specification(amps_gain if gain is None else gain, offset_a, max(least_step, step_a), shunt, 0.0, range_a, source)
    volts_gain = _gain(chip.volts_gain, chip.volts_drift)
    known = amps_gain is not None and volts_gain is not None and volts > 0
    power_gain = amps_gain + volts_gain + chip.volts_offset_v / volts if known else None
    offset_w = offset_a * volts if volts > 0 else 0.0
    # Watts saturate with the amperes; 5 % less, since the voltage sags under such a load.
    range_w = 0.95 * range_a * volts if volts > 0 else math.inf
    if unit == "W":
        # The chip multiplies its registers: a step of the amperes at these volts may be more than one of its power.
        step_w = step_a * max(chip.power_factor, volts if volts > 0 else 0.0)
        return Specification(power_gain if gain is None else gain, offset_w, max(least_step, step_w), shunt, 0.0, range_w, source)
    # The energy register adds up what the power register shows, so that an offset of the power is one of every joule's watts: the
    # same in a run and in its idle, where a gain would not cancel. Its own are the chip's clock and the step of the total.
    return Specification(
        power_gain if gain is None else gain, offset_w, least_step, shunt, chip.time_base, math.inf, source
    )


def _gain(gain: float | None, drift: float) -> float | None:
    return None if gain is None else gain + drift * TEMPERATURE_SPAN_K
