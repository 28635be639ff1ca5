"""A PROGRAM.jg whose parts do not fit each other, though all hashes are right, is refused before a run, in one sentence."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packed_programs import program_file

from host.packed_program import PACKED, read_packed
from hw.program import ProgramError

ROOT = Path(__file__).parents[1]
MANIFEST = "manifest.json"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return program_file(tmp_path_factory.mktemp("rehearsal"))


def said(path: Path, to: Path, change, of: str = MANIFEST) -> Path:
    """Return a copy whose manifest, or packed.json, went through `change`, with the hashes that belong to it."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    data = json.loads(members[of])
    change(data)
    members[of] = json.dumps(data).encode()
    packed = json.loads(members[PACKED])
    packed["sha256"] = {name: hashlib.sha256(member).hexdigest() for name, member in members.items() if name != PACKED}
    members[PACKED] = json.dumps(packed).encode()
    with zipfile.ZipFile(to, "w") as new:
        for name, member in members.items():
            new.writestr(name, member)
    return to


def test_what_nothing_was_changed_in_is_read(path, tmp_path):
    assert read_packed(said(path, tmp_path / "same.jg", lambda data: None)).seed == 0


def at(*keys, value=None):
    """Return a change: what stands at `keys` is replaced, or taken away where there is no value."""

    def change(data):
        for key in keys[:-1]:
            data = data[key]
        if value is None:
            del data[keys[-1]]
        else:
            data[keys[-1]] = value

    change.__name__ = ".".join(map(str, keys))
    return change


@pytest.mark.parametrize(
    ("change", "of"),
    [
        (at("state", "exponents", "linear.weight.master"), MANIFEST),
        (at("table", "records", "blocks.2.conv2"), MANIFEST),
        (at("table", "scalars", "linear.forward", value=100_000), MANIFEST),
        (at("table", "maxima", "blocks.1.bn2.grad"), MANIFEST),
        (at("step", "followers", "linear.weight", value="nothing"), MANIFEST),
        (at("step", "scalars", "bn.backward", 0, value="unheard of"), MANIFEST),
        (at("step", "fold", "pad", value=1), MANIFEST),
        (at("step", "records", "linear.weight.w", "a", "factor", value="1/0"), MANIFEST),
        (at("step", "weights", "linear.weight", "shape", value=[4, 16, 1, 2]), MANIFEST),
        (at("recipe", "batch", value=4), PACKED),
        (at("method", value="slu"), PACKED),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_parts_that_do_not_fit_each_other_are_refused(path, tmp_path, change, of):
    with pytest.raises(ProgramError, match="wrong.jg"):
        read_packed(said(path, tmp_path / "wrong.jg", change, of))


def product(*keys, value):
    """Return a change of the first product of the backward segment."""

    def change(data):
        found = next(node["product"] for node in data["step"]["segments"]["backward"] if node.get("product"))
        at(*keys, value=value)(found)

    change.__name__ = ".".join(map(str, keys))
    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (product("out_shape", value=7), r"product.out_shape is 7; a list is needed"),
        (product("in_shape", value=[4, 4]), r"product.in_shape is \[4, 4\]; a list of 3 is needed"),
        (product("kernel", 0, value={}), r"product.kernel.0 is {}; a whole number is needed"),
        (product("depthwise", value=1), "product.depthwise is 1; true or false is needed"),
        (at("step", "segments", "backward", 0, "node", value=["Compute"]), "a node that is one of Compute, Update"),
        (at("step", "segments", "backward", 0, "more", value=1), "backward.0 is 'more'; one of the fields"),
        (at("step", "tensors", "x", "versions", value=1.5), "step.tensors.x.versions is 1.5; a whole number"),
        (at("step", "tensors", "x", "role"), "role of Tensor is needed"),
        (at("step", "records", "conv", "share", value=-1), "step.records.conv.share is -1; a text is needed"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_fields_of_the_step_are_of_their_kind(path, tmp_path, change, why):
    with pytest.raises(ProgramError, match=why):
        read_packed(said(path, tmp_path / "wrong.jg", change))


@pytest.mark.parametrize(
    "change", [at("state", "seed", value=7), at("state", "exponents", "x", value=-5)], ids=["seed", "exponent"]
)
def test_numbers_of_the_first_iteration_are_those_of_step_and_state(path, tmp_path, change):
    with pytest.raises(ProgramError, match="numbers of its first iteration"):
        read_packed(said(path, tmp_path / "wrong.jg", change))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (at("seed", value=7), "asks for seed 7, but it starts with 0"),
        (at("seed", value=1 << 70), "asks for seed"),
        (at("recipe", "sgd", "lr", value="1/5"), r"asks for optimiser .*1, 5.* but it starts with .*1, 10"),
        (at("recipe", "steps", value=300), "asks for optimiser .*steps=300.* but it starts with .*steps=3"),
    ],
    ids=["seed", "large seed", "learning rate", "steps"],
)
def test_a_run_is_what_its_recipe_says(path, tmp_path, change, why):
    """Nothing hashes packed.json itself: a seed or a number of steps may be edited there, and weights and schedule stay."""
    with pytest.raises(ProgramError, match=why):
        read_packed(said(path, tmp_path / "wrong.jg", change, PACKED))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (at("state", "exponents", "pool", value=1 << 32), "exponent 4294967296"),
        (at("step", "records", "linear.weight.w", "a", "factor", value="1e999999999"), "no number that can be meant"),
        (at("ddr_bytes", value=1 << 32), "claims 4294967296 bytes"),
    ],
)
def test_numbers_that_would_take_all_memory_or_all_time_are_refused(path, tmp_path, change, why):
    with pytest.raises(ProgramError, match=why):
        read_packed(said(path, tmp_path / "wrong.jg", change))


def test_the_command_says_one_sentence(path, tmp_path):
    wrong = said(path, tmp_path / "wrong.jg", at("state", "exponents", "linear.weight.master"))
    command = [sys.executable, "-m", "joulegrad.cli", "bench", str(wrong), "--board", "golden", "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 1 and "Traceback" not in done.stderr and "wrong.jg" in done.stderr
    assert not (tmp_path / "run").exists()
