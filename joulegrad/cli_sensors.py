"""`joulegrad sensors`: what is here, with rate and resolution found by looking; subcommands join the group `sensors_app`."""

from __future__ import annotations

from typing import Annotated

import typer

from joulegrad.command import JsonOption, command
from joulegrad.settings import SettingError

SECONDS = 1.0

sensors_app = typer.Typer(invoke_without_command=True)

SecondsOption = Annotated[
    float,
    typer.Option("--seconds", min=0.0, max=600.0, help="How long to look at each sensor; 0 lists them without opening any."),
]


@sensors_app.callback()
def sensors(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option("--url", help="Look at this sensor only, e.g. 'hwmon:ina260_u14' or 'serial:/dev/ttyACM0?protocol=lines'."),
    ] = None,
    seconds: SecondsOption = SECONDS,
    load: Annotated[
        bool,
        typer.Option("--load", help="Keep all cores busy for half of the time: tells a stale power from a constant one."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List power sensors, and why others are missing.

    Each sensor is looked at: how often its values really change, their smallest step, and its stated accuracy.

    Example: joulegrad sensors --url hwmon:ina260_u14 --seconds 5
    """
    if context.invoked_subcommand is not None:
        given = {"--url": url is not None, "--seconds": seconds != SECONDS, "--load": load, "--json": as_json}
        _refuse_before(context, [name for name, is_given in given.items() if is_given])
        return
    with command(as_json) as screen:
        if load and not seconds:
            raise SettingError("--load with --seconds 0: no sensor is opened then; leave one of them out")
        from joulegrad.sensor_table import show_sensors
        from joulegrad.sensors import list_sensors, look_at

        if url is not None:
            found = [look_at(url, seconds, load=load)]
        else:
            found = list_sensors(seconds, lambda name: screen.say(f"looking at {name} for {seconds:g} s"), load)
        if not as_json:
            show_sensors(found, screen)
        screen.result({"schema": 1, "sensors": found})


def _refuse_before(context: typer.Context, given: list[str]) -> None:
    """Fail where options of the list stand before a subcommand, which does not see them."""
    name = context.invoked_subcommand
    if given:
        context.fail(f"{given[0]} before {name}: it is of the list of sensors; {name} takes options behind it")
