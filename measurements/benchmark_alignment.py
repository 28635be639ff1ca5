"""How well a meter's clock is recovered: seeded traces with known clocks, `python -m measurements.benchmark_alignment`.

A trace here is 3 s of rest, a signature, a run, a signature, 3 s of rest. What the meter sees:

* 1.7 W at rest, 0.1 W more while a signature's chip is on; in the run a square wave of 0.1 W in iterations of 40 ms;
* white noise of 20 mW per value (1 kHz; it shrinks with the root of the averaging time), values in steps of 1.25 mW;
* drift of 5 mW rms with a 1/f spectrum over the length of the trace;
* load steps of others: 60 mW for 5 to 200 ms, every 2 s on average, also within the signatures.

The meter's clock is 0.4 % fast and 0.8 s ahead. Values come with a delay of 0.5 ms and more (exponential, 1 ms on average, and
in packets every 16 ms in a tenth of the time); one in a thousand is lost.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np

from host.readings import HOST_CLOCK, Readings
from host.sensor import Channel, Specification
from host.signature import AFTER, BEFORE, PHASE, Pattern, note
from host.trace import Mark, SensorRecord, Trace
from measurements.alignment import Alignment, AlignmentError, align

REST_S = 3.0


@dataclass(frozen=True)
class Scene:
    """A trace to be made.

    Attributes:
        fast, ahead_s: of the meter's clock, device = (1 + fast) * host + ahead_s.
        refresh_s: between two values, on the meter's clock.
        averaging_s: each is the mean over so much time before its stamp; 0 for points.
        run_s: between the signatures.
        step_w, idle_w, white_w, drift_w, others_w: see the module; white_w of a value of 1 ms.
        link_s: delay of every value on its way.
        stamps: "device", "sequence" or "arrival": what the meter gives.
        pattern: None for the one that suits the meter.
    """

    fast: float = 0.004
    ahead_s: float = 0.8
    refresh_s: float = 1e-3
    averaging_s: float = 0.0
    run_s: float = 30.0
    step_w: float = 0.1
    idle_w: float = 1.7
    white_w: float = 0.02
    drift_w: float = 0.005
    others_w: float = 0.06
    link_s: float = 0.0005
    stamps: str = "device"
    pattern: Pattern | None = None

    def played(self) -> Pattern:
        """Return the signature's pattern."""
        return self.pattern or Pattern.for_meter(self.refresh_s, self.averaging_s)

    def starts_s(self) -> tuple[float, float]:
        """Return where the signatures begin, on the host's clock."""
        return REST_S, REST_S + self.played().duration_s + self.run_s

    def end_s(self) -> float:
        """Return the end of the trace."""
        return self.starts_s()[1] + self.played().duration_s + REST_S


def make(scene: Scene, seed: int, without: tuple[str, ...] = ()) -> tuple[Trace, np.ndarray]:
    """Return a trace and the true host time of each of its rows.

    Args:
        without: names of signatures that are marked but not played.
    """
    rng = np.random.default_rng(seed)
    ticks = np.arange(int(scene.end_s() * (1 + scene.fast) / scene.refresh_s))
    device = scene.ahead_s + ticks * scene.refresh_s + rng.uniform(0, scene.refresh_s)
    host = (device - scene.ahead_s) / (1 + scene.fast)
    power = scene.idle_w + _work(scene, host, rng, without)
    power += rng.normal(0, scene.white_w * np.sqrt(1e-3 / max(scene.averaging_s, 1e-3)), len(host))
    power += scene.drift_w * _pink(len(host), rng)
    power = np.round(power / 1.25e-3) * 1.25e-3
    arrival = host + scene.link_s + rng.exponential(1e-3, len(host))
    packed = rng.random(len(host)) < 0.1
    arrival[packed] = np.ceil(arrival[packed] / 0.016) * 0.016
    arrival = np.maximum.accumulate(arrival)
    kept = rng.random(len(host)) > 1e-3
    device_t_s = device[kept] if scene.stamps == "device" else np.nan
    sequence = ticks[kept] if scene.stamps == "sequence" else -1
    readings = Readings.of(arrival[kept], power[kept, None], device_t_s=device_t_s, sequence=sequence)
    kind = "average" if scene.averaging_s else "point"
    limits = Specification(0.001, quantum=1.25e-3)
    channel = Channel("power", "W", "5V", "whole board", kind, limits, averaging_s=scene.averaging_s)
    record = SensorRecord("serial:benchmark", HOST_CLOCK, "measured", (channel,), {}, None, readings)
    return Trace("finished", {}, (record,), tuple(_marks(scene)), ()), host[kept]


def row_error_s(scene: Scene, trace: Trace, host_s: np.ndarray, alignment: Alignment) -> float:
    """Return by how much a row's host stamp is wrong at most, between the signatures and in them."""
    inside = (host_s >= scene.starts_s()[0]) & (host_s <= scene.starts_s()[1] + scene.played().duration_s)
    return float(np.max(np.abs(alignment.host_stamps(trace.sensors[0].readings) - host_s)[inside]))


