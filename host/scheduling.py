"""Has the sampler's threads run when they are due, where the system allows it; says how they are scheduled."""

from __future__ import annotations

import os
import resource
import signal

NICENESS = -10
RUNAWAY_S = 0.5
"""A real-time thread that never waits would keep a processor to itself: after so long its process becomes an ordinary one."""


def guard() -> None:
    """Arm the guard against threads that never wait. To be called by the main thread before any thread goes first."""
    try:
        resource.setrlimit(resource.RLIMIT_RTTIME, (int(RUNAWAY_S * 1e6), resource.getrlimit(resource.RLIMIT_RTTIME)[1]))
        signal.signal(signal.SIGXCPU, be_ordinary)
    except (OSError, ValueError, AttributeError):
        pass  # where there is no such limit there is no real-time scheduling of ours either, see go_first


def go_first(level: int = 1) -> str:
    """Have the calling thread, and those that it starts, run before others; return how it is scheduled.

    Args:
        level: threads of a higher level run before those of a lower one, where real-time scheduling is allowed.
    """
    try:
        if resource.getrlimit(resource.RLIMIT_RTTIME)[0] != resource.RLIM_INFINITY:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(level))
            return "SCHED_FIFO"
    except (OSError, AttributeError):
        pass  # for root only, or for those whom the system allows it
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    except OSError:
        pass  # what it stays at is returned
    return f"niceness {os.getpriority(os.PRIO_PROCESS, 0)}"


def be_ordinary(*_) -> None:
    """Give all threads of this process ordinary scheduling."""
    for task in os.listdir("/proc/self/task"):
        os.sched_setscheduler(int(task), os.SCHED_OTHER, os.sched_param(0))
