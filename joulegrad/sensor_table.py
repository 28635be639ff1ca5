"""Sensors for people: a table of channels, and sentences for what is missing."""

from __future__ import annotations

from joulegrad.screen import Screen, table

PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"))


def show_sensors(sensors: list[dict], screen: Screen) -> None:
    """Print the sensors that can be used, then why others cannot."""
    here = [sensor for sensor in sensors if sensor["available"]]
    made = table("sensors", ["sensor", "channel", "new value", "accuracy"], ["step"])
    for sensor in here:
        for i, channel in enumerate(sensor["channels"] or [None]):
            name = sensor["url"] if i == 0 else ""
            made.add_row(name, *((channel["channel"], refresh(channel), accuracy(channel), step(channel)) if channel else ()))
    if here:
        screen.out.print(made)
        for sensor in here:
            for text in (sensor["note"], sensor["what"]):
                if text:
                    screen.out.print(f"  {sensor['url']}: {text}", markup=False)
            for warning in sensor["warnings"]:
                screen.out.print(f"  {sensor['url']}: warning: {warning}", markup=False)
    for sensor in sensors:
        if not sensor["available"]:
            screen.out.print(f"  {sensor['url']}: not here: {sensor['why']}", markup=False)


def refresh(channel: dict) -> str:
    """Return how often a channel has a new value, or what was seen instead."""
    seconds = channel["refresh_s"]
    if seconds is None:
        if not channel["reads"]:
            return "not looked at"
        if channel["missing"] == channel["reads"]:
            return "no values"
        specified = channel["specified_refresh_s"]
        said = f" (specified: every {1e3 * specified:.3g} ms)" if specified else ""
        words = {"unchanged": "constant or stale", "changing": f"{channel['changes']} in {channel['reads']} reads"}
        return words.get(channel["state"], channel["state"]) + said
    return f"{'at most ' if channel['at_most'] else ''}{1e3 * seconds:.3g} ms"


def step(channel: dict) -> str:
    """Return the smallest step seen, with a prefix of its unit."""
    size = channel["resolution"]
    if size is None:
        return ""
    scale, prefix = next(((scale, prefix) for scale, prefix in PREFIXES if size >= 0.999 * scale), PREFIXES[-1])
    return f"{size / scale:.3g} {prefix}{channel['unit']}"


def accuracy(channel: dict) -> str:
    """Return the limit of the gain's error."""
    return "not stated" if channel["gain"] is None else f"{100 * channel['gain']:.2g} % + shunt, offset"
