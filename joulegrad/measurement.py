"""`with joulegrad.measure(sensors) as m:` around anyone's code: named windows, idle before and after, joules with verdicts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from host import machine, provenance, rail_map
from host.readings import HOST_CLOCK, VIRTUAL_CLOCK
from host.run_folder import RunFolder, new_run_dir
from host.sampler import Sampler
from host.sensor import Channel, open_sensor, split_url
from measurements import calibration
from measurements.joules import Joules
from measurements.measured_run import IDLE, RUN, Measured, measured

TRACE = "trace.sqlite"
IDLE_BEFORE, IDLE_AFTER = "idle before", "idle after"
OWN_SENSORS = ("hwmon", "nvml", "pmbus", "rapl")
"""Sensors of the machine that samples."""

REST_S = 0.25
"""Sampled before the first window and after the last, so that each edge lies between two values."""


LONGEST_IDLE_S = 86400.0


class MeasureError(RuntimeError):
    """A window that is not open, is open already, or has no result (yet); the message says which."""


@dataclass
class OpenWindow:
    """A window while the block runs.

    Attributes:
        name, number: of the window; number counts windows of one name.
        iterations: to be reported as executed in it; may be set until it ends.
    """

    name: str
    number: int
    iterations: int = 0


def synchronise_torch() -> None:
    """Wait for the work that PyTorch has given to a GPU, where it has used one; without it, a window ends before the work."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()


