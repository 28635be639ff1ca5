"""How products are cut to fit scratchpads and accumulators. Nothing here touches instructions.

A tile's results lie within one accumulator bank, so that the vector unit empties it while the array fills the
other; its operands take at most half of their scratchpads, so that the next tile's can be loaded beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import gcd

from algo.step import Product
from hw.config import Config
from hw.layout import groups
from hw.scratchpad import CompileError

SCATTER = ("grad_input", "sum_backward", "max_backward")
CHANNELWISE = ("sum_forward", "sum_backward", "max_forward", "max_backward")
SLOTS_WORTHWHILE = 4096
"""A tile takes further output groups until its array time reaches this, which hides draining and table reads."""

LONGEST_SUM = ((1 << 31) - 1) // (128 * 127)
"""Products of bytes, all of them -128 x 127, that an accumulator holds."""

SPLIT_SLOTS = 512
"""A reduction group with at least this many slots gets an array instruction of its own when its operands are fresh."""


@dataclass(frozen=True)
class PixelTile:
    """Whole images, or some rows of one image."""

    image0: int
    images: int
    row0: int
    rows: int


@dataclass(frozen=True)
class Window:
    """Rows of the strided and plain sides that belong to a tile, and the offset between them.

    Attributes:
        strided0, strided_rows, plain0, plain_rows: rows in the image.
        oy: row offset of the array instruction, whose coordinates start at the tile.
    """

    strided0: int
    strided_rows: int
    plain0: int
    plain_rows: int
    oy: int


def gather_window(product: Product, row0: int, rows: int) -> Window:
    """Return the input rows that output rows [row0, row0 + rows) need."""
    h = product.in_shape[1]
    first = row0 * product.stride - product.pad[0]
    last = first + (rows - 1) * product.stride + product.kernel[0]
    top = min(max(first, 0), h - 1)
    bottom = max(min(last, h), top + 1)
    return Window(top, bottom - top, row0, rows, first - top)


def scatter_window(product: Product, row0: int, rows: int) -> Window:
    """Return the output rows whose taps reach input rows [row0, row0 + rows)."""
    stride, pad, oh = product.stride, product.pad[0], product.out_shape[1]
    top = min(max(-(-(row0 + pad - product.kernel[0] + 1) // stride), 0), oh - 1)
    bottom = max(min((row0 + rows - 1 + pad) // stride + 1, oh), top + 1)
    return Window(row0, rows, top, bottom - top, top * stride - pad - row0)


def window(product: Product, row0: int, rows: int) -> Window:
    """Return the window of a tile of the product's result; for grad_weight, of the plain side."""
    return (scatter_window if product.kind in SCATTER else gather_window)(product, row0, rows)


def channelwise(product: Product) -> bool:
    """Return whether each channel group of the result needs the same group of the operand alone: diagonal weight blocks."""
    return product.depthwise or product.kind in CHANNELWISE


