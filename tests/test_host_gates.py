"""Programs with gated blocks on boards: equal to the emulator bit for bit, counters from the decisions, work by usage."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest
from algo_networks import build
from gated_networks import CLASSES, GATED, SEEN, SHAPE, Fixed, Gated, Projected, drawn

from algo.data import random_images
from algo.emulator import Emulator
from algo.export import export
from algo.gates import GateError, Gating
from algo.policies.decision import Decision
from algo.policies.method import Method
from algo.sgd import Sgd
from algo.trainer import Trainer
from algo.update_rule import UpdateRule
from host.board import open_board
from host.checked_run import CheckedRun
from host.part_data import SUMS_ARRAY_CALLS
from host.runtime import LOGITS_OF_ELEMENT, Runtime
from hw import isa
from hw.compile import compile_step
from hw.config import load_config
from hw.program import read_program, write_program
from hw.scratchpad import CompileError

TINY, BATCH = load_config("tiny"), 5
NONE, ALL = np.zeros((len(GATED), BATCH)), np.ones((len(GATED), BATCH))
WHOLE = Gating(pooled=True, gradients=True)
BOARDS = {
    "golden": dict(url="golden"), "sim": dict(url="sim"), "sim-stalls": dict(url="sim", stall_probability=0.2, seed=4),
}  # fmt: skip


class Course:
    """Decisions given for every iteration; keeps the gates that were handed out."""

    def __init__(self, decisions):
        self.decisions, self.gates_given = decisions, []

    def decide(self, iteration):
        return Decision(iteration)

    def gates(self, decision):
        self.gates_given.append(Fixed(self.decisions[decision.iteration]))
        return self.gates_given[-1]

    def executed(self, decision, loss):
        """Nothing is learned from it."""


@dataclasses.dataclass
class Case:
    exported: object
    data: object
    program: object

    def batches(self, *sizes):
        for at, size in enumerate(sizes):
            yield self.data.train[at : at + size], self.data.train_labels[at : at + size]

    def emulator(self):
        return Emulator(self.exported.step, self.exported.tensors, self.exported.state)

    def run(self, board, decisions, sizes, **options):
        """Train on a board against the emulator; return the iterations and both sides' courses."""
        courses = Course(decisions), Course(decisions)
        checked = CheckedRun(board, self.program, self.exported.state, Trainer(self.emulator(), courses[1]), **options)
        return list(checked.train(self.batches(*sizes), courses[0])), courses, checked


@pytest.fixture(scope="module")
def case():
    return made(Gated)


def made(kind, update="gradient", whole=WHOLE, held=()):
    """Return a case of a network; parameters whose names begin with one of `held` are not trained."""
    module = build(kind)
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(not name.startswith(held))
    data = random_images(3, SHAPE, 24, 8, CLASSES)
    images, labels = data.train[:BATCH], data.train_labels[:BATCH]
    exported = export(module, images, labels, data.exponent, BATCH, Sgd(weight_decay="1/100"), 5, update, whole)
    return Case(exported, data, compile_step(exported.step, TINY, exported.tensors, exported.state))


PAPERS = UpdateRule("psg_abstain", g_bits=10, gradient_bits=16)


@pytest.mark.parametrize("kind", [Gated, Projected])
def test_gradients_of_16_bits_train_bit_for_bit(kind):
    """Streams have low bytes, too, which every list selects from as from the high ones."""
    case, blocks = made(kind, PAPERS), {Gated: len(GATED), Projected: 2}[kind]
    decisions = [drawn(seed, BATCH, 0.5, blocks).decisions for seed in range(4)] + [np.zeros((blocks, BATCH))]
    with opened(case, "golden") as board:
        done, courses, run = case.run(board, decisions, (5, 5, 3, 5, 5))
    assert len(done) == 5 and len(run.runtime.state.levels) > blocks
    for one, other in zip(*(course.gates_given for course in courses), strict=True):
        for block, gradients in other.learned[0].items():
            np.testing.assert_array_equal(one.learned[0][block], gradients)


