"""Short samples of the proofs that a crash and a power cut cost at most the last second, and that the proofs can fail."""

from __future__ import annotations

import numpy as np
import pytest

from host import benchmark_kills, trace_writer
from host.power_cut import Event, files_after


def test_killed_processes_cost_at_most_the_last_second(tmp_path):
    trials = benchmark_kills.kills(tmp_path, 6, seed=2110, longest_s=1.6)  # a sampler is killed after 1.4 s and more, twice
    assert [trial.faults for trial in trials] == [()] * 6
    assert {trial.victim for trial in trials} == set(benchmark_kills.VICTIMS)


def test_a_power_cut_costs_nothing_that_was_committed(tmp_path):
    assert benchmark_kills.power_cuts(tmp_path, 60, seed=5) == []


def test_without_synchronous_commits_the_power_cut_is_noticed(tmp_path, monkeypatch):
    """The proof can fail: a connection that syncs nothing loses what it committed."""
    real = trace_writer.sqlite3.connect

    class Careless(trace_writer.sqlite3.Connection):
        def execute(self, sql, *values):
            return super().execute(sql.replace("synchronous = FULL", "synchronous = OFF"), *values)

    monkeypatch.setattr(trace_writer.sqlite3, "connect", lambda *given, **options: real(*given, **options, factory=Careless))
    assert len(benchmark_kills.power_cuts(tmp_path, 20, seed=5)) > 5


def test_the_simulated_disk_keeps_what_was_synced_and_may_lose_the_rest():
    rng = np.random.default_rng(0)
    events = [Event("write", "a", 0, b"x" * 1024), Event("sync", "a"), Event("write", "a", 0, b"y" * 1024),
              Event("write", "b", 0, b"z")]  # fmt: skip
    seen = {(files["a"][0:1], files["a"][512:513], files["b"]) for files in (files_after(events, rng) for _ in range(200))}
    assert seen == {(first, second, other) for first in (b"x", b"y") for second in (b"x", b"y") for other in (b"", b"z")}
    assert files_after(events[:2], rng) == {"a": b"x" * 1024}


@pytest.mark.fault(19)
def test_the_sampler_benchmark_counts_every_slot(tmp_path):
    from host.benchmark_sampler import sampler, shortfalls

    result = sampler(tmp_path, 2.0, 0.002)
    assert result.uncounted == 0 and result.slots >= 999
    assert result.mean_period_s == pytest.approx(0.002, rel=1e-3)
    assert not [found for found in shortfalls(result, 0.002) if "hole" not in found]  # a hole is the machine's load as well
