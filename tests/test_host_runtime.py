"""The runtime executes a program on any board, equal to the PyTorch emulator bit for bit, and stops cleanly."""

import dataclasses

import numpy as np
import pytest

from algo.emulator import Emulator
from algo.policies.method import Method, drawn_batches
from algo.train import export_digits
from host import board_golden
from host.beside_segments import NOISE_ARRAY_CALLS
from host.board import BoardError, open_board
from host.check import Mismatch
from host.checked_run import CheckedRun
from host.host_table import KEYS_ARRAY_CALLS
from host.input_buffer import GATHER_ARRAY_CALLS, Copied, InputBuffer, with_following
from host.runtime import LOSS_ARRAY_CALLS, Runtime
from hw import golden, isa
from hw.compile import compile_step
from hw.compile_table import IMAGE_LIST
from hw.config import load_config

TINY = load_config("tiny")
BATCH = 3


@dataclasses.dataclass
class Digits:
    """The digits benchmark, small: program, exported step, data."""

    exported: object
    data: object
    program: object

    def batches(self, *sizes):
        start = 0
        for size in sizes:
            yield self.data.train[start : start + size], self.data.train_labels[start : start + size]
            start += size

    def emulator(self):
        return Emulator(self.exported.step, self.exported.tensors, self.exported.state)


@pytest.fixture(scope="module")
def digits():
    exported, data = export_digits(seed=2, steps=8, batch=BATCH)
    return Digits(exported, data, compile_step(exported.step, TINY, exported.tensors))


def opened(digits, name, **options):
    return open_board(name, TINY, ddr_bytes=digits.program.ddr_bytes, **options)


BOARDS = {
    "golden": dict(name="golden"),
    "sim": dict(name="sim"),
    "sim-stalls": dict(name="sim", stall_probability=0.2, seed=4),
}


@pytest.mark.parametrize("kind", BOARDS)
def test_training_equals_the_emulator_bit_for_bit(digits, kind):
    emulator = digits.emulator()
    sizes = (BATCH, BATCH - 1) if kind == "golden" else (BATCH - 1,)
    with opened(digits, **BOARDS[kind]) as board:
        run = CheckedRun(board, digits.program, digits.exported.state, emulator)
        done = list(run.train(digits.batches(*sizes)))
        assert [iteration.images for iteration in done] == list(sizes)
        assert [iteration.number for iteration in done] == list(range(len(sizes)))
        assert run.runtime.state == emulator.state
        images, labels = digits.data.test[: BATCH + 1], digits.data.test_labels[: BATCH + 1]
        assert run.runtime.evaluate(images, labels).accuracy == emulator.evaluate(images, labels)
    for iteration in done:
        assert set(iteration.counters) == {"forward", "backward"}
        assert iteration.total_counters()["instructions"] == sum(
            digits.program.segments[name].count for name in ("forward", "backward")
        )
        assert (iteration.total_counters()["cycles"] > 0) == (kind != "golden")
        assert bool(iteration.total_activity()) == (kind != "golden")


def test_counters_of_rtl_and_interpreter_agree(digits):
    totals = []
    for kind in ("golden", "sim-stalls"):
        with opened(digits, **BOARDS[kind]) as board:
            runtime = Runtime(board, digits.program, digits.exported.state)
            (iteration,) = runtime.train(digits.batches(BATCH))
            totals.append({k: v for k, v in iteration.total_counters().items() if k not in isa.TIMING_COUNTERS})
    assert totals[0] == totals[1]


class Spy:
    """Notes what a board is asked for, in order."""

    def __init__(self, board, monkeypatch):
        self.calls = []
        for name in ("start", "wait", "write", "stop"):
            monkeypatch.setattr(board, name, self._noted(name, getattr(board, name)))

    def _noted(self, name, method):
        def call(*arguments):
            self.calls.append((name, *arguments[:1]))
            return method(*arguments)

        return call


