"""Array instructions of a product: operands into A and W, sums into one accumulator bank per tile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from algo.arithmetic import DITHER_BITS, dither
from algo.step import Compute, Product, Update
from hw import layout
from hw.config import Config
from hw.emit import Part, Segment
from hw.scratchpad import Buffer
from hw.tiling import SCATTER, SPLIT_SLOTS, PixelTile, ProductPlan, Window, channelwise, cut, window
from hw.tiling_weights import Passes, WeightPlan, WeightTile, weight_passes

Span = tuple[int, int]
"""First group and number of groups."""

COUNTED_AS = {"forward": 0, "grad_input": 1, "grad_weight": 2}
POOL = 3
Drain = Callable[[PixelTile, int, int, int, int], None]
DIAGONAL = "diagonal"
"""DDR region of the G x G unit matrix that pools use as their weight block."""

PIECE_PIXELS = 512
"""Pixels of an operand's whole images that an array instruction waits for: it can start while the passes make the next images."""


def low_rows(config: Config) -> int:
    """Return how many rows behind those of a tile, in the same bank, its product of low bytes is accumulated."""
    return config.acc_rows // 2


def room(product: Product, config: Config) -> Config:
    """Return the configuration as tiles of a product see it: of a bank half, where low bytes take the other."""
    return replace(config, acc_rows=low_rows(config)) if product.low else config


def called(node: Compute | Update) -> str:
    """Return what errors call a node: the layer whose product it is, which a gradient's name does not tell, or else its own name;
    and why its product's tiles have only half of a bank, where they do."""
    halved = ", whose gradient's low bytes take half of each accumulator bank" if node.product.low else ""
    operand = node.weight if isinstance(node, Update) else node.product.b
    made_of = {"sum_forward": f"layer {node.name}", "max_forward": f"layer {node.name}", "sum_backward": node.product.a}
    for suffix in (".weight", ".index"):
        if operand.endswith(suffix):
            made_of[node.product.kind] = f"layer {operand.removesuffix(suffix)}"
    of = made_of.get(node.product.kind)
    return f"{f'{node.product.kind} of {of}' if of else f'node {node.name}'}{halved}"


def emit_pixels(segment: Segment, product: Product, plan: ProductPlan, drain: Drain) -> None:
    """Emit a product that yields pixels.

    Args:
        drain: called as drain(tile, group0, groups, first accumulator row, rows per group) when a tile is summed up.
    """
    width = product.result_shape[2]
    for tile in plan.tiles:
        rows = tile.images * tile.rows * width
        for kb0, n_kb in plan.kb_chunks:
            base = segment.next_bank()
            for number, one in enumerate(product.all):
                row = base + number * low_rows(segment.config)
                for red0, n_red in plan.red_chunks:
                    if channelwise(one):
                        _channelwise(segment, one, tile, kb0, row)
                    else:
                        _reduce(segment, one, tile, (kb0, n_kb), (red0, n_red), row)
            drain(tile, kb0, n_kb, base, rows)


def _operand_part(product: Product, tile: PixelTile, view: Window, group0: int, groups: int) -> Part:
    """Return the part of operand a that a tile needs: of the plain side where the product scatters."""
    if product.kind in SCATTER:
        width, row0, rows = product.out_shape[2], view.plain0, view.plain_rows
    else:
        width, row0, rows = product.in_shape[2], view.strided0, view.strided_rows
    return Part(tile.image0, tile.images, group0, groups, row0 * width, rows * width)


def _geometry(product: Product, tile: PixelTile, view: Window) -> dict[str, int]:
    return {
        "clip": 1, "slot": tile.image0, "n_img": tile.images, "n_ky": product.kernel[0], "n_kx": product.kernel[1],
        "n_y": view.plain_rows, "n_x": product.out_shape[2], "stride": product.stride, "oy": view.oy, "ox": -product.pad[1],
        "h": view.strided_rows, "w": product.in_shape[2], "product": COUNTED_AS.get(product.kind, POOL),
    }


