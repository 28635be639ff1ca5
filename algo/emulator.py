"""The training step in PyTorch, on a CPU or a GPU: the same integers as the core's, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch

from algo import compiled, products, scaling, vector_pass
from algo.arithmetic import INT8_MAX, WIDE_MAX
from algo.averaging import averaged_names, replaced
from algo.delayed_scaling import DelayedScaling, settling
from algo.device_batches import fold_on_device, on_device
from algo.device_programs import Scalars, run_program
from algo.gates import Gates, Route
from algo.graph_capture import Record, Segments
from algo.known_scalars import KnownScalars
from algo.loss import Loss, cross_entropy
from algo.record_numbers import RecordNumbers
from algo.scaling import State
from algo.shared_batch import ALONE, Share
from algo.step import Coefficient, Compute, GateSum, Part, Pass, Product, Step, Update, activation_of, low_name
from algo.vector_pass import Numbers, operand, rounded

_WORD_MAX = (1 << 31) - 1


class EmulatorError(ValueError):
    """The emulator was given something that does not fit the step; the message says what would be right."""


class Emulator:
    """A step, its tensors and its run-time state.

    Attributes:
        step: what is computed.
        state: exponents and iteration; `train_step` replaces it.
        share: of every mini-batch that this process computes; methods take and return whole mini-batches.
        values: tensor name to torch tensor, (n, c, h, w) or (k, c, kh, kw): everything computed last, of this process's share
            of the mini-batch. Activations, gradients and indices are int8, masks bool, weights in all their forms int64. The
            input is held folded where the step says so; weights always have the module's shape. A stream holds the images of
            its versions, (versions * batch, c, h, w).
        maxima: name to max |result| before saturation, of this iteration, as far as `forward` and `backward` have returned.
        route: which samples of the mini-batch ran which part of the step, in this iteration or the last evaluation of one.
    """

    def __init__(
        self, step: Step, tensors: dict[str, np.ndarray], state: State, device: str = "cpu", stochastic: bool = True,
        threads: int | None = 1, share: Share = ALONE, record: Record | None = None,
        fuse: Callable[[Callable], Callable] | None = None,
    ):
        """Copy the tensors.

        Args:
            tensors: for every weight W `W`, `W.master`, `W.momentum`; for every channel table its name.
            stochastic: whether gradients are rounded stochastically, as on the core; nearest otherwise, for `float_check`.
            threads: number of CPU threads that torch uses in this process from here on; None leaves it. Layers of this
                size lose more to waiting for each other than they win.

            share: of several processes.
            record: how to record segments, see algo.graph_capture; None runs them operation by operation.
            fuse: what to make of the functions of passes and coefficient programs, see there; None leaves them as they are.

        Raises:
            EmulatorError: a tensor is missing or has the wrong shape.
        """
        self.step, self.state, self.share = step, state, share
        self.device, self.stochastic = torch.device(device), stochastic
        if threads is not None:
            torch.set_num_threads(threads)
        self.values: dict[str, torch.Tensor] = {}
        self._tables: dict[str, torch.Tensor] = {}
        self.maxima: dict[str, int] = {}
        for weight in step.weights.values():
            for name in (weight.name, f"{weight.name}.master", f"{weight.name}.momentum"):
                value = _taken(tensors, name, weight.shape)
                self.values[name] = torch.tensor(value.astype(np.int64), device=self.device)
        for table in step.tables.values():
            shape = (table.channels, len(table.entries))
            self._tables[table.name] = torch.tensor(_taken(tensors, table.name, shape).astype(np.int64), device=self.device)
        self.route = self._own = Route(step, step.batch)
        self._segments = Segments(self.values, record if share.processes == 1 and not step.parts else None)
        self._gathered: dict[str, torch.Tensor] = {}
        self._counts: dict[tuple[str, int], int] = {}
        self._scalars, self._known_scalars = Scalars(step, self.device), KnownScalars(step)
        self._numbers = RecordNumbers(step, stochastic, self.device)
        self._raised = {name: at for at, name in enumerate(dict.fromkeys((*step.maxima, *step.levels)))}
        self._largest = torch.zeros(len(self._raised), dtype=torch.float64, device=self.device)
        if compiled.runs_on(self.device):
            self._vector_pass, self._run_program = compiled.vector_pass, compiled.run_program
        else:
            fuse = fuse or (lambda function: function)
            self._vector_pass, self._run_program = fuse(vector_pass.vector_pass), fuse(run_program)

    @property
    def tables(self) -> dict[str, np.ndarray]:
        """Channel table name to int64 numpy array (channels, entries)."""
        return {name: table.cpu().numpy() for name, table in self._tables.items()}

    def tensors(self) -> dict[str, np.ndarray]:
        """Return weights, masters, momenta and channel tables: what `__init__` takes."""
        names = [f"{name}{suffix}" for name in self.step.weights for suffix in ("", ".master", ".momentum")]
        return {name: self.value(name) for name in names} | {name: self.value(name) for name in self.step.tables}

    def parameters(self) -> dict[str, np.ndarray]:
        """Return what may be averaged, int64, by the names of algo.averaging."""
        masters, entries = averaged_names(self.step)
        found = {name: self.values[name].cpu().numpy() for name in masters}
        columns = {(table, entry): self.step.tables[table].entries.index(entry) for table, entry in entries}
        tables = self.tables
        return found | {f"{table}.{entry}": tables[table][:, at].copy() for (table, entry), at in columns.items()}

    def replace_weights(self, mean: dict[str, np.ndarray]) -> None:
        """Put an average of `parameters` in their place; the learning rate is 0 from here on."""
        tensors, self.state = replaced(self.step, self.state, mean)
        for name in self.step.weights:
            for each in (name, f"{name}.master"):
                self.values[each].copy_(torch.tensor(tensors[each].astype(np.int64)))
        for table, entry in averaged_names(self.step)[1]:
            column = torch.tensor(tensors[f"{table}.{entry}"])
            self._tables[table][:, self.step.tables[table].entries.index(entry)] = column.to(self.device)

    def skip_to(self, iteration: int, bits: tuple[int, int] | None = None) -> int:
        """Go to a drawn iteration: those before it are dropped; `bits` as of State, None to leave them.

        Returns:
            What of the processor's time that takes on a board, see algo.delayed_scaling.settling.
        """
        before, self.state = self.state, self._scaling.at(self.state, iteration, bits)
        return settling(before, self.state)

    def value(self, name: str) -> np.ndarray:
        """Return a tensor computed last, a weight or a channel table, in the type it is stored in.

        int8 for activations, gradients, indices and weights; int32 for masters and momenta; bool for masks; int64 for
        channel tables.
        """
        if name in self._tables:
            return self._tables[name].cpu().numpy().copy()
        value = self._read(name).cpu().numpy()
        if name in self.step.tensors and self.step.tensors[name].role == "mask":
            return value.astype(bool)
        return value.astype(np.int32 if name.endswith((".master", ".momentum")) else np.int8)

    def forward(self, images: np.ndarray | torch.Tensor, gates: Gates | None = None) -> np.ndarray:
        """Run the forward segments on int8 images (n, c, h, w), n from 1 to the batch; return int8 logits (n, classes).

        Args:
            images: an array, or a tensor that need not be copied where it lies on the emulator's device.
            gates: decides who runs the gated blocks of a step that has some; without it every sample does.
        """
        self._begin(images)
        self._largest.zero_()
        logits = self._through("forward", gates)
        self.maxima = {}
        self._collect()
        return logits

    def loss(self, labels: np.ndarray) -> Loss:
        """Compute loss and logits' gradient from the logits of `forward`; keep the gradient for `backward`."""
        step, exponents = self.step, self.state.exponents
        key = scaling.noise_key(self.state.seed, self.state.iteration, step.logits_grad) if self.stochastic else None
        units = exponents[step.logits], exponents[step.logits_grad]
        result = cross_entropy(self._logits(), labels, *units, key, step.gradient_bits)
        for name, gradient in zip((step.logits_grad, low_name(step.logits_grad)), result.bytes, strict=False):
            taken = torch.tensor(gradient[self._part], device=self.device)
            self._segments.put(name, taken.view(self.values[step.logits].shape))
        self.maxima[step.logits_grad] = result.maximum
        return result

    def backward(self) -> None:
        """Run the backward segments of the parts that samples ran: gradients and updates."""
        for number in reversed(range(len(self.step.sequence))):
            if len(self.route.samples[number]):
                self._run(number, "backward")
        self._collect()

    def gate_gradients(self) -> tuple[dict[int, np.ndarray], dict[int, int]]:
        """Return the gradients of the decisions after `backward`, as algo.gates.Gates.learn takes them."""
        return self.route.gate_gradients(self._gate_sums, self.state.exponents)

    @cached_property
    def _scaling(self) -> DelayedScaling:
        return DelayedScaling(self.step)

    def advance(self) -> None:
        """Take the exponents of the next iteration from the maxima of this one."""
        self.state = self._scaling.advance(self.state, self.maxima, self.route.kept())

    def train_step(self, images: np.ndarray | torch.Tensor, labels: np.ndarray, gates: Gates | None = None) -> Loss:
        """Run one iteration on int8 images (n, c, h, w) with labels (n,); `gates` as for `forward`."""
        self.forward(images, gates)
        result = self.loss(labels)
        self.backward()
        if gates is not None:
            gates.learn(*self.gate_gradients())
        self.advance()
        return result

    def predict(self, images: np.ndarray, gates: Gates | None = None) -> np.ndarray:
        """Run the evaluation segments on up to a batch of int8 images; return int8 logits (n, classes)."""
        self._begin(images)
        return self._through("evaluate", gates)

    def evaluate(self, images: np.ndarray, labels: np.ndarray, gates: Gates | None = None) -> float:
        """Return the share of images (any number) whose label the evaluation segments find; labels are (n,)."""
        labels = np.asarray(labels)
        if not len(images) or labels.shape != (len(images),):
            raise EmulatorError(f"{len(images)} images and labels {labels.shape}; as many of both are needed, at least one")
        correct = 0
        for at in range(0, len(images), self.step.batch):
            logits = self.predict(images[at : at + self.step.batch], gates)
            correct += int((logits.argmax(1) == labels[at : at + self.step.batch]).sum())
        return correct / len(images)

    def _begin(self, images: np.ndarray | torch.Tensor) -> None:
        shape = self.step.image_shape
        int8 = images.dtype == (torch.int8 if isinstance(images, torch.Tensor) else np.int8)
        if not int8 or tuple(images.shape[1:]) != shape or not 1 <= len(images) <= self.step.batch:
            needed = f"int8 (n, {', '.join(map(str, shape))}) with n from 1 to {self.step.batch}"
            raise EmulatorError(f"images are {images.dtype} {images.shape}; {needed} is needed")
        self._part = self.share.part(len(images))
        taken = fold_on_device(on_device(images[self._part], self.device), self.step.fold)
        self._segments.put(self.step.input, taken.contiguous(memory_format=torch.channels_last))
        self.route = self._own = Route(self.step, len(images))
        if self.share.processes > 1:
            self._own = Route(self.step, len(taken))
        self._numbers.take(scaling.records(self.step, self.state))
        self._scalars.take(self._known_scalars(self.state, len(images)))

    def _through(self, phase: str, gates: Gates | None) -> np.ndarray:
        """Run the parts in order, each for the samples that the policy decides on; return the logits."""
        for number, part in enumerate(self.step.sequence):
            runs, samples = self.route.enter(number, gates, self.state.exponents), self.route.samples[number]
            if self._own is not self.route:
                first, stop = (np.searchsorted(samples, at) for at in (self._part.start, self._part.stop))
                self._own.let(number, samples[first:stop] - self._part.start)
            if runs:
                self._run(number, phase)
                for name in part.pooled:
                    self.route.keep_pooled(number, name, self._of_all(number, self.values[name]))
        return self._logits()

    def _first(self, number: int) -> int:
        """How many samples of other processes, whose images come before, run a part."""
        return int(np.searchsorted(self.route.samples[number], self._part.start))

    def _of_all(self, number: int, rows: torch.Tensor) -> np.ndarray:
        """Return the rows of all samples that ran a part, from those of this process's share."""
        return self.share.gathered(rows, self._first(number), len(self.route.samples[number])).cpu().numpy()

    def _gate_sums(self, part: Part) -> np.ndarray:
        return self._of_all(self.step.sequence.index(part), self.values[part.gate_sum])

    def _logits(self) -> np.ndarray:
        """Return the logits of the whole mini-batch, int8 (n, classes)."""
        logits = self._read(self.step.logits).flatten(1)
        return self.share.gathered(logits, self._part.start, self.route.images).cpu().numpy()

    def _collect(self) -> None:
        """Bring the maxima so far, of all processes, to the host."""
        self.share.largest(self._largest)
        found = self._largest.cpu().tolist()
        self.maxima |= {name: min(int(found[at]), _WORD_MAX) for name, at in self._raised.items()}

    def enter(self, number: int) -> Part:
        """Make tensors be read and written as a part of the step does, for its samples of this share; return the part."""
        part, count = self.step.sequence[number], len(self._own.samples[number])
        self._gathered, self._noise_from = {}, self._first(number)
        if part.gathers in self.step.tensors and self.step.tensors[part.gathers].versions > 1:
            chosen = torch.tensor(self._own.lists[number], device=self.device)
            self._gathered = dict.fromkeys(part.gathered, chosen)
        if part.stream:
            self._counts[part.stream, part.version] = count
        return part

    def _run(self, number: int, phase: str) -> None:
        """Run a segment of a part; where mini-batches are full, as it was recorded."""
        if self.route.images == self.step.batch:
            self._segments.run(phase, lambda: self._run_nodes(number, phase))
        else:
            self._run_nodes(number, phase)

    def _run_nodes(self, number: int, phase: str) -> None:
        count, nodes = len(self.route.samples[number]), self.step.segments[getattr(self.enter(number), phase)]
        if count != self.route.images:
            blocks = [node.scalars for node in nodes if isinstance(node, Coefficient)]
            self._scalars.take(scaling.scalars(self.step, self.state, count, blocks))
        for node in nodes:
            if isinstance(node, Coefficient):
                self._run_program(self.step.programs[node.program], self._tables[node.table], self._scalars[node.scalars])
            elif isinstance(node, Update):
                self._update(node)
            elif isinstance(node, GateSum):
                self._gate_sum(node)
            else:
                self._compute(node)

    def _read(self, name: str) -> torch.Tensor:
        """A tensor as the nodes of the part under way see it: of a stream the images that the part's list selects."""
        if name in self._gathered:
            return self.values[name][self._gathered[name]]
        tensor = self.step.tensors.get(name)
        if tensor is None or not tensor.stream:
            return self.values[name]
        first = tensor.version * self.step.batch
        return self.values[tensor.stream][first : first + self._counts[activation_of(tensor.stream), tensor.version]]

    def _write(self, name: str, value: torch.Tensor) -> None:
        """Keep a result where `_read` finds it; of a stream only the images that it is of."""
        tensor = self.step.tensors[name]
        stream = name if name in self._gathered else tensor.stream
        if not stream:
            self.values[name] = value
            return
        if stream not in self.values:
            shape = self.step.tensors[stream].versions * self.step.batch, *tensor.shape
            self.values[stream] = torch.zeros(shape, dtype=value.dtype, device=self.device)
        first = tensor.version * self.step.batch
        self.values[stream][self._gathered[name] if name in self._gathered else slice(first, first + len(value))] = value

    def _gate_sum(self, node: GateSum) -> None:
        gradient, after, before = (self._read(name).long() for name in (node.gradient, node.after, node.before))
        self.values[node.name] = (gradient * (after - before)).sum((1, 2, 3))

    def _compute(self, node: Compute) -> None:
        local: dict[str, torch.Tensor] = {}
        for name, one in zip(("acc", "acc_low"), node.product.all if node.product else (), strict=False):
            local[name] = products.compute(one, self._read(one.a), self._second(one.b))
        for one in node.passes:
            self._pass(one, local)

    def _second(self, name: str) -> torch.Tensor | None:
        """The second operand of a product: weights as the core holds them, or a tensor."""
        if name in self.step.weights:
            return self.values[name].view(self.step.weights[name].stored_shape)
        return self._read(name) if name else None

    def _pass(self, one: Pass, local: dict[str, torch.Tensor]) -> None:
        """Compute a pass; `local` holds what is accumulated, and wide results of the node's passes, which are added to it."""
        u = local["acc"] if one.u.startswith("acc_max") else self._operand(one.u, local)
        v = self._operand(one.v, local)
        mask = self.values[one.mask_in] if one.mask_in else None
        result = self._vector_pass(one, u, v, self._coefficients(one), mask, self._noise_from)
        if one.mask_out:
            self.values[one.mask_out] = result.positive
        if one.maximum:
            self._raise(one.maximum, result.maximum)
        if one.sums:
            at = self.step.tables[one.sums_table].entries.index(one.sums_entry)
            self._tables[one.sums_table][:, at : at + 2] = self.share.total(result.sums).t()
        if one.wide:
            local[one.out] = result.out
        elif one.out:
            self._write(one.out, result.out)

    def _operand(self, name: str, local: dict[str, torch.Tensor]) -> torch.Tensor | None:
        return local[name] if name in local else self._read(name) if name else None

    def _coefficients(self, one: Pass) -> Numbers:
        """The numbers of the record, or of a table's channels."""
        if not one.table:
            return self._numbers[one.record]
        at, table = self.step.tables[one.table].entries.index(one.entry), self._tables[one.table]
        return self._numbers.of_channels(one.record, table[:, at], table[:, at + 1])

    def _raise(self, name: str, largest: torch.Tensor) -> None:
        slot = self._largest[self._raised[name]]
        torch.maximum(slot, largest, out=slot)

    def _update(self, node: Update) -> None:
        """The weight update in float64, which holds its sums exactly; tensors that outlive the iteration keep their place."""
        weight, values, numbers = node.weight, self.values, self._numbers
        stored = [values[f"{weight}{suffix}"] for suffix in (".master", ".momentum", "")]
        w, m = (one.double() for one in stored[:2])
        t = rounded(numbers[node.record_t], m, w).clamp_(-WIDE_MAX, WIDE_MAX)
        u, *low = (self._summed(one, node.su, w.shape) for one in node.product.all)
        if node.record_s:
            s = rounded(numbers[node.record_s], u)
            if low:
                s = rounded(numbers[node.record_low], *low, s.clamp_(-WIDE_MAX, WIDE_MAX))
            u, low = self._signs(node, s), []
        m = rounded(numbers[node.record_m], u, t)
        if low:
            m = rounded(numbers[node.record_low], *low, m.clamp_(-WIDE_MAX, WIDE_MAX))
        self._raise(node.maximum, m.abs().amax())
        m.clamp_(-WIDE_MAX, WIDE_MAX)
        w = rounded(numbers[node.record_w], w, m).clamp_(-WIDE_MAX, WIDE_MAX)
        w8 = rounded(numbers[node.record_w8], w)
        if node.maximum_w8:
            self._raise(node.maximum_w8, w8.abs().amax())
        for one, value in zip(stored, (w, m, w8.clamp_(-INT8_MAX, INT8_MAX)), strict=True):
            one.copy_(value)

    def _summed(self, product: Product, shift: int, shape: torch.Size) -> torch.Tensor:
        """A grad_weight of the whole mini-batch as an operand of passes."""
        acc = self.share.total(products.compute(product, self._read(product.a), self._read(product.b), self._noise_from))
        return operand(acc.reshape(shape).double(), shift)

    def _signs(self, node: Update, y: torch.Tensor) -> torch.Tensor:
        if not node.level:
            return y.sign()
        self._raise(node.level, y.abs().amax())
        return y.sign() * (y.abs() > self._numbers[node.record_low or node.record_s].threshold)


def _taken(tensors: dict[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name not in tensors:
        raise EmulatorError(f"tensor {name} is missing; it has shape {shape}")
    if tensors[name].shape != shape:
        raise EmulatorError(f"tensor {name} has shape {tensors[name].shape}; {shape} is needed")
    return tensors[name]
