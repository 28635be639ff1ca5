"""The same run in float32: what the integer step is compared with. Same network, mini-batches, schedule and decisions.

`FloatLearner` stands where algo.trainer.Trainer expects an emulator. Products are float32 throughout: TF32 is switched off.
Tensors are channels_last, which takes two thirds of the time on a CPU. A run that goes on from a checkpoint gives the same
bits: cuDNN's algorithms that add in another order each time are switched off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from algo.device_batches import on_device
from algo.gates import Gates
from algo.loss import Loss
from algo.policies.decision import FULL_BITS, LOSS_BITS, MethodError
from algo.sgd import Sgd

PARAMETER_BITS = 24
"""Fraction bits of averaged parameters: those of float32 at 1."""


class Diverged(RuntimeError):
    """The loss is no number any more; the message says in which iteration."""


@dataclass(frozen=True)
class FloatState:
    """Where a float32 run stands: the drawn iteration to come, and the hyper-parameters."""

    iteration: int
    sgd: Sgd

    def to_json(self) -> dict:
        """Return plain data."""
        return {"iteration": self.iteration, "sgd": self.sgd.to_json()}


class FloatLearner:
    """A torch module trained by torch.optim.SGD on int8 images.

    Attributes:
        module, state: what is trained, and where it stands.
    """

    def __init__(self, module: nn.Module, exponent: int, sgd: Sgd, batch: int, device: str = "cpu"):
        """Take the module over.

        Args:
            exponent: of the images: value = q * 2^exponent.
            batch: images of an evaluation at a time.
        """
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
        self.module = module.to(device).to(memory_format=torch.channels_last)
        self.device, self.batch = torch.device(device), batch
        self.state = FloatState(0, sgd)
        self._scale = math.ldexp(1.0, exponent)
        self._optimiser = torch.optim.SGD(
            module.parameters(), lr=float(sgd.lr), momentum=float(sgd.momentum), weight_decay=float(sgd.weight_decay)
        )

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the parameters as whole numbers of 2^-PARAMETER_BITS, int64, which policies average."""
        scale = float(1 << PARAMETER_BITS)
        return {name: np.rint(one.detach().cpu().numpy().astype(np.float64) * scale).astype(np.int64)
                for name, one in self.module.named_parameters()}  # fmt: skip

    def replace_weights(self, mean: dict[str, np.ndarray]) -> None:
        """Put an average of `parameters` in their place; the learning rate is 0 from here on."""
        with torch.no_grad():
            for name, one in self.module.named_parameters():
                one.copy_(torch.tensor(np.ldexp(mean[name].astype(np.float64), -PARAMETER_BITS)))
        self.state = FloatState(self.state.iteration, self.state.sgd.stopped())

    def skip_to(self, iteration: int, bits: tuple[int, int] | None = None) -> int:
        """Go to a drawn iteration: those before it are dropped and change nothing; `bits` as for an emulator.

        Returns:
            0, there being no exponents.

        Raises:
            MethodError: fewer bits than int8 has, which float32 training does not round to.
        """
        if bits is not None and bits != (FULL_BITS, FULL_BITS):
            raise MethodError(f"the method trains with {bits[0]} and {bits[1]} bits, which float32 training does not; use int8")
        self.state = FloatState(iteration, self.state.sgd)
        return 0

    def train_step(self, images: np.ndarray | torch.Tensor, labels: np.ndarray, gates: Gates | None = None) -> Loss:
        """Run one iteration on int8 images (n, c, h, w) with labels (n,); the loss is rounded as the integer step's is.

        Raises:
            Diverged: the loss is infinite or no number; the weights are those from before the iteration.
            MethodError: the method gates blocks, which are made for the integer step only.
        """
        if gates is not None:
            raise MethodError("the method lets samples skip blocks, which float32 training does not; train with int8")
        self.module.train()
        target = torch.tensor(labels, device=self.device)
        logits = self.module(self._images(images))
        loss = F.cross_entropy(logits, target)
        if not torch.isfinite(loss):
            raise Diverged(f"the loss of iteration {self.state.iteration} is {loss.item()}; a lower learning rate may help")
        for group in self._optimiser.param_groups:
            group["lr"] = float(self.state.sgd.rate(self.state.iteration))
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        self.skip_to(self.state.iteration + 1)
        rounded = round(loss.item() * (1 << LOSS_BITS)) / (1 << LOSS_BITS)
        return Loss(rounded, int((logits.argmax(1) == target).sum()), np.zeros(logits.shape, np.int8), 0)

    def evaluate(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Return the share of images whose label is found, batch norm using its running statistics."""
        self.module.eval()
        correct = 0
        with torch.no_grad():
            for at in range(0, len(images), self.batch):
                logits = self.module(self._images(images[at : at + self.batch]))
                correct += int((logits.argmax(1).cpu().numpy() == labels[at : at + self.batch]).sum())
        return correct / len(images)

    def tensors(self) -> dict[str, np.ndarray]:
        """Return parameters, buffers and momenta."""
        found = {name: value.cpu().numpy().copy() for name, value in self.module.state_dict().items()}
        for name, parameter in self.module.named_parameters():
            momentum = self._optimiser.state[parameter].get("momentum_buffer") if parameter in self._optimiser.state else None
            if momentum is not None:
                found[f"{name}.momentum"] = momentum.cpu().numpy().copy()
        return found

    def restore(self, tensors: dict[str, np.ndarray], state: dict) -> None:
        """Go on from what `tensors` and the state's `to_json` returned."""
        self.module.load_state_dict({name: torch.tensor(tensors[name]) for name in self.module.state_dict()})
        for name, parameter in self.module.named_parameters():
            if f"{name}.momentum" in tensors:
                momentum = torch.empty_like(parameter).copy_(torch.tensor(tensors[f"{name}.momentum"]))
                self._optimiser.state[parameter] = {"momentum_buffer": momentum}
        self.state = FloatState(int(state["iteration"]), Sgd.from_json(state["sgd"]))

    def _images(self, images: np.ndarray | torch.Tensor) -> torch.Tensor:
        given = on_device(images, self.device).contiguous(memory_format=torch.channels_last)
        return given.float() * self._scale
