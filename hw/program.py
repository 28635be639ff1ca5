"""The program file: what a board needs to run a training step, in one zip without pickles.

    manifest.json          schema, configuration name and hash, memory map, table layout, segments, the Step
    segments/<name>.bin    instructions, 64 bytes each
    tensors/<region>.npy   initial logical arrays of regions; others start as zeros
"""

from __future__ import annotations

import contextlib
import io
import json
import tokenize
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from math import prod
from pathlib import Path

import numpy as np

from algo.scaling import State
from algo.step import Step
from hw import isa
from hw.compile_table import HOST_TABLE, TableLayout
from hw.memory_map import ALIGNMENT, DDR_MAX, KINDS, MemoryMap, Region, region_bytes

SCHEMA = 2
MANIFEST_MAX = 64 << 20
HEADER_MAX = 1 << 16
MEMBER_MAX = 1 << 30
UNPACKED_MAX = 2 << 30
"""Bytes of all members together: a file of a thousandth of that may unpack to as much."""

DATE = (1980, 1, 1, 0, 0, 0)
"""Of every member, so that the same program has the same bytes."""


class ProgramError(ValueError):
    """The file is not a program that this version can run; one sentence says what was found."""


@dataclass(frozen=True)
class SegmentEntry:
    """A device segment: byte offset of its instructions from BASE, and their number."""

    address: int
    count: int


