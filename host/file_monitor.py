"""A folder that looks like a power monitor's in /sys/class/hwmon, on ordinary files: what the benchmarks of the sampler read."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote


def make(root: Path, chip: str = "ina226", period_s: float = 0.001, power_w: float = 5.0) -> str:
    """Make the folder of one chip below `root` and return the URL of its sensor.

    Args:
        root: takes the place of /sys/class/hwmon; may hold several chips.
        chip: its name.
        period_s: between two reads.
        power_w: what it shows.
    """
    folder = root / f"hwmon{len(list(root.glob('hwmon*')))}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{chip}\n")
    (folder / "shunt_resistor").write_text("10000\n")
    for name, number in (("in1_input", 5000), ("curr1_input", power_w / 5e-3), ("power1_input", power_w * 1e6)):
        (folder / name).write_text(f"{round(number)}\n")
    return f"hwmon:{chip}?root={quote(str(root))}&channels=power&power=chip&period_s={period_s}"
