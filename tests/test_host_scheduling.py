"""A real-time process that never waits becomes an ordinary one, and the caller is told how it is scheduled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SPIN = """
import os, time
from host import scheduling
scheduling.guard()
print(scheduling.go_first())
print(os.sched_getscheduler(0), flush=True)
while os.sched_getscheduler(0) == os.SCHED_FIFO and time.process_time() < 20 * scheduling.RUNAWAY_S:
    pass
print(os.sched_getscheduler(0))
"""


def run(code: str) -> list[str]:
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_runaway_gives_the_processor_back():
    said, first, last = run(SPIN)
    assert int(last) == os.SCHED_OTHER
    assert (said == "SCHED_FIFO") == (int(first) == os.SCHED_FIFO)
    assert said == "SCHED_FIFO" or said.startswith("niceness ")


def test_without_the_guard_no_thread_becomes_real_time():
    assert run(SPIN.replace("scheduling.guard()", ""))[0].startswith("niceness ")