@dataclass
class Program:
    """A compiled step.

    Attributes:
        config_name, config_hash: the configuration it was compiled for.
        memory: regions of DDR; `memory.encode` and `memory.decode` turn logical arrays into their bytes and back.
        table: word offsets in the region "host_table".
        segments: name to address and count; "clear" zeroes the accumulators and is run once before the first segment.
        code: name to instruction bytes.
        owners: segment to, per instruction, the position of the step's node that it works for, -1 for none; empty for a kernel.
        tensors: initial logical arrays by region.
        step: the step it was compiled from; None for a kernel.
        state: exponents, seed and hyper-parameters to start from, where the step came with them.
    """

    config_name: str
    config_hash: int
    memory: MemoryMap
    table: TableLayout
    segments: dict[str, SegmentEntry]
    code: dict[str, bytes]
    tensors: dict[str, np.ndarray] = field(default_factory=dict)
    step: Step | None = None
    state: State | None = None
    owners: dict[str, list[int]] = field(default_factory=dict)

    @property
    def ddr_bytes(self) -> int:
        """Bytes of DDR that the program uses from BASE."""
        return self.memory.size

    def image(self) -> np.ndarray:
        """Return the initial DDR contents, uint8 (ddr_bytes,)."""
        ddr = np.zeros(self.ddr_bytes, np.uint8)
        for name, array in self.tensors.items():
            self.memory.write(ddr, name, array)
        for name, entry in self.segments.items():
            ddr[entry.address : entry.address + len(self.code[name])] = np.frombuffer(self.code[name], np.uint8)
        return ddr

    def words(self) -> tuple[tuple[int, bytes], ...]:
        """Return (address, content) of the regions of 64-bit words that do not change in a run: scalar programs and lists."""
        regions = {name: self.memory[name] for name in self.tensors if name != HOST_TABLE or self.step is None}
        found = {name: region.offset for name, region in regions.items() if region.kind == "words"}
        return tuple((offset, self.memory.encode(name, self.tensors[name]).tobytes()) for name, offset in found.items())

    def nodes(self, segment: str) -> list[int]:
        """Return, per instruction of a segment, the position of the step's node that it works for, -1 for none."""
        return self.owners.get(segment, [-1] * (len(self.code[segment]) // isa.INSTRUCTION_BYTES))

    def instructions(self, segment: str) -> list[isa.Instruction]:
        """Return the decoded instructions of a segment."""
        code, size = self.code[segment], isa.INSTRUCTION_BYTES
        return [replace(isa.decode(code[size * i : size * (i + 1)]), node=node) for i, node in enumerate(self.nodes(segment))]


def write_program(program: Program, path: Path) -> None:
    """Write the program file; where that fails, what was written of it is taken away.

    Raises:
        OSError: it cannot be written.
        ProgramError: it would be larger than what is read.
    """
    manifest = {
        "schema": SCHEMA, "isa": isa.VERSION, "config": {"name": program.config_name, "hash": program.config_hash},
        "g": program.memory.g, "ddr_bytes": program.memory.size,
        "regions": [asdict(region) for region in program.memory.regions.values()], "table": asdict(program.table),
        "segments": {name: asdict(entry) for name, entry in program.segments.items()}, "tensors": sorted(program.tensors),
        "owners": program.owners,
        "step": program.step.to_json() if program.step else None,
        "state": program.state.to_json() if program.state else None,
    }
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            add_member(archive, "manifest.json", json.dumps(manifest).encode())
            for name, code in program.code.items():
                add_member(archive, f"segments/{name}.bin", code)
            for name, array in program.tensors.items():
                add_member(archive, f"tensors/{name}.npy", array_bytes(array))
    except (OSError, ProgramError):
        if path.is_file():
            path.unlink()
        raise


def add_member(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Put a member into an archive that is written. Raises ProgramError where it would not be read."""
    if len(data) > MEMBER_MAX:
        raise ProgramError(f"{name} takes {len(data)} bytes; a program file holds at most {MEMBER_MAX} of one array")
    info = zipfile.ZipInfo(name, DATE)
    info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    archive.writestr(info, data)


def array_bytes(array: np.ndarray) -> bytes:
    """Return an array as a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def read_program(path: Path) -> Program:
    """Return the program in a file.

    Raises:
        ProgramError: no such file, not a program, truncated, of another version, or inconsistent.
    """
    with opened(path) as archive:
        return _read(archive, path)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Give the archive in a program file; whatever is wrong with it inside the block becomes a ProgramError."""
    try:
        with zipfile.ZipFile(path) as archive:
            check_unpacked(archive, path)
            yield archive
    except ProgramError:
        raise
    except FileNotFoundError:
        raise ProgramError(f"{path}: no such program file") from None
    except (OSError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError) as error:
        raise ProgramError(f"{path} is not a whole program file: {error}") from None
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise ProgramError(f"{path} is not a program of this version: {type(error).__name__}: {error}") from None
    except Exception as error:
        if type(error).__module__ in ("zlib", "lzma"):
            raise ProgramError(f"{path} is damaged: {error}") from None
        raise


def check_unpacked(archive: zipfile.ZipFile, path: Path) -> None:
    """Raise ProgramError where all members together are larger than what is read."""
    total = sum(info.file_size for info in archive.infolist())
    if total > UNPACKED_MAX:
        raise ProgramError(f"{path} unpacks to {total} bytes; at most {UNPACKED_MAX} are read")


def read_member(archive: zipfile.ZipFile, path: Path, name: str, limit: int) -> bytes:
    """Return a member of at most `limit` bytes. Raises ProgramError where it is missing or larger."""
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise ProgramError(f"{path} has no member {name}: it is not a program file, or a truncated one") from None
    if info.file_size > limit:
        raise ProgramError(f"{path}: member {name} claims {info.file_size} bytes; at most {limit} are read")
    with archive.open(info) as stream:
        data = stream.read(limit + 1)
    if len(data) != info.file_size:
        raise ProgramError(f"{path}: member {name} holds {len(data)} bytes instead of {info.file_size}")
    return data


def _read(archive: zipfile.ZipFile, path: Path) -> Program:
    manifest = json.loads(read_member(archive, path, "manifest.json", MANIFEST_MAX))
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA or manifest.get("isa") != isa.VERSION:
        raise ProgramError(f"{path} is no program of schema {SCHEMA} for instruction set {isa.VERSION}; compile it again")
    memory = _memory(manifest, path)
    table = manifest["table"]
    offsets = {kind: {str(k): _whole(v) for k, v in table[kind].items()} for kind in ("records", "scalars", "maxima")}
    layout = TableLayout(**offsets, words=_whole(table["words"]))
    segments, code = {}, {}
    for name, entry in manifest["segments"].items():
        segments[name] = SegmentEntry(_whole(entry["address"]), _whole(entry["count"]))
        size = segments[name].count * isa.INSTRUCTION_BYTES
        if size > MEMBER_MAX or segments[name].address + size > memory.size:
            raise ProgramError(f"{path}: segment {name} of {segments[name].count} instructions lies outside the program's memory")
        code[name] = read_member(archive, path, f"segments/{name}.bin", size)
        if len(code[name]) != size:
            raise ProgramError(f"{path}: segment {name} has {len(code[name])} bytes instead of {size}")
    if len(set(manifest["tensors"])) != len(manifest["tensors"]):
        raise ProgramError(f"{path} names an initial tensor twice: each is read once")
    tensors = {name: _tensor(archive, path, memory, name) for name in manifest["tensors"]}
    step = Step.from_json(manifest["step"]) if manifest["step"] is not None else None
    state = State.from_json(manifest["state"]) if manifest["state"] is not None else None
    config = manifest["config"]
    owners = {name: [int(node) for node in nodes] for name, nodes in manifest["owners"].items()}
    _check_owners(owners, segments, step, path)
    return Program(str(config["name"]), _whole(config["hash"]), memory, layout, segments, code, tensors, step, state, owners)


def _check_owners(owners: dict[str, list[int]], segments: dict[str, SegmentEntry], step: Step | None, path: Path) -> None:
    for name, nodes in owners.items():
        if name not in segments or step is None or len(nodes) != segments[name].count:
            raise ProgramError(f"{path}: the owners of segment {name} are {len(nodes)}, which is not its number of instructions")
        if not all(-1 <= node < len(step.segments[name]) for node in nodes):
            raise ProgramError(f"{path}: an instruction of segment {name} belongs to a node that the step does not have")


def _whole(value) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= DDR_MAX:
        raise ValueError(f"{value!r} is not an integer from 0 to {DDR_MAX}")
    return value


def _memory(manifest: dict, path: Path) -> MemoryMap:
    g = _whole(manifest["g"])
    memory = MemoryMap(g, {}, _whole(manifest["ddr_bytes"]))
    if g not in (4, 8, 16, 32):
        raise ProgramError(f"{path}: an array side of {g} is none of 4, 8, 16, 32")
    for entry in manifest["regions"]:
        shape = tuple(_whole(s) for s in entry["shape"])
        region = Region(str(entry["name"]), entry["kind"], shape, *(_whole(entry[key]) for key in ("offset", "size", "pitch")))
        if region.kind not in KINDS or region.size != region_bytes(region.kind, shape, g, region.pitch):
            raise ProgramError(f"{path}: region {region.name} ({region.kind} {shape}) does not take {region.size} bytes")
        if region.offset + region.size > memory.size:
            raise ProgramError(f"{path}: region {region.name} lies outside the program's {memory.size} bytes")
        memory.regions[region.name] = region
    end = max((region.offset + region.size for region in memory.regions.values()), default=0)
    if memory.size - end >= ALIGNMENT:  # whoever runs it makes room for as much
        raise ProgramError(f"{path}: the program claims {memory.size} bytes of memory, but its regions end at {end}")
    return memory


def _tensor(archive: zipfile.ZipFile, path: Path, memory: MemoryMap, name: str) -> np.ndarray:
    if name not in memory.regions:
        raise ProgramError(f"{path}: initial tensor {name} has no region")
    # Elements take at most 8 bytes; npy headers fit 64 KiB.
    data = read_member(archive, path, f"tensors/{name}.npy", min(MEMBER_MAX, 8 * memory[name].size + HEADER_MAX))
    shape, dtype = array_header(data, path, name)
    if shape != memory[name].shape or dtype.kind not in "biu":
        raise ProgramError(f"{path}: tensor {name} is {dtype} {shape}, but its region holds integers {memory[name].shape}")
    return load_array(data, shape, dtype, path, name)


def load_array(data: bytes, shape: tuple[int, ...], dtype: np.dtype, path: Path, name: str) -> np.ndarray:
    """Return the array of a .npy file with this header. Raises ProgramError, before memory is taken, where it is not as large."""
    size = prod(shape) * dtype.itemsize
    if not size <= len(data) <= size + HEADER_MAX:
        raise ProgramError(f"{path}: tensor {name} is {dtype} {shape}, {size} bytes, but its member has {len(data)}")
    return np.load(io.BytesIO(data), allow_pickle=False)


def array_header(data: bytes, path: Path, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Return shape and type of a .npy file. Raises ProgramError where it is of another version, or its header is none."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read_header is None:
        raise ProgramError(f"{path}: tensor {name} is an npy file of version {version}, not 1.0 or 2.0")
    try:
        shape, _, dtype = read_header(stream)
    except (SyntaxError, tokenize.TokenError) as error:
        raise ProgramError(f"{path}: tensor {name} has a header that is none of an npy file: {error}") from None
    return shape, dtype