class Measurement:
    """Measures the energy of a block and of named windows in it. Made by `measure`; use it once, as a context manager.

    Attributes:
        run_dir: run folder with run.json and the raw trace.
        windows: names that are open at the moment.
    """

    def __init__(self, sensors: Sequence[str], idle_s: float, out: Path | None, iterations: int,
                 calibrations: Sequence[calibration.Calibration], synchronise: Callable[[], None], record: dict):  # fmt: skip
        self._sensors = tuple(sensors)
        self._idle_s = idle_s
        self._calibrations = list(calibrations)
        self._synchronise = synchronise
        self._record = record
        self._run = OpenWindow(RUN, 0, iterations)
        self._open: dict[str, OpenWindow] = {}
        self._numbers: dict[str, int] = {}
        self._measured: Measured | None = None
        self._sampler: Sampler | None = None
        self.run_dir = Path(out) if out is not None else new_run_dir("measure")

    @property
    def windows(self) -> tuple[str, ...]:
        """Names of the windows that are open."""
        return tuple(self._open)

    @property
    def iterations(self) -> int:
        """Iterations of the whole block; may be set until it ends. By default those of the windows that lie in no other."""
        return self._run.iterations

    @iterations.setter
    def iterations(self, iterations: int) -> None:
        self._run.iterations = iterations

    def __enter__(self) -> Measurement:
        record = {"benchmark": "measure", "commit": provenance.commit(), "versions": provenance.versions(), "trace": TRACE,
                  "sensors": list(self._sensors), "idle_s": self._idle_s, **self._record}  # fmt: skip
        self._folder = RunFolder(self.run_dir, record)
        try:
            sampler = Sampler(self.run_dir / TRACE, self._sensors, provenance=record)
            with self._folder.vanishing(TRACE):
                sampler.start()
            self._sampler = sampler
            for sensor in self._sampler.sensors:
                if sensor.clock != HOST_CLOCK:
                    raise _unfit(sensor.url)
                self._calibrations += calibration.stored(sensor.url, sensor.description, sensor.channels)
            self._rest(IDLE_BEFORE)
        except BaseException as error:
            self._abandon(error)
            raise
        self._own_iterations = 0
        self._sampler.begin(RUN)
        return self

    def __exit__(self, kind, error, trace) -> None:
        try:
            self._end(aborted=kind is not None)
        except BaseException as other:
            self._abandon(error or other)
            if kind is None:
                raise
            return
        if kind is not None:
            self._abandon(error)
            return
        with self._folder:
            self._folder.update(
                calibrations=[one.to_json() for one in self._calibrations], sampler={"problem": self._recording.problem},
                result={**self._measured.to_json(), "run_dir": str(self.run_dir)},
            )  # fmt: skip

    def begin_window(self, name: str, phase: str = "other") -> OpenWindow:
        """Begin a window; windows may nest and overlap. The same name again later is the next of that name.

        Args:
            phase: of host.trace.PHASES, for pictures.

        Raises:
            MeasureError: a window of that name is open.
            SamplerError: the sampler has died or has given a sensor up.
        """
        if name in self._open or name in (RUN, IDLE_BEFORE, IDLE_AFTER):
            raise MeasureError(f"window {name!r} is open already, or a name of the measurement's own: end it, or choose another")
        self._sampler.check()
        self._synchronise()
        number = self._numbers.get(name, 0)
        self._numbers[name] = number + 1
        window = self._open[name] = OpenWindow(name, number)
        self._sampler.begin(name, phase, number)
        return window

    def end_window(self, name: str, iterations: int = 0) -> None:
        """End a window in which `iterations` were executed; 0 leaves what was set on the window.

        Raises:
            MeasureError: no window of that name is open.
            SamplerError: as for begin_window.
        """
        if name not in self._open:
            raise MeasureError(f"no window {name!r} is open: {', '.join(self._open) or 'none is'}")
        self._synchronise()
        self._close(self._open.pop(name), iterations)
        self._sampler.check()

    @contextmanager
    def window(self, name: str, iterations: int = 0, phase: str = "other") -> Iterator[OpenWindow]:
        """Measure a block as a window; an exception in it ends the window, marked aborted.

        Windows of the name "iteration" say when each iteration is: where samples are nearly in step with the iterations, the
        windows around them have a smaller U then than by the number of iterations alone.

        Yields:
            The window, whose `iterations` can be set inside.
        """
        window = self.begin_window(name, phase)
        window.iterations = iterations
        try:
            yield window
        except BaseException:
            if self._open.pop(name, None) is not None:
                self._sampler.end(name, window.number, note={"aborted": True})
            raise
        self.end_window(name)

    def power_w(self) -> dict[str, float | None]:
        """Return the newest values by channel name, as the sensors said them."""
        return self._sampler.latest()

    def check(self) -> None:
        """Raise SamplerError when the sampler has died or has given a sensor up."""
        self._sampler.check()

    def joules(self, window: str = RUN, number: int = 0, sensor: int = 0) -> Joules:
        """Return the energy of a window, once the block has ended.

        Args:
            window: its name; by default the whole block.
            number: which of that name.
            sensor: index in the order of `sensors`.

        Raises:
            MeasureError: the block has not ended, or no sensor has a number for that window; the sentence says why.
        """
        if self._measured is None:
            raise MeasureError(f"window {window!r} has no result yet: idle after the block belongs to it, ask behind the block")
        for one, found in zip(self._measured.windows, self._measured.joules, strict=True):
            if (one.name, one.number) == (window, number):
                for energy in found:
                    if energy.sensor == sensor:
                        return energy
        why = [said for said in self._measured.missing if repr(window) in said]
        raise MeasureError("; ".join(why) or f"there is no window {window!r} number {number} by sensor {sensor}")

    def to_json(self) -> dict:
        """Return the JSON data of the run, all windows and sensors in it, once the block has ended."""
        if self._measured is None:
            raise MeasureError("the block has not ended: there is no result yet")
        return {**self._measured.to_json(), "run_dir": str(self.run_dir)}

    def channels(self) -> tuple[Channel, ...]:
        """Return what the sensors measure."""
        return tuple(channel for sensor in self._sampler.sensors for channel in sensor.channels)

    def _close(self, window: OpenWindow, iterations: int) -> None:
        executed = iterations or window.iterations
        self._sampler.end(window.name, window.number, executed)
        if not self._open:
            self._own_iterations += executed

    def _end(self, aborted: bool) -> None:
        """End the run, rest, stop the sampler and work the energies out."""
        if not aborted and self._open:
            name = next(iter(self._open))
            aborted, left = True, MeasureError(f"window {name!r} is still open at the end of the block: end it first")
        else:
            left = None
        if not aborted:
            self._synchronise()
            self._sampler.check()
            self._sampler.end(RUN, 0, self._run.iterations or self._own_iterations)
            self._rest(IDLE_AFTER)
        self._recording = self._sampler.stop("aborted" if aborted else "finished")
        if left is not None:
            raise left
        if not aborted:
            self._measured = measured(self._recording.trace(), self._calibrations)
            self._measured.run()

    def _rest(self, name: str) -> None:
        """Let the machine rest, the sampler on, for the idle power; or only so long that the edges are covered."""
        self._sampler.rest(REST_S)
        if self._idle_s > 0:
            self._sampler.begin(name, IDLE, note={"definition": "the process that works sleeps, the sampler runs"})
            self._sampler.rest(self._idle_s)
            self._sampler.end(name)
        self._sampler.rest(REST_S)

    def _abandon(self, error: BaseException | None) -> None:
        """Free the sensors and mark the folder, where it is still there; the trace stays."""
        if self._sampler is not None and self._sampler.recording is None:
            self._sampler.__exit__(type(error), error, None)
        self._folder.__exit__(type(error), error, None)


