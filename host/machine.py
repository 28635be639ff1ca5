"""Which machine this is, and what its clocks and its load say. Everything is read, nothing is assumed."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

SUSPEND_S = 0.01
"""The boot clock runs on while a machine sleeps and the monotonic clock does not; apart by more, the machine slept."""

LOOK_S, LOOKS = 0.001, 20
"""The clocks are read together within so long; again, up to so often, where the process was held up in between."""

STEP_S = 0.05
"""The wall clock was set where it departs from the monotonic one by more between two looks."""


def identity() -> dict:
    """Return JSON data that tells machines and boots apart, names hashed: boot_id, machine_hash, host_hash, system."""
    return {
        "boot_id": _text("/proc/sys/kernel/random/boot_id"),
        "machine_hash": _hashed(_text("/etc/machine-id")),
        "host_hash": _hashed(platform.node()),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpus": os.cpu_count(),
    }


def clocks() -> dict[str, float]:
    """Return the host clock (CLOCK_MONOTONIC) with the wall clock and the boot clock beside it, in seconds."""
    return {"monotonic_s": time.monotonic(), "wall_unix_s": time.time(), "boottime_s": boottime()}


def boottime() -> float:
    """Return the seconds since boot, sleep included; without such a clock, the monotonic one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def load_average() -> list[float]:
    """Return the load averages over 1, 5 and 15 minutes; empty where the system has none."""
    try:
        return [round(load, 2) for load in os.getloadavg()]
    except OSError:
        return []


def power_settings() -> dict:
    """Return JSON data on what changes a machine's power: governor of the first processor ("" where none), temperatures in
    degrees Celsius by zone."""
    temperatures = {}
    for zone in sorted(Path("/sys/class/thermal").glob("thermal_zone*")):
        text = _text(str(zone / "temp"))
        if text.lstrip("-").isdigit():
            temperatures[_text(str(zone / "type")) or zone.name] = int(text) / 1000
    governor = _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return {"governor": governor, "temperatures_cel": temperatures}


@dataclass
class ClockWatch:
    """Notices that the machine slept, and that the wall clock was set.

    Attributes:
        monotonic, boot, wall: the clocks, in seconds.
    """

    monotonic: Callable[[], float] = time.monotonic
    boot: Callable[[], float] = boottime
    wall: Callable[[], float] = time.time
    _asleep_s: float = field(init=False)
    _wall_s: float = field(init=False)

    def __post_init__(self):
        self._asleep_s, self._wall_s = self._apart()

    def look(self) -> tuple[float, float]:
        """Return the seconds slept, and by which the wall clock was set, since the last look; 0 where neither happened."""
        asleep_s, wall_s = self._apart()
        slept, stepped = asleep_s - self._asleep_s, wall_s - self._wall_s - (asleep_s - self._asleep_s)
        slept = slept if slept > SUSPEND_S else 0.0
        if slept:
            self._asleep_s = asleep_s
        # Slow corrections of the wall clock (NTP slews it) are followed; only a jump counts as a step.
        self._wall_s = wall_s
        return slept, stepped if abs(stepped) > STEP_S else 0.0

    def _apart(self) -> tuple[float, float]:
        looks = []
        while not looks or looks[-1][0] > LOOK_S and len(looks) < LOOKS:
            before = self.monotonic()
            boot, wall = self.boot(), self.wall()
            after = self.monotonic()
            middle = (before + after) / 2
            looks.append((after - before, boot - middle, wall - middle))
        return min(looks)[1:]


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _hashed(name: str) -> str:
    return hashlib.sha256(f"joulegrad {name}".encode()).hexdigest()[:16] if name else ""
