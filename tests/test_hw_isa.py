"""The instruction set: round trips, what is refused and with which words, and the generated package."""

from __future__ import annotations

import random

import pytest
from instruction_cases import malformed_words, random_instruction

from hw import isa


def test_round_trip():
    source = random.Random(1)
    for _ in range(300):
        instruction = random_instruction(source)
        data = isa.encode(instruction)
        assert len(data) == isa.INSTRUCTION_BYTES
        found = isa.decode(data)
        assert found.op == instruction.op
        assert found.fields == {name: value for name, value in instruction.fields.items() if name != "opcode"}


def test_refuses_every_malformed_word():
    for word in malformed_words(random.Random(2)):
        with pytest.raises(isa.MalformedInstruction):
            isa.decode(word)


ARRAY = {field.name: 1 for field in isa.ARRAY_FIELDS if field.positive}


@pytest.mark.parametrize(("op", "fields", "message"), [
    ("array", {**ARRAY, "os": 1, "transpose": 1, "select": 1}, "os with select, transpose"),
    ("array", {**ARRAY, "select": 1, "scatter": 1}, "select without hold_weights"),
    ("array", {**ARRAY, "acc_max": 1, "n_ky": 17, "n_kx": 17}, "over 289 taps"),
    ("array", {**ARRAY, "pair": 1}, "pair without os"),
    ("array", {**ARRAY, "os": 1, "pair": 1, "a_drop": 2, "b_drop": 4}, "pair with a_drop = 2, but at least 3 of a_drop"),
    ("vector", {"n_img": 1, "img_px": 1, "sums": 1, "dst_wide": 1}, "sums with dst_wide"),
    ("vector", {"n_img": 1, "img_px": 1, "byte": 1, "dst_wide": 1}, "byte with dst_wide"),
    ("vector", {"n_img": 1, "img_px": 1, "byte": 2, "dst_wide": 1}, "byte with dst_wide"),
    ("vector", {"n_img": 1, "img_px": 1, "byte": 3}, "byte = 3, but it is 2 at most"),
    ("vector", {"n_img": 1}, "img_px = 0"),
    ("load", {"n_img": 1, "n_grp": 1, "run": 1, "mem": isa.MEMORY_NUMBER["O"]}, "does not reach memory"),
    ("store", {"n_img": 1, "n_grp": 1, "run": 1, "mem": isa.MEMORY_NUMBER["O"], "wait": 16}, "waits for or signals itself"),
])
def test_says_what_is_wrong(op, fields, message):
    with pytest.raises(isa.MalformedInstruction, match=message):
        isa.encode(isa.Instruction(op, fields))


def test_most_taps_of_an_index():
    isa.encode(isa.Instruction("array", {**ARRAY, "acc_max": 1, "n_ky": 16, "n_kx": 16}))
    isa.encode(isa.Instruction("array", {**ARRAY, "n_ky": 31, "n_kx": 31}))


def test_a_field_that_does_not_fit():
    with pytest.raises(ValueError, match="field img_px is 65536, but 16 bits hold 0 to 65535"):
        isa.encode(isa.Instruction("vector", {"n_img": 1, "img_px": 1 << 16}))
    with pytest.raises(ValueError, match="unknown fields"):
        isa.encode(isa.Instruction("vector", {"n_img": 1, "img_px": 1, "colour": 3}))
