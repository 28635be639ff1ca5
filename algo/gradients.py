"""The backward segment: gradients of every op in reverse, weight and parameter updates.

A tensor's gradient is gathered from everything that read it. Identical gradients (of an addition) are no pass at all; the
batch-norm and product ones take one pass each, which adds what is there already, and the last one applies the ReLU mask
and gathers the sums that the op behind it needs. Updates wait until the next product is due, so that the vector unit
serves the gradient that the array waits for first; a weight is updated after its grad_input.
"""

from __future__ import annotations

from dataclasses import dataclass

from algo.arithmetic import BN_SHIFT
from algo.delayed_scaling import SPREAD_DECAY
from algo.fuse import Op
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
    weight_name,
)
from algo.scaling import MOMENTUM_LIMIT
from algo.step import Coefficient, Compute, Pass, Product, Term, Update


@dataclass(frozen=True)
class _Contribution:
    """A gradient on its way to a tensor: the gradient `g` itself, or what `op` makes of it."""

    kind: str  # "identity", "bn", "product": the order in which they are added
    g: str
    op: Op | None = None


_ORDER = ("identity", "bn", "product")


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
        self.nodes = lowering.segments["backward"]
        self.contributions: dict[str, list[_Contribution]] = {op.out: [] for op in lowering.ops}
        self.held: dict[str, Update] = {}
        self.pending: list[Update | Coefficient] = []
        self.needed = _needing_gradient(lowering)

    def run(self) -> None:
        lowering = self.lowering
        self.contributions[lowering.logits].append(_Contribution("identity", lowering.logits_grad))
        for op in reversed(lowering.ops):
            if op.out in self.needed and self.contributions[op.out]:
                lowering.gradients[op.out] = self._gather(op)
                self._through(op, lowering.gradients[op.out])
        self._flush()

    def _gather(self, op: Op) -> str:
        """Append the passes that sum what arrived at the op's result; return the name of the gradient before ReLU."""
        parts = sorted(self.contributions[op.out], key=lambda part: _ORDER.index(part.kind))
        sums, summed_with = _sums(op)
        partial = ""
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            if part.kind == "identity" and not partial and not (last and op.relu):
                partial = part.g
                continue
            if part.kind == "bn" and partial:
                part = _Contribution("identity", self._pass(op, f"{op.out}.grad.{number}.bn", part, ""))
            fits = last and (not summed_with or (part.kind != "bn" and not partial))
            name = f"{op.out}.grad" if last else f"{op.out}.grad.{number}"
            partial = self._pass(op, name, part, partial, op.relu and last, sums if fits else {}, summed_with if fits else "")
            if fits:
                return partial
        if sums:
            record = self.lowering.record(f"{op.out}.grad.sums", partial, a=Term("one", (partial,)))
            only = Pass(partial, summed_with, "", record, **sums)
            self.nodes.append(Compute(record, op.layer.shape, (only,)))
        return partial

    def _pass(
        self, op: Op, out: str, part: _Contribution, addend: str, mask: bool = False, sums: dict | None = None, v: str = ""
    ) -> str:
        """Append one pass that makes tensor `out` from a contribution and, where given, an addend; return `out`."""
        lowering = self.lowering
        lowering.tensor(out, "gradient", op.layer.shape, delayed=True)
        u, of, terms, table, shift = part.g, None, {"a": Term("one", (part.g,))}, "", 0
        if part.kind == "bn":
            self.nodes.append(self._bn_backward(part, out))
            table, v, terms = table_name(part.op), part.op.x, {"fixed_shift": BN_SHIFT}
        elif part.kind == "product":
            u, of, terms, shift = self._product(part)
            self._flush()
        if addend:
            terms["b"] = Term("one", (addend,))
        record = lowering.record(out, out, noise=out, **terms)
        masked = mask_name(op) if mask else ""
        one = Pass(u, addend or v, out, record, table, mask_in=masked, maximum=out, su=shift, **(sums or {}))
        self.nodes.append(Compute(out, op.layer.shape, (one,), of))
        if part.kind == "product" and part.op.out in self.held:
            self.pending.append(self.held.pop(part.op.out))
        return out

    def _product(self, part: _Contribution) -> tuple[str, Product, dict, int]:
        """Operand u, product, coefficients and operand shift of a gradient that the array makes."""
        op, layer = part.op, part.op.layer
        if layer.kind == "conv":
            shift = operand_shift(layer.shape[0] * layer.kernel[0] * layer.kernel[1])
            terms = {"a": Term(scaled_by(shift), (part.g, weight_name(op)))}
            return "acc", product(layer, "grad_input", part.g, weight_name(op)), terms, shift
        if layer.kind == "avgpool":
            terms = {"a": Term(average_factor(layer), (part.g,))}
            return "acc", product(layer, "sum_backward", part.g, ""), terms, 0
        terms = {"a": Term("one", (part.g,))}
        return "acc", product(layer, "max_backward", part.g, index_name(op)), terms, 0

    def _through(self, op: Op, g: str) -> None:
        """Pass the gradient on to what the op read, and note the updates of its parameters."""
        kind = op.layer.kind
        through = {"bn": "bn", "relu": "identity", "add": "identity"}.get(kind, "product")
        if kind == "conv":
            self._conv(op, g)
        if kind == "bn":
            if op.x not in self.needed:
                self.nodes.append(self._bn_backward(_Contribution("bn", g, op), ""))
            shifts = {
                "gamma_shift": f"gradient_shift {_DG_ROOM} 18 +{g}", "beta_shift": f"gradient_shift {_SUM_ROOM} 24 +{g}",
            }
            self.pending.append(self.lowering.coefficient(f"{op.out}.update", "bn_update", table_name(op), {**_SGD, **shifts}))
        if op.x in self.needed:
            self.contributions[op.x].append(_Contribution(through, g, op))
        if op.addend in self.needed:
            self.contributions[op.addend].append(_Contribution("identity", g))

    def _conv(self, op: Op, g: str) -> None:
        update = self._update(op, g)
        if op.x in self.needed:
            self.held[op.out] = update
        else:
            self.pending.append(update)
        if has_bias(op):
            shift = {"gradient_shift": f"gradient_shift {_SUM_ROOM} 24 +{g}"}
            node = self.lowering.coefficient(f"{op.out}.update", "bias_update", table_name(op), {**_SGD, **shift})
            self.pending.append(node)

    def _update(self, op: Op, g: str) -> Update:
        """The weight update. Weight decay shares a pass, and so a shift, with momentum: beside the gradient's sums, whose
        coefficient may be 2^16 times larger, it would round to nothing.

        A sign is 1 = 2^-e exactly at the momentum's exponent e, which a coefficient of at most 2^16 keeps from falling below
        -16; weight decay, far smaller than a sign, is then a coefficient of the order of 1 and has to be spread.
        """
        lowering, weight, layer = self.lowering, weight_name(op), op.layer
        master, momentum, next_ = f"{weight}.master", f"{weight}.momentum", f"{weight}.next"
        signs = lowering.signs(op)
        shift = 0 if signs else operand_shift(lowering.batch * layer.shape[1] * layer.shape[2])
        taken = Term("one", ()) if signs else Term(scaled_by(shift), (op.x, g))
        # The first record of a result is the one that calibration starts its exponent from.
        lowering.record(f"{weight}.m", momentum, a=taken, b=Term("one", (momentum,)))
        decay = Term(SPREAD_DECAY if signs else "weight_decay", (master,))
        lowering.record(f"{weight}.t", momentum, a=Term("momentum", (f"{momentum}.previous",)), b=decay)
        lowering.record(f"{weight}.w", master, a=Term("one", (master,)), b=Term("neg_lr", (momentum,)))
        lowering.record(f"{weight}.w8", next_, a=Term("one", (master,)))
        lowering.maxima += [momentum, next_]
        lowering.limits[momentum] = MOMENTUM_LIMIT
        lowering.followers |= {weight: next_, f"{momentum}.previous": momentum}
        return Update(
            f"{weight}.update", weight, product(layer, "grad_weight", op.x, g), f"{weight}.t", f"{weight}.m", f"{weight}.w",
            f"{weight}.w8", maximum=momentum, su=shift, maximum_w8=next_,
            record_s=lowering.record(f"{weight}.s", momentum, a=Term("one", (momentum,))) if signs else "",
        )

    def _bn_backward(self, part: _Contribution, out: str) -> Coefficient:
        op, g = part.op, part.g
        pixels = op.layer.shape[1] * op.layer.shape[2]
        specifications = {
            "reciprocal": f"reciprocal {pixels}",
            "projection_shift": f"reciprocal_shift {pixels} 9",
            "mean_shift": f"reciprocal_shift {pixels} 15",
            "a_shift": f"shift {BN_SHIFT - 50} +{g} -{op.x} -{out}" if out else "constant 0",
        }
        return self.lowering.coefficient(f"{op.out}.backward", "bn_backward", table_name(op), specifications)

    def _flush(self) -> None:
        self.nodes += self.pending
        self.pending.clear()


_DG_ROOM, _SUM_ROOM = 24, 38
"""Bits by which DG, up to 2^38, and a sum of int8, up to 2^24, may be shifted to the left in 64 bits."""

_SGD = {"momentum": "hyper momentum 16", "weight_decay": "hyper weight_decay 24", "lr": "hyper lr 24"}


def _needing_gradient(lowering: Lowering) -> set[str]:
    """Tensors behind a parameter."""
    needed: set[str] = set()
    for op in lowering.ops:
        if op.layer.kind in ("conv", "bn") or needed.intersection(op.inputs):
            needed.add(op.out)
    return needed


def _sums(op: Op) -> tuple[dict, str]:
    """Sums over the op's gradient that its parameters need, and the tensor of the second sum, "" where it is not used."""
    if op.layer.kind == "bn":
        return {"sums": "v", "sums_table": table_name(op)}, op.x
    if has_bias(op):
        return {"sums": "square", "sums_table": table_name(op)}, ""
    return {}, ""
