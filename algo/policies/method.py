"""Methods: policies by name, composed; their course over the drawn iterations of a run.

    method = Method.from_settings("smd+swa", {"smd": {"drop": "1/2"}})
    course = method.begin(seed, iterations, epoch, step.gated_blocks)
    for number, images, labels in drawn_batches(batches.draw, course):      loads only what is executed
        decision = course.decide(number)
        ... the iteration ...
        course.executed(decision, loss)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from fractions import Fraction

import numpy as np

from algo.policies.decision import FULL_BITS, LOSS_BITS, UPDATES, Decision, MethodError, Policy, Setting
from algo.policies.fractrain import FracTrain
from algo.policies.gates import Gates
from algo.policies.precision import Cpt, Static
from algo.policies.sign_update import Psg, PsgAbstain, SignSgd
from algo.policies.slu import Slu
from algo.policies.smd import Smd
from algo.policies.stochastic_depth import StochasticDepth
from algo.policies.swa import Averaging, Swa
from algo.update_rule import UpdateRule

PLAIN = "plain"
POLICIES = {kind.name: kind for kind in (Smd, Slu, StochasticDepth, Static, Cpt, FracTrain, SignSgd, Psg, PsgAbstain, Swa)}
"""Name of a policy to its settings' class."""

METHODS = {PLAIN: (), "e2train": ("smd", "slu", "psg_abstain", "swa"), **{name: (name,) for name in POLICIES}}
"""Name of a method to its policies. e2train is the published combination but for the update: see algo.policies.sign_update."""

GATING = ("slu", "sd")


@dataclass(frozen=True)
class Method:
    """Policies that work together.

    Attributes:
        name: as it was asked for.
        policies: in the order in which they decide.
    """

    name: str
    policies: tuple[Policy, ...] = ()

    @staticmethod
    def from_settings(name: str, settings: Mapping[str, Mapping] | None = None) -> Method:
        """Return a method.

        Args:
            name: of METHODS, or several joined by "+".
            settings: policy name to the settings that differ from the defaults; those of policies outside the method are
                not used, but checked.

        Raises:
            MethodError: a name or a setting is unknown, a value cannot be, or two policies contradict each other.
        """
        made = _made(settings or {})
        parts, names = name.split("+"), []
        if len(parts) > 1 and (PLAIN in parts or len(set(parts)) < len(parts)):
            raise MethodError(f"method {name!r} joins policies that differ; plain is none, and each stands once")
        for part in parts:
            if part not in METHODS:
                raise MethodError(f"method {part!r} is not known; there are {', '.join(METHODS)}, and several joined by +")
            names += [one for one in METHODS[part] if one not in names]
        method = Method(name, tuple(made.get(one) or POLICIES[one]() for one in names))
        _check_together(method)
        return method

    def __getitem__(self, name: str) -> Policy | None:
        """Return a policy by name, None where the method has none such."""
        return next((policy for policy in self.policies if policy.name == name), None)

    @property
    def update(self) -> str:
        """Rule of the weight update, of algo.policies.decision.UPDATES."""
        return next((name for name in UPDATES if self[name]), "sgd")

    @property
    def update_rule(self) -> UpdateRule:
        """Rule of the weight update as the training step has it. Raises MethodError where no step has it."""
        if self.update == "psg":
            raise MethodError(
                f"method {self.name} asks for the full product wherever psg's predictor is undecided, and no executor computes "
                "it: use psg_abstain, which leaves those weights as they are"
            )
        rule = self["psg_abstain"]
        if rule:
            bits = {"x_bits": rule.x_bits, "g_bits": rule.g_bits, "gradient_bits": self.gradient_bits}
            return UpdateRule("psg_abstain", beta=rule.beta, **bits)
        return UpdateRule("sign" if self["signsgd"] else "gradient", gradient_bits=self.gradient_bits)

    @property
    def gradient_bits(self) -> int:
        """Bits of output gradients, two bytes or one: 16 or 8."""
        static, psg = self["static"], self["psg_abstain"]
        return max(FULL_BITS, static.backward if static else 0, psg.gradient_bits if psg else 0)

    @property
    def rate(self) -> Fraction | None:
        """Learning rate that takes the place of the recipe's; None where the recipe's stays."""
        policy = self["signsgd"] or self["psg_abstain"]
        return policy.lr if policy else None

    @property
    def only_gates(self) -> bool:
        """Whether the method does nothing but skip blocks, so that a network without any is a mistake."""
        return len(self.policies) == 1 and self.gated

    @property
    def gated(self) -> bool:
        """Whether residual blocks are skipped image by image."""
        return any(self[name] for name in GATING)

    @property
    def gates_projections(self) -> bool:
        """Whether blocks beside a projection are skipped, too."""
        return all(self[name].blocks == "all" for name in GATING if self[name])

    def begin(self, seed: int, iterations: int, epoch: int | None = None, blocks: tuple[tuple[str, int], ...] = ()) -> Course:
        """Return the method's course over a run.

        Args:
            seed: of every draw.
            iterations: drawn ones.
            epoch: drawn iterations that show every image once; None for the whole run.
            blocks: (name, channels of the input) of the residual blocks that may be skipped, in order of depth.

        Raises:
            MethodError: a policy does not fit the run or the network.
        """
        if iterations < 1:
            raise MethodError(f"a run of {iterations} iterations; it has at least one")
        return Course(self, Setting(seed, iterations, epoch or iterations, tuple(blocks)))

    def to_json(self) -> dict:
        """Return the name and every policy's settings; `from_json` is the inverse."""
        return {"name": self.name, "settings": {policy.name: policy.to_json() for policy in self.policies}}

    @staticmethod
    def from_json(data: Mapping) -> Method:
        """Rebuild a method. Raises MethodError or KeyError where the data is not one."""
        return Method.from_settings(data["name"], data["settings"])


