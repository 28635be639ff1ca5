"""Fetch, queues and tokens of the cycle model: hw/rtl/fetch.sv, issue.sv, tokens.sv."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from hw import isa
from hw.config import Config
from hw.cycle_memory import FETCH, Ddr

AHEAD = 4
"""Instructions asked for that have not left the buffer."""

QUEUE_DEPTH = 8
UNDER_WAY = 4
"""Instructions of an engine between start and done."""

FILL, CHECK, HAND = range(3)


class Fetch:
    """Reads instructions ahead and hands them out in order.

    Args:
        count: instructions of the segment.
        config: of the core.
        ddr: its memory.

    Attributes:
        asks: whether an address stands at port 0.
        handed: instructions that have been handed out.
    """

    def __init__(self, count: int, config: Config, ddr: Ddr):
        self._beats = 8 * isa.INSTRUCTION_BYTES // config.axi_bits
        self._channel = ddr.reads[0]
        self._count, self._to_read = count, count
        self._held = self._buffered = self._beat = 0
        self._state = FILL
        self.asks = False
        self.handed = 0

    @property
    def done(self) -> bool:
        """Whether every instruction has been handed out."""
        return self.handed == self._count

    def step(self, t: int, address_taken: bool, room: bool) -> bool:
        """Do cycle t and return whether anything moved.

        Args:
            address_taken: the memory takes the address that stands at the port.
            room: the queue of the instruction to be handed out next has room.
        """
        asks, takes = self.asks, self._state == FILL and self._buffered > 0
        begins = not asks and self._to_read and self._held < AHEAD and t > 0
        arrives = self._channel.beat == FETCH
        if address_taken:
            self._channel.ask(t, self._beats, FETCH)
            self.asks = False
            self._to_read -= 1
        if begins:
            self.asks = True
            self._held += 1
        if arrives:
            self._channel.beat = 0
            self._buffered += 1
        return self._assemble(takes, room) or address_taken or begins or arrives or t == 0

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
            self.handed += 1
            return True
        return False


class Queues:
    """The engines' queues and the tokens between them.

    Args:
        instructions: of the segment.

    Attributes:
        startable: engines whose next instruction has its tokens.
    """

    def __init__(self, instructions: Sequence[isa.Instruction]):
        self.startable: set[int] = set()
        self._engine = [isa.ENGINES.index(f.op) for f in instructions]
        self._queued: list[deque[int]] = [deque() for _ in isa.ENGINES]
        self._under_way: list[deque[int]] = [deque() for _ in isa.ENGINES]
        self._tokens = [[0] * len(isa.ENGINES) for _ in isa.ENGINES]  # [taker][giver]
        self._takes = [[s for s in range(len(isa.ENGINES)) if f["wait"] >> s & 1] for f in instructions]
        self._gives = [[d for d in range(len(isa.ENGINES)) if f["signal"] >> d & 1] for f in instructions]

    @property
    def empty(self) -> bool:
        """Whether no instruction waits or is under way."""
        return not any(self._queued) and not any(self._under_way)

    def room(self, number: int) -> bool:
        """Return whether an instruction's queue has room for it."""
        return number < len(self._engine) and len(self._queued[self._engine[number]]) < QUEUE_DEPTH

    def push(self, number: int) -> None:
        """Queue an instruction."""
        self._queued[self._engine[number]].append(number)
        self._look(self._engine[number])

    def start(self, engine: int) -> int:
        """Take the engine's next instruction and its tokens, and return it."""
        number = self._queued[engine].popleft()
        self._under_way[engine].append(number)
        for giver in self._takes[number]:
            self._tokens[engine][giver] -= 1
        self._look(engine)
        return number

    def done(self, engine: int) -> None:
        """End the engine's oldest instruction under way and give its tokens."""
        for taker in self._gives[self._under_way[engine].popleft()]:
            self._tokens[taker][engine] += 1
            self._look(taker)
        self._look(engine)

    def _look(self, engine: int) -> None:
        """Find out whether an engine has an instruction that lacks no token."""
        queue, tokens = self._queued[engine], self._tokens[engine]
        if queue and len(self._under_way[engine]) < UNDER_WAY and all(tokens[giver] for giver in self._takes[queue[0]]):
            self.startable.add(engine)
        else:
            self.startable.discard(engine)