@pytest.mark.parametrize("learned", [False, True], ids=["drawn", "learned"])
@pytest.mark.parametrize(("kind", "held"), [
    (Gated, ("conv.", "bn.", "blocks.0", "blocks.1", "blocks.2")), (Gated, ("conv.", "bn.", "blocks")),
    (Projected, ("conv.", "bn.", "blocks.0", "blocks.1")), (Projected, ("conv.", "bn.", "blocks")),
], ids=["first chain", "all", "first projection", "all projections"])  # fmt: skip
def test_blocks_that_are_held_are_skipped_and_their_decisions_learn(kind, held, learned):
    """No weight in front of them is trained: only decisions that learn ask for gradients there."""
    case, blocks = made(kind, whole=Gating(pooled=learned, gradients=learned), held=held), {Gated: 5, Projected: 2}[kind]
    with opened(case, "golden") as board:
        done, courses, _ = case.run(board, [drawn(seed, BATCH, 0.6, blocks).decisions for seed in range(3)], (5, 5, 3))
    assert len(done) == 3
    for one, other in zip(*(course.gates_given for course in courses), strict=True):
        assert set(one.learned[0]) == set(range(blocks) if learned else ())
        for block, gradients in other.learned[0].items():
            np.testing.assert_array_equal(one.learned[0][block], gradients)
    assert not learned or any(gradients.any() for gradients in courses[1].gates_given[0].learned[0].values())


def opened(case, url, **options):
    return open_board(url, TINY, ddr_bytes=case.program.ddr_bytes, **options)


@pytest.mark.parametrize("kind", BOARDS)
def test_training_equals_the_emulator_bit_for_bit(case, kind):
    """Random decisions, all, none, a partial last batch; counters are predicted from the decisions within CheckedRun."""
    several = [drawn(seed, BATCH).decisions for seed in range(2)] + [ALL, NONE, drawn(7, BATCH, 0.3).decisions]
    decisions, sizes = (several, (5, 5, 5, 5, 3)) if kind == "golden" else (several[4:], (3,))
    with opened(case, **BOARDS[kind]) as board:
        limit = 0.0 if kind == "sim" else None
        done, courses, run = case.run(board, decisions, sizes, cycles_limit=limit)
        test, labels = case.data.test, case.data.test_labels
        gates = drawn(9, BATCH)
        found = run.runtime.evaluate(test, labels, gates)
        assert found.accuracy == run._reference.emulator.evaluate(test, labels, gates)
        again = run.runtime.evaluate(test, labels, gates)
        assert found == again != run.runtime.evaluate(test, labels)
    for one, other in zip(*(course.gates_given for course in courses), strict=True):
        for block, (asked, told) in enumerate(zip(one.asked, other.asked, strict=True)):
            assert asked[0] == block and asked[1:2] == told[1:2] and asked[3:] == told[3:]
            np.testing.assert_array_equal(asked[2], told[2])
        assert one.learned[1] == other.learned[1]
        for block, gradients in other.learned[0].items():
            np.testing.assert_array_equal(one.learned[0][block], gradients)
            assert not gradients[~one.decisions[block][: len(gradients)]].any()
    for iteration, wanted, size in zip(done, decisions, sizes, strict=True):
        np.testing.assert_array_equal(iteration.decisions, np.asarray(wanted, bool)[:, :size])


@pytest.mark.parametrize("url", ["golden", "sim"])
def test_projections_are_gated_bit_for_bit_and_cycles_are_as_predicted(url):
    """One reads what every sample has, the other what some have skipped; decisions of some, none, all, and others of fewer."""
    case, none = made(Projected), [[0] * 5, [0] * 5]
    decisions = [[[1, 0, 1, 1, 0], [0, 1, 1, 0, 0]], none, [[1] * 5, none[0]], [none[0], [1] * 5], [[0, 1, 1], [1, 1, 0]]]
    taken = slice(None) if url == "golden" else slice(0, 5, 4)
    sizes = (5, 5, 5, 5, 3)[taken]
    with opened(case, url) as board:
        done, courses, run = case.run(board, decisions[taken], sizes, cycles_limit=None if url == "golden" else 0.0)
        gates = Fixed(np.array(decisions[0], bool))
        found = run.runtime.evaluate(case.data.test, case.data.test_labels, gates)
        assert found.accuracy == run._reference.emulator.evaluate(case.data.test, case.data.test_labels, gates)
    for one, other in zip(*(course.gates_given for course in courses), strict=True):
        for block in range(2):
            np.testing.assert_array_equal(one.asked[block][2], other.asked[block][2])
            np.testing.assert_array_equal(one.learned[0][block], other.learned[0][block])
    some, fewer = done[0], done[-1]
    assert [some.lists[f"forward.{part}"] for part in (1, 2, 3)] == [(0, 2, 3), (5, 1, 6, 7, 4), (1, 2)]
    assert some.lists["forward.4"] == (0, 5, 6, 3, 4) and fewer.lists["backward.4"] == (5, 6, 2)


