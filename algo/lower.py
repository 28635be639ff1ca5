"""Ops as a training step: the forward and evaluation segments, and what forward and backward share."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from algo.arithmetic import BN_SHIFT, INT8_MAX, SPLIT_MAX
from algo.coefficient_programs import (
    BIAS_ENTRIES,
    BIAS_LOW_ENTRIES,
    BIAS_PERSISTENT,
    BN_ENTRIES,
    BN_LOW_ENTRIES,
    BN_PERSISTENT,
    PARAMETER_FRACTION,
    PROGRAMS,
)
from algo.fuse import Op
from algo.gated_blocks import Cut
from algo.gates import pooled_name
from algo.graph import ExportError, Layer, average_factor
from algo.step import (
    ChannelTable,
    Coefficient,
    Compute,
    InputFold,
    Node,
    Part,
    Pass,
    Product,
    Record,
    Step,
    Tensor,
    Term,
    Weight,
    activation_of,
    low_name,
)
from algo.update_rule import UpdateRule

_OPERAND_LIMIT = (1 << 24) - 1


class Lowering:
    """What a step is made of, while it is being built.

    Attributes:
        batch: images in a full mini-batch.
        input, logits, logits_grad: tensor names.
        ops: forward ops in order.
        fold: how images become the input tensor, or None.
        rule: of the weight updates.
        two_bytes: whether output gradients have 16 bits, in two tensors.
        cut: the parts that the ops are in, where blocks are gated, or None.
        gradients: op's result to the tensor that holds its gradient before the ReLU.
    """

    def __init__(
        self, batch: int, input_name: str, input_shape: tuple[int, int, int], ops: list[Op], logits: str,
        fold: InputFold | None = None, rule: UpdateRule | None = None, cut: Cut | None = None,
    ):
        self.batch, self.input, self.ops, self.logits, self.fold = batch, input_name, ops, logits, fold
        self.rule = rule or UpdateRule()
        self.two_bytes = self.rule.gradient_bits == 16
        self.cut = cut
        self.parts = cut.parts if cut else (Part("forward", "backward", "eval", input_name),)
        self._part_of = {op.out: part for op, part in zip(ops, cut.part_of if cut else [0] * len(ops), strict=True)}
        self.tensors: dict[str, Tensor] = {}
        self.weights: dict[str, Weight] = {}
        self.tables: dict[str, ChannelTable] = {}
        self.records: dict[str, Record] = {}
        self.scalars: dict[str, tuple[str, ...]] = {}
        self.maxima: list[str] = []
        self.programs: dict[str, tuple[int, ...]] = {}
        self.segments: dict[str, list[Node]] = {
            name: [] for part in self.parts for name in (part.forward, part.backward, part.evaluate)
        }
        self.limits: dict[str, int] = {}
        self.followers: dict[str, str] = {}
        self.levels: dict[str, tuple[str, ...]] = {}
        self.gradients: dict[str, str] = {}
        self.streams = cut.versions if cut else {}
        self.tensor(input_name, "activation", fold.shape if fold else input_shape)
        self.logits_grad = self.tensor(f"{logits}.loss_grad", "gradient", ops[-1].layer.shape)
        self.statistics = {op.x: op.out for op in reversed(ops) if op.layer.kind == "bn" and op.x not in self.streams}
        """Tensor to the batch norm whose sums the pass that makes it gathers: the first of those that read it."""

    def tensor(self, name: str, role: str, shape: tuple[int, int, int], delayed: bool = False) -> str:
        """Add a tensor, and its maximum where its exponent follows from the pass that makes it; return its name."""
        self._place(name, role, shape)
        if role == "gradient" and self.two_bytes:
            self._place(low_name(name), role, shape)
            self.limits[self.exponent(name)] = SPLIT_MAX
        if delayed and self.exponent(name) not in self.maxima:
            self.maxima.append(self.exponent(name))
        return name

    def _place(self, name: str, role: str, shape: tuple[int, int, int]) -> None:
        stream, version = self._view(name)
        self.tensors[name] = Tensor(name, role, shape, stream=stream, version=version)
        if stream and stream not in self.tensors:
            self.tensors[stream] = Tensor(stream, role, shape, versions=self.streams[activation_of(stream)])

    def _view(self, name: str) -> tuple[str, int]:
        """Stream and version of a tensor, of its gradient or of that one's low bytes; ("", 0) where it is not of a stream."""
        views, activation = self.cut.views if self.cut else {}, activation_of(name)
        stream, version = views.get(activation, ("", 0))
        return (f"{stream}{name[len(activation) :]}", version) if stream else ("", 0)

    def exponent(self, name: str) -> str:
        """Return the name of a tensor's exponent: a stream's versions share one."""
        return self._view(name)[0] or name

    def part(self, op: Op) -> Part:
        """Return the part that an op is in."""
        return self.parts[self._part_of[op.out]]

    def segment(self, phase: str, op: Op) -> list[Node]:
        """Return the nodes of the segment "forward", "backward" or "evaluate" of the part that an op is in."""
        return self.segments[getattr(self.part(op), phase)]

    def record(self, name: str, out: str, **fields) -> str:
        """Add a record and return its name; exponents are given by the names of their tensors."""
        for operand in ("a", "b"):
            if fields.get(operand):
                term = fields[operand]
                fields[operand] = replace(term, exponents=tuple(self.exponent(tensor) for tensor in term.exponents))
        self.records[name] = Record(name, self.exponent(out), **fields)
        return name

    def coefficient(self, name: str, program: str, table: str, specifications: dict[str, str]) -> Coefficient:
        """Return a coefficient node; `specifications` gives the scalars of the program by their names."""
        self.programs[program] = PROGRAMS[program].words
        self.scalars[name] = tuple(self._by_exponents(specifications[scalar]) for scalar in PROGRAMS[program].scalars)
        return Coefficient(name, program, table, name)

    def _by_exponents(self, specification: str) -> str:
        """A scalar's specification with the names of exponents for those of tensors."""
        words = specification.split(" ")
        return " ".join(word[0] + self.exponent(word[1:]) if word[0] in "+-" else word for word in words)

    @property
    def largest_gradient(self) -> int:
        """Largest magnitude of a gradient as the array reads it: low bytes go down to -128."""
        return INT8_MAX + self.two_bytes

    def signs(self, op: Op) -> bool:
        """Return whether the weights of a convolution or linear layer are updated by signs."""
        return self.rule.signs(isinstance(op.layer.module, nn.Linear))

    def finish(self) -> Step:
        """Return the step."""
        return Step(
            batch=self.batch, input=self.input, logits=self.logits, logits_grad=self.logits_grad, tensors=self.tensors,
            weights=self.weights, tables=self.tables, records=self.records, scalars=self.scalars, maxima=tuple(self.maxima),
            programs=self.programs, segments={name: tuple(nodes) for name, nodes in self.segments.items()},
            limits=self.limits, followers=self.followers, levels=self.levels, fold=self.fold,
            parts=self.cut.parts if self.cut else (),
        )


