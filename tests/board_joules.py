"""Joules measured where only the board package is installed: `make board-test`. Two minutes, most of them rest and windows.

A file-backed monitor shows this computer's power as it would be: more while the installed process works. The result has to be
resolved, with U, and as large as what the monitor showed.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path

from hwmon_tree import HwmonTree
from test_joulegrad_package import archive, base, installed, program  # noqa: F401

from host.trace import windows
from host.trace_file import read_trace

IDLE_W, WORK_W = 5.0, 9.0
LOOK_S = 0.1


class Monitor(threading.Thread):
    """Shows WORK_W while a process works, IDLE_W while it rests; `energy_j` is what it showed."""

    def __init__(self, tree: HwmonTree, pid: int):
        super().__init__(daemon=True)
        self._tree, self._pid, self._over = tree, pid, threading.Event()

    def run(self) -> None:
        """Look at the process's processor time until told to stop."""
        before_s = 0.0
        while not self._over.wait(LOOK_S):
            spent_s = processor_s(self._pid, before_s)
            self._tree.set_power(WORK_W if spent_s - before_s > 0.01 else IDLE_W)
            before_s = spent_s

    def stop(self) -> None:
        """End it."""
        self._over.set()
        self.join()


def processor_s(pid: int, otherwise_s: float) -> float:
    """Return the processor time of a process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return otherwise_s
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_measured_joules_are_resolved(installed, program, tmp_path):  # noqa: F811
    tree = HwmonTree(tmp_path / "sys")
    tree.set_power(IDLE_W)
    command = [
        installed / "bin" / "joulegrad", "bench", program, "--board", "golden", "--sensor", tree.url(period_s=0.1),
        "--repeats", "2", "--idle", "4", "--relative-u", "0.2", "--json", "--out", "run",
    ]  # fmt: skip
    process = subprocess.Popen(
        [str(word) for word in command], env={"PATH": "/usr/bin:/bin"}, cwd=tmp_path, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    monitor = Monitor(tree, process.pid)  # the launcher becomes the process that works
    monitor.start()
    text, err = process.communicate()
    monitor.stop()
    assert process.returncode == 0, err
    data = json.loads(text)
    measured = data["run_energy_j"]["measured"]
    print(json.dumps({**measured, "planned": json.loads((tmp_path / "run" / "run.json").read_text())["planned"]}, indent=1))
    for kind in ("gross", "net"):
        assert measured[kind]["verdict"] == "resolved", measured[kind]
    repeats = windows(read_trace(tmp_path / "run" / "trace.sqlite"), "repeat")
    each_s = sum(window.end_s - window.start_s for window in repeats) / len(repeats) / data["sensors"][0]["runs_in_a_repeat"]
    rest_w = (measured["gross"]["value"] - measured["net"]["value"]) / each_s
    assert abs(rest_w - IDLE_W) < 0.1 * IDLE_W and measured["gross"]["value"] < 1.01 * WORK_W * each_s
    assert "this computer, which interprets the program" in measured["gross"]["scope"]
