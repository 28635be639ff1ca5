"""The SystemVerilog package `joulegrad_pkg`, made of the tables of hw/isa.py.

`python -m hw.isa_package FILE` writes it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from algo import arithmetic
from hw.isa import (
    COUNTER_NAMES,
    COUNTERS,
    ENGINES,
    ERRORS,
    FIELDS,
    HALF_BITS,
    HEADER,
    IDENTITY,
    INDEXED,
    INSTRUCTION_BYTES,
    MAX_INDEXED_TAPS,
    MEMORIES,
    PAIR_DROPS,
    REGISTERS,
    RULES,
    SCALAR_FIELDS,
    SCALAR_OPS,
    VERSION,
    Field,
)

_UNDERSCORED = ("wait", "signal", "byte")
"""Fields that SystemVerilog could not name so, or a reader would take for such; their members end in an underscore."""


def _struct(name: str, fields: tuple[Field, ...]) -> str:
    lines = []
    for f in reversed(fields):
        sign = "signed " if f.signed else ""
        width = f"[{f.bits - 1}:0] " if f.bits > 1 else ""
        sv_name = f.name + "_" if f.name in _UNDERSCORED else f.name
        lines.append(f"    logic {sign}{width}{sv_name};")
    body = "\n".join(lines)
    return f"  typedef struct packed {{\n{body}\n  }} {name};\n"


def _too_many_taps(rows: str, columns: str) -> str:
    """Return the condition that rows * columns is more than an index tells apart, in steps: no product is in the way."""
    most = {n: min(31, MAX_INDEXED_TAPS // n) for n in range(1, 32)}
    steps = [n for n in most if most[n] < most.get(n - 1, 31)]
    return " || ".join(f"({rows} >= 5'd{n} && {columns} > 5'd{most[n]})" for n in steps)


def _malformed() -> str:
    """Return the SystemVerilog function that says of 512 bits what `check` says of an instruction, for each engine's."""
    lines = ["  // Bit e: hw/isa.py check() refuses it as an instruction of engine e.",
             "  // Without pairs an array instruction with that bit is, too.",
             "  function automatic logic [NumEngines-1:0] malformed(input logic [InstructionBits-1:0] word, input logic pairs);"]
    for number, op in enumerate(ENGINES):
        at = {}
        for f in FIELDS[op]:
            at[f.name] = (sum(at_bits for _, at_bits in at.values()), f.bits)
        start = {name: f"word[{low} +: {bits}]" for name, (low, bits) in at.items()}
        width = sum(bits for _, bits in at.values())
        terms = [f"|word[InstructionBits-1:{width}]", f"|{start['spare']}",
                 f"word[{at['wait'][0] + number}]", f"word[{at['signal'][0] + number}]"]
        terms += [f"{start[f.name]} == '0" for f in FIELDS[op] if f.positive]
        terms += [f"{start[f.name]} > {f.bits}'d{f.most}" for f in FIELDS[op] if f.most is not None]
        if op in ("load", "store"):
            reached = sum(getattr(memory, op) << i for i, memory in enumerate(MEMORIES))
            terms.append(f"((16'h{reached:04x} >> {start['mem']}) & 16'd1) == 16'd0")
        for rule in RULES:
            if rule.op == op:
                clashes = [start[name] for name in rule.without] + [f"!{start[name]}" for name in rule.needs]
                terms.append(f"(|{start[rule.mode]} && ({' || '.join(clashes)}))")
        if op == "array":
            indexed = " || ".join(start[name] for name in INDEXED)
            terms.append(f"(({indexed}) && ({_too_many_taps(start['n_ky'], start['n_kx'])}))")
            few = " || ".join(f"{start[name]} < 3'd{least}" for name, least in PAIR_DROPS.items())
            terms.append(f"({start['pair']} && (!pairs || {few}))")
        body = " ||\n               ".join(terms)
        lines.append(f"    malformed[{number}] = {body};")
    lines += ["  endfunction", ""]
    return "\n".join(lines)


_IMAGES_OF = """\
  // Images an instruction runs for, of `count` in the mini-batch: CoreState.images() of hw/state.py.
  function automatic logic [11:0] images_of(input logic clip, input logic [11:0] n_img, input logic [11:0] slot,
                                            input logic [15:0] count);
    logic signed [16:0] left;
    left = signed'({1'b0, count}) - signed'({5'd0, slot});
    if (!clip || left >= signed'({5'd0, n_img})) return n_img;
    return left < 0 ? 12'd0 : left[11:0];
  endfunction
"""


def package() -> str:
    """Return the SystemVerilog package `joulegrad_pkg`; fields of _UNDERSCORED end in an underscore there."""
    out = ["// Written by hw/isa_package.py. Do not edit.", "", "package joulegrad_pkg;", ""]
    out.append(f"  localparam int unsigned InstructionBits = {INSTRUCTION_BYTES * 8};")
    out.append(f"  localparam int unsigned NumEngines = {len(ENGINES)};")
    out.append(f"  localparam logic [31:0] Identity = 32'h{IDENTITY:08x};")
    out.append(f"  localparam logic [31:0] Version = 32'd{VERSION};")
    for i, name in enumerate(ENGINES):
        out.append(f"  localparam int unsigned Engine{name.title()} = {i};")
    for i, memory in enumerate(MEMORIES):
        out.append(f"  localparam logic [3:0] Mem{memory.name} = 4'd{i};")
    for i, name in enumerate(ERRORS):
        out.append(f"  localparam logic [3:0] Error{_camel(name)} = 4'd{i};")
    for name, (address, _) in REGISTERS.items():
        out.append(f"  localparam logic [9:0] Reg{_camel(name.lower())} = 10'h{address:03x};")
    out.append(f"  localparam int unsigned NumCounters = {len(COUNTERS)};")
    for i, name in enumerate(COUNTER_NAMES):
        out.append(f"  localparam int unsigned Counter{_camel(name)} = {i};")
    bits = arithmetic.DITHER_BITS
    out.append(f"  localparam int unsigned DitherBits = {bits};")
    for name in ("IMAGE", "ROW", "COLUMN"):
        step = getattr(arithmetic, f"DITHER_{name}")
        out.append(f"  localparam logic [DitherBits-1:0] Dither{_camel(name.lower())} = {bits}'d{step};")
    for name, least in PAIR_DROPS.items():
        out.append(f"  localparam int unsigned Pair{_camel(name)} = {least};")
    out.append(f"  localparam int unsigned HalfBits = {HALF_BITS};")
    for i, name in enumerate(SCALAR_OPS):
        out.append(f"  localparam logic [4:0] Scalar{_camel(name)} = 5'd{i};")
    out.append("")
    out.append(_struct("scalar_instr_t", SCALAR_FIELDS))
    for name in ENGINES:
        width = sum(f.bits for f in FIELDS[name])
        out.append(f"  localparam int unsigned {name.title()}InstrBits = {width};")
        out.append(_struct(f"{name}_instr_t", FIELDS[name]))
    out.append(_struct("header_t", HEADER))
    out.append(_malformed())
    out.append(_IMAGES_OF)
    out.append("endpackage")
    return "\n".join(out) + "\n"


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m hw.isa_package", description="Write the package joulegrad_pkg.")
    parser.add_argument("file", type=Path, help="to write")
    parser.parse_args().file.write_text(package())
