"""Where everything lies in DDR, and the bytes of logical arrays there."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import numpy as np

from hw import layout
from hw.scratchpad import CompileError

ALIGNMENT = 128
"""Regions start at multiples of the stripe that chooses the memory port."""

DDR_MAX = 1 << 32
KINDS = ("activation", "index", "mask", "weight", "wide", "diagonal", "wide_diagonal", "table", "words")


@dataclass(frozen=True)
class Region:
    """A named range of DDR.

    Attributes:
        kind: activation (int8), index (uint8), mask (bool): (n, c, h, w); weight (int8), wide (24 bits in int32):
            (k, c, kh, kw); diagonal, wide_diagonal: the same of depthwise weights (k, 1, kh, kw), as diagonal blocks;
            table: (channels, entries) 64-bit words per channel; words: 64-bit words.
        offset: bytes from BASE.
        pitch: of a table: words per channel, at least its entries.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    offset: int
    size: int
    pitch: int = 0


def region_bytes(kind: str, shape: tuple[int, ...], g: int, pitch: int = 0) -> int:
    """Return the bytes that an array of this kind takes in DDR."""
    if kind in ("activation", "index"):
        n, c, h, w = shape
        return n * layout.groups(c, g) * h * w * g
    if kind == "mask":
        n, c, h, w = shape
        return n * layout.groups(c, g) * -(-h * w // 8) * g
    if kind in ("weight", "wide", "diagonal", "wide_diagonal"):
        k, c, kh, kw = shape
        return layout.groups(k, g) * layout.groups(c, g) * kh * kw * g * g * (4 if kind.startswith("wide") else 1)
    if kind == "table":
        return layout.groups(shape[0], g) * g * pitch * 8
    return prod(shape) * 8


@dataclass
class MemoryMap:
    """Regions by name, in the order in which they were added, for an array of side `g`."""

    g: int
    regions: dict[str, Region] = field(default_factory=dict)
    size: int = 0

    def add(self, name: str, kind: str, shape: tuple[int, ...], pitch: int = 0) -> Region:
        """Append a region; `pitch` is for tables. Raises CompileError when DDR addresses run out or the name is taken."""
        if name in self.regions:
            raise CompileError(f"two tensors are called {name!r}; names must be unique")
        size = region_bytes(kind, shape, self.g, pitch)
        if self.size + size > DDR_MAX:
            raise CompileError(f"tensor {name} of {size} bytes does not fit the 4 GiB that instructions can address")
        region = Region(name, kind, tuple(int(s) for s in shape), self.size, size, pitch)
        self.regions[name] = region
        self.size = -(-(self.size + size) // ALIGNMENT) * ALIGNMENT
        return region

    def add_view(self, name: str, of: str, first: int, shape: tuple[int, ...]) -> Region:
        """Give a name to images `first`, ... of a region of images. Raises CompileError when the name is taken."""
        if name in self.regions:
            raise CompileError(f"two tensors are called {name!r}; names must be unique")
        whole = self.regions[of]
        image = whole.size // whole.shape[0]
        region = Region(name, whole.kind, tuple(int(s) for s in shape), whole.offset + first * image, shape[0] * image)
        self.regions[name] = region
        return region

    def __getitem__(self, name: str) -> Region:
        return self.regions[name]

    def encode(self, name: str, array: np.ndarray) -> np.ndarray:
        """Return the bytes of a logical array as the region `name` holds them.

        Raises:
            ValueError: the array's shape is not the region's.
        """
        region = self.regions[name]
        if tuple(array.shape) != region.shape:
            raise ValueError(f"tensor {name} has shape {tuple(array.shape)}, but the program holds {region.shape}")
        if region.kind in ("activation", "index"):
            return layout.activations_to_ddr(array.astype(np.int8 if region.kind == "activation" else np.uint8), self.g)
        if region.kind == "mask":
            return layout.masks_to_ddr(array, self.g)
        if region.kind in ("weight", "wide"):
            return layout.weights_to_ddr(array.astype(np.int8 if region.kind == "weight" else np.int32), self.g)
        if region.kind in ("diagonal", "wide_diagonal"):
            return layout.diagonal_to_ddr(array.astype(np.int8 if region.kind == "diagonal" else np.int32), self.g)
        if region.kind == "table":
            return layout.table_to_ddr(array, self.g, region.pitch)
        return layout.words_to_ddr(array)

    def decode(self, name: str, data: np.ndarray) -> np.ndarray:
        """Return the logical array in the bytes of region `name`; the inverse of `encode`."""
        region = self.regions[name]
        data = np.ascontiguousarray(data)
        if region.kind in ("activation", "index"):
            return layout.activations_from_ddr(data, region.shape, self.g, np.int8 if region.kind == "activation" else np.uint8)
        if region.kind == "mask":
            return layout.masks_from_ddr(data, region.shape, self.g)
        if region.kind in ("weight", "wide"):
            return layout.weights_from_ddr(data, region.shape, self.g, np.int8 if region.kind == "weight" else np.int32)
        if region.kind in ("diagonal", "wide_diagonal"):
            return layout.diagonal_from_ddr(data, region.shape, self.g, np.int8 if region.kind == "diagonal" else np.int32)
        if region.kind == "table":
            return layout.table_from_ddr(data, region.shape, self.g, region.pitch)
        return layout.words_from_ddr(data, region.shape)

    def read(self, ddr: np.ndarray, name: str) -> np.ndarray:
        """Return the logical array that region `name` of a DDR image holds."""
        region = self.regions[name]
        return self.decode(name, ddr[region.offset : region.offset + region.size])

    def write(self, ddr: np.ndarray, name: str, array: np.ndarray) -> None:
        """Put a logical array into region `name` of a DDR image."""
        region = self.regions[name]
        ddr[region.offset : region.offset + region.size] = self.encode(name, array)
