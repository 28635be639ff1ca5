"""Run-time words, delayed scaling, floors, and the state's round trip."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from algo_networks import PreActivation, build

from algo import scaling
from algo.arithmetic import OutOfRange, noise_key
from algo.delayed_scaling import RATE_BITS, RATE_EXPONENTS, settling
from algo.export import build_step
from algo.loss import cross_entropy, lowest_exponent
from algo.scaling import State, advance, records, scalars, settle, unpack_coefficients
from algo.sgd import Sgd
from algo.step import Record, Term
from algo.update_rule import UpdateRule

STEP = build_step(build(PreActivation), (3, 6, 6), 8)


def _state(step=STEP, **changes):
    names = {name for record in step.records.values() for name in (record.out, *_term_names(record))}
    names |= {f"{weight}{suffix}" for weight in step.weights for suffix in ("", ".next")}
    names |= set(step.followers) | set(step.tensors)
    exponents = dict.fromkeys(sorted(names), -6)
    for weight in step.weights:
        exponents |= {f"{weight}.master": -19, f"{weight}.momentum": -25, f"{weight}.momentum.previous": -25}
    return State(3, 7, exponents | changes, Sgd(lr="1/10", weight_decay="1/1000"))


def _term_names(record):
    return [name for term in (record.a, record.b) if term for name in term.exponents]


def test_a_record_holds_exact_factors():
    state = _state(conv1=-2)
    ab, d, shift_key, threshold = records(STEP, state)["conv1"]
    record = STEP.records["conv1"]
    a, b = unpack_coefficients(ab)
    shift = shift_key >> 32
    assert record.b == Term("one", ("conv0",))
    assert Fraction(a, 1 << shift) == Fraction(1, 1 << 10)
    assert Fraction(b, 1 << shift) == Fraction(1, 1 << 4)
    assert (d, threshold, shift_key & 0xFFFFFFFF) == (0, 0, 0)


def test_a_gradient_record_holds_the_key_of_its_iteration():
    name = next(name for name, record in STEP.records.items() if record.noise)
    state = _state()
    keys = [records(STEP, replace(state, iteration=i))[name][2] & 0xFFFFFFFF for i in (7, 8)]
    assert keys == [noise_key(3, i, name) for i in (7, 8)]
    assert keys[0] != keys[1]


def test_negative_coefficients_survive_packing():
    weight = next(iter(STEP.weights))
    state = settle(STEP, _state())
    a, b = unpack_coefficients(records(STEP, state)[f"{weight}.w"][0])
    assert a > 0 > b
    steps = state.exponents[f"{weight}.momentum"] - state.exponents[f"{weight}.master"]
    assert b / a == pytest.approx(-0.1 * 2.0**steps, rel=2**-RATE_BITS)


def test_every_specification_gives_a_64_bit_word():
    blocks = scalars(STEP, _state(), 5)
    assert blocks.keys() == STEP.scalars.keys()
    for name, words in blocks.items():
        assert len(words) == len(STEP.scalars[name])
        assert all(-(1 << 63) <= word < 1 << 63 for word in words)


def test_reciprocals_follow_the_image_count():
    block = STEP.scalars["bn1.forward"]
    reciprocal, shift = block.index("reciprocal 24"), block.index("reciprocal_shift 24 15")
    for images in (1, 5, 8):
        words = scalars(STEP, _state(), images)["bn1.forward"]
        assert 1 << 29 < words[reciprocal] <= 1 << 30
        mean = Fraction(words[reciprocal]) * Fraction(2) ** words[shift]
        assert abs(mean - Fraction(1 << 15, images * 24)) < Fraction(1, 1 << 10)


def test_advance_scales_late_and_moves_followers():
    state = settle(STEP, _state())
    maxima = dict.fromkeys((*STEP.maxima, STEP.logits_grad), 100)
    weight = next(iter(STEP.weights))
    maxima |= {"conv0": 1000, "bn1": 3, f"{weight}.next": 200}
    after = advance(STEP, state, maxima)
    assert after.iteration == 8 and after.seed == 3
    assert after.exponents["conv0"] == state.exponents["conv0"] + 3
    assert after.exponents["bn1"] == state.exponents["bn1"] - 1
    assert after.exponents[weight] == state.exponents[f"{weight}.next"]
    assert after.exponents[f"{weight}.next"] == state.exponents[f"{weight}.next"] + 1
    assert after.exponents["bn1.channels.running"] == state.exponents["conv0"]
    assert after.exponents[f"{weight}.momentum.previous"] == state.exponents[f"{weight}.momentum"]
    assert after.exponents[f"{weight}.master"] == state.exponents[f"{weight}.master"]


def test_settle_keeps_coefficients_in_range_and_the_learning_rate_precise():
    weight = next(iter(STEP.weights))
    state = _state(**{f"{weight}.momentum": -60, "conv1": -40, "conv0": 3})
    with pytest.raises(OutOfRange, match=r"^\S+ in iteration 7: a coefficient of about 2\^\d+ does not fit 17 bits"):
        records(STEP, state)
    settled = settle(STEP, state)
    words = records(STEP, settled)
    _, b = unpack_coefficients(words[f"{weight}.w"][0])
    assert abs(b) >= 1 << RATE_BITS
    assert settled.exponents["conv1"] == 3 - 16
    for exponent, floored in ((-14, -13), (-13, -13), (-12, -12)):
        assert settle(STEP, _state(conv1=exponent, conv0=3)).exponents["conv1"] == floored
    assert settle(STEP, settled) == settled


@pytest.mark.parametrize("bits", [8, 16])
def test_a_gradient_that_vanishes_stays_within_what_the_loss_computes(bits):
    """256 images that are told apart to the last bit: the gradient's exponent comes down until the loss can take no smaller."""
    step = build_step(build(PreActivation), (3, 6, 6), 256, UpdateRule(gradient_bits=bits))
    state, found = settle(step, _state(step, **{step.logits_grad: -30})), []
    for _ in range(30):
        exponent = state.exponents[step.logits_grad]
        loss = cross_entropy(np.full((256, 5), [9, 0, 0, 0, 0]), np.zeros(256, int), 1, exponent, None, bits)
        found.append(exponent)
        state = advance(step, state, dict.fromkeys(step.maxima, 100) | {step.logits_grad: max(1, loss.maximum)})
    assert min(found) == found[-1] == lowest_exponent(bits)


