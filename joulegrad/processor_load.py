"""Work for every core of this machine's processor, on and off: a power that stays the same under it is a stale one."""

from __future__ import annotations

import os
import subprocess
import sys

SPIN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    for _ in range(100000):\n        pass\n"
"""A child ends with its parent, also where that is killed."""


class ProcessorLoad:
    """Call it with True and False; as a context manager it is off at the end in any case."""

    def __init__(self):
        self._children: list[subprocess.Popen] = []

    def __enter__(self) -> ProcessorLoad:
        return self

    def __exit__(self, *exc_info):
        self(False)

    def __call__(self, on: bool) -> None:
        """Start one spinning process per core, or end them."""
        if on and not self._children:
            self._children = [subprocess.Popen([sys.executable, "-S", "-c", SPIN]) for _ in range(os.cpu_count() or 1)]
        if not on:
            while self._children:
                child = self._children.pop()
                child.kill()
                child.wait()
