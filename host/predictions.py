"""The counters that a program's segments must show, and their cycles: worked out once per segment and number of images.

Both follow from the instructions and from the scalar programs and block lists that they load, never from weights or data. So
programs that agree in those, such as one recipe's with several seeds, share what was worked out, within a process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache

from hw import isa
from hw.config import Config
from hw.predict import predict_counters
from hw.predict_cycles import predict_cycles
from hw.program import Program


class Predictions:
    """What hw.predict and hw.predict_cycles say of a program; nothing of it depends on data.

    Args:
        program: with the segments.
        config: of the core.
    """

    def __init__(self, program: Program, config: Config):
        self._program = program
        self._config = config
        self._counters, self._cycles = _worked_out(_what_counts(program, config))

    def counters(self, segment: str, images: int) -> dict[str, int]:
        """Return all counters of a segment but those of isa.TIMING_COUNTERS."""
        key = segment, images
        if key not in self._counters:
            self._counters[key] = predict_counters(self._program, segment, images, self._config)
        return self._counters[key]

    def cycles(self, segment: str, images: int, first_image: int | tuple[int, ...] = 0) -> int:
        """Return the cycles of a segment with the simulated board's memory and no random stalls.

        Args:
            first_image: number of the mini-batch's first image in the input region; or the segment's image list.
        """
        if isinstance(first_image, tuple) and first_image == tuple(range(first_image[0], first_image[0] + images)):
            first_image = first_image[0]
        key = segment, images, first_image
        if key not in self._cycles:
            self._cycles[key] = predict_cycles(self._program, segment, images, self._config, first_image=first_image)
        return self._cycles[key]

    def difference(self, segment: str, images: int, found: Mapping[str, int]) -> str | None:
        """Return in words which counter first differs from its prediction, None when all but the timing ones are equal."""
        expected = self.counters(segment, images)
        for name in (name for name in isa.COUNTER_NAMES if name in expected):
            if found.get(name) != expected[name]:
                return f"counter {name} of segment {segment} is {found.get(name)}, predicted {expected[name]}"
        return None

    def cycles_error(
        self, segment: str, images: int, found: Mapping[str, int], first_image: int | tuple[int, ...] = 0
    ) -> float | None:
        """Return predicted over counted cycles less one, None where the board counts no cycles."""
        if not found["cycles"]:
            return None
        return self.cycles(segment, images, first_image) / found["cycles"] - 1


@lru_cache(maxsize=32)
def _worked_out(what_counts: bytes) -> tuple[dict[tuple[str, int], dict[str, int]], dict[tuple, int]]:
    """Return counters by (segment, images) and cycles by (segment, images, first image), to be filled."""
    return {}, {}


def _what_counts(program: Program, config: Config) -> bytes:
    """Return a hash of all that counters and cycles depend on."""
    return hashlib.sha256(repr((config, program.ddr_bytes, sorted(program.code.items()), program.words())).encode()).digest()
