"""Does a fast meter on a serial port arrive whole, and is every drop counted? `python -m host.benchmark_serial`.

A meter on a pseudo-terminal sends rows at a set rate in a process of its own, with a transmit buffer that drops as a
controller's does. First the driver reads it without a pause: nothing may be missing. Then its reader stalls for a second:
every row that the meter dropped must be in a loss of the driver.
"""

from __future__ import annotations

import argparse
import json
import select
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from host import scheduling
from host.sensor import open_sensor

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Result:
    """One run.

    Attributes:
        protocol: of the meter.
        seconds: from the first row to the last.
        made: rows that the meter made from the first one that the host received on.
        received: rows that the driver handed over.
        dropped: rows that the meter dropped of those.
        counted: rows that the driver's losses name as dropped.
        cpu_share: processor time of the reading process over elapsed time, the stall left out.
    """

    protocol: str
    seconds: float
    made: int
    received: int
    dropped: int
    counted: int
    cpu_share: float


def run(protocol: str, rate: float, seconds: float, stall_s: float = 0.0, buffer_bytes: int = 131072) -> Result:
    """Read a played meter for so long, with a stall of the reader in the middle."""
    command = [
        sys.executable,
        "-m",
        "host.play_meter",
        "--protocol",
        protocol,
        "--rate",
        str(rate),
        "--rows",
        str(int(rate * seconds)),
        "--buffer",
        str(buffer_bytes),
    ]
    meter = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        port = json.loads(meter.stdout.readline())["port"]
        with open_sensor(f"serial:{port}?protocol={protocol}") as sensor:
            first, last, received, counted = -1, -1, 0, 0
            began_s, cpu_s, pauses_s = time.monotonic(), time.process_time(), 0.0
            ended_s = began_s
            while True:
                over = bool(select.select([meter.stdout], [], [], 0.0)[0])  # all has been sent, before the read that finds none
                rows = sensor.read(1.0)
                counted += sum(loss.count for loss in sensor.take_losses() if loss.reason == "dropped")
                if not len(rows):
                    if over:
                        break
                    continue
                first, last, received = (
                    int(rows.sequence[0]) if first < 0 else first,
                    int(rows.sequence[-1]),
                    received + len(rows),
                )
                ended_s = time.monotonic()
                if stall_s and ended_s - began_s > seconds / 2:
                    time.sleep(stall_s)
                    pauses_s, stall_s = stall_s, 0.0
            share = (time.process_time() - cpu_s) / (ended_s - began_s - pauses_s)
        told = json.loads(meter.stdout.readline())
    finally:
        meter.stdin.close()
        if meter.wait(10) != 0:
            raise RuntimeError("the played meter failed")
    dropped = sum(count for number, count in told["dropped"] if number > first)
    return Result(protocol, ended_s - began_s, last - first + 1, received, dropped, counted, share)


def main() -> None:
    """Print both runs of both protocols, and end with code 1 where something is missing uncounted."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--protocol", choices=("lines", "powersensor3", "both"), default="both")
    options.add_argument("--rate", type=float, default=20_000.0, help="rows per second")
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--stall", type=float, default=1.0, help="seconds for which the reader does nothing, in a run of 10 s")
    options.add_argument("--buffer", type=int, default=131072, help="bytes of the meter's transmit buffer")
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    scheduled = scheduling.go_first()  # as the sampler does
    results, good = [], True
    for protocol in ("lines", "powersensor3") if chosen.protocol == "both" else (chosen.protocol,):
        whole = run(protocol, chosen.rate, chosen.seconds, 0.0, chosen.buffer)
        stalled = run(protocol, chosen.rate, min(10.0, chosen.seconds), chosen.stall, chosen.buffer)
        results += [whole, stalled]
        exact = protocol == "lines"  # a PowerSensor3 has no sequence number
        good &= whole.dropped == whole.counted == 0 and whole.received == whole.made
        good &= stalled.dropped > 0 and (stalled.counted == stalled.dropped or not exact)
        if not chosen.json:
            for name, result in (("no stall", whole), (f"stall of {chosen.stall:g} s", stalled)):
                print(
                    f"{protocol}, {name}, {result.seconds:.1f} s: {result.made} made, {result.received} received, "
                    f"{result.dropped} dropped by it, {result.counted} counted as dropped, "
                    f"{result.cpu_share:.1%} of a core ({scheduled})"
                )
    if chosen.json:
        print(json.dumps([asdict(result) for result in results]))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
