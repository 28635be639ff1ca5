"""One supply rail of a hwmon chip: opened with checks, then read again and again in SI units.

What opening decides, from a few readings: whether the rail is on, whether the chip's watts agree with volts times amperes,
and which limits of error follow from the chip's data sheet at this voltage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from host.hwmon_chip import HwmonChip, RailFiles, positive, read_number
from host.polled_sensor import Failed
from host.power_chips import UNKNOWN, chip_named, specification
from host.sensor import Channel, SensorError, Specification

OFF_V = 0.4
"""A rail below this voltage is off; the current that a regulator then reports means nothing (10.187 A at 0.156 V was seen)."""
DISAGREEMENT = 0.05
"""Relative difference between the chip's watts and volts times amperes that is reported."""
UNIT_MIX_UP = 50.0
"""A factor between the two that no load explains: one of them has another unit than it should."""
SENTINELS = frozenset((0xFFFFFFFF, 0x7FFFFFFF, -0x80000000, 0xFFFFFFFF * 1000))
"""Raw values that stand for "no value" and may come as if they were one; the last is 4294967295000 uW."""
ERRNOS = frozenset((-5, -6, -11, -110, -121))
"""EIO, ENXIO, EAGAIN, ETIMEDOUT, EREMOTEIO: of failed I2C transfers."""
CHECKS = 5


class RailAbsent(Exception):
    """The rail cannot be read, or is off; the message says which."""


@dataclass(frozen=True)
class RailSettings:
    """How a rail is to be read.

    Attributes:
        name, scope, part_of: of its channels.
        nominal_v: the rail's voltage; volts outside a quarter to one and a half of it are rejected. None: not known.
        channels: "power" reads what joules need, "all" volts and amperes, too.
        power: "chip" takes the chip's own watts where it has them, "vi" always volts times amperes.
        shunt_ohm: the true value of the shunt where the driver has a wrong or no value; None: the driver's.
        shunt_limit, gain: limits of error that the user states, else None.
        refresh_s, averaging_s: as the user states them, else None.
        off_v: below this voltage the rail is off.
        volts_divisors: factors by which a kernel driver is known to report this rail's voltage too high.
    """

    name: str
    scope: str
    part_of: str = ""
    nominal_v: float | None = None
    channels: str = "all"
    power: str = "chip"
    shunt_ohm: float | None = None
    shunt_limit: float | None = None
    gain: float | None = None
    refresh_s: float | None = None
    averaging_s: float | None = None
    off_v: float = OFF_V
    volts_divisors: tuple[int, ...] = ()


