"""PROGRAM.jg: what is packed is read back, the same bytes every time; damage, other versions and tricks end in a sentence."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from algo.recipe import load_recipe
from host.packed_program import PACKED, PARTS, digest, read_packed, write_packed
from hw.program import ProgramError, read_program
from joulegrad.bench import first_tensors
from joulegrad.packing import asked

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def packed():
    return asked("digits", "tiny", steps=3, batch_size=4, seed=5).pack()


@pytest.fixture(scope="module")
def path(packed, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "digits.jg"
    write_packed(packed, path)
    return path


def rewritten(path: Path, to: Path, change) -> Path:
    """Return a copy whose members went through change(name, data); None leaves one out."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = change(name, old.read(name))
            if data is not None:
                new.writestr(name, data)
    return to


def test_what_was_packed_comes_back(packed, path):
    found = read_packed(path)
    assert found.config == packed.config and found.recipe == packed.recipe and found.seed == 5 and found.made == packed.made
    assert found.iterations == 3 and found.program.state == packed.program.state and found.program.step == packed.program.step
    for name in PARTS:
        np.testing.assert_array_equal(getattr(found.images, name), getattr(packed.images, name))
    assert found.images.name == packed.images.name == "digits"
    assert (found.images.exponent, found.images.classes) == (packed.images.exponent, packed.images.classes)
    np.testing.assert_array_equal(found.program.image(), packed.program.image())
    for one, other in zip(batches(found), batches(packed), strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def batches(packed):
    drawn = packed.recipe.batches(packed.images, packed.seed)
    return [drawn.draw(iteration) for iteration in range(packed.iterations)]


def test_the_tensors_that_training_starts_from_are_those_that_were_exported(packed):
    exported, _ = dataclasses.replace(load_recipe("digits"), steps=3, batch=4).export(5)
    found = first_tensors(packed.program)
    assert set(found) == set(exported.tensors)
    for name, tensor in exported.tensors.items():
        np.testing.assert_array_equal(found[name], tensor)


def test_it_is_a_program_file_and_the_same_bytes_every_time(packed, path, tmp_path):
    assert read_program(path).segments == packed.program.segments
    write_packed(packed, tmp_path / "again.jg")
    assert (tmp_path / "again.jg").read_bytes() == path.read_bytes()
    assert digest(path) == digest(tmp_path / "again.jg")
    assert [one.name for one in tmp_path.iterdir()] == ["again.jg"]


def test_reading_and_drawing_need_no_torch_and_no_data_set(path):
    code = (
        "import sys; from host.packed_program import read_packed; p = read_packed(sys.argv[1]); "
        "p.recipe.batches(p.images, p.seed).draw(0); "
        "print([m for m in ('torch', 'sklearn', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("member", ["data/train.npy", "tensors/conv.weight.npy", "segments/forward.bin", PACKED])
def test_a_changed_member_is_noticed(path, tmp_path, member):
    def change(name, data):
        return data[:-1] + bytes([data[-1] ^ 1]) if name == member else data

    with pytest.raises(ProgramError):
        read_packed(rewritten(path, tmp_path / "changed.jg", change))


@pytest.mark.parametrize("member", ["data/train_labels.npy", PACKED, "manifest.json"])
def test_a_missing_member_is_noticed(path, tmp_path, member):
    with pytest.raises(ProgramError, match="export|truncated"):
        read_packed(rewritten(path, tmp_path / "less.jg", lambda name, data: None if name == member else data))


def test_a_member_more_is_noticed(path, tmp_path):
    more = rewritten(path, tmp_path / "more.jg", lambda name, data: data)
    with zipfile.ZipFile(more, "a") as archive:
        archive.writestr("more.txt", "?")
    with pytest.raises(ProgramError, match="members"):
        read_packed(more)


def test_a_truncated_or_foreign_file_is_one_sentence(path, tmp_path):
    (tmp_path / "short.jg").write_bytes(path.read_bytes()[:-5000])
    (tmp_path / "text.jg").write_text("hello")
    for name in ("short", "text", "none"):
        with pytest.raises(ProgramError, match=f"{name}.jg"):
            read_packed(tmp_path / f"{name}.jg")


def said(path: Path, to: Path, **changes) -> Path:
    """Return a copy whose packed.json says something else."""
    return rewritten(path, to, lambda n, data: json.dumps(json.loads(data) | changes).encode() if n == PACKED else data)


def test_what_does_not_belong_together_is_refused(path, tmp_path, packed):
    other = dataclasses.asdict(packed.config) | {"a_words": 2 * packed.config.a_words}
    for changes, why in (
        ({"schema": 2}, "schema 1"), ({"config": other}, "comes with tiny"), ({"classes": 3}, "labels are not all from 0 to 2"),
        ({"recipe": {"schema": 1}}, "recipe has no name"), ({"seed": "x"}, "not an integer"),
    ):  # fmt: skip
        with pytest.raises(ProgramError, match=why):
            read_packed(said(path, tmp_path / "wrong.jg", **changes))


def test_images_of_another_shape_or_pickles_are_refused(path, tmp_path):
    import hashlib

    def packed_with(array) -> Path:
        buffer = io.BytesIO()
        np.save(buffer, array)
        data = buffer.getvalue()
        with zipfile.ZipFile(path) as archive:
            hashes = json.loads(archive.read(PACKED))["sha256"]
        hashes["data/train.npy"] = hashlib.sha256(data).hexdigest()
        right = said(path, tmp_path / "hashes.jg", sha256=hashes)
        return rewritten(right, tmp_path / "images.jg", lambda name, old: data if name == "data/train.npy" else old)

    with pytest.raises(ProgramError, match="takes images"):
        read_packed(packed_with(np.zeros((1437, 1, 4, 4), np.int8)))
    with pytest.raises(ProgramError, match="not int8"):
        read_packed(packed_with(np.zeros((1437, 1, 8, 8), np.int16)))
    with pytest.raises(ProgramError, match="not int8"):
        read_packed(packed_with(np.array([{"a": 1}], object)))


def test_a_plain_program_is_no_packed_one(packed, tmp_path):
    from hw.program import write_program

    write_program(packed.program, tmp_path / "program.zip")
    with pytest.raises(ProgramError, match="without data"):
        read_packed(tmp_path / "program.zip")


def test_a_full_disk_leaves_the_old_file(packed, path, tmp_path, monkeypatch):
    target = tmp_path / "digits.jg"
    target.write_bytes(b"old")

    def full(archive, name, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("host.packed_program.add_member", full)
    with pytest.raises(OSError, match="No space left"):
        write_packed(packed, target)
    assert target.read_bytes() == b"old" and [one.name for one in tmp_path.iterdir()] == ["digits.jg"]
