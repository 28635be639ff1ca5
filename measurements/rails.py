"""Which rails make up an energy: a total is never added to its parts, a rail that is off is left out."""

from __future__ import annotations

import math

import numpy as np

from host.trace import SensorRecord
from measurements.series import NoEnergy, channels_of

OFF_BELOW_V = 0.4
"""No supply of a chip or board lies below; currents that are read there are not currents."""


def names(record: SensorRecord) -> list[str]:
    """Return the rails of a sensor whose energy can be told, in the order of its channels."""
    rails = dict.fromkeys(channel.rail for channel in record.channels if channel.unit != "Cel")
    return [rail for rail in rails if channels_of(record, rail)]


def above(record: SensorRecord, rail: str) -> list[str]:
    """Return the rails that contain a rail, nearest first.

    Raises:
        NoEnergy: the tree of rails goes in a circle.
    """
    parents = {channel.rail: channel.part_of for channel in record.channels if channel.part_of}
    chain = []
    while rail in parents:
        rail = parents[rail]
        if rail in chain:
            raise NoEnergy(f"the rails {' -> '.join(chain)} contain one another: part_of must form a tree")
        chain.append(rail)
    return chain


def is_off(record: SensorRecord, rail: str) -> bool:
    """Return whether a rail's own volts say that it is switched off."""
    for column, channel in enumerate(record.channels):
        if channel.rail == rail and channel.unit == "V":
            volts = record.readings.values[:, column]
            volts = volts[np.isfinite(volts)]
            return bool(len(volts)) and float(np.median(volts)) < OFF_BELOW_V
    return False


def chosen(record: SensorRecord, asked: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Return the rails to add up: those asked for, else all that are on and are not part of another one that is there.

    Raises:
        NoEnergy: no rail gives energy, one asked for does not exist or is off, or one is part of another.
    """
    there = names(record)
    if not there:
        raise NoEnergy(f"sensor {record.url!r} has no rail in watts or joules, and none in volts and amperes: its channels "
                       f"are {', '.join(channel.name for channel in record.channels) or 'none'}")  # fmt: skip
    off = {rail for rail in there if is_off(record, rail)}
    if asked is None:
        on = [rail for rail in there if rail not in off]
        if not on:
            raise NoEnergy(f"all rails of sensor {record.url!r} are switched off (below {OFF_BELOW_V} V)")
        return tuple(rail for rail in on if not set(above(record, rail)) & set(on))
    for rail in asked:
        if rail not in there:
            raise NoEnergy(f"rail {rail!r} is not one of sensor {record.url!r}: there are {', '.join(there)}")
        if rail in off:
            raise NoEnergy(f"rail {rail!r} is switched off: its voltage is below {OFF_BELOW_V} V")
        inside = set(above(record, rail)) & set(asked)
        if inside:
            raise NoEnergy(f"rail {rail!r} is part of {sorted(inside)[0]!r}: a total is not added to its parts, ask for one")
    if len(set(asked)) != len(asked) or not asked:
        raise NoEnergy(f"rails {list(asked)}: name at least one, and each once")
    return tuple(asked)


def disagreement(record: SensorRecord, rail: str) -> float:
    """Return by how much volts times amperes differ from a rail's own watts, relative; 0 where it has not all three."""
    column = {}
    for index, channel in enumerate(record.channels):
        if channel.rail == rail:
            column.setdefault(channel.unit, index)
    if not all(unit in column for unit in ("W", "V", "A")):
        return 0.0
    values = record.readings.values
    watts, volts, amperes = (values[:, column[unit]] for unit in ("W", "V", "A"))
    good = np.isfinite(watts) & np.isfinite(volts) & np.isfinite(amperes)
    mean_w = float(np.mean(watts[good])) if good.any() else 0.0
    if mean_w == 0.0:
        return 0.0
    other = abs(float(np.mean(volts[good] * amperes[good])) / mean_w - 1)
    return other if math.isfinite(other) else 0.0
