"""The instruction set, tables and register map: the one place where they are written down.

hw/isa_package.py writes the SystemVerilog package `joulegrad_pkg` from these tables, so RTL, golden
model, compiler and drivers cannot disagree. Meaning of the fields, loop by loop: hw/architecture.md.

An instruction is 64 bytes, fields packed from bit 0 upwards in the order of the table, little endian;
every bit above the last field is zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from algo import arithmetic, scalar_ops

INSTRUCTION_BYTES = 64
VERSION = 5
IDENTITY = int.from_bytes(b"JGC1", "little")

ENGINES = ("load", "array", "vector", "coefficient", "store")
"""Engine i owns bit i of every wait and signal mask and opcode i + 1."""


@dataclass(frozen=True)
class Field:
    """One field of an instruction; `positive` fields are malformed when zero, those with `most` when larger."""

    name: str
    bits: int
    doc: str
    signed: bool = False
    positive: bool = False
    most: int | None = None


HEADER = (
    Field("opcode", 4, "engine number + 1"),
    Field("wait", 5, "engines to take one token from before starting; the own bit is 0"),
    Field("signal", 5, "engines to give one token to when done; the own bit is 0"),
    Field("spare", 2, "zero"),
)

_TRANSFER = (
    Field("mem", 4, "memory, number in MEMORIES"),
    Field("clip", 1, "run for clamp(count - slot, 0, n_img) images"),
    Field("use_list", 1, "image i is image list[1 + slot + i] instead of i"),
    Field("base", 16, "first word in the memory"),
    Field("addr", 32, "byte offset from BASE in DDR; address of every run a multiple of the memory's word"),
    Field("n_img", 12, "images", positive=True),
    Field("img_stride", 32, "bytes between images"),
    Field("n_grp", 10, "groups (runs) in an image", positive=True),
    Field("grp_stride", 32, "bytes between groups"),
    Field("run", 16, "consecutive words of a group", positive=True),
    Field("slot", 12, "position in the mini-batch of image 0"),
)

ARRAY_FIELDS = (
    Field("os", 1, "output-stationary (grad_weight); else weight-stationary"),
    Field("transpose", 1, "weight block transposed on its way in (grad_input)"),
    Field("scatter", 1, "the strided coordinate is the accumulator's; else operand A's"),
    Field("hold_weights", 1, "one weight block for all taps: load it once per (kb, red)"),
    Field("select", 1, "operand A is kept where the index word equals the tap, else 0"),
    Field("acc_max", 1, "accumulate by maximum of ((x + 128) << 8 | 255 - tap)"),
    Field("use_blocks", 1, "skip passes whose bit in the weight-block list is 0"),
    Field("clip", 1, "run for clamp(count - slot, 0, n_img) images"),
    Field("product", 2, "counter: 0 forward, 1 grad_input, 2 grad_weight, 3 pool"),
    Field("n_kb", 8, "output channel groups", positive=True),
    Field("n_red", 8, "reduction channel groups", positive=True),
    Field("n_ky", 5, "kernel rows", positive=True),
    Field("n_kx", 5, "kernel columns", positive=True),
    Field("n_img", 12, "images", positive=True),
    Field("n_y", 10, "rows of the plain side", positive=True),
    Field("n_x", 10, "columns of the plain side", positive=True),
    Field("stride", 4, "stride of the strided side", positive=True),
    Field("oy", 12, "row offset of the strided side (minus padding, plus tile origin)", signed=True),
    Field("ox", 12, "column offset of the strided side", signed=True),
    Field("h", 11, "rows of the strided side that exist", positive=True),
    Field("w", 11, "columns of the strided side, also its pitch", positive=True),
    Field("a_base", 16, "operand A: first word"),
    Field("a_step_red", 16, "operand A: words per reduction group"),
    Field("a_step_img", 16, "operand A: words per image"),
    Field("b_base", 16, "W scratchpad: first word of weights (ws) or of the second pixel operand (os)"),
    Field("b_step_kb", 16, "W scratchpad: words per output group"),
    Field("b_step_red", 16, "W scratchpad: words per reduction group (ws)"),
    Field("b_step_tap", 16, "W scratchpad: words per tap (ws)"),
    Field("b_step_img", 16, "W scratchpad: words per image (os)"),
    Field("c_base", 16, "accumulator: first row"),
    Field("c_step_kb", 16, "accumulator: rows per output group"),
    Field("c_step_red", 16, "accumulator: rows per reduction group (os)"),
    Field("c_step_img", 16, "accumulator: rows per image (ws)"),
    Field("idx_base", 16, "W scratchpad: first word of the max-pool indices (select)"),
    Field("slot", 12, "position in the mini-batch of image 0"),
    Field("blocks_base", 8, "weight-block list: first 64-bit word"),
    Field("a_drop", 3, "bits dropped of operand A, which is rounded to nearest (os)"),
    Field("b_drop", 3, "bits dropped of the second operand, which is rounded by the dither (os)"),
    Field("dither", arithmetic.DITHER_BITS, "index of the dither at image 0's first pixel (os)"),
    Field("pair", 1, "each pass is two taps, kx and kx + stride, of operands of few bits: four products per multiplier (os)"),
    Field("down", 1, "lines of pixels go down columns, and a pass is the taps ky and ky + stride (pair)"),
    Field("c_step_tap", 16, "accumulator: rows per pass of ky and kx (os)"),
    Field("c_step_pair", 16, "accumulator: rows from a pass's first tap to its second (pair)"),
)

VECTOR_FIELDS = (
    Field("u_src", 3, "0 none, 1 U int8, 2 U int32, 3 acc, 4 acc max value, 5 acc max index"),
    Field("acc_clear", 1, "write zero behind each accumulator row read"),
    Field("v_src", 2, "0 none, 1 V int8, 2 V int32"),
    Field("dst", 2, "0 none, 1 O, 2 U, 3 V"),
    Field("dst_wide", 1, "24-bit values in 32-bit words (4 words per vector); else int8"),
    Field("per_channel", 1, "A, B, D per lane from the channel table; else from the record"),
    Field("stochastic", 1, "noise instead of one half before the last shift"),
    Field("post", 2, "0 none, 1 relu, 2 sign, 3 soft threshold"),
    Field("mask_in", 1, "zero where the mask from MI is 0"),
    Field("mask_out", 1, "write to MO where the sum is above 0 before rounding"),
    Field("sums", 1, "accumulate per-channel sums of the int8 result"),
    Field("sums_v", 1, "second sum is of result * v; else of result squared"),
    Field("sums_first", 1, "sums replace the table's; else they are added to it"),
    Field("max", 1, "raise the maximum word by max |result| before saturation"),
    Field("clip", 1, "run for clamp(count - slot, 0, n_img) images"),
    Field("su", 5, "right shift of u before it saturates to 25 bits"),
    Field("sv", 5, "right shift of v before it saturates to 25 bits"),
    Field("u_base", 16, "first word in U, or first row of the accumulator"),
    Field("v_base", 16, "first word in V"),
    Field("o_base", 16, "first word of the destination"),
    Field("mi_base", 16, "first word in MI"),
    Field("mo_base", 16, "first word in MO"),
    Field("n_img", 12, "images", positive=True),
    Field("img_px", 16, "vectors per image", positive=True),
    Field("slot", 12, "position in the mini-batch of image 0"),
    Field("c_coef", 16, "channel table: word AB of lane 0 (D is the next word)"),
    Field("c_stride", 8, "channel table: words per channel"),
    Field("c_rec", 16, "record: first of four words"),
    Field("c_sum", 16, "channel table: word S1 of lane 0 (S2 is the next word)"),
    Field("c_max", 16, "maximum word"),
    Field("px0", 24, "noise: pixel number in the image of vector 0"),
    Field("px_total", 24, "noise: pixels per image of the whole tensor"),
    Field("ch0", 16, "noise: channel of lane 0"),
    Field("sign_of", 1, "the sign of what post leaves; with soft threshold the sign where |y| is above the threshold, else 0"),
    Field("byte", 2, "0 none, 1 the high, 2 the low byte of the result, saturated to 16 bits", most=2),
)

COEFFICIENT_FIELDS = (
    Field("pc", 12, "first instruction in P"),
    Field("length", 12, "scalar instructions", positive=True),
    Field("ch_base", 16, "C memory: first word of channel 0"),
    Field("ch_count", 12, "channels", positive=True),
    Field("ch_stride", 8, "words per channel"),
    Field("sc_base", 16, "C memory: first scalar"),
)

FIELDS = {
    "load": HEADER + _TRANSFER,
    "array": HEADER + ARRAY_FIELDS,
    "vector": HEADER + VECTOR_FIELDS,
    "coefficient": HEADER + COEFFICIENT_FIELDS,
    "store": HEADER + _TRANSFER,
}


@dataclass(frozen=True)
class Rule:
    """A mode of an instruction, a field that is not zero, that has a meaning only without, or only together with, mode bits."""

    op: str
    mode: str
    without: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


RULES = (
    *(Rule("array", name, needs=("os",)) for name in ("a_drop", "b_drop", "dither", "pair", "c_step_tap")),
    *(Rule("array", name, needs=("pair",)) for name in ("down", "c_step_pair")),
    Rule("array", "os", without=("scatter", "select", "acc_max", "transpose", "hold_weights", "use_blocks")),
    Rule("array", "select", needs=("scatter", "hold_weights")),  # indices are stored for the plain side
    *(Rule("vector", name, without=("dst_wide",)) for name in ("sums", "byte")),  # both are of an int8 result
)
INDEXED = ("select", "acc_max")
MAX_INDEXED_TAPS = 256
"""Kernel taps of an array instruction with one of INDEXED at most: a tap's index has 8 bits."""