@dataclass
class _Source:
    """A file whose number becomes a value: number by `per_unit`."""

    file: Path
    per_unit: float
    pmbus: bool

    def read(self) -> float | Failed:
        try:
            raw = read_number(self.file)
        except (OSError, ValueError) as error:
            return Failed.of(error)
        if self._stands_for_an_error(raw):
            return Failed(f"{self.file.name} holds {raw}, which stands for an error or no value", "rejected")
        return raw / self.per_unit  # dividing by a power of ten gives the nearest float, multiplying may not

    def _stands_for_an_error(self, raw: int) -> bool:
        if raw in SENTINELS or raw - (1 << 32) in ERRNOS or raw - (1 << 64) in ERRNOS:
            return True
        if not self.pmbus:
            return False
        # A negative errno taken for a PMBus "linear" word has exponent -1: half the errno in volts, amperes or watts.
        unit = 1_000_000 if "power" in self.file.name else 1000
        return raw in ERRNOS or (raw % (unit // 2) == 0 and raw // (unit // 2) in ERRNOS)


@dataclass
class HwmonRail:
    """A rail that is being read. `notes` is JSON data on what opening found."""

    channels: tuple[Channel, ...]
    notes: dict
    _readers: list[str]
    _sources: dict[str, _Source] = field(default_factory=dict)

    def read(self) -> list[float | Failed]:
        """Return one value for each channel; volts and amperes are read once, also where watts are derived from them."""
        values = {role: source.read() for role, source in self._sources.items()}
        if "derived" in self._readers:
            values["derived"] = _product(values["volts"], values["amps"])
        return [values[role] for role in self._readers]


def open_rail(chip: HwmonChip, files: RailFiles, settings: RailSettings) -> HwmonRail:
    """Return the rail, ready to be read.

    Raises:
        RailAbsent: it cannot be read, or is off.
        SensorError: watts and volts times amperes differ by a factor that only a mix-up of units explains, or the options ask
            for what the chip has not.
    """
    kind = chip_named(chip.name)
    notes: dict = {"chip": chip.name, "device": chip.device, "shunt_ohm": None, "warnings": []}
    sources = _sources(chip, files, settings, kind.pmbus, notes)
    found = _first_values(sources)
    if settings.volts_divisors and settings.nominal_v:
        _divide_volts(settings, sources, found, notes)
    volts = found.get("volts", math.nan)
    if volts < settings.off_v:
        raise RailAbsent(f"off: {volts:.3f} V is below {settings.off_v:g} V")
    if settings.power == "vi" and not {"volts", "amps"} <= set(sources):
        raise SensorError(f"power=vi needs volts and amperes, and rail {settings.name!r} of chip {chip.name!r} lacks one of them")
    derived = "power" not in sources and "average" not in sources and "energy" not in sources or settings.power == "vi"
    _compare(chip, settings, found, notes)
    if derived:
        sources = {role: source for role, source in sources.items() if role in ("volts", "amps")}
    roles = _roles(sources, derived, settings.channels)
    watts = found.get("power", found.get("average", volts * found.get("amps", math.nan)))
    channels = tuple(_channel(chip, files, settings, role, volts, watts, notes) for role in roles)
    needed = {"volts", "amps"} & set(sources) if derived else set()
    return HwmonRail(channels, notes, roles, {role: s for role, s in sources.items() if role in roles or role in needed})


def _product(volts: float | Failed, amps: float | Failed) -> float | Failed:
    if isinstance(volts, Failed):
        return volts
    return amps if isinstance(amps, Failed) else volts * amps


def _sources(chip: HwmonChip, files: RailFiles, settings: RailSettings, pmbus: bool, notes: dict) -> dict[str, _Source]:
    """Return the files to be read, with units; a stated shunt corrects what the driver made of its own."""
    correction = 1.0
    notes["shunt_ohm"] = settings.shunt_ohm or chip.shunt_ohm
    if settings.shunt_ohm and chip.shunt_ohm:
        correction = chip.shunt_ohm / settings.shunt_ohm
        if abs(correction - 1) > 1e-6:
            notes["warnings"].append(
                f"amperes and watts are multiplied by {correction:g}: the driver has a shunt of "
                f"{chip.shunt_ohm:g} ohm, {settings.shunt_ohm:g} ohm is stated"
            )
        if correction >= 1.5 or correction <= 1 / 1.5:
            notes["warnings"].append(
                "the driver's shunt is wrong by a factor that should be checked with a known load: joulegrad sensors calibrate"
            )
    micro = 1e6 / correction
    per_unit = {"volts": 1e3, "amps": 1e3 / correction, "power": micro, "average": micro, "energy": micro}
    if files.power and files.average:  # the same watts; the newer value counts
        files = RailFiles(files.label, files.page, files.volts, files.amps, files.power, "", files.energy, files.shunt)
    if files.shunt and files.amps:
        _check_shunt(chip, files, settings, notes)
    return {role: _Source(chip.path / name, n, pmbus) for role, n in per_unit.items() if (name := getattr(files, role))}


def _check_shunt(chip: HwmonChip, files: RailFiles, settings: RailSettings, notes: dict) -> None:
    """Compare the shunt that the driver's amperes stand for with the one that is stated: millivolts over milliamperes."""
    try:
        shunt_mv, amps_ma = read_number(chip.path / files.shunt), read_number(chip.path / files.amps)
    except (OSError, ValueError):
        return
    if shunt_mv < 5 or amps_ma <= 0 or not (settings.shunt_ohm or chip.shunt_ohm):
        return  # whole millivolts say too little
    seen, driver = shunt_mv / amps_ma, chip.shunt_ohm or settings.shunt_ohm
    if abs(seen / driver - 1) > 0.6 / shunt_mv + 0.05:
        notes["warnings"].append(
            f"{shunt_mv} mV across the shunt at {amps_ma} mA is {seen:.5f} ohm, {driver:g} ohm is stated: "
            "check with a known load (joulegrad sensors calibrate)"
        )


def _first_values(sources: dict[str, _Source]) -> dict[str, float]:
    """Return the mean of a few reads per source. Raises RailAbsent where one gives nothing, PermissionError as it is."""
    means = {}
    for role, source in sources.items():
        values = [value for value in (source.read() for _ in range(CHECKS)) if not isinstance(value, Failed)]
        if not values:
            try:
                read_number(source.file)
            except PermissionError:
                raise
            except (OSError, ValueError):
                pass
            raise RailAbsent(f"{source.file.name} cannot be read: {_why(source)}")
        means[role] = sum(values) / len(values)
    return means


def _why(source: _Source) -> str:
    value = source.read()
    return value.detail if isinstance(value, Failed) else "it did not answer at first"


def _divide_volts(settings: RailSettings, sources: dict[str, _Source], found: dict[str, float], notes: dict) -> None:
    """Undo a known factor of a kernel driver where the reading fits the rail only without it."""
    for divisor in settings.volts_divisors:
        if "volts" in found and 0.5 < found["volts"] / divisor / settings.nominal_v < 2:
            sources["volts"].per_unit *= divisor
            found["volts"] /= divisor
            notes["warnings"].append(f"the kernel reports the volts of {settings.name} {divisor} times too high: divided")


def _compare(chip: HwmonChip, settings: RailSettings, found: dict[str, float], notes: dict) -> None:
    """Hold the chip's watts against volts times amperes: a note where they differ, an error where a unit must be wrong."""
    if not {"volts", "amps"} <= set(found) or not {"power", "average"} & set(found):
        return
    power = found.get("power", found.get("average"))
    product = found["volts"] * found["amps"]
    kind = chip_named(chip.name)
    step = specification(kind, "W", volts=found["volts"], shunt_ohm=notes["shunt_ohm"], least_step=1e-6).quantum
    allowed = 2 * step + 2e-3 * found["volts"] + DISAGREEMENT * abs(power)
    notes["volts_times_amperes_w"], notes["power_w"] = product, power
    if abs(product - power) <= allowed:
        return
    said = f"{found['volts']:.3f} V x {found['amps']:.3f} A is {product:.3f} W, its power file says {power:.5f} W"
    ratio = abs(product / power) if power else math.inf
    if settings.power == "chip" and (ratio > UNIT_MIX_UP or ratio < 1 / UNIT_MIX_UP) and abs(product - power) > 0.1:
        raise SensorError(
            f"chip {chip.name!r}, rail {settings.name!r}: {said}; a factor of {ratio:.3g} is a mix-up of units in "
            "the kernel's driver: open it with power=vi"
        )
    notes["warnings"].append(f"{settings.name}: {said}; watts are taken from {'V x I' if settings.power == 'vi' else 'the chip'}")


def _roles(sources: dict[str, _Source], derived: bool, channels: str) -> list[str]:
    """Return which values become channels: joules and watts first."""
    roles = [role for role in ("energy", "power", "average") if role in sources] + (["derived"] if derived else [])
    return roles + [role for role in ("volts", "amps") if role in sources and channels == "all"]


def _channel(
    chip: HwmonChip, files: RailFiles, settings: RailSettings, role: str, volts: float, watts: float, notes: dict
) -> Channel:
    """Return the channel of one value, with the limits of error at this voltage and a band of what can be true."""
    kind = chip_named(chip.name)
    unit = {"volts": "V", "amps": "A", "energy": "J"}.get(role, "W")
    least = {"V": 1e-3, "A": 1e-3, "W": 1e-6, "J": 1e-6}[unit]
    if role == "derived":
        least = 1e-3 * max(abs(volts), abs(watts / volts) if volts else 0.0)
    limits = specification(
        kind,
        unit,
        volts=volts,
        shunt_ohm=notes["shunt_ohm"],
        shunt_limit=settings.shunt_limit,
        gain=settings.gain,
        least_step=least,
    )
    refresh_s = settings.refresh_s or chip.interval_s
    averages = kind is not UNKNOWN and not kind.pmbus  # of these it is known that a value is the mean since the one before
    averaging_s = settings.averaging_s or (chip.interval_s if averages else None) or 0.0
    if role == "average":
        averaging_s = settings.averaging_s or positive(chip.path / f"{files.average}_interval", 1e-3) or 0.0
    scope = settings.scope + ("; watts are volts times amperes, read one after the other" if role == "derived" else "")
    low, high = _band(unit, kind.pmbus, settings, limits)
    return Channel(
        name=f"{settings.name}/{dict(V='volts', A='amps', W='power', J='energy')[unit]}",
        unit=unit,
        rail=settings.name,
        scope=scope,
        kind="accumulated" if unit == "J" else "average" if averaging_s else "point",
        specification=limits,
        part_of=settings.part_of,
        refresh_s=refresh_s,
        averaging_s=0.0 if unit == "J" else averaging_s,
        low=low,
        high=high,
    )


def _band(unit: str, pmbus: bool, settings: RailSettings, limits: Specification) -> tuple[float, float]:
    """Return what a value can be at all. Saturated values stay inside: they are for the result's verdict to judge."""
    most = {"V": 1000.0, "A": 1000.0, "W": 4000.0, "J": math.inf}[unit]  # 0xFFFFFFFF uW are 4295 W
    if unit == "J":
        return 0.0, most
    if unit == "V":
        nominal = settings.nominal_v
        return (0.0, min(most, 1.25 * limits.full_scale)) if nominal is None else (0.25 * nominal, 1.5 * nominal)
    high = min(most, 1.5 * limits.full_scale)
    return (-0.1 if pmbus else -high), high
