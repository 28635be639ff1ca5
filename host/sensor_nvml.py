"""nvml: power and energy of NVIDIA GPUs, through nvidia-ml-py.

"nvml" (all GPUs), "nvml:0", "nvml:GPU-<uuid>". Options: power=usage|instant|average|none, energy=yes|no, period_s=,
gain_limit=.
"usage" is what nvidia-smi shows: NVIDIA documents it as the mean over the last second on Ampere (but not GA100) and newer
GPUs and as instantaneous on GA100 and older ones; "instant" and "average" ask for one of the two where the driver has both.
"""

from __future__ import annotations

from dataclasses import dataclass

from host.polled_sensor import Failed, PolledSensor, choice, number
from host.sensor import Channel, Found, SensorError, Specification

PERIOD_S = 0.02
AVERAGING_S = 1.0
KEPLER, AMPERE = 2, 7
"""NVML's numbers of architectures; Fermi has none below Kepler's in today's drivers."""
KEPLER_GAIN = 0.05
FIELDS = {"average": 185, "instant": 186}
"""NVML_FI_DEV_POWER_AVERAGE and NVML_FI_DEV_POWER_INSTANT."""
MILLI = 1e3
GONE = ("NVMLError_GpuIsLost", "NVMLError_Uninitialized", "NVMLError_DriverNotLoaded")
SOURCE = "NVIDIA states no accuracy for this GPU: compare with a meter, or state gain_limit="


@dataclass
class Gpu:
    """One GPU. Channels in the order of `_calls`."""

    channels: tuple[Channel, ...]
    _calls: list

    def read(self) -> list[float | Failed]:
        """Return watts and joules."""
        return [_called(call) for call in self._calls]


class Driver(PolledSensor):
    """All GPUs, or the one named by number or UUID."""

    def __init__(self, url: str, where: str, power: str = "usage", energy: str = "yes", period_s=None, gain_limit=None):
        super().__init__(url)
        self._where = where
        self._power = choice("power", power, ("usage", "instant", "average", "none"))
        self._energy = choice("energy", energy, ("yes", "no")) == "yes"
        if self._power == "none" and not self._energy:
            raise ValueError("power=none and energy=no leave nothing to read")
        self._gain = number("gain_limit", gain_limit, 0, 1)
        self.period_s = number("period_s", period_s, 1e-3) or PERIOD_S
        self._nvml = None
        self._description: dict = {}

    def open(self) -> None:
        """Load NVIDIA's library and look at each GPU. Raises SensorError."""
        self._nvml = nvml = _initialised()
        try:
            handles = _handles(nvml, self._where)
            gpus, self._description = [], {"driver": _text(nvml.nvmlSystemGetDriverVersion()), "gpus": {}}
            for rail, handle in handles.items():
                gpu, notes = self._gpu(rail, handle)
                self._description["gpus"][rail] = notes
                if gpu.channels:
                    gpus.append(gpu)
            if not gpus:
                raise SensorError(
                    "no GPU here reports what was asked for: "
                    + "; ".join(f"{rail}: {notes['missing']}" for rail, notes in self._description["gpus"].items())
                )
            self._opened(gpus)
        except nvml.NVMLError as error:
            self.close()
            raise SensorError(f"sensor {self.url!r} cannot be opened: {error}") from None
        except SensorError:
            self.close()
            raise

    def _gpu(self, rail: str, handle) -> tuple[Gpu, dict]:
        nvml = self._nvml
        name, architecture = _text(nvml.nvmlDeviceGetName(handle)), nvml.nvmlDeviceGetArchitecture(handle)
        kind, why = _power_kind(self._power, architecture, tuple(nvml.nvmlDeviceGetCudaComputeCapability(handle)))
        notes = {"name": name, "uuid": _text(nvml.nvmlDeviceGetUUID(handle)), "power": why, "missing": {}}
        scope = f"GPU {name} with its memory as NVIDIA's driver reports it, host not included"
        gain = KEPLER_GAIN if self._gain is None and architecture == KEPLER else self._gain
        source = (
            "NVML: within 5 % on Fermi and Kepler"
            if gain is not None and self._gain is None
            else SOURCE
            if gain is None
            else "gain as stated when opened"
        )
        channels, calls = [], []
        limits = Specification(gain, quantum=1 / MILLI, source=source)
        if self._energy and self._offers("energy", nvml.nvmlDeviceGetTotalEnergyConsumption, handle, notes):
            calls.append(lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / MILLI)
            channels.append(Channel(f"{rail}/energy", "J", rail, scope, "accumulated", limits, low=0.0))
        if self._power != "none" and self._offers("power", self._watts, handle, notes):
            calls.append(lambda: self._watts(handle))
            channels.append(
                Channel(
                    f"{rail}/power",
                    "W",
                    rail,
                    scope,
                    kind,
                    limits,
                    averaging_s=AVERAGING_S if kind == "average" else 0.0,
                    low=0.0,
                    high=4000.0,
                )
            )
        return Gpu(tuple(channels), calls), notes

    def _watts(self, handle) -> float:
        if self._power == "usage":
            return self._nvml.nvmlDeviceGetPowerUsage(handle) / MILLI
        field = self._nvml.nvmlDeviceGetFieldValues(handle, [FIELDS[self._power]])[0]
        if field.nvmlReturn != 0:
            raise self._nvml.NVMLError(field.nvmlReturn)
        return field.value.uiVal / MILLI

    def _offers(self, what: str, call, handle, notes: dict) -> bool:
        try:
            call(handle)
        except self._nvml.NVMLError as error:
            notes["missing"][what] = str(error)
            return False
        return True

    def close(self) -> None:
        """Let go of NVIDIA's library."""
        if self._nvml is not None:
            nvml, self._nvml = self._nvml, None
            try:
                nvml.nvmlShutdown()
            except nvml.NVMLError:
                pass  # it is not initialised any more, which is what is wanted

    def describe(self) -> dict:
        """Return the driver's version and each GPU's name, UUID and what its power stands for."""
        return self._description