PAIR_DROPS = {"a_drop": 3, "b_drop": 4}
"""Bits that an array instruction with `pair` drops of its operands at least: what is left of them, 5 and 4 bits with the sign, is
multiplied."""

HALF_BITS = 17
"""Bits of an element's sum that each of two paired taps has."""


@dataclass(frozen=True)
class Memory:
    """An on-chip memory; `wide` words are G bytes, others 8 bytes. `depth` names its configuration entry."""

    name: str
    depth: str
    wide: bool
    load: bool
    store: bool


MEMORIES = (
    Memory("A", "a_words", True, True, False),
    Memory("W", "w_words", True, True, False),
    Memory("U", "vector_words", True, True, True),
    Memory("V", "vector_words", True, True, True),
    Memory("O", "vector_words", True, False, True),
    Memory("MI", "mask_words", True, True, False),
    Memory("MO", "mask_words", True, False, True),
    Memory("C", "table_words", False, True, True),
    Memory("P", "program_words", False, True, False),
    Memory("IL", "list_words", False, True, False),
    Memory("BL", "block_words", False, True, False),
)
MEMORY_NUMBER = {memory.name: number for number, memory in enumerate(MEMORIES)}

SCALAR_OPS = scalar_ops.SCALAR_OPS
"""Scalar operations of the coefficient unit; the opcode is the position."""
SCALAR_FIELDS = tuple(Field(name, bits, "", signed=name == "imm") for name, bits in scalar_ops.SCALAR_LAYOUT)

