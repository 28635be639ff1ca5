"""Golden model of the vector unit: one `vector` instruction on the state of a core."""

from __future__ import annotations

import numpy as np

from algo.arithmetic import INT8_MAX, WIDE_MAX, above_zero, affine, noise16, saturate, split16, to_operand
from hw import isa
from hw.state import CoreState, check_instruction

INT32_MAX = (1 << 31) - 1
ACC_SOURCES = (3, 4, 5)
DESTINATIONS = ("", "O", "U", "V")


def execute_vector(state: CoreState, instruction: isa.Instruction) -> None:
    """Run a vector instruction: hw/architecture.md, "vector". Addresses wrap at the end of their memory.

    Args:
        state: memories, accumulators and counters; changed in place.
        instruction: of the vector engine.

    Raises:
        CoreError: malformed.
    """
    check_instruction("vector", instruction)
    n, px = state.images(instruction), instruction["img_px"]
    a, b, d, record = _coefficients(state, instruction)
    u, v = _operand_u(state, instruction, n * px), _operand_v(state, instruction, n * px)
    noise = _noise(state, instruction, n, int(record[2]) & 0xFFFFFFFF) if instruction["stochastic"] else None
    u_taken, v_taken = to_operand(u, instruction["su"]), to_operand(v, instruction["sv"])
    y = affine(u_taken, v_taken, a, b, d, int(record[2]) >> 32 & 63, noise)
    y = _post(y, instruction["post"], int(record[3]) & 0xFFFFFFFF)
    if instruction["sign_of"]:
        y = np.sign(y)
    kept = _read_mask(state, instruction, n) if instruction["mask_in"] else True
    y = np.where(kept, y, 0)
    if instruction["mask_out"]:
        _write_mask(state, instruction, n, above_zero(u_taken, v_taken, a, b, d) & kept)
    y = saturate(y, INT32_MAX)
    out = split16(y)[instruction["byte"] - 1] if instruction["byte"] else saturate(y, INT8_MAX)
    _write_result(state, instruction, saturate(y, WIDE_MAX) if instruction["dst_wide"] else out)
    if instruction["sums"]:
        _add_sums(state, instruction, out, _low8(v) if instruction["sums_v"] else out)
    if instruction["max"]:
        table, at = state.mem["C"].view(np.int64), instruction["c_max"] % state.config.table_words
        table[at] = max(int(table[at]), int(np.abs(y).max(initial=0)))
    _count(state, instruction, n)


