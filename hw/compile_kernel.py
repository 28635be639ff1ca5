"""One product on random operands as a program, with the expected result from an independent reference."""

from __future__ import annotations

from dataclasses import dataclass
from math import log2, sqrt

import numpy as np

from algo.arithmetic import coarse, dither, nearest
from algo.step import Compute, Pass, Product, Record
from hw.compile import CLEAR, assemble, clear_segment, encode
from hw.compile_pass import DST, plan_chain
from hw.compile_pixels import emit_products
from hw.compile_product import emit_grad_weight
from hw.compile_table import HOST_TABLE, IMAGE_LIST, TableLayout, Tables
from hw.compile_update import weight_offset, weight_rows
from hw.config import Config
from hw.emit import Segment
from hw.memory_map import MemoryMap
from hw.operands import STD, draw
from hw.program import Program
from hw.scratchpad import CompileError
from hw.tiling_weights import plan_grad_weight

KINDS = ("forward", "grad_input", "grad_weight", "predictor")
"""The three products of a convolution, and grad_weight of operands of PREDICTOR_BITS, sign included."""

PREDICTOR_BITS = 4
SEGMENT = "kernel"
RESULT = "result"
LARGEST_BYTES = 1 << 26
"""Of DDR for operands and result: what a simulated board has; the reference needs eight times as much memory."""

RESULT_STD = 40
"""Standard deviation aimed at for the int8 result: few saturate and few are zero."""


@dataclass(frozen=True)
class Kernel:
    """A product to run: program (segments "clear", then "kernel"), region of the result, what it must hold, images.

    macs counts n k c oh ow r r, padding included: the definition of the share of peak.
    """

    program: Program
    result: str
    expected: np.ndarray
    macs: int
    images: int


def compile_kernel(
    kind: str, n: int, c: int, k: int, h: int, w: int, r: int, stride: int, pad: int, config: Config, seed: int = 0,
    statistic: str = "random",
) -> Kernel:
    """Return one product: n images, c input and k output channels, h x w input, r x r kernel.

    Args:
        statistic: of both operands, of operands.STATISTICS.

    Raises:
        CompileError: an unknown kind, impossible sizes, or a product that does not fit the configuration.
    """
    product = _product(kind, n, c, k, h, w, r, stride, pad)
    _, oh, ow = product.out_shape
    if not n < config.list_words:
        raise CompileError(
            f"a batch of {n} images and its count do not fit the image list of {config.list_words} words: at most "
            f"{config.list_words - 1} images do"
        )
    shapes = {"x": (n, c, h, w), "weight": (k, c, r, r), "g": (n, k, oh, ow)}
    result_shape = {"forward": shapes["g"], "grad_input": shapes["x"], "grad_weight": shapes["weight"]}[product.kind]
    memory = MemoryMap(config.g)
    memory.add(HOST_TABLE, "words", (4,))
    memory.add(IMAGE_LIST, "words", (1 + n,))
    for name in (product.a, product.b):
        memory.add(name, "weight" if name == "weight" else "activation", shapes[name])
    memory.add(RESULT, "weight" if product.kind == "grad_weight" else "activation", result_shape)
    if memory.size > LARGEST_BYTES:
        raise CompileError(f"operands and result take {memory.size} bytes of DDR; {LARGEST_BYTES} are the most for one product")
    rng = np.random.default_rng(seed)
    operands = {name: draw(statistic, shapes[name], rng) for name in (product.a, product.b)}
    terms = {"forward": c * r * r, "grad_input": k * r * r, "grad_weight": n * oh * ow}[product.kind]
    su = max(0, (terms * 127 * 127).bit_length() - 24)
    shift = max(0, round(log2(STD[statistic] ** 2 * sqrt(terms) / RESULT_STD)) - su)
    initial = {HOST_TABLE: np.array([1, 0, shift << 32, 0], np.int64), IMAGE_LIST: np.array([n, *range(n)], np.int64), **operands}
    host = TableLayout({"requantise": 0}, {}, {}, 4)
    code = {CLEAR: clear_segment(config, memory), SEGMENT: _segment(product, n, su, config, memory, host)}
    program = assemble(config, memory, host, code, initial)
    sums = reference(product, *_rounded(product, operands[product.a].astype(np.int64), operands[product.b].astype(np.int64)))
    expected = (((sums >> su << 16 >> shift) + 0x8000) >> 16).clip(-127, 127).astype(np.int8)
    return Kernel(program, RESULT, expected, n * k * c * oh * ow * r * r, n)


