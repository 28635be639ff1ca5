"""The training step as a graph of what the core computes: the contract between algorithms and compiler.

`algo.export` makes a `Step` from a torch module; the PyTorch emulator executes it; `hw.compile` turns it into
a program; `algo.scaling` computes its run-time tables. It holds no tensors, no torch, and nothing that depends
on the array's size. It is plain dataclasses, stored as JSON in the program file.

Values: int8 tensors are q * 2^e with one exponent e per tensor name. Master weights and momentum are 24-bit.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace

from algo.plain_data import rebuilt


@dataclass(frozen=True)
class Tensor:
    """An activation-like tensor of the mini-batch: (n, *shape) with shape (c, h, w).

    role: "activation" or "gradient" (int8), "mask" (bits), "index" (max-pool taps, int8 storage). A gradient of 16 bits is
        two tensors: `name`, and `low_name(name)`, which counts in 2^-8 of the unit that the exponent of `name` gives.
    versions: mini-batches that it has room for; more than 1 for a stream (see Part).
    stream, version: where `stream` is not "", the tensor is mini-batch `version` of that stream, and has its exponent.
    """

    name: str
    role: str
    shape: tuple[int, int, int]
    versions: int = 1
    stream: str = ""
    version: int = 0


def low_name(gradient: str) -> str:
    """Return the name of the tensor that holds the low bytes of a gradient of 16 bits."""
    return f"{gradient}.low"


def activation_of(name: str) -> str:
    """Return the tensor that a gradient, or its low bytes, are of; any other name itself."""
    high = name.removesuffix(low_name("")) if name.endswith(low_name(".grad")) else name
    return high.removesuffix(".grad")


@dataclass(frozen=True)
class Weight:
    """A weight tensor (k, c, kh, kw): int8 `name`, and 24-bit `name.master` and `name.momentum`.

    folded: its product reads folded images (Step.fold), so products and memory take the same numbers, in the same
    order, as (k, c * kh * kw, 1, 1).
    depthwise: of a depthwise convolution, shape (k, 1, kh, kw): the memory holds them as diagonal blocks.
    """

    name: str
    shape: tuple[int, int, int, int]
    folded: bool = False
    depthwise: bool = False

    @property
    def stored_shape(self) -> tuple[int, int, int, int]:
        """Shape in which products and the core's memory hold the weights."""
        k, c, kh, kw = self.shape
        return (k, c * kh * kw, 1, 1) if self.folded else self.shape


