"""Folders like those of Linux's sysfs, for tests of sensors: hwmon chips, powercap zones, device trees."""

from __future__ import annotations

import json
from pathlib import Path

MAPS = Path(__file__).parents[1] / "host" / "rail_maps.json"


class HwmonTree:
    """A folder like /sys/class/hwmon. `add` returns a chip's folder; numbers hwmonN are given in the order of adding."""

    def __init__(self, path: Path):
        self.root = path / "hwmon"
        self._devices = path / "devices"
        self.root.mkdir(parents=True)

    def add(self, name: str, files: dict[str, object], device: str = "", label: str = "") -> Path:
        folder = self.root / f"hwmon{len(list(self.root.iterdir()))}"
        folder.mkdir()
        if device:
            (self._devices / device).mkdir(parents=True, exist_ok=True)
            (folder / "device").symlink_to(self._devices / device)
        for file, content in {"name": name, **({"label": label} if label else {}), **files}.items():
            (folder / file).write_text(f"{content}\n")
        return folder

    def iio_ina226(self, name: str, volts: float = 0.85, amps: float = 1.6, **options) -> Path:
        """An INA226 as iio-hwmon shows it: in1 across the shunt, in2 the bus, no shunt_resistor, no device on a bus."""
        return self.add(
            name,
            {
                "in1_input": round(amps * 5),
                "in2_input": round(volts * 1e3),
                "curr1_input": round(amps * 1e3),
                "power1_input": round(volts * amps * 1e6),
            },
            **options,
        )

    def ina2xx(self, name: str, device: str, volts: float, amps: float, shunt_uohm: int = 5000, **more) -> Path:
        """An INA2xx as the kernel's ina2xx driver shows it: in0 across the shunt, in1 the bus."""
        return self.add(
            name,
            {
                "in0_input": round(amps * shunt_uohm / 1e3),
                "in1_input": round(volts * 1e3),
                "curr1_input": round(amps * 1e3),
                "power1_input": round(volts * amps * 1e6),
                "shunt_resistor": shunt_uohm,
                **more,
            },
            device=device,
        )

    def pmbus(
        self, name: str, device: str, outputs: dict[int, tuple[float, float]], first: int = 2, volts_times: float = 1
    ) -> Path:
        """A PMBus regulator: one input, then outputs by page, each (volts, amperes)."""
        files: dict[str, object] = {
            "in1_input": 11560,
            "in1_label": "vin1",
            "curr1_input": 200,
            "curr1_label": "iin1",
            "power1_input": 2312000,
            "power1_label": "pin1",
        }
        for n, (page, (volts, amps)) in enumerate(outputs.items(), first):
            files |= {
                f"in{n}_input": round(volts * volts_times * 1e3),
                f"in{n}_label": f"vout{page}",
                f"curr{n}_input": round(amps * 1e3),
                f"curr{n}_label": f"iout{page}",
                f"power{n}_input": round(volts * amps * 1e6),
                f"power{n}_label": f"pout{page}",
            }
        return self.add(name, files, device=device)


def device_tree(path: Path, model: str, pynq_board: str = "") -> Path:
    """Return a folder like /proc/device-tree."""
    tree = path / "device-tree"
    (tree / "chosen").mkdir(parents=True)
    (tree / "model").write_bytes(model.encode() + b"\0")
    if pynq_board:
        (tree / "chosen" / "pynq_board").write_bytes(pynq_board.encode() + b"\0")
    return tree


MODELS = {
    "ZCU104": ("ZynqMP ZCU104 RevC", "ZCU104"),
    "ZCU102": ("ZynqMP ZCU102 Rev1.0", ""),
    "Ultra96v1": ("ZynqMP ZCU100 RevC", "Ultra96"),
    "Ultra96v2": ("Avnet Ultra96 Rev1", "Ultra96"),
    "KV260": ("ZynqMP KV260 revB", "KV260"),
    "KR260": ("ZynqMP KR260 revB", "KR260"),
    "RFSoC4x2": ("RFSoC4x2", "RFSoC4x2"),
}


def board_tree(path: Path, board: str) -> tuple[HwmonTree, Path]:
    """Return the hwmon folder and device tree of a board, every rail 0.5 A at its nominal volts (1.2 V where adjustable)."""
    tree = HwmonTree(path)
    entry = json.loads(MAPS.read_text())["boards"][board]
    tree.add("iio_hwmon", {"temp1_input": 43000})
    pages: dict[str, dict[int, tuple[float, float]]] = {}
    for rail in entry["rails"]:
        name, _, address = rail["chips"][0].partition("@")
        volts = rail.get("volts", 1.2)
        if rail.get("page"):
            pages.setdefault(f"{name}@{address}", {})[rail["page"]] = (volts, 0.5)
        elif address:
            tree.ina2xx(name, f"5-00{address}", volts, 0.5)
        else:
            tree.iio_ina226(name, volts, 0.5)
    for chip, outputs in pages.items():
        name, _, address = chip.partition("@")
        tree.pmbus(name, f"4-00{address}", outputs, volts_times=256 if name == "ir38060" else 1)
    return tree, device_tree(path, *MODELS[board])
