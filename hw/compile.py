"""The compiler: a training step and a configuration to a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from algo.scaling import State
from algo.step import Coefficient, Compute, GateSum, Node, Step, Update
from hw import isa
from hw.compile_gate import emit_gate_sum, gate_words
from hw.compile_pass import Chain, emit_passes, plan_chain
from hw.compile_pixels import emit_products, joined
from hw.compile_product import DIAGONAL
from hw.compile_table import (
    HOST_TABLE,
    HULL_GAP,
    TableLayout,
    Tables,
    emit_coefficient,
    first_words,
    image_list,
    node_tables,
    program_region,
    table_layout,
)
from hw.compile_update import DIAGONAL_MASK, diagonal_mask, emit_update
from hw.config import Config
from hw.emit import Segment
from hw.memory_map import MemoryMap
from hw.program import Program, SegmentEntry
from hw.schedule import schedule
from hw.scratchpad import CompileError

__all__ = ["CompileError", "compile_step"]

CLEAR = "clear"
"""Segment that zeroes the accumulators, which every segment finds and leaves zero; run it once at power-on."""

IMAGE_NUMBERS = 1 << 16
"""Images that the image list can tell apart."""

SLOTS_PER_IMAGE = 2
"""The input region holds two mini-batches: one is computed while the next one is written."""


def compile_step(step: Step, config: Config, tensors: Mapping[str, np.ndarray], state: State | None = None) -> Program:
    """Return the program of a training step.

    Args:
        tensors: initial logical arrays by region: a weight's int8 `name`, its `name.master` and `name.momentum`
            (k, c, kh, kw), a channel table's (channels, entries) int64. What is missing starts as zeros. The program holds
            folded weights (algo.step.Weight) as its memory does, (k, c * kh * kw, 1, 1).
        state: kept in the program for the runtime to start from, with the host table of its first iteration.

    Raises:
        CompileError: the step does not fit the configuration, or an initial array does not fit the step.
        OutOfRange: a number of the first iteration does not fit its format.
    """
    check_step(step, config)
    memory = MemoryMap(config.g)
    host = table_layout(step)
    initial = _place(step, memory, host, config)
    shapes = weight_shapes(step)
    for name, array in tensors.items():
        if name not in memory.regions:
            raise CompileError(f"initial tensor {name!r} is not in the step")
        shape = shapes.get(name, memory[name].shape)
        if tuple(array.shape) != shape:
            raise CompileError(f"initial tensor {name} has shape {tuple(array.shape)}, but the step says {shape}")
        initial[name] = np.asarray(array).reshape(memory[name].shape)
    if state is not None:
        initial[HOST_TABLE] = first_words(step, host, state)
    users = segment_users(step)
    code, owners = {CLEAR: clear_segment(config, memory)}, {}
    part_of = {name: part for part in step.sequence for name in (part.forward, part.backward, part.evaluate)}
    for name, nodes in step.segments.items():
        segment = Segment(config, memory, step.batch, part_of.get(name, step.sequence[0]).gathered)
        emit_segment(segment, step, name, nodes, host, users)
        ordered = schedule(segment.instructions, config)
        code[name], owners[name] = encoded(ordered), [i.node for i in ordered]
    return replace(assemble(config, memory, host, code, initial), step=step, state=state, owners=owners)


def check_step(step: Step, config: Config) -> None:
    """Raise CompileError for what no tiling can mend."""
    if not 1 <= step.batch < config.list_words:
        raise CompileError(
            f"a batch of {step.batch} images and its count do not fit the image list of {config.list_words} words: at most "
            f"{config.list_words - 1} images do"
        )
    for name, tensor in step.tensors.items():
        if tensor.versions > 1 and tensor.versions * step.batch > IMAGE_NUMBERS:
            found = f"{tensor.versions} versions of {step.batch} images"
            raise CompileError(f"stream {name} has {found}; the image list numbers up to {IMAGE_NUMBERS}")
    for name, table in step.tables.items():
        if len(table.entries) > 255:
            raise CompileError(f"channel table {name} has {len(table.entries)} entries per channel; at most 255 are addressed")
    for name, program in step.programs.items():
        if len(program) > config.program_words:
            raise CompileError(f"scalar program {name} of {len(program)} words does not fit memory P of {config.program_words}")


def _place(step: Step, memory: MemoryMap, host: TableLayout, config: Config) -> dict[str, np.ndarray]:
    """Give every tensor its region; return the constants."""
    initial: dict[str, np.ndarray] = {DIAGONAL: np.eye(memory.g, dtype=np.int8)[:, :, None, None]}
    memory.add(HOST_TABLE, "words", (host.words,))
    for part in step.sequence:
        memory.add(image_list(part.forward), "words", (1 + step.batch,))
        if part.gate_sum:
            memory.add(part.gate_sum, "words", (step.batch, gate_words(memory.g)))
    memory.add(DIAGONAL, "weight", (memory.g, memory.g, 1, 1))
    for name, words in step.programs.items():
        memory.add(program_region(name), "words", (len(words),))
        initial[program_region(name)] = np.array(words, np.int64)
    pitches = table_pitches(step)
    for name, table in step.tables.items():
        memory.add(name, "table", (table.channels, len(table.entries)), pitches[name])
    for suffix in ("", ".master", ".momentum"):
        for name, weight in step.weights.items():  # those of a kind together: the processor reads and writes them in one piece
            kinds = ("diagonal", "wide_diagonal") if weight.depthwise else ("weight", "wide")
            memory.add(f"{name}{suffix}", kinds[bool(suffix)], weight.stored_shape)
    if any(weight.depthwise for weight in step.weights.values()):
        initial[DIAGONAL_MASK] = diagonal_mask(config)
        memory.add(DIAGONAL_MASK, "mask", initial[DIAGONAL_MASK].shape)
    kinds = {"activation": "activation", "gradient": "activation", "mask": "mask", "index": "index"}
    for name, tensor in step.tensors.items():
        if tensor.role not in kinds:
            raise CompileError(f"tensor {name} has role {tensor.role!r}; roles are {', '.join(kinds)}")
        images = SLOTS_PER_IMAGE * step.batch if name == step.input else tensor.versions * step.batch
        if not tensor.stream:
            memory.add(name, kinds[tensor.role], (images, *tensor.shape))
    for name, tensor in step.tensors.items():
        if tensor.stream:
            memory.add_view(name, tensor.stream, tensor.version * step.batch, (step.batch, *tensor.shape))
    return initial


def weight_shapes(step: Step) -> dict[str, tuple[int, int, int, int]]:
    """Return (k, c, kh, kw), as the module has it, of every region that holds weights, masters or momenta."""
    return {f"{name}{kind}": weight.shape for name, weight in step.weights.items() for kind in ("", ".master", ".momentum")}


def table_pitches(step: Step) -> dict[str, int]:
    """Return every channel table's words per channel: the same where a pass reads one and sums into another."""
    pitches = {name: len(table.entries) for name, table in step.tables.items()}
    passes = [p for nodes in step.segments.values() for node in nodes if isinstance(node, Compute) for p in node.passes]
    pairs = {(p.table, p.sums_table) for p in passes if p.table and p.sums}
    for _ in pairs:
        for one, other in pairs:
            pitches[one] = pitches[other] = max(pitches[one], pitches[other])
    return pitches


