"""Sizes of the blocks that kernels work on. They change speed and rounding, nothing else."""

from __future__ import annotations

FEWEST = 16
"""Smallest side of a matrix product on tensor cores, and of a tile."""
TILE_ELEMENTS = 2048
"""Elements of a tile: 16 a thread."""
PROGRAMS = 1024
"""Programs that keep a large GPU busy."""
MOST_CHUNKS = 256
"""Most programs that share the positions of one map: each of them stores a part of its sums."""


def block(channels: int) -> int:
    """Return the width of a block: ``channels`` rounded up to a power of two."""
    return max(FEWEST, 1 << (channels - 1).bit_length())


def positions(channels: int, count: int, programs: int = PROGRAMS) -> int:
    """Return the positions of a tile.

    Args:
        channels: of the map.
        count: positions of the map.
        programs: programs that work on each tile; where there are few, tiles are small, so that no core is idle.
    """
    size = max(FEWEST, TILE_ELEMENTS // block(channels))
    while size > FEWEST and count // size * programs < PROGRAMS:
        size //= 2
    return size


def chunks(channels: int, count: int, edges: int) -> int:
    """Return the number of chunks into which the positions of a map are split, each with a program of its own.

    Args:
        channels: of the map. A part of z^T z has C^2 elements, so wide maps get fewer chunks: all parts together stay
            smaller than the map.
        count: positions of the map.
        edges: of the source; every edge has two separable convolutions or so.
    """
    tiles = -(-count // positions(channels, count))
    return max(1, min(MOST_CHUNKS, tiles, count // (4 * channels), PROGRAMS // (2 * edges)))


def warps(channels: int) -> int:
    """Return the warps of a program that works on tiles."""
    return 4 if channels <= 64 else 8


def stages(channels: int) -> int:
    """Return how many tiles of a loop are on their way at a time; wide ones would not fit into shared memory."""
    return 2 if channels <= 64 else 1


def finishing_warps(channels: int) -> int:
    """Return the warps of a program that multiplies C x C matrices: few programs do, so each gets many."""
    return {16: 4, 32: 8, 64: 16, 128: 32}[block(channels)]


def group(channels: int) -> int:
    """Return how many parts of a sum of C x C matrices are loaded at a time."""
    return {16: 16, 32: 8, 64: 4, 128: 1}[block(channels)]
