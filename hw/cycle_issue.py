"""Fetch, queues and tokens of the cycle model: hw/rtl/fetch.sv, issue.sv, tokens.sv."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from functools import lru_cache

from hw import isa
from hw.config import Config
from hw.cycle_memory import FETCH, Ddr
from hw.shapes import UNDER_WAY

AHEAD = 4
"""Instructions asked for that have not left the buffer."""

QUEUE_DEPTH = 8
FILL, CHECK, HAND = range(3)
_IN_MASK = [tuple(e for e in range(len(isa.ENGINES)) if mask >> e & 1) for mask in range(1 << len(isa.ENGINES))]


class Work:
    """An instruction as the cycle model sees it: there is one object for equal ones that are made by `work_of`.

    Attributes:
        engine: that it is for.
        wait, signal: masks of the engines that it takes tokens from and gives tokens to.
        part: what the engine does: cycles of the array, TransferWork, VectorWork or CoefficientWork of the others.
    """

    __slots__ = ("engine", "wait", "signal", "part")

    def __init__(self, engine: int, wait: int, signal: int, part: Hashable):
        self.engine, self.wait, self.signal, self.part = engine, wait, signal, part

    def __reduce__(self):
        return work_of, (self.engine, self.wait, self.signal, self.part)


@lru_cache(maxsize=1 << 16)
def work_of(engine: int, wait: int, signal: int, part: Hashable) -> Work:
    """Return the work of an instruction."""
    return Work(engine, wait, signal, part)


class Fetch:
    """Reads instructions ahead and hands them out in order.

    Args:
        config: of the core.
        ddr: its memory.

    Attributes:
        left: instructions that have not been handed out.
        asks: whether an address stands at port 0.
        hands: whether an instruction is to be handed out.
    """

    def __init__(self, config: Config, ddr: Ddr):
        self._beats = 8 * isa.INSTRUCTION_BYTES // config.axi_bits
        self._channel = ddr.reads[0]
        self._ahead = self._held = self._buffered = self._beat = 0
        self._state = FILL
        self._begun = self.asks = False
        self.left = 0

    @property
    def hands(self) -> bool:
        return self._state == HAND

    def step(self, t: int, address_taken: bool, room: bool) -> bool:
        """Do cycle t and return whether anything moved.

        Args:
            address_taken: the memory takes the address that stands at the port.
            room: the queue of the instruction to be handed out next has room.
        """
        asks, takes = self.asks, self._state == FILL and self._buffered > 0
        begins = not asks and self._ahead < self.left and self._held < AHEAD and self._begun
        arrives = self._channel.beat == FETCH
        if address_taken:
            self._channel.ask(t, self._beats, FETCH)
            self.asks = False
            self._ahead += 1
        if begins:
            self.asks = True
            self._held += 1
        if arrives:
            self._channel.beat = 0
            self._buffered += 1
        moved = self._assemble(takes, room) or address_taken or begins or arrives or not self._begun
        self._begun = True
        return moved

    def _assemble(self, takes: bool, room: bool) -> bool:
        """Take a beat of the instruction, check it or hand it out; return whether anything was done."""
        if takes:
            self._buffered -= 1
            self._beat += 1
            if self._beat == self._beats:
                self._beat, self._state = 0, CHECK
                self._held -= 1
            return True
        if self._state == CHECK:
            self._state = HAND
            return True
        if self._state == HAND and room:
            self._state = FILL
            self._ahead -= 1
            self.left -= 1
            return True
        return False


class Queues:
    """The engines' queues and the tokens between them.

    Attributes:
        startable: engines whose next instruction has its tokens.
    """

    def __init__(self):
        self.startable: set[int] = set()
        self._queued: list[deque[Work]] = [deque() for _ in isa.ENGINES]
        self._under_way: list[deque[int]] = [deque() for _ in isa.ENGINES]  # signal masks
        self._tokens = [[0] * len(isa.ENGINES) for _ in isa.ENGINES]  # [taker][giver]

    @property
    def empty(self) -> bool:
        """Whether no instruction waits or is under way."""
        return not any(self._queued) and not any(self._under_way)

    def room(self, work: Work) -> bool:
        """Return whether an instruction's queue has room for it."""
        return len(self._queued[work.engine]) < QUEUE_DEPTH

    def push(self, work: Work) -> None:
        """Queue an instruction."""
        self._queued[work.engine].append(work)
        self._look(work.engine)

    def start(self, engine: int) -> Work:
        """Take the engine's next instruction and its tokens, and return it."""
        work = self._queued[engine].popleft()
        self._under_way[engine].append(work.signal)
        for giver in _IN_MASK[work.wait]:
            self._tokens[engine][giver] -= 1
        self._look(engine)
        return work

    def done(self, engine: int) -> None:
        """End the engine's oldest instruction under way and give its tokens."""
        for taker in _IN_MASK[self._under_way[engine].popleft()]:
            self._tokens[taker][engine] += 1
            self._look(taker)
        self._look(engine)

    def _look(self, engine: int) -> None:
        """Find out whether an engine has an instruction that lacks no token."""
        queue, tokens = self._queued[engine], self._tokens[engine]
        if queue and len(self._under_way[engine]) < UNDER_WAY and all(tokens[giver] for giver in _IN_MASK[queue[0].wait]):
            self.startable.add(engine)
        else:
            self.startable.discard(engine)
