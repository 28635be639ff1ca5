"""The weight update behind grad_weight: a fixed sequence of passes on 24-bit values."""

from __future__ import annotations

import numpy as np

from algo.step import Product, Update
from hw import layout
from hw.compile_pass import DST, POSTS, WIDE
from hw.compile_product import called, emit_grad_weight, low_rows, room
from hw.compile_table import Tables
from hw.config import Config
from hw.emit import Segment
from hw.scratchpad import Buffer
from hw.tiling_weights import WeightTile, plan_grad_weight

DIAGONAL_MASK = "diagonal_mask"
"""DDR region of the mask that keeps off-diagonal weights of depthwise convolutions zero."""


def update_rows(config: Config) -> int:
    """Return how many vectors of weights are updated at once: whole blocks, and no more than a mask covers."""
    return min(config.vector_words // (4 * WIDE), 8 * config.mask_words // 2) // config.g * config.g


def diagonal_mask(config: Config) -> np.ndarray:
    """Return the mask of `update_rows` vectors, bool (1, G, rows, 1): lane j of row i is kept where j = i mod G."""
    rows = np.arange(update_rows(config))
    return (np.arange(config.g)[:, None] == rows % config.g)[None, :, :, None]


def weight_offset(product: Product, tile: WeightTile, g: int) -> int:
    """Return the words (of G weights) before a weight tile in its tensor."""
    c_groups = layout.groups(product.channels_each, g)
    return ((tile.kb0 * c_groups + tile.red0) * product.kernel[0] + tile.ky0) * product.kernel[1] * g


def weight_rows(product: Product, tile: WeightTile, g: int) -> int:
    """Return the rows (of G weights) of a weight tile, contiguous in its tensor and in the accumulator."""
    return tile.n_kb * tile.n_red * tile.n_ky * product.kernel[1] * g


def emit_update(segment: Segment, tables: Tables, node: Update) -> None:
    """Emit grad_weight of a weight tensor and its update."""
    config = segment.config
    plan = plan_grad_weight(node.product, segment.batch, room(node.product, config), called(node))
    most = update_rows(config) if node.product.depthwise else config.vector_words // (4 * WIDE)

    def drain(tile: WeightTile, base: int) -> None:
        first, rows = weight_offset(node.product, tile, config.g), weight_rows(node.product, tile, config.g)
        for start in range(0, rows, most):
            _update_rows(segment, tables, node, first + start, base + start, min(most, rows - start))

    emit_grad_weight(segment, node.product, plan, drain)
    for name in (node.weight, f"{node.weight}.master", f"{node.weight}.momentum"):
        segment.changed(name)


def _update_rows(segment: Segment, tables: Tables, node: Update, first: int, row: int, rows: int) -> None:
    """Emit the passes for `rows` vectors of weights.

    Momentum, or signs after it, and the master weights as last operand lie in U; the master weights as second operand, t
    and the new momentum in V. Results go on top of what they are made from, where that is not needed any more: a predictor's
    sums of high bytes on top of the master weights in V.
    """
    rings, g = segment.rings, segment.config.g
    master, momentum = segment.memory[f"{node.weight}.master"], segment.memory[f"{node.weight}.momentum"]
    at = WIDE * g * first
    v_w, v_t = rings["V"].allocate(WIDE * rows), rings["V"].allocate(WIDE * rows)
    u_m, u_w = rings["U"].allocate(WIDE * rows), rings["U"].allocate(WIDE * rows)
    w8 = rings["O"].allocate(rows)
    segment.load_words("V", v_w.base, master.offset + at, WIDE * rows)
    segment.load_words("U", u_m.base, momentum.offset + at, WIDE * rows)
    segment.load_words("U", u_w.base, master.offset + at, WIDE * rows)
    wide_v = {"v_src": 2, "dst_wide": 1}
    _emit(segment, tables, node.record_t, rows, **wide_v, u_src=2, u_base=u_m.base, v_base=v_w.base,
          dst=DST["V"], o_base=v_t.base)
    mask = _diagonal_mask(segment, rows) if node.product.depthwise else None
    added = _gradient(segment, tables, node, row, rows, mask, u_m, v_w)
    for record, operand in added:
        maximum = _maximum(tables, node.maximum) if record == added[-1][0] else {}
        _emit(segment, tables, record, rows, **wide_v, **maximum, **operand, v_base=v_t.base, dst=DST["V"], o_base=v_t.base)
    _emit(segment, tables, node.record_w, rows, **wide_v, u_src=2, u_base=u_w.base, v_base=v_t.base,
          dst=DST["U"], o_base=u_w.base)
    _emit(segment, tables, node.record_w8, rows, **_maximum(tables, node.maximum_w8), u_src=2, u_base=u_w.base,
          dst=DST["O"], o_base=w8.base)
    segment.store_words("V", v_t.base, momentum.offset + at, WIDE * rows)
    segment.store_words("U", u_w.base, master.offset + at, WIDE * rows)
    segment.store_words("O", w8.base, segment.memory[node.weight].offset + g * first, rows)
    segment.release(v_w, v_t, u_m, u_w, w8, *([mask] if mask else []))


def _gradient(
    segment: Segment, tables: Tables, node: Update, row: int, rows: int, mask: Buffer | None, u_m: Buffer, v_w: Buffer,
) -> list[tuple[str, dict[str, int]]]:
    """Return (record, operand u) of every pass that adds the gradient to the momentum: one, or one for each byte.

    Where signs are added, the passes that make them in `u_m` are emitted; of two bytes, `v_w` holds the sums of the high ones.
    """
    sums = {"u_src": 3, "acc_clear": 1, "u_base": row, "su": node.su}
    if mask is not None:
        sums |= {"mask_in": 1, "mi_base": mask.base}
    low = sums | {"u_base": row + low_rows(segment.config)} if node.product.low else {}
    if not node.record_s:
        return [(node.record_m, sums), *([(node.record_low, low)] if low else [])]
    record, signed = node.record_s, sums
    if low:
        _emit(segment, tables, record, rows, **sums, dst=DST["V"], dst_wide=1, o_base=v_w.base)
        record, signed = node.record_low, low | {"v_src": 2, "v_base": v_w.base}
    if node.level:
        _emit(segment, tables, record, rows, **(signed | {"acc_clear": 0}), **_maximum(tables, node.level))
    post = POSTS["sign_threshold" if node.level else "sign"]
    _emit(segment, tables, record, rows, **signed, **post, dst=DST["U"], o_base=u_m.base)
    return [(node.record_m, {"u_src": 1, "u_base": u_m.base})]


def _diagonal_mask(segment: Segment, rows: int) -> Buffer:
    """Bring the mask of the first `rows` vectors into MI, unless it is still there."""
    ring, words = segment.rings["MI"], -(-rows // 8)
    mask = ring.find((DIAGONAL_MASK, words))
    if mask is None:
        mask = ring.allocate(words, (DIAGONAL_MASK, words))
        segment.load_words("MI", mask.base, segment.memory[DIAGONAL_MASK].offset, words)
    return mask


def _maximum(tables: Tables, name: str) -> dict[str, int]:
    return {"max": 1, "c_max": tables.maximum(name)} if name else {}


def _emit(segment: Segment, tables: Tables, record: str, rows: int, **fields: int) -> None:
    segment.emit("vector", c_rec=tables.record(record), n_img=1, img_px=rows, **fields)