def weight_name(op: Op) -> str:
    """Return the name of a convolution's weights."""
    return f"{op.layer.name}.weight"


def table_name(op: Op) -> str:
    """Return the name of the channel table of a batch norm or a biased convolution."""
    return f"{op.layer.name}.channels"


def mask_name(op: Op) -> str:
    """Return the name of a ReLU's mask."""
    return f"{op.out}.mask"


def index_name(op: Op) -> str:
    """Return the name of a max-pool's indices."""
    return f"{op.out}.index"


def has_bias(op: Op) -> bool:
    """Return whether the op is a convolution or linear layer with bias."""
    return op.layer.kind == "conv" and op.layer.module.bias is not None


def trained(op: Op) -> bool:
    """Return whether the parameters of a convolution, linear layer or batch norm are trained: torch's requires_grad of all.

    Raises:
        ExportError: some of them are and some are not.
    """
    given = {parameter.requires_grad for parameter in op.layer.module.parameters(recurse=False)}
    if len(given) == 2:
        raise ExportError(f"{op.layer.name} trains one of its parameters and holds another; all or none of a layer is supported")
    return True in given


def product(layer: Layer, kind: str, a: str, b: str) -> Product:
    """Return one of the products of a layer."""
    return Product(kind, a, b, layer.kernel, layer.stride, layer.pad, layer.in_shape, layer.shape, layer.depthwise)