@dataclass(frozen=True)
class InputFold:
    """The window of the first convolution, whose taps the processor folds into channels (algo.input_fold).

    Attributes:
        image_shape: (c, h, w) of the images as they are given.
        kernel: (kh, kw); stride; pad: (pad_y, pad_x), zeros on both sides.
    """

    image_shape: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: int
    pad: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(c * kh * kw, oh, ow) of a folded image; folded channel (c * kh + ky) * kw + kx."""
        (c, *size), (kh, kw) = self.image_shape, self.kernel
        oh, ow = ((s + 2 * p - k) // self.stride + 1 for s, p, k in zip(size, self.pad, self.kernel, strict=True))
        return c * kh * kw, oh, ow


@dataclass(frozen=True)
class ChannelTable:
    """64-bit words per channel in the table memory; `entries` name them in order.

    Where a pass takes A, B, D from it, entries hold "AB" followed by "D"; where sums go, "S1" followed by "S2". Those that begin
    with L are of low bytes of gradients.
    `persistent` entries keep their value between iterations; the others are scratch.
    """

    name: str
    channels: int
    entries: tuple[str, ...]
    persistent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Term:
    """factor * 2^(sum of the exponents of the named tensors).

    factor: "one", "lr", "neg_lr", "momentum", "weight_decay", "spread_weight_decay", or a fraction such as "1/49".
    The spread one is weight_decay as a coefficient whose rounding changes between iterations, so that their mean is exact:
    beside a much larger coefficient it would otherwise round to nothing.
    """

    factor: str
    exponents: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """Run-time numbers of a pass: A and B are `a` and `b` over 2^exponent(out), with a common shift.

    Attributes:
        name: unique.
        out: tensor whose exponent scales the result.
        a, b: terms of u and v; None is a coefficient of zero.
        noise: tensor name that keys stochastic rounding; "" for nearest.
        fixed_shift: the shift where the pass takes A, B, D from a channel table; None where the record has them.
        threshold: for soft threshold and sign threshold, in units of the result.
        level: entry of Step.levels, or "". The threshold is then one below `share` of what that maximum was when it was
            collected last, in units of the result and rounded up: a result passes that is at least so large.
        share: a fraction such as "1/20".
    """

    name: str
    out: str
    a: Term | None = None
    b: Term | None = None
    noise: str = ""
    fixed_shift: int | None = None
    threshold: int = 0
    level: str = ""
    share: str = "0"


@dataclass(frozen=True)
class Product:
    """A product of the array, accumulated in int32.

    kind            accumulates                                                   a        b
    forward         acc[n,k,oh,ow] = sum over c,ky,kx of x * w                    x        weight
    grad_input      acc[n,c,h,w]   = sum over k,ky,kx of g * w (adjoint)          g        weight
    grad_weight     acc[k,c,ky,kx] = sum over n,oh,ow of x * g                    x        g
    sum_forward     acc[n,c,oh,ow] = sum of x over the window                     x        ""
    sum_backward    acc[n,c,h,w]   = adjoint of sum_forward                       g        ""
    max_forward     acc[n,c,oh,ow] = max over the window of (x + 128) << 8 | 255 - tap
                                     (padding never wins; tap = ky * kw + kx)     x        ""
    max_backward    acc[n,c,h,w]   = sum of g at the pixel whose tap was stored   g        index

    Attributes:
        kernel: (kh, kw); stride; pad: (pad_y, pad_x), zeros on both sides.
        in_shape: (c, h, w) of x; out_shape: (k, oh, ow) of the forward result. The same in all three products.
        depthwise: of forward, grad_input and grad_weight with k = c: channel c meets channel c alone, nothing is summed over
            channels, and weights and their gradients are (k, 1, kh, kw).
        a_drop, b_drop: of grad_weight, the bits that the array drops of its operands: of a by algo.arithmetic.nearest, of b by
            `coarse` with `dither`.
        low: tensor of the low bytes where the gradient has 16 bits and they count, "" elsewhere: the same product of them is
            accumulated beside the first, and a pass takes it as "acc_low".
        low_drop: b_drop of that product.
    """

    kind: str
    a: str
    b: str
    kernel: tuple[int, int]
    stride: int
    pad: tuple[int, int]
    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    depthwise: bool = False
    a_drop: int = 0
    b_drop: int = 0
    low: str = ""
    low_drop: int = 0

    @property
    def all(self) -> tuple[Product, ...]:
        """The products that the array computes: itself without the low bytes, and the one of the low bytes where it has some."""
        if not self.low:
            return (self,)
        high = replace(self, low="", low_drop=0)
        operand = {"b": self.low, "b_drop": self.low_drop} if self.kind == "grad_weight" else {"a": self.low}
        return high, replace(high, **operand)

    @property
    def channels_each(self) -> int:
        """Input channels that every output channel meets; multiply-accumulates are n k channels_each oh ow kh kw."""
        return 1 if self.depthwise else self.in_shape[0]

    @property
    def result_shape(self) -> tuple[int, int, int]:
        """(c, h, w) per image of what is accumulated; not for grad_weight."""
        return self.in_shape if self.kind in ("grad_input", "sum_backward", "max_backward") else self.out_shape


@dataclass(frozen=True)
class Pass:
    """One pass of the vector unit over all elements: out = round(A u + B v + D), see algo.arithmetic.affine.

    Order of the stages: affine, post, mask_in (zero where the mask is 0), maximum of |result|, saturation, sums. mask_out is
    where A u + B v + D is above 0 before it is rounded (algo.arithmetic.above_zero) and mask_in is not 0.

    Attributes:
        u: "acc", "acc_low", "acc_max_value" (acc >> 8) - 128, "acc_max_index" 255 - (acc & 255), a tensor name, or "".
        v: a tensor name or "".
        out: a tensor name, or "" where only sums or maximum are wanted.
        record: shift, noise key, and A, B, D unless `table` is set.
        table: channel table whose entries give the coefficients per channel; "" for the record's.
        entry: of the table, that which holds A and B; the one behind it is D.
        post: "none", "relu", "sign", "soft_threshold", "sign_threshold": the sign where |result| is above the threshold, else 0.
        mask_in, mask_out: mask tensors or "".
        sums: "" or "square" (sum of out, of out * out) or "v" (sum of out, of out * v); int8 result only.
        sums_table: channel table that receives the sums over the whole mini-batch.
        sums_entry: of that table, that of the first sum; the second is the one behind it.
        maximum: name of the maximum that |result| before saturation raises, or "".
        su, sv: right shifts of u and v to 25 bits, from the worst case.
        wide: the result has 24 bits and is an operand of further passes of the same node alone, under the name `out`.
        byte: "high" or "low": the result is that byte of 16 bits, see algo.arithmetic.split16; "" for int8.
    """

    u: str
    v: str
    out: str
    record: str
    table: str = ""
    post: str = "none"
    mask_in: str = ""
    mask_out: str = ""
    sums: str = ""
    sums_table: str = ""
    maximum: str = ""
    su: int = 0
    sv: int = 0
    entry: str = "AB"
    sums_entry: str = "S1"
    wide: bool = False
    byte: str = ""


@dataclass(frozen=True)
class Compute:
    """Passes over one tensor's elements (n, *shape), after a product where there is one (any but grad_weight)."""

    name: str
    shape: tuple[int, int, int]
    passes: tuple[Pass, ...]
    product: Product | None = None