def _unfit(url: str) -> MeasureError:
    return MeasureError(f"sensor {url!r} lives on a simulated board's virtual time: it cannot watch this")


def measure(
    sensors: str | Sequence[str],
    *,
    idle: float = 10.0,
    out: Path | str | None = None,
    iterations: int = 0,
    calibrations: Sequence[Path | str] = (),
    synchronise: Callable[[], None] = synchronise_torch,
    board: str = "",
) -> Measurement:
    """Return a context manager that measures the energy of its block.

        with joulegrad.measure("rapl") as m:
            with m.window("epoch", iterations=500):
                train()
        print(m.joules("epoch").net)          # value, u95, verdict, scope

    Args:
        sensors: one URL or several, as of `host.sensor.open_sensor`: "rapl", "nvml", "hwmon:ina260_u14", "serial:/dev/ttyACM0".
        idle: seconds of rest that are measured before and after the block; 0 leaves net energies out.
        out: run folder to make; a new one in runs/ by default.
        iterations: executed in the whole block; by default those of its windows together.
        calibrations: files of `joulegrad sensors calibrate`, beside those in the user's folder.
        synchronise: called at the edges of windows to wait for work that was only handed over.
        board: what is measured, in words, where it is not this machine.

    Raises:
        MeasureError: settings that cannot be.
        SensorError: no such sensor, or PYNQ drives a remote board, whose power this machine's own sensors do not see.
        CalibrationError: a file that is no calibration.
        RunFolderError: the folder is a run already, or cannot be written.
        SamplerError: on entering, a sensor cannot be opened.
    """
    urls = (sensors,) if isinstance(sensors, str) else tuple(sensors)
    if not urls or not 0 <= idle <= LONGEST_IDLE_S or iterations < 0:
        raise MeasureError(
            f"{len(urls)} sensors, idle {idle} s, {iterations} iterations: at least one sensor, none below 0, rest within a day"
        )
    for url in urls:
        if open_sensor(url).clock == VIRTUAL_CLOCK:
            raise _unfit(url)
        if split_url(url)[0] in OWN_SENSORS:
            rail_map.refuse_remote()
    files = [calibration.read(Path(path)) for path in calibrations]
    return Measurement(urls, idle, None if out is None else Path(out), iterations, files, synchronise,
                       {"measured": board or "this machine", "machine_before": machine.power_settings()})  # fmt: skip
