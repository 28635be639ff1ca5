"""Has the sampler's threads run when they are due, where the system allows it; says how they are scheduled."""

from __future__ import annotations

import os
import resource
import signal

NICENESS = -10
RUNAWAY_S = 0.5
"""A real-time thread that never waits would keep a processor to itself: after so long its process becomes an ordinary one."""


def go_first() -> str:
    """Have this process run before others, real-time where that is allowed, and return how it is scheduled.

    To be called by the main thread before it starts others; they inherit it.
    """
    try:
        resource.setrlimit(resource.RLIMIT_RTTIME, (int(RUNAWAY_S * 1e6), resource.getrlimit(resource.RLIMIT_RTTIME)[1]))
        signal.signal(signal.SIGXCPU, be_ordinary)
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        return "SCHED_FIFO"
    except (OSError, ValueError, AttributeError):
        pass  # for root only, or for those whom the system allows it
    try:
        return f"niceness {os.nice(NICENESS - os.nice(0))}"
    except OSError:
        return f"niceness {os.nice(0)}"


def be_ordinary(*_) -> None:
    """Give all threads of this process ordinary scheduling."""
    for task in os.listdir("/proc/self/task"):
        os.sched_setscheduler(int(task), os.SCHED_OTHER, os.sched_param(0))


def go_before_siblings() -> None:
    """Have the calling thread run before the others of its process, where the process is a real-time one."""
    try:
        if os.sched_getscheduler(0) == os.SCHED_FIFO:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(2))
    except (OSError, AttributeError):
        pass  # without it the thread is as late as its siblings make it, and its lateness is recorded
