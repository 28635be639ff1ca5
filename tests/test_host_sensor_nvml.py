"""nvml: units, what power stands for by architecture, errors; with a stand-in for pynvml at its interface."""

from __future__ import annotations

import math
import sys
from types import ModuleType, SimpleNamespace

import pytest

from host.sensor import SensorError, SensorLost, open_sensor
from host.sensor_nvml import found


class NVMLError(Exception):
    """As in pynvml: one class for each code."""

    def __str__(self):
        return {3: "Not Supported", 4: "Insufficient Permissions", 12: "NVML Shared Library Not Found", 15: "GPU is lost"}[
            self.args[0]
        ]


class NVMLError_GpuIsLost(NVMLError):
    pass


@pytest.fixture
def nvml(monkeypatch):
    """pynvml with two GPUs: an H100 and a K80. Values and errors in `.gpus[i]`."""
    module = ModuleType("pynvml")
    module.gpus = [
        SimpleNamespace(
            name="NVIDIA H100", uuid="GPU-aaaa", architecture=9, capability=(9, 0), mw=123456, mj=9876543210123, instant=130001
        ),
        SimpleNamespace(
            name=b"Tesla K80", uuid=b"GPU-bbbb", architecture=2, capability=(3, 7), mw=60000, mj=NVMLError(3), instant=None
        ),
    ]
    module.starts = 0

    def value(what):
        if isinstance(what, Exception):
            raise what
        return what

    def start(change):
        module.starts += change

    def fields(gpu, ids):
        assert ids in ([185], [186])
        return [SimpleNamespace(nvmlReturn=0 if gpu.instant else 3, value=SimpleNamespace(uiVal=gpu.instant))]

    module.NVMLError, module.NVMLError_GpuIsLost = NVMLError, NVMLError_GpuIsLost
    module.nvmlInit, module.nvmlShutdown = lambda: start(1), lambda: start(-1)
    module.nvmlSystemGetDriverVersion = lambda: "550.54"
    module.nvmlDeviceGetCount = lambda: len(module.gpus)
    module.nvmlDeviceGetHandleByIndex = lambda i: module.gpus[i]
    module.nvmlDeviceGetName = lambda gpu: gpu.name
    module.nvmlDeviceGetUUID = lambda gpu: gpu.uuid
    module.nvmlDeviceGetArchitecture = lambda gpu: gpu.architecture
    module.nvmlDeviceGetCudaComputeCapability = lambda gpu: gpu.capability
    module.nvmlDeviceGetPowerUsage = lambda gpu: value(gpu.mw)
    module.nvmlDeviceGetTotalEnergyConsumption = lambda gpu: value(gpu.mj)
    module.nvmlDeviceGetFieldValues = fields
    monkeypatch.setitem(sys.modules, "pynvml", module)
    yield module
    assert module.starts == 0, "NVML was not let go"


def test_the_stand_in_has_the_names_of_the_real_module():
    import pynvml

    for name in (
        "nvmlInit",
        "nvmlShutdown",
        "nvmlSystemGetDriverVersion",
        "nvmlDeviceGetCount",
        "nvmlDeviceGetHandleByIndex",
        "nvmlDeviceGetName",
        "nvmlDeviceGetUUID",
        "nvmlDeviceGetArchitecture",
        "nvmlDeviceGetCudaComputeCapability",
        "nvmlDeviceGetPowerUsage",
        "nvmlDeviceGetTotalEnergyConsumption",
        "nvmlDeviceGetFieldValues",
        "NVMLError",
        "NVMLError_GpuIsLost",
    ):
        assert hasattr(pynvml, name), name
    assert (pynvml.NVML_FI_DEV_POWER_AVERAGE, pynvml.NVML_FI_DEV_POWER_INSTANT) == (185, 186)
    assert (pynvml.NVML_DEVICE_ARCH_KEPLER, pynvml.NVML_DEVICE_ARCH_AMPERE) == (2, 7)
    assert issubclass(type(pynvml.NVMLError(3)), pynvml.NVMLError)