def node_reads(node: Node) -> set[str]:
    """Return the tensors that a node reads, its own results included."""
    names: set[str] = set()
    if isinstance(node, GateSum):
        return {node.gradient, node.after, node.before}
    if isinstance(node, Compute):
        for p in node.passes:
            names |= {p.u, p.v, p.mask_in}
    if isinstance(node, (Compute, Update)) and node.product:
        names |= {operand for one in node.product.all for operand in (one.a, one.b)}
    return names - {""}


def segment_users(step: Step) -> dict[str, set[tuple[str, int]]]:
    """Return for every tensor and channel table the nodes that use it, as (segment, position)."""
    users: dict[str, set[tuple[str, int]]] = {}
    for name, nodes in step.segments.items():
        for position, node in enumerate(nodes):
            for used in node_reads(node) | node_tables(node)[0]:
                users.setdefault(used, set()).add((name, position))
    return users


def emit_segment(
    segment: Segment, step: Step, name: str, nodes: tuple[Node, ...], host: TableLayout, users: dict[str, set[tuple[str, int]]],
) -> None:
    """Emit a whole segment: image list and host table first, nodes, maxima last."""
    stored = {
        table for table, t in step.tables.items() if t.persistent or any(other != name for other, _ in users.get(table, ()))
    }
    segment.load_words("IL", 0, segment.memory[image_list(name)].offset, 1 + step.batch)
    tables = Tables(segment, host, step.tables, step.scalars, frozenset(stored))
    tables.load_host(nodes, HULL_GAP if step.parts else None)
    shared = {t.name for t in step.tensors.values() if t.stream or t.versions > 1}
    shared |= {pooled for part in step.parts for pooled in part.pooled}
    for positions in joined(nodes):
        chains = {}
        for position in positions:
            if isinstance(nodes[position], Compute):
                elsewhere = {t for t, where in users.items() if where - {(name, position)}} | {step.logits} | shared
                chains[position] = plan_chain(segment, nodes[position], step.records, elsewhere)
        segment.node = positions[0]
        _emit_node(segment, tables, step, nodes[positions[0]], chains)
        later = [node_tables(n) for n in nodes[positions[-1] + 1 :]]
        tables.finish_node(set().union(*(w for _, w in later)), set().union(*(u for u, _ in later)))
    segment.node = -1
    tables.store_maxima()


