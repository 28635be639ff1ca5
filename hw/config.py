"""Configurations of the core: the JSON files in hw/configs, checked and hashed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from hw import isa

CONFIGS = Path(__file__).parent / "configs"
LEAST = 4
"""Words of the smallest memory: the RTL has no zero-bit addresses, and compares more than one of their bits."""

MOST = {"acc_rows": 1 << 15, "block_words": 1 << 8, "clk_hz": 10_000_000_000}
"""Largest values where it is not 2^16 words, all that the instructions' 16-bit addresses reach."""


class ConfigError(ValueError):
    """The configuration cannot be built; the message names the entry and what would be right."""


@dataclass(frozen=True)
class Config:
    """Sizes of one core. Depths are in words of the memory concerned.

    Attributes:
        name: the file's name without suffix.
        g: the array's side; multiply-accumulates per cycle are g * g.
        a_words: operand scratchpad A, words of g bytes.
        w_words: operand scratchpad W, words of g bytes.
        acc_rows: rows of g int32 per accumulator bank; there are two banks, the bank is the address's top bit.
        vector_words: scratchpads U, V and O, words of g bytes.
        mask_words: mask scratchpads MI and MO, words of g bytes (8 vectors of g bits).
        table_words: table memory C, 64-bit words.
        program_words: scalar program memory P, 64-bit words (one 32-bit scalar instruction each).
        list_words: image list IL, 64-bit words: the count, then one image number each.
        block_words: weight-block list BL, 64-bit words.
        pass_taps: taps of a kernel that a pass of the array takes where operands have few bits: 2, or 1 for a core without paired
            taps, which are worth their logic where multipliers are 25 x 18.
        axi_bits: data width of each of the two AXI masters.
        clk_hz: core clock.
    """

    name: str
    g: int
    a_words: int
    w_words: int
    acc_rows: int
    vector_words: int
    mask_words: int
    table_words: int
    program_words: int
    list_words: int
    block_words: int
    pass_taps: int
    axi_bits: int
    clk_hz: int

    def __post_init__(self):
        if not isinstance(self.name, str) or not re.fullmatch(r"[^/\x00-\x1f]+", self.name):  # folders of builds are called so
            raise ConfigError(f"configuration {self.name!r}: a file's name is needed, without a folder")
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if entry.name != "name" and (not isinstance(value, int) or isinstance(value, bool) or value <= 0):
                raise ConfigError(f"configuration {self.name}: {entry.name} is {value!r}, not a positive integer")
        if self.g not in (4, 8, 16, 32):
            raise ConfigError(f"configuration {self.name}: g is {self.g}; the array's side is 4, 8, 16 or 32")
        if self.pass_taps not in (1, 2):
            raise ConfigError(f"configuration {self.name}: pass_taps is {self.pass_taps}; a pass takes 1 tap or 2")
        if self.axi_bits not in (32, 64) or self.axi_bits > 8 * self.g:
            raise ConfigError(f"configuration {self.name}: axi_bits is {self.axi_bits}; it is 32 or 64 and at most 8 g")
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if entry.name.endswith(("_words", "_rows")):
                most = MOST.get(entry.name, 1 << 16)
                if value & (value - 1) or not LEAST <= value <= most:
                    allowed = f"a power of two from {LEAST} to {most}"
                    raise ConfigError(f"configuration {self.name}: {entry.name} is {value}, not {allowed}")
        if self.clk_hz > MOST["clk_hz"]:
            raise ConfigError(f"configuration {self.name}: clk_hz is {self.clk_hz}; it is at most {MOST['clk_hz']}")

    @property
    def beat_bytes(self) -> int:
        """Bytes of one AXI beat, the alignment of every DDR address."""
        return self.axi_bits // 8

    @property
    def config_hash(self) -> int:
        """32-bit hash that the identity register holds: of the sizes, not of the name or the clock."""
        sizes = {k: v for k, v in dataclasses.asdict(self).items() if k not in ("name", "clk_hz")}
        text = json.dumps([isa.VERSION, sizes], sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")

    def depth(self, memory: isa.Memory) -> int:
        """Return the words of an on-chip memory."""
        return getattr(self, memory.depth)

    def word_bytes(self, memory: isa.Memory) -> int:
        """Return the bytes in a word of an on-chip memory."""
        return self.g if memory.wide else 8


def load_config(name: str) -> Config:
    """Return the configuration called `name`, or stored in the JSON file `name`.

    Raises:
        ConfigError: no such configuration, unreadable JSON, a missing, unknown or wrong entry.
    """
    path = Path(name) if name.endswith(".json") else CONFIGS / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in CONFIGS.glob("*.json")))
        raise ConfigError(f"no configuration {name!r}: known are {known}, or a path to a .json file")
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON: {error}") from None
    if not isinstance(entries, dict):
        raise ConfigError(f"{path} holds a {type(entries).__name__}, not an object of sizes")
    wanted = {f.name for f in dataclasses.fields(Config)} - {"name"}
    if set(entries) != wanted:
        wrong = {"lacks": sorted(wanted - set(entries)), "has no use for": sorted(set(entries) - wanted)}
        said = " and ".join(f"{verb} {', '.join(names)}" for verb, names in wrong.items() if names)
        raise ConfigError(f"configuration {path} {said}: it holds {', '.join(sorted(wanted))}")
    return Config(name=path.stem, **entries)
