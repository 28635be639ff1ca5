"""Resources by Yosys: what is counted, on modules that take seconds, and the limits that hold for the whole core."""

import json

import pytest

from hw import simulate, verilator
from hw.config import load_config
from hw.synthesis import LIMITS, Resources, SynthesisError, main, parameters_of, synthesise

TINY = load_config("tiny")


def test_tokens_are_twenty_semaphores():
    """Ten bits each, a flag that is up while there is a token, and one while it is full."""
    taken = synthesise(TINY, "tokens")
    assert taken.flip_flops == 240
    assert taken.dsp48e1 == taken.bram36 == taken.lut_rams == 0
    assert 100 < taken.estimated_lcs < 600
    assert not taken.exceeded()


def test_product_pair_shares_a_multiplier():
    """Two int8 products come out of one DSP48E1."""
    assert synthesise(TINY, "mac_pair").dsp48e1 == 1


def test_limits_name_what_is_exceeded():
    taken = Resources(top="first_error", config="tiny", dsp48e1=LIMITS["dsp48e1"] + 1, estimated_lcs=9, lut_cells=9, lut_rams=0,
                      flip_flops=9, carry4=0, bram36=0.5, yosys="Yosys")  # fmt: skip
    assert taken.exceeded() == ["first_error in tiny takes 201 dsp48e1, at most 200 fit"]


def test_parameters_are_those_of_the_module():
    names = parameters_of(verilator.RTL / "fetch.sv", TINY)
    assert names == {"AxiBits": "32", "PassTaps": "2"}
    assert parameters_of(verilator.RTL / "joulegrad_core.sv", TINY) == simulate.parameters(TINY)


def test_unknown_module_is_one_sentence():
    with pytest.raises(SynthesisError, match="none of the modules"):
        synthesise(TINY, "nothing")


def test_command_prints_json(capsys):
    assert main(["tiny", "--top", "first_error"]) == 0
    assert json.loads(capsys.readouterr().out)["top"] == "first_error"
    assert main(["no_such_configuration"]) == 2