RECORD_WORDS = 4
"""A record: [A at 17:0 and B at 49:32, D, key at 31:0 and shift at 37:32, threshold]."""

ERRORS = ("none", "malformed", "bad_address", "read_error", "write_error", "token_overflow", "acc_conflict")

REGISTERS = {
    "ID": (0x00, "identity: 'JGC1'"),
    "VERSION": (0x04, "version of this interface"),
    "CONFIG_HASH": (0x08, "hash of the configuration"),
    "CTRL": (0x0C, "write: bit 0 start (without effect while busy), bit 1 soft reset, bit 2 clear interrupt"),
    "STATUS": (0x10, "bit 0 busy, bit 1 done, bit 2 error, bits 7:4 error code, bits 10:8 engine"),
    "ERROR_INDEX": (0x14, "instruction decoded last when the error was raised; all ones when there was none"),
    "SEG_ADDR": (0x18, "segment: byte offset from BASE"),
    "SEG_COUNT": (0x1C, "segment: instructions"),
    "BASE_LO": (0x20, "DDR base address, low half"),
    "BASE_HI": (0x24, "DDR base address, high half; kept, but without effect while the masters have 32 address bits"),
    "IRQ_ENABLE": (0x28, "bit 0: raise irq when done or in error"),
    "COUNTERS": (0x80, "64-bit counters in the order of COUNTERS, low half first"),
}