def _power_kind(asked: str, architecture: int, capability: tuple[int, int]) -> tuple[str, str]:
    """Return the channel's kind and why."""
    if asked in FIELDS:
        return ("average", "mean over a second, as asked for") if asked == "average" else ("point", "instantaneous, as asked for")
    if architecture > AMPERE or (architecture == AMPERE and capability != (8, 0)):
        return "average", "NVML: mean over a second on Ampere (not GA100) and newer"
    return "point", "NVML: instantaneous on GA100 and older"


def _called(call) -> float | Failed:
    try:
        return call()
    except Exception as error:  # NVML's classes exist only once pynvml is imported
        if "NVMLError" not in {kind.__name__ for kind in type(error).__mro__}:
            raise
        return Failed(str(error), gone=type(error).__name__ in GONE)


def _initialised():
    try:
        import pynvml
    except ImportError:
        raise SensorError(
            "NVIDIA's management library needs the Python package nvidia-ml-py: pip install 'joulegrad[nvml]'"
        ) from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise SensorError(f"no NVIDIA GPU can be read here: {error}") from None
    return pynvml


def _handles(nvml, where: str) -> dict[str, object]:
    """Return rail name to NVML handle. Raises SensorError for one that is not there, NVMLError for a lost one."""
    handles = {}
    for i in range(nvml.nvmlDeviceGetCount()):
        try:
            handles[f"gpu{i}"] = nvml.nvmlDeviceGetHandleByIndex(i)
        except nvml.NVMLError:
            if where in ("", str(i)):  # else another one is asked for
                raise
    if not where:
        if not handles:
            raise SensorError("NVIDIA's driver is loaded and has no GPU")
        return handles
    for rail, handle in handles.items():
        if where in (rail[3:], _text(nvml.nvmlDeviceGetUUID(handle))):
            return {rail: handle}
    raise SensorError(
        f"no GPU {where!r}: there are "
        + (", ".join(f"{rail[3:]} ({_text(nvml.nvmlDeviceGetUUID(handle))})" for rail, handle in handles.items()) or "none")
    )


def _text(value) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def found() -> list[Found]:
    """Return the GPUs, or why there are none."""
    try:
        nvml = _initialised()
    except SensorError as error:
        return [Found("nvml", "NVIDIA GPUs", str(error))]
    try:
        there = [_found(nvml, i) for i in range(nvml.nvmlDeviceGetCount())]
        return there or [Found("nvml", "NVIDIA GPUs", "NVIDIA's driver is loaded and has no GPU")]
    except nvml.NVMLError as error:
        return [Found("nvml", "NVIDIA GPUs", str(error))]
    finally:
        nvml.nvmlShutdown()


def _found(nvml, i: int) -> Found:
    try:
        return Found(f"nvml:{i}", _text(nvml.nvmlDeviceGetName(nvml.nvmlDeviceGetHandleByIndex(i))))
    except nvml.NVMLError as error:
        return Found("nvml", f"NVIDIA GPU {i}", str(error))