@pytest.mark.fault(25)
def test_milliwatts_and_millijoules(nvml):
    with open_sensor("nvml") as sensor:
        assert [channel.name for channel in sensor.channels] == ["gpu0/energy", "gpu0/power", "gpu1/power"]
        assert list(sensor.read().values[0]) == [9876543210.123, 123.456, 60.0]
        assert sensor.describe()["gpus"]["gpu1"]["missing"] == {"energy": "Not Supported"}


def test_power_is_a_mean_or_instantaneous_by_architecture(nvml):
    kinds = {}
    for architecture, capability in ((9, (9, 0)), (7, (8, 6)), (7, (8, 0)), (6, (7, 5)), (2, (3, 7))):
        nvml.gpus[0].architecture, nvml.gpus[0].capability = architecture, capability
        with open_sensor("nvml:0?energy=no") as sensor:
            (watts,) = sensor.channels
            kinds[architecture, capability] = (watts.kind, watts.averaging_s, watts.specification.gain)
    assert kinds == {
        (9, (9, 0)): ("average", 1.0, None),
        (7, (8, 6)): ("average", 1.0, None),
        (7, (8, 0)): ("point", 0.0, None),
        (6, (7, 5)): ("point", 0.0, None),
        (2, (3, 7)): ("point", 0.0, 0.05),
    }


def test_instantaneous_power_on_request(nvml):
    with open_sensor("nvml:GPU-aaaa?power=instant&energy=no&gain_limit=0.02") as sensor:
        assert sensor.read().values[0, 0] == 130.001
        assert (sensor.channels[0].kind, sensor.channels[0].specification.gain) == ("point", 0.02)
    with pytest.raises(SensorError, match="no GPU here reports what was asked for.*Not Supported"):
        open_sensor("nvml:1?power=instant&energy=no").open()


@pytest.mark.fault(13)
def test_a_failed_read_is_no_zero(nvml):
    with open_sensor("nvml:0") as sensor:
        nvml.gpus[0].mj = NVMLError(4)
        row = sensor.read().values[0]
        assert math.isnan(row[0]) and row[1] == 123.456
        assert [loss.detail for loss in sensor.take_losses()] == ["gpu0/energy: Insufficient Permissions"]


@pytest.mark.fault(7)
def test_a_sentinel_is_rejected(nvml):
    with open_sensor("nvml:0?energy=no") as sensor:
        nvml.gpus[0].mw = 0xFFFFFFFF
        assert math.isnan(sensor.read().values[0, 0])
        assert [loss.reason for loss in sensor.take_losses()] == ["rejected"]


def test_a_lost_gpu_is_lost(nvml):
    with open_sensor("nvml:0") as sensor:
        nvml.gpus[0].mj = nvml.gpus[0].mw = NVMLError_GpuIsLost(15)
        with pytest.raises(SensorLost, match="GPU is lost"):
            sensor.read()


def test_a_gpu_that_fell_off_its_bus_takes_no_other_along(nvml):
    def handle(i):
        if i == 1:
            raise NVMLError_GpuIsLost(15)
        return nvml.gpus[i]

    nvml.nvmlDeviceGetHandleByIndex = handle
    for where in ("0", "GPU-aaaa"):
        with open_sensor(f"nvml:{where}") as sensor:
            assert [channel.rail for channel in sensor.channels] == ["gpu0", "gpu0"]
    for url in ("nvml", "nvml:1"):
        with pytest.raises(SensorError, match="cannot be opened: GPU is lost"):
            open_sensor(url).open()
    assert [(line.url, line.missing) for line in found()] == [("nvml:0", ""), ("nvml", "GPU is lost")]


@pytest.mark.fault(32)
def test_what_is_missing_is_said(nvml, monkeypatch):
    with pytest.raises(SensorError, match="no GPU '7': there are 0 .GPU-aaaa., 1 .GPU-bbbb."):
        open_sensor("nvml:7").open()
    assert [line.url for line in found()] == ["nvml:0", "nvml:1"]

    def refuse():
        raise NVMLError(12)

    monkeypatch.setattr(nvml, "nvmlInit", refuse)
    assert found()[0].missing == "no NVIDIA GPU can be read here: NVML Shared Library Not Found"
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "pip install 'joulegrad[nvml]'" in found()[0].missing
