"""Train convolutional networks on an FPGA and know what every iteration costs in joules.

The names a program needs, in the order in which it needs them; each is imported when it is first used, so that
`import joulegrad` stays light and a board without torch can have the rest.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

NAMES = {
    "Sgd": "algo.sgd",
    "export": "algo.export",
    "Emulator": "algo.emulator",
    "load_config": "hw.config",
    "compile_step": "hw.compile",
    "read_program": "hw.program",
    "write_program": "hw.program",
    "open_board": "host.board",
    "Runtime": "host.runtime",
    "CheckedRun": "host.checked_run",
    "measure": "joulegrad.measurement",
    "open_sensor": "host.sensor",
    "read_trace": "host.trace_file",
}
"""Public name to the module that defines it."""

__all__ = list(NAMES)


def __getattr__(name: str):
    if name not in NAMES:
        raise AttributeError(f"joulegrad has no {name!r}; it has {', '.join(NAMES)}")
    return getattr(importlib.import_module(NAMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *NAMES])