def _product(kind: str, n: int, c: int, k: int, h: int, w: int, r: int, stride: int, pad: int) -> Product:
    if kind not in KINDS:
        raise CompileError(f"no product is called {kind!r}: there are {', '.join(KINDS)}")
    for name, value in {"n": n, "c": c, "k": k, "h": h, "w": w, "r": r, "stride": stride}.items():
        if value < 1:
            raise CompileError(f"{name} is {value}; it must be at least 1")
    if pad < 0:
        raise CompileError(f"pad is {pad}; it must be at least 0")
    oh, ow = (h + 2 * pad - r) // stride + 1, (w + 2 * pad - r) // stride + 1
    if h + 2 * pad < r or w + 2 * pad < r:
        raise CompileError(f"a {r} x {r} kernel does not fit a {h} x {w} image with padding {pad}")
    drop = 8 - PREDICTOR_BITS if kind == "predictor" else 0
    kind = "grad_weight" if kind == "predictor" else kind
    a, b = {"forward": ("x", "weight"), "grad_input": ("g", "weight"), "grad_weight": ("x", "g")}[kind]
    return Product(kind, a, b, (r, r), stride, (pad, pad), (c, h, w), (k, oh, ow), a_drop=drop, b_drop=drop)


def _rounded(product: Product, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the operands as the array takes them."""
    if product.b_drop:
        image, y, x = np.ogrid[: len(b), : b.shape[2], : b.shape[3]]
        b = coarse(b, product.b_drop, dither(image, y, x, product.b_drop)[:, None])
    return nearest(a, product.a_drop), b


def _segment(product: Product, n: int, su: int, config: Config, memory: MemoryMap, host: TableLayout) -> bytes:
    segment = Segment(config, memory, n)
    segment.load_words("IL", 0, memory[IMAGE_LIST].offset, 1 + n)
    step = Pass("acc", "", RESULT, "requantise", su=su)
    node = Compute("kernel", product.result_shape, (step,), product if product.kind != "grad_weight" else None)
    tables = Tables(segment, host)
    tables.load_host((node,))
    if product.kind != "grad_weight":
        chain = plan_chain(segment, node, {"requantise": Record("requantise", RESULT)}, {RESULT})
        emit_products(segment, tables, {segment.node: chain})
        return encode(segment.instructions, config)
    most = config.vector_words // 2

    def drain(tile, base):
        first, rows = weight_offset(product, tile, config.g), weight_rows(product, tile, config.g)
        for start in range(0, rows, most):
            size = min(most, rows - start)
            out = segment.rings["O"].allocate(size)
            segment.emit("vector", c_rec=tables.record("requantise"), u_src=3, acc_clear=1, u_base=base + start, su=su,
                         dst=DST["O"], o_base=out.base, n_img=1, img_px=size)
            segment.store_words("O", out.base, memory[RESULT].offset + config.g * (first + start), size)
            segment.release(out)

    emit_grad_weight(segment, product, plan_grad_weight(product, n, config, "the kernel"), drain)
    return encode(segment.instructions, config)


def reference(product: Product, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the product's exact sums by adding up its taps; a, b int64 as Product names them."""
    (kh, kw), s, (pad_y, pad_x) = product.kernel, product.stride, product.pad
    c, h, w = product.in_shape
    k, oh, ow = product.out_shape
    n = len(a)
    padded = np.zeros((n, c, h + 2 * pad_y, w + 2 * pad_x), np.int64)
    inner = padded[:, :, pad_y : pad_y + h, pad_x : pad_x + w]
    if product.kind != "grad_input":
        inner[:] = a
    out = np.zeros((n, k, oh, ow) if product.kind == "forward" else (k, c, kh, kw), np.int64)
    for ky in range(kh):
        for kx in range(kw):
            view = padded[:, :, ky : ky + (oh - 1) * s + 1 : s, kx : kx + (ow - 1) * s + 1 : s]
            if product.kind == "forward":
                out += np.einsum("ncyx,kc->nkyx", view, b[:, :, ky, kx], optimize=True)
            elif product.kind == "grad_input":
                view += np.einsum("nkyx,kc->ncyx", a, b[:, :, ky, kx], optimize=True)
            else:
                out[:, :, ky, kx] = np.einsum("ncyx,nkyx->kc", view, b, optimize=True)
    return inner.copy() if product.kind == "grad_input" else out

