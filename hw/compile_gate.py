"""The gradient of a block's decisions: per image the sum of gradient * (after - before), from the vector unit's sums of products.

A vector instruction per image, channel group and operand: u is the block's output, then with A = -1 its input, v the gradient,
and the second sum, of result times v, adds up over groups, operands and pieces of the plane. What is left to the processor is the
sum over the G lanes.
"""

from __future__ import annotations

from algo.step import GateSum
from hw import layout
from hw.compile_table import Tables
from hw.emit import Part, Segment
from hw.scratchpad import CompileError
from hw.tiling import cut

LANE_WORDS = 2
"""Words of C per lane: the two sums of a vector instruction, of which the second is the product's."""


def gate_words(g: int) -> int:
    """Return the words per image in the region of a GateSum's result; the second of every lane counts."""
    return LANE_WORDS * g


def emit_gate_sum(segment: Segment, tables: Tables, node: GateSum) -> None:
    """Emit a GateSum for the images of a mini-batch, as many at a time as a quarter of memory C holds sums of."""
    config, words = segment.config, gate_words(segment.config.g)
    most = config.table_words // 4 // words
    if not most:
        raise CompileError(f"node {node.name}: the {words} sums of an image do not fit a quarter of memory C")
    for image0, images in cut(segment.batch, most):
        base = tables.scratch(node.name, images * words)
        for i in range(images):
            _image(segment, tables, node, image0 + i, base + i * words)
        segment.store_words("C", base, segment.memory[node.name].offset + 8 * image0 * words, images * words)
        tables.drop(node.name)


def _image(segment: Segment, tables: Tables, node: GateSum, image: int, base: int) -> None:
    channels, height, width = node.shape
    first = 1
    for group in range(layout.groups(channels, segment.config.g)):
        for px, count in cut(height * width, segment.config.vector_words // 4):
            part = Part(image, 1, group, 1, px, count)
            gradient = segment.load_part("V", node.gradient, part)
            for tensor, record in ((node.after, node.plus), (node.before, node.minus)):
                operand = segment.load_part("U", tensor, part)
                segment.emit(
                    "vector", clip=1, slot=image, n_img=1, img_px=count, c_rec=tables.record(record), u_src=1,
                    u_base=operand.buffer.base, v_src=1, v_base=gradient.buffer.base, sums=1, sums_v=1, sums_first=first,
                    c_sum=base, c_stride=LANE_WORDS,
                )
                segment.release(operand.buffer)
                first = 0
            segment.release(gradient.buffer)
