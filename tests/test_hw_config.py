"""Configurations that cannot be built are refused with the entry, what was found and what would be right."""

from __future__ import annotations

import dataclasses
import json

import pytest

from host.board import BoardError, open_board
from host.kernel import run_kernel
from host.pynq_bitstream import find
from hw.compile_kernel import compile_kernel
from hw.config import CONFIGS, ConfigError, load_config

TINY = json.loads((CONFIGS / "tiny.json").read_text())


def stored(tmp_path, text: str | bytes):
    path = tmp_path / "own.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_a_file_of_ones_own_is_named_after_the_file(tmp_path):
    config = load_config(stored(tmp_path, json.dumps(TINY)))
    assert config.name == "own" and config.config_hash == load_config("tiny").config_hash


@pytest.mark.parametrize("name", ["../../tiny", "/tmp/tiny", "", "a\0b", "a\nb", None, ["tiny"]])
def test_a_name_is_that_of_a_file_and_leads_nowhere_else(name):
    """Folders of builds are named after it, and a PROGRAM.jg may say any."""
    with pytest.raises(ConfigError, match="a file's name is needed, without a folder"):
        dataclasses.replace(load_config("tiny"), name=name)


@pytest.mark.parametrize("name", ["**", "tiny [2]"])
def test_a_bitstream_is_found_by_any_name_that_a_file_may_have(tmp_path, monkeypatch, name):
    folder = tmp_path / "build" / f"pynq-z2-{name}"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BoardError, match="is no manifest of a bitstream"):
        find("", dataclasses.replace(load_config("tiny"), name=name), "")


@pytest.mark.parametrize(
    ("entry", "value", "words"),
    [
        ("g", 5, "g is 5; the array's side is 4, 8, 16 or 32"),
        ("a_words", "1024", "a_words is '1024', not a positive integer"),
        ("a_words", -4, "a_words is -4, not a positive integer"),
        ("a_words", 1000, "a_words is 1000, not a power of two from 4 to 65536"),
        ("a_words", 1 << 40, "not a power of two from 4 to 65536"),
        ("mask_words", 2, "mask_words is 2, not a power of two from 4"),
        ("acc_rows", 1 << 16, "not a power of two from 4 to 32768"),
        ("block_words", 512, "not a power of two from 4 to 256"),
        ("clk_hz", 1e8, "clk_hz is 100000000.0, not a positive integer"),
        ("clk_hz", 10**30, "it is at most 10000000000"),
        ("pass_taps", 3, "pass_taps is 3; a pass takes 1 tap or 2"),
        ("axi_bits", 64, "axi_bits is 64; it is 32 or 64 and at most 8 g"),
    ],
)
def test_sizes_that_cannot_be(tmp_path, entry, value, words):
    with pytest.raises(ConfigError, match=words):
        load_config(stored(tmp_path, json.dumps({**TINY, entry: value})))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "holds a list, not an object of sizes"),
        (json.dumps({k: v for k, v in TINY.items() if k != "g"}), "lacks g: it holds a_words"),
        (json.dumps({**TINY, "h": 1}), "has no use for h: it holds a_words"),
    ],
)
def test_files_that_are_none(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words):
        load_config(stored(tmp_path, text))


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("*.json")))
def test_every_named_configuration_computes(name):
    """A product with edges that fill no block is compiled, exact on the golden model, its counters as predicted."""
    config = load_config(name)
    for kind in ("forward", "grad_input", "grad_weight"):
        kernel = compile_kernel(kind, 1, 40, 36, 6, 5, 3, 1, 1, config)
        with open_board("golden", config) as board:
            result = run_kernel(board, kernel)
        assert result.exact and result.counter_difference is None