def operand_shift(terms: int, largest: int = INT8_MAX**2) -> int:
    """Return the right shift by which a sum of products, each at most `largest`, fits 25 bits."""
    return max(0, (terms * largest).bit_length() - _OPERAND_LIMIT.bit_length())


def scaled_by(shift: int) -> str:
    """Return the factor that makes up for an operand's shift."""
    return str(1 << shift) if shift else "one"


def lower_forward(lowering: Lowering) -> None:
    """Fill the segments forward and eval, and all tensors, weights, tables and records that they use."""
    for op in lowering.ops:
        _declare(lowering, op)
    for op in lowering.ops:
        if op.layer.kind == "bn":
            _bn_eval(lowering, op)
        if has_bias(op):
            _bias_forward(lowering, op)
    for op in _by_depth(lowering):
        _emit_statistics(lowering, op)
        _emit(lowering, op)
        if pooled_name(lowering.exponent(op.out)) in lowering.part(op).pooled:
            _emit_pooled(lowering, op)


def _by_depth(lowering: Lowering) -> list[Op]:
    """Return the ops by their distance from the input; of those equally far, the one with the longest way behind it first.

    Branches so take turns: while the passes of one are under way, the array has the products of another to do.
    """
    depth: dict[str, int] = {}
    behind: dict[str, int] = {}
    keys = []
    for op in lowering.ops:
        keys.append(1 + max(depth.get(lowering.exponent(name), 0) for name in op.inputs))
        depth[lowering.exponent(op.out)] = keys[-1]
    for number, op in reversed(list(enumerate(lowering.ops))):
        way = behind.get(lowering.exponent(op.out), 0)
        keys[number] = keys[number], -way
        for name in map(lowering.exponent, op.inputs):
            behind[name] = max(behind.get(name, 0), way + 1)
    return [lowering.ops[number] for number in sorted(range(len(keys)), key=keys.__getitem__)]


def _declare(lowering: Lowering, op: Op) -> None:
    layer, name = op.layer, op.out
    lowering.tensor(name, "activation", layer.shape, delayed=True)
    if op.relu:
        lowering.tensor(mask_name(op), "mask", layer.shape)
    if layer.kind == "maxpool":
        lowering.tensor(index_name(op), "index", layer.shape)
        lowering.record(index_name(op), index_name(op), a=Term("one", ()))
    if layer.kind == "conv":
        lowering.weights[weight_name(op)] = _weight(lowering, op)
    if layer.kind == "bn":
        entries = BN_ENTRIES + (BN_LOW_ENTRIES if lowering.two_bytes else ())
        lowering.tables[table_name(op)] = ChannelTable(table_name(op), layer.shape[0], entries, BN_PERSISTENT)
        lowering.followers[f"{table_name(op)}.running"] = op.x
    if has_bias(op):
        entries = BIAS_ENTRIES + (BIAS_LOW_ENTRIES if lowering.two_bytes else ())
        lowering.tables[table_name(op)] = ChannelTable(table_name(op), layer.shape[0], entries, BIAS_PERSISTENT)
    lowering.record(name, name, **_terms(op))


