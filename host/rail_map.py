"""Which rails a board's own sensors watch, and which board this is: host/rail_maps.json and the device tree."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from host.sensor import SensorError

DEVICE_TREE = "/proc/device-tree"
MAPS = Path(__file__).with_name("rail_maps.json")


@dataclass(frozen=True)
class Rail:
    """One rail of a board.

    Attributes:
        rail: its name on the board's schematic.
        chips: names of the chip that watches it, as `hwmon_chip.find` takes them; the first that is there counts.
        scope: what it supplies, in words.
        part_of: rail that contains this one.
        page: output of a PMBus regulator, from 1; 0: the chip watches one rail.
        volts: nominal; None where it is adjustable or not known.
        shunt_ohm: where the chip's driver does not say; None: not known.
        volts_divisors: see host.hwmon_rail.RailSettings.
    """

    rail: str
    chips: tuple[str, ...]
    scope: str
    part_of: str = ""
    page: int = 0
    volts: float | None = None
    shunt_ohm: float | None = None
    volts_divisors: tuple[int, ...] = ()


@dataclass(frozen=True)
class RailMap:
    """A board's rails; `source` says where they are documented."""

    board: str
    source: str
    rails: tuple[Rail, ...]


@lru_cache
def _data() -> dict:
    return json.loads(MAPS.read_text(encoding="utf-8"))


def boards() -> list[str]:
    """Return the boards that have a map."""
    return list(_data()["boards"])


def rail_map(board: str) -> RailMap:
    """Return a board's map. Raises SensorError, which for a board without sensors says what to do instead."""
    known = {_plain(name): name for name in boards()}
    name = known.get(_plain(board))
    if name is None:
        refusal = next(
            (entry["why"] for other, entry in _data()["without_sensor"].items() if _plain(other) == _plain(board)), None
        )
        raise SensorError(
            refusal
            or f"no map of the rails of board {board!r}: there are {', '.join(boards())}; for other boards "
            "open a chip itself, hwmon:<name>"
        )
    entry = _data()["boards"][name]
    return RailMap(name, entry["source"], tuple(_rail(name, rail) for rail in entry["rails"]))


def candidates(device_tree: Path | str = DEVICE_TREE) -> list[str]:
    """Return the boards (with a map) that this machine can be, by its device tree.

    Raises:
        SensorError: it is no board, or one that has no map or no sensor.
    """
    text = board_text(device_tree)
    if not text:
        raise SensorError(
            "this machine is no FPGA board that is known here (its device tree names none): pmbus reads the board's "
            "own sensors, on the board; name a board with board=, or open another sensor"
        )
    plain = _plain(text)
    for entry in _data()["without_sensor"].values():
        if any(name in plain for name in entry["found_by"]):
            raise SensorError(entry["why"])
    named = [name for name, entry in _data()["boards"].items() if any(part in plain for part in entry["found_by"])]
    if not named:
        raise SensorError(
            f"no map of the rails of board {text!r}: there are {', '.join(boards())}; open a chip itself, hwmon:<name>"
        )
    return named


def board_text(device_tree: Path | str = DEVICE_TREE) -> str:
    """Return what the device tree calls the machine, "" where there is none."""
    parts = []
    for place in ("chosen/pynq_board", "model"):
        try:
            parts.append((Path(device_tree) / place).read_bytes().decode("utf-8", "replace").strip("\0 \n"))
        except OSError:
            continue
    return " ".join(part for part in parts if part)


def refuse_remote() -> None:
    """Raise SensorError where PYNQ drives a board over the network: this machine's sensors are not the board's."""
    remote = os.environ.get("PYNQ_REMOTE_DEVICES")
    if remote:
        raise SensorError(
            f"PYNQ_REMOTE_DEVICES={remote} drives a board over the network, and this machine's sensors are not that "
            "board's: run on the board itself, or attach a meter to it"
        )


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _rail(board: str, entry: dict) -> Rail:
    scope = entry.get("scope") or f"rail {entry['rail']} of {board} behind its regulator, whose losses are not included"
    return Rail(
        rail=entry["rail"],
        chips=tuple(entry["chips"]),
        scope=scope,
        part_of=entry.get("part_of", ""),
        page=entry.get("page", 0),
        volts=entry.get("volts"),
        shunt_ohm=entry.get("shunt_ohm"),
        volts_divisors=tuple(entry.get("volts_divisors", ())),
    )
