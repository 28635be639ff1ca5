"""Vector instructions: the passes of a node over a tile, with intermediate tensors kept in U and V."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from algo.step import Compute, Pass, Record
from hw import layout
from hw.compile_product import low_rows
from hw.compile_table import Tables
from hw.emit import Part, Segment
from hw.scratchpad import Buffer, CompileError

ACC_SOURCES = {"acc": 3, "acc_low": 3, "acc_max_value": 4, "acc_max_index": 5}
BYTES = {"": 0, "high": 1, "low": 2}
WIDE = 4
"""Scratchpad words per vector of 32-bit words."""

POSTS = {
    "none": {"post": 0}, "relu": {"post": 1}, "sign": {"post": 2}, "soft_threshold": {"post": 3},
    "sign_threshold": {"post": 3, "sign_of": 1},
}  # fmt: skip
"""Fields of what happens to a result."""

PIECE_VECTORS = 512
"""Vectors of one instruction at most: enough to hide its table reads, few enough that what follows can start early."""

DST = {"": 0, "O": 1, "U": 2, "V": 3}


@dataclass(frozen=True)
class Placement:
    """Where the result of a pass goes: a memory ("" for nowhere), and whether it is stored from there."""

    memory: str
    stored: bool


@dataclass
class Chain:
    """The passes of a node, planned once for all its tiles.

    Attributes:
        stochastic: per pass, whether it rounds with noise.
        wide: names of results of 24 bits, which stay in U or V.
        vectors, mask_words: what a pass may take of a vector and of a mask scratchpad.
        summed: (pass number, group) whose sums have begun.
    """

    node: Compute
    placements: list[Placement]
    stochastic: list[bool]
    wide: frozenset[str]
    vectors: int
    mask_words: int
    summed: set[tuple[int, int]] = field(default_factory=set)

    @property
    def noise_pixels(self) -> int:
        """Pixels per image of the whole tensor."""
        return self.node.shape[1] * self.node.shape[2]


def plan_chain(segment: Segment, node: Compute, records: dict[str, Record], used_elsewhere: set[str]) -> Chain:
    """Return the chain of a node's passes and the vectors it may take at once.

    Args:
        used_elsewhere: tensors that other nodes or the processor read.

    Raises:
        CompileError: the passes cannot be run on this configuration.
    """
    placements = []
    for i, p in enumerate(node.passes):
        later = node.passes[i + 1 :]
        as_u, as_v = any(q.u == p.out for q in later), any(q.v == p.out for q in later)
        if not p.out:
            placements.append(Placement("", False))
            continue
        stored = p.out in used_elsewhere or (as_u and as_v)
        placements.append(Placement("U" if as_u else "V" if as_v else "O" if stored else "", stored))
    if node.product is not None and not any(p.u in ACC_SOURCES for p in node.passes):
        raise CompileError(f"node {node.name}: no pass reads the accumulators of its product")
    counts = {"U": 0, "V": 0, "O": 0, "MI": 0, "MO": 0}
    made: set[tuple[str, str]] = set()
    for p, placement in zip(node.passes, placements, strict=True):
        needed = [("U", p.u if p.u not in ACC_SOURCES else ""), ("V", p.v), ("MI", p.mask_in), ("MO", p.mask_out),
                  (placement.memory, p.out if placement.memory else "")]
        made.update((memory, tensor) for memory, tensor in needed if tensor)
    wide = frozenset(p.out for p in node.passes if p.wide)
    for memory, tensor in made:
        counts[memory] += WIDE if tensor in wide else 1
    vectors = min(segment.config.vector_words // (2 * max(counts["U"], counts["V"], counts["O"], 1)) // 8 * 8, PIECE_VECTORS)
    masks = segment.config.mask_words // (2 * max(counts["MI"], counts["MO"], 1))
    if vectors < 8 or masks < 1:
        raise CompileError(f"node {node.name}: {len(node.passes)} passes need more operands at once than U, V and O hold")
    stochastic = [bool(records[p.record].noise) for p in node.passes]
    return Chain(node, placements, stochastic, wide, vectors, masks if counts["MI"] + counts["MO"] else vectors)


def chunks(chain: Chain, images: int, pixels: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (image, images, pixel, pixels) of pieces that fit the vector scratchpads."""
    most = min(chain.vectors, 8 * chain.mask_words)
    together = min(chain.vectors // pixels, chain.mask_words // -(-pixels // 8))
    if together:
        for start in range(0, images, together):
            yield start, min(together, images - start), 0, pixels
        return
    for image in range(images):
        for start in range(0, pixels, most):
            yield image, 1, start, min(most, pixels - start)


def emit_chain(segment: Segment, tables: Tables, chain: Chain, part: Part, acc_base: int) -> None:
    """Emit all passes over a part of one channel group.

    Args:
        part: images, group and pixels of the tile.
        acc_base: first accumulator row of the tile, [image][pixel].
    """
    for image, images, px, count in chunks(chain, part.images, part.px):
        piece = Part(part.image0 + image, images, part.group0, 1, part.px0 + px, count)
        _Piece(segment, tables, chain, piece, acc_base + image * part.px + px).emit()


class _Piece:
    """The passes over one piece: which buffers hold which tensor."""

    def __init__(self, segment: Segment, tables: Tables, chain: Chain, part: Part, row: int | None):
        self.segment, self.tables, self.chain, self.part, self.row = segment, tables, chain, part, row
        self.local: dict[tuple[str, str], int] = {}
        self.used: list[Buffer] = []
        self.last_acc = {p.u == "acc_low": i for i, p in enumerate(chain.node.passes) if p.u in ACC_SOURCES}

    def emit(self) -> None:
        for i, (p, placement) in enumerate(zip(self.chain.node.passes, self.chain.placements, strict=True)):
            self._pass(i, p, placement)
        self.segment.release(*self.used)

    def _operand(self, memory: str, tensor: str) -> int:
        """Return the first word of a tensor's part in a memory, loading it when no pass has put it there."""
        if (memory, tensor) not in self.local:
            operand = self.segment.load_part(memory, tensor, self.part)
            self.used.append(operand.buffer)
            self.local[memory, tensor] = operand.buffer.base
        return self.local[memory, tensor]

    def _result(self, memory: str, tensor: str) -> int:
        wide = tensor in self.chain.wide
        words = WIDE * self.part.images * self.part.px if wide else self.segment.words(tensor, self.part)
        buffer = self.segment.rings[memory].allocate(words)
        self.used.append(buffer)
        for other in ("U", "V", "MI"):
            self.local.pop((other, tensor), None)
        self.local[memory, tensor] = buffer.base
        return buffer.base

    def _pass(self, number: int, p: Pass, placement: Placement) -> None:
        part, tables = self.part, self.tables
        fields: dict[str, int] = {"c_rec": tables.record(p.record), **POSTS[p.post], "su": p.su, "sv": p.sv}
        if p.u in ACC_SOURCES:
            low = p.u == "acc_low"
            row = self.row + low * low_rows(self.segment.config)
            fields |= {"u_src": ACC_SOURCES[p.u], "u_base": row, "acc_clear": int(number == self.last_acc[low])}
        elif p.u:
            fields |= {"u_src": 1 + (p.u in self.chain.wide), "u_base": self._operand("U", p.u)}
        if p.v:
            fields |= {"v_src": 1 + (p.v in self.chain.wide), "v_base": self._operand("V", p.v)}
        if p.mask_in:
            fields |= {"mask_in": 1, "mi_base": self._operand("MI", p.mask_in)}
        if p.mask_out:
            fields |= {"mask_out": 1, "mo_base": self._result("MO", p.mask_out)}
        if p.table:
            fields["per_channel"] = 1
            fields["c_coef"], fields["c_stride"] = tables.entry(p.table, p.entry, part.group0)
        if p.sums:
            self._sums(number, p, fields)
        if p.maximum:
            fields |= {"max": 1, "c_max": tables.maximum(p.maximum)}
        if self.chain.stochastic[number]:
            fields |= {"stochastic": 1, "px0": part.px0, "px_total": self.chain.noise_pixels}
            fields["ch0"] = part.group0 * self.segment.config.g
        if p.byte:
            fields["byte"] = BYTES[p.byte]
        if placement.memory:
            fields["dst_wide"] = int(p.wide)
            fields |= {"dst": DST[placement.memory], "o_base": self._result(placement.memory, p.out)}
        self.segment.emit("vector", clip=1, slot=part.image0, n_img=part.images, img_px=part.px, **fields)
        if placement.stored:
            self.segment.store_part(placement.memory, fields["o_base"], p.out, part)
        if p.mask_out:
            self.segment.store_part("MO", fields["mo_base"], p.mask_out, part)

    def _sums(self, number: int, p: Pass, fields: dict[str, int]) -> None:
        begun = (number, self.part.group0)
        address, stride = self.tables.entry(p.sums_table, p.sums_entry, self.part.group0)
        fields |= {"sums": 1, "sums_v": int(p.sums == "v"), "sums_first": int(begun not in self.chain.summed),
                   "c_sum": address, "c_stride": stride}
        self.chain.summed.add(begun)
        self.tables.changed(p.sums_table, self.part.group0)


def emit_passes(segment: Segment, tables: Tables, chain: Chain) -> None:
    """Emit a node without a product: its passes over the whole tensor, all groups of some images before the next images.

    What follows can so begin with the first images while the last ones are under way.
    """
    channels, height, width = chain.node.shape
    for image, images, px, count in chunks(chain, segment.batch, height * width):
        for group in range(layout.groups(channels, segment.config.g)):
            _Piece(segment, tables, chain, Part(image, images, group, 1, px, count), None).emit()