COUNTERS = (
    ("cycles", "from start to the last write response"),
    ("slots_forward", "pixel slots issued for forward products"),
    ("slots_grad_input", "pixel slots issued for grad_input products"),
    ("slots_grad_weight", "pixel slots issued for grad_weight products"),
    ("slots_pool", "pixel slots issued for pools"),
    ("macs_int8", "G * G per slot whose operand is in range"),
    ("macs_int4", "2 G * G per slot of paired taps that has an operand in range"),
    ("weight_blocks", "weight blocks loaded into the array"),
    ("drained_rows", "output-stationary rows drained"),
    ("vectors", "vectors processed by the vector unit"),
    ("vectors_wide", "of these, with a 32-bit operand or result"),
    ("scalar_ops", "scalar operations of the coefficient unit"),
    ("spad_reads", "words read from A, W, U, V, MI, O and MO by any engine"),
    ("spad_writes", "words written to A, W, U, V, MI, O and MO by any engine"),
    ("acc_reads", "accumulator rows read by array or vector unit"),
    ("acc_writes", "accumulator rows written by array or vector unit, clears included"),
    ("table_reads", "C memory words read by vector unit, coefficient unit and store engine"),
    ("table_writes", "C memory words written by vector unit, coefficient unit and load engine"),
    ("ddr_read_bytes", "bytes read from DDR by load and fetch"),
    ("ddr_write_bytes", "bytes written to DDR"),
    ("instructions", "instructions completed"),
    ("stall_array_gap", "array has an instruction under way and issues no slot"),
    ("stall_array_load", "array's next instruction waits for the load engine"),
    ("stall_array_vector", "array's next instruction waits for the vector unit"),
    ("stall_array_other", "array's next instruction waits for another engine"),
    ("stall_array_empty", "array has no instruction while the core is busy"),
    ("stall_load_token", "load engine's next instruction waits for a token and none is under way"),
    ("stall_vector_token", "the same for the vector unit"),
    ("stall_coefficient_token", "the same for the coefficient unit"),
    ("stall_store_token", "the same for the store engine"),
    ("stall_read", "load engine has bursts outstanding and no read data arrives on either port"),
    ("stall_write", "store engine has write data to send and no port takes any"),
)
COUNTER_NAMES = tuple(name for name, _ in COUNTERS)
TIMING_COUNTERS = frozenset(n for n in COUNTER_NAMES if n == "cycles" or n.startswith("stall_"))


@dataclass(slots=True)
class Instruction:
    """One decoded instruction: `op` names the engine, `fields` holds every field but the opcode.

    `node` is no part of its 64 bytes: the position in the segment of the step's node that it works for, -1 for none.
    """

    op: str
    fields: dict[str, int] = field(default_factory=dict)
    node: int = field(default=-1, compare=False)

    def __getitem__(self, name: str) -> int:
        return self.fields.get(name, 0)


class MalformedInstruction(ValueError):
    """The 64 bytes are not an instruction of this set; the message says which field is at fault."""


class _Place(NamedTuple):
    """First bit of a field in an instruction, and the least and the largest value that it holds."""

    at: int
    low: int
    high: int


def _places(fields: tuple[Field, ...]) -> dict[str, _Place]:
    places, at = {}, 0
    for f in fields:
        low = -(1 << f.bits - 1) if f.signed else 0
        places[f.name] = _Place(at, low, low + (1 << f.bits) - 1)
        at += f.bits
    return places


_PLACES = {op: _places(fields) for op, fields in FIELDS.items()}
_WIDTH = {op: sum(f.bits for f in fields) for op, fields in FIELDS.items()}
_POSITIVE = {op: tuple(f.name for f in fields if f.positive) for op, fields in FIELDS.items()}
_MOST = {op: tuple((f.name, f.most) for f in fields if f.most is not None) for op, fields in FIELDS.items()}
_REACHED = {op: {number for number, m in enumerate(MEMORIES) if getattr(m, op)} for op in ("load", "store")}
_RULES = {op: tuple(rule for rule in RULES if rule.op == op) for op in ENGINES}


