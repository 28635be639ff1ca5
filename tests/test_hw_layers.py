"""Counts by layer: together they are the segment's, each weight layer has its three products, names are the module's."""

from __future__ import annotations

from collections import Counter

import pytest

from algo.train import export_digits
from hw.compile import compile_step
from hw.config import load_config
from hw.layers import SEGMENT, counters_by_layer, owner
from hw.predict import predict_counters
from hw.program import read_program, write_program


@pytest.fixture(scope="module")
def program():
    exported, _ = export_digits(0, 10, 8)
    return compile_step(exported.step, load_config("tiny"), exported.tensors, exported.state)


@pytest.mark.parametrize("segment", ["forward", "backward", "eval"])
def test_the_layers_together_are_the_segment(program, segment):
    config, total = load_config("tiny"), Counter()
    for counted in counters_by_layer(program, segment, 5, config).values():
        total.update(counted)
    expected = predict_counters(program, segment, 5, config)
    assert {name: total[name] for name in expected} == expected


def test_every_weight_has_its_products_and_only_the_modules_are_named(program):
    config = load_config("tiny")
    work: dict[str, set[str]] = {}
    for segment in ("forward", "backward"):
        for layer, kind in counters_by_layer(program, segment, 8, config):
            work.setdefault(layer, set()).add(kind)
    for name in program.step.weights:
        layer = name.removesuffix(".weight")
        wanted = {"forward", "grad_weight"} | ({"grad_input"} if layer != "conv" else set())
        assert wanted <= work[layer], layer
    modules = {"conv", "bn", "pool", "linear", SEGMENT} | {
        f"blocks.{i}.{name}" for i in (0, 1) for name in ("conv1", "conv2", "bn1", "bn2")} | {
        "blocks.1.shortcut.0", "blocks.1.shortcut.1"}  # fmt: skip
    assert set(work) == modules


def test_macs_of_a_layer_are_those_of_its_product(program):
    """A padded 3 x 3 product of 16 channels leaves out the taps that lie outside; what is counted is G * G per slot in range."""
    config = load_config("tiny")
    counted = counters_by_layer(program, "forward", 8, config)["blocks.0.conv2", "forward"]
    k, c, _, _ = program.step.weights["blocks.0.conv2.weight"].shape
    _, height, width = next(n for n in program.step.segments["forward"] if n.name == "blocks.0.conv2").shape
    taps = (3 * height - 2) * (3 * width - 2)
    assert counted["macs_int8"] == 8 * k * c * taps


def test_owners_survive_the_program_file(program, tmp_path):
    write_program(program, tmp_path / "p.zip")
    read = read_program(tmp_path / "p.zip")
    assert read.owners == program.owners
    assert owner(read.step, "forward", -1) == (SEGMENT, "tables")