def test_no_segment_is_launched_where_no_sample_runs(case):
    with opened(case, "golden") as board:
        (none, some), *_ = case.run(board, [NONE, [[1, 0, 1, 0, 0], *[[0] * 5] * 3, [0, 0, 0, 0, 1]]], (5, 5))
    always = {f"{phase}.{part}" for phase in ("forward", "backward") for part in (0, 3, 7)}
    assert set(none.counters) == always
    assert set(some.counters) == always | {"forward.1", "backward.1", "forward.6", "backward.6"}
    assert some.lists["forward.1"] == some.lists["backward.1"] == (0, 2)
    assert some.lists["forward.3"] == (5, 1, 6, 3, 4) and some.lists["forward.7"] == (0, 1, 2, 3, 15)
    assert [some.images_of(f"forward.{part}") for part in (0, 1, 3, 6, 7)] == [5, 2, 5, 1, 5]


def test_work_and_cycles_fall_with_usage(case):
    """One to five samples in every block: slots are in proportion, cycles fall; the predicted cycles are the simulated core's."""
    ladder = [(np.arange(BATCH) < count) * np.ones((len(GATED), 1)) for count in (5, 3, 1)]
    with opened(case, "sim") as board:
        done, _, run = case.run(board, ladder, (5, 5, 5), inspect=False, cycles_limit=0.0)
        assert run.cycles_error == 0.0
    slots, cycles = [], []
    for iteration in done:
        gated = [c for name, c in iteration.counters.items() if name.split(".")[1] in "12456"]
        slots.append([sum(c[f"slots_{kind}"] for c in gated) for kind in ("forward", "grad_input", "grad_weight", "pool")])
        cycles.append(sum(c["cycles"] for c in gated))
    np.testing.assert_array_equal(np.array(slots[1]) * 5, np.array(slots[0]) * 3)
    np.testing.assert_array_equal(np.array(slots[2]) * 5, np.array(slots[0]))
    assert cycles[0] > 1.3 * cycles[1] > 1.6 * cycles[2], cycles


def test_a_step_without_pooled_means_and_gradients_has_fewer_instructions_and_takes_plain_decisions(case):
    images, labels = case.data.train[:BATCH], case.data.train_labels[:BATCH]
    exported = export(build(Gated), images, labels, case.data.exponent, BATCH, Sgd(), seed=5, gated=Gating())
    lean = Case(exported, case.data, compile_step(exported.step, TINY, exported.tensors, exported.state))
    segments = lean.program.segments, case.program.segments
    assert all(segments[0][f"backward.{part}"].count < segments[1][f"backward.{part}"].count for part in (1, 4, 6))
    with opened(lean, "golden") as board:
        _, (course, _), _ = lean.run(board, [drawn(3, BATCH).decisions], (5,))
    assert all(asked[2:] == (None, 0, 0) for asked in course.gates_given[0].asked)
    assert course.gates_given[0].learned == ({}, {})


def test_the_processors_work_for_parts_is_counted(case):
    with opened(case, "golden") as board:
        (_, every, none, _), *_ = case.run(board, [NONE, ALL, NONE, NONE], (5, 5, 5, 5))
    assert every.processor.array_calls > none.processor.array_calls
    lists, sums, pooled = 5 * 8 * (1 + 5), 5 * 5 * 2 * 4 * 8, 5 * 8 + 2 * 5 * 12
    assert every.processor.elements == none.processor.elements == BATCH * CLASSES // LOGITS_OF_ELEMENT + 5
    assert every.processor.copied_bytes - none.processor.copied_bytes == lists + pooled
    beside = every.processor.beside_array_calls - none.processor.beside_array_calls
    assert (every.processor.beside_bytes - none.processor.beside_bytes, beside) == (sums, 5 * SUMS_ARRAY_CALLS)
    assert every.processor.beside_elements == none.processor.beside_elements == 5 + 7, "of images, and of the gates"


def test_scalars_of_a_gated_block_are_those_of_the_samples_that_run(case):
    """The words for a part's number of images are written over those of the mini-batch, and worked out once."""
    decisions = [np.arange(BATCH) < 2] * len(GATED)
    with opened(case, "golden") as board:
        first, second = case.run(board, [decisions] * 2, (5, 5))[0]
    assert first.processor.records - second.processor.records >= 12