def pack(fields: tuple[Field, ...], values: dict[str, int]) -> int:
    """Return the integer with `values` packed from bit 0 upwards; absent fields are zero.

    Raises:
        ValueError: a value does not fit its field, or a name is unknown.
    """
    return _pack(_places(fields), values)


def _pack(places: dict[str, _Place], values: dict[str, int]) -> int:
    if not values.keys() <= places.keys():
        raise ValueError(f"unknown fields {sorted(values.keys() - places.keys())}: known are {list(places)}")
    word = 0
    for name, value in values.items():
        at, low, high = places[name]
        if not low <= value <= high:
            raise ValueError(f"field {name} is {value}, but {(high - low).bit_length()} bits hold {low} to {high}")
        word |= (int(value) & high - low) << at
    return word


def _unpack(places: dict[str, _Place], word: int) -> dict[str, int]:
    """Return the fields of `word`; the inverse of `_pack`."""
    values = {}
    for name, (at, low, high) in places.items():
        value = word >> at & high - low
        values[name] = value if value <= high else value - (high - low + 1)
    return values


def encode(instruction: Instruction) -> bytes:
    """Return the 64 bytes of an instruction. Raises ValueError when a field does not fit."""
    check(instruction)
    op = instruction.op
    return (_pack(_PLACES[op], instruction.fields) | ENGINES.index(op) + 1).to_bytes(INSTRUCTION_BYTES, "little")


def decode(data: bytes) -> Instruction:
    """Return the instruction in 64 bytes. Raises MalformedInstruction as the fetch unit does."""
    word = int.from_bytes(data, "little")
    opcode = word & 0xF
    if not 1 <= opcode <= len(ENGINES):
        raise MalformedInstruction(f"opcode {opcode} is none of 1 to {len(ENGINES)}")
    op = ENGINES[opcode - 1]
    if word >> _WIDTH[op]:
        raise MalformedInstruction("bits above the last field are set")
    instruction = Instruction(op, _unpack(_PLACES[op], word))
    del instruction.fields["opcode"]
    check(instruction)
    return instruction


def check(instruction: Instruction) -> None:
    """Raise MalformedInstruction for what the fetch unit refuses."""
    op, value = instruction.op, instruction.fields.get
    if (value("wait", 0) | value("signal", 0)) >> ENGINES.index(op) & 1:
        raise MalformedInstruction(f"{op} waits for or signals itself")
    for name in _POSITIVE[op]:
        if value(name, 0) <= 0:
            raise MalformedInstruction(f"{op} has {name} = {value(name, 0)}, but it must be positive")
    for name, most in _MOST[op]:
        if value(name, 0) > most:
            raise MalformedInstruction(f"{op} has {name} = {value(name, 0)}, but it is {most} at most")
    if value("spare", 0):
        raise MalformedInstruction("spare bits are set")
    if op in _REACHED and value("mem", 0) not in _REACHED[op]:
        raise MalformedInstruction(f"{op} does not reach memory {value('mem', 0)}")
    for rule in _RULES[op]:
        if value(rule.mode, 0):
            _check_rule(rule, instruction)
    if value("pair", 0):
        few = [f"{name} = {value(name, 0)}" for name, least in PAIR_DROPS.items() if value(name, 0) < least]
        if few:
            least = " and ".join(f"{least} of {name}" for name, least in PAIR_DROPS.items())
            raise MalformedInstruction(f"{op} has pair with {', '.join(few)}, but at least {least} are needed")
    taps = value("n_ky", 0) * value("n_kx", 0)
    if taps > MAX_INDEXED_TAPS and any(value(name, 0) for name in INDEXED):
        raise MalformedInstruction(f"{op} has an index over {taps} taps, but 8 bits tell {MAX_INDEXED_TAPS} apart")


def _check_rule(rule: Rule, instruction: Instruction) -> None:
    """Raise MalformedInstruction for mode bits that have no meaning together."""
    wrong = [name for name in rule.without if instruction[name]]
    if wrong:
        raise MalformedInstruction(f"{rule.op} has {rule.mode} with {', '.join(wrong)}, which exclude each other")
    missing = [name for name in rule.needs if not instruction[name]]
    if missing:
        raise MalformedInstruction(f"{rule.op} has {rule.mode} without {', '.join(missing)}, which it needs")
