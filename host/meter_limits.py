"""What the user states of an external meter in its URL, and the limits of error of volts, amperes and watts that follow."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from host.sensor import Channel, Specification

NOT_STATED = "nobody states an accuracy of this meter: calibrate it, or state gain_limit="


def number(name: str, text: str | float | None, low: float = -math.inf, high: float = math.inf) -> float | None:
    """Return an option as a number, None where it is not given. Raises ValueError."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name}={text}: it is a number") from None
    if not low <= value <= high:
        raise ValueError(f"{name}={text}: it is from {low:g} to {high:g}")
    return value


@dataclass(frozen=True)
class MeterLimits:
    """Options that every external meter takes.

    Attributes:
        rail: name of the supply that is watched.
        scope: what is inside, in words.
        part_of: rail that contains this one.
        gain_limit: relative error of the watts (and joules), instead of the data sheet's.
        offset_limit: error of the watts in watts, instead of the data sheet's.
        shunt_ohm, shunt_limit: the shunt's value and its relative error, where the meter has a shunt of the user's.
        volts: nominal voltage of the rail, where the meter does not tell (or the rail is off when it is opened).
        volts_limit: relative error of `volts`, where it takes the place of a measurement.
        refresh_s: time between two values, where neither meter nor data sheet tells.
    """

    rail: str = "input"
    scope: str = ""
    part_of: str = ""
    gain_limit: float | None = None
    offset_limit: float | None = None
    shunt_ohm: float | None = None
    shunt_limit: float | None = None
    volts: float | None = None
    volts_limit: float | None = None
    refresh_s: float | None = None

    @classmethod
    def taken(cls, options: dict[str, str]) -> tuple[MeterLimits, dict[str, str]]:
        """Return the limits in a URL's options, and the options that are left. Raises ValueError."""
        left = dict(options)
        if "gain" in left:
            left.setdefault("gain_limit", left.pop("gain"))
        words = {name: left.pop(name) for name in ("rail", "scope", "part_of") if name in left}
        bounds = {
            "gain_limit": (0, 1),
            "offset_limit": (0, math.inf),
            "shunt_ohm": (1e-7, 1e6),
            "shunt_limit": (0, 1),
            "volts": (1e-3, 1e4),
            "volts_limit": (0, 1),
            "refresh_s": (1e-6, 3600),
        }
        numbers = {name: number(name, left.pop(name), *bounds[name]) for name in bounds if name in left}
        return cls(**words, **numbers), left

    def of_watts(self, specification: Specification) -> Specification:
        """Return the limits of a power or energy channel with what the user states in the place of the data sheet's."""
        changed = {}
        if self.gain_limit is not None:
            changed["gain"] = self.gain_limit
            changed["shunt"] = 0.0  # a stated gain without a shunt is that of the whole instrument
        if self.offset_limit is not None:
            changed["offset"] = self.offset_limit
        if self.shunt_limit is not None:
            changed["shunt"] = self.shunt_limit
        if not changed:
            return specification
        stated = ", ".join(f"{name}_limit={value:g}" for name, value in changed.items())
        return dataclasses.replace(
            specification,
            **changed,
            source=f"{stated} as stated when the sensor was opened; else {specification.source or NOT_STATED}",
        )

    def channel(self, name: str, unit: str, specification: Specification, kind: str = "point", **more) -> Channel:
        """Return a channel of the rail; watts and joules get the limits that the user states."""
        if unit in ("W", "J"):
            specification = self.of_watts(specification)
        rail = more.pop("rail", self.rail)
        scope = more.pop("scope", "") or self.scope or f"everything on {rail}, where the meter is"
        return Channel(
            f"{rail}/{name}",
            unit,
            rail,
            scope,
            kind,
            specification,
            part_of=self.part_of,
            refresh_s=more.pop("refresh_s", self.refresh_s),
            **more,
        )


def product(volts: Specification, amperes: Specification, nominal_v: float | None) -> Specification:
    """Return the limits of watts that are volts times amperes.

    Limits add, since nothing says that they are independent. Offsets of one factor weigh by the other one: at `nominal_v`,
    or in the worst case at full scale where it is not known.

    Args:
        volts, amperes: limits of the factors.
        nominal_v: volts of the rail as found when the meter was opened, None where it was off.
    """
    at_v = nominal_v if nominal_v else volts.full_scale
    known = volts.gain is not None and amperes.gain is not None and math.isfinite(at_v)
    gain = volts.gain + amperes.gain + volts.offset / at_v if known else None
    finite = at_v if math.isfinite(at_v) else 0.0
    # Watts saturate with the amperes; 5 % less, since the voltage sags under such a load.
    full_scale = 0.95 * amperes.full_scale * nominal_v if nominal_v else math.inf
    source = amperes.source if volts.source in amperes.source else f"{volts.source}; {amperes.source}"
    return Specification(
        gain,
        amperes.offset * finite,
        amperes.quantum * finite,
        amperes.shunt,
        amperes.time_base,
        full_scale,
        f"{source}; volts times amperes" + (f" at {nominal_v:.3g} V" if nominal_v else ""),
    )
