"""Load and store engine of the cycle model, burst by burst and word by word: hw/rtl/load_engine.sv, store_engine.sv.

A step is one cycle. What other modules see of it in the same cycle are the handshakes with the memory; all else, as behind
a register, counts from the next cycle on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from hw import isa
from hw.config import Config
from hw.cycle_engines import READ, WRITE, C, CoefficientUnit, U, V, VectorUnit
from hw.cycle_memory import FETCH, LOAD, PORTS, Ddr

UNDER_WAY = 4
"""Loads, and stores, between start and done."""

OUTSTANDING = 8
"""Bursts of loads, and of stores, under way on a port."""

WORDS_AHEAD = 4
"""Words of a store between its memory and a port's data channel."""

BURST_BEATS = 16
STRIPE_BYTES = 128
"""Bytes that go to one port before the other's turn."""

IMAGE_LIST = isa.MEMORY_NUMBER["IL"]


@dataclass(eq=False, slots=True)
class Transfer:
    """A load or store under way: its memory, the words there that its runs have taken, and its bursts that are out."""

    memory: int
    beats: int  # of a word
    first: int
    end: int
    bursts: int = 0
    closed_at: float = inf

    def over(self, t: int) -> bool:
        """Return whether all its bursts are out and back."""
        return not self.bursts and self.closed_at <= t


class _Choice:
    """Two requesters in turn, each kept until its grant: hw/rtl/two_way_choice.sv."""

    __slots__ = ("last", "waits")

    def __init__(self):
        self.last, self.waits = 1, False

    def choose(self, first: bool, second: bool) -> int:
        """Return the one chosen, of which one requests at least."""
        if not self.waits:
            other = 1 - self.last
            self.last = other if (second if other else first) else self.last
        return self.last


class _Transfers:
    """What both engines do alike: transfers start, are cut into runs and bursts, and are done in order."""

    def __init__(self, config: Config, ddr: Ddr, vector: VectorUnit, coefficient: CoefficientUnit):
        self._config, self._ddr, self._vector, self._coefficient = config, ddr, vector, coefficient
        self._under_way: deque[Transfer] = deque()
        self._runs: Iterator[list[tuple[int, int]]] = iter(())
        self._bursts: deque[tuple[int, int]] = deque()  # (port, beats) of the run that is being cut
        self._choice = _Choice()
        self._offered_at: float = inf
        self.ready_at: float = 0.0

    def ready(self, t: int) -> bool:
        """Return whether a transfer can start in cycle t."""
        return self.ready_at <= t and len(self._under_way) < UNDER_WAY

    def start(self, t: int, f: isa.Instruction, n: int) -> None:
        """Start a transfer of n images in cycle t."""
        bytes_of_word = self._config.word_bytes(isa.MEMORIES[f["mem"]])
        self._f, self._word_bytes, self._image, self._group = f, bytes_of_word, 0, 0
        self._current = Transfer(f["mem"], 8 * bytes_of_word // self._config.axi_bits, f["base"], f["base"])
        self._under_way.append(self._current)
        self._images_left, self._groups_left = n, f["n_grp"]
        if n:
            self.ready_at = inf
            self._offered_at = self._image_at(t + 2) + 1
        else:
            self.ready_at = self._current.closed_at = t + 3

    def done(self, t: int) -> bool:
        """Return whether the first transfer under way is done in cycle t."""
        return bool(self._under_way) and self._under_way[0].over(t)

    def retire(self) -> None:
        """Take out the first transfer, which is done."""
        self._under_way.popleft()

    def next_event(self, t: int) -> float:
        """Return the first cycle behind t in which something may happen on its own."""
        times = [at for at in (self._offered_at, self.ready_at) if at > t]
        times += [transfer.closed_at for transfer in self._under_way if transfer.closed_at > t]
        return min(times, default=inf)

    def _image_at(self, t: int) -> int:
        """Return the cycle in which the address of the next image is taken, at t + 1 where no list is read for it."""
        if not self._f["use_list"]:
            return t + 1
        return t + 3 + max((self._f["slot"] + self._image).bit_length(), 1)

    def _cut(self, t: int) -> bool:
        """Take the next run, or send the next burst of the one taken; return whether there was one to take or send."""
        if self._bursts:
            port, beats = self._bursts[0]
            if not self._send(port, beats):
                return False
            self._bursts.popleft()
            self._current.bursts += 1
            if not self._bursts and self._offered_at == inf:
                self._current.closed_at = t + 1
            return True
        if self._offered_at > t or not self._free():
            return False
        self._take_run(t)
        return True

    def _take_run(self, t: int) -> None:
        """Cut the run that is offered and find out when the next one is."""
        f, current = self._f, self._current
        at = f["addr"] + self._image * f["img_stride"] + self._group * f["grp_stride"]
        self._bursts.extend(bursts_of(at, f["run"] * self._word_bytes, self._config.axi_bits // 8))
        current.end += f["run"]
        self._group += 1
        if self._group < f["n_grp"]:
            self._offered_at = t + 1
            return
        self._group, self._image = 0, self._image + 1
        if self._image < self._images_left:
            self._offered_at = max(t + 1, self._image_at(self._taken_at)) + 1
        else:
            self._offered_at, self.ready_at = inf, t + 1

    def _free(self) -> bool:
        raise NotImplementedError

    def _send(self, port: int, beats: int) -> bool:
        raise NotImplementedError