@dataclass(frozen=True)
class Update:
    """grad_weight and the weight update, on 24-bit values, nearest rounding, saturated to +-(2^23 - 1):

    t = A m + B w (`record_t`), m = A acc + B t (`record_m`, maximum `maximum`), w = A w + B m (`record_w`),
    w8 = A w saturated to int8 (`record_w8`, maximum `maximum_w8`, "" for none). su: right shift of acc.

    With `record_s` the sign stands for acc in m: s = sign(A acc) as int8, m = A s + B t. With `level`, an entry of Step.levels,
    s is 0 up to the threshold of `record_s`, and the maximum of |A acc| is collected under that name.

    Where the product has low bytes, A acc is rounded to 24 bits and A acc_low (`record_low`) is added to it: m = A acc + B t and
    then m = A acc_low + B m, or s = sign(A acc_low + B s).
    """

    name: str
    weight: str
    product: Product
    record_t: str
    record_m: str
    record_w: str
    record_w8: str
    maximum: str
    su: int = 0
    maximum_w8: str = ""
    record_s: str = ""
    level: str = ""
    record_low: str = ""


@dataclass(frozen=True)
class Coefficient:
    """A scalar program (Step.programs) run for every channel of a table, with a block of scalars."""

    name: str
    program: str
    table: str
    scalars: str


@dataclass(frozen=True)
class GateSum:
    """result[n] = sum over c, y, x of gradient * (after - before): one integer per image, which the processor reads.

    Attributes:
        name: unique; also of the result.
        gradient, after, before: int8 tensors (n, *shape).
        plus, minus: records with A = 1 and A = -1.
    """

    name: str
    shape: tuple[int, int, int]
    gradient: str
    after: str
    before: str
    plus: str
    minus: str


Node = Compute | Update | Coefficient | GateSum


@dataclass(frozen=True)
class Part:
    """A stretch of the network whose segments run for the same samples, the forward one first.

    A stream holds a tensor that several blocks rewrite one after the other, each for the samples that it runs for: version
    v is what block v made, its images in the order of that block's list. A node that reads the stream by its own name
    reads, image for image, the latest version that the part's list selects; one that writes the stream's gradient by its
    own name writes where that version's gradient lies. The list is the same forward and backward.

    A block with a projection beside it adds to a stream whose version 0 is the projection's result, and reads another tensor.
    Both lie in the order of the mini-batch, so the one list selects from both.

    Attributes:
        forward, backward, evaluate: names of segments.
        gathers: the tensor that the list selects from: the step's input or a stream; "" for none.
        block: number of the gated block, from 0 in order of execution; -1 where every sample runs.
        stream, version: what the part makes for the following ones, or "".
        pooled: tensors with plane means that it makes.
        gate_sum: result of the block's GateSum, or "".
        reads: what a block with a projection reads, which the list selects from, too; "" where that is the stream.
    """

    forward: str
    backward: str
    evaluate: str
    gathers: str
    block: int = -1
    stream: str = ""
    version: int = 0
    pooled: tuple[str, ...] = ()
    gate_sum: str = ""
    reads: str = ""

    @property
    def looked_at(self) -> str:
        """What goes into the block: the tensor whose plane means the policy is shown."""
        return self.reads or self.gathers

    @property
    def reads_gradient(self) -> str:
        """Gradient of `reads` as far as it comes through the block: zero where a sample skips it."""
        return f"{self.reads}.through.grad"

    @property
    def gathered(self) -> frozenset[str]:
        """Names of what the list selects from, and of gradients that go there."""
        gradients = [f"{self.gathers}.grad"] * bool(self.gathers) + [self.reads_gradient] * bool(self.reads)
        return frozenset([self.gathers, self.reads, *gradients, *map(low_name, gradients)]) - {""}


