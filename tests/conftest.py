"""Fixtures: a cocotb bench built once per module and parameter set; recipes that are evaluated quickly."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import logging
import os
from pathlib import Path

import pytest
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import VerilatorControlFile, get_runner

from hw import verilator

TESTS = Path(__file__).parent


@pytest.fixture(autouse=True)
def log_of_its_own():
    """A command logs to the standard error it found; in tests that is closed behind it, and what logs later must not meet it."""
    root = logging.getLogger()
    level = root.level
    yield
    for handler in [one for one in root.handlers if type(one) is logging.StreamHandler]:
        root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def few_held_out_images(monkeypatch):
    """Recipes that hold out two images only, whatever their data."""
    from joulegrad.packing import Asked

    export = Asked.export

    def smaller(self):
        exported, images = export(self)
        return exported, dataclasses.replace(images, test=images.test[:2], test_labels=images.test_labels[:2])

    monkeypatch.setattr(Asked, "export", smaller)


@pytest.fixture
def run_rtl(monkeypatch):
    """Return run(toplevel, module, parameters=None, env=None): the cocotb tests of tests/<module>.py on <toplevel>.sv.

    The bench is built in build/rtl/<toplevel>-<digest of parameters> and rebuilt by make's rules only, by one worker of
    pytest-xdist at a time and while none runs it; modules below the top are found by name in tests/rtl, hw/rtl and
    hw/board_rtl. A wrapper for a test may stand in tests/rtl/<toplevel>.sv. Fails when a test of the bench fails.
    """

    def run(toplevel: str, module: str, parameters: dict | None = None, env: dict | None = None) -> None:
        tool = verilator.find()
        for name, value in tool.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS.parent), str(TESTS)]))
        if tool.root:
            # The runner calls make itself, so what build_flags tell Verilator's own make comes through the environment.
            monkeypatch.setenv("MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include CFG_LDLIBS_THREADS=-pthread")
        parameters = parameters or {}
        digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:8]
        build_dir = verilator.BUILD / "rtl" / f"{toplevel}-{digest}"
        places = [TESTS / "rtl", verilator.RTL, verilator.BOARD_RTL]
        top = next(place / f"{toplevel}.sv" for place in places if (place / f"{toplevel}.sv").exists())
        build_dir.mkdir(parents=True, exist_ok=True)
        with open(build_dir.with_suffix(".lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            runner = get_runner("verilator")
            runner.build(
                sources=[VerilatorControlFile(verilator.LINT), verilator.write_package(), top],
                hdl_toplevel=toplevel,
                parameters=parameters,
                build_dir=build_dir,
                build_args=[
                    *(word for place in places for word in ("-y", str(place))),
                    "-Wall", "--assert", "--x-initial", "unique", *tool.build_flags,
                ],
                timescale=("1ns", "1ps"),
                always=True,
            )
            fcntl.flock(lock, fcntl.LOCK_SH)
            results_xml = build_dir / f"{module}.{os.getpid()}.xml"
            results = runner.test(
                hdl_toplevel=toplevel, test_module=module, build_dir=build_dir, results_xml=str(results_xml),
                extra_env=env or {}, test_dir=build_dir,
            )
        ran, failed = get_results(results)
        assert ran > 0, f"no test ran in {module}"
        assert failed == 0, f"{failed} of {ran} cocotb tests of {module} failed on {toplevel}"

    return run
