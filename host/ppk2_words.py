"""Words of Nordic's Power Profiler Kit II: from bytes to amperes, with the framing checked.

A word has four bytes, little endian: bits 0-13 converter, 14-16 range, 18-23 counter, 24-31 logic inputs. Nothing marks
where a word begins: after a short read every later word would be made of halves of two, and such currents look like
currents. The counter tells: it goes up by one from word to word, and only in the right framing. Its six bits also count
losses, modulo 64; a longer hole is measured with the host's clock, and its count is near, not exact.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from host.readings import Loss

RATE_HZ = 100_000
TURN = 64
SURE_WORDS = 6
"""So many words whose counters follow each other make a framing."""

FULL_SCALE_A = 1.0
IMPOSSIBLE_A = 1.5


class Ppk2Words:
    """The stream of one PPK2."""

    def __init__(self, modifiers: Mapping, converter_v: float, volts: float):
        """Args: the kit's calibration as ppk2-api holds it (R, GS, GI, O, S, I, UG), a converter step, the rail's volts."""
        column = {
            key: np.array([float(modifiers[key][str(i)]) for i in range(5)]) for key in ("R", "GS", "GI", "O", "S", "I", "UG")
        }
        self._calibration, self._converter_v, self._volts = column, converter_v, volts
        self._tail, self._counter, self._number = b"", -1, -1
        self._started_s = 0.0
        self._framed, self._expected = False, -1

    def restart(self) -> None:
        """The stream was broken off."""
        self._tail, self._counter, self._framed, self._expected = b"", -1, False, -1

    def feed(self, data: bytes, t_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[Loss]]:
        """Take bytes that arrived at `t_s`.

        Returns:
            Numbers (int64), amperes (float64, NaN where impossible) and logic inputs (int64) of n samples, and losses.
        """
        buffer, losses, parts, garbage = self._tail + data, [], [], 0
        while True:
            if not self._framed:
                skip = _framing(buffer)
                if skip is None:
                    keep = 4 * (SURE_WORDS + 1) + 3
                    garbage += max(0, len(buffer) - keep)
                    buffer = buffer[-keep:]
                    break
                garbage, buffer, self._framed = garbage + skip, buffer[skip:], True
                if self._counter >= 0:
                    buffer = buffer[4:]  # the first word after a break may be made of the ends of two
                self._expected = -1
            words = np.frombuffer(buffer, "<u4", len(buffer) // 4).astype(np.int64)
            follow = self._follow(words)
            good = max(0, follow - 1)  # the last one before a break may be, too: it waits for its successor
            parts.append(self._numbered(words[:good], t_s, losses))
            buffer = buffer[4 * good :]
            if follow == len(words) or len(buffer) < 4 * (SURE_WORDS + 3) + 3:
                break
            self._framed, buffer = False, buffer[4 * (follow - good) :]  # find the framing again
        self._tail = buffer
        if garbage:
            losses.append(Loss(t_s, "garbage", garbage, "bytes outside the framing: a read was cut short; resynchronised"))
        numbers, words = (np.concatenate([part[i] for part in parts]) if parts else np.zeros(0, np.int64) for i in (0, 1))
        amperes = self._amperes(words)
        wrong = ~(np.abs(amperes) <= IMPOSSIBLE_A)
        if wrong.any():
            losses.append(Loss(t_s, "rejected", int(wrong.sum()), f"above {IMPOSSIBLE_A} A: the kit ends at {FULL_SCALE_A} A"))
            amperes[wrong] = np.nan
        return numbers, amperes, words >> 24 & 255, losses

    def _follow(self, words: np.ndarray) -> int:
        """Return how many words follow each other by their counters; a single counter that is off is let pass."""
        if not len(words):
            return 0
        counter = words >> 18 & 63
        first = counter[0] if self._expected < 0 else self._expected
        expected = (first + np.arange(len(words))) % TURN
        wrong = np.flatnonzero(counter != expected)
        for i in wrong:
            after = slice(i + 1, i + 1 + SURE_WORDS)
            if len(counter[after]) < SURE_WORDS or (counter[after] != expected[after]).any():
                return int(i)
        return len(words)

    def _numbered(self, words: np.ndarray, t_s: float, losses: list[Loss]) -> tuple[np.ndarray, np.ndarray]:
        if not len(words):
            return np.zeros(0, np.int64), words
        first = int(words[0] >> 18 & 63) if self._expected < 0 else self._expected
        self._expected = (first + len(words)) % TURN
        if self._number < 0:
            self._number, self._started_s = -1, t_s
            missing = 0
        elif self._counter < 0:
            missing = max(0, round((t_s - self._started_s) * RATE_HZ) - self._number - len(words))
            losses.append(
                Loss(t_s, "counter reset", 0, "the stream was started anew: how many samples are missing cannot be known")
            )
        else:
            missing = (first - self._counter - 1) % TURN
            late = (t_s - self._started_s) * RATE_HZ - (self._number + missing + len(words))
            turns = max(0, round(late / TURN)) if missing and late > TURN else 0
            missing += turns * TURN
            if missing:
                losses.append(
                    Loss(
                        t_s,
                        "dropped",
                        missing,
                        f"{'about ' if turns else ''}{missing} samples by the counter, which knows them modulo 64",
                    )
                )
        numbers = self._number + 1 + missing + np.arange(len(words))
        self._number, self._counter = int(numbers[-1]), (first + len(words) - 1) % TURN
        return numbers, words

    def _amperes(self, words: np.ndarray) -> np.ndarray:
        """Return amperes by the kit's calibration: a resistor and a quadratic for each range."""
        ranges, c = np.minimum(words >> 14 & 7, 4), self._calibration
        bare = ((words & 0x3FFF) * 4 - c["O"][ranges]) * (self._converter_v / c["R"][ranges])
        return c["UG"][ranges] * (
            bare * (c["GS"][ranges] * bare + c["GI"][ranges]) + c["S"][ranges] * self._volts + c["I"][ranges]
        )


def _framing(data: bytes) -> int | None:
    """Return how many bytes to skip so that SURE_WORDS words follow each other; None where that is nowhere."""
    best = None
    for shift in range(4):
        count = (len(data) - shift) // 4
        if count <= SURE_WORDS:
            continue
        counter = np.frombuffer(data, "<u4", count, shift).astype(np.int64) >> 18 & 63
        steps = np.concatenate([[0], np.cumsum(np.diff(counter) % TURN == 1)])
        runs = np.flatnonzero(steps[SURE_WORDS:] - steps[:-SURE_WORDS] == SURE_WORDS)
        if len(runs) and (best is None or shift + 4 * int(runs[0]) < best):
            best = shift + 4 * int(runs[0])
    return best
