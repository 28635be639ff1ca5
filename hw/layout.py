"""Between logical arrays and the bytes in DDR (hw/architecture.md, "Data in DDR"); every pair is inverse.

Channels are padded with zeros to whole groups of G; G is the array's side.
"""

from __future__ import annotations

import numpy as np


def groups(channels: int, g: int) -> int:
    """Return the channel groups of `channels` channels."""
    return -(-channels // g)


def activations_to_ddr(x: np.ndarray, g: int) -> np.ndarray:
    """Return the bytes of an int8 array (n, c, h, w): [n][channel group][y][x][G]."""
    n, c, h, w = x.shape
    padded = np.zeros((n, groups(c, g) * g, h, w), x.dtype)
    padded[:, :c] = x
    ordered = padded.reshape(n, -1, g, h, w).transpose(0, 1, 3, 4, 2)
    return np.ascontiguousarray(ordered).view(np.uint8).reshape(-1)


def activations_from_ddr(data: np.ndarray, shape: tuple[int, int, int, int], g: int, dtype=np.int8) -> np.ndarray:
    """Return the array (n, c, h, w) in bytes written by `activations_to_ddr`."""
    n, c, h, w = shape
    ordered = np.frombuffer(data, dtype).reshape(n, groups(c, g), h, w, g)
    return np.ascontiguousarray(ordered.transpose(0, 1, 4, 2, 3).reshape(n, -1, h, w)[:, :c])


def weights_to_ddr(weights: np.ndarray, g: int) -> np.ndarray:
    """Return the bytes of weights (k, c, kh, kw), int8 or 24-bit in int32: [k group][c group][ky][kx][c row][k lane]."""
    k, c, kh, kw = weights.shape
    padded = np.zeros((groups(k, g) * g, groups(c, g) * g, kh, kw), weights.dtype)
    padded[:k, :c] = weights
    ordered = padded.reshape(groups(k, g), g, groups(c, g), g, kh, kw).transpose(0, 2, 4, 5, 3, 1)
    return np.ascontiguousarray(ordered).view(np.uint8).reshape(-1)


def weights_from_ddr(data: np.ndarray, shape: tuple[int, int, int, int], g: int, dtype=np.int8) -> np.ndarray:
    """Return the weights (k, c, kh, kw) in bytes written by `weights_to_ddr`."""
    k, c, kh, kw = shape
    ordered = np.frombuffer(data, dtype).reshape(groups(k, g), groups(c, g), kh, kw, g, g)
    plain = ordered.transpose(0, 5, 1, 4, 2, 3).reshape(groups(k, g) * g, groups(c, g) * g, kh, kw)
    return np.ascontiguousarray(plain[:k, :c])


def diagonal_to_ddr(weights: np.ndarray, g: int) -> np.ndarray:
    """Return the bytes of depthwise weights (k, 1, kh, kw) as blocks of `weights_to_ddr` that are zero off their diagonal."""
    k = weights.shape[0]
    blocks = np.zeros((k, g, *weights.shape[2:]), weights.dtype)
    blocks[np.arange(k), np.arange(k) % g] = weights[:, 0]
    return weights_to_ddr(blocks, g)


def diagonal_from_ddr(data: np.ndarray, shape: tuple[int, int, int, int], g: int, dtype=np.int8) -> np.ndarray:
    """Return the depthwise weights (k, 1, kh, kw) in bytes written by `diagonal_to_ddr`."""
    k, _, kh, kw = shape
    blocks = weights_from_ddr(data, (k, g, kh, kw), g, dtype)
    return np.ascontiguousarray(blocks[np.arange(k), np.arange(k) % g][:, None])


def masks_to_ddr(mask: np.ndarray, g: int) -> np.ndarray:
    """Return the bytes of a boolean array (n, c, h, w): 8 vectors of G bits in a word of G bytes."""
    n, c, h, w = mask.shape
    vectors = activations_to_ddr(mask.astype(np.int8), g).reshape(n, groups(c, g), h * w, g)
    padded = np.zeros((n, groups(c, g), -(-h * w // 8) * 8, g), np.uint8)
    padded[:, :, : h * w] = vectors
    return np.packbits(padded.reshape(-1), bitorder="little")


def masks_from_ddr(data: np.ndarray, shape: tuple[int, int, int, int], g: int) -> np.ndarray:
    """Return the boolean array (n, c, h, w) in bytes written by `masks_to_ddr`."""
    n, c, h, w = shape
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little").reshape(n, groups(c, g), -1, g)
    vectors = np.ascontiguousarray(bits[:, :, : h * w])
    return activations_from_ddr(vectors.reshape(-1).view(np.int8), shape, g).astype(bool)


def words_to_ddr(words: np.ndarray) -> np.ndarray:
    """Return the bytes of 64-bit words of any shape, in row-major order."""
    return np.ascontiguousarray(words, "<i8").view(np.uint8).reshape(-1)


def words_from_ddr(data: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return int64 words of `shape` in bytes written by `words_to_ddr`."""
    return np.frombuffer(data, "<i8").reshape(shape).astype(np.int64)


def table_to_ddr(table: np.ndarray, g: int, pitch: int) -> np.ndarray:
    """Return the bytes of a channel table (channels, entries): `pitch` words per channel, zero channels to whole groups."""
    channels, entries = table.shape
    padded = np.zeros((groups(channels, g) * g, pitch), np.int64)
    padded[:channels, :entries] = table
    return words_to_ddr(padded)


def table_from_ddr(data: np.ndarray, shape: tuple[int, int], g: int, pitch: int) -> np.ndarray:
    """Return the channel table (channels, entries) in bytes written by `table_to_ddr`."""
    return words_from_ddr(data, (groups(shape[0], g) * g, pitch))[: shape[0], : shape[1]]
