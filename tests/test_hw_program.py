"""The program file: round trip, and foreign, truncated or hostile files."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from hw.compile_kernel import compile_kernel
from hw.config import load_config
from hw.program import ProgramError, read_program, write_program


@pytest.fixture
def program():
    return compile_kernel("forward", 2, 5, 6, 5, 5, 3, 1, 1, load_config("tiny")).program


@pytest.fixture
def path(program, tmp_path):
    write_program(program, tmp_path / "kernel.jgp")
    return tmp_path / "kernel.jgp"


def rewrite(path, change, tensors=()):
    """Write the archive again with a changed manifest and other members replaced."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members["manifest.json"])
    change(manifest)
    members["manifest.json"] = json.dumps(manifest).encode()
    members.update(tensors)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_round_trip(program, path):
    found = read_program(path)
    assert (found.config_name, found.config_hash) == ("tiny", load_config("tiny").config_hash)
    assert found.memory == program.memory and found.table == program.table
    assert found.segments == program.segments and found.code == program.code
    assert found.tensors.keys() == program.tensors.keys()
    assert np.array_equal(found.image(), program.image())
    assert found.step is None and found.state is None


def test_nothing_is_left_of_a_file_that_does_not_fit_the_disk(program, tmp_path, monkeypatch):
    def full(array):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hw.program.array_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_program(program, tmp_path / "half.zip")
    assert not list(tmp_path.glob("half*"))


def test_truncated_anywhere(path):
    data = path.read_bytes()
    for size in (0, 1, 30, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(ProgramError) as error:
            read_program(path)
        assert "\n" not in str(error.value)


def test_flipped_bytes_never_escape(path):
    """Whatever byte is wrong, the file is read as it was or refused with a ProgramError."""
    data = path.read_bytes()
    refused = 0
    for at in range(0, len(data), 37):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x5A]) + data[at + 1 :])
        try:
            read_program(path)
        except ProgramError:
            refused += 1
    assert refused > len(data) // 37 // 2


@pytest.mark.parametrize("change, message", [
    (lambda m: m.update(schema=1), "schema"),
    (lambda m: m.update(isa=99), "instruction set"),
    (lambda m: m.update(g=5), "array side of 5"),
    (lambda m: m.pop("table"), "not a program of this version"),
    (lambda m: m["segments"]["kernel"].update(count=1 << 30), "outside the program"),
    (lambda m: m["segments"]["kernel"].update(count=1), "claims"),
    (lambda m: m["segments"]["kernel"].update(address=-64), "not an integer"),
    (lambda m: m["regions"][2].update(offset=1 << 31), "outside the program"),
    (lambda m: m["regions"][2].update(size=8), "does not take"),
    (lambda m: m["regions"][2].update(kind="picture"), "does not take"),
    (lambda m: m["tensors"].append("../x"), "has no region"),
    (lambda m: m.update(ddr_bytes=1 << 40), "not an integer"),
    (lambda m: m.update(step={"batch": 3}), "not a program of this version"),
    (lambda m: m.update(regions=3), "not a program of this version"),
    (lambda m: m.update(owners={"kernel": [0]}), "owners of segment kernel"),
])
def test_inconsistent_manifests(path, change, message):
    rewrite(path, change)
    with pytest.raises(ProgramError, match=message) as error:
        read_program(path)
    assert "\n" not in str(error.value)


def test_tensors_are_not_pickles_and_have_their_region_s_shape(path, tmp_path):
    np.save(tmp_path / "evil.npy", np.array([{"a": 1}], object), allow_pickle=True)
    rewrite(path, lambda m: None, {"tensors/x.npy": (tmp_path / "evil.npy").read_bytes()})
    with pytest.raises(ProgramError, match="its region holds integers"):
        read_program(path)
    np.save(tmp_path / "short.npy", np.zeros((1, 1), np.int8))
    rewrite(path, lambda m: None, {"tensors/x.npy": (tmp_path / "short.npy").read_bytes()})
    with pytest.raises(ProgramError, match="its region holds integers"):
        read_program(path)


def test_a_member_that_unpacks_to_too_much_is_not_read(path):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["tensors/x.npy"] = b"\0" * (1 << 24)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(ProgramError, match="claims 16777216 bytes"):
        read_program(path)


def test_members_that_together_unpack_to_too_much_are_not_read(path, monkeypatch):
    """A small file may hold any number of members that are zeros."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"zeros{number}", b"\0" * (1 << 20))
    monkeypatch.setattr("hw.program.UNPACKED_MAX", 1 << 21)
    with pytest.raises(ProgramError, match=r"unpacks to \d+ bytes; at most 2097152 are read"):
        read_program(path)


def test_a_tensor_is_read_once(path):
    rewrite(path, lambda m: m["tensors"].append(m["tensors"][0]))
    with pytest.raises(ProgramError, match="names an initial tensor twice"):
        read_program(path)


def npy(header: str) -> bytes:
    """Return a .npy file of a header alone."""
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


@pytest.mark.parametrize("header, message", [
    ("(" * 3000, "a header that is none of an npy file"),
    ("  x\n y", "a header that is none of an npy file|not a program of this version"),
    ("{'descr': '<i8', 'fortran_order': False, 'shape': SHAPE}", "but its member has"),
])  # fmt: skip
def test_npy_headers_that_lie_are_refused_before_memory_is_taken(program, path, header, message):
    shape = repr(program.memory["x"].shape)
    rewrite(path, lambda m: None, {"tensors/x.npy": npy(header.replace("SHAPE", shape))})
    with pytest.raises(ProgramError, match=message) as error:
        read_program(path)
    assert "\n" not in str(error.value)


def test_nothing_is_written_that_would_not_be_read(program, tmp_path, monkeypatch):
    monkeypatch.setattr("hw.program.MEMBER_MAX", 1000)
    with pytest.raises(ProgramError, match="holds at most 1000 of one array"):
        write_program(program, tmp_path / "large.zip")
    assert not list(tmp_path.iterdir())


def test_foreign_files(tmp_path):
    with pytest.raises(ProgramError, match="no such program file"):
        read_program(tmp_path / "absent")
    (tmp_path / "text").write_text("not a zip")
    with pytest.raises(ProgramError, match="not a whole program file"):
        read_program(tmp_path / "text")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("hello", "x")
    with pytest.raises(ProgramError, match="has no member manifest.json"):
        read_program(tmp_path / "other.zip")
    with pytest.raises(ProgramError):
        read_program(tmp_path)