def test_a_drop_goes_through_the_floors_only_where_the_learning_rate_moves_one():
    """What `at` gives is what settling anew would give; where no floor moves, the exponents are the very same."""
    state = settle(STEP, replace(_state(**{f"{weight}.momentum": -60 for weight in STEP.weights}), sgd=Sgd(steps=1000)))
    kept = []
    for iteration in (8, 9, 370, 380, 900):
        found = scaling.at(STEP, state, iteration)
        assert found == settle(STEP, replace(state, iteration=iteration))
        kept.append(found.exponents is state.exponents)
        assert settling(state, found) == (RATE_EXPONENTS if kept[-1] else RATE_EXPONENTS + len(state.exponents) // 3)
    assert kept == [True, True, True, False, False] and settling(state, state) == 0


def test_a_fixed_shift_leaves_room_for_the_addend():
    step = replace(STEP, records={"y": Record("y", "bn2", b=Term("one", ("conv0",)), fixed_shift=12)})
    assert settle(step, _state(bn2=-20, conv0=0)).exponents["bn2"] == -4


def test_state_survives_json():
    state = _state()
    assert State.from_json(json.loads(json.dumps(state.to_json()))) == state


def test_rates_rise_and_fall_exactly():
    sgd = Sgd(lr=0.1, warmup=4, steps=10)
    assert sgd.lr == Fraction(1, 10)
    assert [sgd.rate(i) for i in (0, 3, 4, 7, 9, 10, 50)] == [
        Fraction(1, 50), Fraction(4, 50), Fraction(1, 10), Fraction(1, 20), Fraction(1, 60), 0, 0,
    ]
    assert Sgd(lr=0.1).rate(1000) == Fraction(1, 10)


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"lr": 0}, "lr is 0.0; it must be above 0"), ({"momentum": 1}, "momentum is 1.0"), ({"weight_decay": -1}, "weight_decay"),
     ({"warmup": 5, "steps": 5}, "warmup 5"), ({"lr": "x"}, "lr is 'x'; it must be a number")],
)
def test_wrong_hyper_parameters_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Sgd(**fields)


def test_zero_learning_rate_gives_records():
    state = replace(_state(), sgd=Sgd(lr="1/10", steps=5))
    weight = next(iter(STEP.weights))
    _, b = unpack_coefficients(scaling.records(STEP, settle(STEP, state))[f"{weight}.w"][0])
    assert b == 0


def test_a_momentum_past_what_the_master_can_take_is_an_error():
    weight = next(iter(STEP.weights))
    state = settle(STEP, _state(**{f"{weight}.momentum": 20}))
    with pytest.raises(OutOfRange, match=rf"{weight}.w in iteration 7: .* training has diverged"):
        records(STEP, state)
    with pytest.raises(OutOfRange, match=rf"{weight}.w in iteration 0: .* nothing has been trained yet"):
        records(STEP, replace(state, iteration=0))


@pytest.mark.parametrize(("program", "largest"), [("bn1.update", 6), ("conv0.update", 14)])
def test_a_gradient_past_what_64_bits_take_is_an_error(program, largest):
    words = [word for word in STEP.scalars[program] if word.startswith("gradient_shift")]
    name = words[0].split()[3][1:]
    shifts = [scaling.scalar(word, STEP, _state(**{name: largest}), 8) for word in words]
    assert max(shifts) <= {"bn1.update": 30, "conv0.update": 38}[program]
    with pytest.raises(OutOfRange, match=f"the gradient {name} has exponent {largest + 1} .* up to {largest}; training"):
        scalars(STEP, _state(**{name: largest + 1}), 8)
