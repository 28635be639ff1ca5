"""Run folders for the tests of reports: a bench run without simulating it, a measured run, and one whose names are hostile."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np

from algo.train import export_digits
from host.iteration import Iteration
from host.processor_work import ProcessorWork
from host.readings import HOST_CLOCK, Readings
from host.run_folder import RunFolder
from host.sensor import Channel, Specification
from host.trace import Gap, Mark
from host.trace_file import TRACE, TraceWriter
from host.virtual_rails import ACTIVITY, IDLE_DEFINITION
from hw.compile import compile_step
from hw.config import load_config
from hw.isa import COUNTER_NAMES
from hw.predict import predict_counters
from hw.program import write_program
from joulegrad import virtual_time
from joulegrad.emulation import Emulation
from joulegrad.watch import Plan
from measurements import processor_time
from measurements.energy_model import TABLE
from measurements.measured_run import measured
from measurements.recompute import ENERGY_TABLE, read_trace, recompute

CONFIG = load_config("tiny")
IMAGES = (8, 8, 8, 8, 5)
CYCLES = {"forward": 900_000, "backward": 2_100_000}
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u202e%{x}"


def bench_run(path: Path, sensors: tuple[str, ...] = ("sim",), accuracy: float = 0.9, table: Path = TABLE) -> Path:
    """Write the run folder of a small training run: counts as predicted, cycles and toggles chosen, power emulated."""
    exported, _ = export_digits(0, 10, 8)
    program = compile_step(exported.step, CONFIG, exported.tensors, exported.state)
    model = processor_time.ProcessorModel()
    record = {
        "benchmark": "digits", "commit": "0" * 40, "versions": {"python": "3.x"}, "board": "sim", "seed": 0, "batch_size": 8,
        "config": dataclasses.asdict(CONFIG), "config_hash": f"{CONFIG.config_hash:08x}", "steps": len(IMAGES),
        "sensors": list(sensors), "trace": TRACE if sensors else None, "idle_definition": IDLE_DEFINITION,
        "energy_assumptions": {"processor_time": dataclasses.asdict(model)},
    }  # fmt: skip
    with RunFolder(path, record) as folder:
        shutil.copyfile(table, path / ENERGY_TABLE)
        write_program(program, path / "program.zip")
        iterations = [_iteration(program, number, images) for number, images in enumerate(IMAGES)]
        for one in iterations:
            folder.append({"iteration": one.number, "loss": one.loss, "images": one.images, "counters": one.counters,
                           "activity": one.activity, "processor": dataclasses.asdict(one.processor)})  # fmt: skip
        if sensors:
            with Emulation(path / TRACE, sensors, CONFIG, {"commit": "0" * 40, "seed": 0}, Plan(2)) as emulation:
                emulation.before()
                for one in iterations:
                    emulation.iteration(virtual_time.iteration(one, CONFIG, model))
                emulation.after()
            folder.update(replayed=emulation.replayed)
        folder.update(result={**recompute(path, need_trace=False), "accuracy": accuracy, "run_dir": str(path)})
    return path


def _iteration(program, number: int, images: int) -> Iteration:
    counters = {}
    for segment, cycles in CYCLES.items():
        counted = predict_counters(program, segment, images, CONFIG)
        counters[segment] = {**dict.fromkeys(COUNTER_NAMES, 0), **counted, "cycles": cycles}
    toggles = dict(zip(ACTIVITY, (4_000_000, 60_000_000, 20_000_000, 2_000_000), strict=True))
    work = ProcessorWork(20, 30, 80, 27, 50, 20_000, 2048, 4)
    return Iteration(number, 2.0, 3, images, {}, counters, {"forward": toggles, "backward": toggles}, work)


def channel(rail: str = "board", unit: str = "W", kind: str = "point", **more) -> Channel:
    """Return a channel of a serial meter."""
    limits = Specification(0.005, offset=0.001, source="made for a test")
    return Channel(f"{rail}/{unit}", unit, rail, f"{rail}, all of it", kind, limits, refresh_s=0.01, **more)


def measured_run(path: Path, name: str = "epoch", rail: str = "board", hole: bool = False) -> Path:
    """Write the run folder of a measurement by a made-up meter: 12 s of idle at 2 W, 20 s of work at 3 W, idle again.

    Args:
        name, rail: of the inner windows, and of the rail.
        hole: lose a second of the values.
    """
    url = "serial:made-up"
    record = {"benchmark": "measure", "commit": "0" * 40, "versions": {}, "trace": TRACE, "sensors": [url], "idle_s": 12.0,
              "measured": f"a box called {name}"}  # fmt: skip
    with RunFolder(path, record) as folder:
        t_s = 100 + np.arange(0, 44, 0.01)
        noise_w = 0.01 * np.random.default_rng(7).standard_normal(len(t_s))
        watts = np.where((t_s >= 112) & (t_s < 132), 3.0, 2.0) + noise_w
        keep = (t_s < 120) | (t_s > 121) if hole else np.ones(len(t_s), bool)
        writer = TraceWriter(path / TRACE, record)
        said = {"make": "none", "model": name, "serial": "1"}
        sensor = writer.add_sensor(url, HOST_CLOCK, "measured", (channel(rail),), said, None)
        writer.append(sensor, Readings.of(t_s[keep], watts[keep]))
        spans = [("idle before", "idle", 0, 100.5, 111.5), ("run", "other", 0, 112.0, 132.0)]
        spans += [("idle after", "idle", 0, 132.5, 143.5)]
        spans += [(name, "forward", number, 112.0 + 5 * number, 117.0 + 5 * number) for number in range(4)]
        for window, phase, number, start_s, end_s in spans:
            writer.mark(Mark(start_s, HOST_CLOCK, "begin", window, phase, number))
            writer.mark(Mark(end_s, HOST_CLOCK, "end", window, phase, number, 0 if phase == "idle" else 10))
        if hole:
            writer.gap(Gap(0, 121.0, "unplugged", 100, "the cable"))
        writer.close("finished")
        folder.update(result={**measured(read_trace(path / TRACE)).to_json(), "run_dir": str(path)})
    return path


def spoil(path: Path, change) -> None:
    """Change run.json of a run folder."""
    record = json.loads((path / "run.json").read_text())
    change(record)
    (path / "run.json").write_text(json.dumps(record))
