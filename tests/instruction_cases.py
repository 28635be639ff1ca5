"""Random instructions, well-formed and malformed, and a memory that hands them to the fetch unit."""

from __future__ import annotations

import random
from collections import deque

from cocotb.triggers import ReadOnly, RisingEdge

from hw import isa


def random_instruction(source: random.Random, op: str | None = None, wait: int = 0, signal: int = 0) -> isa.Instruction:
    """Return an instruction with random fields that `isa.check` accepts."""
    op = op or source.choice(isa.ENGINES)
    fields = {}
    for f in isa.FIELDS[op]:
        low, high = (-(1 << f.bits - 1), (1 << f.bits - 1) - 1) if f.signed else (int(f.positive), largest(f))
        fields[f.name] = source.choice((low, high, source.randint(low, high)))
    fields.update(wait=wait, signal=signal, spare=0, opcode=isa.ENGINES.index(op) + 1)
    if "mem" in fields:
        fields["mem"] = source.choice([i for i, m in enumerate(isa.MEMORIES) if getattr(m, op)])
    _agree(op, fields)
    return isa.Instruction(op, fields)


def largest(f: isa.Field) -> int:
    """Return the largest value that an unsigned field may have."""
    return (1 << f.bits) - 1 if f.most is None else f.most


def _agree(op: str, fields: dict[str, int]) -> None:
    """Change what keeps the mode bits from having a meaning together."""
    for rule in sorted(isa.RULES, key=lambda rule: "pair" not in rule.needs):  # a mode that needs another comes before that one
        if rule.op == op and fields[rule.mode]:
            fields.update(dict.fromkeys(rule.without, 0) | dict.fromkeys(rule.needs, 1))
    if fields.get("pair"):
        fields.update({name: max(fields[name], least) for name, least in isa.PAIR_DROPS.items()})
    if any(fields.get(name) for name in isa.INDEXED):
        fields["n_kx"] = min(fields["n_kx"], isa.MAX_INDEXED_TAPS // fields["n_ky"])


def malformed_words(source: random.Random) -> list[bytes]:
    """Return one word for every rule of `isa.check`, each breaking that rule alone."""
    words = [source.randbytes(60) + b"\0\0\0\0", bytes(64)]
    words[0] = bytes([words[0][0] & 0xF0 | 6]) + words[0][1:]
    for op in isa.ENGINES:
        width = sum(f.bits for f in isa.FIELDS[op])
        good = random_instruction(source, op)
        own = 1 << isa.ENGINES.index(op)
        broken = [{"wait": own}, {"signal": own}, {"spare": 1}, {"spare": 2}]
        broken += [{f.name: 0} for f in isa.FIELDS[op] if f.positive]
        if "mem" in good.fields:
            broken += [{"mem": i} for i in range(16) if i >= len(isa.MEMORIES) or not getattr(isa.MEMORIES[i], op)]
        excluded = {rule.mode: dict.fromkeys(rule.without, 0) for rule in isa.RULES if rule.op == op}
        broken += [{**excluded.get(f.name, {}), f.name: more}
                   for f in isa.FIELDS[op] if not f.signed for more in range(largest(f) + 1, 1 << f.bits)]
        plain = {rule.mode: 0 for rule in isa.RULES if rule.op == op}
        for rule in isa.RULES:
            if rule.op == op:
                kept = dict.fromkeys(rule.without, 0) | dict.fromkeys(rule.needs, 1)
                wrong = [{name: 1} for name in rule.without] + [{name: 0} for name in rule.needs]
                broken += [{**plain, **kept, rule.mode: 1, **change} for change in wrong]
        if op == "array":
            modes = dict.fromkeys((*plain, *isa.INDEXED), 0) | {"scatter": 1, "hold_weights": 1}
            broken += [{**modes, name: 1, "n_ky": ky, "n_kx": kx} for name in isa.INDEXED for ky, kx in ((17, 17), (31, 9))]
            pair = {**dict.fromkeys((*plain, *isa.INDEXED), 0), "os": 1, "pair": 1, **isa.PAIR_DROPS}
            broken += [{**pair, name: least - 1} for name, least in isa.PAIR_DROPS.items()]
        packed = [isa.pack(isa.FIELDS[op], {**good.fields, **change}) for change in broken]
        packed += [isa.pack(isa.FIELDS[op], good.fields) | 1 << bit for bit in (width, source.randrange(width, 512), 511)]
        words += [word.to_bytes(isa.INSTRUCTION_BYTES, "little") for word in packed]
    return words


async def serve_reads(dut, memory: dict[int, bytes], beat_bytes: int, seed: int, share: float, poisoned=()) -> None:
    """Answer the read port of a bench with pins ar* and r*, pausing in `share` of the cycles; bursts are 64 bytes."""
    source = random.Random(seed)
    beats: deque[tuple[int, int]] = deque()
    dut.arready_i.value = dut.rvalid_i.value = dut.rresp_i.value = dut.rdata_i.value = 0
    while True:
        await ReadOnly()
        if dut.arvalid_o.value and dut.arready_i.value:
            address = int(dut.araddr_o.value)
            data = memory[address]
            for at in range(0, isa.INSTRUCTION_BYTES, beat_bytes):
                beats.append((int.from_bytes(data[at : at + beat_bytes], "little"), 2 if address in poisoned else 0))
        await RisingEdge(dut.clk_i)
        dut.arready_i.value = int(source.random() >= share)
        give = bool(beats) and source.random() >= share
        dut.rvalid_i.value = int(give)
        if give:
            dut.rdata_i.value, dut.rresp_i.value = beats.popleft()
