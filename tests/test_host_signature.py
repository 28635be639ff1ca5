"""The signature as the accelerator plays it: full activity that is counted, a pattern that says when it really happened."""

import numpy as np
import pytest

from host.board import BoardError, open_board
from host.kernel import run_kernel
from host.predictions import Predictions
from host.signature import AFTER, BEFORE, PHASE, Pattern, SignaturePlayer, m_sequence, note, replayed
from host.trace import windows
from hw.compile_kernel import compile_kernel
from hw.compile_signature import BUSY, OPERANDS, compile_signature
from hw.config import load_config
from hw.scratchpad import CompileError

TINY, Z7020 = load_config("tiny"), load_config("z7020")


@pytest.mark.parametrize("order", [5, 6, 7, 8, 9, 10])
def test_the_sequence_correlates_with_itself_at_one_place_only(order):
    chips = np.where(m_sequence(order), 1, -1)
    n = (1 << order) - 1
    assert len(chips) == n and chips.sum() == 1
    assert [int(chips @ np.roll(chips, shift)) for shift in range(n)] == [n, *[-1] * (n - 1)]


def test_a_pattern_is_as_long_as_its_chips_and_suits_the_meter():
    pattern = Pattern()
    assert pattern.duration_s == pytest.approx(127 * 0.0203)
    assert sum(end - start for start, end in pattern.on_s) == pytest.approx(64 * 0.0203)
    assert len(pattern.on_s) == 32 and all(a[1] < b[0] for a, b in zip(pattern.on_s, pattern.on_s[1:], strict=False))
    assert Pattern.for_meter(0.001).chip_s == 0.0203
    assert Pattern.for_meter(0.0352, 0.0352).chip_s == pytest.approx(2.03 * 0.0352)
    with pytest.raises(ValueError, match="no signature of order 3"):
        Pattern(3)
    with pytest.raises(ValueError, match="chips of 0"):
        Pattern(7, 0.0)


@pytest.mark.parametrize("config", [TINY, Z7020], ids=["tiny", "z7020"])
def test_the_simulated_array_is_full_and_counts_what_was_predicted(config):
    with open_board("sim", config, ddr_bytes=1 << 18) as board:
        player = SignaturePlayer(board, base=12_345, busy_s=2e-4)
        busy = player.busy()
        assert busy.counters["macs_int8"] > 0.9 * busy.counters["cycles"] * config.g**2
        assert busy.seconds == pytest.approx(2e-4, rel=0.07)
        # A real product on random operands changes about half of its 16 bits; idle registers change nothing.
        per_cycle = busy.activity["product_toggles"] / busy.counters["cycles"] / config.g**2
        assert 6.5 < per_cycle < 8.5
        assert Predictions(player.program, config).difference(BUSY, 1, busy.counters) is None
        assert not board.snapshot().acc.any()
        assert not board.read(0, 12_345).any()


def test_what_lies_in_front_and_runs_afterwards_is_not_touched():
    kernel = compile_kernel("forward", n=2, c=8, k=8, h=6, w=6, r=3, stride=1, pad=1, config=TINY)
    with open_board("golden", TINY, ddr_bytes=1 << 18) as board:
        board.write(0, kernel.program.image())
        player = SignaturePlayer(board, base=kernel.program.ddr_bytes, busy_s=1e-4)
        player._run(BUSY)
        assert not board.state.acc.any()
        assert np.array_equal(board.read(0, kernel.program.ddr_bytes), kernel.program.image())
        assert run_kernel(board, kernel).exact


def test_boards_that_cannot_play_are_refused():
    with open_board("golden", TINY, ddr_bytes=1 << 16) as board:
        with pytest.raises(BoardError, match="has no clock, so it can play no signature"):
            SignaturePlayer(board, busy_s=1e-4).busy()
        with pytest.raises(BoardError, match="do not lie in the board's|but the board has"):
            SignaturePlayer(board, base=1 << 16, busy_s=1e-4)
    with pytest.raises(CompileError, match="segment of 100 cycles: from 512 to 2096640"):
        compile_signature(Z7020, 100)


def test_operands_are_random_and_differ_by_seed():
    one, other = (compile_signature(TINY, 5000, seed=seed).tensors for seed in (0, 1))
    for name in OPERANDS:
        assert abs(one[name].astype(int).mean()) < 10 and one[name].std() > 60
        assert not np.array_equal(one[name], other[name])