@dataclass(frozen=True)
class Step:
    """A whole training step.

    Attributes:
        batch: images in a full mini-batch.
        input, logits, logits_grad: tensor names; logits are (n, classes, 1, 1).
        segments: "forward", "backward", "eval": nodes in order. The processor computes the loss between
            forward and backward, and exponents and tables before forward.
        maxima: names, one word each; tensor name of the exponent they drive.
        limits: exponent name to the limit of its delayed scaling, where it is not 127.
        levels: maxima that are kept as they are, from which thresholds of the next iteration follow: name to the exponents
            whose sum is its unit.
        followers: exponent name to the exponent whose value of this iteration it takes for the next one.
        fold: how images become the tensor `input`; None where it holds them as they are.
        scalars: block name to the specifications of its words, see algo.scaling.
        programs: name to 32-bit scalar instructions (isa.SCALAR_FIELDS).
        parts: of a step with gated blocks, in order of execution; segments are then those that they name.
    """

    batch: int
    input: str
    logits: str
    logits_grad: str
    tensors: dict[str, Tensor]
    weights: dict[str, Weight]
    tables: dict[str, ChannelTable]
    records: dict[str, Record]
    scalars: dict[str, tuple[str, ...]]
    maxima: tuple[str, ...]
    programs: dict[str, tuple[int, ...]]
    segments: dict[str, tuple[Node, ...]]
    limits: dict[str, int] = field(default_factory=dict)
    followers: dict[str, str] = field(default_factory=dict)
    levels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    fold: InputFold | None = None
    parts: tuple[Part, ...] = ()

    @property
    def sequence(self) -> tuple[Part, ...]:
        """The parts in order of execution; without gated blocks the one part that all of the step is."""
        return self.parts or (Part("forward", "backward", "eval", self.input),)

    @property
    def gated_blocks(self) -> tuple[tuple[str, int], ...]:
        """(name, channels of the input) of every gated block, in order of execution."""
        found = []
        for part in self.parts:
            if part.block >= 0:
                name = next(name for name, t in self.tensors.items() if (t.stream, t.version) == (part.stream, part.version))
                found.append((name, self.tensors[part.looked_at].shape[0]))
        return tuple(found)

    @property
    def gradient_bits(self) -> int:
        """Bits of output gradients, 8 or 16."""
        return 16 if low_name(self.logits_grad) in self.tensors else 8

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(c, h, w) of the images as they are given, before any fold."""
        return self.fold.image_shape if self.fold else self.tensors[self.input].shape

    def to_json(self) -> dict:
        """Return plain data; `from_json` is the inverse."""
        data = asdict(self)
        data["segments"] = {
            name: [{"node": type(node).__name__, **asdict(node)} for node in nodes] for name, nodes in self.segments.items()
        }
        return data

    @staticmethod
    def from_json(data: dict) -> Step:
        """Rebuild a step. Raises ValueError where the data is not one."""
        if isinstance(data, dict) and isinstance(data.get("parts"), list):
            data = data | {"parts": [_with_pooled(part) for part in data["parts"]]}
        return rebuilt(Step, data, "step")


def _with_pooled(part: object) -> object:
    """A part's data; files that name one tensor of plane means, or "", are read, too."""
    pooled = part.get("pooled") if isinstance(part, dict) else None
    return part | {"pooled": [pooled] if pooled else []} if isinstance(pooled, str) else part