def cut(total: int, largest: int) -> Iterator[tuple[int, int]]:
    """Yield (start, size) of nearly equal pieces of at most `largest`."""
    pieces = -(-total // largest)
    start = 0
    for i in range(pieces):
        size = (total - start + pieces - i - 1) // (pieces - i)
        yield start, size
        start += size


def pixel_tiles(images: int, height: int, row_multiple: int, fits: Callable[[int, int], bool], what: str) -> list[PixelTile]:
    """Return tiles that cover all images: as many whole images as fit, else rows of one image.

    Args:
        row_multiple: tiles of rows start at multiples of it.
        fits: whether a tile of (images, rows) fits.
        what: names the product in errors.

    Raises:
        CompileError: not even `row_multiple` rows fit.
    """
    if fits(1, height):
        most = max(n for n in range(1, images + 1) if fits(n, height))
        return [PixelTile(start, size, 0, height) for start, size in cut(images, most)]
    rows = max((r for r in range(row_multiple, height, row_multiple) if fits(1, r)), default=0)
    if not rows:
        raise CompileError(f"{what}: {row_multiple} rows of one image do not fit the memories; a smaller image would")
    return [PixelTile(i, 1, y, min(rows, height - y)) for i in range(images) for y in range(0, height, rows)]


@dataclass(frozen=True)
class ProductPlan:
    """Tiles of a weight-stationary product: for every pixel tile every chunk of output groups, for that of reduction groups."""

    tiles: list[PixelTile]
    kb_chunks: list[tuple[int, int]]
    red_chunks: list[tuple[int, int]]


def plan_product(product: Product, images: int, masks: bool, config: Config, what: str) -> ProductPlan:
    """Return the tiling of a product that yields pixels.

    Args:
        masks: passes behind it read or write masks, whose words hold eight pixels.
        what: names the node in errors.

    Raises:
        CompileError: an operand does not fit.
    """
    check_limits(product, config, what)
    _, height, width = product.result_shape
    diagonal = channelwise(product)
    n_kb = groups(product.result_shape[0], config.g)
    n_red = 1 if diagonal else groups(_reduced(product), config.g)
    taps = product.kernel[0] * product.kernel[1]
    block = config.g if product.kind in CHANNELWISE else taps * config.g
    if block > config.w_words:
        raise CompileError(f"{what}: a weight block of {taps} taps takes {block} words, but memory W has {config.w_words}")
    red = min(n_red, max(1, config.w_words // 2 // block))
    row_multiple = 8 // gcd(width, 8) if masks else 1
    while True:
        tiles = _tiles(product, images, red, row_multiple, config, what)
        if tiles is not None:
            rows = tiles[0].images * tiles[0].rows * width
            if red == 1 or rows * 4 >= min(config.acc_rows, images * height * width):
                break
        if red == 1:
            raise CompileError(f"{what}: {row_multiple} rows of one image do not fit the memories; a smaller image would")
        red = -(-red // 2)
    kb = 1
    if not diagonal:
        while (kb < n_kb and (kb + 1) * rows <= config.acc_rows and (kb + 1) * red * block <= config.w_words // 2
               and kb * n_red * taps * rows < SLOTS_WORTHWHILE):
            kb += 1
    return ProductPlan(tiles, list(cut(n_kb, kb)), list(cut(n_red, red)))


def _reduced(product: Product) -> int:
    return product.out_shape[0] if product.kind == "grad_input" else product.in_shape[0]


def _tiles(product: Product, images: int, red: int, row_multiple: int, config: Config, what: str) -> list[PixelTile] | None:
    _, height, width = product.result_shape
    _, in_h, in_w = product.in_shape
    _, out_h, out_w = product.out_shape
    scatter = product.kind in SCATTER

    def fits(n: int, rows: int) -> bool:
        if scatter:
            operand = min((rows + product.kernel[0] - 2) // product.stride + 2, out_h) * out_w
        else:
            operand = min((rows - 1) * product.stride + product.kernel[0], in_h) * in_w
        index_fits = product.kind != "max_backward" or n * operand <= config.w_words // 2 - config.g
        return n * rows * width <= config.acc_rows and n * red * operand <= config.a_words // 2 and index_fits

    try:
        return pixel_tiles(images, height, row_multiple, fits, what)
    except CompileError:
        return None


def check_limits(product: Product, config: Config, what: str) -> None:
    """Raise CompileError for sizes that the fields of an array instruction cannot hold."""
    kh, kw = product.kernel
    _, h, w = product.in_shape
    _, oh, ow = product.out_shape
    if kh > 31 or kw > 31:
        raise CompileError(f"{what}: kernel {kh} x {kw} is larger than 31 x 31")
    if product.kind in ("max_forward", "max_backward") and kh * kw > 255:
        raise CompileError(f"{what}: a maximum over {kh} x {kw} has more than 255 taps")
    if product.stride > 15:
        raise CompileError(f"{what}: stride {product.stride} is larger than 15")
    if max(h, w, oh, ow) > 1023:
        raise CompileError(f"{what}: an image of {h} x {w} to {oh} x {ow} is larger than 1023 x 1023")
    channels = max(product.in_shape[0], product.out_shape[0])
    if groups(channels, config.g) > 255:
        raise CompileError(f"{what}: {channels} channels are more than 255 groups of {config.g}")
    if product.kind in ("forward", "grad_input", "sum_forward", "sum_backward"):
        channels = product.out_shape[0] if product.kind == "grad_input" else product.in_shape[0]
        terms = kh * kw * (1 if product.depthwise else channels)
        if terms > LONGEST_SUM:
            raise CompileError(
                f"{what}: a sum of {terms} products could pass 2^31 - 1; at most {LONGEST_SUM} fit, channels times taps"
            )