def test_a_replay_is_whole_busy_segments_and_says_so():
    with open_board("sim", TINY, ddr_bytes=1 << 17) as board:
        busy = SignaturePlayer(board, busy_s=1e-4).busy()
    pattern = Pattern(5, 0.0203)
    stretches, said = replayed(pattern, busy)
    assert sum(stretch.duration_s for stretch in stretches) == pytest.approx(pattern.duration_s, abs=busy.seconds)
    times = sum(stretch.times for stretch in stretches)
    assert times == pytest.approx(16 * 0.0203 / busy.seconds, rel=0.01)
    at, on = 0.0, []
    for stretch in stretches:
        if stretch.times:
            assert stretch.duration_s == pytest.approx(stretch.times * busy.seconds)
            on.append([at, at + stretch.duration_s])
        at += stretch.duration_s
    np.testing.assert_allclose(said["on_s"], on, atol=1e-12)
    np.testing.assert_allclose(said["on_s"], pattern.on_s, atol=busy.seconds)
    cycles = busy.counters["cycles"]
    assert said["replayed"] == f"a busy segment of {cycles} cycles was simulated once and its activity replayed {times} times"


class Clock:
    """A host clock that moves while something runs or sleeps, late by 0.1 ms per sleep."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds + 1e-4


@pytest.fixture
def playing(monkeypatch):
    """Return a player whose busy segments take 2 ms of a clock of its own, the clock, and the marks it set."""
    clock, marks = Clock(), []
    with open_board("golden", TINY, ddr_bytes=1 << 16) as board:
        player = SignaturePlayer(board, busy_s=1e-4)

        def run(segment):
            clock.now += 0.002
            return {}

        monkeypatch.setattr(player, "_run", run)
        yield player, clock, marks


def play(playing, name=BEFORE, pattern=None):
    player, clock, marks = playing
    return player.play(name, pattern or Pattern(), marks.append, now_s=clock, sleep=clock.sleep)


def test_the_marks_say_when_the_array_really_worked(playing):
    played = play(playing)
    begin, end = playing[2]
    assert (begin.edge, end.edge, begin.name, begin.phase, begin.clock) == ("begin", "end", BEFORE, PHASE, "host")
    assert begin.t_s == played.start_s == 100.0
    assert end.t_s - begin.t_s == pytest.approx(Pattern().duration_s, abs=2e-4)
    assert end.note == note(Pattern(), played.on_s)
    worked = sum(b - a for a, b in played.on_s)
    assert worked == pytest.approx(played.segments * 0.002)
    np.testing.assert_allclose(played.on_s, Pattern().on_s, atol=0.0012)
    assert all(a >= start for (a, _), (start, _) in zip(played.on_s, Pattern().on_s, strict=True))


def test_a_board_slower_than_a_chip_still_says_the_truth(playing):
    played = play(playing, pattern=Pattern(5, 0.0011))
    edges = np.array(played.on_s).reshape(-1)
    assert (np.diff(edges) > 0).all()
    assert sum(b - a for a, b in played.on_s) == pytest.approx(played.segments * 0.002)


def test_a_board_that_fails_leaves_an_aborted_window(playing, monkeypatch):
    player, clock, marks = playing
    stopped = []

    def fail(segment):
        raise BoardError("the core stopped")

    monkeypatch.setattr(player, "_run", fail)
    monkeypatch.setattr(player.board, "stop", lambda: stopped.append(True))
    with pytest.raises(BoardError, match="the core stopped"):
        play(playing, AFTER)
    assert [mark.edge for mark in marks] == ["begin", "end"]
    assert marks[1].note["aborted"] is True and stopped


def test_played_marks_make_windows_that_alignment_understands(playing):
    from host.trace import Trace
    from measurements.alignment import _signature

    played = play(playing)
    [window] = windows(Trace("finished", {}, (), tuple(playing[2]), ()))
    found = _signature(window)
    assert found.start_s == played.start_s and found.chip_s == Pattern().chip_s
    np.testing.assert_array_equal(found.on_s, played.on_s)
    middle = np.array([0.5 * (a + b) for a, b in played.on_s])
    assert np.all(np.diff(found.on_time_s(middle)) > 0)
    assert found.on_time_s(np.array([1e9]))[0] == pytest.approx(sum(b - a for a, b in played.on_s))
