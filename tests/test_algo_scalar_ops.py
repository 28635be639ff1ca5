"""algo/scalar_ops.py against plain Python integers, which never wrap."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from algo import compiled, scalar_ops
from algo.coefficient_programs import run_program
from algo.device_programs import run_program as run_on_device

EDGES = [2**63 - 1, -(2**63), 2**32, -(2**31), 2**31 - 1, 3037000499**2, 3037000499**2 - 1, -1]
INT64 = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-300, 300), st.sampled_from(EDGES))
IMM = st.one_of(st.integers(scalar_ops.IMM_MIN, scalar_ops.IMM_MAX), st.integers(-70, 70))


def wrap(x, bits=64):
    return (x + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


def shifted(a, n):
    return wrap(a << n) if n >= 0 else (a + (1 << -n - 1)) >> -n


def expected(op, a, b, imm):
    """Return the result as the tables of hw/architecture.md say it, in unbounded integers."""
    quotient = 0 if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return {
        "add": wrap(a + b), "sub": wrap(a - b), "min": min(a, b), "max": max(a, b), "addi": wrap(a + imm),
        "shi": shifted(a, imm), "shr": shifted(a, wrap(b, 7)), "mul": wrap(a, 32) * wrap(b, 32), "div": wrap(quotient),
        "sqrt": math.isqrt(max(a, 0)), "pack": a % 2**18 + (b % 2**18 << 32),
        "sat": max(min(a, 2**imm - 1), 1 - 2**imm) if 1 <= imm <= 62 else None,
    }[op]


@pytest.mark.parametrize("op", sorted(scalar_ops.ARITHMETIC))
@settings(max_examples=150, deadline=None, derandomize=True)
@given(a=INT64, b=INT64, imm=IMM)
def test_equals_unbounded_integers(op, a, b, imm):
    imm = 1 + abs(imm) % 62 if op == "sat" else imm
    got = scalar_ops.ARITHMETIC[op](np.array([a], np.int64), np.array([b], np.int64), imm)
    assert got.dtype == np.int64
    assert got[0] == expected(op, a, b, imm)


@pytest.mark.parametrize("op", sorted(scalar_ops.ARITHMETIC))
@settings(max_examples=100, deadline=None, derandomize=True)
@given(a=st.lists(INT64, min_size=3, max_size=3), b=st.lists(INT64, min_size=3, max_size=3), imm=IMM)
def test_on_torch_tensors_and_compiled_they_are_the_same(op, a, b, imm):
    imm = 1 + abs(imm) % 62 if op == "sat" else imm
    program = [scalar_ops.encode("ldc", rd, imm=at) for rd, at in ((1, 0), (2, 1))] + [scalar_ops.encode(op, 0, 1, 2, imm)]
    program += [scalar_ops.encode("stc", 0, ra, imm=at) for ra, at in ((0, 2), (1, 1), (2, 0))]
    table = np.array([a, b, [7] * 3], np.int64).T.copy()
    expected_table = run_program(tuple(program), table, np.zeros(0, np.int64))
    for run in (run_on_device, compiled.run_program):
        found = torch.tensor(table)
        run(tuple(program), found, torch.zeros(0, dtype=torch.int64))
        np.testing.assert_array_equal(found.numpy(), expected_table, err_msg=run.__module__)


@given(op=st.sampled_from(scalar_ops.SCALAR_OPS), rd=st.integers(0, 15), ra=st.integers(0, 15), rb=st.integers(0, 15), imm=IMM)
def test_decode_is_the_inverse_of_encode(op, rd, ra, rb, imm):
    imm = 1 + abs(imm) % 62 if op == "sat" else imm
    assert scalar_ops.decode(scalar_ops.encode(op, rd, ra, rb, imm)) == (op, rd, ra, rb, imm)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pow",), "none of ldc"), (("add", 16), "rd = 16"), (("sqrt", 0, -1), "ra = -1"), (("add", 0, 0, 99), "rb = 99"),
        (("addi", 0, 0, 0, 1 << 14), "imm = 16384"), (("sat", 0, 0, 0, 63), "1 to 62"),
    ],
)
def test_encode_refuses(arguments, said):
    with pytest.raises(scalar_ops.ScalarError, match=said):
        scalar_ops.encode(*arguments)


@pytest.mark.parametrize("word", [15, 31, scalar_ops.SCALAR_OPS.index("sat"), scalar_ops.SCALAR_OPS.index("sat") | 63 << 17])
def test_decode_refuses(word):
    with pytest.raises(scalar_ops.ScalarError):
        scalar_ops.decode(word)
