"""FracTrain's progressive fractional quantisation: precision rises in stages, when the loss has come to rest."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from algo.policies.decision import Decision, MethodError, Policy, Running, Setting, fraction, narrowed, whole
from algo.policies.precision import bits_setting


@dataclass(frozen=True)
class FracTrain(Policy):
    """The next stage begins when the losses of the last `window` epochs all differ from the newest by less than epsilon times
    the mean of the run's first `window` epochs; epsilon then shrinks. An epoch's loss is the mean of its executed iterations.

    Attributes:
        forward, backward: bits of every stage: activations and weights; gradients.
        epsilon, shrink: threshold of the first stage, and its factor at a switch.
        window: epochs, also the fewest of a stage.
        epoch: drawn iterations of an epoch; 0 for those that show every image once.
    """

    forward: tuple[int, ...] = (3, 4, 6, 8)
    backward: tuple[int, ...] = (6, 6, 8, 8)
    epsilon: Fraction = Fraction(1, 20)
    shrink: Fraction = Fraction(3, 10)
    window: int = 5
    epoch: int = 0
    name = "fractrain"
    excludes = ("static", "cpt")

    def __post_init__(self):
        for name in ("forward", "backward"):
            stages = getattr(self, name)
            if not isinstance(stages, (list, tuple)) or not stages:
                raise MethodError(f"fractrain {name} is {stages!r}; a list of bits, one for every stage, is needed")
            self.take(**{name: tuple(bits_setting(f"fractrain {name}", bits) for bits in stages)})
        if len(self.forward) != len(self.backward):
            found = f"{len(self.forward)} forward and {len(self.backward)} backward stages"
            raise MethodError(f"fractrain has {found}; as many of both are needed")
        self.take(
            epsilon=fraction("fractrain epsilon", self.epsilon, 0, 1), shrink=fraction("fractrain shrink", self.shrink, 0, 1)
        )
        whole("fractrain window", self.window, 1)
        whole("fractrain epoch", self.epoch, 0)

    def begin(self, setting: Setting) -> Running:
        """Return the policy at its first stage."""
        return Staged(self, self.epoch or setting.epoch)

    def unreached(self, setting: Setting) -> str | None:
        """Return a sentence where the run ends before the last stage can begin: each one before it takes window + 1 epochs."""
        stage, epoch = len(self.forward) - 1, self.epoch or setting.epoch
        first = stage * (self.window + 1) * epoch
        if first < setting.iterations:
            return None
        bits = f"stage {stage + 1}, {self.forward[-1]} and {self.backward[-1]} bits"
        return (
            f"fractrain ends before {bits}: with a window of {self.window} epochs of {epoch} iterations it begins at iteration "
            f"{first} at the earliest, and the run has {setting.iterations}"
        )


class Staged(Running):
    """Stage and losses so far.

    Attributes:
        stage: from 0.
        history: mean loss of every finished epoch, in units of a loss, rounded down.
    """

    def __init__(self, settings: FracTrain, epoch: int):
        self._settings, self._epoch = settings, epoch
        self.stage, self.history = 0, []
        self._since, self._number, self._sum, self._count = 0, 0, 0, 0

    def decide(self, decision: Decision) -> Decision:
        """Close the epochs that are over, then take the stage's bits."""
        number = decision.iteration // self._epoch
        if number > self._number:
            self._close()
            self._number = number
        return narrowed(
            decision, forward_bits=self._settings.forward[self.stage], backward_bits=self._settings.backward[self.stage]
        )

    def executed(self, decision: Decision, loss: int) -> None:
        """Add the loss to its epoch."""
        self._sum += loss
        self._count += 1

    def state(self) -> dict:
        """Return stage, history and the epoch under way."""
        return {
            "stage": self.stage, "history": list(self.history), "since": self._since, "number": self._number, "sum": self._sum,
            "count": self._count,
        }

    def restore(self, state: dict) -> None:
        """Go on from a checkpoint."""
        self.stage, self.history, self._since = state["stage"], list(state["history"]), state["since"]
        self._number, self._sum, self._count = state["number"], state["sum"], state["count"]

    def _close(self) -> None:
        if self._count:
            self.history.append(self._sum // self._count)
            self._sum = self._count = 0
        if self.stage + 1 < len(self._settings.forward) and self._rests():
            self.stage += 1
            self._since = len(self.history)

    def _rests(self) -> bool:
        window, history = self._settings.window, self.history
        if len(history) - self._since <= window:
            return False
        epsilon = self._settings.epsilon * self._settings.shrink**self.stage
        largest = max(abs(loss - history[-1]) for loss in history[-1 - window : -1])
        return largest * window < epsilon * sum(history[:window])