@pytest.mark.parametrize("name", ["slu", "sd", "e2train"])
def test_methods_skip_learn_and_evaluate_on_a_board_as_in_the_emulator(case, name):
    """Gates that learn from the board's sums take the same decisions; their own cost is the processor's work."""
    slu = {"usage": "2/5", "evaluation": "drawn" if name == "slu" else "threshold"}
    method = Method.from_settings(name, {"slu": slu, "smd": {"drop": 0}, "swa": {"settle": 1}, "sd": {}})
    course, other = (method.begin(3, 12, None, case.exported.step.gated_blocks) for _ in range(2))
    reference = Trainer(case.emulator(), other)
    with opened(case, "golden") as board:
        run = CheckedRun(board, case.program, case.exported.state, reference)
        done = list(run.train(case.batches(5, 5, 4), course))
        test, labels = case.data.test, case.data.test_labels
        found = run.runtime.evaluate(test, labels, course.evaluation_gates())
    assert found.accuracy == reference.evaluate(test, labels)
    runs = np.concatenate([iteration.decisions.ravel() for iteration in done])
    assert 0 < runs.mean() < 1
    assert course.gates(Decision(9)).processor_work() == (0, 0, 0, 0)
    decided = course.gates(Decision(9))
    for block in range(len(GATED)):
        decided.decide(block, 4, np.ones((4, SEEN[block]), np.int64), 1, -4)
    calls, elements, *learned = decided.processor_work()
    blocks = len(GATED)
    assert (calls, elements) == ((50 + blocks, 8 * blocks * 4 // 4) if name == "sd" else (23 + blocks * 15, blocks * 4 * 7))
    assert learned == [0, 0]
    assert all(iteration.processor.array_calls > calls for iteration in done)


@pytest.mark.parametrize("ran_by", ["start", "wait"])
def test_what_is_done_beside_a_segment_may_come_before_it_or_behind_it(case, ran_by, monkeypatch):
    """Words of other segments, weights to average, the next mini-batch, gates that learn: none meets the segment that runs."""
    settings = {"swa": {"start": "0", "every": 1, "settle": 1}, "slu": {"usage": "1/2"}}
    courses = [Method.from_settings("slu+swa", settings).begin(3, 4, None, case.exported.step.gated_blocks) for _ in range(2)]
    reference = Trainer(case.emulator(), courses[0])
    with opened(case, "golden") as board:
        asked, counters = [], []

        def run(*segment):
            counters.append(board._run(board.state, *segment, threading.Event()))

        def wait(timeout_s=None):
            while asked:
                run(*asked.pop())
            return counters.pop()

        monkeypatch.setattr(board, "start", run if ran_by == "start" else lambda *segment: asked.append(segment))
        monkeypatch.setattr(board, "wait", wait)
        run_checked = CheckedRun(board, case.program, case.exported.state, reference)
        done = list(run_checked.train(case.batches(5, 5, 4, 5), courses[1]))
        images, labels = case.data.test[:BATCH], case.data.test_labels[:BATCH]
        run_checked.runtime.evaluate(images, labels)
        logits = run_checked.runtime.read(case.exported.step.logits)[:BATCH, :, 0, 0]
    np.testing.assert_array_equal(logits, reference.emulator.predict(images))
    assert len(done) == 4 and courses[1].average.count == 3
    assert [one.processor.streamed_bytes > 2 * done[0].processor.streamed_bytes for one in done[:3]] == [False, True, True]


def test_gates_and_steps_that_do_not_fit_are_refused(case):
    class Wanting(Fixed):
        needs_pooled = needs_gradients = True

    images, labels = case.data.train[:BATCH], case.data.train_labels[:BATCH]
    lacking = {"exported without gated ones": None, "needs_pooled": Gating(), "needs_gradients": Gating(pooled=True)}
    for match, gating in lacking.items():
        exported = export(build(Gated), images, labels, case.data.exponent, BATCH, Sgd(), gated=gating)
        with pytest.raises(GateError, match=match):
            Emulator(exported.step, exported.tensors, exported.state).forward(images, Wanting(ALL))
    stream = case.exported.step.tensors["blocks.0.bn2.stream"]
    tensors = case.exported.step.tensors | {stream.name: dataclasses.replace(stream, versions=20_000)}
    with pytest.raises(CompileError, match="20000 versions of 5 images; the image list numbers up to 65536"):
        compile_step(dataclasses.replace(case.exported.step, tensors=tensors), TINY, {})


def test_a_gated_program_survives_its_file_and_an_ungated_one_is_as_before(case, tmp_path):
    write_program(case.program, tmp_path / "gated.jg")
    found = read_program(tmp_path / "gated.jg")
    assert found.step == case.exported.step and np.array_equal(found.image(), case.program.image())
    with opened(case, "golden") as board:
        runtime = Runtime(board, found, case.exported.state)
        (iteration,) = runtime.train(case.batches(5))
    assert iteration.decisions.all() and len(iteration.counters) == 16
    assert iteration.total_counters()["instructions"] == sum(found.segments[name].count for name in iteration.counters)
    assert set(isa.COUNTER_NAMES) >= set(iteration.total_counters())
