"""rapl: energy counters of Intel and AMD processors, through Linux powercap.

"rapl" (all zones), "rapl:package-0,dram". Options: period_s=, gain_limit=, root=<folder instead of /sys/class/powercap>.
The maker states no accuracy, so gain is None unless stated; joules then come without an uncertainty.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from host.hwmon_chip import read_number
from host.polled_sensor import Failed, PolledSensor, number
from host.sensor import Channel, Found, SensorError, Specification

ROOT = "/sys/class/powercap"
PERIOD_S = 0.01
MICRO = 1e6
SOURCE = "no accuracy is published for RAPL: compare with a meter, or state gain_limit="
SCOPES = {
    "package": "the processor's package (cores, caches, integrated graphics), memory modules not included",
    "core": "the cores of the package",
    "uncore": "integrated graphics and what else the package has beside its cores",
    "dram": "the memory modules of the package's channels",
    "psys": "the whole platform as the maker's firmware defines it",
}


@dataclass(frozen=True)
class Zone:
    """A folder of powercap: its name ("package-0", "dram"), rail, the rail that contains it, and where its counter wraps."""

    path: Path
    name: str
    rail: str
    part_of: str
    range_j: float


@dataclass
class ZoneReader:
    """A zone that is being read. `channels` has one entry."""

    channels: tuple[Channel, ...]
    _file: Path

    def read(self) -> list[float | Failed]:
        """Return the counter in joules. A failed read is no 0, which would look like a wrap."""
        try:
            return [read_number(self._file) / MICRO]
        except (OSError, ValueError) as error:
            return [Failed.of(error)]


def zones(root: Path | str = ROOT) -> list[Zone]:
    """Return the zones, totals before their parts. Raises SensorError where there are none."""
    root = Path(root)
    pattern = re.compile(r"intel-rapl:\d+(:\d+)?")
    folders = sorted(path for path in root.iterdir() if pattern.fullmatch(path.name)) if root.is_dir() else []
    if not folders:
        raise SensorError(
            f"no RAPL counters: {root} has no intel-rapl zones (no Intel or AMD processor, a virtual machine, or "
            "the module intel_rapl_msr is not loaded)"
        )
    names = {folder.name: _name(folder) for folder in folders}
    # One for each package where the firmware has several: psys of the first, psys-1 of the second.
    psys = {name.partition("-")[2] or "0": name for name in names.values() if name.startswith("psys")}
    packages = [name for name in names.values() if name.startswith("package")]
    found = []
    for folder in folders:
        name, parent = names[folder.name], names.get(folder.name.rsplit(":", 1)[0], "") if folder.name.count(":") == 2 else ""
        rail = f"{parent}/{name}" if parent and len(packages) > 1 else name
        # The tree of folders puts dram below its package; the package's counter does not contain it (Intel SDM 15.10).
        part_of = _platform(parent or name, psys) if not parent or name.startswith("dram") else parent
        try:
            range_j = read_number(folder / "max_energy_range_uj") / MICRO
        except (OSError, ValueError) as error:
            raise SensorError(f"RAPL zone {folder.name} does not say where its counter wraps: {error}") from None
        found.append(Zone(folder, name, rail, part_of, range_j))
    return sorted(found, key=lambda zone: (not zone.name.startswith("psys"), zone.path.name))


def _platform(name: str, psys: dict[str, str]) -> str:
    """Return the platform's counter that contains a package (by number the counters that there are), "" for none."""
    if name in psys.values():
        return ""
    number = re.match(r"package-(\d+)", name)
    return psys.get(number[1] if number else "0", psys.get("0", ""))


class Driver(PolledSensor):
    """All zones, or those named."""

    def __init__(self, url: str, where: str, root: str = ROOT, period_s=None, gain_limit=None):
        super().__init__(url)
        self._wanted = [name for name in where.split(",") if name]
        self._root, self._gain = root, number("gain_limit", gain_limit, 0, 1)
        self.period_s = number("period_s", period_s, 1e-4) or PERIOD_S
        self._zones: list[Zone] = []

    def open(self) -> None:
        """Find the zones and read each once. Raises SensorError."""
        there = zones(self._root)
        unknown = [name for name in self._wanted if name not in {zone.rail for zone in there}]
        if unknown:
            raise SensorError(f"no RAPL zone {', '.join(unknown)}: there are {', '.join(zone.rail for zone in there)}")
        self._zones = [zone for zone in there if not self._wanted or zone.rail in self._wanted]
        parts = []
        for zone in self._zones:
            _check_readable(zone)
            channel = Channel(
                f"{zone.rail}/energy",
                "J",
                zone.rail,
                SCOPES.get(re.split(r"[-_]", zone.name)[0], f"RAPL zone {zone.name}"),
                "accumulated",
                Specification(self._gain, quantum=1e-6, source=SOURCE if self._gain is None else "gain as stated when opened"),
                part_of=zone.part_of,
                wrap=zone.range_j,
                low=0.0,
                high=zone.range_j,
            )
            parts.append(ZoneReader((channel,), zone.path / "energy_uj"))
        self._opened(parts)

    def close(self) -> None:
        """Nothing is held: the files are opened for each read."""

    def describe(self) -> dict:
        """Return the folders and where each counter wraps."""
        return {"zones": {zone.rail: {"folder": zone.path.name, "wraps_at_j": zone.range_j} for zone in self._zones}}


def _check_readable(zone: Zone) -> None:
    try:
        read_number(zone.path / "energy_uj")
    except PermissionError:
        raise SensorError(
            f"RAPL counter {zone.rail} may only be read by root since the PLATYPUS attack: run as root, or allow it with "
            f"sudo chmod a+r {zone.path}/energy_uj"
        ) from None
    except (OSError, ValueError) as error:
        raise SensorError(f"RAPL counter {zone.rail} cannot be read: {error}") from None


def _name(folder: Path) -> str:
    try:
        return (folder / "name").read_text(encoding="utf-8").strip()
    except OSError:
        return folder.name


def found(root: str = ROOT) -> list[Found]:
    """Return the processor's counters, or why they cannot be used."""
    what = "energy counters of this machine's processor"
    try:
        there = zones(root)
        for zone in there:
            _check_readable(zone)
    except SensorError as error:
        return [Found("rapl", what, str(error))]
    return [Found("rapl" if root == ROOT else f"rapl?root={root}", f"{what}: {', '.join(zone.rail for zone in there)}")]
