"""Which residual blocks can be left out for some samples, and a network's ops cut into parts at them.

A block is gated where its shortcut is the identity: what a sample that skips it goes on with is then what the block would have
read. A block with a projection runs for every sample, as does the network's first residual block. A chain of gated blocks
rewrites one stream (algo.step.Part).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from algo.fuse import Op
from algo.gates import Gating, pooled_name
from algo.graph import ExportError
from algo.step import Part


@dataclass(frozen=True)
class Cut:
    """Ops with their parts.

    Attributes:
        ops: in order; those that read a tensor that gated blocks rewrite read its stream.
        part_of: of each op, the number of its part.
        parts: in order of execution.
        views: tensor name to (stream, version), of those that are versions of a stream.
        versions: stream to the number of its versions.
        gradients: whether the decisions' gradients are wanted.
    """

    ops: list[Op]
    part_of: list[int]
    parts: tuple[Part, ...]
    views: dict[str, tuple[str, int]]
    versions: dict[str, int]
    gradients: bool = False


def cut(input_name: str, ops: list[Op], gating: Gating) -> Cut:
    """Return the ops cut into parts at the blocks that can be gated.

    Raises:
        NoGatedBlock: there is none.
        ExportError: a part would have to gather two tensors.
    """
    blocks = _gated(ops)
    if not blocks:
        raise NoGatedBlock("no block of the network can be gated; residual blocks with an identity behind the first one can")
    views, versions = _streams(blocks)
    last = {stream: tensor for tensor, (stream, version) in views.items() if version == versions[stream] - 1}
    reading = {tensor: stream for stream, tensor in last.items()}
    result, part_of, parts = list(ops), [], []
    inside = {index: block for block in blocks for index in range(block.start, block.stop)}
    for index, op in enumerate(ops):
        block = inside.get(index)
        if not parts or block is not inside.get(index - 1):
            parts.append(block)
        part_of.append(len(parts) - 1)
        streams = {block.x: views[block.x][0]} if block else reading
        result[index] = replace(op, x=streams.get(op.x, op.x), addend=streams.get(op.addend, op.addend))
    described = _parts(input_name, result, part_of, parts, views, versions, gating)
    return Cut(result, part_of, described, views, versions, gating.gradients)


class NoGatedBlock(ExportError):
    """The network has no block that may be skipped."""


@dataclass(frozen=True)
class _Block:
    """Ops start to stop - 1, from tensor x to tensor out."""

    start: int
    stop: int
    x: str
    out: str


def _gated(ops: list[Op]) -> list[_Block]:
    """Return the blocks that can be gated, in order."""
    readers: dict[str, list[int]] = {}
    for index, op in enumerate(ops):
        for name in op.inputs:
            readers.setdefault(name, []).append(index)
    residual = [index for index, op in enumerate(ops) if op.addend]
    return [block for index in residual[1:] if (block := _block(ops, index, readers))]


def _block(ops: list[Op], last: int, readers: dict[str, list[int]]) -> _Block | None:
    """Return the block that ends with the addition of op `last`, None where it cannot be left out."""
    made = {op.out: index for index, op in enumerate(ops)}
    for name, other in ((ops[last].addend, ops[last].x), (ops[last].x, ops[last].addend)):
        start = made.get(name, -1) + 1
        if not 0 < start <= last or ops[made[name]].layer.shape != ops[last].layer.shape or made.get(other, -1) < start:
            continue
        within = set(range(start, last + 1))
        private = all(within.issuperset(readers.get(op.out, ())) for op in ops[start:last])
        reading = all(made.get(read, -1) >= start or read == name for op in ops[start : last + 1] for read in op.inputs)
        behind = all(reader > last for reader in readers.get(ops[last].out, ()))
        if private and reading and behind and within.issuperset(readers[name]):
            return _Block(start, last + 1, name, ops[last].out)
    return None


def _streams(blocks: list[_Block]) -> tuple[dict[str, tuple[str, int]], dict[str, int]]:
    """Number the versions of every chain of blocks."""
    views: dict[str, tuple[str, int]] = {}
    versions: dict[str, int] = {}
    for block in blocks:
        if block.x not in views:
            views[block.x] = f"{block.x}.stream", 0
        stream, version = views[block.x]
        views[block.out] = stream, version + 1
        versions[stream] = version + 2
    return views, versions


def _parts(input_name, ops, part_of, blocks, views, versions, gating: Gating) -> tuple[Part, ...]:
    parts = []
    for number, block in enumerate(blocks):
        own = [op for op, part in zip(ops, part_of, strict=True) if part == number]
        gathered = {name for op in own for name in op.inputs if name in versions or name == input_name}
        if len(gathered) > 1:
            raise ExportError(f"{own[0].out} and what follows gather {' and '.join(sorted(gathered))}; one tensor is supported")
        made = [views[op.out] for op in own if op.out in views]
        if len(made) > 1:
            raise ExportError(f"{own[0].out} and what follows feed two chains of gated blocks; one is supported")
        (stream, version), gathers = made[0] if made else ("", 0), min(gathered, default="")
        read_again = stream and version < versions[stream] - 1
        parts.append(Part(
            f"forward.{number}", f"backward.{number}", f"eval.{number}", gathers,
            sum(one is not None for one in blocks[:number]) if block else -1, stream, version,
            pooled_name(stream) if gating.pooled and read_again else "",
            f"{block.out}.gate" if gating.gradients and block else "",
        ))
    return tuple(parts)
