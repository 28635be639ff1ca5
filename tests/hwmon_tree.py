"""A folder that looks like a power monitor's in /sys/class/hwmon: the file-backed sensor of the sampler's tests."""

from __future__ import annotations

import os
from pathlib import Path

from waiting import until

from host import file_monitor


class HwmonTree:
    """One INA226 of 5 W.

    Attributes:
        folder: of the chip.
    """

    def __init__(self, root: Path, chip: str = "ina226"):
        self.root, self.chip = root, chip
        self._url = file_monitor.make(root, chip)
        self.folder = root / "hwmon0"
        self._answer = 0

    def url(self, period_s: float = 0.001) -> str:
        """Return the sensor's URL."""
        return self._url.replace("period_s=0.001", f"period_s={period_s}")

    def set_power(self, power_w: float) -> None:
        """Replace the value, atomically."""
        new = self.folder / "power1_new"
        new.write_text(f"{round(power_w * 1e6)}\n")
        new.replace(self.folder / "power1_input")

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