def _emit_node(segment: Segment, tables: Tables, step: Step, node: Node, chains: dict[int, Chain]) -> None:
    """Emit a node, and those that take turns with it.

    Args:
        chains: of all of these that have passes, by position.
    """
    if isinstance(node, Coefficient):
        emit_coefficient(segment, tables, step, node)
    elif isinstance(node, Update):
        emit_update(segment, tables, node)
    elif isinstance(node, GateSum):
        emit_gate_sum(segment, tables, node)
    elif node.product:
        emit_products(segment, tables, chains)
    else:
        emit_passes(segment, tables, *chains.values())


def clear_segment(config: Config, memory: MemoryMap) -> bytes:
    """Return the code that zeroes both accumulator banks."""
    segment = Segment(config, memory, 1)
    segment.emit("vector", u_src=3, acc_clear=1, n_img=2, img_px=config.acc_rows)
    return encode(segment.instructions, config)


def encode(instructions: list[isa.Instruction], config: Config) -> bytes:
    """Return the bytes of a segment with its tokens, in the order of issue."""
    return encoded(schedule(instructions, config))


def encoded(ordered: list[isa.Instruction]) -> bytes:
    """Return the bytes of instructions as they stand. Raises CompileError when a value does not fit its field."""
    code = []
    for instruction in ordered:
        try:
            code.append(isa.encode(instruction))
        except ValueError as error:
            raise CompileError(f"an instruction of the {instruction.op} engine cannot hold this step: {error}") from None
    return b"".join(code)


def assemble(
    config: Config, memory: MemoryMap, host: TableLayout, code: dict[str, bytes], initial: dict[str, np.ndarray],
) -> Program:
    """Return the program: code is placed behind the tensors."""
    segments = {}
    for name, data in code.items():
        region = memory.add(f"segment.{name}", "words", (len(data) // 8,))
        segments[name] = SegmentEntry(region.offset, len(data) // isa.INSTRUCTION_BYTES)
    return Program(config.name, config.config_hash, memory, host, segments, code, initial)

