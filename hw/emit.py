"""A segment under construction: instructions in program order, and what the on-chip memories hold meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hw import isa, layout
from hw.config import Config
from hw.memory_map import MemoryMap
from hw.scratchpad import Buffer, Ring

RINGS = ("A", "W", "U", "V", "O", "MI", "MO", "P")
RUN_MAX = (1 << 16) - 1


@dataclass(frozen=True)
class Part:
    """A part of a mini-batch tensor: images [image0, +images), groups [group0, +groups), pixels [px0, +px).

    `px0` is a multiple of 8 where the tensor is a mask.
    """

    image0: int
    images: int
    group0: int
    groups: int
    px0: int
    px: int


@dataclass(eq=False)
class Operand:
    """A part of a tensor in a scratchpad, and its steps in words per group and per image."""

    buffer: Buffer
    step_group: int
    step_image: int
    fresh: bool


@dataclass
class Segment:
    """Instructions of one segment.

    Attributes:
        batch: images of a full mini-batch.
        gathered: names of the tensors whose images the image list selects, in loads and in stores.
        node: position of the step's node that instructions are emitted for, -1 for none.
    """

    config: Config
    memory: MemoryMap
    batch: int
    gathered: frozenset[str] = frozenset()
    instructions: list[isa.Instruction] = field(default_factory=list)
    rings: dict[str, Ring] = field(init=False)
    bank: int = 0
    node: int = -1

    def __post_init__(self):
        by_name = {m.name: m for m in isa.MEMORIES}
        self.rings = {name: Ring(name, self.config.depth(by_name[name])) for name in RINGS}

    def emit(self, op: str, **fields: int) -> None:
        """Append an instruction."""
        self.instructions.append(isa.Instruction(op, fields, self.node))

    def next_bank(self) -> int:
        """Return the first row of the accumulator bank that the next tile uses."""
        self.bank ^= 1
        return self.bank * self.config.acc_rows

    def release(self, *buffers: Buffer) -> None:
        """Let buffers be overwritten."""
        for buffer in buffers:
            buffer.pinned = False

    def load_words(self, memory: str, base: int, address: int, words: int) -> None:
        """Load consecutive words."""
        for start in range(0, words, RUN_MAX):
            size = min(words - start, RUN_MAX)
            self._transfer("load", memory, base + start, address + start * self._word(memory), 1, 0, 1, 0, size)

    def store_words(self, memory: str, base: int, address: int, words: int) -> None:
        """Store consecutive words."""
        for start in range(0, words, RUN_MAX):
            size = min(words - start, RUN_MAX)
            self._transfer("store", memory, base + start, address + start * self._word(memory), 1, 0, 1, 0, size)

    def load_grid(self, memory: str, base: int, address: int, outer: tuple[int, int], inner: tuple[int, int], run: int) -> None:
        """Load `run` words for every (outer, inner); both are (count, stride in bytes)."""
        self._transfer("load", memory, base, address, *outer, *inner, run)

    def _word(self, memory: str) -> int:
        return self.config.word_bytes(isa.MEMORIES[isa.MEMORY_NUMBER[memory]])

    def _transfer(self, op, memory, base, address, n_img, img_stride, n_grp, grp_stride, run, **fields) -> None:
        if n_grp > 1 and grp_stride == run * self._word(memory) and run * n_grp <= RUN_MAX:
            n_grp, run = 1, run * n_grp
        self.emit(
            op, mem=isa.MEMORY_NUMBER[memory], base=base, addr=address, run=run,
            n_img=n_img, img_stride=img_stride if n_img > 1 or fields else 0,
            n_grp=n_grp, grp_stride=grp_stride if n_grp > 1 else 0, **fields,
        )

    def _move(self, op: str, memory: str, base: int, tensor: str, part: Part) -> None:
        """Copy a part between a memory and DDR; on-chip order is [image][group][pixel]."""
        region = self.memory[tensor]
        _, channels, height, width = region.shape
        g, mask = self.config.g, region.kind == "mask"
        words = -(-height * width // 8) if mask else height * width
        first, run = (part.px0 // 8, -(-part.px // 8)) if mask else (part.px0, part.px)
        image = layout.groups(channels, g) * words * g
        gather = tensor in self.gathered
        address = region.offset + (part.group0 * words + first) * g + (0 if gather else part.image0 * image)
        self._transfer(op, memory, base, address, part.images, image, part.groups, words * g, run,
                       clip=1, use_list=int(gather), slot=part.image0)

    def words(self, tensor: str, part: Part) -> int:
        """Return the scratchpad words that a part of a tensor takes."""
        mask = self.memory[tensor].kind == "mask"
        return part.images * part.groups * (-(-part.px // 8) if mask else part.px)

    def load_part(
        self, memory: str, tensor: str, part: Part, split: bool = False, spans: Iterable[tuple[int, int]] = (),
    ) -> Operand:
        """Bring a part of a tensor into a scratchpad, unless it is still there.

        Args:
            split: one load per group, each complete before the next, so that computing can start after the first.
            spans: (first, count) of the part's images that one load brings, for the same reason; all of them by default.
        """
        ring, key = self.rings[memory], (tensor, part)
        found = ring.find(key)
        per_group = self.words(tensor, part) // (part.images * part.groups)
        if found:
            return Operand(found, *found.steps, fresh=False)
        buffer = ring.allocate(self.words(tensor, part), key)
        apart = split and part.groups > 1
        buffer.steps = (part.images * per_group, per_group) if apart else (per_group, part.groups * per_group)
        for image, images in tuple(spans) or [(0, part.images)]:
            for group, groups in [(i, 1) for i in range(part.groups)] if apart else [(0, part.groups)]:
                piece = Part(part.image0 + image, images, part.group0 + group, groups, part.px0, part.px)
                self._move("load", memory, buffer.base + group * buffer.steps[0] + image * buffer.steps[1], tensor, piece)
        return Operand(buffer, *buffer.steps, fresh=True)

    def store_part(self, memory: str, base: int, tensor: str, part: Part) -> None:
        """Copy a scratchpad's words to their place in a tensor and forget older copies of that tensor."""
        self._move("store", memory, base, tensor, part)
        self.changed(tensor)

    def changed(self, tensor: str) -> None:
        """Forget what scratchpads hold of a tensor that was stored to."""
        for ring in self.rings.values():
            ring.forget(tensor)
