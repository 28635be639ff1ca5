"""Which residual blocks can be left out for some samples, and a network's ops cut into parts at them.

A block is gated where its shortcut is the identity, or a projection: one 1x1 convolution, with or without a batch norm. What is
left out is what stands beside the shortcut. The network's first residual block runs for every sample. A sample goes on with

    x_{l+1} = G relu(F_l(x_l) + s_l(x_l)) + (1 - G) s_l(x_l)

as SkipNet (Wang et al., "SkipNet: learning dynamic routing in convolutional networks", 2018) and E2-Train have it, s_l being the
shortcut. A projection is computed for every sample, and its result passes no ReLU where the block is skipped: the published form,
one pass less, and nothing that int8 with a sign lacks room for. A stream's one exponent covers both: its maximum is of
magnitudes, and sums before a ReLU are not smaller than their addends by much.

A chain of gated blocks rewrites one stream (algo.step.Part); a projection begins another one. Where it reads the end of a chain,
its block's input is copied into the order of the mini-batch, so that a part needs one list of images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from algo.fuse import Op
from algo.gates import Gating, pooled_name
from algo.graph import ExportError, Layer
from algo.step import Part

COPY = ".copy"
"""Ends the name of a copy in the mini-batch's order."""


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
    blocks = [block for block in _gated(ops) if gating.projections or not block.shortcut]
    if not blocks:
        beside = "" if gating.projections else " beside an identity shortcut"
        asked = "" if gating.projections else ", and the method's setting blocks asks for those alone"
        raise NoGatedBlock(f"no block of the network{beside} can be gated; residual blocks behind the first one can{asked}")
    views, versions = _streams(blocks)
    last = {stream: tensor for tensor, (stream, version) in views.items() if version == versions[stream] - 1}
    reading = {tensor: stream for stream, tensor in last.items()}
    result, part_of, within = [], [], []
    for op, block in _arranged(ops, blocks, views):
        if not within or block is not within[-1]:
            within.append(block)
        part_of.append(len(within) - 1)
        streams = {block.skipped: views[block.skipped][0]} if block else reading
        result.append(replace(op, x=streams.get(op.x, op.x), addend=streams.get(op.addend, op.addend)))
    described = _parts(input_name, result, part_of, within, views, versions, gating)
    return Cut(result, part_of, described, views, versions, gating.gradients)


class NoGatedBlock(ExportError):
    """The network has no block that may be skipped."""


@dataclass(frozen=True)
class _Block:
    """Ops start to stop - 1, from tensor x to tensor out; every sample runs those of `shortcut`, and goes on with `skipped`."""

    start: int
    stop: int
    x: str
    skipped: str
    out: str
    shortcut: frozenset[int] = frozenset()


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
    added = [(ops[last].addend, ops[last].x)]
    if ops[last].layer.kind == "add":
        added.append((ops[last].x, ops[last].addend))
    for skipped, other in added:
        for shortcut in (frozenset(), _projection(ops, made, skipped, readers)):
            x = ops[min(shortcut)].x if shortcut else skipped
            start = made.get(x, -1) + 1
            if not 0 < start <= last or ops[made[skipped]].layer.shape != ops[last].layer.shape or made.get(other, -1) < start:
                continue
            within = set(range(start, last + 1))
            private = all(within.issuperset(readers.get(op.out, ())) for op in ops[start:last])
            reading = all(made.get(read, -1) >= start or read == x for op in ops[start : last + 1] for read in op.inputs)
            behind = all(reader > last for reader in readers.get(ops[last].out, ()))
            if private and reading and behind and within.issuperset(readers[x]):
                return _Block(start, last + 1, x, skipped, ops[last].out, shortcut)
    return None


def _projection(ops: list[Op], made: dict[str, int], name: str, readers: dict[str, list[int]]) -> frozenset[int]:
    """Return the ops of the projection that makes a tensor, none where another thing makes it."""
    found: list[int] = []
    for kind in ("bn", "conv"):
        op = ops[made[name]] if name in made else None
        if op and op.layer.kind == kind and not op.relu and not op.addend and len(readers[name]) == 1:
            found.append(made[name])
            name = op.x
    layer = ops[found[-1]].layer if found else None
    return frozenset(found if layer and layer.kind == "conv" and layer.kernel == (1, 1) and not layer.depthwise else ())


def _streams(blocks: list[_Block]) -> tuple[dict[str, tuple[str, int]], dict[str, int]]:
    """Number the versions of every chain of blocks."""
    views: dict[str, tuple[str, int]] = {}
    versions: dict[str, int] = {}
    for block in blocks:
        if block.skipped not in views:
            views[block.skipped] = f"{block.skipped}.stream", 0
        stream, version = views[block.skipped]
        views[block.out] = stream, version + 1
        versions[stream] = version + 2
    return views, versions


def _arranged(ops: list[Op], blocks: list[_Block], views: dict[str, tuple[str, int]]) -> list[tuple[Op, _Block | None]]:
    """Return the ops in order of execution with the block that they are left out with: projections before what is beside them."""
    result: list[tuple[Op, _Block | None]] = []
    at = 0
    for block in blocks:
        beside = [ops[index] for index in range(block.start, block.stop) if index not in block.shortcut]
        result += [(op, None) for op in ops[at : block.start]]
        if block.shortcut and block.x in views:
            name, shape = f"{block.x}{COPY}", ops[block.start - 1].layer.shape
            result.append((Op(name, Layer(name, "copy", (block.x,), shape, shape), block.x), None))
            beside = [replace(op, x=name) if op.x == block.x else op for op in beside]
            block = replace(block, x=name)
        result += [(ops[index], None) for index in sorted(block.shortcut)]
        result += [(op, block) for op in beside]
        at = block.stop
    return result + [(op, None) for op in ops[at:]]


def _parts(input_name, ops, part_of, blocks, views, versions, gating: Gating) -> tuple[Part, ...]:
    reads = [block.x if block and block.shortcut else "" for block in blocks]
    rewritten = {views[block.out] for block in blocks if block and not block.shortcut}
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
        looked_at = [op.out for op in own if op.out in reads]
        looked_at += [stream] if any(one == stream and later > version for one, later in rewritten) else []
        parts.append(Part(
            f"forward.{number}", f"backward.{number}", f"eval.{number}", gathers,
            sum(one is not None for one in blocks[:number]) if block else -1, stream, version,
            tuple(pooled_name(name) for name in looked_at) if gating.pooled else (),
            f"{block.out}.gate" if gating.gradients and block else "", reads[number],
        ))
    return tuple(parts)
