"""The scalar programs against batch norm and SGD in floating point, at the precision that their formats promise."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from algo import scaling
from algo.coefficient_programs import BIAS_ENTRIES, BN_ENTRIES, PROGRAMS, assemble, run_program
from algo.scalar_ops import ScalarError, decode
from algo.scaling import State, unpack_coefficients
from algo.sgd import Sgd
from algo.step import Record, Step, Term

PIXELS, IMAGES, CHANNELS = 60, 7, 12
EXPONENTS = {"x": -4, "y": -5, "g": -14, "dx": -15, "running": -3, "s": -6}


def _scalars(program, specifications, sgd=None, records=None):
    """The scalar block of a program from specifications by name."""
    block = tuple(specifications[name] for name in PROGRAMS[program].scalars)
    step = Step(
        batch=IMAGES, input="x", logits="y", logits_grad="g", tensors={}, weights={}, tables={}, records=records or {},
        scalars={"block": block}, maxima=(), programs={}, segments={},
    )
    state = State(0, 0, EXPONENTS, sgd or Sgd())
    return np.array(scaling.scalars(step, state, IMAGES)["block"], np.int64)


NORMALISE = {
    "epsilon": "epsilon 1e-05 -x -x", "one": f"constant {1 << 45}", "a_shift": "shift -38 -y", "addend": "power 12 +s -y",
    "beta_shift": "shift 7 -y",
}
FORWARD = {
    "reciprocal": f"reciprocal {PIXELS}", "mean_shift": f"reciprocal_shift {PIXELS} 15",
    "square_shift": f"reciprocal_shift {PIXELS} 30", **NORMALISE,
}


@pytest.fixture
def forward():
    """int8 values (channels, n) and the table after bn_forward, with gamma and beta."""
    rng = np.random.default_rng(0)
    mean, std = rng.normal(0, 20, (CHANNELS, 1)), rng.uniform(5, 40, (CHANNELS, 1))
    x = np.round(rng.normal(mean, std, (CHANNELS, PIXELS * IMAGES)).clip(-127, 127)).astype(np.int64)
    table = np.zeros((CHANNELS, len(BN_ENTRIES)), np.int64)
    table[:, 0], table[:, 1] = x.sum(1), (x**2).sum(1)
    gamma, beta = rng.uniform(0.3, 2, CHANNELS), rng.normal(0, 1, CHANNELS)
    table[:, BN_ENTRIES.index("GAMMA")] = np.round(np.ldexp(gamma, 20))
    table[:, BN_ENTRIES.index("BETA")] = np.round(np.ldexp(beta, 20))
    return x, run_program(PROGRAMS["bn_forward"].words, table, _scalars("bn_forward", FORWARD)), gamma, beta


def _column(table, name, fraction):
    return np.ldexp(table[:, BN_ENTRIES.index(name)].astype(float), -fraction)


def _real_coefficients(table):
    a, b = zip(*(unpack_coefficients(int(word)) for word in table[:, 2]), strict=True)
    return np.array(a) / 4096, np.array(b) / 4096, table[:, 3] / 4096


def test_forward(forward):
    x, table, gamma, beta = forward
    np.testing.assert_allclose(_column(table, "MEAN", 15), x.mean(1), atol=2**-15)
    np.testing.assert_allclose(_column(table, "VAR", 30), x.var(1), atol=2**-6)
    std = np.sqrt(x.var(1) + 1e-5 * 4**4)
    np.testing.assert_allclose(_column(table, "INV", 30), 1 / std, rtol=1e-4)
    a, b, d = _real_coefficients(table)
    np.testing.assert_allclose(a, gamma / std * 32, rtol=1e-3)
    np.testing.assert_allclose(b, 0.5)
    expected = (gamma[:, None] * (x - x.mean(1, keepdims=True)) / std[:, None] + beta[:, None]) * 32
    np.testing.assert_allclose(a[:, None] * x + d[:, None], expected, atol=0.05)


def test_running_statistics_and_evaluation(forward):
    x, table, gamma, beta = forward
    old_mean, old_variance = np.linspace(-20, 20, CHANNELS), np.linspace(40, 900, CHANNELS)
    table[:, BN_ENTRIES.index("RMEAN")] = np.round(np.ldexp(old_mean, 15))
    table[:, BN_ENTRIES.index("RVAR")] = np.round(np.ldexp(old_variance, 16))
    running = {
        "keep": "constant 58982", "mean_shift": "shift 0 +running -x", "mean_weight": "constant 6554",
        "variance_shift": "shift 0 +running +running -x -x", "variance_weight": f"unbiased {PIXELS} 0.1",
    }
    table = run_program(PROGRAMS["bn_running"].words, table, _scalars("bn_running", running))
    mean, variance = 0.9 * 2 * old_mean + 0.1 * x.mean(1), 0.9 * 4 * old_variance + 0.1 * x.var(1, ddof=1)
    np.testing.assert_allclose(_column(table, "RMEAN", 15), mean, atol=0.002)
    np.testing.assert_allclose(_column(table, "RVAR", 16), variance, rtol=1e-4)
    evaluation = {"mean_shift": "shift 0 +x -x", "variance_shift": "shift 14 +x -x", **NORMALISE}
    a, _, d = _real_coefficients(run_program(PROGRAMS["bn_eval"].words, table, _scalars("bn_eval", evaluation)))
    std = np.sqrt(variance + 1e-5 * 4**4)
    np.testing.assert_allclose(a, gamma / std * 32, rtol=2e-3)
    np.testing.assert_allclose(d, (beta - gamma * mean / std) * 32, atol=0.05)


def test_backward(forward):
    x, table, gamma, _ = forward
    g = np.random.default_rng(1).integers(-100, 101, x.shape)
    table[:, 0], table[:, 1] = g.sum(1), (g * x).sum(1)
    backward = {
        "reciprocal": f"reciprocal {PIXELS}", "projection_shift": f"reciprocal_shift {PIXELS} 9",
        "mean_shift": f"reciprocal_shift {PIXELS} 15", "a_shift": "shift -38 +g -x -dx",
    }
    table = run_program(PROGRAMS["bn_backward"].words, table, _scalars("bn_backward", backward))
    std = np.sqrt(x.var(1) + 1e-5 * 4**4)
    normalised = (x - x.mean(1, keepdims=True)) / std[:, None]
    np.testing.assert_allclose(_column(table, "DG", 6), (g * normalised).sum(1), atol=0.5)
    a, b, d = _real_coefficients(table)
    projected = g - g.mean(1, keepdims=True) - normalised * (g * normalised).mean(1, keepdims=True)
    expected = (gamma / std)[:, None] * projected * 2.0 ** (EXPONENTS["g"] - EXPONENTS["x"] - EXPONENTS["dx"])
    scale = np.abs(expected).max()
    np.testing.assert_allclose(a[:, None] * g + b[:, None] * x + d[:, None], expected, atol=0.002 * scale + 0.03)


def test_update_is_sgd_with_momentum_and_weight_decay():
    sgd = Sgd(lr=Fraction(1, 20), momentum=Fraction(4, 5), weight_decay=Fraction(1, 1000))
    specifications = {
        "momentum": "hyper momentum 16", "weight_decay": "hyper weight_decay 24", "lr": "hyper lr 24",
        "gradient_shift": "shift 24 +g",
    }
    table = np.zeros((3, len(BIAS_ENTRIES)), np.int64)
    table[:, 0] = gradient = np.array([1000, -20000, 30000])
    table[:, 4], table[:, 5] = np.round(np.array([0.5, -1.0, 2.0]) * 2**20), np.round(np.array([0.1, 0.2, -0.3]) * 2**24)
    scalars = _scalars("bias_update", specifications, sgd)
    out = run_program(PROGRAMS["bias_update"].words, table, scalars)
    momentum = 0.8 * table[:, 5] / 2**24 + gradient * 2.0**-14 + 0.001 * table[:, 4] / 2**20
    np.testing.assert_allclose(out[:, 5] / 2**24, momentum, atol=1e-5)
    np.testing.assert_allclose(out[:, 4] / 2**20, table[:, 4] / 2**20 - momentum / 20, atol=2e-6)


def test_bias_takes_the_shift_of_its_record():
    records = {"r": Record("r", "y", a=Term("one", ("x", "s")))}
    specifications = {"bias_shift": "bias_shift r 20", "coefficients": "record r"}
    table = np.zeros((2, len(BIAS_ENTRIES)), np.int64)
    table[:, 4] = [3 << 18, -(5 << 17)]
    out = run_program(PROGRAMS["bias_forward"].words, table, _scalars("bias_forward", specifications, records=records))
    a, _ = unpack_coefficients(int(out[0, 2]))
    shift = 21
    assert a == 1 << 16
    np.testing.assert_array_equal(out[:, 3], np.array([0.75, -0.625]) * 2 ** (5 + shift))


def test_registers_entries_and_scalars_are_resolved_by_name():
    words = assemble("ldc a E1\nlds b S0\nmul a a b\nshi a a -3\nstc a E0", ("E0", "E1"), ("S0",))
    assert [decode(word)[0] for word in words] == ["ldc", "lds", "mul", "shi", "stc"]
    table = run_program(words, np.array([[0, 10], [0, -3]]), np.array([12]))
    np.testing.assert_array_equal(table, [[15, 10], [-4, -3]])


@pytest.mark.parametrize(
    ("text", "message"),
    [("ldc a X", "X is none of E0"), ("lds a X", "X is none of S0"), ("jump a b", "jump"), ("shi a a 99999", "imm = 99999")],
)
def test_wrong_programs_are_refused(text, message):
    with pytest.raises(ScalarError, match=message):
        assemble(text, ("E0",), ("S0",))


def test_too_many_registers_are_refused():
    with pytest.raises(ScalarError, match="names 17 registers|registers are 0 to 15"):
        assemble("\n".join(f"ldc r{i} E0" for i in range(17)), ("E0",), ())
