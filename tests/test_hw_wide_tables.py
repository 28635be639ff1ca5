"""Channel tables larger than the table memory, in stretches: bit for bit with the emulator."""

from __future__ import annotations

from algo_networks import build
from test_hw_compile import train_both
from wide_network import Wide

from algo.export import build_step
from hw.compile import compile_step
from hw.config import load_config

TINY = load_config("tiny")


def test_training_with_wide_tables_equals_the_emulator():
    program = compile_step(build_step(build(Wide), (3, 6, 5), 3), TINY, {})
    assert max(region.size // 8 for region in program.memory.regions.values() if region.kind == "table") > TINY.table_words
    train_both(build(Wide), (3, 6, 5), 3, (3, 2))
