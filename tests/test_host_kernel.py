"""One product on every board, against an independent reference."""

import numpy as np
import pytest

from host.board import BoardError, open_board
from host.kernel import run_kernel
from host.virtual_rails import ACTIVITY
from hw import isa
from hw.compile_kernel import KINDS, compile_kernel
from hw.config import load_config

TINY = load_config("tiny")
SHAPES = {
    "plain": dict(n=2, c=8, k=8, h=6, w=6, r=3, stride=1, pad=1),
    "odd": dict(n=3, c=5, k=7, h=7, w=5, r=3, stride=2, pad=1),
    "pointwise": dict(n=1, c=6, k=4, h=5, w=5, r=1, stride=1, pad=0),
    "wide": dict(n=2, c=3, k=9, h=9, w=8, r=5, stride=2, pad=2),
}


def counted(run):
    return {name: value for name, value in run.counters.items() if name not in isa.TIMING_COUNTERS}


@pytest.fixture(scope="module")
def golden():
    with open_board("golden", TINY, ddr_bytes=1 << 18) as board:
        yield board


@pytest.fixture(scope="module", params=[0.0, 0.3], ids="stall{}".format)
def sim(request):
    with open_board("sim", TINY, ddr_bytes=1 << 18, stall_probability=request.param, seed=11) as board:
        yield board


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_rtl_is_exact_and_counts_what_the_golden_board_counts(sim, golden, kind, shape):
    kernel = compile_kernel(kind, **SHAPES[shape], config=TINY, seed=3)
    expected, found = run_kernel(golden, kernel), run_kernel(sim, kernel)
    assert expected.exact and expected.peak_share is None
    assert found.exact, found.difference
    assert counted(found) == counted(expected)
    assert 0 < found.peak_share < (2 if kind == "predictor" else 1)
    assert set(found.activity) == set(ACTIVITY) and all(count > 0 for count in found.activity.values())


def test_a_program_of_another_configuration_is_refused_with_both_names(golden):
    kernel = compile_kernel("forward", **SHAPES["plain"], config=load_config("z7020"))
    with pytest.raises(BoardError, match="compiled for configuration z7020 .* core is tiny"):
        run_kernel(golden, kernel)


def test_a_program_that_does_not_fit_is_refused():
    kernel = compile_kernel("forward", n=4, c=16, k=16, h=8, w=8, r=3, stride=1, pad=1, config=TINY)
    with open_board("golden", TINY, ddr_bytes=4096) as board:
        with pytest.raises(BoardError, match="but the board has 4096"):
            run_kernel(board, kernel)


def test_a_wrong_result_is_named(golden):
    kernel = compile_kernel("forward", **SHAPES["plain"], config=TINY)
    expected = kernel.expected.copy()
    expected[1, 2, 3, 4] ^= 1
    object.__setattr__(kernel, "expected", expected)
    assert np.array_equal(run_kernel(golden, kernel).difference.index, (1, 2, 3, 4))


def test_what_the_accumulators_held_before_does_not_matter():
    kernel = compile_kernel("grad_weight", 2, 5, 6, 6, 5, 3, 1, 1, TINY)
    with open_board("golden", TINY, ddr_bytes=1 << 18) as board:
        board.state.acc[:] = 1 << 20
        assert run_kernel(board, kernel).exact
