"""The cache model does what makes a forgotten flush or invalidation visible."""

from __future__ import annotations

import numpy as np
import pytest

from hw.cache_model import CacheModel


@pytest.mark.parametrize("line", [32, 64])
def test_reads_are_stale_and_writes_stay_until_they_are_asked_for(line):
    memory = np.zeros(256, np.uint8)
    cache = CacheModel(memory, line, 1, evicted=0)
    memory[:] = 7
    assert not cache.seen.any()
    cache.invalidate(line, line + 1)
    assert cache.seen[line : 2 * line].all() and not cache.seen[2 * line :].any()
    cache.seen[100] = 9
    cache.written(100, 101)
    cache.clean(0, 64)
    assert memory[100] == 7
    cache.clean(96, 128)
    start = 100 // line * line
    assert memory[100] == 9
    # The rest of the line goes with it, as it was fetched, whatever a device has put there since.
    rest = np.delete(memory[start : start + line], 100 - start)
    np.testing.assert_array_equal(rest, np.delete(cache.seen[start : start + line], 100 - start))


def test_what_was_not_cleaned_is_lost_with_its_line():
    memory = np.zeros(128, np.uint8)
    cache = CacheModel(memory, 32, 1, evicted=0)
    cache.seen[40] = 1
    cache.written(40, 41)
    cache.invalidate(32, 64)
    cache.clean(0, 128)
    assert not memory.any() and not cache.seen.any()


def test_dirty_lines_are_evicted_at_random_and_overwrite_memory():
    def evicted(seed):
        memory = np.zeros(32 * 64, np.uint8)
        cache = CacheModel(memory, 32, seed, evicted=8)
        cache.seen[:] = 1
        cache.written(0, memory.size)
        memory[:] = 5
        cache.disturb()
        return np.flatnonzero(memory.reshape(-1, 32)[:, 0] == 1).tolist()

    assert len(evicted(1)) == 8 and evicted(1) == evicted(1) != evicted(2)
