"""`joulegrad bench speed`: its JSON and its table, on the golden board given a clock."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from host.benchmark_sim import Speed
from host.board import open_board
from host.board_golden import Driver
from joulegrad import peak, speed
from joulegrad.cli import app

FORWARD, BACKWARD = 300_000, 700_000


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    true = Driver.wait
    clocks = iter([1, FORWARD, BACKWARD] * 10)
    workload = speed.workloads()[0]
    monkeypatch.setattr(Driver, "wait", lambda self, timeout_s=None: true(self, timeout_s) | {"cycles": next(clocks)})
    monkeypatch.setattr(speed, "open_board", lambda url, config, **options: open_board("golden", config, **options))
    monkeypatch.setattr(speed, "simulator_speed", lambda config: Speed(5_000_000, 20.0))
    monkeypatch.setattr(speed, "workloads", lambda: [speed.Workload("digits", workload.module, workload.data, 8, 1)])


def test_json_has_speed_and_share_of_peak_with_the_losses():
    done = CliRunner().invoke(app, ["bench", "speed", "--json"])
    assert done.exit_code == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["simulator_cycles_per_s"] == 250_000
    (network,) = data["networks"]
    assert network["cycles_per_iteration"] == FORWARD + BACKWARD
    assert network["array_peak_share"] == pytest.approx(network["macs_per_iteration"] / ((FORWARD + BACKWARD) * 256), rel=1e-12)
    assert {"stall_array_gap", "stall_array_load", "stall_array_vector", "stall_array_empty"} <= set(network["counters"])
    assert set(network["counters_by_segment"]) == {"forward", "backward"}


def test_for_people_cycles_are_all_accounted_for():
    done = CliRunner().invoke(app, ["bench", "speed"])
    assert done.exit_code == 0, done.stderr
    assert "250,000 core cycles per second" in done.stdout
    for words in ("works (slots)", "waits for the load engine", "waits for the vector unit", "not named"):
        assert words in done.stdout


def test_both_networks_are_there(monkeypatch):
    monkeypatch.undo()
    names = [(workload.name, workload.batch) for workload in speed.workloads()]
    assert names == [("digits", 32), ("ResNet-8 32x32", 8)]


def test_share_of_peak_by_hand():
    assert peak.peak_share(256_000, 2000, 16) == 0.5
