"""A folder that looks like a power monitor's in /sys/class/hwmon: the file-backed sensor of the sampler's tests."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from waiting import until

from host import file_monitor
from host.readings import Readings
from host.trace import Window


class HwmonTree:
    """One INA226 of 5 W.

    Attributes:
        folder: of the chip.
        powers: (before, after, W) of every value that was set: stamps around it.
    """

    def __init__(self, root: Path, chip: str = "ina226"):
        self.root, self.chip = root, chip
        self._url = file_monitor.make(root, chip)
        self.folder = root / "hwmon0"
        self._answer = 0
        self.powers: list[tuple[float, float, float]] = []

    def url(self, period_s: float = 0.001) -> str:
        """Return the sensor's URL."""
        return self._url.replace("period_s=0.001", f"period_s={period_s}")

    def set_power(self, power_w: float) -> None:
        """Replace the value, atomically."""
        new = self.folder / "power1_new"
        new.write_text(f"{round(power_w * 1e6)}\n")
        before_s = time.monotonic()
        new.replace(self.folder / "power1_input")
        self.powers.append((before_s, time.monotonic(), power_w))

    def energy_j(self, window: Window) -> float:
        """Return what a perfect sensor finds in a window."""
        stamps_s = np.array([(before_s + after_s) / 2 for before_s, after_s, _ in self.powers])
        edges_s = np.clip([-np.inf, *stamps_s, np.inf], window.start_s, window.end_s)
        return float(np.dot(np.diff(edges_s), [5.0, *(power_w for _, _, power_w in self.powers)]))

    def unknown_s(self, readings: Readings, window: Window, usual_s: float = 0.0) -> float:
        """Return for how much of a window nobody can say what was shown: where rows with a change between them, or a change
        itself, lie far apart.

        Args:
            usual_s: spacings up to this do not count.
        """
        t_s, found_s = readings.t_s, sum(after_s - before_s for before_s, after_s, _ in self.powers)
        for one_s, next_s in zip(t_s[:-1].tolist(), t_s[1:].tolist(), strict=True):
            if next_s - one_s > usual_s and one_s < window.end_s and next_s > window.start_s:
                changes = any(before_s < next_s and after_s > one_s for before_s, after_s, _ in self.powers)
                found_s += (next_s - one_s) * changes
        return found_s

    def stall(self) -> None:
        """Let the next read wait until `answer`; return when it waits."""
        os.mkfifo(self.folder / "power1_pipe")
        (self.folder / "power1_pipe").replace(self.folder / "power1_input")
        self._answer = until(self._reader, "the read that stalls")

    def answer(self, power_w: float) -> None:
        """Let the read that waits have its value, and those after it."""
        self.set_power(power_w)
        os.write(self._answer, f"{round(power_w * 1e6)}\n".encode())
        os.close(self._answer)

    def _reader(self) -> int:
        """Return the pipe's end to write to, 0 while nobody reads from it."""
        try:
            return os.open(self.folder / "power1_input", os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return 0

    def unplug(self) -> None:
        """Take the chip away."""
        self.folder.rename(self.root.parent / f"{self.root.name}_away")

    def plug(self) -> None:
        """Bring it back, under another number."""
        (self.root.parent / f"{self.root.name}_away").rename(self.root / "hwmon_7")
        self.folder = self.root / "hwmon_7"
