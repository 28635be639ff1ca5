"""The backward segment: gradients of every op in reverse, weight and parameter updates.

A tensor's gradient is gathered from everything that read it. Identical gradients (of an addition) are no pass at all; the
batch-norm and product ones take one pass each, which adds what is there already, and the last one applies the ReLU mask
and gathers the sums that the op behind it needs. Updates wait until a product is due whose operand is still being made, so that
the vector unit serves the gradient that the array waits for first, and the array has their products to do meanwhile; a weight is
updated after its grad_input.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from algo.arithmetic import BN_SHIFT, INT8_MAX, LOW_BITS
from algo.fuse import Op
from algo.gated_blocks import COPY
from algo.gradient_bytes import low_sums, one_byte_pass, two_byte_passes
from algo.gradient_updates import lower_update
from algo.graph import average_factor
from algo.lower import (
    Lowering,
    has_bias,
    index_name,
    mask_name,
    operand_shift,
    product,
    scaled_by,
    table_name,
    trained,
    weight_name,
)
from algo.step import Coefficient, Compute, GateSum, Node, Part, Pass, Product, Term, Update, low_name


@dataclass(frozen=True)
class _Contribution:
    """A gradient on its way to a tensor: the gradient `g` itself, or what `op` makes of it."""

    kind: str  # "identity", "bn", "product": the order in which they are added
    g: str
    op: Op | None = None


_ORDER = ("identity", "bn", "product")


@dataclass(frozen=True)
class _Target:
    """Where gradients are summed.

    Attributes:
        name: of the sum's node and record; partial sums are name.0, name.1, ...
        out: the tensor.
        noise: name that keys its rounding.
        mask: mask of the last pass, or "".
        sums, summed_with: fields of the pass for the sums it gathers, and the tensor of the second sum, see `_sums`.
        forced: whether a gradient that arrives alone is copied, too.
    """

    name: str
    out: str
    noise: str
    shape: tuple[int, int, int]
    mask: str = ""
    sums: dict = field(default_factory=dict)
    summed_with: str = ""
    forced: bool = False


def lower_backward(lowering: Lowering) -> None:
    """Fill the segment backward, and what it uses."""
    _Backward(lowering).run()


class _Backward:
    """Walks the ops in reverse.

    Attributes:
        contributions: tensor to the gradients that arrive at it.
        held: convolution to its update, until its grad_input is out.
        pending: updates that nothing waits for.
    """

    def __init__(self, lowering: Lowering):
        self.lowering = lowering
        self.nodes: list[Node] = []
        self.contributions: dict[str, list[_Contribution]] = {name: [] for name in lowering.streams}
        self.contributions |= {op.out: [] for op in lowering.ops}
        self.held: dict[str, Update] = {}
        self.pending: list[Node] = []
        self.needed = _needing_gradient(lowering)

    def run(self) -> None:
        lowering = self.lowering
        self.contributions[lowering.logits].append(_Contribution("identity", lowering.logits_grad))
        for op in lowering.ops:
            if lowering.exponent(op.out) in self.needed.intersection(lowering.streams):
                gradient = lowering.tensor(f"{op.out}.grad", "gradient", op.layer.shape, delayed=True)
                self.contributions[op.out].append(_Contribution("identity", gradient))
        for part in reversed(lowering.parts):
            self._part(part, [op for op in lowering.ops if lowering.part(op) is part])

    def _part(self, part: Part, ops: list[Op]) -> None:
        lowering, self.nodes = self.lowering, self.lowering.segments[part.backward]
        if part.gate_sum:
            self._gate_sum(part, ops[-1])
        for op in reversed(ops):
            if op.out in self.needed and self.contributions[op.out]:
                lowering.gradients[op.out] = self._gather(op)
                self._through(op, lowering.gradients[op.out])
        if part.gathers in self.needed.intersection(lowering.streams):
            self._gather_stream(part)
        if part.reads in self.needed:
            self._gather_reads(part)
        self._flush()

    def _gate_sum(self, part: Part, op: Op) -> None:
        """Append the gradient of a block's decisions, before its ReLU masks the gradient that arrived; high bytes are enough."""
        record, name = self.lowering.record, part.gate_sum
        plus = record(f"{name}.plus", op.out, a=Term("one", (op.out,)))
        minus = record(f"{name}.minus", op.out, a=Term("-1", (part.gathers,)))
        self.nodes.append(GateSum(name, op.layer.shape, f"{op.out}.grad", op.out, part.gathers, plus, minus))

    def _gather(self, op: Op) -> str:
        """Append the passes that sum what arrived at the op's result; return the name of the gradient before ReLU."""
        name, (sums, summed_with) = f"{op.out}.grad", _sums(op)
        mask = mask_name(op) if op.relu else ""
        return self._sum(self.contributions[op.out], _Target(name, name, name, op.layer.shape, mask, sums, summed_with))

    def _gather_stream(self, part: Part) -> None:
        """Append the passes that sum a part's gradient of the stream that it gathers."""
        views = {version: name for name, (stream, version) in self.lowering.cut.views.items() if stream == part.gathers}
        before = views[part.version - 1 if part.stream == part.gathers else max(views)]
        out, shape = f"{part.gathers}.grad", self.lowering.tensors[part.gathers].shape
        name = f"{out}.{self.lowering.parts.index(part)}"
        self._sum(self.contributions[part.gathers], _Target(name, out, f"{before}.grad", shape, forced=True))
        self.contributions[part.gathers] = []

    def _gather_reads(self, part: Part) -> None:
        """Append the passes that make the gradient of what a block beside a projection reads, for the samples that ran it.

        The projection's part, which comes next, adds to it for all samples; so whoever makes the tensor clears it for those
        that skip the block.
        """
        x, gradient = part.reads, part.reads_gradient
        noise = f"{x.removesuffix(COPY)}.grad.0"  # as where the block is not gated, and this a partial sum
        self._sum(self.contributions[x], _Target(gradient, gradient, noise, self.lowering.tensors[x].shape, forced=True))
        self.contributions[x] = [_Contribution("identity", gradient)]
        record = self.lowering.record(f"{gradient}.clear", gradient)
        clear = [Pass(x, "", each, record) for each in (gradient, low_name(gradient)) if each in self.lowering.tensors]
        nodes = self.lowering.segment("forward", next(op for op in self.lowering.ops if op.out == x))
        at = next(at for at, one in enumerate(nodes) if isinstance(one, Compute) and x in [made.out for made in one.passes])
        nodes[at] = replace(nodes[at], passes=(*nodes[at].passes, *clear))

    def _sum(self, contributions: list[_Contribution], target: _Target) -> str:
        parts = sorted(contributions, key=lambda part: _ORDER.index(part.kind))
        partial = ""
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            if part.kind == "identity" and not partial and not (last and (target.mask or target.forced)):
                partial = part.g
                continue
            name = f"{target.name}.{number}"
            step = _Target(name, name, f"{target.noise}.{number}", target.shape)
            if part.kind == "bn" and partial:
                inner = replace(step, name=f"{name}.bn", out=f"{name}.bn", noise=f"{step.noise}.bn")
                part = _Contribution("identity", self._pass(inner, part, ""))
            taken = part.kind == "bn" or partial or self.lowering.two_bytes  # the second operand of the pass
            fits = last and not (target.summed_with and taken)
            one = target if fits else replace(target, sums={}, summed_with="") if last else step
            partial = self._pass(one, part, partial)
            if fits:
                return partial
        if target.sums:
            record = self.lowering.record(f"{target.name}.sums", partial, a=Term("one", (partial,)))
            only = Pass(partial, target.summed_with, "", record, **target.sums)
            self._only_sums(target.shape, (only, low_sums(only)) if self.lowering.two_bytes else (only,))
        return partial

    def _only_sums(self, shape: tuple[int, int, int], passes: tuple[Pass, ...]) -> None:
        """Append passes that only gather sums: to the node that makes the operand of the first, where this part has one."""
        for at, node in reversed(list(enumerate(self.nodes))):
            if isinstance(node, Compute) and passes[0].u in [made.out for made in node.passes]:
                self.nodes[at] = replace(node, passes=(*node.passes, *passes))
                return
        self.nodes.append(Compute(passes[0].record, shape, passes))

    def _pass(self, target: _Target, part: _Contribution, addend: str) -> str:
        """Append one pass that makes a target from a contribution and, where given, an addend; return the tensor's name.

        A gradient that is only masked, or only copied within a stream, keeps its numbers: it needs no noise and no maximum.
        """
        lowering, out = self.lowering, target.out
        kept = part.kind == "identity" and not addend and lowering.exponent(out) == lowering.exponent(part.g)
        if out not in lowering.tensors:
            lowering.tensor(out, "gradient", target.shape, delayed=True)
        u, of, terms, table, shift, v = part.g, None, {"a": Term("one", (part.g,))}, "", 0, target.summed_with
        if part.kind == "bn":
            self.nodes.append(self._bn_backward(part, out))
            table, v, terms = table_name(part.op), part.op.x, {"fixed_shift": BN_SHIFT}
        elif part.kind == "product":
            u, of, terms, shift = self._product(part)
            if self._made_since_last_product(part.g):
                self._flush()
        if addend:
            terms["b"] = Term("one", (addend,))
        maximum, noise = ("", "") if kept else (out, target.noise)
        one = Pass(u, addend or v, out, target.name, table, mask_in=target.mask, maximum=maximum, su=shift, **target.sums)
        passes = (two_byte_passes if lowering.two_bytes else one_byte_pass)(lowering, one, noise, terms)
        self.nodes.append(Compute(target.name, target.shape, passes, of))
        if part.kind == "product" and part.op.out in self.held:
            self.pending.append(self.held.pop(part.op.out))
        return out

    def _product(self, part: _Contribution) -> tuple[str, Product, dict, int]:
        """Operand u, product, coefficients and operand shift of a gradient that the array makes."""
        op, layer = part.op, part.op.layer
        kind, b, shift, term = "max_backward", index_name(op), 0, Term("one", (part.g,))
        if layer.kind == "conv":
            kind, b = "grad_input", weight_name(op)
            shift = operand_shift(layer.summed[1], INT8_MAX * self.lowering.largest_gradient)
            term = Term(scaled_by(shift), (part.g, b))
        elif layer.kind == "avgpool":
            kind, b, term = "sum_backward", "", Term(average_factor(layer), (part.g,))
        of = product(layer, kind, part.g, b)
        return "acc", replace(of, low=low_name(part.g)) if self.lowering.two_bytes else of, {"a": term}, shift

    def _through(self, op: Op, g: str) -> None:
        """Pass the gradient on to what the op read, and note the updates of its parameters."""
        kind = op.layer.kind
        through = {"bn": "bn", "relu": "identity", "add": "identity", "copy": "identity"}.get(kind, "product")
        if kind == "conv":
            self._conv(op, g)
        if kind == "bn" and trained(op):
            if op.x not in self.needed:
                self.nodes.append(self._bn_backward(_Contribution("bn", g, op), ""))
            shifts = {"gamma_shift": f"gradient_shift {_DG_ROOM} 18 +{g}", "beta_shift": self._sum_shift(g)}
            program = self._by_bytes("bn_update")
            self.pending.append(self.lowering.coefficient(f"{op.out}.update", program, table_name(op), {**_SGD, **shifts}))
        if op.x in self.needed:
            self.contributions[op.x].append(_Contribution(through, g, op))
        if op.addend in self.needed:
            self.contributions[op.addend].append(_Contribution("identity", g))

    def _conv(self, op: Op, g: str) -> None:
        if trained(op):
            update = lower_update(self.lowering, op, g)
            if op.x in self.needed:
                self.held[op.out] = update
            else:
                self.pending.append(update)
        if has_bias(op) and trained(op):
            shift, program = {"gradient_shift": self._sum_shift(g)}, self._by_bytes("bias_update")
            node = self.lowering.coefficient(f"{op.out}.update", program, table_name(op), {**_SGD, **shift})
            self.pending.append(node)

    def _bn_backward(self, part: _Contribution, out: str) -> Coefficient:
        op, g = part.op, part.g
        pixels = op.layer.shape[1] * op.layer.shape[2]
        specifications = {
            "reciprocal": f"reciprocal {pixels}",
            "projection_shift": f"reciprocal_shift {pixels} 9",
            "mean_shift": f"reciprocal_shift {pixels} {15 - self._low_bits}",
            "a_shift": f"shift {BN_SHIFT - 50} +{g} -{op.x} -{out}" if out else "constant 0",
        }
        return self.lowering.coefficient(f"{op.out}.backward", self._by_bytes("bn_backward"), table_name(op), specifications)

    def _sum_shift(self, g: str) -> str:
        """Return the scalar that brings a gradient's sum to the fraction bits of a parameter's momentum."""
        return f"gradient_shift {_SUM_ROOM - self._low_bits} {24 - self._low_bits} +{g}"

    @property
    def _low_bits(self) -> int:
        """Bits by which the unit of a gradient's sum is below that of its exponent."""
        return LOW_BITS if self.lowering.two_bytes else 0

    def _by_bytes(self, program: str) -> str:
        """Return the name of a program that takes sums of gradients."""
        return f"{program}_16" if self.lowering.two_bytes else program

    def _made_since_last_product(self, g: str) -> bool:
        """Return whether a product of this tensor has the array wait for passes behind the last product."""
        for node in reversed(self.nodes):
            if isinstance(node, Compute) and (node.product or g in [made.out for made in node.passes]):
                return not node.product
        return False

    def _flush(self) -> None:
        self.nodes += self.pending
        self.pending.clear()


_DG_ROOM, _SUM_ROOM = 24, 38
"""Bits by which DG, up to 2^38, and a sum of int8, up to 2^24, may be shifted to the left in 64 bits."""

_SGD = {"momentum": "hyper momentum 16", "weight_decay": "hyper weight_decay 24", "lr": "hyper lr 24"}


def _needing_gradient(lowering: Lowering) -> set[str]:
    """Tensors behind a parameter, or behind a decision that learns."""
    needed: set[str] = set()
    for op in lowering.ops:
        if lowering.part(op).gate_sum and lowering.exponent(op.out) == lowering.part(op).stream:
            needed |= {op.out, lowering.exponent(op.out)}
        if (op.layer.kind in ("conv", "bn") and trained(op)) or needed.intersection(op.inputs):
            needed |= {op.out, lowering.exponent(op.out)}
    return needed


def _sums(op: Op) -> tuple[dict, str]:
    """Sums over the op's gradient that its parameters need, and the tensor of the second sum, "" where it is not used."""
    if op.layer.kind == "bn":
        return {"sums": "v", "sums_table": table_name(op)}, op.x
    if has_bias(op):
        return {"sums": "square", "sums_table": table_name(op)}, ""
    return {}, ""
