"""A command as the measured work: started without a shell, watched until its end, its output left alone."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from joulegrad.measurement import MeasureError, Measurement, measure
from joulegrad.screen import Screen

LOOK_S = 1.0
STANDARD_ERROR = 2


def run_measured(
    work: Sequence[str], sensors: Sequence[str], idle: float, iterations: int, out: Path | None, calibrations: Sequence[Path],
    screen: Screen,
) -> dict:  # fmt: skip
    """Run a command under sensors and return the measurement's JSON data with "command" and "exit_code".

    Raises:
        MeasureError: the command cannot be started.
        SensorError, SamplerError, CalibrationError, RunFolderError: as of `measure`.
    """
    if shutil.which(work[0]) is None:
        raise MeasureError(f"the command {work[0]!r} cannot be started: it is no program on the path")
    with measure(sensors, idle=idle, out=out, iterations=iterations, calibrations=calibrations) as measurement:
        screen.facts["run_dir"] = str(measurement.run_dir)
        try:
            process = subprocess.Popen(list(work), stdout=STANDARD_ERROR if screen.json else None)
        except OSError as error:
            raise MeasureError(f"the command {work[0]!r} cannot be started: {error.strerror or error}") from None
        with process:
            try:
                exit_code = _watched(process, measurement, screen)
            except BaseException:
                process.terminate()
                raise
    return {**measurement.to_json(), "command": list(work), "exit_code": exit_code}


def _watched(process: subprocess.Popen, measurement: Measurement, screen: Screen) -> int:
    """Wait for the end of a process, with live power on a terminal."""
    started_s = time.monotonic()
    with screen.live() as show:
        while True:
            try:
                return process.wait(LOOK_S)
            except subprocess.TimeoutExpired:
                measurement.check()
                show(f"{time.monotonic() - started_s:6.0f} s  {_powers(measurement)}")


def _powers(measurement: Measurement) -> str:
    units = {channel.name.split(" ")[-1]: channel.unit for channel in measurement.channels()}
    return "  ".join(
        f"{name} {value:.3f} W" for name, value in measurement.power_w().items()
        if value is not None and units.get(name.split(" ")[-1]) == "W"
    )  # fmt: skip
