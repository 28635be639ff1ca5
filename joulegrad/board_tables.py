"""Boards for people: drivers, what is attached, what was built, what can watch which board."""

from __future__ import annotations

from joulegrad.screen import Screen, table

UNITS = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"))


def show_boards(result: dict, screen: Screen) -> None:
    """Print everything that `joulegrad boards` knows."""
    made = table("drivers", ["driver", "here", "what it is, or what is missing"])
    for board in result["boards"]:
        here = board["available"]
        made.add_row(board["board"], "yes" if here else "no", board["what"] if here else board["why"])
    screen.out.print(made)
    show_attached(result["attached"], screen)
    nothing = "nothing: joulegrad bitstream CONFIG --board BOARD makes a bitstream"
    _block("built here", [_bitstream(entry) for entry in result["bitstreams"]] or [nothing], screen)
    _block("boards that this version knows", [line for board in result["known"] for line in _known(board)], screen)
    meters = ", ".join(result["meters"]) or "none: joulegrad sensors says what is missing"
    _block("meters here that can be wired into any of them", [meters], screen)


def show_attached(attached: list[dict], screen: Screen) -> None:
    """Print what is attached and, where it was asked, what it is."""
    nothing = "nothing: no serial port is here, and this machine is no board that is known"
    lines = [f"{entry['url']}, {entry['what']}: {_identity(entry)}" for entry in attached]
    _block("attached", lines or [nothing], screen)


def _block(title: str, lines: list[str], screen: Screen) -> None:
    screen.out.print(title, style="italic", markup=False)
    for line in lines:
        screen.out.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def _known(board: dict) -> tuple[str, ...]:
    own = f"pmbus: {', '.join(board['own_rails'])}" if board["own_rails"] else board["why_no_rails"]
    return (
        f"{board['board']:<10} {board['title']}, {board['part']}",
        f"           configuration {board['configuration']}; tools {', '.join(board['tools'])}; page {board['page'] or 'none'}",
        f"           sensors {own}",
    )


def _identity(entry: dict) -> str:
    found = entry["identity"]
    if found is None:
        return entry["note"]
    name = found["configuration"] or "no configuration that is known here"
    return f"{name} ({found['config_hash']}), {found['clk_hz'] / 1e6:g} MHz, {found['memory_bytes'] / 1024:,.0f} KiB"


def _bitstream(entry: dict) -> str:
    if entry["age_s"] is None:
        return f"{entry['path']}: {entry['why']}"
    what = f"{entry['configuration']} on {entry['board']} with {entry['tool']}, {entry['clk_hz'] / 1e6:g} MHz"
    fresh = {True: "up to date", None: entry["why"], False: f"not up to date: {entry['why']}"}[entry["up_to_date"]]
    return f"{entry['path']}: {what}, {age(entry['age_s'])} old, {fresh}"


def age(seconds: float) -> str:
    """Return a time in the largest unit that it has two of."""
    unit_s, unit = next(((unit_s, unit) for unit_s, unit in UNITS if seconds >= 2 * unit_s), (1.0, "s"))
    return f"{seconds / unit_s:.0f} {unit}"
