"""hwmon: any power monitor of Linux, found by its chip's name.

"hwmon:ina260_u14", "hwmon:ina226#2", "hwmon:ina226@4a", "hwmon:4-0040". Options: channels=power|all, power=chip|vi,
shunt_ohm=, shunt_limit=, gain_limit=, refresh_s=, averaging_s=, period_s=, off_v=, scope=, total=<the rail of a chip that
contains its others>, root=<instead of /sys/class/hwmon>.
"""

from __future__ import annotations

import os

from host import hwmon_chip
from host.hwmon_chip import HwmonChip
from host.hwmon_rail import OFF_V, HwmonRail, RailAbsent, RailSettings, open_rail
from host.polled_sensor import PolledSensor, choice, number
from host.power_chips import chip_named
from host.sensor import Found, SensorError

PERIOD_S = 0.02
"""Where the driver does not say how often the chip has a new value."""
PMBUS_CACHE_S = 1.0
"""Before Linux 5.10 one read of a PMBus chip answered all reads of the next second."""


class Driver(PolledSensor):
    """One chip."""

    def __init__(
        self,
        url: str,
        where: str,
        root: str = hwmon_chip.ROOT,
        channels: str = "all",
        power: str = "chip",
        shunt_ohm=None,
        shunt_limit=None,
        gain_limit=None,
        refresh_s=None,
        averaging_s=None,
        period_s=None,
        off_v=None,
        scope: str = "",
        total: str = "",
    ):
        super().__init__(url)
        if not where:
            raise ValueError("name the chip: hwmon:<name>; joulegrad sensors lists them")
        self._where, self._root, self._scope, self._total = where, root, scope, total
        self._channels = choice("channels", channels, ("power", "all"))
        self._power = choice("power", power, ("chip", "vi"))
        self._off_v = number("off_v", off_v)
        self._numbers = {
            "shunt_ohm": number("shunt_ohm", shunt_ohm, 1e-7),
            "shunt_limit": number("shunt_limit", shunt_limit, 0, 1),
            "gain": number("gain_limit", gain_limit, 0, 1),
            "refresh_s": number("refresh_s", refresh_s, 1e-6),
            "averaging_s": number("averaging_s", averaging_s),
        }
        self._period_s = number("period_s", period_s, 1e-4)
        self.period_s = self._period_s or PERIOD_S
        self._claim: int | None = None
        self._description: dict = {}

    def open(self) -> None:
        """Find the chip by name and look at its rails. Raises SensorError."""
        self.close()
        chip = hwmon_chip.find(hwmon_chip.chips(self._root), self._where)
        self._claim = chip.claim()
        try:
            self._opened(self._rails(chip))
        except BaseException:
            self.close()
            raise
        refresh_s = self.channels[0].refresh_s
        self.period_s = self._period_s or (refresh_s / 2 if refresh_s else PERIOD_S)

    def _rails(self, chip: HwmonChip) -> list[HwmonRail]:
        opened, absent = [], {}
        labels = [files.label for files in chip.rails if files.label]
        if self._total and self._total not in labels:
            found = f"has {', '.join(labels)}" if labels else "has one rail"
            raise SensorError(f"chip {chip.name!r} has no rail {self._total!r} for total=: it {found}")
        for files in chip.rails:
            if files.label.startswith("in") and any(rail.page for rail in chip.rails):
                continue  # what a regulator draws is no rail beside what it delivers
            name = f"{chip.label or chip.name}{'/' if files.label else ''}{files.label}"
            settings = RailSettings(
                name=name,
                part_of=f"{chip.label or chip.name}/{self._total}" if self._total and files.label != self._total else "",
                scope=self._scope or f"what flows through chip {chip.name} ({chip.device or 'no bus'})",
                channels=self._channels,
                power=self._power,
                off_v=OFF_V if self._off_v is None else self._off_v,
                **{**self._numbers, "refresh_s": self._numbers["refresh_s"] or pmbus_cache_s(chip)},
            )
            try:
                opened.append(open_rail(chip, files, settings))
            except RailAbsent as error:
                absent[name] = str(error)
            except PermissionError as error:
                raise SensorError(
                    f"chip {chip.name!r} may not be read: {error.filename or chip.path} needs other permissions, or run as root"
                ) from None
        if not opened:
            raise SensorError(
                f"no rail of chip {self._where!r} can be used: " + "; ".join(f"{name}: {why}" for name, why in absent.items())
            )
        self._description = {
            "chip": chip.name,
            "device": chip.device,
            "label": chip.label,
            "shunt_ohm": chip.shunt_ohm,
            "interval_s": chip.interval_s,
            "not_used": absent,
            "kernel": hwmon_chip.platform.release(),
            "rails": {rail.channels[0].rail: rail.notes for rail in opened},
        }
        return opened

    def close(self) -> None:
        """Give the chip back."""
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None

    def describe(self) -> dict:
        """Return chip, device, shunt, rails that were not used and why, and warnings of each rail."""
        return self._description


def pmbus_cache_s(chip: HwmonChip) -> float | None:
    """Return how long the kernel hands out an old value of a PMBus chip, None where it does not."""
    return PMBUS_CACHE_S if chip_named(chip.name).pmbus and hwmon_chip.kernel_version() < (5, 10) else None


def found(root: str = hwmon_chip.ROOT) -> list[Found]:
    """Return the chips that measure power, by a name that stays the same between boots."""
    try:
        there = hwmon_chip.chips(root)
    except SensorError as error:
        return [Found("hwmon", "Linux power monitors", str(error))]
    if not there:
        return [
            Found(
                "hwmon",
                "Linux power monitors",
                "Linux knows no chip here that measures power; load the driver of yours (such as ina2xx), or attach a meter",
            )
        ]
    names = [chip.name for chip in there]
    suffix = "" if root == hwmon_chip.ROOT else f"?root={root}"
    lines = []
    for i, chip in enumerate(there):
        which = f"#{names[:i].count(chip.name) + 1}" if names.count(chip.name) > 1 else ""
        rails = ", ".join(rail.label for rail in chip.rails if rail.label)
        what = f"{chip.name} at {chip.device or 'no bus'}" + (f": {rails}" if rails else "")
        lines.append(Found(f"hwmon:{chip.name}{which}{suffix}", what))
    return lines
