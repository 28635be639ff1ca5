"""Linux hwmon chips: found by name, label or bus address, never by number, with their files grouped by supply rail.

Files and units as in the kernel's sysfs interface: inN mV, currN mA, powerN uW, energyN uJ, update_interval and
powerN_average_interval ms, shunt_resistor uOhm.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from host.sensor import SensorError

ROOT = "/sys/class/hwmon"
PMBUS_LABEL = re.compile(r"([vip])(in|out)(\d*)")
MOST_SHUNT_MV = 400
"""More is across no shunt: monitors take 320 mV at most."""
LETTERS = {"v": "in", "i": "curr", "p": "power"}


@dataclass(frozen=True)
class RailFiles:
    """One supply rail of a chip: names of its files, "" where there is none.

    Attributes:
        label: of the kernel ("vout1", "VDD_CPU"), or of the only rail of a chip "".
        page: of a PMBus output, from 1; 0 else.
        volts, amps, power, average, energy, shunt: inN_input, currN_input, powerN_input, powerN_average, energyN_input, and
            the inN_input that holds the voltage across the shunt.
    """

    label: str
    page: int = 0
    volts: str = ""
    amps: str = ""
    power: str = ""
    average: str = ""
    energy: str = ""
    shunt: str = ""

    @property
    def measures(self) -> bool:
        """Whether watts or joules can be had from it."""
        return bool(self.power or self.average or self.energy or (self.volts and self.amps))


@dataclass(frozen=True)
class HwmonChip:
    """A chip.

    Attributes:
        path: folder of its files, below its device: a link hwmonN of the class may be another chip's after a rebind.
        name: of the driver or, through iio-hwmon, of the chip on the board ("ina260_u14").
        label: of the device tree, "" where there is none.
        device: last part of the device's path: "4-0043" is address 0x43 on I2C bus 4. Bus numbers move between boots, too.
        rails: its rails that measure something.
        shunt_ohm: as the driver has it; None where it does not say.
        interval_s: between two values of the chip; None where the driver does not say.
    """

    path: Path
    name: str
    label: str
    device: str
    rails: tuple[RailFiles, ...]
    shunt_ohm: float | None
    interval_s: float | None

    @property
    def address(self) -> str:
        """The I2C address in hexadecimal without zeros in front, "" of what is not on an I2C bus."""
        found = re.fullmatch(r"\d+-([0-9a-f]{4})", self.device)
        return found[1].lstrip("0") if found else ""

    def claim(self) -> int:
        """Keep others of this software from reading the chip; returns a file descriptor whose closing gives it back.

        Two readers of one PMBus chip can get each other's values (a race in Linux 5.10), and each pays for the other's reads.

        Raises:
            SensorError: it is claimed, or gone.
        """
        try:
            handle = os.open(self.path / "name", os.O_RDONLY)
        except OSError as error:
            raise SensorError(f"chip {self.name!r} cannot be opened: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise SensorError(
                f"chip {self.name!r} ({self.device or self.path.name}) is being read by another process or "
                "sensor of this software: one reader per chip"
            ) from None
        return handle


def read_number(path: Path) -> int:
    """Return the whole number in a sysfs file. Raises OSError as the kernel gives it, ValueError for what is no number."""
    handle = os.open(path, os.O_RDONLY)
    try:
        text = os.read(handle, 64)
    finally:
        os.close(handle)
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{path.name} holds {text[:20].decode('ascii', 'replace').strip()!r}, not a number") from None


def chips(root: Path | str = ROOT) -> list[HwmonChip]:
    """Return the chips that can measure power, in the order of their devices. Raises SensorError without a folder of hwmon."""
    root = Path(root)
    if not root.is_dir():
        raise SensorError(f"this machine has no hwmon sensors: there is no folder {root}")
    found = [chip for folder in root.iterdir() if (chip := _chip(folder)) is not None and chip.rails]
    return sorted(found, key=lambda chip: (chip.name, chip.device, chip.path.name))


def find(there: list[HwmonChip], where: str) -> HwmonChip:
    """Return the one of the chips called `where`: its name, label or device, with "@<I2C address>" or "#<which, from 1>" to
    tell several of one name apart.

    Raises:
        SensorError: there is none, or there are several.
    """
    wanted, _, which = where.partition("#")
    name, _, address = wanted.partition("@")
    found = [chip for chip in there if name in (chip.name, chip.label, chip.device)]
    if address:
        found = [chip for chip in found if chip.address == address.lower().removeprefix("0x").lstrip("0")]
    if not found:
        names = ", ".join(sorted({chip.name for chip in there})) or "none that measures power"
        raise SensorError(f"no hwmon chip {where!r}: there are {names}")
    if which:
        if not which.isdigit() or not 1 <= int(which) <= len(found):
            raise SensorError(f"hwmon chip {where!r}: there are {len(found)} of that name, #1 to #{len(found)}")
        return found[int(which) - 1]
    if len(found) > 1:
        devices = ", ".join(chip.device or chip.path.name for chip in found)
        raise SensorError(
            f"{len(found)} hwmon chips are called {where!r} ({devices}): name one by its device, or {name}#1 and so on"
        )
    return found[0]


def kernel_version() -> tuple[int, int]:
    """Return (major, minor) of the running Linux, (0, 0) where its name holds no such numbers."""
    found = re.match(r"(\d+)\.(\d+)", platform.release())
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n")
    except OSError:
        return ""


def positive(path: Path, scale: float) -> float | None:
    """Return the number in a file times scale, None where there is none above 0."""
    try:
        value = read_number(path)
    except (OSError, ValueError):
        return None
    return value * scale if value > 0 else None


def _chip(folder: Path) -> HwmonChip | None:
    """Return the chip in a folder hwmonN, None where it has no name (drivers of old kernels keep their files in device/)."""
    base = next((place for place in (folder, folder / "device") if _text(place / "name")), None)
    if base is None:
        return None
    try:
        files = {entry.name for entry in base.iterdir()}
    except OSError:
        return None
    link = folder / "device"
    return HwmonChip(
        path=base.resolve(),
        name=_text(base / "name"),
        label=_text(base / "label"),
        device=link.resolve().name if link.exists() else "",
        rails=tuple(rail for rail in _rails(base, files) if rail.measures),
        shunt_ohm=positive(base / "shunt_resistor", 1e-6),
        interval_s=positive(base / "update_interval", 1e-3),
    )


def _rails(base: Path, files: set[str]) -> list[RailFiles]:
    """Return the rails of a chip: PMBus pages by label, a single power monitor as a whole, others by number."""
    numbers = {
        kind: sorted(int(found[1]) for name in files if (found := re.fullmatch(rf"{kind}(\d+)_input", name)))
        for kind in ("in", "curr", "power", "energy")
    }
    averages = sorted(int(found[1]) for name in files if (found := re.fullmatch(r"power(\d+)_average", name)))
    labels = {(kind, n): _text(base / f"{kind}{n}_label") for kind in numbers for n in numbers[kind]}
    pages = {key: found for key, label in labels.items() if (found := PMBUS_LABEL.fullmatch(label))}
    if pages:
        return _pmbus_rails(pages)
    if max(len(numbers["curr"]), len(numbers["power"]), len(numbers["energy"]), len(averages)) <= 1:
        return [_single_rail(base, numbers, averages)]
    every = sorted(set(numbers["curr"] + numbers["power"] + numbers["energy"] + averages))
    kinds = ("power", "curr", "in", "energy")
    called = [next((labels[kind, n] for kind in kinds if labels.get((kind, n))), str(n)) for n in every]
    return [
        RailFiles(
            label=label if called.count(label) == 1 else f"{label}#{n}",
            **{
                role: f"{kind}{n}_input" if n in numbers[kind] else ""
                for role, kind in (("volts", "in"), ("amps", "curr"), ("power", "power"), ("energy", "energy"))
            },
            average=f"power{n}_average" if n in averages else "",
        )
        for label, n in zip(called, every, strict=True)
    ]


def _pmbus_rails(pages: dict[tuple[str, int], re.Match]) -> list[RailFiles]:
    """Return the outputs of a PMBus regulator and, after them, its inputs."""
    rails: dict[tuple[str, int], dict] = {}
    for (kind, n), found in pages.items():
        if kind != LETTERS[found[1]]:
            continue
        role = {"in": "volts", "curr": "amps", "power": "power"}[kind]
        rails.setdefault((found[2], int(found[3] or 1)), {})[role] = f"{kind}{n}_input"
    return [
        RailFiles(label=f"{side}{page}", page=page if side == "out" else 0, **files)
        for (side, page), files in sorted(rails.items(), key=lambda item: (item[0][0] != "out", item[0][1]))
    ]


def _single_rail(base: Path, numbers: dict[str, list[int]], averages: list[int]) -> RailFiles:
    """Return the rail of a chip with one power, current or energy.

    Where there are two voltages, the lower number is that across the shunt: in0 and in1 of the ina2xx driver, in1 and in2
    through iio-hwmon. Of chips that measure something else beside (LTC2945, LTC4151), it is the bus, and too high for a shunt.
    A voltage without a current need not be that of the supply: beside a GPU's watts it is that of its core.
    """
    volts = numbers["in"] if numbers["curr"] and len(numbers["in"]) <= 2 else []
    if len(volts) == 2 and (positive(base / f"in{volts[0]}_input", 1) or 0) > MOST_SHUNT_MV:
        volts = volts[:1]
    name = {kind: f"{kind}{numbers[kind][0]}_input" if numbers[kind] else "" for kind in ("curr", "power", "energy")}
    return RailFiles(
        label="",
        volts=f"in{volts[-1]}_input" if volts else "",
        amps=name["curr"],
        power=name["power"],
        energy=name["energy"],
        average=f"power{averages[0]}_average" if averages else "",
        shunt=f"in{volts[0]}_input" if len(volts) == 2 else "",
    )