class Course:
    """A method in a run: decisions, and the state that a checkpoint keeps.

    Attributes:
        method, setting: what it is the course of.
        notes: what of the method has nothing to do here or is never reached, in sentences.
        drawn, executed_count: iterations decided on so far (dropped ones too, once a later one is decided), and executed.
    """

    def __init__(self, method: Method, setting: Setting):
        self.method, self.setting = method, setting
        idle = [policy for policy in method.policies if policy.name in GATING and not setting.blocks and not method.only_gates]
        self._running = {policy.name: policy.begin(setting) for policy in method.policies if policy not in idle}
        beside = {"all": "", "identity": " beside an identity shortcut, and its setting blocks asks for those alone"}
        found = "has nothing to do: the network has no block that may be skipped"
        self.notes = tuple(f"{policy.name} {found}{beside[policy.blocks]}" for policy in idle)
        self.notes += tuple(note for policy in method.policies if (note := policy.unreached(setting)))
        self.drawn = self.executed_count = 0
        if self.average:
            self._leave_one_to_settle()

    def executes(self, iteration: int) -> bool:
        """Whether a drawn iteration is executed; may be asked ahead of time."""
        return all(one.executes(iteration) for one in self._running.values())

    def decide(self, iteration: int) -> Decision:
        """Return the decision for a drawn iteration; asked just before it is executed or dropped, in order."""
        if iteration < self.drawn:
            raise MethodError(f"iteration {iteration} is asked for after {self.drawn - 1}: decisions are taken in order")
        self.drawn = iteration + 1
        decision = Decision(iteration, self.executes(iteration))
        if not decision.execute:
            return decision
        for one in self._running.values():
            decision = one.decide(decision)
        bits = self.method.gradient_bits
        return replace(decision, backward_bits=bits) if bits > FULL_BITS else decision

    def executed(self, decision: Decision, loss: float) -> None:
        """Take note of an executed iteration.

        Args:
            loss: mean cross-entropy as algo.loss gives it, a multiple of 2^-24 nats.
        """
        self.executed_count += 1
        for one in self._running.values():
            one.executed(decision, int(loss * (1 << LOSS_BITS)))

    def _leave_one_to_settle(self) -> None:
        """Let settling begin so early that a mini-batch that is executed is among its iterations."""
        average, last = self.average, self.setting.iterations - 1
        while last > 0 and not self.executes(last):
            last -= 1
        average.settles_from = min(average.settles_from, last)
        if not any(map(self.executes, range(average.first, average.settles_from))):
            found = f"swa averages nothing: no iteration from {average.first} on is executed before the last"
            self.notes += (f"{found}; a longer run, an earlier start or fewer drops would leave some",)

    def gates(self, decision: Decision) -> Gates | None:
        """Return the gates of an executed iteration; None where the method gates nothing."""
        found = self._running.get("slu") or self._running.get("sd")
        return found.gates(decision) if found else None

    def evaluation_gates(self) -> Gates | None:
        """Return the gates of an evaluation, which draw nothing; None where the method gates nothing."""
        found = self._running.get("slu") or self._running.get("sd")
        return found.evaluation_gates() if found else None

    @property
    def average(self) -> Averaging | None:
        """The weights' running average; None where the method averages nothing."""
        return self._running.get("swa")

    def state(self) -> dict:
        """Return what a checkpoint must hold: JSON values and int64 arrays, nested (`algo.policies.checkpoint`)."""
        policies = {name: one.state() for name, one in self._running.items()}
        return {"method": self.method.to_json(), "drawn": self.drawn, "executed": self.executed_count, "policies": policies}

    def restore(self, state: Mapping) -> None:
        """Go on from a checkpoint. Raises MethodError where it is of another method."""
        if state["method"] != self.method.to_json():
            found = f"the checkpoint is of method {state['method']}, the run of {self.method.to_json()}"
            raise MethodError(f"{found}: they must agree")
        self.drawn, self.executed_count = state["drawn"], state["executed"]
        for name, one in self._running.items():
            one.restore(state["policies"][name])


