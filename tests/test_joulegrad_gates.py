"""Gated runs in the public face: multiply-accumulates, virtual time and lines of the run folder by who ran what."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from algo_networks import build
from gated_networks import GATED, SHAPE, Gated

from algo.export import build_step
from algo.gates import Gating
from algo.graph import ExportError
from host.iteration import Iteration
from host.virtual_rails import ACTIVITY
from hw import isa
from hw.config import load_config
from joulegrad import virtual_time
from joulegrad.learned import _gated
from joulegrad.packing import asked
from joulegrad.peak import training_macs
from measurements.processor_time import ProcessorModel

BATCH = 5


@pytest.fixture(scope="module")
def step():
    return build_step(build(Gated), SHAPE, BATCH, gated=Gating())


def test_multiply_accumulates_are_of_the_images_that_ran(step):
    plain = build_step(build(Gated), SHAPE, BATCH)
    assert training_macs(step, BATCH) == training_macs(plain, BATCH)
    always = {name: BATCH for part in step.parts if part.block < 0 for name in (part.forward, part.backward)}
    block = 2 * 3 * 8 * 8 * 9 * 8 * 8  # two convolutions, three products, 8 channels, 3 x 3 taps, 8 x 8 pixels
    some = always | {"forward.1": 2, "backward.1": 2}
    assert training_macs(step, some) - training_macs(step, always) == 2 * block


def test_virtual_time_sums_the_segments_of_a_phase():
    def counted(cycles):
        return dict.fromkeys(isa.COUNTER_NAMES, 0) | {"cycles": cycles, "ddr_read_bytes": 3 * cycles}

    def toggled(cycles):
        return dict.fromkeys(ACTIVITY, 7 * cycles)

    taken = {"forward.0": 1000, "forward.1": 500, "backward.1": 900, "backward.0": 700}
    counters, toggles = ({name: make(cycles) for name, cycles in taken.items()} for make in (counted, toggled))
    whole, activity = ({"forward": make(1500), "backward": make(1600)} for make in (counted, toggled))
    config = load_config("tiny")
    parts, sums = (
        virtual_time.iteration(Iteration(0, 2.0, 3, BATCH, {}, c, a), config, ProcessorModel())
        for c, a in ((counters, toggles), (whole, activity))
    )
    assert [dataclasses.asdict(stretch) for stretch in parts] == [dataclasses.asdict(stretch) for stretch in sums]


def test_the_run_folder_says_who_ran_which_block():
    decisions = np.zeros((len(GATED), 3), bool)
    decisions[0, 1] = decisions[4] = True
    counters = {"forward.0": {}, "forward.1": {}}
    one = Iteration(0, 2.0, 3, 3, {}, counters, lists={"forward.0": (0, 1, 2), "forward.1": (1,)}, decisions=decisions)
    assert _gated(one) == {"gates": ["010", "000", "000", "000", "111"], "images_by_segment": {"forward.0": 3, "forward.1": 1}}
    assert _gated(dataclasses.replace(one, decisions=np.zeros((0, 3), bool))) == {}


def test_a_method_that_skips_blocks_asks_for_a_gated_step():
    exported, _ = asked("digits-resnet14", "tiny", steps=4, batch_size=2, method="sd").export()
    assert [name for name, _ in exported.step.gated_blocks] == [f"blocks.{i}.bn2" for i in range(1, 6)]
    assert not exported.step.sequence[0].pooled and not exported.step.sequence[1].gate_sum
    exported, _ = asked("digits", "tiny", steps=4, batch_size=2, method="sd").export()
    assert exported.step.gated_blocks == (("blocks.1.bn2", 16),)


def test_blocks_beside_a_projection_are_left_alone_where_a_recipe_asks_for_that():
    wanted = asked("digits-resnet14", "tiny", steps=4, batch_size=2, method="slu")
    methods = {"slu": {"blocks": "identity"}}
    exported, _ = dataclasses.replace(wanted, recipe=dataclasses.replace(wanted.recipe, methods=methods)).export()
    assert [name for name, _ in exported.step.gated_blocks] == [f"blocks.{i}.bn2" for i in (1, 3, 5)]
    digits = asked("digits", "tiny", steps=4, batch_size=2, method="e2train")
    exported, _ = digits.export()
    assert digits.recipe.methods == methods and not exported.step.gated_blocks and not exported.step.parts
    with pytest.raises(ExportError, match="no block of the network beside an identity shortcut can be gated"):
        dataclasses.replace(digits, method="slu").export()
