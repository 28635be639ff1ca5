"""How grad_weight is cut: tiles of weights and of pixels, and which taps of the kernel a pass of the array takes.

Where both operands have few bits, a pass takes two taps (`pair` in hw/architecture.md): they read the same pixels a step apart.
3 x 3 taps are three pairs across the kernel's columns, one down the column that is left, and one alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from algo.step import Product
from hw.config import Config
from hw.isa import HALF_BITS, PAIR_DROPS
from hw.layout import groups
from hw.scratchpad import CompileError
from hw.tiling import LONGEST_SUM, SLOTS_WORTHWHILE, PixelTile, check_limits, cut, pixel_tiles

LONGEST_PAIR = ((1 << HALF_BITS - 1) - 1) // (15 * 7)
"""Products of what PAIR_DROPS leave of two operands, all of them 15 x 7, that half of an element's sum holds."""

INSTRUCTION_CYCLES = 30
"""An array instruction takes about so many cycles besides its slots and drains."""


@dataclass(frozen=True)
class WeightTile:
    """Blocks of a weight tensor whose sums one accumulator bank holds; contiguous in DDR.

    n_kb > 1 only with all reduction groups and kernel rows, n_red > 1 only with all kernel rows. Of depthwise weights one group
    at a time, whose only reduction group is the same one: n_kb = n_red = 1, red0 = 0.
    """

    kb0: int
    n_kb: int
    red0: int
    n_red: int
    ky0: int
    n_ky: int


@dataclass(frozen=True)
class WeightPlan:
    """Tiles of grad_weight: for every weight tile, every pixel tile."""

    tiles: list[WeightTile]
    pixels: list[PixelTile]


def plan_grad_weight(product: Product, images: int, config: Config, what: str) -> WeightPlan:
    """Return the tiling of grad_weight. Raises CompileError when an operand does not fit or a sum could overflow."""
    check_limits(product, config, what)
    g = config.g
    n_red, n_kb = groups(product.channels_each, g), groups(product.out_shape[0], g)
    kh, kw = product.kernel
    _, in_h, in_w = product.in_shape
    _, out_h, out_w = product.out_shape
    if images * out_h * out_w > LONGEST_SUM:
        most = LONGEST_SUM // (out_h * out_w)
        fits = f"at most {most} images fit" if most else f"at most {LONGEST_SUM} pixels fit"
        raise CompileError(f"{what}: a sum over {images} images of {out_h} x {out_w} pixels could pass 2^31 - 1; {fits}")
    if kw * g > config.acc_rows:
        raise CompileError(f"{what}: {kw} kernel columns take {kw * g} accumulator rows; {config.acc_rows} are there")
    n_ky = min(kh, config.acc_rows // (kw * g))
    red = min(n_red, config.acc_rows // (n_ky * kw * g)) if n_ky == kh else 1

    def pixels(red: int) -> list[PixelTile]:
        def fits(n: int, rows: int) -> bool:
            x = n * red * min((rows - 1) * product.stride + kh, in_h) * in_w
            return x <= config.a_words // 2 and n * rows * out_w <= config.w_words // 2
        return pixel_tiles(images, out_h, 1, fits, what)

    def long_enough(red: int) -> bool:
        """Whether passes over tiles with `red` groups are long enough to hide the drain of the one before."""
        try:
            tile = pixels(red)[0]
        except CompileError:
            return False
        return tile.images * tile.rows * out_w >= min(4 * g, images * out_h * out_w)

    while red > 1 and not long_enough(red):
        red = -(-red // 2)
    tiles_px = pixels(red)
    slots = tiles_px[0].images * tiles_px[0].rows * out_w
    kb = 1
    if n_ky == kh and red == n_red and not product.depthwise:
        rows = n_red * kh * kw * g
        while (kb < n_kb and (kb + 1) * rows <= config.acc_rows and (kb + 1) * slots <= config.w_words // 2
               and kb * n_red * kh * kw * slots < SLOTS_WORTHWHILE):
            kb += 1
    tiles = [
        WeightTile(kb0, nkb, red0, nred, ky0, nky)
        for kb0, nkb in cut(n_kb, kb) for red0, nred in cut(n_red, red) for ky0, nky in cut(kh, n_ky)
    ]
    return WeightPlan(tiles, tiles_px)


@dataclass(frozen=True)
class Passes:
    """Passes of grad_weight over some pixels of a tile: taps of a block of the kernel, or each of them with the one `stride` on.

    Attributes:
        ky0, n_ky, kx0, n_kx: taps, ky0 counted from the tile's first row of the kernel.
        pair: "" for single taps, "across" with the tap of a further column, "down" with that of a further row.
    """

    pixels: PixelTile
    ky0: int
    n_ky: int
    kx0: int
    n_kx: int
    pair: str = ""

    def cycles(self, width: int, g: int) -> int:
        """Return about how many cycles they take, of one block of weights."""
        lines = {"": 0, "across": self.pixels.rows, "down": width}[self.pair]
        slots = self.pixels.images * (self.pixels.rows * width + lines)
        return self.n_ky * self.n_kx * (slots + (2 * g if self.pair else g)) + INSTRUCTION_CYCLES


def weight_passes(product: Product, tile: PixelTile, n_ky: int, config: Config) -> list[Passes]:
    """Return the passes of a tile's pixels with n_ky kernel rows: of two taps where few bits are multiplied and it is faster."""
    kw, width, g = product.kernel[1], product.out_shape[2], config.g
    apart = [Passes(tile, 0, n_ky, 0, kw)]
    few_bits = product.a_drop >= PAIR_DROPS["a_drop"] and product.b_drop >= PAIR_DROPS["b_drop"]
    if config.pass_taps == 1 or not few_bits or width > LONGEST_PAIR:
        return apart
    pieces = list(_short_tiles(tile, width))
    columns, left = _pairs(kw, product.stride)
    rows, last = _pairs(n_ky, product.stride)
    across = [Passes(piece, 0, n_ky, kx, 1, "across") for kx in columns for piece in pieces]
    single = [Passes(tile, 0, n_ky, kx, 1) for kx in left]
    down = [Passes(piece, ky, 1, kx, 1, "down") for kx in left for ky in rows for piece in pieces]
    alone = [Passes(tile, ky, 1, kx, 1) for kx in left for ky in last]
    ways = (apart, single + across, alone + across + down)  # in this order least is lost between tiles
    return min(ways, key=lambda passes: sum(one.cycles(width, g) for one in passes))


def _pairs(size: int, stride: int) -> tuple[list[int], list[int]]:
    """Return taps of one direction of the kernel that make pairs with the one `stride` on, and those that are left alone."""
    firsts: list[int] = []
    for k in range(size - stride):
        if k - stride not in firsts:
            firsts.append(k)
    return firsts, [k for k in range(size) if k not in firsts and k - stride not in firsts]


def _short_tiles(tile: PixelTile, width: int) -> Iterator[PixelTile]:
    """Yield tiles of at most LONGEST_PAIR pixels that make up a tile whose lines have no more."""
    if tile.rows * width <= LONGEST_PAIR:
        for image, images in cut(tile.images, LONGEST_PAIR // (tile.rows * width)):
            yield PixelTile(tile.image0 + image, images, tile.row0, tile.rows)
    else:
        for image in range(tile.images):
            for row, rows in cut(tile.rows, LONGEST_PAIR // width):
                yield PixelTile(tile.image0 + image, 1, tile.row0 + row, rows)