def test_the_next_mini_batch_is_written_while_the_core_runs(digits, monkeypatch):
    region = digits.program.memory[digits.exported.step.input]
    with opened(digits, "golden") as board:
        runtime = Runtime(board, digits.program, digits.exported.state)
        spy = Spy(board, monkeypatch)
        list(runtime.train(digits.batches(BATCH, BATCH)))
    inside = region.offset, region.offset + region.size
    running, overlapped, alone = False, [], []
    for name, *arguments in spy.calls:
        if name in ("start", "wait"):
            running = name == "start"
        if name == "write" and inside[0] <= arguments[0] < inside[1]:
            (overlapped if running else alone).append(arguments[0] - region.offset)
    assert alone == [region.size // 2] and overlapped == [0]


def test_a_dropped_mini_batch_is_neither_loaded_nor_transferred_nor_stepped(digits, monkeypatch):
    region, loaded, course = digits.program.memory[digits.exported.step.input], [], Method.from_settings("smd").begin(1, 6)

    def draw(number):
        loaded.append(number)
        return next(digits.batches(BATCH))

    with opened(digits, "golden") as board:
        runtime = Runtime(board, digits.program, digits.exported.state)
        spy = Spy(board, monkeypatch)
        executed = [done.number for done in runtime.train(drawn_batches(draw, course), course)]
    assert loaded == executed and 0 < len(executed) < 6
    assert sum(name == "start" for name, *_ in spy.calls) == 2 * len(executed), "forward and backward of each, nothing else"
    writes = [at for name, *arguments in spy.calls if name == "write" for at in arguments]
    assert sum(region.offset <= at < region.offset + region.size for at in writes) == len(executed)


def test_folding_images_is_counted_as_the_processors_work(digits):
    """The first mini-batch is folded while the core stands still, the second beside the running core."""
    with opened(digits, "golden") as board:
        runtime = Runtime(board, digits.program, digits.exported.state)
        first, second = (iteration.processor for iteration in runtime.train(digits.batches(BATCH, BATCH - 1)))
        fed = InputBuffer(board, digits.program.memory, digits.exported.step.input, IMAGE_LIST, digits.exported.step.fold)
        images = digits.data.train[:2]
        assert fed.fill(images) == Copied(2 * 64 * 12 + 2 * 65, GATHER_ARRAY_CALLS)
        assert fed.use(images).array_calls == 0
    moved = 64 * 12 + 65  # bytes per image: 9 channels of int8, in 3 groups of 4 lanes in DDR; 64 pixels behind a zero
    assert (first.beside_bytes, first.beside_array_calls) == ((BATCH - 1) * moved, LOSS_ARRAY_CALLS + GATHER_ARRAY_CALLS)
    assert (second.beside_bytes, second.beside_array_calls) == (0, LOSS_ARRAY_CALLS)
    assert first.copied_bytes - second.copied_bytes == BATCH * moved
    assert first.array_calls - second.array_calls == GATHER_ARRAY_CALLS
    assert first.streamed_bytes == second.streamed_bytes, "words that the first segment does not need"
    ahead = KEYS_ARRAY_CALLS + NOISE_ARRAY_CALLS
    assert first.streamed_array_calls - second.streamed_array_calls == ahead, "keys and noise are made for the second, too"


def test_weights_are_read_back_in_the_modules_shape(digits):
    with opened(digits, "golden") as board:
        found = Runtime(board, digits.program, digits.exported.state).tensors()
    for name in ("conv.weight", "conv.weight.master", "conv.weight.momentum"):
        np.testing.assert_array_equal(found[name], digits.exported.tensors[name])
        assert found[name].shape[1:] == (1, 3, 3)


def test_an_interruption_stops_the_board(digits, monkeypatch):
    with opened(digits, "golden") as board:
        runtime = Runtime(board, digits.program, digits.exported.state)
        spy = Spy(board, monkeypatch)

        def interrupted(timeout_s=None):
            raise KeyboardInterrupt

        monkeypatch.setattr(board, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(runtime.train(digits.batches(BATCH)))
        assert spy.calls[-1][0] == "stop"


def test_a_difference_names_tensor_index_iteration_and_instruction(digits, monkeypatch):
    emulator = digits.emulator()
    weight = next(iter(digits.exported.step.weights))
    culprit = 40
    train_step = emulator.train_step

    def disagree(images, labels):
        train_step(images, labels)
        if emulator.state.iteration == 2:
            emulator.values[f"{weight}.master"][1, 0, 0, 2] += 1

    monkeypatch.setattr(emulator, "train_step", disagree)
    with opened(digits, "golden") as board:
        own = board.state

        def run_segment(state, address, count, stopped):
            """The board under check is right; the interpreter that it is bisected with goes wrong."""
            golden.run_segment(state, address, count, stopped)
            if state is not own and count > culprit:
                state.mem["O"][0, 0] ^= 1

        monkeypatch.setattr(board_golden, "run_segment", run_segment)
        run = CheckedRun(board, digits.program, digits.exported.state, emulator, inspect=True)
        seen = []
        with pytest.raises(Mismatch) as caught:
            for iteration in run.train(digits.batches(BATCH, BATCH, BATCH)):
                seen.append(iteration.number)
    assert seen == [0]
    message = str(caught.value)
    assert message.startswith(f"iteration 1: {weight}.master[1, 0, 0, 2] is ")
    assert f"segment forward, instruction {culprit} (" in message and "O[0]" in message


def test_a_program_for_another_configuration_or_more_ddr_is_refused(digits):
    other = dataclasses.replace(digits.program, config_name="huge", config_hash=1)
    with opened(digits, "golden") as board:
        with pytest.raises(BoardError, match="compiled for configuration huge .* core is tiny"):
            Runtime(board, other, digits.exported.state)
    with open_board("golden", TINY, ddr_bytes=digits.program.ddr_bytes - 128) as board:
        with pytest.raises(BoardError, match="bytes of DDR, but the board has"):
            Runtime(board, digits.program, digits.exported.state)


def test_a_mini_batch_of_the_wrong_shape_is_refused(digits):
    with opened(digits, "golden") as board:
        runtime = Runtime(board, digits.program, digits.exported.state)
        with pytest.raises(ValueError, match=rf"the program takes int8 \(1 to {BATCH}, 1, 8, 8\)"):
            list(runtime.train([(np.zeros((BATCH + 1, 1, 8, 8), np.int8), np.zeros(BATCH + 1, int))]))


def test_with_following_pairs_every_batch_with_the_next():
    assert list(with_following("abc")) == [("a", "b"), ("b", "c"), ("c", None)]
    assert list(with_following([])) == []
