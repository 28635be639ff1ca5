"""A network trains through pyserial and the board's UART pins, with noise in both directions, as on the simulated board."""

from __future__ import annotations

import numpy as np
import pytest
from algo_networks import PreActivation, build

from algo.export import export
from algo.sgd import Sgd
from host.benchmark_serial_board import differing, over_the_line, trained
from host.board import open_board
from hw.compile import compile_step
from hw.config import load_config

TINY = load_config("tiny")
BATCH = 2


@pytest.fixture(scope="module")
def training():
    """Return a function of a board that trains two iterations, the second of one image, on a small network."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(-127, 128, (2 * BATCH, 3, 6, 6), np.int8), rng.integers(0, 4, 2 * BATCH)
    sgd = Sgd(lr="1/10", momentum="9/10", weight_decay="1/1000", warmup=2, steps=40)
    exported = export(build(PreActivation), images, labels, -7, BATCH, sgd, 3)
    program = compile_step(exported.step, TINY, exported.tensors)
    batches = [(images[:BATCH], labels[:BATCH]), (images[BATCH : BATCH + 1], labels[BATCH : BATCH + 1])]
    assert program.ddr_bytes < 1 << 18
    return lambda board: trained(board, program, exported.state, batches)


def test_training_equals_the_simulated_board_bit_for_bit_under_noise(training):
    with open_board("sim", TINY, ddr_bytes=1 << 20) as board:
        wanted = training(board)
    got, line = over_the_line("tiny", 1e-4, 2, training)
    assert differing(got, wanted) == []
    assert line["repeated"] > 0 and line["broken"] == 0
    for way in ("to_board", "from_board"):
        assert line[way]["changed"] + line[way]["lost"] > 0
    assert len(wanted["counters"]) == 2 and wanted["counters"][0]["macs_int8"] > 0


def test_what_differs_is_named():
    wanted = {"tensors": {"a": np.arange(3), "b": np.arange(4)}, "state": 1, "counters": [{"macs_int8": 2}]}
    got = {"tensors": {"a": np.arange(3), "b": np.array([0, 1, 2, 4])}, "state": 1, "counters": [{"macs_int8": 3}]}
    assert differing(wanted, wanted) == [] and differing(got, wanted) == ["b", "counters"]