def _weight(lowering: Lowering, op: Op) -> Weight:
    """The weights of a convolution, in the module's shape also where the layer is folded."""
    k, c, kernel, folded = op.layer.shape[0], op.layer.in_shape[0], op.layer.kernel, False
    if lowering.fold and op.x == lowering.input:
        c, kernel, folded = lowering.fold.image_shape[0], lowering.fold.kernel, True
    return Weight(weight_name(op), (k, 1 if op.layer.depthwise else c, *kernel), folded, op.layer.depthwise)


def _terms(op: Op) -> dict:
    """Coefficients of the op's pass, and the fixed shift of batch norm."""
    addend = {"b": Term("one", (op.addend,))} if op.addend else {}
    if op.layer.kind == "bn":
        return {"fixed_shift": BN_SHIFT, **addend}
    if op.layer.kind == "conv":
        factor = scaled_by(_shift_of(op))
        return {"a": Term(factor, (op.x, weight_name(op))), **addend}
    factor = average_factor(op.layer) if op.layer.kind == "avgpool" else "one"
    return {"a": Term(factor, (op.x,)), **addend}


def _shift_of(op: Op) -> int:
    return operand_shift(op.layer.summed[0]) if op.layer.kind == "conv" else 0


def _sources(op: Op) -> tuple[str, Product | None]:
    """The operand u of the op's pass, and the product it comes from."""
    if op.layer.kind == "conv":
        return "acc", product(op.layer, "forward", op.x, weight_name(op))
    if op.layer.kind == "avgpool":
        return "acc", product(op.layer, "sum_forward", op.x, "")
    if op.layer.kind == "maxpool":
        return "acc_max_value", product(op.layer, "max_forward", op.x, "")
    return op.x, None


def _emit(lowering: Lowering, op: Op) -> None:
    """Append the op to the segments forward and eval."""
    table = table_name(op) if table_name(op) in lowering.tables else ""
    if op.layer.kind == "bn":
        _bn_forward(lowering, op)
    u, of = _sources(op)
    common = {"u": u, "v": op.addend, "out": op.out, "record": op.out, "table": table, "su": _shift_of(op)}
    common["post"] = "relu" if op.relu else "none"
    bn = lowering.statistics.get(op.out)
    training = Pass(
        **common, mask_out=mask_name(op) if op.relu else "", sums="square" if bn else "",
        sums_table=f"{bn}.channels" if bn else "", maximum=lowering.exponent(op.out),
    )
    passes = (training,)
    if op.layer.kind == "maxpool":
        passes += (Pass("acc_max_index", "", index_name(op), index_name(op)),)
    lowering.segment("forward", op).append(Compute(op.out, op.layer.shape, passes, of))
    lowering.segment("evaluate", op).append(Compute(f"{op.out}.eval", op.layer.shape, (Pass(**common),), of))
    if op.layer.kind == "bn":
        _bn_running(lowering, op)