def _load_weights(segment: Segment, product: Product, kb: Span, red: Span, split: bool) -> tuple[Buffer, int]:
    """Bring the weight blocks of output and reduction groups into W as [red][kb][tap][row].

    Returns:
        The buffer, and the words of one (red, kb).
    """
    g = segment.config.g
    region = segment.memory[product.b]
    c_groups = layout.groups(region.shape[1], g)
    words = product.kernel[0] * product.kernel[1] * g
    along_k, along_c = c_groups * words * g, words * g
    kb_stride, red_stride = (along_c, along_k) if product.kind == "grad_input" else (along_k, along_c)
    key = (product.b, kb, red, product.kind == "grad_input")
    ring = segment.rings["W"]
    buffer = ring.find(key)
    if buffer is None:
        buffer = ring.allocate(kb[1] * red[1] * words, key)
        address = region.offset + kb[0] * kb_stride + red[0] * red_stride
        pieces = range(red[1]) if split else range(1)
        count = 1 if split else red[1]
        for i in pieces:
            segment.load_grid("W", buffer.base + i * kb[1] * words, address + i * red_stride,
                              (count, red_stride), (kb[1], kb_stride), words)
    return buffer, words


def _reduce(segment: Segment, product: Product, tile: PixelTile, kb: Span, red: Span, base: int) -> None:
    view = window(product, tile.row0, tile.rows)
    taps, plain = product.kernel[0] * product.kernel[1], view.plain_rows * product.out_shape[2]
    pieces = list(cut(tile.images, max(1, PIECE_PIXELS // max(plain, view.strided_rows * product.in_shape[2]))))
    by_group = kb[1] * taps * tile.images * plain >= SPLIT_SLOTS
    weights, words = _load_weights(segment, product, kb, red, by_group)
    operand = segment.load_part("A", product.a, _operand_part(product, tile, view, *red), by_group, pieces)
    if not operand.fresh:
        pieces, by_group = [(0, tile.images)], False
    rows, scatter = tile.rows * product.result_shape[2], int(product.kind in SCATTER)
    geometry = _geometry(product, tile, view) | {"scatter": scatter, "transpose": scatter, "n_kb": kb[1]}
    for image, images in pieces:
        for first, count in [(i, 1) for i in range(red[1])] if by_group else [(0, red[1])]:
            geometry |= {"slot": tile.image0 + image, "n_img": images, "n_red": count}
            segment.emit(
                "array", **geometry, a_base=operand.buffer.base + first * operand.step_group + image * operand.step_image,
                a_step_red=operand.step_group, a_step_img=operand.step_image, b_base=weights.base + first * kb[1] * words,
                b_step_kb=words, b_step_red=kb[1] * words, b_step_tap=segment.config.g,
                c_base=base + image * rows, c_step_kb=rows * tile.images, c_step_img=rows,
            )
    segment.release(weights, operand.buffer)


def _channelwise(segment: Segment, product: Product, tile: PixelTile, group: int, base: int) -> None:
    """One channel group: a pool's unit block, held for all taps, or a depthwise convolution's diagonal block of each tap."""
    view, g = window(product, tile.row0, tile.rows), segment.config.g
    part = _operand_part(product, tile, view, group, 1)
    operand = segment.load_part("A", product.a, part)
    ring = segment.rings["W"]
    name, words = (product.b, product.kernel[0] * product.kernel[1] * g) if product.depthwise else (DIAGONAL, g)
    block = group if product.depthwise else 0
    diagonal = ring.find((name, block))
    if diagonal is None:
        diagonal = ring.allocate(words, (name, block))
        segment.load_words("W", diagonal.base, segment.memory[name].offset + block * words * g, words)
    used = [operand.buffer, diagonal]
    special: dict[str, int] = {}
    if product.kind == "max_forward":
        special = {"acc_max": 1}
    elif product.kind == "max_backward":
        index = segment.load_part("W", product.b, part)
        used.append(index.buffer)
        special = {"select": 1, "idx_base": index.buffer.base}
    rows = tile.images * tile.rows * product.result_shape[2]
    blocks = {"b_step_tap": g} if product.depthwise else {"hold_weights": 1}
    segment.emit(
        "array", **_geometry(product, tile, view), **special, **blocks, scatter=int(product.kind in SCATTER),
        n_kb=1, n_red=1, a_base=operand.buffer.base, a_step_red=operand.step_group, a_step_img=operand.step_image,
        b_base=diagonal.base, c_base=base, c_step_img=rows // tile.images,
    )
    segment.release(*used)


def emit_grad_weight(segment: Segment, product: Product, plan: WeightPlan, drain: Callable[[WeightTile, int], None]) -> None:
    """Emit grad_weight; drain(tile, first accumulator row) is called when a tile of weights is summed over the batch."""
    for tile in plan.tiles:
        base = segment.next_bank()
        for pixels in plan.pixels:
            for number, one in enumerate(product.all):
                _outer_products(segment, one, tile, pixels, base + number * low_rows(segment.config))
        drain(tile, base)


def _outer_products(segment: Segment, product: Product, tile: WeightTile, pixels: PixelTile, base: int) -> None:
    view = window(product, pixels.row0, pixels.rows)
    g, width, kw = segment.config.g, product.out_shape[2], product.kernel[1]
    parts = weight_passes(product, pixels, tile.n_ky, segment.config)
    spans = tuple(dict.fromkeys((part.pixels.image0 - pixels.image0, part.pixels.images) for part in parts if part.pair))
    second = segment.load_part(
        "W", product.b, Part(pixels.image0, pixels.images, tile.kb0, tile.n_kb, pixels.row0 * width, pixels.rows * width),
        spans=spans)
    slots = tile.n_kb * product.kernel[0] * product.kernel[1] * pixels.images * pixels.rows * width
    split = slots >= SPLIT_SLOTS
    group = tile.kb0 if product.depthwise else tile.red0
    first = segment.load_part("A", product.a, _operand_part(product, pixels, view, group, tile.n_red), split, spans)
    block = tile.n_ky * kw * g
    geometry = _geometry(product, pixels, view)
    pieces = [(i, 1) for i in range(tile.n_red)] if split and first.fresh else [(0, tile.n_red)]
    for red, count in pieces:
        for part in parts:
            image, row = part.pixels.image0 - pixels.image0, part.pixels.row0 - pixels.row0
            taps = geometry | _taps(product, part, view.oy + tile.ky0 + row * product.stride, g)
            segment.emit(
                "array", **taps, os=1, n_kb=tile.n_kb, n_red=count,
                a_base=first.buffer.base + red * first.step_group + image * first.step_image,
                a_step_red=first.step_group, a_step_img=first.step_image,
                b_base=second.buffer.base + image * second.step_image + row * width,
                b_step_kb=second.step_group, b_step_img=second.step_image,
                c_base=base + red * block + (part.ky0 * kw + part.kx0) * g, c_step_kb=tile.n_red * block, c_step_red=block,
            )
    segment.release(first.buffer, second.buffer)


def _taps(product: Product, part: Passes, oy: int, g: int) -> dict[str, int]:
    """Return which pixels and which taps passes of grad_weight take, and how: fields of the array instruction.

    Args:
        oy: row offset of the first row of the kernel at the first row of pixels.
    """
    pixels, kw = part.pixels, product.kernel[1]
    fields = {
        "n_img": pixels.images, "slot": pixels.image0, "n_y": pixels.rows, "n_ky": part.n_ky, "n_kx": part.n_kx,
        "oy": oy + part.ky0, "ox": part.kx0 - product.pad[1], "c_step_tap": g if part.n_kx == kw else kw * g,
        "a_drop": product.a_drop, "b_drop": product.b_drop,
    }  # fmt: skip
    if product.b_drop:
        fields["dither"] = dither(pixels.image0, pixels.row0, 0, DITHER_BITS)
    if part.pair:
        down = part.pair == "down"
        fields |= {"pair": 1, "down": int(down), "c_step_pair": product.stride * (kw * g if down else g)}
    return fields