def _work(scene: Scene, host: np.ndarray, rng: np.random.Generator, without: tuple[str, ...]) -> np.ndarray:
    """Return the power above idle that each value shows."""
    pattern, (first, second) = scene.played(), scene.starts_s()
    stretches = [(start + a, start + b, scene.step_w) for name, start in ((BEFORE, first), (AFTER, second)) if name not in without
                 for a, b in pattern.on_s]
    iterations = np.arange(first + pattern.duration_s + 0.5, second - 0.5, 0.04)
    stretches += [(start, start + 0.027, scene.step_w) for start in iterations]
    others = rng.uniform(0, scene.end_s(), rng.poisson(scene.end_s() / 2))
    lengths = rng.uniform(0.005, 0.2, len(others))
    stretches += [(start, start + length, scene.others_w) for start, length in zip(others, lengths, strict=True)]
    edges = np.array([(at, change) for a, b, watts in stretches for at, change in ((a, watts), (b, -watts))])
    edges = edges[np.argsort(edges[:, 0])]
    level = np.cumsum(edges[:, 1])
    if not scene.averaging_s:
        return np.concatenate([[0.0], level])[np.searchsorted(edges[:, 0], host, side="right")]
    joules = np.concatenate([[0.0], np.cumsum(level[:-1] * np.diff(edges[:, 0]))])
    return (np.interp(host, edges[:, 0], joules) - np.interp(host - scene.averaging_s, edges[:, 0], joules)) / scene.averaging_s


def _pink(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return noise of standard deviation 1 whose power goes as 1/f, from the trace's length up."""
    spectrum = rng.normal(size=n // 2 + 1) + 1j * rng.normal(size=n // 2 + 1)
    spectrum /= np.sqrt(np.maximum(np.arange(n // 2 + 1), 1))
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, n)
    return noise / noise.std()


def _marks(scene: Scene):
    for name, start in zip((BEFORE, AFTER), scene.starts_s(), strict=True):
        pattern = scene.played()
        yield Mark(start, HOST_CLOCK, "begin", name, PHASE)
        yield Mark(start + pattern.duration_s, HOST_CLOCK, "end", name, PHASE, note=note(pattern, pattern.on_s))


SCENES = {
    "1 kHz points": Scene(),
    "1 kHz points, by power alone": Scene(),
    "1 kHz points, 511 chips, power alone": Scene(pattern=Pattern(9)),
    "1 kHz means of 1 ms": Scene(averaging_s=1e-3),
    "1 kHz points, values 0.8 s late": Scene(link_s=0.8),
    "1 kHz points, count instead of stamps": Scene(stamps="sequence"),
    "1 kHz points, a run of an hour": Scene(run_s=3600.0),
    "100 Hz means of 10 ms": Scene(refresh_s=0.01, averaging_s=0.01),
    "35.2 ms means": Scene(refresh_s=0.0352, averaging_s=0.0352),
    "35.2 ms means, 1023 chips": Scene(refresh_s=0.0352, averaging_s=0.0352, pattern=Pattern.for_meter(0.0352, 0.0352, 10)),
    "1 kHz points, a step of 30 mW": Scene(step_w=0.03),
    "1 kHz points, a step of 10 mW": Scene(step_w=0.01),
}
MARKED_ONLY = "1 kHz points, marked but not played"


@dataclass(frozen=True)
class Outcome:
    """One seed of a scene: worst error and residual in seconds, error of the rate in ppm; None where it was refused."""

    error_s: float | None
    residual_s: float = 0.0
    off_ppm: float = 0.0
    refusal: str = ""


def outcome(scene: Scene, seed: int, power_alone: bool = False, without: tuple[str, ...] = ()) -> Outcome:
    """Return how well one seed's clock is recovered; `power_alone` keeps the arrivals out of the search."""
    trace, host_s = make(scene, seed, without)
    try:
        found = align(trace, start=(0.0, 1.0) if power_alone else None)
    except AlignmentError as error:
        return Outcome(None, refusal=str(error))
    off_ppm = abs(found.meter_ppm - scene.fast * 1e6) if found.meter_ppm is not None else float("nan")
    return Outcome(row_error_s(scene, trace, host_s, found), found.residual_s, off_ppm)


def main() -> None:
    """Print worst and median error over seeds for every scene."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100)
    seeds = parser.parse_args().seeds
    print(__doc__.partition("\n\n")[2])
    print(f"{'meter':40} {'worst':>9} {'median':>9} {'residual':>9} {'inside':>7} {'rate off':>9}  {'refused':>9} {'each':>7}")
    for name, scene in {**SCENES, MARKED_ONLY: Scene()}.items():
        count, began = seeds if scene.run_s < 1000 else max(1, seeds // 20), time.monotonic()
        without = (BEFORE, AFTER) if name == MARKED_ONLY else ()
        all_of_them = [outcome(scene, seed, "alone" in name, without) for seed in range(count)]
        each_s = (time.monotonic() - began) / count
        good = [o for o in all_of_them if o.error_s is not None]
        refused = f"{count - len(good)} of {count}"
        if not good:
            print(f"{name:40} {'':48} {refused:>9} {each_s:5.2f} s")
            continue
        worst, median = max(o.error_s for o in good), float(np.median([o.error_s for o in good]))
        residual = float(np.median([o.residual_s for o in good]))
        inside = np.mean([o.error_s <= o.residual_s for o in good])
        print(f"{name:40} {worst * 1e3:6.3f} ms {median * 1e3:6.3f} ms {residual * 1e3:6.3f} ms {inside:7.0%}"
              f" {max(o.off_ppm for o in good):5.2f} ppm  {refused:>9} {each_s:5.2f} s")


if __name__ == "__main__":
    main()