def _emit_pooled(lowering: Lowering, op: Op) -> None:
    """Append the plane means of what a part hands on, which a policy decides a block behind it by."""
    (c, h, w), stream = op.layer.shape, lowering.exponent(op.out)
    kernel, stride = _pool_window(op.out, h, w)
    pooled, name = pooled_name(stream), f"{op.out}.pooled"
    shape = (c, h // kernel[0], w // kernel[1])
    if pooled not in lowering.tensors:
        lowering.tensor(pooled, "activation", shape, delayed=True)
    lowering.record(name, pooled, a=Term(f"1/{kernel[0] * kernel[1]}", (op.out,)))
    of = Product("sum_forward", op.out, "", kernel, stride, (0, 0), op.layer.shape, shape)
    lowering.segment("forward", op).append(Compute(name, shape, (Pass("acc", "", pooled, name, maximum=pooled),), of))
    lowering.segment("evaluate", op).append(Compute(f"{name}.eval", shape, (Pass("acc", "", pooled, name),), of))


def _pool_window(name: str, h: int, w: int) -> tuple[tuple[int, int], int]:
    """Kernel and stride of plane means: the whole plane, or equal squares of it where the array's taps do not reach that far."""
    if max(h, w) <= 31:
        return (h, w), 1
    side = max(side for side in range(1, 16) if h % side == 0 and w % side == 0)
    if side == 1:
        raise ExportError(f"{name} has {h} x {w} pixels; plane means need planes of up to 31 x 31, or of equal squares")
    return (side, side), side


def _emit_statistics(lowering: Lowering, op: Op) -> None:
    """Append a pass that only gathers a batch norm's sums, where the pass that made its input does not."""
    if op.layer.kind != "bn" or (op.x != lowering.input and lowering.statistics.get(op.x) == op.out):
        return
    record = lowering.record(f"{op.out}.sums", op.x, a=Term("one", (op.x,)))
    only = Pass(op.x, "", "", record, sums="square", sums_table=table_name(op))
    lowering.segment("forward", op).append(Compute(record, op.layer.shape, (only,)))


def _normalise(op: Op) -> dict[str, str]:
    """Scalars that bn_forward and bn_eval share."""
    return {
        "epsilon": f"epsilon {op.layer.module.eps} -{op.x} -{op.x}",
        "one": f"constant {1 << 45}",
        "a_shift": f"shift {BN_SHIFT - 50} -{op.out}",
        "addend": f"power {BN_SHIFT} +{op.addend} -{op.out}" if op.addend else "constant 0",
        "beta_shift": f"shift {BN_SHIFT + 15 - PARAMETER_FRACTION} -{op.out}",
    }


def _bn_forward(lowering: Lowering, op: Op) -> None:
    pixels = op.layer.shape[1] * op.layer.shape[2]
    specifications = {
        "reciprocal": f"reciprocal {pixels}",
        "mean_shift": f"reciprocal_shift {pixels} 15",
        "square_shift": f"reciprocal_shift {pixels} 30",
        **_normalise(op),
    }
    node = lowering.coefficient(f"{op.out}.forward", "bn_forward", table_name(op), specifications)
    lowering.segment("forward", op).append(node)


def _bias_forward(lowering: Lowering, op: Op) -> None:
    """At the start of both segments, since it depends on nothing that they compute."""
    specifications = {
        "bias_shift": f"bias_shift {op.out} {PARAMETER_FRACTION}",
        "coefficients": f"record {op.out}",
    }
    node = lowering.coefficient(f"{op.out}.forward", "bias_forward", table_name(op), specifications)
    lowering.segment("forward", op).append(node)
    lowering.segment("evaluate", op).append(node)


def _bn_running(lowering: Lowering, op: Op) -> None:
    pixels = op.layer.shape[1] * op.layer.shape[2]
    momentum, running = str(op.layer.module.momentum), f"{table_name(op)}.running"
    weight = round(float(momentum) * (1 << 16))
    specifications = {
        "keep": f"constant {(1 << 16) - weight}",
        "mean_shift": f"shift 0 +{running} -{op.x}",
        "mean_weight": f"constant {weight}",
        "variance_shift": f"shift 0 +{running} +{running} -{op.x} -{op.x}",
        "variance_weight": f"unbiased {pixels} {momentum}",
    }
    node = lowering.coefficient(f"{op.out}.running", "bn_running", table_name(op), specifications)
    lowering.segment("forward", op).append(node)


def _bn_eval(lowering: Lowering, op: Op) -> None:
    running = f"{table_name(op)}.running"
    specifications = {
        "mean_shift": f"shift 0 +{running} -{op.x}",
        "variance_shift": f"shift 14 +{running} +{running} -{op.x} -{op.x}",
        **_normalise(op),
    }
    node = lowering.coefficient(f"{op.out}.evaluate", "bn_eval", table_name(op), specifications)
    lowering.segment("evaluate", op).append(node)
