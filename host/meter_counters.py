"""A meter's sequence number and clock with their wraps undone, and what their steps tell: drops, disorder, a reboot.

A counter that falls has wrapped or was reset. It has wrapped where the time that then has passed fits the host's clock: a
row arrives late or on time, never before it was taken. What does not fit is a reset, and from there on a new segment:
counters go on where they stood, by as much as the host's clock says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from host.readings import Loss

REORDER = 64
"""Rows that come so many places late are put back in order (within one batch); farther back is a reset."""

SLACK_S = 2.0
"""A row may seem to be taken so long after its arrival before that is held against it: clocks drift and start uneven."""

DRIFT = 0.01
"""Most by which a meter's clock and the host's are allowed to differ, resonators being 0.5 % off."""

NAMED_HOLES = 16
"""Holes of one batch that get a line each; more are put in one."""


@dataclass(frozen=True)
class Unwrapped:
    """Rows of a batch that are fit to use, in the order of their sequence number.

    Attributes:
        kept: int64 (m,), their indices in the batch.
        sequence: int64 (m,), -1 without a sequence number.
        device_t_s: float64 (m,), NaN without a clock.
        losses: what the counters tell.
    """

    kept: np.ndarray
    sequence: np.ndarray
    device_t_s: np.ndarray
    losses: list[Loss]


class MeterCounters:
    """The counters of one meter."""

    def __init__(self, sequence_bits: int = 0, time_bits: int = 0, tick_s: float = 1e-6):
        """Args: bits of the sequence number and of the clock (0: the meter has none), and a tick of the clock in seconds."""
        self._sequence_modulus = 1 << sequence_bits if sequence_bits else 0
        self._time_modulus = 1 << time_bits if time_bits else 0
        self._tick_s = tick_s
        self._raw_sequence = self._raw_ticks = 0
        self._sequence = self._ticks = 0
        self._arrival_s = self._offset_s = 0.0
        self._started = self._new_segment = False

    def restart(self) -> None:
        """The next row begins a new segment: what the counters say next has nothing to do with what they said."""
        self._new_segment = self._started

    def add(self, sequence: np.ndarray | None, ticks: np.ndarray | None, arrival_s: np.ndarray) -> Unwrapped:
        """Take the raw counters of a batch.

        Args:
            sequence, ticks: int64 (n,), None where the meter has none.
            arrival_s: float64 (n,), on the host's clock.
        """
        n = len(arrival_s)
        if not n:
            return Unwrapped(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), [])
        sequence = np.zeros(n, np.int64) if not self._sequence_modulus else sequence
        ticks = np.zeros(n, np.int64) if not self._time_modulus else ticks
        last = self._sequence if self._started else None
        fast = self._forward(sequence, ticks, arrival_s)
        kept, whole, time_ticks, losses = fast if fast else self._slow(sequence, ticks, arrival_s)
        if self._sequence_modulus:
            losses += _holes(whole, last, arrival_s[kept])
        return Unwrapped(
            kept,
            whole if self._sequence_modulus else np.full(len(kept), -1, np.int64),
            time_ticks * self._tick_s if self._time_modulus else np.full(len(kept), np.nan),
            sorted(losses, key=lambda loss: loss.t_s),
        )

    def _forward(self, sequence: np.ndarray, ticks: np.ndarray, arrival_s: np.ndarray):
        """Return the batch where both counters only go up, as nearly always; None where a closer look is needed."""
        if not self._started or self._new_segment:
            return None
        steps = np.diff(sequence, prepend=self._raw_sequence)
        if self._sequence_modulus and (steps.min() < 1 or steps.max() > self._sequence_modulus // 2):
            return None
        if self._time_modulus and np.diff(ticks, prepend=self._raw_ticks).min() < 0:
            return None
        whole, time_ticks = sequence - self._raw_sequence + self._sequence, ticks - self._raw_ticks + self._ticks
        if self._time_modulus and self._turns_missed(int(time_ticks[-1]), float(arrival_s[-1])):
            return None
        if self._time_modulus and self._ahead(int(time_ticks[-1]), float(arrival_s[-1])):
            return None
        self._advance(int(sequence[-1]), int(ticks[-1]), int(whole[-1]), int(time_ticks[-1]), float(arrival_s[-1]))
        self._offset_s = min(self._offset_s, float((arrival_s - time_ticks * self._tick_s).min()))
        return np.arange(len(sequence)), whole, time_ticks, []

    def _slow(self, sequence: np.ndarray, ticks: np.ndarray, arrival_s: np.ndarray):
        """Take a batch row by row: the first one ever, and those with a wrap, a reset or rows out of order."""
        last_before, rows, losses = self._sequence if self._started else None, {}, []
        for i, (raw_sequence, raw_ticks, t_s) in enumerate(
            zip(sequence.tolist(), ticks.tolist(), arrival_s.tolist(), strict=True)
        ):
            place = self._place(raw_sequence, raw_ticks, t_s, losses)
            number, time_tick = place or (self._sequence, self._ticks)
            if place is None:
                last_before = number - 1
            if not self._sequence_modulus:
                rows[i] = (i, time_tick)
            elif number in rows or (last_before is not None and number <= last_before):
                losses.append(Loss(t_s, "out of order", 1, f"row {number} came again or too late to be put in its place"))
            else:
                rows[number] = (i, time_tick)
        order = sorted(rows)
        kept = np.array([rows[key][0] for key in order], np.int64)
        return kept, np.array(order, np.int64), np.array([rows[key][1] for key in order], np.int64), losses

    def _place(self, raw_sequence: int, raw_ticks: int, t_s: float, losses: list[Loss]) -> tuple[int, int] | None:
        """Return the whole counters of a row; None where it begins the first segment or a new one (then it is the state)."""
        if not self._started:
            self._advance(raw_sequence, raw_ticks, raw_sequence, raw_ticks, t_s)
            self._offset_s = t_s - raw_ticks * self._tick_s
            self._started = True
            return None
        step, forward = 1, 0
        if self._sequence_modulus:
            half = self._sequence_modulus // 2
            step = (raw_sequence - self._raw_sequence + half) % self._sequence_modulus - half
        if self._time_modulus:
            forward = (raw_ticks - self._raw_ticks) % self._time_modulus
        back = forward - self._time_modulus if self._time_modulus else 0
        if self._sequence_modulus and -REORDER < step <= 0 and not self._new_segment and self._may_be_late(forward, back, t_s):
            return self._sequence + step, self._ticks + (0 if forward == 0 else back)
        if self._new_segment or step <= 0 or (self._time_modulus and self._ahead(self._ticks + forward, t_s)):
            self._reset(raw_sequence, raw_ticks, t_s, losses)
            return None
        turns = self._turns_missed(self._ticks + forward, t_s)
        self._advance(raw_sequence, raw_ticks, self._sequence + step, self._ticks + forward + turns * self._time_modulus, t_s)
        self._offset_s = min(self._offset_s, t_s - self._ticks * self._tick_s)
        return self._sequence, self._ticks

    def _may_be_late(self, forward: int, back: int, t_s: float) -> bool:
        """Return whether a row that stands behind by its number also does by its time, and has just come."""
        if not self._time_modulus:
            return True
        back = 0 if forward == 0 else back
        taken_s = (self._ticks + back) * self._tick_s + self._offset_s
        return -back * self._tick_s < SLACK_S and t_s - taken_s < 2 * SLACK_S

    def _ahead(self, ticks: int, t_s: float) -> bool:
        """Return whether a row with this time was taken after it arrived: then its time is not what it seems."""
        return ticks * self._tick_s + self._offset_s - t_s > SLACK_S + DRIFT * max(0.0, t_s - self._arrival_s)

    def _turns_missed(self, ticks: int, t_s: float) -> int:
        """Return how many whole turns the clock has made unseen, in a silence longer than a turn."""
        if not self._time_modulus:
            return 0
        behind_s = t_s - self._offset_s - ticks * self._tick_s
        turn_s = self._time_modulus * self._tick_s
        return max(0, int((behind_s + SLACK_S + DRIFT * max(0.0, t_s - self._arrival_s)) // turn_s))

    def _reset(self, raw_sequence: int, raw_ticks: int, t_s: float, losses: list[Loss]) -> None:
        """Begin a new segment: the counters go on by what the host's clock says."""
        passed = max(1, round((t_s - self._arrival_s) / self._tick_s)) if self._time_modulus else 0
        losses.append(
            Loss(
                t_s,
                "counter reset",
                0,
                "the meter's counters begin anew: it was restarted; how many rows are missing cannot be known",
            )
        )
        self._advance(raw_sequence, raw_ticks, self._sequence + 1, self._ticks + passed, t_s)
        self._offset_s = t_s - self._ticks * self._tick_s
        self._new_segment = False

    def _advance(self, raw_sequence: int, raw_ticks: int, sequence: int, ticks: int, t_s: float) -> None:
        # The envelope leaks upwards, so that a slow meter does not seem to fall behind over days.
        self._offset_s += DRIFT * max(0.0, t_s - self._arrival_s) if self._started else 0.0
        self._raw_sequence, self._raw_ticks, self._sequence, self._ticks = raw_sequence, raw_ticks, sequence, ticks
        self._arrival_s = t_s


def _holes(sequence: np.ndarray, last: int | None, arrival_s: np.ndarray) -> list[Loss]:
    """Return a loss for each hole in the numbers of a batch whose predecessor is `last`."""
    if not len(sequence):
        return []
    missing = np.diff(sequence, prepend=sequence[0] - 1 if last is None else last) - 1
    at = np.flatnonzero(missing > 0)
    losses = [
        Loss(
            float(arrival_s[i]), "dropped", int(missing[i]), f"numbers {sequence[i] - missing[i]} to {sequence[i] - 1} never came"
        )
        for i in at[:NAMED_HOLES]
    ]
    if len(at) > NAMED_HOLES:
        rest = at[NAMED_HOLES:]
        losses.append(Loss(float(arrival_s[rest[0]]), "dropped", int(missing[rest].sum()), f"in {len(rest)} further holes"))
    return losses
