"""`joulegrad sensors calibrate`: gain and offset of a power sensor from loads that are known."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from joulegrad.cli_sensors import sensors_app
from joulegrad.command import JsonOption, command


@sensors_app.command("calibrate")
def calibrate(
    url: Annotated[
        str, typer.Argument(help="Sensor, e.g. 'hwmon:ina226' or 'serial:/dev/ttyACM0?protocol=lines'.", show_default=False)
    ],
    load_ohm: Annotated[
        list[float] | None,
        typer.Option(
            "--load-ohm", help="Resistor that is connected behind the sensor; 'inf' for nothing. Several: one after the other."
        ),
    ] = None,
    load_limit: Annotated[
        str | None, typer.Option("--load-limit", help="How far the ohms can be off, leads included: 0.1% or 0.001.")
    ] = None,
    voltage: Annotated[
        float | None, typer.Option("--voltage", help="Volts at the load; by default those that the sensor measures.")
    ] = None,
    voltage_limit: Annotated[str | None, typer.Option("--voltage-limit", help="How far these volts can be off.")] = None,
    power: Annotated[
        list[float] | None,
        typer.Option(
            "--power", help="Watts of the load by another instrument or an electronic load. Several: one after the other."
        ),
    ] = None,
    power_limit: Annotated[str | None, typer.Option("--power-limit", help="How far these watts can be off.")] = None,
    rail: Annotated[
        str | None, typer.Option("--rail", help="Rail that the load hangs on, where the sensor watches several.")
    ] = None,
    added: Annotated[
        bool,
        typer.Option("--added", help="The load comes on top of a board that stays on the rail: gain only, from the difference."),
    ] = False,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=3600.0, help="How long each load is recorded.")] = 10.0,
    settle: Annotated[float, typer.Option("--settle", min=0.0, max=3600.0, help="Wait after a load was connected.")] = 2.0,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait", min=0.0, max=3600.0, help="Do not ask, give so many seconds to connect each load after the first."
        ),
    ] = None,
    stability: Annotated[
        str,
        typer.Option("--stability", help="How far the gain may drift, with temperature and age, until the calibration is used."),
    ] = "0.05%",
    temperature: Annotated[
        float | None, typer.Option("--temperature", help="Degrees Celsius around the sensor, to be kept.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write; by default one in the user's folder of calibrations.")
    ] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Keep it even where the readings look like a wrong shunt.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Calibrate a power sensor with known loads.

    What was found is kept with date, sensor and scope.

    Joules of that sensor then have the calibration's uncertainty instead of the shunt's tolerance.

    Example: joulegrad sensors calibrate hwmon:ina226 --load-ohm inf --load-ohm 10 --load-limit 0.1%
    """
    with command(as_json) as screen:
        from joulegrad.load_calibration import CalibrationSettings, run, share
        from measurements.calibration import CalibrationError

        def connect(number: int, count: int, text: str) -> None:
            what = f"load {number} of {count}: {text}"
            if count == 1 or (wait is not None and number == 1):
                screen.say(what)
            elif wait is not None:
                screen.say(f"{what}; connect it within {wait:g} s")
                time.sleep(wait)
            else:
                screen.say(f"{what}; connect it and press Enter")
                sys.stdin.readline()

        settings = CalibrationSettings(
            url=url,
            load_ohm=tuple(load_ohm or ()),
            load_limit=share(load_limit),
            voltage=voltage,
            voltage_limit=share(voltage_limit),
            power=tuple(power or ()),
            power_limit=share(power_limit),
            rail=rail,
            added=added,
            seconds=seconds,
            settle_s=settle,
            stability=share(stability),
            temperature_c=temperature,
            out=out,
            accept=accept,
        )
        if len(settings.loads()) > 1 and wait is None and not (sys.stdin and sys.stdin.isatty()):
            raise CalibrationError("several loads need someone who connects them: run this in a terminal, or give --wait SECONDS")
        made, path = run(settings, connect)
        for warning in made.warnings:
            screen.say(f"warning: {warning}")
        screen.say(made.described())
        for term in made.budget:
            screen.say(f"  {term.name}: gain {term.u_gain:+.2e}, offset {term.u_offset_w * 1e3:+.3f} mW")
        screen.say(f"kept in {path}")
        screen.result({"schema": 1, "calibration": made.to_json(), "file": str(path)})