def _count(state: CoreState, instruction: isa.Instruction, n: int) -> None:
    """Add what `n` images cost to the counters, words and rows as the engine moves them."""
    g, vectors = state.config.g, n * instruction["img_px"]
    u_src, v_src, wide_out = instruction["u_src"], instruction["v_src"], instruction["dst_wide"]
    mask_words = n * -(-instruction["img_px"] // 8)
    sums, largest = bool(instruction["sums"]), instruction["max"]
    record_words = 2 * g + 2 if instruction["per_channel"] else isa.RECORD_WORDS
    acc_rows = vectors * (u_src in ACC_SOURCES)
    words_read = {1: 1, 2: 4}.get(u_src, 0) + {1: 1, 2: 4}.get(v_src, 0)
    words_written = (4 if wide_out else 1) if instruction["dst"] else 0
    added = {
        "vectors": vectors,
        "vectors_wide": vectors * (u_src == 2 or v_src == 2 or wide_out),
        "spad_reads": vectors * words_read + mask_words * instruction["mask_in"],
        "spad_writes": vectors * words_written + mask_words * instruction["mask_out"],
        "acc_reads": acc_rows,
        "acc_writes": acc_rows * instruction["acc_clear"],
        "table_reads": record_words + 2 * g * (sums and not instruction["sums_first"]) + largest,
        "table_writes": 2 * g * sums + largest,
    }
    for name, value in added.items():
        state.counters[name] += int(value)


def _signed(word, bits: int):
    """Return the low `bits` of int64 `word` as two's complement."""
    return (word << (64 - bits)) >> (64 - bits)


def _low8(v):
    """Return the low byte of the v operand, signed: what the sums of products take."""
    return _signed(v, 8)


def _coefficients(state: CoreState, instruction: isa.Instruction):
    """Return A, B, D, each int64 (G,), and the four words of the record as int64 (4,)."""
    table, depth, lanes = state.mem["C"].view(np.int64), state.config.table_words, np.arange(state.config.g)
    record = table[(instruction["c_rec"] + np.arange(isa.RECORD_WORDS)) % depth]
    if instruction["per_channel"]:
        at = instruction["c_coef"] + lanes * instruction["c_stride"]
        ab, d = table[at % depth], table[(at + 1) % depth]
    else:
        ab, d = np.full(len(lanes), record[0]), np.full(len(lanes), record[1])
    return _signed(ab, 18), _signed(ab >> 32, 18), _signed(d, 48), record


def _words(state: CoreState, memory: str, base: int, count: int) -> np.ndarray:
    """Return the addresses of `count` consecutive words from `base`."""
    return (base + np.arange(count)) % state.config.depth(isa.MEMORIES[isa.MEMORY_NUMBER[memory]])


def _read_vectors(state: CoreState, memory: str, base: int, vectors: int, wide: bool) -> np.ndarray:
    """Return int64 (vectors, G) from int8 words, or from four words a vector when `wide`."""
    words = state.mem[memory][_words(state, memory, base, vectors * (4 if wide else 1))]
    return words.reshape(-1).view("<i4" if wide else np.int8).reshape(vectors, -1 if vectors else state.config.g).astype(np.int64)


def _operand_u(state: CoreState, instruction: isa.Instruction, vectors: int) -> np.ndarray:
    source, base = instruction["u_src"], instruction["u_base"]
    if source in ACC_SOURCES:
        rows = (base + np.arange(vectors)) % len(state.acc)
        acc = state.acc[rows].astype(np.int64)
        if instruction["acc_clear"]:
            state.acc[rows] = 0
        return (acc, (acc >> 8 & 255) - 128, 255 - (acc & 255))[source - 3]
    if source in (1, 2):
        return _read_vectors(state, "U", base, vectors, source == 2)
    return np.zeros((vectors, state.config.g), np.int64)


def _operand_v(state: CoreState, instruction: isa.Instruction, vectors: int) -> np.ndarray:
    if instruction["v_src"] in (1, 2):
        return _read_vectors(state, "V", instruction["v_base"], vectors, instruction["v_src"] == 2)
    return np.zeros((vectors, state.config.g), np.int64)


def _noise(state: CoreState, instruction: isa.Instruction, n: int, key: int) -> np.ndarray:
    """Return int64 (n * img_px, G) of 16-bit noise, keyed by logical position and channel."""
    images, pixels = np.arange(n, dtype=np.int64)[:, None], np.arange(instruction["img_px"], dtype=np.int64)
    position = (instruction["slot"] + images) * instruction["px_total"] + instruction["px0"] + pixels
    channel = (instruction["ch0"] + np.arange(state.config.g, dtype=np.int64)) & 0xFFFF
    return noise16(key, position.reshape(-1, 1), channel)


def _post(y: np.ndarray, post: int, threshold: int) -> np.ndarray:
    if post == 1:
        return np.maximum(y, 0)
    if post == 2:
        return np.sign(y)
    if post == 3:
        return np.sign(y) * np.maximum(np.abs(y) - threshold, 0)
    return y


def _read_mask(state: CoreState, instruction: isa.Instruction, n: int) -> np.ndarray:
    """Return bool (n * img_px, G) from MI."""
    g, px = state.config.g, instruction["img_px"]
    words = state.mem["MI"][_words(state, "MI", instruction["mi_base"], n * -(-px // 8))]
    bits = np.unpackbits(words.reshape(-1), bitorder="little").reshape(n, -1 if n else px, g)
    return bits[:, :px].reshape(-1, g).astype(bool)


def _write_mask(state: CoreState, instruction: isa.Instruction, n: int, bits: np.ndarray) -> None:
    """Write bool (n * img_px, G) to MO, eight vectors to a word; the last word of an image is filled with zeros."""
    g, px = state.config.g, instruction["img_px"]
    padded = np.zeros((n, -(-px // 8) * 8, g), bool)
    padded[:, :px] = bits.reshape(n, px, g)
    words = _words(state, "MO", instruction["mo_base"], n * -(-px // 8))
    state.mem["MO"][words] = np.packbits(padded.reshape(-1), bitorder="little").reshape(-1, g)


def _write_result(state: CoreState, instruction: isa.Instruction, out: np.ndarray) -> None:
    memory, wide = DESTINATIONS[instruction["dst"]], instruction["dst_wide"]
    if memory:
        words = _words(state, memory, instruction["o_base"], len(out) * (4 if wide else 1))
        data = np.ascontiguousarray(out.astype("<i4" if wide else np.int8))
        state.mem[memory][words] = data.view(np.uint8).reshape(-1, state.config.g)


def _add_sums(state: CoreState, instruction: isa.Instruction, out: np.ndarray, factor: np.ndarray) -> None:
    """Put, or add, the sums over vectors of `out` and `out * factor` (vectors, G) into the channel table."""
    table, depth = state.mem["C"].view(np.int64), state.config.table_words
    at = instruction["c_sum"] + np.arange(state.config.g) * instruction["c_stride"]
    for offset, total in enumerate((out.sum(axis=0), (out * factor).sum(axis=0))):
        old = 0 if instruction["sums_first"] else table[(at + offset) % depth]
        table[(at + offset) % depth] = _signed(total + old, 48)