def drawn_batches(
    draw: Callable[[int], tuple[np.ndarray, np.ndarray]], course: Course, start: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Yield (images, labels, number) of every drawn iteration that is executed, from `start` to the run's end.

    Args:
        draw: loads the mini-batch of a drawn iteration; it is not called for one that is dropped.
    """
    for number in range(start, course.setting.iterations):
        if course.executes(number):
            yield *draw(number), number


def _made(settings: Mapping[str, Mapping]) -> dict[str, Policy]:
    """Return the policies that have settings, checked."""
    made = {}
    for name, values in settings.items():
        if name not in POLICIES:
            raise MethodError(f"settings of {name!r}: there is no such policy, there are {', '.join(POLICIES)}")
        known = [one.name for one in fields(POLICIES[name])]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise MethodError(f"{name} has no setting {', '.join(unknown)}; its settings are {', '.join(known) or 'none'}")
        made[name] = POLICIES[name](**values)
    return made


def _check_together(method: Method) -> None:
    for policy in method.policies:
        other = next((name for name in policy.excludes if method[name]), None)
        if other:
            raise MethodError(f"method {method.name} has {policy.name} and {other}, which decide the same: use one of them")
    psg, lowest = method["psg"] or method["psg_abstain"], _lowest_bits(method)
    if psg and lowest < FULL_BITS:
        found = f"{psg.name} predicts from the most significant of {FULL_BITS} bits, and there are {lowest} at times"
        raise MethodError(f"method {method.name}: {found}; leave one of the two out")


def _lowest_bits(method: Method) -> int:
    """Return the fewest bits, forward or backward, that may occur."""
    if method["cpt"]:
        return min(method["cpt"].lowest, method["cpt"].backward)
    if method["fractrain"]:
        return min(*method["fractrain"].forward, *method["fractrain"].backward)
    return min(method["static"].forward, method["static"].backward) if method["static"] else FULL_BITS
