"""Golden model of the array engine: one array instruction on a core's state, exact, whole passes at a time.

The loop nest is hw/architecture.md "array". `executed_passes`, `inside_pixels` and `counts` give the nest
without its arithmetic, for whoever predicts counters.
"""

from __future__ import annotations

import numpy as np

from algo import arithmetic
from hw import isa
from hw.state import CoreError, CoreState, check_instruction

SLOT_COUNTERS = ("slots_forward", "slots_grad_input", "slots_grad_weight", "slots_pool")
"""Counter of an instruction's slots, by its field `product`."""

ADDRESS_MASK = 0xFFFF


def executed_passes(instruction: isa.Instruction, block_list: np.ndarray) -> np.ndarray:
    """Return which passes run: bool (n_kb, n_red, n_ky, n_kx), in the order of the loop nest.

    Args:
        instruction: an array instruction.
        block_list: uint64, memory BL; read only when the instruction has use_blocks.

    Raises:
        CoreError: the bits reach past the end of the block list.
    """
    shape = tuple(instruction[name] for name in ("n_kb", "n_red", "n_ky", "n_kx"))
    if not instruction["use_blocks"]:
        return np.ones(shape, bool)
    bit = np.arange(int(np.prod(shape)))
    word = _within(instruction["blocks_base"] + bit // 64, len(block_list), "BL")
    bits = block_list[word] >> (bit % 64).astype(np.uint64) & np.uint64(1)
    return bits.astype(bool).reshape(shape)


def strided_coordinates(instruction: isa.Instruction, tap_y: int, tap_x: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (sy, sx) of the plain rows (n_y,) and plain columns (n_x,) for one kernel tap; may lie outside."""
    sy = np.arange(instruction["n_y"]) * instruction["stride"] + tap_y + instruction["oy"]
    sx = np.arange(instruction["n_x"]) * instruction["stride"] + tap_x + instruction["ox"]
    return sy, sx


def inside_pixels(instruction: isa.Instruction) -> np.ndarray:
    """Return, per tap (n_ky, n_kx), how many pixels of one image have their strided coordinate inside."""
    n_ky, n_kx = instruction["n_ky"], instruction["n_kx"]
    rows, columns = np.zeros(n_ky, np.int64), np.zeros(n_kx, np.int64)
    for ky in range(n_ky):
        sy, _ = strided_coordinates(instruction, ky, 0)
        rows[ky] = np.count_nonzero((sy >= 0) & (sy < instruction["h"]))
    for kx in range(n_kx):
        _, sx = strided_coordinates(instruction, 0, kx)
        columns[kx] = np.count_nonzero((sx >= 0) & (sx < instruction["w"]))
    return np.outer(rows, columns)


def counts(instruction: isa.Instruction, images: int, g: int, block_list: np.ndarray) -> dict[str, int]:
    """Return what one array instruction adds to the counters, without executing it.

    Args:
        instruction: an array instruction.
        images: images it runs for, after clipping (`CoreState.images`).
        g: the array's side.
        block_list: uint64, memory BL.
    """
    if instruction["pair"]:
        return _paired_counts(instruction, images, g)
    runs = executed_passes(instruction, block_list)
    passes = int(runs.sum())
    slots = passes * images * instruction["n_y"] * instruction["n_x"]
    inside = images * int((runs.sum(axis=(0, 1)) * inside_pixels(instruction)).sum())
    added = {SLOT_COUNTERS[instruction["product"]]: slots, "macs_int8": inside * g * g}
    if instruction["os"]:
        rows = passes * g
        return {**added, "drained_rows": rows, "spad_reads": inside + slots, "acc_reads": rows, "acc_writes": rows}
    blocks = int(runs.any(axis=(2, 3)).sum()) if instruction["hold_weights"] else passes
    accumulated = inside if instruction["scatter"] or instruction["acc_max"] else slots
    reads = inside * (2 if instruction["select"] else 1) + blocks * g
    return {**added, "weight_blocks": blocks, "spad_reads": reads, "acc_reads": accumulated, "acc_writes": accumulated}


def _paired_counts(instruction: isa.Instruction, images: int, g: int) -> dict[str, int]:
    """Counts of an instruction whose passes are two taps each: a slot more per line, which reads the first of operand A."""
    passes = [instruction[name] for name in ("n_kb", "n_red", "n_ky", "n_kx")]
    plain, lines = images * instruction["n_y"] * instruction["n_x"], instruction["n_x" if instruction["down"] else "n_y"]
    read = multiplied = 0
    for ky, kx in np.ndindex(*passes[2:]):
        sides = list(zip(strided_coordinates(instruction, ky, kx), (instruction["h"], instruction["w"]), strict=True))
        (across, size), (along, length) = sides[::-1] if instruction["down"] else sides
        inside_lines = int(np.count_nonzero((across >= 0) & (across < size)))
        along = np.append(along, along[-1] + instruction["stride"])
        inside = (along >= 0) & (along < length)
        read += inside_lines * int(np.count_nonzero(inside))
        multiplied += inside_lines * int(np.count_nonzero(inside[1:] | inside[:-1]))
    groups, taps = passes[0] * passes[1], passes[2] * passes[3]
    drained = 2 * groups * taps * g
    return {
        SLOT_COUNTERS[instruction["product"]]: groups * taps * (plain + images * lines),
        "macs_int4": groups * images * multiplied * 2 * g * g, "drained_rows": drained,
        "spad_reads": groups * (images * read + taps * plain), "acc_reads": drained, "acc_writes": drained,
    }


def execute_array(state: CoreState, instruction: isa.Instruction) -> None:
    """Run one array instruction: accumulate into `state.acc`, add to `state.counters`.

    Raises:
        CoreError: mode bits that exclude each other or that the configuration does not have; an address past the end of a memory.
    """
    check_instruction("array", instruction)
    if instruction["pair"] and state.config.pass_taps == 1:
        raise CoreError("malformed", f"configuration {state.config.name} has no paired taps")
    images = state.images(instruction)
    if instruction["os"]:
        _output_stationary(state, instruction, images)
    else:
        _weight_stationary(state, instruction, images)
    for name, count in counts(instruction, images, state.config.g, state.mem["BL"]).items():
        state.counters[name] += count


def _within(address: np.ndarray, depth: int, memory: str) -> np.ndarray:
    """Return addresses wrapped to 16 bits. Raises CoreError when one lies past the end of the memory."""
    address = np.asarray(address) & ADDRESS_MASK
    if address.size and address.max() >= depth:
        raise CoreError("bad_address", f"array: word {address.max()} of {memory}, which has {depth}")
    return address


class _Tap:
    """Addresses of the slots of one kernel tap: (images, pixels), the pixels that are inside where only those matter.

    Attributes:
        plain, strided: offset of each pixel on the two sides, int64 (pixels,).
        inside: bool (pixels,).
    """

    def __init__(self, instruction: isa.Instruction, tap_y: int, tap_x: int):
        sy, sx = strided_coordinates(instruction, tap_y, tap_x)
        inside_y, inside_x = (sy >= 0) & (sy < instruction["h"]), (sx >= 0) & (sx < instruction["w"])
        self.inside = (inside_y[:, None] & inside_x[None, :]).ravel()
        self.strided = (sy[:, None] * instruction["w"] + sx[None, :]).ravel()
        self.plain = np.arange(self.inside.size)


def _offsets(images: int, step: int, pixels: np.ndarray) -> np.ndarray:
    """Return image * step + pixel, (images * pixels,) in slot order."""
    return (np.arange(images)[:, None] * step + pixels[None, :]).ravel()


def _gather(state: CoreState, instruction: isa.Instruction, offsets: np.ndarray, memory: str, base: str) -> np.ndarray:
    """Return the words of all reduction groups at `offsets`: (n_red, slots, G) of bytes."""
    red = np.arange(instruction["n_red"])[:, None] * instruction["a_step_red"]
    words = state.mem[memory]
    return words[_within(instruction[base] + red + offsets[None, :], len(words), memory)]


def _operand_a(state: CoreState, instruction: isa.Instruction, images: int, tap: _Tap) -> np.ndarray:
    """Return operand A with zeros outside: float64 (n_red, slots, G)."""
    pixels = tap.inside.size
    a = np.zeros((instruction["n_red"], images, pixels, state.config.g))
    offsets = _offsets(images, instruction["a_step_img"], tap.strided[tap.inside])
    inside = _gather(state, instruction, offsets, "A", "a_base").view(np.int8)
    a[:, :, tap.inside] = inside.reshape(a.shape[0], images, np.count_nonzero(tap.inside), a.shape[3])
    return a.reshape(a.shape[0], images * pixels, a.shape[3])


def _blocks(state: CoreState, instruction: isa.Instruction, tap: int) -> np.ndarray:
    """Return the weight blocks of one tap: float64 (n_kb, n_red, row, column), transposed where asked for."""
    g = state.config.g
    kb = np.arange(instruction["n_kb"])[:, None, None] * instruction["b_step_kb"]
    red = np.arange(instruction["n_red"])[None, :, None] * instruction["b_step_red"]
    step = 0 if instruction["hold_weights"] else tap * instruction["b_step_tap"]
    address = instruction["b_base"] + kb + red + step + np.arange(g)
    blocks = state.mem["W"][_within(address, len(state.mem["W"]), "W")].view(np.int8).astype(np.float64)
    return blocks.swapaxes(2, 3) if instruction["transpose"] else blocks


def _weight_stationary(state: CoreState, instruction: isa.Instruction, images: int) -> None:
    runs = executed_passes(instruction, state.mem["BL"])
    for ky in range(instruction["n_ky"]):
        for kx in range(instruction["n_kx"]):
            if runs[:, :, ky, kx].any():
                tap = ky * instruction["n_kx"] + kx
                blocks = _blocks(state, instruction, tap)
                if images:
                    _accumulate_tap(state, instruction, images, _Tap(instruction, ky, kx), tap, blocks, runs[:, :, ky, kx])


def _accumulate_tap(state, instruction, images, slots: _Tap, tap: int, blocks: np.ndarray, runs: np.ndarray) -> None:
    """Accumulate one tap's passes; `runs` is bool (n_kb, n_red). The order of passes does not change sums or maxima."""
    if instruction["scatter"]:
        offsets = _offsets(images, instruction["a_step_img"], slots.plain[slots.inside])
        a = _gather(state, instruction, offsets, "A", "a_base").view(np.int8)
        if instruction["select"]:
            a = np.where(_gather(state, instruction, offsets, "W", "idx_base") == tap, a, np.int8(0))
        target = slots.strided[slots.inside]
    elif instruction["acc_max"]:
        offsets = _offsets(images, instruction["a_step_img"], slots.strided[slots.inside])
        a = _gather(state, instruction, offsets, "A", "a_base").view(np.int8)
        target = slots.plain[slots.inside]
    else:
        a = _operand_a(state, instruction, images, slots)
        target = slots.plain
    a = a.astype(np.float64)  # every sum of int8 products here stays far below 2^53, so it is exact
    for kb in range(instruction["n_kb"]):
        red = np.flatnonzero(runs[kb])
        if not red.size:
            continue
        row0 = instruction["c_base"] + kb * instruction["c_step_kb"]
        if instruction["acc_max"]:
            for r in red:
                s = (a[r] @ blocks[kb, r]).astype(np.int64).astype(np.int8)
                value = (s.astype(np.int32) + 128 << 8) | (255 - tap)
                _into_rows(state, row0, instruction["c_step_img"], images, target, value, np.maximum)
        else:
            s = np.tensordot(a[red], blocks[kb, red], axes=((0, 2), (0, 1)))
            _into_rows(state, row0, instruction["c_step_img"], images, target, s.astype(np.int64).astype(np.int32), np.add)


def _into_rows(state, row0: int, step: int, images: int, target: np.ndarray, values: np.ndarray, combine) -> None:
    """Combine values (images * pixels, G) into accumulator rows; images are separate as their rows may coincide."""
    if not target.size:
        return
    values = values.reshape(images, target.size, values.shape[-1])
    for i in range(images):
        rows = _within(row0 + i * step + target, len(state.acc), "the accumulators")
        state.acc[rows] = combine(state.acc[rows], values[i])


def _output_stationary(state: CoreState, instruction: isa.Instruction, images: int) -> None:
    g, n_kb, n_red = state.config.g, instruction["n_kb"], instruction["n_red"]
    pixels = np.arange(instruction["n_y"] * instruction["n_x"])
    kb = np.arange(n_kb)[:, None] * instruction["b_step_kb"]
    offsets = instruction["b_base"] + kb + _offsets(images, instruction["b_step_img"], pixels)[None, :]
    b = state.mem["W"][_within(offsets, len(state.mem["W"]), "W")].view(np.int8).astype(np.int64)
    b = arithmetic.coarse(b, instruction["b_drop"], _dither(instruction, images)[:, None]).astype(np.float64)
    for tap, (ky, kx) in enumerate(np.ndindex(instruction["n_ky"], instruction["n_kx"])):
        sums = [_outer_products(state, instruction, images, ky, kx, b)]
        if instruction["pair"]:
            on = (instruction["stride"], 0) if instruction["down"] else (0, instruction["stride"])
            sums.append(_outer_products(state, instruction, images, ky + on[0], kx + on[1], b))
            sums = _in_halves(*sums)
        for second, pe in enumerate(sums):
            row0 = instruction["c_base"] + tap * instruction["c_step_tap"] + second * instruction["c_step_pair"]
            for k, r in np.ndindex(n_kb, n_red):
                row = row0 + k * instruction["c_step_kb"] + r * instruction["c_step_red"]
                rows = _within(row + np.arange(g), len(state.acc), "the accumulators")
                state.acc[rows] += pe[k, r]


def _outer_products(state, instruction: isa.Instruction, images: int, ky: int, kx: int, b: np.ndarray) -> np.ndarray:
    """Return the sums of one tap over all pixels: int32 (n_kb, n_red, row, column)."""
    a = _operand_a(state, instruction, images, _Tap(instruction, ky, kx))
    if instruction["a_drop"]:
        a = arithmetic.nearest(a.astype(np.int64), instruction["a_drop"]).astype(np.float64)
    return np.einsum("rsi,ksj->krij", a, b, optimize=True).astype(np.int64).astype(np.int32)


def _in_halves(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two taps' sums as they come out of the halves of one register, where the operands are without their dropped bits."""
    unit = sum(isa.PAIR_DROPS.values())
    register = (first.astype(np.int64) >> unit) + (second.astype(np.int64) >> unit << isa.HALF_BITS)
    low = _wrapped(register)
    return tuple((half << unit).astype(np.int32) for half in (low, _wrapped(register - low >> isa.HALF_BITS)))


def _wrapped(x: np.ndarray) -> np.ndarray:
    """Return integers in HALF_BITS bits of two's complement."""
    half = 1 << isa.HALF_BITS - 1
    return (x + half) % (2 * half) - half


def _dither(instruction: isa.Instruction, images: int) -> np.ndarray:
    """Return the dither of every slot, int64 (images * pixels,)."""
    image, y, x = np.ogrid[:images, : instruction["n_y"], : instruction["n_x"]]
    index = arithmetic.dither(image, y, x, arithmetic.DITHER_BITS) + instruction["dither"]
    return index.ravel() & (1 << min(instruction["b_drop"], arithmetic.DITHER_BITS)) - 1
